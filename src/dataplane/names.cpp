#include "dataplane/names.hpp"

#include <array>

#include "abi.h"

namespace sluice::dataplane {

namespace {

constexpr std::array<std::string_view, 5> verdicts{"aborted", "drop", "pass", "tx", "redirect"};

// In the order of enum sl_reason.
constexpr std::array<std::string_view, SL_REASON_COUNT> reasons{
    "not-ip",
    "not-ours",
    "no-service",
    "fragment",
    "icmp",
    "other-protocol",
    "truncated",
    "malformed",
    "unknown-reply",
    "no-backend",
    "unresolved",
    "too-big",
    "no-port",
    "flow-table-full",
    "no-headroom",
    "extension-chain",
    "family-mismatch",
    "fragment-early",
    "denied",
    "connection-limit",
    "rate-limited",
    "nat",
    "nat-reply",
    "dsr-l2",
    "dsr-ipip4",
    "dsr-ipip6",
    "icmp-error",
    "echo",
    "too-big-told",
    "bug",
};
static_assert(reasons[SL_REASON_NAT] == "nat" && reasons[SL_REASON_NO_BACKEND] == "no-backend" &&
              reasons[SL_REASON_BUG] == "bug");

}  // namespace

std::string_view verdict_name(std::size_t verdict) {
  return verdict < verdicts.size() ? verdicts[verdict] : "unknown";
}

std::string_view reason_name(std::size_t reason) {
  return reason < reasons.size() ? reasons[reason] : "unknown";
}

}  // namespace sluice::dataplane
