// The rules that one field alone cannot show: names that must exist, addresses that must not meet,
// tables that must fit.
#pragma once

#include <vector>

#include "base/result.hpp"
#include "model/config.hpp"
#include "model/topology.hpp"

namespace sluice::model {

/// Everything that is wrong, ranges of single fields included, with the JSON pointer of the field
/// to change. Empty: the configuration is valid.
std::vector<Fault> validate(const Config& config);

/// The same, and every interface that is named must exist on the machine.
std::vector<Fault> validate(const Config& config, const Topology& topology);

/// Only the rules that span fields, for a document of which some places may not have been readable:
/// what hangs on those is not judged, so that no fault is told twice or made up.
/// @param topology may be null: names of interfaces are then not looked up.
/// @param unread what the codec found.
std::vector<Fault> broken_rules(const Config& config, const Topology* topology,
                                const std::vector<Fault>& unread);

}  // namespace sluice::model
