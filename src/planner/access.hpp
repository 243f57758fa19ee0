// The lists of clients that may or may not reach the VIPs, as one list of prefixes.
#pragma once

#include <vector>

#include "planner/image.hpp"

namespace sluice::planner {

/// Every prefix once, in order. One that stands in both lists is allowed; entries that cannot be
/// read are left out: validation has refused them.
std::vector<AccessEntry> access_entries(const model::SecuritySettings& security);

/// Tells lists apart.
std::uint64_t digest_of(const std::vector<AccessEntry>& entries);

}  // namespace sluice::planner
