// Checks the rules that span fields.
#include "model/validate.hpp"

#include <algorithm>
#include <cctype>
#include <tuple>

#include "base/text.hpp"
#include "codec/codec.hpp"
#include "codec/nearest.hpp"
#include "model/layout.hpp"
#include "model/limits.hpp"
#include "model/prefix.hpp"
#include "model/quic.hpp"

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

std::string id_of(const Backend& backend) {
  return endpoint_to_string(backend.ip, backend.port.value_or(0));
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

std::string suggest(std::string_view word, const std::vector<std::string>& known,
                    const std::string& otherwise) {
  const auto near = codec::nearest(word, known);
  return near ? "did you mean '" + *near + "'?" : otherwise;
}

class Validator {
 public:
  Validator(const Config& config, const std::vector<Fault>& unread)
      : config_(config), unread_(unread), pools_(lay_out(config, unread_)) {
    for (const auto& [name, pool] : pools_)
      pool_names_.push_back(name);
    pool_names_known_ = readable("/pools", config.pools.empty());
    for (std::size_t i = 0; i < config.pools.size(); i++)
      pool_names_known_ = pool_names_known_ && readable(at("pools", i, "name"));
  }

  std::vector<Fault> run(const Topology* topology) {
    check_pools();
    check_backends();
    check_quic();
    check_services();
    check_services_against_backends();
    check_nat();
    check_encapsulation("/xdp/encapSource", config_.xdp.encapSource, true);
    check_encapsulation("/xdp/encapSource6", config_.xdp.encapSource6, false);
    check_interfaces(topology);
    check_rate_limit();
    check_access_list("security/denyList", config_.security.denyList);
    check_access_list("security/allowList", config_.security.allowList);
    check_room();
    check_addresses(true);
    check_addresses(false);
    return std::move(faults_);
  }

 private:
  void fault(std::string pointer, std::string message, std::string suggestion) {
    faults_.push_back({std::move(pointer), std::move(message), std::move(suggestion)});
  }

  /// Whether what stands at a place is what the operator wrote. `empty_list`: it is a list without
  /// entries; one with entries was read, whatever became of these.
  bool readable(std::string_view pointer, bool empty_list = true) const {
    return !empty_list || !unread_.covers(pointer);
  }

  void check_name(const std::string& pointer, const std::string& name) {
    const auto allowed = [](unsigned char c) {
      return (std::isalnum(c) && c < 128) || c == '.' || c == '_' || c == '-';
    };
    if (name.empty() || name.size() > max_name_length || !std::ranges::all_of(name, allowed))
      fault(pointer, "'" + name + "' is not a name",
            "use 1 to 63 letters, digits, '.', '_' and '-'");
  }

  void check_usable(const std::string& pointer, const IpAddress& address, const char* cure) {
    if (const auto why = unusable(address))
      fault(pointer, address.to_string() + " " + *why, cure);
  }

  void check_pools() {
    std::set<std::string> seen;
    for (std::size_t i = 0; i < config_.pools.size(); i++) {
      const auto& pool = config_.pools[i];
      if (!readable(at("pools", i, "name")))
        continue;
      check_name(at("pools", i, "name"), pool.name);
      if (!seen.insert(pool.name).second)
        fault(at("pools", i, "name"), "there are two pools '" + pool.name + "'",
              "rename one of them");
      if (pool.name == default_pool && !pool.backends.empty())
        fault(at("pools", i, "backends"), "the backends of the pool default stand in l4_backends",
              "move them to l4_backends");
      const auto forwarding = pool.forwarding.value_or(config_.xdp.forwarding);
      const auto pointer = at("pools", i, "preserveClientAddress");
      if (pool.preserveClientAddress.value_or(false) && pools_.at(pool.name).forwarding_known &&
          forwarding != Forwarding::nat && readable(pointer))
        fault(pointer, "only nat can preserve the client's address; dsr-l2 and dsr-ipip always do",
              "leave it out, or set forwarding to nat");
      check_tracking(i, pool);
    }
  }

  static bool limits_connections(const PoolLayout& pool) {
    return std::ranges::any_of(pool.backends, [](const PlacedBackend& placed) {
      return placed.backend->maxConnections.has_value();
    });
  }

  void check_tracking(std::size_t i, const Pool& pool) {
    const auto pointer = at("pools", i, "connectionTracking");
    const auto& layout = pools_.at(pool.name);
    if (!pool.connectionTracking || *pool.connectionTracking == Tracking::full ||
        !readable(pointer))
      return;
    const std::string cure = "leave it out, or set it to full";
    if (layout.forwarding_known && layout.forwarding == Forwarding::nat)
      fault(pointer, "nat cannot do without full tracking: replies are found by it", cure);
    else if (layout.algorithm_known && layout.algorithm != Algorithm::maglev)
      fault(pointer,
            (layout.algorithm == Algorithm::roundRobin ? "roundRobin" : "leastConnections") +
                std::string(" cannot do without full tracking: only Maglev finds a flow's backend "
                            "again by its hash"),
            cure);
    else if (limits_connections(layout))
      fault(pointer,
            "maxConnections cannot do without full tracking: connections are counted by it", cure);
  }

  /// The kernel's LRU hash, which such nat flows are kept in, throws flows out unseen.
  void check_counting(std::size_t index, const Service& service, const PoolLayout& pool) {
    const bool least = pool.algorithm == Algorithm::leastConnections;
    const bool many_ports = service.port == 0 || last_port(service) > service.port;
    if (pool.forwarding != Forwarding::nat || !pool.algorithm_known ||
        (!least && !limits_connections(pool)) ||
        (service.address.is_v4() && !many_ports && !pool.preserve_client_address))
      return;
    fault(at("services", index, "pool"),
          std::string(least ? "leastConnections" : "maxConnections") + " of pool " + service.pool +
              " cannot count the flows of service '" + service.name +
              "': with nat that takes IPv4, one port, and no preserveClientAddress",
          least ? "use roundRobin or maglev, or a forwarding of dsr-l2 or dsr-ipip"
                : "leave maxConnections out, or use a forwarding of dsr-l2 or dsr-ipip");
  }

  void check_backends() {
    std::map<std::string, std::set<Endpoint>> seen;
    for (std::size_t i = 0; i < config_.l4_backends.size(); i++) {
      const auto& backend = config_.l4_backends[i];
      const auto pointer = at("l4_backends", i);
      const auto pool = backend.pool.value_or(std::string(default_pool));
      check_backend(pointer, backend, pool, seen[pool]);
      if (backend.pool && pool != default_pool && readable(pointer + "/pool"))
        check_pool_exists(pointer + "/pool", pool);
    }
    for (std::size_t i = 0; i < config_.pools.size(); i++) {
      const auto& pool = config_.pools[i];
      std::set<Endpoint> in_pool;
      for (std::size_t k = 0; k < pool.backends.size(); k++) {
        const auto& backend = pool.backends[k];
        const auto pointer = at("pools", i, "backends") + "/" + std::to_string(k);
        check_backend(pointer, backend, pool.name, in_pool);
        if (backend.pool && readable(pointer + "/pool"))
          fault(pointer + "/pool", "is only for entries of l4_backends",
                "leave it out; the backend is in pool " + pool.name);
      }
    }
  }

  void check_backend(const std::string& pointer, const Backend& backend, const std::string& pool,
                     std::set<Endpoint>& seen) {
    if (!readable(pointer + "/ip"))
      return;
    check_usable(pointer + "/ip", backend.ip, "give the server's own address");
    if (!readable(pointer + "/port") || !readable(pointer + "/pool"))
      return;
    if (!seen.insert({backend.ip, backend.port.value_or(0)}).second)
      fault(pointer, "the backend " + id_of(backend) + " stands twice in pool " + pool,
            "remove one of the two");
  }

  void check_quic() {
    for (const auto& [name, pool] : pools_) {
      std::map<std::vector<std::uint8_t>, const Backend*> owners;
      for (const auto& placed : pool.backends)
        check_server_id(placed, name, pool.quic, owners);
    }
  }

  /// Ids may stand there before their pool has QUIC: what has backends cannot get them all at once.
  void check_server_id(const PlacedBackend& placed, const std::string& pool,
                       const std::optional<QuicSettings>& quic,
                       std::map<std::vector<std::uint8_t>, const Backend*>& owners) {
    const auto pointer = placed.pointer + "/quicServerId";
    const auto& text = placed.backend->quicServerId;
    const std::size_t length = quic ? quic->serverIdLength : 0;
    if (!text && length)
      fault(pointer, "a backend of pool " + pool + ", which has quic, needs a server id",
            "set it to " + counted(length, "byte") + " in hex digits that the server's " +
                "connection ids name it by, such as \"" + std::string(2 * length - 1, '0') + "1\"");
    if (!text)
      return;
    const auto id = parse_server_id(*text);
    if (!id) {
      fault(pointer, "'" + *text + "' is not a server id",
            "write its bytes as pairs of hex digits, such as \"0a01\"");
      return;
    }
    if (length && id->size() != length)
      fault(pointer,
            "'" + *text + "' has " + counted(id->size(), "byte") + ", server ids of pool " + pool +
                " have " + std::to_string(length),
            "write it with " + std::to_string(2 * length) +
                " hex digits, or change serverIdLength of the pool's quic");
    const auto [other, fresh] = owners.emplace(*id, placed.backend);
    if (!fresh)
      fault(pointer,
            "'" + *text + "' is the server id of the backend " + id_of(*other->second) + " as well",
            "give each backend of pool " + pool + " an id of its own");
  }

  void check_pool_exists(const std::string& pointer, const std::string& name) {
    if (pools_.contains(name) || !pool_names_known_)
      return;
    fault(pointer, "there is no pool '" + name + "'",
          suggest(name, pool_names_, "declare it under pools"));
  }

  void check_services() {
    std::set<std::string> names;
    std::map<std::tuple<IpAddress, Protocol>, std::vector<const Service*>> neighbours;
    for (std::size_t i = 0; i < config_.services.size(); i++) {
      const auto& service = config_.services[i];
      if (readable(at("services", i, "name"))) {
        check_name(at("services", i, "name"), service.name);
        if (!names.insert(service.name).second)
          fault(at("services", i, "name"), "there are two services '" + service.name + "'",
                "rename one of them");
      }
      if (readable(at("services", i, "pool")))
        check_pool_exists(at("services", i, "pool"), service.pool);
      if (!readable(at("services", i, "address")))
        continue;
      check_usable(at("services", i, "address"), service.address,
                   "give an address that clients can reach");
      if (!readable(at("services", i, "port")) || !readable(at("services", i, "portEnd")) ||
          !check_range(i, service) || !readable(at("services", i, "protocol")))
        continue;
      auto& others = neighbours[{service.address, service.protocol}];
      check_overlap(i, service, others);
      others.push_back(&service);
    }
  }

  static std::uint16_t last_port(const Service& service) {
    return service.portEnd.value_or(service.port);
  }
  static std::string ports_of(const Service& service) {
    return ports_to_string(service.port, last_port(service));
  }

  bool check_range(std::size_t index, const Service& service) {
    if (service.portEnd && service.port == 0)
      fault(at("services", index, "portEnd"), "port 0 stands for every port and has no end",
            "leave portEnd out, or give the first port of the range");
    else if (service.portEnd && *service.portEnd < service.port)
      fault(at("services", index, "portEnd"),
            "the range ends with " + std::to_string(*service.portEnd) + ", before its first port " +
                std::to_string(service.port),
            "exchange port and portEnd");
    else
      return true;
    return false;
  }

  /// A single port goes before a range and a range before every port, but two of a kind must not
  /// meet.
  void check_overlap(std::size_t index, const Service& service,
                     const std::vector<const Service*>& others) {
    const auto is_range = [](const Service& one) { return last_port(one) > one.port; };
    for (const auto* other : others) {
      if (service.port == other->port && last_port(service) == last_port(*other)) {
        fault(at("services", index),
              "has the same address, port and protocol as service '" + other->name + "'",
              "remove one of the two, or change its port");
        return;
      }
      if (is_range(service) && is_range(*other) && service.port <= last_port(*other) &&
          other->port <= last_port(service)) {
        fault(at("services", index, "port"),
              "the range " + ports_of(service) + " overlaps with " + ports_of(*other) +
                  " of service '" + other->name + "'",
              last_port(*other) < 65535 && last_port(*other) < last_port(service)
                  ? "begin it with " + std::to_string(last_port(*other) + 1)
                  : "let one of the two end before the other begins");
        return;
      }
    }
  }

  void check_services_against_backends() {
    std::map<IpAddress, std::string> backends;
    for (const auto& [name, pool] : pools_)
      for (const auto& placed : pool.backends)
        backends.try_emplace(placed.backend->ip, name);
    for (std::size_t i = 0; i < config_.services.size(); i++) {
      const auto& service = config_.services[i];
      if (!readable(at("services", i, "address")))
        continue;
      if (const auto backend = backends.find(service.address); backend != backends.end())
        fault(at("services", i, "address"),
              service.address.to_string() + " is a VIP and also a backend of pool " +
                  backend->second,
              "give the service an address of its own");
      const auto pool = pools_.find(service.pool);
      if (pool == pools_.end() || !pool->second.forwarding_known ||
          !readable(at("services", i, "pool")))
        continue;
      check_families(i, service, pool->second);
      if (readable(at("services", i, "port")) && readable(at("services", i, "portEnd"))) {
        check_ports(service, pool->second);
        check_counting(i, service, pool->second);
      }
    }
  }

  /// nat cannot change the family; dsr-ipip carries IPv4 in IPv6 but not the reverse.
  void check_families(std::size_t index, const Service& service, const PoolLayout& pool) {
    const bool nat = pool.forwarding == Forwarding::nat;
    for (const auto& placed : pool.backends) {
      const auto& ip = placed.backend->ip;
      const bool differ = ip.is_v4() != service.address.is_v4();
      if (!differ || pool.forwarding == Forwarding::dsr_l2 || (!nat && service.address.is_v4()))
        continue;
      const auto wanted = std::string(family(service.address));
      fault(at("services", index, "pool"),
            std::string(nat ? "nat" : "dsr-ipip") + " cannot carry the " + wanted + " service '" +
                service.name + "' to the " + std::string(family(ip)) + " backend " +
                id_of(*placed.backend),
            "use a pool of " + wanted + " backends, or forwarding " +
                (service.address.is_v4() ? "dsr-ipip or dsr-l2" : "dsr-l2"));
      return;  // the other backends would only say the same
    }
  }

  /// With direct return the backend answers from the VIP's own port.
  void check_ports(const Service& service, const PoolLayout& pool) {
    if (pool.forwarding == Forwarding::nat)
      return;
    for (const auto& placed : pool.backends) {
      const auto port = placed.backend->port;
      if (!port || (*port == service.port && *port == last_port(service)) ||
          !port_faults_.insert(placed.pointer).second)
        continue;
      fault(placed.pointer + "/port",
            std::string(pool.forwarding == Forwarding::dsr_l2 ? "dsr-l2" : "dsr-ipip") +
                " cannot change the port from " + ports_of(service) + " (service '" + service.name +
                "') to " + std::to_string(*port),
            "leave the backend's port out, or use nat");
    }
  }

  void check_nat() {
    std::set<IpAddress> vips, backends;
    for (std::size_t i = 0; i < config_.services.size(); i++)
      if (readable(at("services", i, "address")))
        vips.insert(config_.services[i].address);
    for (const auto& [name, pool] : pools_)
      for (const auto& placed : pool.backends)
        backends.insert(placed.backend->ip);
    std::set<bool> families;
    for (std::size_t i = 0; i < config_.nat.sourceAddresses.size(); i++) {
      const auto& address = config_.nat.sourceAddresses[i];
      const auto pointer = at("nat/sourceAddresses", i);
      if (!readable(pointer))
        continue;
      const auto text = address.to_string();
      check_usable(pointer, address, "give an address of the balancer");
      if (!families.insert(address.is_v4()).second)
        fault(pointer, "there are two " + std::string(family(address)) + " sources",
              "keep one of each family");
      if (vips.contains(address))
        fault(pointer, text + " is a VIP; a backend that also holds it would never answer",
              "give another address of the balancer");
      if (backends.contains(address))
        fault(pointer, text + " is a backend; its replies would never come back",
              "give an address of the balancer");
    }
  }

  void check_encapsulation(const std::string& pointer, const std::optional<std::string>& text,
                           bool v4) {
    if (!text || !readable(pointer))
      return;
    const unsigned longest = v4 ? 16 : 112;
    const std::string example = v4 ? "172.16.0.0/16" : "fd00:e::/112";
    const auto prefix = parse_prefix(*text);
    if (!prefix)
      fault(pointer, prefix.error().message, "write it as " + example);
    else if (prefix->address.is_v4() != v4)
      fault(pointer, "'" + *text + "' is not of " + (v4 ? "IPv4" : "IPv6"),
            "write it as " + example);
    else if (prefix->length > longest)
      fault(pointer, "'" + *text + "' leaves less than 16 bits to vary",
            "use a prefix of /" + std::to_string(longest) + " or shorter");
    else if (!has_no_host_bits(*prefix))
      fault(pointer, "'" + *text + "' has bits set after its prefix",
            "set them to zero, as in " + example);
    else
      check_usable(pointer, prefix->address, "use a prefix of ordinary addresses");
  }

  void check_interfaces(const Topology* topology) {
    std::vector<std::string> known;
    std::string list;
    if (topology)
      for (const auto& [name, link] : topology->links)
        if (!link.loopback) {
          known.push_back(name);
          list += (list.empty() ? "" : ", ") + name;
        }
    std::set<std::string> seen;
    for (std::size_t i = 0; i < config_.xdp.interfaces.size(); i++) {
      const auto& name = config_.xdp.interfaces[i].name;
      const auto pointer = at("xdp/interfaces", i, "name");
      if (!readable(pointer))
        continue;
      if (!seen.insert(name).second)
        fault(pointer, "the interface '" + name + "' stands twice", "remove one of the two");
      if (name.empty())
        fault(pointer, "is empty", "give the name of an interface, such as eth0");
      else if (topology && !topology->links.contains(name))
        fault(pointer, "there is no interface '" + name + "'",
              suggest(name, known,
                      list.empty() ? "create it first; there are none" : "use one of " + list));
    }
  }

  /// A mark is what tells excess packets from others in the kernel.
  void check_rate_limit() {
    const auto& limit = config_.rateLimit;
    if (!readable("/rateLimit/action") || !readable("/rateLimit/mark"))
      return;
    if (limit.action == ExcessAction::pass && !limit.mark)
      fault(
          "/rateLimit/mark", "packets that pass beyond a limit need a mark to be told from others",
          "set it to a number that no other rule of the machine uses, such as 1, or set action to "
          "drop");
    if (limit.action == ExcessAction::drop && limit.mark)
      fault("/rateLimit/mark", "packets that are dropped have no mark",
            "leave it out, or set action to pass");
  }

  void check_access_list(const char* list, const std::vector<std::string>& entries) {
    for (std::size_t i = 0; i < entries.size(); i++) {
      const auto prefix = parse_source(entries[i]);
      if (prefix && has_no_host_bits(*prefix))
        continue;
      const auto pointer = at(list, i);
      if (!readable(pointer))
        continue;
      if (!prefix)
        fault(pointer, "'" + entries[i] + "' is neither a prefix nor an address",
              "write it as 198.51.100.0/24, 2001:db8::/32 or 198.51.100.7");
      else
        fault(pointer, "'" + entries[i] + "' has bits set after its prefix",
              "set them to zero, or give a longer prefix");
    }
  }

  void check_count(const std::string& pointer, const std::string& what, std::size_t count,
                   std::size_t most) {
    if (count > most)
      fault(pointer,
            "there are " + std::to_string(count) + " " + what + ", at most " +
                std::to_string(most) + " are possible",
            "remove " + std::to_string(count - most));
  }

  /// Lists of one field are bounded by the codec; here are the sums.
  void check_room() {
    std::size_t backends = 0;
    std::uint64_t slots = 0;
    bool larger = false;  // than the smallest size there is
    for (const auto& [name, pool] : pools_) {
      backends += pool.backends.size();
      if (pool.backends.empty())
        continue;
      slots += pool.table_size;
      larger |= pool.table_size > table_sizes[0];
    }
    check_count("/pools", "backends in all pools together", backends, max_backends);
    check_count("/security", "entries in both access lists together",
                config_.security.denyList.size() + config_.security.allowList.size(),
                max_access_entries);
    // The codec bounds the list; the pool default counts even where it is not declared.
    if (config_.pools.size() <= max_pools)
      check_count("/pools", "pools, default included", pools_.size(), max_pools);
    if (slots > max_slots)
      fault("/pools",
            "the lookup tables of all pools have " + std::to_string(slots) +
                " slots together, at most " + std::to_string(max_slots) + " fit",
            larger ? "use a smaller tableSize, or fewer pools" : "use fewer pools with backends");
  }

  /// Packets find their service by a table of addresses, one for each family.
  void check_addresses(bool v4) {
    std::set<IpAddress> addresses;
    for (const auto& service : config_.services)
      addresses.insert(service.address);
    for (const auto& [name, pool] : pools_)
      if (pool.preserve_client_address)
        for (const auto& placed : pool.backends)
          addresses.insert(placed.backend->ip);
    addresses.insert(config_.nat.sourceAddresses.begin(), config_.nat.sourceAddresses.end());
    const auto used = static_cast<std::size_t>(std::ranges::count_if(
        addresses, [&](const IpAddress& address) { return address.is_v4() == v4; }));
    const bool source_given =
        std::ranges::any_of(config_.nat.sourceAddresses,
                            [&](const IpAddress& address) { return address.is_v4() == v4; });
    // Without one, nat sends from the addresses of the ways out.
    check_count("/services",
                std::string(v4 ? "IPv4" : "IPv6") +
                    " addresses of services, of nat and of backends that see the client's address",
                used, source_given ? max_addresses : max_addresses - max_ways_out);
  }

  const Config& config_;
  const Unread unread_;
  std::map<std::string, PoolLayout> pools_;
  std::vector<std::string> pool_names_;
  bool pool_names_known_ = true;
  std::set<std::string> port_faults_;
  std::vector<Fault> faults_;
};

std::vector<Fault> all_faults(const Config& config, const Topology* topology) {
  // Ranges of single fields are written once, in the fields' annotations: the codec knows them.
  Config read;
  auto faults = codec::decode(codec::type_of<Config>(), codec::to_json(config), &read);
  auto broken = broken_rules(config, topology, faults);
  faults.insert(faults.end(), broken.begin(), broken.end());
  return faults;
}

}  // namespace

std::vector<Fault> validate(const Config& config) {
  return all_faults(config, nullptr);
}

std::vector<Fault> validate(const Config& config, const Topology& topology) {
  return all_faults(config, &topology);
}

std::vector<Fault> broken_rules(const Config& config, const Topology* topology,
                                const std::vector<Fault>& unread) {
  return Validator(config, unread).run(topology);
}

}  // namespace sluice::model
