// Makes the image that a configuration asks for, and the warnings that go with it.
#include "planner/wanted.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "abi.h"
#include "maglev/maglev.hpp"
#include "model/quic.hpp"
#include "planner/access.hpp"
#include "planner/phases.hpp"
#include "planner/room.hpp"
#include "planner/rotation.hpp"
#include "planner/ways.hpp"

namespace sluice::planner {

namespace {

/// The largest packet that clients send over a link of this MTU. Links with a few bytes more than
/// Ethernet's 1500 have them for tunnel headers; from 2000 on they are meant for large packets.
std::uint32_t client_packet(std::uint32_t mtu) {
  return mtu < 2000 ? std::min(mtu, 1500u) : mtu;
}

/// Every link carries that much of IPv6 (RFC 8200, section 5), and no host sends less at a time.
constexpr std::uint32_t least_ipv6_mtu = 1280;

class Builder {
 public:
  Builder(const Image& running, const model::Config& config, const model::Topology& topology,
          const PlanOptions& options, std::vector<Warning>& warnings)
      : running_(running), config_(config), topology_(topology), options_(options),
        warnings_(warnings), ways_(config, topology), backend_ids_(backend_ids(running)),
        service_ids_(service_ids(running)), arena_(running) {}

  Result<Image> build() {
    warn_of_foreign_sources();
    image_.fragments = config_.xdp.fragments;
    image_.idle = idle_of(config_.xdp.flowTimeouts);
    add_access();
    image_.limit = {.rate = rate_of(config_.rateLimit.packetsPerSecond, config_.rateLimit.burst),
                    .mark = config_.rateLimit.mark.value_or(0)};
    const auto pools = model::effective_pools(config_);
    if (auto added = add_interfaces(); !added)
      return fail(added.error());
    for (const auto& pool : pools)
      if (auto added = add_backends(pool); !added)
        return fail(added.error());
    for (const auto& pool : pools)
      if (auto added = add_table(pool); !added)
        return fail(added.error());
    if (auto added = add_services(); !added)
      return fail(added.error());
    add_marking();
    return std::move(image_);
  }

 private:
  void warn(std::string pointer, std::string message, std::string suggestion) {
    warnings_.push_back({std::move(pointer), std::move(message), std::move(suggestion)});
  }

  /// Of what the pool says, not of its backends; it must be declared.
  std::string pointer_of_pool(const model::EffectivePool& pool) const {
    const auto found = std::ranges::find(config_.pools, pool.name, &model::Pool::name);
    return "/pools/" + std::to_string(found - config_.pools.begin());
  }
  std::string pointer_of(const model::EffectivePool& pool) const {
    return pool.name == model::default_pool ? "/l4_backends" : pointer_of_pool(pool);
  }
  std::string pointer_of(const model::EffectivePool& pool, std::size_t backend) const {
    return pointer_of(pool) + (pool.name == model::default_pool ? "/" : "/backends/") +
           std::to_string(backend);
  }

  void warn_of_foreign_sources() {
    for (std::size_t i = 0; i < config_.nat.sourceAddresses.size(); i++)
      if (const auto& address = config_.nat.sourceAddresses[i]; !ways_.is_own(address))
        warn("/nat/sourceAddresses/" + std::to_string(i),
             address.to_string() +
                 " is no address of this machine: replies of nat come back only if "
                 "it is routed here",
             "ip addr add " + address.to_string() + " on the interface towards the backends");
  }

  static RateImage rate_of(std::uint32_t packets_per_second,
                           const std::optional<std::uint32_t>& burst) {
    return {packets_per_second, model::effective_burst(packets_per_second, burst)};
  }
  RateImage limit_of(const model::Backend& backend) const {
    const auto& rate = backend.rateLimit ? *backend.rateLimit : config_.rateLimit.perBackend;
    return rate_of(rate.packetsPerSecond, rate.burst);
  }

  static BackendKey key_of(const model::EffectivePool& pool, const model::Backend& backend) {
    return {pool.name, backend.ip, backend.port.value_or(0)};
  }

  static IdleImage idle_of(const model::FlowTimeouts& timeouts) {
    const IdleImage standard;
    return {.tcp = timeouts.tcpOpenSeconds,
            .closing = timeouts.tcpClosingSeconds.value_or(standard.closing),
            .closing_one_sided = timeouts.tcpClosingSeconds.value_or(standard.closing_one_sided),
            .udp = timeouts.udpSeconds,
            .affinity = timeouts.affinitySeconds};
  }

