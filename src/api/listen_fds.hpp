// Sockets that systemd, or anyone who speaks its protocol, hands over: sd_listen_fds(3).
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace sluice::api {

/// The descriptors meant for the process `pid` by LISTEN_PID and LISTEN_FDS; empty if there are
/// none.
std::vector<int> listen_fds(const std::optional<std::string>& listen_pid,
                            const std::optional<std::string>& listen_fds, int pid);

/// The same from the environment of this process; the variables are removed, so that children do
/// not see them.
std::vector<int> take_listen_fds();

}  // namespace sluice::api
