// `sluicectl top`: rates between two looks at the counters.
#pragma once

#include <boost/json.hpp>
#include <string>

#include "cli/session.hpp"

namespace sluice::cli {

/// Packets and bits per second, new connections per second, and shares, between two replies of GET
/// /stats.
std::string render_rates(const boost::json::value& before, const boost::json::value& after,
                         bool colour);

/// Looks every second until it is told to end. @param count how often; 0: for ever
Exit top(Session& session, unsigned count);

}  // namespace sluice::cli
