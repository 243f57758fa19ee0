// The table of a pool whose backends take turns.
#pragma once

#include <cstdint>
#include <vector>

#include "maglev/maglev.hpp"

namespace sluice::planner {

/// The members' values, each as often as its weight says, and as evenly mixed as that allows: of
/// any stretch a member has its share within one place. Empty if there is no member.
/// @param most the largest size; as many whole rounds as fit, so that the end meets the beginning
///        without a seam, or a part of one where not even one fits
std::vector<std::uint16_t> rotation(const std::vector<maglev::Member>& members, std::uint32_t most);

}  // namespace sluice::planner
