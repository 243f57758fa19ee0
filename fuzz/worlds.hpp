// The handful of configurations that packets meet in the fuzzers.
#pragma once

#include <vector>

#include "world.hpp"

namespace sluice::fuzz {

/// All of them; made once.
const std::vector<reference::World>& worlds();

}  // namespace sluice::fuzz
