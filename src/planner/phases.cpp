#include "planner/phases.hpp"

#include <algorithm>

#include "abi.h"

namespace sluice::planner {

using transition::Phase;
using transition::Slot;

namespace {

Slot unpack(std::uint16_t owner, std::uint32_t word, std::uint32_t now) {
  if (word == 0)
    return {.owner = owner};
  if (word & SL_HOLDER_PINNED)
    return {.owner = owner, .phase = Phase::pinned};
  const auto ago =
      (now / SL_SINCE_UNIT - (word >> SL_HOLDER_SINCE_SHIFT)) & std::uint32_t{SL_HOLDER_SINCE_MASK};
  return {.owner = owner,
          .holder = static_cast<std::uint16_t>(word & SL_HOLDER_BACKEND),
          .phase = Phase::learning,
          .since = (now / SL_SINCE_UNIT - ago) * SL_SINCE_UNIT};
}

std::uint32_t pack(const Slot& slot) {
  if (slot.phase == Phase::settled)
    return 0;
  if (slot.phase == Phase::pinned)
    return SL_HOLDER_PINNED;
  return slot.holder | (slot.since / SL_SINCE_UNIT & SL_HOLDER_SINCE_MASK) << SL_HOLDER_SINCE_SHIFT;
}

}  // namespace

std::vector<Slot> unpack(const TableImage& table, std::uint32_t now) {
  std::vector<Slot> slots;
  slots.reserve(table.slots.size());
  for (std::size_t i = 0; i < table.slots.size(); i++)
    slots.push_back(unpack(table.slots[i], table.holders.empty() ? 0 : table.holders[i], now));
  return slots;
}

std::vector<std::uint32_t> pack_holders(const std::vector<Slot>& slots) {
  if (std::ranges::all_of(slots, [](const Slot& slot) { return slot.phase == Phase::settled; }))
    return {};
  std::vector<std::uint32_t> words;
  words.reserve(slots.size());
  for (const auto& slot : slots)
    words.push_back(pack(slot));
  return words;
}

}  // namespace sluice::planner
