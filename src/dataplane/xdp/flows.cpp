#include "dataplane/xdp/flows.hpp"

#include <algorithm>
#include <atomic>

namespace sluice::dataplane::xdp {

namespace {

/// An entry as it was read; it may be another's a moment later.
struct Entry {
  std::uint64_t key, value;
  std::uint32_t more;

  bool is_reply() const { return key & SL_REPLY_SIDE; }
  std::uint16_t backend() const {
    return static_cast<std::uint16_t>(is_reply() ? more >> 16 : value >> 48);
  }
  std::uint16_t service() const { return static_cast<std::uint16_t>(is_reply() ? value : key); }
};

/// Takes out every entry that `over` says; the packet path may have given its place away meanwhile,
/// so the value must still be the same.
/// @return how many forward entries are left
template <class Over>
std::size_t take_out(std::span<sl_flow_line> lines, Over over) {
  std::size_t left = 0;
  for (auto& line : lines)
    for (int way = 0; way < SL_FLOW_WAYS; way++) {
      std::atomic_ref value(line.value[way]);
      auto was = value.load(std::memory_order_acquire);
      if (!static_cast<std::uint32_t>(was))
        continue;
      const Entry entry{std::atomic_ref(line.key[way]).load(std::memory_order_relaxed), was,
                        line.more[way]};
      if (over(entry))
        value.compare_exchange_strong(was, 0);
      else
        left += !entry.is_reply();
    }
  return left;
}

/// The value of a key in one of the tables; 0 if it is not there.
std::uint64_t value_in(std::span<sl_flow_line> lines, std::uint64_t key, std::uint64_t home) {
  for (std::uint64_t i = 0; i < SL_FLOW_GROUP; i++)
    for (int way = 0; way < SL_FLOW_WAYS; way++) {
      auto& line = lines[home ^ i];
      const auto value = std::atomic_ref(line.value[way]).load(std::memory_order_acquire);
      if (static_cast<std::uint32_t>(value) &&
          std::atomic_ref(line.key[way]).load(std::memory_order_relaxed) == key)
        return value;
    }
  return 0;
}

std::uint64_t value_of(const Maps& maps, std::uint64_t key) {
  const auto multiplier = maps.control().flow_multiplier;
  const auto value = value_in(maps.flows(), key, sl_flow_home(key, multiplier, SL_FLOW_BITS));
  return value ? value
               : value_in(maps.opening(), key, sl_flow_home(key, multiplier, SL_OPENING_BITS));
}

template <class Over>
std::size_t take_out(const Maps& maps, Over over) {
  return take_out(maps.flows(), over) + take_out(maps.opening(), over);
}

}  // namespace

void sweep_flows(const Maps& maps, std::uint32_t epoch) {
  constexpr std::size_t parts = 60;
  const auto sweep = [&](std::span<sl_flow_line> lines) {
    const auto size = lines.size() / parts + 1;
    const auto first = std::min(epoch % parts * size, lines.size());
    take_out(lines.subspan(first, std::min(size, lines.size() - first)), [&](const Entry& entry) {
      // A reply's entry lives as long as its flow.
      const auto value = entry.is_reply() ? value_of(maps, entry.value) : entry.value;
      return value == 0 || sl_flow_over(value, epoch);
    });
  };
  sweep(maps.flows());
  sweep(maps.opening());
}

void forget_flows_of_backends(const Maps& maps, const std::set<std::uint16_t>& ids) {
  take_out(maps, [&](const Entry& entry) { return ids.contains(entry.backend()); });
}

void forget_flows_of_services(const Maps& maps, const std::set<std::uint16_t>& ids) {
  take_out(maps, [&](const Entry& entry) { return ids.contains(entry.service()); });
}

}  // namespace sluice::dataplane::xdp
