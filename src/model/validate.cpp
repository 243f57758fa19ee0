#include "model/validate.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "codec/codec.hpp"
#include "codec/nearest.hpp"
#include "model/limits.hpp"
#include "model/prefix.hpp"

namespace sluice::model {

namespace {

std::string at(std::string_view list, std::size_t index, std::string_view member = {}) {
  std::string pointer = "/" + std::string(list) + "/" + std::to_string(index);
  if (!member.empty())
    pointer += "/" + std::string(member);
  return pointer;
}

std::string_view family(const IpAddress& address) {
  return address.is_v4() ? "IPv4" : "IPv6";
}

/// Why an address can be neither a VIP nor a backend nor a source; nothing if it can.
std::optional<std::string> unusable(const IpAddress& address) {
  if (address.is_unspecified())
    return "is the unspecified address";
  if (address.is_loopback())
    return "is a loopback address";
  if (address.is_multicast())
    return "is a multicast or broadcast address";
  if (address.is_link_local())
    return "is a link-local address";
  return std::nullopt;
}

/// A list of backends and where it stands in the document.
struct BackendList {
  std::string pool;
  std::string pointer;
  const std::vector<Backend>& backends;
};

class Validator {
 public:
  explicit Validator(const Config& config) : config_(config) {
    for (const auto& pool : effective_pools(config))
      pools_.emplace(pool.name, pool);
    lists_.push_back({std::string(default_pool), "/l4_backends", config.l4_backends});
    for (std::size_t i = 0; i < config.pools.size(); i++)
      lists_.push_back(
          {config.pools[i].name, at("pools", i, "backends"), config.pools[i].backends});
  }

  std::vector<Fault> run(const Topology* topology) {
    check_pools();
    check_backends();
    check_services();
    check_services_against_backends();
    check_nat();
    check_encapsulation();
    check_interfaces(topology);
    check_room();
    return std::move(faults_);
  }

 private:
  void fault(std::string pointer, std::string message, std::string suggestion) {
    faults_.push_back({std::move(pointer), std::move(message), std::move(suggestion)});
  }

  void check_name(const std::string& pointer, const std::string& name) {
    const auto allowed = [](unsigned char c) {
      return std::isalnum(c) || c == '.' || c == '_' || c == '-';
    };
    if (name.empty() || name.size() > max_name_length || !std::ranges::all_of(name, allowed))
      fault(pointer, "'" + name + "' is not a name",
            "use 1 to 63 letters, digits, '.', '_' and '-'");
  }

  void check_pools() {
    std::set<std::string> seen;
    for (std::size_t i = 0; i < config_.pools.size(); i++) {
      const auto& pool = config_.pools[i];
      check_name(at("pools", i, "name"), pool.name);
      if (!seen.insert(pool.name).second)
        fault(at("pools", i, "name"), "there are two pools '" + pool.name + "'",
              "rename one of them");
      if (pool.name == default_pool && !pool.backends.empty())
        fault(at("pools", i, "backends"), "the backends of the pool default stand in l4_backends",
              "move them to l4_backends");
      const auto forwarding = pool.forwarding.value_or(config_.xdp.forwarding);
      if (pool.preserveClientAddress.value_or(false) && forwarding != Forwarding::nat)
        fault(at("pools", i, "preserveClientAddress"),
              "only nat can preserve the client's address; dsr-l2 and dsr-ipip always do",
              "leave it out, or set forwarding to nat");
    }
  }

  void check_backends() {
    std::size_t total = 0;
    for (const auto& list : lists_) {
      std::set<Endpoint> seen;
      for (std::size_t i = 0; i < list.backends.size(); i++) {
        const auto& backend = list.backends[i];
        const auto pointer = list.pointer + "/" + std::to_string(i);
        if (const auto why = unusable(backend.ip))
          fault(pointer + "/ip", backend.ip.to_string() + " " + *why,
                "give the server's own address");
        const Endpoint endpoint{backend.ip, backend.port.value_or(0)};
        // Entries of l4_backends for other pools are replaced there, so only those of one pool can
        // collide.
        const bool elsewhere = backend.pool && *backend.pool != list.pool;
        if (!elsewhere && !seen.insert(endpoint).second)
          fault(pointer,
                "the backend " + endpoint_to_string(endpoint.address, endpoint.port) +
                    " stands twice in pool " + list.pool,
                "remove one of the two");
        if (backend.pool && list.pointer != "/l4_backends")
          fault(pointer + "/pool", "is only for entries of l4_backends",
                "leave it out; the backend is in pool " + list.pool);
      }
      total += list.backends.size();
    }
    if (total > max_backends)
      fault("/l4_backends",
            "there are " + std::to_string(total) + " backends in all pools together; at most " +
                std::to_string(max_backends) + " are possible",
            "remove " + std::to_string(total - max_backends));
  }