  Result<void> add_backends(const model::EffectivePool& pool) {
    for (std::size_t i = 0; i < pool.backends.size(); i++) {
      const auto& backend = pool.backends[i];
      const auto key = key_of(pool, backend);
      BackendImage entry{.forwarding = pool.forwarding,
                         .preserve_client_address = pool.preserve_client_address,
                         .enabled = backend.enabled,
                         .drain = backend.drain,
                         .weight = backend.weight,
                         .max_connections = backend.maxConnections.value_or(0),
                         .limit = limit_of(backend)};
      if (pool.quic && backend.quicServerId)
        entry.quic_server_id =
            model::parse_server_id(*backend.quicServerId).value_or(std::vector<std::uint8_t>());
      if (const auto known = running_.backends.find(key); known != running_.backends.end())
        entry.id = known->second.id;
      else if (const auto id = backend_ids_.take())
        entry.id = *id;
      else
        return no_room("backend " + endpoint_to_string(key.address, key.port) + " of pool " +
                           pool.name,
                       SL_MAX_BACKENDS - 1, backend_ids_.in_use());
      const auto obstacle = ways_.resolve(key, entry);
      if (const auto known = running_.backends.find(key);
          obstacle && known != running_.backends.end())
        ways_.keep_source(known->second, entry);
      if (obstacle && backend.enabled)
        warn(pointer_of(pool, i),
             "the backend " + endpoint_to_string(key.address, key.port) +
                 " is unroutable: " + obstacle->problem,
             obstacle->suggestion);
      image_.backends.emplace(key, entry);
    }
    warn_of_mtu(pool);
    warn_of_quic(pool);
    return {};
  }

  /// QUIC is nothing but UDP.
  void warn_of_quic(const model::EffectivePool& pool) {
    const auto serves = [&](const model::Service& service) { return service.pool == pool.name; };
    const auto is_udp = [](const model::Service& service) {
      return service.protocol == model::Protocol::udp;
    };
    if (!pool.quic || std::ranges::none_of(config_.services, serves) ||
        std::ranges::any_of(config_.services, [&](const model::Service& service) {
          return serves(service) && is_udp(service);
        }))
      return;
    warn(pointer_of_pool(pool) + "/quic",
         "pool " + pool.name + " has quic, but none of its services is UDP",
         "set protocol of its QUIC service to udp, or leave quic out");
  }

  static tl::unexpected<Error> no_room(const std::string& what, std::size_t limit,
                                       std::size_t in_use) {
    return fail(Code::full,
                "there is no room for the " + what + ": of " + std::to_string(limit) + " entries " +
                    std::to_string(in_use) +
                    " are in use, and those that this change frees can be used after it; make "
                    "the change in two");
  }

  /// One warning for each way out by which encapsulated packets of clients do not fit.
  void warn_of_mtu(const model::EffectivePool& pool) {
    if (pool.forwarding != model::Forwarding::dsr_ipip)
      return;
    std::set<std::pair<std::uint32_t, bool>> warned;
    for (const auto& backend : pool.backends) {
      const auto& entry = image_.backends.at(key_of(pool, backend));
      const bool v4 = backend.ip.is_v4();
      if (!backend.enabled || !entry.resolved || warned.contains({entry.ifindex, v4}))
        continue;
      const std::uint32_t needed = largest_client_packet(entry.ifindex) + (v4 ? 20 : 40);
      if (entry.mtu >= needed)
        continue;
      warned.emplace(entry.ifindex, v4);
      const auto& interface = topology_.next_hops.at(backend.ip).interface;
      warn(pointer_of(pool),
           "dsr-ipip of pool " + pool.name + " adds " + (v4 ? "20" : "40") +
               " bytes, but the way out by " + interface + " carries only " +
               std::to_string(entry.mtu) + ": " + consequence(entry.mtu - (v4 ? 20u : 40u)),
           "set the MTU of " + interface + " and of the links behind it to " +
               std::to_string(needed) + " or more");
    }
  }

  static std::string consequence(std::uint32_t room) {
    auto text = "clients are told to send no more than " + std::to_string(room) +
                " bytes a packet, and larger IPv4 packets without the DF bit are dropped";
    if (room < least_ipv6_mtu)
      text += "; so are larger IPv6 packets, because no client goes below " +
              std::to_string(least_ipv6_mtu);
    return text;
  }

  /// Over the interfaces that balance, besides the way out itself, whose MTU is what the warning
  /// asks to raise.
  std::uint32_t largest_client_packet(std::uint32_t way_out) const {
    std::uint32_t largest = 0;
    for (const auto& [name, interface] : image_.interfaces)
      if (interface.ifindex != way_out)
        largest = std::max(largest, client_packet(topology_.links.at(name).mtu));
    return largest ? largest : 1500;
  }

