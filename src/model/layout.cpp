// Finds out which backend belongs to which pool.
#include "model/layout.hpp"

#include <algorithm>
#include <utility>

namespace sluice::model {

Unread::Unread(const std::vector<Fault>& faults) {
  for (const auto& fault : faults)
    pointers_.insert(fault.pointer);
}

bool Unread::covers(std::string_view pointer) const {
  if (pointers_.empty())
    return false;
  for (auto above = pointer; !above.empty(); above = above.substr(0, above.rfind('/')))
    if (pointers_.contains(above))
      return true;
  if (pointers_.contains(std::string_view()))
    return true;
  const auto in_it = std::string(pointer) + "/";
  const auto next = pointers_.lower_bound(in_it);
  return next != pointers_.end() && next->starts_with(in_it);
}

namespace {

bool same_endpoint(const Backend& one, const Backend& other) {
  return one.ip == other.ip && one.port == other.port;
}

}  // namespace

std::map<std::string, PoolLayout> lay_out(const Config& config, const Unread& unread) {
  std::map<std::string, PoolLayout> pools;
  for (const auto& pool : effective_pools(config))
    pools[pool.name] = {.forwarding = pool.forwarding,
                        .forwarding_known = !unread.covers("/xdp/forwarding"),
                        .preserve_client_address = pool.preserve_client_address,
                        .algorithm = pool.algorithm,
                        .algorithm_known = !unread.covers("/xdp/algorithm"),
                        .table_size = pool.table_size,
                        .quic = pool.quic,
                        .backends = {}};
  for (std::size_t i = 0; i < config.pools.size(); i++) {
    const auto& pool = config.pools[i];
    const auto pointer = "/pools/" + std::to_string(i);
    auto& layout = pools[pool.name];
    if (pool.forwarding)
      layout.forwarding_known = true;
    if (pool.algorithm)
      layout.algorithm_known = true;
    if (unread.covers(pointer + "/forwarding") || unread.covers(pointer + "/name"))
      layout.forwarding_known = false;
    if (unread.covers(pointer + "/algorithm") || unread.covers(pointer + "/name"))
      layout.algorithm_known = false;
    if (unread.covers(pointer + "/quic") || unread.covers(pointer + "/name"))
      layout.quic.reset();
    for (std::size_t k = 0; pool.name != default_pool && k < pool.backends.size(); k++) {
      const auto place = pointer + "/backends/" + std::to_string(k);
      if (!unread.covers(place))
        layout.backends.push_back({&pool.backends[k], place});
    }
  }
  for (std::size_t i = 0; i < config.l4_backends.size(); i++) {
    const auto& backend = config.l4_backends[i];
    const auto place = "/l4_backends/" + std::to_string(i);
    const auto pool = pools.find(backend.pool.value_or(std::string(default_pool)));
    if (pool == pools.end() || unread.covers(place))
      continue;
    std::erase_if(pool->second.backends, [&](const PlacedBackend& placed) {
      return same_endpoint(*placed.backend, backend);
    });
    pool->second.backends.push_back({&backend, place});
  }
  return pools;
}

void distribute_backends(Config& config) {
  std::vector<Backend> stay;
  for (auto& backend : config.l4_backends) {
    const auto name = std::exchange(backend.pool, std::nullopt).value_or(std::string(default_pool));
    const auto pool = std::ranges::find(config.pools, name, &Pool::name);
    if (name == default_pool || pool == config.pools.end()) {
      stay.push_back(std::move(backend));
      continue;
    }
    std::erase_if(pool->backends,
                  [&](const Backend& other) { return same_endpoint(other, backend); });
    pool->backends.push_back(std::move(backend));
  }
  config.l4_backends = std::move(stay);
}

}  // namespace sluice::model
