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

}  // namespace sluice::dataplane::xdp
