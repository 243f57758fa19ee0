// The records of flows on slots in transition, seen from the daemon.
#pragma once

#include <set>

#include "dataplane/xdp/maps.hpp"
#include "planner/plan.hpp"

namespace sluice::dataplane::xdp {

/// Looks at every record once: deletes those that are forgotten, of backends that are gone, or of
/// no use any more (the owner's on pinned slots, any on settled ones), and counts the others' by
/// slot.
planner::Learned sweep_records(const Maps& maps, const planner::Image& image);

/// Deletes all records of flows to these backends.
void forget_records_of_backends(const Maps& maps, const std::set<std::uint16_t>& ids);

}  // namespace sluice::dataplane::xdp
