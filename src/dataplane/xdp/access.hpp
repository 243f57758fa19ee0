// The tables of clients that may or may not reach the VIPs: two of each family, of which the front
// names those that count.
#pragma once

#include "base/result.hpp"
#include "dataplane/xdp/maps.hpp"
#include "planner/plan.hpp"

namespace sluice::dataplane::xdp {

/// Writes all entries of the step into the tables that it names, which no front that counts may
/// use.
Result<void> fill_access_list(const Maps& maps, const planner::FillAccessList& step);

/// Empties the tables that the active front does not use, whose readers must have gone.
void clear_unused_access_lists(const Maps& maps);

}  // namespace sluice::dataplane::xdp
