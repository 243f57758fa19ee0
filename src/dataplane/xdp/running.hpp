// Reads the image back from the maps.
#pragma once

#include "dataplane/xdp/maps.hpp"
#include "planner/image.hpp"

namespace sluice::dataplane::xdp {

/// Backends, tables and services as packets meet them; interfaces are left empty.
planner::Image read_image(const Maps& maps);

}  // namespace sluice::dataplane::xdp
