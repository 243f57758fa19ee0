#include "dataplane/xdp/flows.hpp"

#include <bpf/bpf.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include "dataplane/xdp/records.hpp"

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
  std::uint16_t service() const {
    return static_cast<std::uint16_t>((is_reply() ? value : key) & (SL_MAX_SERVICES - 1));
  }
  bool counts() const { return !is_reply() && sl_flow_counts(value); }
};

/// Takes out every entry that `over` says; the packet path may have given its place away meanwhile,
/// so the value must still be the same.
template <class Over>
void take_out(std::span<sl_flow_line> lines, sl_loads& loads, Over over) {
  for (auto& line : lines)
    for (int way = 0; way < SL_FLOW_WAYS; way++) {
      std::atomic_ref value(line.value[way]);
      auto was = value.load(std::memory_order_acquire);
      if (!static_cast<std::uint32_t>(was))
        continue;
      const Entry entry{std::atomic_ref(line.key[way]).load(std::memory_order_relaxed), was,
                        line.more[way]};
      if (over(entry) && value.compare_exchange_strong(was, 0) && entry.counts())
        std::atomic_ref(loads.backend[entry.backend() % SL_MAX_BACKENDS].active).fetch_sub(1);
    }
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
void take_out(const Maps& maps, Over over) {
  take_out(maps.flows(), maps.loads(), over);
  take_out(maps.opening(), maps.loads(), over);
}

}  // namespace

void sweep_flows(const Maps& maps, std::uint32_t epoch) {
  constexpr std::size_t parts = 60;
  const auto& idle = maps.front(maps.control().active & 1).idle;
  const auto sweep = [&](std::span<sl_flow_line> lines) {
    const auto size = lines.size() / parts + 1;
    const auto first = std::min(epoch % parts * size, lines.size());
    take_out(lines.subspan(first, std::min(size, lines.size() - first)), maps.loads(),
             [&](const Entry& entry) {
               // A reply's entry lives as long as its flow.
               const auto value = entry.is_reply() ? value_of(maps, entry.value) : entry.value;
               return value == 0 || sl_flow_over(value, epoch, &idle);
             });
  };
  sweep(maps.flows());
  sweep(maps.opening());
}

void forget_flows_of_backends(const Maps& maps, const std::set<std::uint16_t>& ids) {
  take_out(maps, [&](const Entry& entry) { return ids.contains(entry.backend()); });
  forget_records_of_backends(maps, ids);
  for (auto& line : maps.fragments())
    for (auto& word : line.value) {
      std::atomic_ref value(word);
      auto was = value.load(std::memory_order_relaxed);
      if (was & SL_FRAGMENT_LIVE && ids.contains(static_cast<std::uint16_t>(was >> 48)))
        value.compare_exchange_strong(was, 0);
    }
}

void forget_flows_of_services(const Maps& maps, const std::set<std::uint16_t>& ids) {
  take_out(maps, [&](const Entry& entry) { return ids.contains(entry.service()); });
}

void recount_flows(const Maps& maps) {
  std::vector<std::uint32_t> active(SL_MAX_BACKENDS);
  for (const auto lines : {maps.flows(), maps.opening()})
    for (auto& line : lines)
      for (int way = 0; way < SL_FLOW_WAYS; way++) {
        const Entry entry{std::atomic_ref(line.key[way]).load(std::memory_order_relaxed),
                          std::atomic_ref(line.value[way]).load(std::memory_order_relaxed), 0};
        active[entry.backend() % SL_MAX_BACKENDS] += entry.counts();
      }
  for (std::uint32_t id = 0; id < SL_MAX_BACKENDS; id++)
    std::atomic_ref(maps.loads().backend[id].active).store(active[id], std::memory_order_relaxed);
}

