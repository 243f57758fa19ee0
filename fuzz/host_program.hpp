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
  void set_time(std::uint32_t now);
  /// The outcome's bytes stay until the next frame.
  reference::Outcome run(const reference::Frame& frame);
};

}  // namespace sluice::fuzz
