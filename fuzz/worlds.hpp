// The handful of configurations that packets meet in the fuzzers.
#pragma once

#include <vector>

#include "world.hpp"

namespace sluice::fuzz {

/// All of them; made once.
const std::vector<reference::World>& worlds();

/// Those with pools that remember their flows, by algorithm and with affinity (worlds_tracked.cpp).
void add_tracked_worlds(std::vector<reference::World>& worlds);
/// Those with limits of connections and of packets (worlds_limited.cpp).
void add_limited_worlds(std::vector<reference::World>& worlds);
/// Those that change while packets come (worlds_changing.cpp).
void add_changing_worlds(std::vector<reference::World>& worlds);

}  // namespace sluice::fuzz
