// The kernel's side of rate limits: a TC program at the ingress of an interface, which gives
// packets that XDP passes beyond a limit their mark. Pinned beside the XDP program, so it outlives
// the daemon.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "dataplane/xdp/bpffs.hpp"

namespace sluice::dataplane::xdp {

/// Puts the program on, beside whatever else is there; a clsact queueing discipline is made where
/// there is none. Code::kernel with the kernel's reason.
Result<void> put_on_marking(const PinFolder& folder, const std::string& interface,
                            std::uint32_t ifindex);
/// Takes it off, and the queueing discipline if we made it and nobody else uses it. What has gone
/// already is no error. @param ifindex 0: the interface has gone
void take_off_marking(const PinFolder& folder, const std::string& interface, std::uint32_t ifindex);
/// Whether our program is there.
bool is_marking(const PinFolder& folder, const std::string& interface, std::uint32_t ifindex);
/// Replaces the program of another build by this one's, if there is one.
Result<void> renew_marking(const PinFolder& folder, const std::string& interface,
                           std::uint32_t ifindex);

}  // namespace sluice::dataplane::xdp
