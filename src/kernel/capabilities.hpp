// Which rights of this process are missing.
#pragma once

#include <string>
#include <vector>

namespace sluice::kernel {

/// Of CAP_NET_ADMIN, CAP_NET_RAW, CAP_PERFMON and CAP_BPF, those that are not effective.
/// CAP_SYS_ADMIN stands in for the last two (capabilities(7)).
std::vector<std::string> missing_capabilities();

/// One sentence with the cure; empty if nothing is missing.
std::string explain_missing(const std::vector<std::string>& missing);

}  // namespace sluice::kernel
