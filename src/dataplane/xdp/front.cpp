#include "dataplane/xdp/front.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "dataplane/xdp/perfect_hash.hpp"

namespace sluice::dataplane::xdp {

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
  for (const auto& [key, service] : image.services)
    if (ids.try_emplace(key.address, next).second)
      next++;
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

void take(const PerfectHash& hash, __u64& multiplier, __u16* displacement) {
  multiplier = hash.multiplier;
  std::ranges::copy(hash.displacement, displacement);
}

bool place_addresses(const std::map<IpAddress, std::uint32_t>& ids, sl_front& front) {
  std::vector<std::uint64_t> keys4, keys6;
  std::vector<std::pair<IpAddress, std::uint32_t>> addresses4, addresses6;
  for (const auto& [address, id] : ids) {
    if (address.is_v4()) {
      keys4.push_back(address.words()[0]);
      addresses4.emplace_back(address, id);
    } else {
      const auto words = words6(address);
      keys6.push_back(sl_fold6(words.high, words.low));
      addresses6.emplace_back(address, id);
    }
  }
  const auto hash4 = find_perfect_hash(keys4, SL_ADDRESS_BITS);
  const auto hash6 = find_perfect_hash(keys6, SL_ADDRESS_BITS);
  if (!hash4 || !hash6)
    return false;
  take(*hash4, front.multiplier4, front.displacement4);
  take(*hash6, front.multiplier6, front.displacement6);
  for (std::size_t i = 0; i < addresses4.size(); i++)
    front.address4[hash4->places[i]] = {addresses4[i].first.words()[0], addresses4[i].second};
  for (std::size_t i = 0; i < addresses6.size(); i++) {
    const auto words = words6(addresses6[i].first);
    front.address6[hash6->places[i]] = {words.high, words.low, addresses6[i].second, 0, 0};
  }
  return true;
}

/// How the services of a pool are looked up is a property of its backends, which all have the same
/// forwarding.
bool pool_is_nat(const planner::Image& image, const std::string& pool) {
  const auto first = image.backends.lower_bound({pool, IpAddress(), 0});
  return first != image.backends.end() && first->first.pool == pool &&
         first->second.forwarding == model::Forwarding::nat;
}

bool place_services(const planner::Image& image, const std::map<IpAddress, std::uint32_t>& ids,
                    sl_front& front) {
  std::vector<std::uint64_t> keys;
  std::vector<sl_service> services;
  for (const auto& [key, service] : image.services) {
    sl_service entry{};
    entry.key = SL_SERVICE_KEY(ids.at(key.address), protocol_number(key.protocol), htons(key.port));
    entry.seed = service_seed(key);
    entry.id = service.id;
    entry.flags = pool_is_nat(image, service.pool) ? SL_SERVICE_NAT : 0;
    if (const auto table = image.tables.find(service.pool); table != image.tables.end())
      entry.range = std::uint64_t{table->second.slots.size()} << 32 | table->second.base;
    keys.push_back(entry.key);
    services.push_back(entry);
  }
  const auto hash = find_perfect_hash(keys, SL_SERVICE_BITS);
  if (!hash)
    return false;
  take(*hash, front.service_multiplier, front.service_displacement);
  for (std::size_t i = 0; i < services.size(); i++)
    front.service[hash->places[i]] = services[i];
  return true;
}

}  // namespace

std::uint8_t protocol_number(model::Protocol protocol) {
  return protocol == model::Protocol::tcp ? 6 : 17;
}

std::uint64_t service_seed(const planner::ServiceKey& key) {
  const auto words = words6(key.address);
  const std::uint64_t rest = std::uint64_t{key.port} << 8 | protocol_number(key.protocol);
  return sl_mix(sl_fold6(words.high ^ rest, words.low));
}

Result<void> build_front(const planner::Image& image, sl_front& front) {
  std::memset(&front, 0, sizeof front);
  const auto ids = number_addresses(image);
  for (const auto& [key, backend] : image.backends)
    if (backend.forwarding == model::Forwarding::nat && backend.preserve_client_address)
      front.flags |= SL_FRONT_REPLY_BY_SOURCE;
  if (!place_addresses(ids, front) || !place_services(image, ids, front))
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
