// Gives out ids and ranges of the slot arena.
#include "planner/room.hpp"

#include <algorithm>
#include <utility>

#include "abi.h"

namespace sluice::planner {

Ids::Ids(std::set<std::uint16_t> used, std::uint32_t limit)
    : used_(std::move(used)), limit_(limit) {}

std::optional<std::uint16_t> Ids::take() {
  while (next_ < limit_ && used_.contains(static_cast<std::uint16_t>(next_)))
    next_++;
  if (next_ >= limit_)
    return std::nullopt;
  return static_cast<std::uint16_t>(next_++);
}

Ids backend_ids(const Image& running) {
  std::set<std::uint16_t> used;
  for (const auto& [key, backend] : running.backends)
    used.insert(backend.id);
  return {std::move(used), SL_MAX_BACKENDS};
}

Ids service_ids(const Image& running) {
  std::set<std::uint16_t> used;
  for (const auto& [key, service] : running.services)
    used.insert(service.id);
  return {std::move(used), SL_MAX_SERVICES};
}

Arena::Arena(const Image& running) {
  for (const auto& [pool, table] : running.tables) {
    if (!table.slots.empty())
      used_.emplace(table.base, table.slots.size());
    if (!table.holders.empty())
      used_.emplace(table.holder_base, table.holders.size());
  }
}

std::optional<std::uint32_t> Arena::take(std::size_t slots) {
  std::uint64_t at = 0;
  for (const auto& [base, size] : used_) {
    if (base >= at + slots)
      break;
    at = std::max(at, base + size);
  }
  if (at + slots > SL_SLOT_ARENA)
    return std::nullopt;
  used_.emplace(at, slots);
  return static_cast<std::uint32_t>(at);
}

std::uint64_t Arena::free_slots() const {
  std::uint64_t used = 0;
  for (const auto& range : used_)
    used += range.second;
  return SL_SLOT_ARENA - std::min<std::uint64_t>(used, SL_SLOT_ARENA);
}

std::uint64_t Arena::largest_range() const {
  std::uint64_t largest = 0;
  std::uint64_t at = 0;
  for (const auto& [base, size] : used_) {
    largest = std::max(largest, base > at ? base - at : 0);
    at = std::max(at, base + size);
  }
  return std::max(largest, at < SL_SLOT_ARENA ? SL_SLOT_ARENA - at : 0);
}

}  // namespace sluice::planner
