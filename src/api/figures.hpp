// What counters say beyond their sums: how long packets take, and what went wrong with which cause.
#pragma once

#include "api/views.hpp"
#include "dataplane/dataplane.hpp"

namespace sluice::api {

TimingView timing_view(const dataplane::Timing& timing);

/// Errors of packets on the interfaces, and those of no interface. Backends that were out of reach
/// are not among them.
std::vector<ErrorView> packet_errors(const dataplane::Counters& counters);

/// Packets that met a backend without a next hop; nothing if there was none.
std::optional<ErrorView> unreachable_error(const BackendStats& backend);

/// Adds an error's packets to the total of its kind.
void add_error(TotalsView& totals, const ErrorView& error);

}  // namespace sluice::api
