// What verdicts and reasons are called on the wire.
#pragma once

#include <cstddef>
#include <string_view>

namespace sluice::dataplane {

/// "aborted", "drop", "pass", "tx", "redirect"; "unknown" for anything else.
std::string_view verdict_name(std::size_t verdict);

/// The reason of abi.h in words: "not-ours", "nat-reply", …; "unknown" for anything else.
std::string_view reason_name(std::size_t reason);

}  // namespace sluice::dataplane