namespace {

/// A service of a pool, as its flows' hashes need it.
struct Hashing {
  std::uint64_t seed = 0;
  std::uint32_t ports_mask = 0, port = 0;  ///< network order, in the upper half
  bool tracked = false;
};

/// The upper half of the hash of a flow in the table, from which its slot follows.
std::uint64_t hash_of(const Entry& entry, const Hashing& service) {
  if (service.tracked)
    return std::uint64_t{entry.more} << 32;
  const auto source_port = static_cast<std::uint32_t>(entry.key >> 16 & 0xffff);
  return sl_flow_hash4(static_cast<std::uint32_t>(entry.key >> 32),
                       (source_port | service.port) & service.ports_mask, service.seed);
}

/// The same of a client's flow in nat_flows.
std::uint64_t hash_of(const sl_flow_key& key, const Hashing& service) {
  const auto ports =
      (key.source_port | std::uint32_t{key.destination_port} << 16) & service.ports_mask;
  if (!key.ipv6)
    return sl_flow_hash4(key.source[0], ports, service.seed);
  std::uint64_t high = 0, low = 0;
  std::memcpy(&high, key.source, sizeof high);
  std::memcpy(&low, key.source + 2, sizeof low);
  return sl_flow_hash6(high, low, ports, service.seed);
}

std::map<std::uint16_t, Hashing> services_of(const Maps& maps, const planner::Image& image,
                                             const std::string& pool) {
  std::set<std::uint16_t> ids;
  for (const auto& [key, service] : image.services)
    if (service.pool == pool)
      ids.insert(service.id);
  std::map<std::uint16_t, Hashing> services;
  for (const auto& service : maps.front(maps.control().active & 1).service)
    if (const auto id = static_cast<std::uint16_t>(service.id); ids.contains(id))
      services[id] = {.seed = service.seed,
                      .ports_mask = service.ports_mask,
                      .port = std::uint32_t{maps.vips()[id].port} << 16,
                      .tracked = (service.flags & SL_SERVICE_TRACKED) != 0};
  return services;
}

/// Both directions of a flow in nat_flows.
void forget_nat_flow(int map, const sl_flow_key& key, const sl_flow& flow) {
  sl_flow_key other{};
  std::ranges::copy(flow.destination, other.source);
  std::ranges::copy(flow.source, other.destination);
  other.source_port = flow.destination_port;
  other.destination_port = flow.source_port;
  other.protocol = key.protocol;
  other.ipv6 = key.ipv6;
  bpf_map_delete_elem(map, &other);
  bpf_map_delete_elem(map, &key);
}

/// Calls `visit(key, flow)` for the client's direction of all flows in nat_flows.
template <class Visit>
void for_each_nat_flow(int map, Visit visit) {
  sl_flow_key key{}, next{};
  sl_flow flow{};
  std::vector<std::pair<sl_flow_key, sl_flow>> found;
  for (const sl_flow_key* last = nullptr; bpf_map_get_next_key(map, last, &next) == 0;
       last = &key) {
    key = next;
    if (bpf_map_lookup_elem(map, &key, &flow) == 0 && !(flow.flags & SL_FLOW_REPLY))
      found.emplace_back(key, flow);
    if (found.size() > SL_MAX_FLOWS)  // keys that go while they are walked make the walk begin anew
      break;
  }
  for (const auto& [one, its] : found)
    visit(one, its);
}

}  // namespace

void forget_flows_of_pool(const Maps& maps, const planner::Image& image, const std::string& pool) {
  const auto table = image.tables.find(pool);
  if (table == image.tables.end())
    return;
  const auto& slots = table->second.slots;
  const auto services = services_of(maps, image, pool);
  const auto moved = [&](std::uint64_t hash, std::uint16_t backend) {
    return slots.empty() || slots[sl_slot_of(hash, slots.size())] != backend;
  };
  take_out(maps, [&](const Entry& entry) {
    if (entry.is_reply())  // goes with its flow
      return false;
    const auto service = services.find(entry.service());
    return service != services.end() && (entry.value & SL_FLOW4_CLIENT ||
                                         moved(hash_of(entry, service->second), entry.backend()));
  });
  const int nat_flows = maps.fd("nat_flows");
  for_each_nat_flow(nat_flows, [&](const sl_flow_key& key, const sl_flow& flow) {
    const auto service = services.find(flow.service);
    if (service != services.end() && moved(hash_of(key, service->second), flow.backend))
      forget_nat_flow(nat_flows, key, flow);
  });
  std::set<std::uint16_t> members;
  for (const auto& [key, backend] : image.backends)
    if (key.pool == pool)
      members.insert(backend.id);
  forget_records_of_backends(maps, members);
}

}  // namespace sluice::dataplane::xdp
