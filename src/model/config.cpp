// Fills in the defaults of pools.
#include "model/config.hpp"

#include <algorithm>
#include <map>

namespace sluice::model {

std::string ports_to_string(std::uint16_t port, std::uint16_t last) {
  if (port == 0)
    return "any";
  return std::to_string(port) + (last > port ? "-" + std::to_string(last) : "");
}

bool needs_full_tracking(Forwarding forwarding, Algorithm algorithm,
                         const std::vector<Backend>& backends) {
  return forwarding == Forwarding::nat || algorithm != Algorithm::maglev ||
         std::ranges::any_of(
             backends, [](const Backend& backend) { return backend.maxConnections.has_value(); });
}

std::uint32_t effective_burst(std::uint32_t packets_per_second,
                              const std::optional<std::uint32_t>& burst) {
  if (packets_per_second == 0)
    return 0;
  return std::max(burst.value_or(packets_per_second / 10), 1u);
}

std::vector<EffectivePool> effective_pools(const Config& config) {
  std::map<std::string, EffectivePool> pools;
  const auto add = [&](const Pool& pool) {
    pools.insert_or_assign(
        pool.name, EffectivePool{
                       .name = pool.name,
                       .forwarding = pool.forwarding.value_or(config.xdp.forwarding),
                       .preserve_client_address = pool.preserveClientAddress.value_or(false),
                       .algorithm = pool.algorithm.value_or(config.xdp.algorithm),
                       .tracking = pool.connectionTracking.value_or(config.xdp.connectionTracking),
                       .affinity = pool.affinity,
                       .table_size = pool.tableSize.value_or(config.maglev.tableSize),
                       .hash_functions = pool.hashFunctions.value_or(config.maglev.hashFunctions),
                       .quic = pool.quic,
                       .backends = pool.backends,
                   });
  };
  const std::string name(default_pool);
  const bool default_counts =
      !config.l4_backends.empty() ||
      std::ranges::find(config.services, name, &Service::pool) != config.services.end();
  if (default_counts) {
    Pool implicit;
    implicit.name = name;
    add(implicit);
  }
  for (const auto& pool : config.pools)
    add(pool);
  if (const auto found = pools.find(name); found != pools.end())
    found->second.backends = config.l4_backends;

  std::vector<EffectivePool> ordered;
  for (auto& [key, pool] : pools) {
    if (needs_full_tracking(pool.forwarding, pool.algorithm, pool.backends))
      pool.tracking = Tracking::full;
    ordered.push_back(std::move(pool));
  }
  return ordered;
}

}  // namespace sluice::model
