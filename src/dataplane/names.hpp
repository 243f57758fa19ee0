// What verdicts and reasons are called on the wire, and which of them are errors.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace sluice::dataplane {

/// "aborted", "drop", "pass", "tx", "redirect"; "unknown" for anything else.
std::string_view verdict_name(std::size_t verdict);

/// The reason of abi.h in words: "not-ours", "nat-reply", …; "unknown" for anything else.
std::string_view reason_name(std::size_t reason);

/// An end of a packet that should not occur.
struct PacketError {
  std::string_view kind;   ///< "malformed", "map-lookup", "program"
  std::string_view cause;  ///< in words
};
/// What a verdict and reason, by their names, say went wrong; nothing where nothing did. A backend
/// without a next hop is no such error: it is counted by backend.
std::optional<PacketError> error_of(std::string_view verdict, std::string_view reason);

}  // namespace sluice::dataplane
