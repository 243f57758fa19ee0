#include "planner/wanted.hpp"

#include <algorithm>
#include <set>

#include "abi.h"
#include "maglev/maglev.hpp"
#include "model/prefix.hpp"

namespace sluice::planner {

namespace {

/// Gives out ids: the running one where there is one, else the lowest that nobody uses, also not
/// for something that is about to go, whose memory is only freed after the change.
class Ids {
 public:
  Ids(std::set<std::uint16_t> used, std::uint32_t limit) : used_(std::move(used)), limit_(limit) {}

  std::optional<std::uint16_t> take() {
    while (next_ < limit_ && used_.contains(static_cast<std::uint16_t>(next_)))
      next_++;
    if (next_ >= limit_)
      return std::nullopt;
    return static_cast<std::uint16_t>(next_++);
  }

 private:
  std::set<std::uint16_t> used_;
  std::uint32_t limit_;
  std::uint32_t next_ = 1;
};

/// Gives out ranges of the slot arena, first fit, beside all that are in use.
class Arena {
 public:
  explicit Arena(const Image& running) {
    for (const auto& [pool, table] : running.tables)
      if (!table.slots.empty())
        used_.emplace(table.base, table.slots.size());
  }

  std::optional<std::uint32_t> take(std::size_t slots) {
    std::uint64_t at = 0;
    for (const auto& [base, size] : used_) {
      if (base >= at + slots)
        break;
      at = base + size;
    }
    if (at + slots > SL_SLOT_ARENA)
      return std::nullopt;
    used_.emplace(static_cast<std::uint32_t>(at), slots);
    return static_cast<std::uint32_t>(at);
  }

 private:
  std::set<std::pair<std::uint32_t, std::size_t>> used_;
};

class Builder {
 public:
  Builder(const Image& running, const model::Config& config, const model::Topology& topology,
          std::vector<Warning>& warnings)
      : running_(running), config_(config), topology_(topology), warnings_(warnings) {
    for (const auto& service : config.services)
      vips_.insert(service.address);
  }

  Result<Image> build(const PlanOptions& options) {
    for (const auto& pool : model::effective_pools(config_))
      if (auto added = add_backends(pool); !added)
        return fail(added.error());
    for (const auto& pool : model::effective_pools(config_))
      if (auto added = add_table(pool); !added)
        return fail(added.error());
    if (auto added = add_services(); !added)
      return fail(added.error());
    if (auto added = add_interfaces(options); !added)
      return fail(added.error());
    return std::move(image_);
  }

 private:
  void warn(std::string pointer, std::string message, std::string suggestion) {
    warnings_.push_back({std::move(pointer), std::move(message), std::move(suggestion)});
  }

  std::string pointer_of(const model::EffectivePool& pool, std::size_t index) const {
    if (pool.name == model::default_pool)
      return "/l4_backends/" + std::to_string(index);
    const auto found = std::ranges::find(config_.pools, pool.name, &model::Pool::name);
    return "/pools/" + std::to_string(found - config_.pools.begin()) + "/backends/" +
           std::to_string(index);
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
        return fail(Code::full, "there is no room for the backend " +
                                    endpoint_to_string(key.address, key.port) + ": " +
                                    std::to_string(SL_MAX_BACKENDS - 1) +
                                    " entries are in use, some until this change is through");
      resolve(entry, key, pointer_of(pool, i), backend.enabled);
      image_.backends.emplace(key, entry);
    }
    return {};
  }

  /// Fills in the way to a backend.
  void resolve(BackendImage& entry, const BackendKey& key, const std::string& pointer,
               bool enabled) {
    const auto found = topology_.next_hops.find(key.address);
    std::string problem = "its route was not looked up";
    if (found != topology_.next_hops.end()) {
      const auto& hop = found->second;
      problem = hop.problem;
      if (hop.resolved) {
        entry.ifindex = hop.ifindex;
        entry.source_mac = hop.source;
        entry.destination_mac = hop.destination;
        entry.mtu = hop.mtu;
        entry.resolved = true;
        set_source(entry, key, hop, problem);
      }
    }
    if (entry.resolved)
      return;
    entry.ifindex = 0;
    entry.source_mac = entry.destination_mac = {};
    entry.mtu = 0;
    entry.source = {};
    entry.source_varying_bits = 0;
    if (enabled)
      warn(pointer,
           "the backend " + endpoint_to_string(key.address, key.port) +
               " is unroutable: " + problem,
           "it is outside the lookup table until that changes");
  }

