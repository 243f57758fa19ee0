// The BPF object: opened from the copy inside this binary, once for each interface.
#pragma once

#include <bpf/libbpf.h>

#include <memory>
#include <string>

#include "base/fd.hpp"
#include "base/result.hpp"

namespace sluice::dataplane::xdp {

struct CloseObject {
  void operator()(bpf_object* object) const { bpf_object__close(object); }
};
using Object = std::unique_ptr<bpf_object, CloseObject>;

/// Parses the embedded object; nothing is in the kernel yet. Stats maps are sized for all possible
/// CPUs.
Result<Object> open_object();

/// The name that a map is pinned under and known by: `backend_pool`, `.bss.front`; empty for
/// .rodata, which each program instance has for itself.
std::string shared_name(const bpf_map* map);

class Maps;

/// Loads the program instance for an interface on the shared maps. The verifier's complaint ends in
/// the error.
/// @param slot the interface's place in tx_ports
Result<Fd> load_program(const Maps& maps, std::uint32_t slot);

/// What the kernel says of a loaded program.
struct ProgramInfo {
  std::uint32_t id = 0;
  std::string tag;
};
Result<ProgramInfo> program_info(int fd);

}  // namespace sluice::dataplane::xdp