  void check_services() {
    std::set<std::string> names;
    std::map<std::tuple<IpAddress, std::uint16_t, Protocol>, std::string> keys;
    std::vector<std::string> pool_names;
    for (const auto& [name, pool] : pools_)
      pool_names.push_back(name);
    for (std::size_t i = 0; i < config_.services.size(); i++) {
      const auto& service = config_.services[i];
      check_name(at("services", i, "name"), service.name);
      if (!names.insert(service.name).second)
        fault(at("services", i, "name"), "there are two services '" + service.name + "'",
              "rename one of them");
      const auto [other, is_new] =
          keys.try_emplace({service.address, service.port, service.protocol}, service.name);
      if (!is_new)
        fault(at("services", i),
              "has the same address, port and protocol as service '" + other->second + "'",
              "remove one of the two, or change its port");
      if (const auto why = unusable(service.address))
        fault(at("services", i, "address"), service.address.to_string() + " " + *why,
              "give an address that clients can reach");
      if (!pools_.contains(service.pool)) {
        const auto near = codec::nearest(service.pool, pool_names);
        fault(at("services", i, "pool"), "there is no pool '" + service.pool + "'",
              near ? "did you mean '" + *near + "'?" : "declare it under pools");
      }
    }
  }

  void check_services_against_backends() {
    std::set<IpAddress> backends;
    for (const auto& list : lists_)
      for (const auto& backend : list.backends)
        backends.insert(backend.ip);
    for (std::size_t i = 0; i < config_.services.size(); i++) {
      const auto& service = config_.services[i];
      if (backends.contains(service.address))
        fault(at("services", i, "address"),
              service.address.to_string() + " is a VIP and also the address of a backend",
              "give the service an address of its own");
      const auto pool = pools_.find(service.pool);
      if (pool != pools_.end())
        check_service_against_pool(i, service, pool->second);
    }
  }

  void check_service_against_pool(std::size_t index, const Service& service,
                                  const EffectivePool& pool) {
    const auto list = std::ranges::find_if(lists_, [&](const BackendList& candidate) {
      return candidate.pool == pool.name &&
             (pool.name != default_pool || candidate.pointer == "/l4_backends");
    });
    for (std::size_t i = 0; list != lists_.end() && i < list->backends.size(); i++) {
      const auto& backend = list->backends[i];
      if (list->pointer == "/l4_backends" && backend.pool && *backend.pool != default_pool)
        continue;
      const auto who = endpoint_to_string(backend.ip, backend.port.value_or(0));
      if (pool.forwarding == Forwarding::nat && backend.ip.is_v4() != service.address.is_v4()) {
        fault(at("services", index, "pool"),
              "nat cannot carry the " + std::string(family(service.address)) + " service '" +
                  service.name + "' to the " + std::string(family(backend.ip)) + " backend " + who,
              "use a pool of " + std::string(family(service.address)) + " backends, or dsr-ipip");
        return;  // one fault for a service is enough: the others would say the same
      }
      if (pool.forwarding != Forwarding::nat && backend.port && *backend.port != service.port) {
        fault(list->pointer + "/" + std::to_string(i) + "/port",
              "with " + std::string(pool.forwarding == Forwarding::dsr_l2 ? "dsr-l2" : "dsr-ipip") +
                  " the port cannot change from " + std::to_string(service.port) + " (service '" +
                  service.name + "') to " + std::to_string(*backend.port),
              "leave the backend's port out, or use nat");
      }
    }
  }

