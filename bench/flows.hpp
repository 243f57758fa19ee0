// Connections for the benchmarks of nat and of full tracking: opened, answered where replies are
// seen, and acknowledged through the program.
#pragma once

#include <vector>

#include "balancer.hpp"
#include "measure.hpp"

namespace sluice::bench {

/// Establishes a nat flow for each of the first `count` clients that the driver makes up.
/// @param count a power of two
/// @return the packets that backends answer with
std::vector<drive_flow> establish(const Balancer& balancer, Object& driver, std::uint32_t count);

/// The same with direct return, where nobody sees an answer.
void establish_tracked(const Balancer& balancer, Object& driver, std::uint32_t count);

}  // namespace sluice::bench
