#include "dataplane/xdp/front.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <iterator>
#include <map>
#include <set>
#include <tuple>

#include "dataplane/xdp/encode.hpp"
#include "dataplane/xdp/perfect_hash.hpp"

namespace sluice::dataplane::xdp {

std::uint8_t protocol_number(model::Protocol protocol) {
  return protocol == model::Protocol::tcp ? 6 : 17;
}

namespace {

struct Words6 {
  std::uint64_t high, low;
};

Words6 words6(const IpAddress& address) {
  Words6 words;
  std::memcpy(&words.high, address.bytes().data(), 8);
  std::memcpy(&words.low, address.bytes().data() + 8, 8);
  return words;
}

/// Ids of all addresses that are looked up: VIPs are numbered, the others carry a flag.
std::map<IpAddress, std::uint32_t> number_addresses(const planner::Image& image) {
  std::map<IpAddress, std::uint32_t> ids;
  std::uint32_t next = 1;
  for (const auto& [key, service] : image.services) {
    const auto [id, fresh] = ids.try_emplace(key.address, next);
    next += fresh;
    if (service.answer_echo)
      id->second |= SL_ADDRESS_ANSWERS_ECHO;
  }
  for (const auto& [key, backend] : image.backends) {
    if (backend.forwarding != model::Forwarding::nat)
      continue;
    if (backend.preserve_client_address) {
      if (ids.try_emplace(key.address, next | SL_ADDRESS_PRESERVING_BACKEND).second)
        next++;
    } else if (backend.source != IpAddress()) {
      if (ids.try_emplace(backend.source, next | SL_ADDRESS_NAT_SOURCE).second)
        next++;
    }
  }
  return ids;
}

/// What the front has of one service, before it has a place.
struct Entry {
  planner::ServiceKey key;
  sl_service service;

