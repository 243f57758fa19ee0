// The shared maps: created and pinned, or adopted, and their memory mapped into this process.
#pragma once

#include <bpf/libbpf.h>

#include <map>
#include <memory>
#include <span>
#include <string>

#include "abi.h"
#include "base/fd.hpp"
#include "base/result.hpp"
#include "dataplane/xdp/bpffs.hpp"

namespace sluice::dataplane::xdp {

/// Where the plain program's packets leave, and those of the multi-buffer variant: the kernel lets
/// no devmap serve both.
inline constexpr const char* plain_devmap = "tx_ports";
inline constexpr const char* multi_buffer_devmap = "tx_ports_frags";

class Maps {
 public:
  /// Creates what is not pinned yet and adopts what is. A pinned map of another shape than this
  /// program's is an error that names it (Code::unsupported). Loads the program once, so that a
  /// kernel that refuses it is known at once.
  static Result<Maps> open(const PinFolder& folder);
  Maps(Maps&&) = default;

  /// -1 if there is no map of that name.
  int fd(const std::string& name) const;
  /// The tag of the embedded program, as this kernel has it.
  const std::string& built_in_tag() const { return built_in_tag_; }
  /// Whether these maps are what an object's program expects: Code::unsupported, with the map and
  /// what differs. A program that reads them as something else would do so without a word.
  Result<void> fit(const bpf_object* object) const;

  sl_front& front(std::size_t index) const { return memory<sl_front>(".bss.front")[index]; }
  std::span<std::uint32_t> slots() const { return memory<std::uint32_t>(".bss.slots"); }
  sl_control& control() const { return memory<sl_control>(".bss.control")[0]; }
  std::span<sl_flow_line> flows() const { return memory<sl_flow_line>(".bss.flows"); }
  std::span<sl_flow_line> opening() const { return memory<sl_flow_line>(".bss.opening"); }
  std::span<sl_bucket> records() const { return memory<sl_bucket>(".bss.records"); }
  sl_loads& loads() const { return memory<sl_loads>(".bss.loads")[0]; }
  std::span<sl_fragment_line> fragments() const {
    return memory<sl_fragment_line>(".bss.fragments");
  }
  /// By backend id; the first is the bucket of all services together.
  std::span<sl_limit> limits() const { return memory<sl_limit>(".bss.limits"); }
  std::span<sl_vip> vips() const { return memory<sl_vip>(".bss.vips"); }
  std::span<sl_backend> backend_pool() const { return memory<sl_backend>("backend_pool"); }
  /// One for each possible CPU.
  std::span<sl_stats> stats() const { return memory<sl_stats>("xdp_stats_map"); }
  std::span<sl_backend_label> backend_labels() const {
    return memory<sl_backend_label>("backend_labels");
  }
  std::span<sl_service_label> service_labels() const {
    return memory<sl_service_label>("service_labels");
  }
  std::span<sl_table_label> table_labels() const { return memory<sl_table_label>("table_labels"); }
  std::span<sl_program_label> program_labels() const {
    return memory<sl_program_label>("program_labels");
  }

 private:
  struct Unmap {
    std::size_t bytes;
    void operator()(void* address) const;
  };
  struct Map {
    Fd fd;
    std::unique_ptr<void, Unmap> memory;
    std::size_t bytes = 0;
  };

  Maps() = default;
  Result<void> take(const std::string& name, int fd);

  template <class T>
  std::span<T> memory(const char* name) const {
    const auto& map = maps_.at(name);
    return {static_cast<T*>(map.memory.get()), map.bytes / sizeof(T)};
  }

  std::map<std::string, Map> maps_;
  std::string built_in_tag_;
};

}  // namespace sluice::dataplane::xdp
