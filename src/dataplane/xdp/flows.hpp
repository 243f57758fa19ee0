// The table of flows, seen from the daemon: what it takes out while packets go on.
#pragma once

#include <cstdint>
#include <set>

#include "dataplane/xdp/maps.hpp"
#include "planner/image.hpp"

namespace sluice::dataplane::xdp {

/// Forgets all flows to these backends, records of slots in transition and datagrams in fragments
/// included, before their ids are given to others.
void forget_flows_of_backends(const Maps& maps, const std::set<std::uint16_t>& ids);
/// Likewise all flows of these services.
void forget_flows_of_services(const Maps& maps, const std::set<std::uint16_t>& ids);

/// Forgets the flows of a pool whose slot has another owner than their backend, and all records of
/// its flows: what is left follows the table.
/// @param image what runs
void forget_flows_of_pool(const Maps& maps, const planner::Image& image, const std::string& pool);

/// Counts anew how many flows each backend has.
void recount_flows(const Maps& maps);

/// Takes out a part of the flows that are over, another part each time: all of them within a
/// minute.
void sweep_flows(const Maps& maps, std::uint32_t epoch);

}  // namespace sluice::dataplane::xdp