  bool has_one_port() const { return key.port != 0 && key.port_end == 0; }
  std::uint32_t port_key() const {
    return SL_PORT_KEY(protocol_number(key.protocol), htons(key.port));
  }
};
using Entries = std::vector<Entry>;

/// Those with QUIC are numbered from 1.
std::map<std::string, __u32> number_quic_pools(const planner::Image& image) {
  std::map<std::string, __u32> numbers;
  for (const auto& [pool, table] : image.tables)
    if (table.quic != planner::QuicImage{})
      numbers.emplace(pool, static_cast<__u32>(numbers.size() + 1));
  return numbers;
}

/// How a service's packets are looked up follows from its pool: from its table, and from its
/// backends, which all have the same forwarding.
__u32 flags_of(const planner::Image& image, const planner::ServiceKey& key,
               const std::string& pool) {
  const bool one_ipv4_port = key.address.is_v4() && key.port != 0 && key.port_end == 0;
  __u32 flags = 0;
  if (const auto table = image.tables.find(pool); table != image.tables.end())
    flags = flags_for(key.protocol, table_flags(table->second));
  if (flags & SL_SERVICE_TRACKED && !one_ipv4_port)
    flags |= SL_SERVICE_HASHED_KEY;
  const auto first = image.backends.lower_bound({pool, IpAddress(), 0});
  if (first != image.backends.end() && first->first.pool == pool &&
      first->second.forwarding == model::Forwarding::nat) {
    flags |= SL_SERVICE_NAT;
    // The narrow table knows one port of a service.
    if (one_ipv4_port && !first->second.preserve_client_address)
      flags |= SL_SERVICE_NAT4;
  }
  return flags;
}

/// Flows of both kinds of nat at once must not be given the same port of ours.
void mark_shared_ports(Entries& entries) {
  const auto kind = [](const Entry& entry) {
    return entry.service.flags & (SL_SERVICE_NAT | SL_SERVICE_NAT4);
  };
  const auto is_wide = [&](const Entry& entry) {
    return kind(entry) == SL_SERVICE_NAT && entry.key.address.is_v4() && !entry.has_one_port();
  };
  const auto is_narrow = [&](const Entry& entry) { return (kind(entry) & SL_SERVICE_NAT4) != 0; };
  if (!std::ranges::any_of(entries, is_wide) || !std::ranges::any_of(entries, is_narrow))
    return;
  for (auto& entry : entries)
    if (is_wide(entry) || is_narrow(entry))
      entry.service.flags |= SL_SERVICE_SHARES_PORTS;
}

/// The backends among which the least loaded one, or one that may have another flow, is found by
/// looking at all, if they are so few.
sl_members members_of(const planner::TableImage& table) {
  sl_members members{};
  std::set<std::uint16_t> ids;
  for (const auto id : table.slots)
    if (id && ids.insert(id).second && ids.size() > SL_EXACT_MEMBERS)
      return members;
  for (std::size_t i = 0; !ids.empty() && i < SL_EXACT_MEMBERS;)
    for (auto id = ids.begin(); id != ids.end() && i < SL_EXACT_MEMBERS; ++id)
      members.id[i++] = *id;
  return members;
}

sl_access access_of(const planner::AccessImage& access) {
  const bool denies = access.otherwise == model::Access::deny;
  return {.on = access.entries > 0 || denies,
          .list = access.list,
          .otherwise = denies ? SL_ACCESS_DENY : SL_ACCESS_ALLOW,
          .entries = access.entries,
          .digest = access.digest};
}

/// In the order of their addresses.
Entries entries_of(const planner::Image& image, const std::map<IpAddress, std::uint32_t>& ids) {
  Entries entries;
  const auto quic_pools = number_quic_pools(image);
  for (const auto& [key, service] : image.services) {
    const auto protocol = protocol_number(key.protocol);
    sl_service entry{};
    entry.key = key.port_end    ? SL_RANGES_KEY
                : key.port == 0 ? SL_REST_KEY(protocol)
                                : SL_SERVICE_KEY(ids.at(key.address), protocol, htons(key.port));
    entry.seed = service_seed(key);
    entry.id = service.id;
    entry.flags = flags_of(image, key, service.pool);
    if (entry.flags & SL_SERVICE_QUIC)
      entry.flags |= quic_pools.at(service.pool) << SL_QUIC_POOL_SHIFT;
    if (access_of(image.access).on)
      entry.flags |= SL_SERVICE_GUARDED;
    if (image.limit.rate != planner::RateImage{})
      entry.flags |= SL_SERVICE_LIMITED;
    entry.base = entry.holders = SL_NO_SLOT;
    entry.ports_mask = entry.flags & SL_SERVICE_AFFINE ? 0 : 0xffffffff;
    entry.settings = service.answer_echo ? SL_SETTING_ANSWERS_ECHO : 0;
    entry.slots = 1;
    if (const auto table = image.tables.find(service.pool);
        table != image.tables.end() && !table->second.slots.empty()) {
      entry.base = table->second.base;
      entry.slots = static_cast<__u32>(table->second.slots.size());
      if (!table->second.holders.empty())
        entry.holders = table->second.holder_base;
    }
    entries.push_back({key, entry});
  }
  mark_shared_ports(entries);
  return entries;
}

/// The first two places are for addresses without services: one that is empty, and one for what nat
/// sends from.
constexpr __u16 empty_place = 0, reply_place = 1, first_place = 2;

void clear_services(sl_front& front) {
  std::ranges::fill(front.service, sl_service{.key = SL_EMPTY_KEY});
  front.service[reply_place].key = SL_REPLY_KEY;
}

/// Sets two places apart for the ports that have no service of their own: those before `base`
/// afterwards.
/// @return the flag that says so
__u8 reserve_rest(sl_front& front, std::size_t& base) {
  for (int i = 0; i < 2; i++)
    front.service[base++].key = SL_RANGES_KEY;
  return SL_SERVICES_REST;
}

/// Each address gets a small table of its own. False where there is not room for all.
bool place_by_address(const Entries& entries, sl_front& front,
                      std::map<IpAddress, sl_services>& services) {
  clear_services(front);
  std::size_t base = first_place;
  for (auto first = entries.begin(); first != entries.end();) {
    const auto last = std::find_if(first, entries.end(), [&](const Entry& entry) {
      return entry.key.address != first->key.address;
    });
    Entries exact;
    std::copy_if(first, last, std::back_inserter(exact), std::mem_fn(&Entry::has_one_port));
    std::vector<std::uint32_t> keys;
    for (const auto& entry : exact)
      keys.push_back(entry.port_key());
    const auto hash = find_port_hash(keys);
    if (!hash || base + 2 + (std::size_t{1} << hash->bits) > std::size(front.service))
      return false;
    const bool rest = last - first > std::ssize(exact);
    const auto flags = rest ? reserve_rest(front, base) : __u8{0};
    services[first->key.address] = {hash->multiplier, static_cast<__u16>(base),
                                    static_cast<__u8>(32 - hash->bits), flags};
    for (std::size_t i = 0; i < exact.size(); i++)
      front.service[base + hash->places[i]] = exact[i].service;
    base += std::size_t{1} << hash->bits;
    first = last;
  }
  return true;
}

/// All of them in one table, which is the upper half.
bool place_displaced(const Entries& entries, sl_front& front,
                     std::map<IpAddress, sl_services>& services) {
  clear_services(front);
  services.clear();
  std::size_t base = first_place;
  Entries exact;
  std::ranges::copy_if(entries, std::back_inserter(exact), std::mem_fn(&Entry::has_one_port));
  std::vector<std::uint64_t> keys;
  for (const auto& entry : exact)
    keys.push_back(entry.service.key);
  for (const auto& entry : entries) {
    auto& of_address =
        services
            .try_emplace(entry.key.address, sl_services{1, empty_place, 32, SL_SERVICES_DISPLACED})
            .first->second;
    if (entry.has_one_port() || of_address.flags & SL_SERVICES_REST)
      continue;
    if (base + 2 >= std::size(front.service) / 2)
      return false;
    of_address.flags |= reserve_rest(front, base);
    of_address.base = static_cast<__u16>(base);
  }
  const auto hash = find_displaced_hash(keys, SL_SERVICE_BITS - 1);
  if (!hash)
    return false;
  front.displaced_service_multiplier = hash->multiplier;
  std::ranges::copy(hash->displacement, front.service_displacement);
  for (std::size_t i = 0; i < exact.size(); i++)
    front.service[std::size(front.service) / 2 + hash->places[i]] = exact[i].service;
  return true;
}

/// The services for every port into the places that were reserved, those for a range wherever there
/// is room: only their range leads there.
bool place_rest(Entries entries, const std::map<IpAddress, sl_services>& services,
                sl_front& front) {
  std::erase_if(entries, std::mem_fn(&Entry::has_one_port));
  std::ranges::sort(entries, {}, [](const Entry& entry) {
    return std::tuple(entry.key.address, entry.key.protocol, entry.key.port);
  });
  std::size_t place = first_place;
  __u32 ranges = 0;
  for (const auto& [key, service] : entries) {
    auto& rest =
        front.service[sl_rest_place(protocol_number(key.protocol), &services.at(key.address))];
    if (key.port == 0) {  // before the ranges
      rest = service;
      continue;
    }
    while (place < std::size(front.service) && front.service[place].key != SL_EMPTY_KEY)
      place++;
    if (place == std::size(front.service))
      return false;
    front.service[place] = service;
    if (rest.ranges++ == 0)
      rest.first_range = ranges;
    front.range[ranges++] = {key.port, key.port_end, static_cast<__u16>(place), 0};
  }
  return true;
}

/// Among all services those with one port are found by a hash; how, depends on how many there are.
bool place_services(const Entries& entries, sl_front& front,
                    std::map<IpAddress, sl_services>& services) {
  return (place_by_address(entries, front, services) && place_rest(entries, services, front)) ||
         (place_displaced(entries, front, services) && place_rest(entries, services, front));
}

/// What the front has for the addresses of one family.
template <class Address>
struct Family {
  std::span<Address> places;
  __u64& multiplier;
  __u64& displaced_multiplier;
  std::span<__u16> displacement;
  __u64 displaced;  ///< the front's flag
};

std::uint64_t key_of(const sl_address4& address) {
  return address.address;
}
std::uint64_t key_of(const sl_address6& address) {
  return sl_fold6(address.high, address.low);
}

/// An address that packets look for in another place than the first.
template <class Address>
Address elsewhere(__u64 multiplier) {
  Address address{};
  auto& word = reinterpret_cast<__u32&>(address);
  do
    word++;
  while (sl_place(key_of(address), multiplier, SL_ADDRESS_BITS) == 0);
  return address;
}

/// Gives each address its place. What is left empty gets an address that does not belong there:
/// zero belongs into the first place.
template <class Address>
bool place_addresses(const std::vector<Address>& addresses, const Family<Address>& family,
                     __u64& flags) {
  std::vector<std::uint64_t> keys;
  for (const auto& address : addresses)
    keys.push_back(key_of(address));
  std::vector<std::uint32_t> places;
  if (auto direct = find_direct_hash(keys, SL_ADDRESS_BITS)) {
    family.multiplier = direct->multiplier;
    places = std::move(direct->places);
  } else if (auto displaced = find_displaced_hash(keys, SL_ADDRESS_BITS)) {
    flags |= family.displaced;
    family.multiplier = family.displaced_multiplier = displaced->multiplier;
    std::ranges::copy(displaced->displacement, family.displacement.begin());
    places = std::move(displaced->places);
  } else {
    return false;
  }
  family.places[0] = elsewhere<Address>(family.multiplier);
  for (std::size_t i = 0; i < addresses.size(); i++)
    family.places[places[i]] = addresses[i];
  return true;
}

bool place_addresses(const std::map<IpAddress, std::uint32_t>& ids,
                     const std::map<IpAddress, sl_services>& services, sl_front& front) {
  std::vector<sl_address4> addresses4;
  std::vector<sl_address6> addresses6;
  for (const auto& [address, id] : ids) {
    const auto found = services.find(address);
    const auto of_address = found != services.end()      ? found->second
                            : id & SL_ADDRESS_NAT_SOURCE ? sl_services{1, reply_place, 32, 0}
                                                         : sl_services{1, empty_place, 32, 0};
    const auto words = words6(address);
    if (address.is_v4())
      addresses4.push_back({address.words()[0], id, of_address});
    else
      addresses6.push_back({words.high, words.low, id, 0, of_address});
  }
  const Family<sl_address4> family4{front.address4, front.multiplier4, front.displaced_multiplier4,
                                    front.displacement4, SL_FRONT_DISPLACED4};
  const Family<sl_address6> family6{front.address6, front.multiplier6, front.displaced_multiplier6,
                                    front.displacement6, SL_FRONT_DISPLACED6};
  return place_addresses(addresses4, family4, front.flags) &&
         place_addresses(addresses6, family6, front.flags);
}

/// Gives each server id its place.
bool place_servers(const planner::Image& image, sl_quic_servers& quic) {
  const auto numbers = number_quic_pools(image);
  std::vector<sl_quic_server> servers;
  std::vector<std::uint64_t> keys;
  for (const auto& [key, backend] : image.backends) {
    const auto number = numbers.find(key.pool);
    const auto& id = backend.quic_server_id;
    if (number == numbers.end() || id.empty() || id.size() > SL_QUIC_ID_MOST)
      continue;
    sl_quic_server server{};
    server.id.bytes[0] = static_cast<__u8>(number->second);
    std::ranges::copy(id, server.id.bytes + 1);
    server.backend = backend.id;
    server.length = static_cast<__u16>(id.size());
    servers.push_back(server);
    keys.push_back(sl_quic_key(&server.id));
  }
  const auto hash = find_displaced_hash(keys, SL_QUIC_BITS);
  if (!hash)
    return false;
  quic.multiplier = hash->multiplier;
  std::ranges::copy(hash->displacement, quic.displacement);
  for (std::size_t i = 0; i < servers.size(); i++)
    quic.server[hash->places[i]] = servers[i];
  return true;
}

}  // namespace

__u32 flags_for(model::Protocol protocol, __u32 flags) {
  return protocol == model::Protocol::udp ? flags
                                          : flags & ~(SL_SERVICE_QUIC | SL_SERVICE_QUIC_ROTATION);
}

std::uint64_t fragments_of(model::Fragments fragments) {
  switch (fragments) {
  case model::Fragments::drop:
    return SL_FRAGMENTS_DROP;
  case model::Fragments::reassemble:
    return SL_FRAGMENTS_REASSEMBLE;
  case model::Fragments::pass:
    break;
  }
  return SL_FRAGMENTS_PASS;
}

sl_idle idle_of(const planner::IdleImage& idle) {
  return {.opening = SL_IDLE_OPENING,
          .tcp = idle.tcp,
          .closing = idle.closing,
          .closing_one_sided = idle.closing_one_sided,
          .udp = idle.udp,
          .affinity = idle.affinity,
          .pad = {}};
}

__u32 table_flags(const planner::TableImage& table) {
  __u32 flags = table.tracked ? SL_SERVICE_TRACKED : 0u;
  flags |= SL_QUIC_FLAGS(table.quic.server_id_length, table.quic.config_rotation);
  if (table.affinity == model::Affinity::source)
    flags |= SL_SERVICE_AFFINE;
  switch (table.algorithm) {
  case model::Algorithm::roundRobin:
    return flags | SL_SERVICE_ROUND_ROBIN;
  case model::Algorithm::leastConnections:
    return flags | SL_SERVICE_LEAST_CONNECTIONS;
  case model::Algorithm::maglev:
    break;
  }
  return flags;
}

std::uint64_t service_seed(const planner::ServiceKey& key) {
  const auto words = words6(key.address);
  const std::uint64_t rest = std::uint64_t{key.port_end} << 24 | std::uint64_t{key.port} << 8 |
                             protocol_number(key.protocol);
  return sl_mix(sl_fold6(words.high ^ rest, words.low));
}

Result<void> build_front(const planner::Image& image, sl_front& front) {
  std::memset(&front, 0, sizeof front);
  front.fragments = fragments_of(image.fragments);
  front.access = access_of(image.access);
  front.idle = idle_of(image.idle);
  for (const auto& [key, service] : image.services)
    if (const auto table = image.tables.find(service.pool); table != image.tables.end())
      front.members[service.id] = members_of(table->second);
  front.limit = encode_rate(image.limit.rate);
  front.batch = batch_of(image.limit.rate);
  front.excess = image.limit.mark ? SL_EXCESS_PASS : SL_EXCESS_DROP;
  front.mark = image.limit.mark;
  const auto ids = number_addresses(image);
  for (const auto& [key, backend] : image.backends)
    if (backend.forwarding == model::Forwarding::nat && backend.preserve_client_address)
      front.flags |= SL_FRONT_REPLY_BY_SOURCE;
  if (!place_servers(image, front.quic))
    return fail(Code::full, "no perfect hash was found for the QUIC server ids of the backends: "
                            "two of a pool are the same");
  const auto entries = entries_of(image, ids);
  std::map<IpAddress, sl_services> services;
  if (!place_services(entries, front, services) || !place_addresses(ids, services, front))
    return fail(Code::full,
                "no perfect hash was found for " + std::to_string(image.services.size()) +
                    " services and " + std::to_string(ids.size()) +
                    " addresses (VIPs, nat sources, backends that keep the client's address); "
                    "there are " +
                    std::to_string(1u << SL_ADDRESS_BITS) +
                    " places for addresses of a family; use fewer of them");
  return {};
}

}  // namespace sluice::dataplane::xdp
