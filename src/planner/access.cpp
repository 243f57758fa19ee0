// Merges the deny and the allow list.
#include "planner/access.hpp"

#include <algorithm>
#include <cstring>
#include <tuple>

#include "abi.h"
#include "model/prefix.hpp"

namespace sluice::planner {

namespace {

/// A denied entry after an allowed one of the same prefix.
auto order_of(const AccessEntry& entry) {
  return std::tie(entry.address, entry.length, entry.action);
}

void append(std::vector<AccessEntry>& entries, const std::vector<std::string>& list,
            model::Access action) {
  for (const auto& text : list)
    if (const auto prefix = model::parse_source(text))
      entries.push_back({prefix->address, static_cast<std::uint8_t>(prefix->length), action});
}

}  // namespace

std::vector<AccessEntry> access_entries(const model::SecuritySettings& security) {
  std::vector<AccessEntry> entries;
  entries.reserve(security.denyList.size() + security.allowList.size());
  append(entries, security.denyList, model::Access::deny);
  append(entries, security.allowList, model::Access::allow);
  std::ranges::sort(entries, {}, order_of);
  const auto same_prefix = [](const AccessEntry& a, const AccessEntry& b) {
    return a.address == b.address && a.length == b.length;
  };
  const auto twice = std::ranges::unique(entries, same_prefix);
  entries.erase(twice.begin(), twice.end());
  return entries;
}

std::uint64_t digest_of(const std::vector<AccessEntry>& entries) {
  std::uint64_t digest = entries.size();
  for (const auto& entry : entries) {
    std::uint64_t high, low;
    std::memcpy(&high, entry.address.bytes().data(), 8);
    std::memcpy(&low, entry.address.bytes().data() + 8, 8);
    digest = sl_mix(digest ^ sl_fold6(high, low)) + entry.length * 2u +
             (entry.action == model::Access::deny ? 1 : 0);
  }
  return digest;
}

}  // namespace sluice::planner
