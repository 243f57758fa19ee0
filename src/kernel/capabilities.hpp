// Which of the capabilities that Sluice needs are missing, and how to say so.
#pragma once

#include <string>
#include <vector>

namespace sluice::kernel {

/// Of CAP_NET_ADMIN, CAP_BPF, CAP_NET_RAW and CAP_PERFMON those that are not in the calling
/// thread's effective set. CAP_SYS_ADMIN stands in for CAP_BPF and CAP_PERFMON, as in the kernel.
std::vector<std::string> missing_capabilities();

/// One sentence that names what is missing and the cure; empty if nothing is.
std::string explain_missing(const std::vector<std::string>& missing);

}  // namespace sluice::kernel
