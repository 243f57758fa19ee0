// The image that a configuration asks for on a machine: backends with their ways, tables, services,
// interfaces.
#pragma once

#include <vector>

#include "planner/image.hpp"
#include "planner/plan.hpp"

namespace sluice::planner {

/// @param running its ids are kept for what stays; new ids are taken from those that it does not
/// use
/// @param warnings what the operator should know is added here
Result<Image> wanted_image(const Image& running, const model::Config& config,
                           const model::Topology& topology, const PlanOptions& options,
                           std::vector<Warning>& warnings);

}  // namespace sluice::planner