  Result<void> add_table(const model::EffectivePool& pool) {
    std::vector<maglev::Member> all, resolved;
    for (const auto& backend : pool.backends) {
      if (!backend.enabled || backend.drain)
        continue;
      const auto& entry = image_.backends.at(key_of(pool, backend));
      const maglev::Member member{.address = backend.ip.bytes(),
                                  .port = backend.port.value_or(0),
                                  .weight = backend.weight,
                                  .value = entry.id};
      all.push_back(member);
      if (entry.resolved)
        resolved.push_back(member);
    }
    warn_of_unusable(pool, all.size(), resolved.size());
    warn_of_drain(pool);
    const auto& members = resolved.empty() ? all : resolved;
    auto slots = pool.algorithm == model::Algorithm::maglev
                     ? maglev::build(members, pool.table_size, pool.hash_functions)
                     : rotation(members, pool.table_size);
    if (slots.empty())
      slots.assign(pool.table_size, 0);  // nobody for new flows; old ones may have a holder
    const auto running = running_.tables.find(pool.name);
    const bool known = running != running_.tables.end();
    TableImage table{.hash_functions = pool.hash_functions,
                     .algorithm = pool.algorithm,
                     .affinity = pool.affinity,
                     .tracked = pool.forwarding != model::Forwarding::nat &&
                                pool.tracking == model::Tracking::full,
                     .quic = pool.quic
                                 ? QuicImage{pool.quic->serverIdLength, pool.quic->configRotation}
                                 : QuicImage{},
                     .slots = std::move(slots)};
    if (known)
      table.holders = holders_of(pool, running->second, table.slots);
    if (all.empty() && table.holders.empty())
      table.slots.clear();
    if (known && running->second.slots == table.slots &&
        running->second.hash_functions == pool.hash_functions) {
      table.base = running->second.base;
      // The holders are written where they are, or dropped.
      if (table.holders.empty() || table.holders.size() == running->second.holders.size()) {
        table.holder_base = table.holders.empty() ? 0 : running->second.holder_base;
        image_.tables.emplace(pool.name, std::move(table));
        return {};
      }
    }
    if (!table.slots.empty()) {
      const auto range = arena_.take(table.slots.size());
      if (!range)
        return fail(Code::full,
                    "there is no room for the " + std::to_string(table.slots.size()) +
                        " slots of pool " + pool.name +
                        " beside the running tables: " + std::to_string(arena_.free_slots()) +
                        " slots are free, " + std::to_string(arena_.largest_range()) +
                        " of them together; use a smaller tableSize or change fewer pools at once");
      table.base = *range;
    }
    give_holders_room(pool, table);
    image_.tables.emplace(pool.name, std::move(table));
    return {};
  }

  /// The holders of the new table's slots: empty if no flow needs to be told from others.
  std::vector<std::uint32_t> holders_of(const model::EffectivePool& pool, const TableImage& running,
                                        const std::vector<std::uint16_t>& owners) const {
    if (pool.tracking != model::Tracking::exceptions || running.slots.size() != owners.size() ||
        config_.maglev.rebalanceStrategy == model::Rebalance::immediate)
      return {};
    const auto alive_by_id = living_backends();
    auto slots = transition::change(unpack(running, options_.now), owners,
                                    transition::Alive(alive_by_id), options_.now);
    if (options_.learned)
      settle(pool.name, running, slots);
    return pack_holders(slots);
  }

  /// A byte for each id: can packets be sent there?
  std::vector<std::uint8_t> living_backends() const {
    std::vector<std::uint8_t> alive(SL_MAX_BACKENDS);
    for (const auto& [key, backend] : image_.backends)
      alive[backend.id] = backend.resolved && backend.enabled;
    return alive;
  }

  /// Settles what was pinned before the look at the records, and pins what has learned enough.
  void settle(const std::string& pool, const TableImage& running,
              std::vector<transition::Slot>& slots) const {
    const transition::Window window{.seconds = config_.xdp.transitionSeconds,
                                    .hold = config_.xdp.transitionHoldSeconds};
    const auto of_others = options_.learned->of_others.find(pool);
    const bool looked = of_others != options_.learned->of_others.end() &&
                        of_others->second.size() == slots.size() && !running.holders.empty();
    for (std::size_t i = 0; i < slots.size(); i++) {
      if (looked && running.holders[i] & SL_HOLDER_PINNED)
        slots[i] = transition::settle(slots[i], of_others->second[i]);
      else if (transition::may_pin(slots[i], options_.now, window, options_.learned->last_refused,
                                   options_.learned->half_full))
        slots[i] = transition::pin(slots[i]);
    }
  }

  void give_holders_room(const model::EffectivePool& pool, TableImage& table) {
    if (table.holders.empty())
      return;
    if (const auto range = arena_.take(table.holders.size())) {
      table.holder_base = *range;
      return;
    }
    table.holders.clear();
    warn(pointer_of(pool),
         "there is no room to tell old flows of pool " + pool.name +
             " from new ones: those on slots that move break",
         "use a smaller tableSize, or change fewer pools at once");
  }

