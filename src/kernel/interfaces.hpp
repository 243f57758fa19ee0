// What an interface's driver can do with XDP, from the kernel's netdev family.
#pragma once

#include <cstdint>

#include "base/result.hpp"

namespace sluice::kernel {

enum class Support { no, yes, unknown };

/// The generic mode (SKB) is not listed: every interface has it. All are `unknown` on kernels
/// without the netdev family (before 6.3).
struct XdpSupport {
  Support native = Support::unknown;           ///< mode DRV
  Support offload = Support::unknown;          ///< mode HW
  Support redirect_target = Support::unknown;  ///< packets can be redirected into it
};

/// Error: Code::not_found if there is no interface of this index in the calling thread's network
/// namespace.
Result<XdpSupport> xdp_support(std::uint32_t ifindex);

}  // namespace sluice::kernel
