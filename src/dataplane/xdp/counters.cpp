#include "dataplane/xdp/counters.hpp"

#include <linux/bpf.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "dataplane/names.hpp"
#include "dataplane/xdp/running.hpp"

namespace sluice::dataplane::xdp {

namespace {

/// Another CPU may be writing; a relaxed load keeps the word whole.
std::uint64_t load(const __u64& word) {
  return std::atomic_ref(const_cast<__u64&>(word)).load(std::memory_order_relaxed);
}

/// Over all CPUs of what `of` picks from a CPU's stats.
template <class Of>
Traffic sum(const Maps& maps, Of of) {
  Traffic total;
  for (const auto& stats : maps.stats()) {
    const sl_traffic& traffic = of(stats);
    total.packets += load(traffic.packets);
    total.bytes += load(traffic.bytes);
    total.reply_packets += load(traffic.reply_packets);
    total.reply_bytes += load(traffic.reply_bytes);
    total.opened += load(traffic.opened);
    total.closed += load(traffic.closed);
    total.dropped += load(traffic.dropped);
    total.unresolved += load(traffic.unresolved);
  }
  return total;
}

std::vector<VerdictCount> verdicts_of(const Maps& maps, std::uint32_t slot) {
  std::vector<VerdictCount> verdicts;
  for (std::size_t verdict = 0; verdict < SL_VERDICTS; verdict++)
    for (std::size_t reason = 0; reason < SL_REASONS; reason++) {
      Count count;
      for (const auto& stats : maps.stats()) {
        count.packets += load(stats.verdict[slot][verdict][reason].packets);
        count.bytes += load(stats.verdict[slot][verdict][reason].bytes);
      }
      if (count.packets)
        verdicts.push_back(
            {std::string(verdict_name(verdict)), std::string(reason_name(reason)), count});
    }
  return verdicts;
}

Timing timing_of(const Maps& maps, std::uint32_t slot) {
  static_assert(std::tuple_size_v<decltype(Timing::buckets)> == SL_TIMING_BUCKETS);
  Timing total;
  for (const auto& stats : maps.stats()) {
    const auto& timing = stats.timing[slot];
    total.nanoseconds += load(timing.nanoseconds);
    for (std::size_t i = 0; i < SL_TIMING_BUCKETS; i++)
      total.buckets[i] += load(timing.bucket[i]);
  }
  return total;
}

TrackingCount tracking_of(const Maps& maps) {
  TrackingCount total;
  for (const auto& stats : maps.stats()) {
    total.looked_up += load(stats.learning.looked_up);
    total.recorded += load(stats.learning.made);
    total.refused += load(stats.learning.refused);
    total.untracked += load(stats.learning.untracked);
  }
  return total;
}

}  // namespace

Counters read_counters(const Maps& maps, const std::map<std::string, std::uint32_t>& interfaces) {
  Counters counters;
  counters.tracking = tracking_of(maps);
  counters.uncounted = load(maps.control().uncounted);
  for (const auto& [name, slot] : interfaces) {
    counters.interfaces.emplace(name, verdicts_of(maps, slot));
    counters.timing.emplace(name, timing_of(maps, slot));
  }
  for (const auto& [key, service] : read_services(maps))
    counters.services.emplace(key, sum(maps, [&](const sl_stats& stats) -> const sl_traffic& {
                                return stats.service[service.id];
                              }));
  for (const auto& [key, backend] : read_backends(maps)) {
    auto traffic = sum(maps, [&](const sl_stats& stats) -> const sl_traffic& {
      return stats.backend[backend.id];
    });
    const auto active =
        std::atomic_ref(maps.loads().backend[backend.id].active).load(std::memory_order_relaxed);
    // A flow that ends on one CPU before it is counted on another leaves less than nothing.
    traffic.active = std::max(static_cast<std::int32_t>(active), 0);
    counters.backends.emplace(key, traffic);
  }
  return counters;
}

Totals read_totals(const Maps& maps) {
  Totals totals;
  for (const auto& stats : maps.stats())
    for (const auto& interface : stats.verdict)
      for (std::size_t verdict = 0; verdict < SL_VERDICTS; verdict++)
        for (const auto& counter : interface[verdict]) {
          const auto packets = load(counter.packets);
          totals.packets += packets;
          totals.bytes += load(counter.bytes);
          if (verdict == XDP_DROP || verdict == XDP_ABORTED)
            totals.drops += packets;
        }
  return totals;
}

void clear_backend(const Maps& maps, std::uint32_t id) {
  for (auto& stats : maps.stats())
    stats.backend[id] = {};
  std::atomic_ref(maps.loads().backend[id].active).store(0, std::memory_order_relaxed);
}

bool clear_service(const Maps& maps, std::uint32_t id) {
  bool counted = false;
  for (auto& stats : maps.stats()) {
    counted |= load(stats.service[id].packets) || load(stats.service[id].dropped);
    stats.service[id] = {};
  }
  return counted;
}

void clear_interface(const Maps& maps, std::uint32_t slot) {
  for (auto& stats : maps.stats()) {
    std::memset(&stats.verdict[slot], 0, sizeof stats.verdict[slot]);
    stats.timing[slot] = {};
  }
}

}  // namespace sluice::dataplane::xdp
