// The rules that one field alone cannot show: names that must exist, addresses that must not meet,
// tables that must fit.
#pragma once

#include <vector>

#include "base/result.hpp"
#include "model/config.hpp"
#include "model/topology.hpp"

namespace sluice::model {

/// Every broken rule, with the JSON pointer of the field to change. Empty: the configuration is
/// valid.
std::vector<Fault> validate(const Config& config);

/// The same, and every interface that is named must exist on the machine.
std::vector<Fault> validate(const Config& config, const Topology& topology);

}  // namespace sluice::model
