// The packet path compiled for the host, as one of the programs that are compared.
#pragma once

#include "contents.hpp"
#include "model.hpp"

namespace sluice::fuzz {

class HostProgram {
 public:
  HostProgram();
  /// Fills its maps; forgets all but the counters.
  void load(const reference::World& world, const Contents& contents);
  /// Likewise, but forgets nothing, as when the daemon changes a running configuration.
  void change(const reference::World& world, const Contents& contents);
  void clear_counters();
  void set_time(std::uint32_t now);
  /// The outcome's bytes stay until the next frame.
  reference::Outcome run(const reference::Frame& frame);

 private:
  std::uint64_t counted_[2][5][SL_REASONS] = {};  ///< packets so far, by interface and action
  std::size_t limits_ = 0;  ///< backends that may have one; the first is of all services
};

}  // namespace sluice::fuzz
