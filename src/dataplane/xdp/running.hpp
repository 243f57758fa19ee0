// Reads the image back from the maps.
#pragma once

#include "dataplane/xdp/maps.hpp"
#include "planner/image.hpp"

namespace sluice::dataplane::xdp {

/// Backends, tables and services as packets meet them; interfaces are left empty.
planner::Image read_image(const Maps& maps);

/// The parts that say what the ids of counters mean.
std::map<planner::BackendKey, planner::BackendImage> read_backends(const Maps& maps);
std::map<planner::ServiceKey, planner::ServiceImage> read_services(const Maps& maps);

}  // namespace sluice::dataplane::xdp
