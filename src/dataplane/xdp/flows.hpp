// The table of IPv4 flows, seen from the daemon: what it takes out while packets go on.
#pragma once

#include <cstdint>
#include <set>

#include "dataplane/xdp/maps.hpp"

namespace sluice::dataplane::xdp {

/// Forgets all flows to these backends, before their ids are given to others.
void forget_flows_of_backends(const Maps& maps, const std::set<std::uint16_t>& ids);
/// Likewise all flows of these services.
void forget_flows_of_services(const Maps& maps, const std::set<std::uint16_t>& ids);

/// Takes out a part of the flows that are over, another part each time: all of them within a
/// minute.
void sweep_flows(const Maps& maps, std::uint32_t epoch);

}  // namespace sluice::dataplane::xdp