  /// Only with tracking does anyone know which flows are old.
  void warn_of_drain(const model::EffectivePool& pool) {
    if (pool.tracking != model::Tracking::off)
      return;
    for (std::size_t i = 0; i < pool.backends.size(); i++)
      if (pool.backends[i].drain && pool.backends[i].enabled)
        warn(pointer_of(pool, i) + "/drain",
             "pool " + pool.name + " does not track flows: those of this backend move at once",
             "set connectionTracking of the pool to exceptions");
  }

  void warn_of_unusable(const model::EffectivePool& pool, std::size_t enabled,
                        std::size_t resolved) {
    const bool used = std::ranges::any_of(config_.services, [&](const model::Service& service) {
      return service.enabled && service.pool == pool.name;
    });
    if (!used || resolved > 0)
      return;
    if (enabled == 0)
      warn(pointer_of(pool),
           "pool " + pool.name +
               " has no enabled backend that takes new flows: packets of new flows are dropped",
           "add or enable a backend, or let one stop draining");
    else
      warn(pointer_of(pool),
           "no backend of pool " + pool.name +
               " can be reached: packets for its services are dropped",
           "see the warnings of its backends");
  }

  Result<void> add_services() {
    for (const auto& service : config_.services) {
      if (!service.enabled)
        continue;
      const auto key = planner::key_of(service);
      ServiceImage entry{
          .id = 0, .name = service.name, .pool = service.pool, .answer_echo = service.answerEcho};
      if (const auto known = running_.services.find(key); known != running_.services.end())
        entry.id = known->second.id;
      else if (const auto id = service_ids_.take())
        entry.id = *id;
      else
        return no_room("service " + service.name, SL_MAX_SERVICES - 1, service_ids_.in_use());
      image_.services.emplace(key, std::move(entry));
    }
    return {};
  }

  /// A list that differs goes beside the one that counts.
  void add_access() {
    const auto entries = access_entries(config_.security);
    auto& access = image_.access;
    access.list = running_.access.list;
    access.entries = static_cast<std::uint32_t>(entries.size());
    access.digest = entries.empty() ? 0 : digest_of(entries);
    access.otherwise = config_.security.defaultAction;
    if (!entries.empty() &&
        (running_.access.entries != access.entries || running_.access.digest != access.digest))
      access.list ^= 1;
  }

  /// Where packets may pass beyond a limit, the kernel marks those of every attached interface.
  void add_marking() {
    const bool limited = image_.limit.rate != RateImage{} ||
                         std::ranges::any_of(image_.backends, [](const auto& backend) {
                           return backend.second.limit != RateImage{};
                         });
    for (auto& [name, interface] : image_.interfaces)
      interface.marks = limited && image_.limit.mark != 0;
  }

  Result<void> add_interfaces() {
    std::vector<Fault> faults;
    std::string existing;
    for (const auto& [name, link] : topology_.links)
      existing += (existing.empty() ? "" : ", ") + name;
    for (std::size_t i = 0; i < config_.xdp.interfaces.size(); i++) {
      const auto& interface = config_.xdp.interfaces[i];
      const auto pointer = "/xdp/interfaces/" + std::to_string(i) + "/name";
      const auto link = topology_.links.find(interface.name);
      if (link != topology_.links.end()) {
        if (!link->second.up)
          warn(pointer, "the interface " + interface.name + " is down: no packet arrives there",
               "ip link set " + interface.name + " up");
        image_.interfaces.emplace(
            interface.name, InterfaceImage{.ifindex = link->second.index,
                                           .mode = interface.mode,
                                           .jumbo = is_jumbo(interface.mode, link->second.mtu)});
      } else if (options_.tolerate_missing_interfaces) {
        warn(pointer, "there is no interface '" + interface.name + "'",
             "it is attached when it comes back");
      } else {
        faults.push_back(
            {pointer, "there is no interface '" + interface.name + "'", "use one of " + existing});
      }
    }
    if (!faults.empty())
      return fail(Code::invalid, "an interface of the configuration does not exist",
                  std::move(faults));
    return {};
  }

  const Image& running_;
  const model::Config& config_;
  const model::Topology& topology_;
  const PlanOptions& options_;
  std::vector<Warning>& warnings_;
  Ways ways_;
  Ids backend_ids_, service_ids_;
  Arena arena_;
  Image image_;
};

}  // namespace

ServiceKey key_of(const model::Service& service) {
  const auto last = service.portEnd.value_or(service.port);
  return {service.address, service.port, service.protocol,
          last > service.port ? last : std::uint16_t{0}};
}

Result<Image> wanted_image(const Image& running, const model::Config& config,
                           const model::Topology& topology, const PlanOptions& options,
                           std::vector<Warning>& warnings) {
  return Builder(running, config, topology, options, warnings).build();
}

}  // namespace sluice::planner
