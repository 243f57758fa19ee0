// The BPF object: opened from the copy inside this binary or from a file, once for each interface.
#pragma once

#include <bpf/libbpf.h>

#include <filesystem>
#include <memory>
#include <string>

#include "base/fd.hpp"
#include "base/result.hpp"
#include "planner/programs.hpp"

namespace sluice::dataplane::xdp {

struct CloseObject {
  void operator()(bpf_object* object) const { bpf_object__close(object); }
};
using Object = std::unique_ptr<bpf_object, CloseObject>;

/// What an object says of itself.
struct Identity {
  std::uint32_t abi = 0;
  std::string version;
};

/// Parses the embedded object, or that of a file; nothing is in the kernel yet. Stats maps are
/// sized for all possible CPUs. Errors: Code::unsupported if the file is no object of this kind.
Result<Object> open_object();
Result<Object> open_object(const std::filesystem::path& file);

/// Code::unsupported for an object that says nothing of itself: it is older than this daemon knows.
Result<Identity> identity_of(bpf_object* object);

/// The name that a map is pinned under and known by: `backend_pool`, `.bss.front`; empty for
/// .rodata, which each program instance has for itself.
std::string shared_name(const bpf_map* map);

class Maps;

/// Makes an object that is not loaded yet the multi-buffer variant, for interfaces whose frames
/// come in several buffers. Code::unsupported for one that has no such variant.
Result<void> make_multi_buffer(bpf_object* object);

/// Loads an instance of the object's program for an interface on the shared maps. The verifier's
/// complaint ends in the error.
/// @param slot the interface's place in tx_ports
Result<Fd> load_program(const Object& object, const Maps& maps, std::uint32_t slot,
                        bool multi_buffer);

/// Which variant a loaded program is, as the kernel says: the two use different devmaps.
bool is_multi_buffer(int fd, const Maps& maps);

/// What the kernel says of a loaded program; the version is not known to it.
Result<planner::Program> program_info(int fd);

}  // namespace sluice::dataplane::xdp
