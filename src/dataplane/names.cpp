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
    "missing-interface",
    "nat",
    "nat-reply",
    "dsr-l2",
    "dsr-ipip4",
    "dsr-ipip6",
    "icmp-error",
    "echo",
    "too-big-told",
    "missing-backend",
    "table-bound",
    "bug",
};
static_assert(reasons[SL_REASON_NAT] == "nat" && reasons[SL_REASON_NO_BACKEND] == "no-backend" &&
              reasons[SL_REASON_BUG] == "bug");

struct Error {
  sl_reason reason;
  PacketError error;
};
constexpr Error errors[] = {
    {SL_REASON_TRUNCATED, {"malformed", "shorter than its headers say"}},
    {SL_REASON_MALFORMED, {"malformed", "header fields that contradict each other"}},
    {SL_REASON_MISSING_BACKEND,
     {"map-lookup", "backend_pool has no entry with the id that a slot or a flow names"}},
    {SL_REASON_MISSING_INTERFACE,
     {"map-lookup", "tx_ports has no entry for the interface that the packet was to leave by"}},
    {SL_REASON_TABLE_BOUND,
     {"program", "aborted: the table of the service's pool lies outside of the slots"}},
    {SL_REASON_BUG,
     {"program", "aborted: a bound that holds by the program's own doing did not hold"}},
};

}  // namespace

std::string_view verdict_name(std::size_t verdict) {
  return verdict < verdicts.size() ? verdicts[verdict] : "unknown";
}

std::string_view reason_name(std::size_t reason) {
  return reason < reasons.size() ? reasons[reason] : "unknown";
}

std::optional<PacketError> error_of(std::string_view verdict, std::string_view reason) {
  for (const auto& one : errors)
    if (reasons[one.reason] == reason)
      return one.error;
  if (verdict == "aborted" || verdict == "unknown")
    return PacketError{"program", "ended in a way that this daemon does not know"};
  return {};
}

}  // namespace sluice::dataplane
