#include "transition/transition.hpp"

#include <algorithm>
#include <cassert>

namespace sluice::transition {

namespace {

/// Seconds from `then` to `now`; none when the clock was set back.
std::uint32_t elapsed(std::uint32_t then, std::uint32_t now) {
  return now - std::min(then, now);
}

}  // namespace

Slot change_owner(const Slot& slot, std::uint16_t owner, const Alive& alive, std::uint32_t now) {
  const bool learning = slot.phase == Phase::learning;
  const std::uint16_t holder = learning ? slot.holder : slot.owner;
  if (holder != owner && alive(holder))
    // Flows of the holder that spoke since learning began are written down already, whoever was to
    // get the slot then: the window goes on.
    return {owner, holder, Phase::learning, learning ? slot.since : now};
  // Nobody's flows need to be learned: those without a record are the new owner's, or lost. Records
  // are possible unless the slot was settled.
  return {owner, 0, slot.phase == Phase::settled ? Phase::settled : Phase::pinned, 0};
}

std::vector<Slot> change(std::span<const Slot> before, std::span<const std::uint16_t> owners,
                         const Alive& alive, std::uint32_t now) {
  assert(before.size() == owners.size());
  std::vector<Slot> after;
  after.reserve(before.size());
  for (std::size_t i = 0; i < before.size(); i++)
    after.push_back(change_owner(before[i], owners[i], alive, now));
  return after;
}

bool may_pin(const Slot& slot, std::uint32_t now, const Window& window,
             std::optional<std::uint32_t> last_refused, bool half_full) {
  if (slot.phase != Phase::learning)
    return false;
  const std::uint32_t learned = elapsed(slot.since, now);
  if (learned < window.seconds)
    return false;
  if (learned >= window.hold)
    return true;
  if (last_refused && elapsed(*last_refused, now) < window.seconds)
    return false;
  return half_full;
}

Slot pin(const Slot& slot) {
  return slot.phase == Phase::learning ? Slot{slot.owner, 0, Phase::pinned, 0} : slot;
}

Slot settle(const Slot& slot, std::uint32_t records_of_others) {
  return slot.phase == Phase::pinned && records_of_others == 0
             ? Slot{slot.owner, 0, Phase::settled, 0}
             : slot;
}

void restart_windows(std::span<Slot> slots, std::uint32_t now) {
  for (auto& slot : slots)
    if (slot.phase == Phase::learning)
      slot.since = now;
}

Summary summarize(std::span<const Slot> slots) {
  Summary summary;
  for (const auto& slot : slots)
    switch (slot.phase) {
    case Phase::settled:
      summary.settled++;
      break;
    case Phase::learning:
      summary.learning++;
      break;
    case Phase::pinned:
      summary.pinned++;
      break;
    }
  return summary;
}

}  // namespace sluice::transition
