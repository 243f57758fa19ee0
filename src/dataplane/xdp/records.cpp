#include "dataplane/xdp/records.hpp"

#include <algorithm>
#include <atomic>

namespace sluice::dataplane::xdp {

namespace {

struct Record {
  std::uint64_t word;

  std::uint16_t backend() const { return static_cast<std::uint16_t>(word >> 8); }
  std::uint32_t kind() const { return word >> 6 & 3; }
  std::uint32_t age(std::uint32_t epoch) const {
    return (epoch / SL_RECORD_EPOCH - static_cast<std::uint32_t>(word)) & 63;
  }
  bool is_forgotten(std::uint32_t epoch) const {
    return age(epoch) >= SL_RECORD_IDLE ||
           (kind() == SL_RECORD_EMBRYO && age(epoch) > SL_RECORD_EMBRYO_IDLE);
  }
};

/// Where a backend's flows may be.
struct Place {
  const planner::TableImage* table = nullptr;
  std::vector<std::uint32_t>* of_others = nullptr;
  bool alive = false;
};

std::vector<Place> places_by_backend(const planner::Image& image, planner::Learned& learned) {
  std::vector<Place> places(SL_MAX_BACKENDS);
  for (const auto& [key, backend] : image.backends) {
    const auto table = image.tables.find(key.pool);
    if (table == image.tables.end() || table->second.holders.empty())
      continue;
    auto& of_others = learned.of_others[key.pool];
    of_others.resize(table->second.slots.size());
    places[backend.id] = {&table->second, &of_others, backend.resolved && backend.enabled};
  }
  return places;
}

/// Whether anything may still be learned from the record; if so it is counted.
bool is_of_use(Record record, const Place& place) {
  if (!place.table || !place.alive)
    return false;
  const auto at = sl_slot_of(record.word, place.table->slots.size());
  const auto holder = place.table->holders[at];
  const bool of_owner = place.table->slots[at] == record.backend();
  if (holder == 0 || (of_owner && holder & SL_HOLDER_PINNED))
    return false;
  if (!of_owner)
    (*place.of_others)[at]++;
  return true;
}

}  // namespace

planner::Learned sweep_records(const Maps& maps, const planner::Image& image) {
  planner::Learned learned;
  const auto places = places_by_backend(image, learned);
  const auto epoch = std::atomic_ref(maps.control().epoch).load(std::memory_order_relaxed);
  std::size_t kept = 0;
  for (auto& bucket : maps.records())
    for (auto& word : bucket.record) {
      std::atomic_ref place(word);
      auto was = place.load(std::memory_order_relaxed);
      const Record record{was};
      if (!record.kind())
        continue;
      if (record.is_forgotten(epoch) ||
          !is_of_use(record, places[record.backend() % SL_MAX_BACKENDS]))
        place.compare_exchange_strong(was, 0);
      else
        kept++;
    }
  learned.half_full = kept * 2 >= maps.records().size() * SL_RECORD_WAYS;
  for (const auto& stats : maps.stats())
    if (stats.learning.last_refused)
      learned.last_refused =
          std::max(learned.last_refused.value_or(0), stats.learning.last_refused);
  return learned;
}

void forget_records_of_backends(const Maps& maps, const std::set<std::uint16_t>& ids) {
  for (auto& bucket : maps.records())
    for (auto& word : bucket.record) {
      std::atomic_ref place(word);
      auto was = place.load(std::memory_order_relaxed);
      const Record record{was};
      if (record.kind() && ids.contains(record.backend()))
        place.compare_exchange_strong(was, 0);
    }
}

}  // namespace sluice::dataplane::xdp
