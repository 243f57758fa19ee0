#include "dataplane/xdp/counters.hpp"

#include <linux/bpf.h>

#include <atomic>
#include <cstring>

#include "dataplane/names.hpp"
#include "dataplane/xdp/running.hpp"

namespace sluice::dataplane::xdp {

namespace {

constexpr std::size_t row = SL_VERDICTS * SL_REASONS;

/// Another CPU may be writing; a relaxed load keeps the word whole.
std::uint64_t load(const __u64& word) {
  return std::atomic_ref(const_cast<__u64&>(word)).load(std::memory_order_relaxed);
}

std::span<sl_counter> row_of(const Maps& maps, unsigned cpu, std::uint32_t slot) {
  return maps.xdp_stats().subspan((cpu * SL_MAX_INTERFACES + slot) * row, row);
}

Traffic sum(std::span<sl_traffic> stats, std::size_t stride, unsigned cpus, std::uint32_t id) {
  Traffic total;
  for (unsigned cpu = 0; cpu < cpus; cpu++) {
    const auto& traffic = stats[cpu * stride + id];
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
  for (std::size_t i = 0; i < row; i++) {
    Count count;
    for (unsigned cpu = 0; cpu < maps.cpus(); cpu++) {
      count.packets += load(row_of(maps, cpu, slot)[i].packets);
      count.bytes += load(row_of(maps, cpu, slot)[i].bytes);
    }
    if (count.packets)
      verdicts.push_back({std::string(verdict_name(i / SL_REASONS)),
                          std::string(reason_name(i % SL_REASONS)), count});
  }
  return verdicts;
}

}  // namespace

Counters read_counters(const Maps& maps, const std::map<std::string, std::uint32_t>& interfaces) {
  Counters counters;
  for (const auto& [name, slot] : interfaces)
    counters.interfaces.emplace(name, verdicts_of(maps, slot));
  for (const auto& [key, service] : read_services(maps))
    counters.services.emplace(key,
                              sum(maps.service_stats(), SL_MAX_SERVICES, maps.cpus(), service.id));
  for (const auto& [key, backend] : read_backends(maps))
    counters.backends.emplace(key,
                              sum(maps.backend_stats(), SL_MAX_BACKENDS, maps.cpus(), backend.id));
  return counters;
}

Totals read_totals(const Maps& maps) {
  Totals totals;
  const auto stats = maps.xdp_stats();
  for (std::size_t i = 0; i < stats.size(); i++) {
    const auto verdict = i % row / SL_REASONS;
    const auto packets = load(stats[i].packets);
    totals.packets += packets;
    totals.bytes += load(stats[i].bytes);
    if (verdict == XDP_DROP || verdict == XDP_ABORTED)
      totals.drops += packets;
  }
  return totals;
}

void clear_backend(const Maps& maps, std::uint32_t id) {
  for (unsigned cpu = 0; cpu < maps.cpus(); cpu++)
    maps.backend_stats()[cpu * SL_MAX_BACKENDS + id] = {};
}

void clear_service(const Maps& maps, std::uint32_t id) {
  for (unsigned cpu = 0; cpu < maps.cpus(); cpu++)
    maps.service_stats()[cpu * SL_MAX_SERVICES + id] = {};
}

void clear_interface(const Maps& maps, std::uint32_t slot) {
  for (unsigned cpu = 0; cpu < maps.cpus(); cpu++)
    for (auto& counter : row_of(maps, cpu, slot))
      counter = {};
}

}  // namespace sluice::dataplane::xdp