  void set_source(BackendImage& entry, const BackendKey& key, const model::NextHop& hop,
                  std::string& problem) {
    const bool v4 = key.address.is_v4();
    if (entry.forwarding == model::Forwarding::dsr_l2 || entry.preserve_client_address)
      return;
    if (entry.forwarding == model::Forwarding::nat) {
      for (const auto& source : config_.nat.sourceAddresses)
        if (source.is_v4() == v4)
          entry.source = source;
    } else if (const auto& text = v4 ? config_.xdp.encapSource : config_.xdp.encapSource6) {
      if (const auto prefix = model::parse_prefix(*text)) {
        entry.source = prefix->address;
        entry.source_varying_bits = 16;
      }
    }
    if (entry.source == IpAddress())
      entry.source = own_address(hop, v4);
    if (entry.source == IpAddress()) {
      entry.resolved = false;
      problem = hop.interface + " has no " + (v4 ? "IPv4" : "IPv6") + " address to send from";
    }
  }

  /// An address of the way out that is no VIP: a backend that also holds the VIP would answer
  /// itself.
  IpAddress own_address(const model::NextHop& hop, bool v4) const {
    const auto usable = [&](const IpAddress& address) {
      return address.is_v4() == v4 && !address.is_unspecified() && !vips_.contains(address);
    };
    if (usable(hop.preferred_source))
      return hop.preferred_source;
    if (const auto link = topology_.links.find(hop.interface); link != topology_.links.end())
      for (const auto& address : link->second.addresses)
        if (usable(address) && !address.is_link_local())
          return address;
    return {};
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
    const auto slots =
        maglev::build(resolved.empty() ? all : resolved, pool.table_size, pool.hash_functions);
    const auto running = running_.tables.find(pool.name);
    if (running != running_.tables.end() && running->second.slots == slots &&
        running->second.hash_functions == pool.hash_functions) {
      image_.tables.emplace(pool.name, running->second);
      return {};
    }
    TableImage table{.base = 0, .hash_functions = pool.hash_functions, .slots = slots};
    if (!slots.empty()) {
      const auto base = arena_.take(slots.size());
      if (!base)
        return fail(Code::full, "there is no room for the " + std::to_string(slots.size()) +
                                    " slots of pool " + pool.name + " beside the running tables; " +
                                    "use a smaller tableSize or change fewer pools at once");
      table.base = *base;
    }
    image_.tables.emplace(pool.name, std::move(table));
    return {};
  }

  Result<void> add_services() {
    for (const auto& service : config_.services) {
      if (!service.enabled)
        continue;
      const ServiceKey key{service.address, service.port, service.protocol};
      ServiceImage entry{.id = 0, .name = service.name, .pool = service.pool};
      if (const auto known = running_.services.find(key); known != running_.services.end())
        entry.id = known->second.id;
      else if (const auto id = service_ids_.take())
        entry.id = *id;
      else
        return fail(Code::full, "there is no room for the service " + service.name + ": " +
                                    std::to_string(SL_MAX_SERVICES - 1) + " are in use");
      image_.services.emplace(key, std::move(entry));
    }
    return {};
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
          warn(pointer, "the interface " + interface.name + " is down", "set it up");
        image_.interfaces.emplace(interface.name,
                                  InterfaceImage{link->second.index, interface.mode});
      } else if (options.tolerate_missing_interfaces) {
        warn(pointer, "there is no interface '" + interface.name + "'",
             "it is attached again when it comes back");
      } else {
        faults.push_back(
            {pointer, "there is no interface '" + interface.name + "'", "use one of " + existing});
      }
    }
    if (!faults.empty())
      return fail(Code::invalid, "an interface does not exist", std::move(faults));
    return {};
  }

  static std::set<std::uint16_t> backend_ids(const Image& image) {
    std::set<std::uint16_t> ids;
    for (const auto& [key, backend] : image.backends)
      ids.insert(backend.id);
    return ids;
  }
  static std::set<std::uint16_t> service_ids(const Image& image) {
    std::set<std::uint16_t> ids;
    for (const auto& [key, service] : image.services)
      ids.insert(service.id);
    return ids;
  }

  const Image& running_;
  const model::Config& config_;
  const model::Topology& topology_;
  std::vector<Warning>& warnings_;
  std::set<IpAddress> vips_;
  Ids backend_ids_{backend_ids(running_), SL_MAX_BACKENDS};
  Ids service_ids_{service_ids(running_), SL_MAX_SERVICES};
  Arena arena_{running_};
  Image image_;
};

}  // namespace

Result<Image> wanted_image(const Image& running, const model::Config& config,
                           const model::Topology& topology, const PlanOptions& options,
                           std::vector<Warning>& warnings) {
  return Builder(running, config, topology, warnings).build(options);
}

}  // namespace sluice::planner