  void check_nat() {
    std::set<bool> families;
    for (std::size_t i = 0; i < config_.nat.sourceAddresses.size(); i++) {
      const auto& address = config_.nat.sourceAddresses[i];
      const auto pointer = at("nat/sourceAddresses", i);
      if (const auto why = unusable(address))
        fault(pointer, address.to_string() + " " + *why, "give an address of the balancer");
      if (!families.insert(address.is_v4()).second)
        fault(pointer, "there are two " + std::string(family(address)) + " sources",
              "keep one of each family");
      if (std::ranges::find(config_.services, address, &Service::address) != config_.services.end())
        fault(pointer,
              address.to_string() + " is a VIP; a backend that also holds it would never answer",
              "give another address of the balancer");
    }
  }

  void check_encapsulation() {
    const auto check = [&](const std::optional<std::string>& text, const std::string& pointer,
                           bool v4, unsigned longest) {
      if (!text)
        return;
      const std::string example = v4 ? "172.16.0.0/16" : "fd00:e::/112";
      const auto prefix = parse_prefix(*text);
      if (!prefix)
        fault(pointer, prefix.error().message, "write it as " + example);
      else if (prefix->address.is_v4() != v4)
        fault(pointer, "'" + *text + "' is of the other family", "write it as " + example);
      else if (prefix->length > longest)
        fault(pointer, "'" + *text + "' leaves less than 16 bits to vary",
              "use a prefix of /" + std::to_string(longest) + " or shorter");
      else if (!has_no_host_bits(*prefix))
        fault(pointer, "'" + *text + "' has bits set after its prefix",
              "set them to zero, as in " + example);
    };
    check(config_.xdp.encapSource, "/xdp/encapSource", true, 16);
    check(config_.xdp.encapSource6, "/xdp/encapSource6", false, 112);
  }

  void check_interfaces(const Topology* topology) {
    std::vector<std::string> known;
    if (topology)
      for (const auto& [name, link] : topology->links)
        known.push_back(name);
    std::string list;
    for (const auto& name : known)
      list += (list.empty() ? "" : ", ") + name;
    std::set<std::string> seen;
    for (std::size_t i = 0; i < config_.xdp.interfaces.size(); i++) {
      const auto& interface = config_.xdp.interfaces[i];
      const auto pointer = at("xdp/interfaces", i, "name");
      if (!seen.insert(interface.name).second)
        fault(pointer, "the interface " + interface.name + " stands twice",
              "remove one of the two");
      if (topology && !topology->links.contains(interface.name))
        fault(pointer, "there is no interface '" + interface.name + "'", "use one of " + list);
    }
  }

  void check_room() {
    std::uint64_t slots = 0;
    for (const auto& [name, pool] : pools_)
      slots += pool.backends.empty() ? 0 : pool.table_size;
    if (slots > max_slots)
      fault("/pools",
            "the lookup tables of all pools have " + std::to_string(slots) + " slots; at most " +
                std::to_string(max_slots) + " fit",
            "use fewer pools or a smaller tableSize");
    if (pools_.size() > max_pools)
      fault("/pools",
            "there are " + std::to_string(pools_.size()) + " pools, at most " +
                std::to_string(max_pools) + " are possible",
            "remove pools");
    for (const bool v4 : {true, false}) {
      std::set<IpAddress> addresses;
      for (const auto& service : config_.services)
        if (service.address.is_v4() == v4)
          addresses.insert(service.address);
      // Room is left for the sources that nat sends from.
      if (addresses.size() > max_addresses - max_interfaces)
        fault("/services",
              "there are " + std::to_string(addresses.size()) + (v4 ? " IPv4" : " IPv6") +
                  " VIP addresses, at most " + std::to_string(max_addresses - max_interfaces) +
                  " are possible",
              "serve more ports on fewer addresses");
    }
  }

  const Config& config_;
  std::map<std::string, EffectivePool> pools_;
  std::vector<BackendList> lists_;
  std::vector<Fault> faults_;
};

}  // namespace

namespace {

/// Ranges of single fields are the codec's; a configuration that was put together by code passes
/// through it as well.
std::vector<Fault> validate(const Config& config, const Topology* topology) {
  Config read;
  auto faults = codec::decode(codec::type_of<Config>(), codec::to_json(config), &read);
  auto rules = Validator(config).run(topology);
  faults.insert(faults.end(), rules.begin(), rules.end());
  return faults;
}

}  // namespace

std::vector<Fault> validate(const Config& config) {
  return validate(config, nullptr);
}

std::vector<Fault> validate(const Config& config, const Topology& topology) {
  return validate(config, &topology);
}

}  // namespace sluice::model
