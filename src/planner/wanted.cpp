// Makes the image that a configuration asks for, and the warnings that go with it.
#include "planner/wanted.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "abi.h"
#include "maglev/maglev.hpp"
#include "planner/access.hpp"
#include "planner/room.hpp"
#include "planner/ways.hpp"

namespace sluice::planner {

namespace {

/// The largest packet that clients send over a link of this MTU. Links with a few bytes more than
/// Ethernet's 1500 have them for tunnel headers; from 2000 on they are meant for large packets.
std::uint32_t client_packet(std::uint32_t mtu) {
  return mtu < 2000 ? std::min(mtu, 1500u) : mtu;
}

class Builder {
 public:
  Builder(const Image& running, const model::Config& config, const model::Topology& topology,
          std::vector<Warning>& warnings)
      : running_(running), config_(config), topology_(topology), warnings_(warnings),
        ways_(config, topology), backend_ids_(backend_ids(running)),
        service_ids_(service_ids(running)), arena_(running) {}

  Result<Image> build(const PlanOptions& options) {
    warn_of_foreign_sources();
    image_.fragments = config_.xdp.fragments;
    add_access();
    const auto pools = model::effective_pools(config_);
    if (auto added = add_interfaces(options); !added)
      return fail(added.error());
    for (const auto& pool : pools)
      if (auto added = add_backends(pool); !added)
        return fail(added.error());
    for (const auto& pool : pools)
      if (auto added = add_table(pool); !added)
        return fail(added.error());
    if (auto added = add_services(); !added)
      return fail(added.error());
    return std::move(image_);
  }

 private:
  void warn(std::string pointer, std::string message, std::string suggestion) {
    warnings_.push_back({std::move(pointer), std::move(message), std::move(suggestion)});
  }

  std::string pointer_of(const model::EffectivePool& pool) const {
    if (pool.name == model::default_pool)
      return "/l4_backends";
    const auto found = std::ranges::find(config_.pools, pool.name, &model::Pool::name);
    return "/pools/" + std::to_string(found - config_.pools.begin());
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

  static BackendKey key_of(const model::EffectivePool& pool, const model::Backend& backend) {
    return {pool.name, backend.ip, backend.port.value_or(0)};
  }

  Result<void> add_backends(const model::EffectivePool& pool) {
    for (std::size_t i = 0; i < pool.backends.size(); i++) {
      const auto& backend = pool.backends[i];
      const auto key = key_of(pool, backend);
      BackendImage entry{.forwarding = pool.forwarding,
                         .preserve_client_address = pool.preserve_client_address,
                         .weight = backend.weight};
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
    return {};
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
               std::to_string(entry.mtu) + ": the largest packets of clients are dropped",
           "set the MTU of " + interface + " and of the links behind it to " +
               std::to_string(needed) + " or more");
    }
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
      if (!backend.enabled)
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
    auto slots =
        maglev::build(resolved.empty() ? all : resolved, pool.table_size, pool.hash_functions);
    const auto running = running_.tables.find(pool.name);
    if (running != running_.tables.end() && running->second.slots == slots &&
        running->second.hash_functions == pool.hash_functions) {
      image_.tables.emplace(pool.name, running->second);
      return {};
    }
    std::uint32_t base = 0;
    if (!slots.empty()) {
      const auto range = arena_.take(slots.size());
      if (!range)
        return fail(Code::full,
                    "there is no room for the " + std::to_string(slots.size()) + " slots of pool " +
                        pool.name +
                        " beside the running tables: " + std::to_string(arena_.free_slots()) +
                        " slots are free, " + std::to_string(arena_.largest_range()) +
                        " of them together; use a smaller tableSize or change fewer pools at once");
      base = *range;
    }
    image_.tables.emplace(
        pool.name,
        TableImage{.base = base, .hash_functions = pool.hash_functions, .slots = std::move(slots)});
    return {};
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
           "pool " + pool.name + " has no enabled backend: packets for its services are dropped",
           "add or enable a backend");
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
      ServiceImage entry{.id = 0, .name = service.name, .pool = service.pool};
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

  Result<void> add_interfaces(const PlanOptions& options) {
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
        image_.interfaces.emplace(interface.name,
                                  InterfaceImage{link->second.index, interface.mode});
      } else if (options.tolerate_missing_interfaces) {
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
  return Builder(running, config, topology, warnings).build(options);
}

}  // namespace sluice::planner
