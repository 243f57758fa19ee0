// Sums the counters of all CPUs, straight from the maps' memory.
#pragma once

#include "dataplane/dataplane.hpp"
#include "dataplane/xdp/maps.hpp"

namespace sluice::dataplane::xdp {

/// Of the services and backends that run.
/// @param interfaces attached ones with their place in tx_ports
Counters read_counters(const Maps& maps, const std::map<std::string, std::uint32_t>& interfaces);

/// Over all interfaces that ever had a place.
Totals read_totals(const Maps& maps);

/// Before an id or a place is given to something else its counters start from zero.
void clear_backend(const Maps& maps, std::uint32_t id);
/// @return false if nothing was ever counted for it
bool clear_service(const Maps& maps, std::uint32_t id);
void clear_interface(const Maps& maps, std::uint32_t slot);

}  // namespace sluice::dataplane::xdp
