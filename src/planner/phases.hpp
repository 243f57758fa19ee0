// Slots in transition as they stand in the arena: packed words and back.
#pragma once

#include <cstdint>
#include <vector>

#include "planner/image.hpp"
#include "transition/transition.hpp"

namespace sluice::planner {

/// All slots of a table. A word tells when learning began to within SL_SINCE_UNIT seconds, and
/// within a day and a half of `now`.
std::vector<transition::Slot> unpack(const TableImage& table, std::uint32_t now);

/// The holders' words of slots; empty if all are settled.
std::vector<std::uint32_t> pack_holders(const std::vector<transition::Slot>& slots);

}  // namespace sluice::planner
