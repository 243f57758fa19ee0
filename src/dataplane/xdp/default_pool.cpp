// The loader's calls for single servers of the pool `default`: a change of the running image,
// planned and applied.
#include <algorithm>
#include <set>

#include "dataplane/xdp/loader.hpp"
#include "model/quic.hpp"
#include "planner/plan.hpp"

namespace sluice::dataplane::xdp {

namespace {

Result<IpAddress> backend_address(std::string_view ip) {
  auto address = IpAddress::parse(ip);
  if (!address)
    return fail(address.error());
  if (address->is_unspecified() || address->is_multicast() || address->is_loopback())
    return fail(Code::invalid, address->to_string() + " cannot be a backend's address");
  return address;
}

}  // namespace

Result<void> Loader::change_default_pool(const EditBackends& edit,
                                         const model::Topology& topology) {
  auto image = running();
  if (!image)
    return fail(image.error());
  // A configuration that says what runs: pools and services are not touched, so only what concerns
  // the pool is written.
  const std::string pool(model::default_pool);
  model::Config config;
  model::Pool settings;
  settings.name = pool;
  model::Topology ways = topology;
  planner::Image rest = *image;
  std::set<std::uint16_t> serving;
  if (const auto table = image->tables.find(pool); table != image->tables.end())
    serving.insert(table->second.slots.begin(), table->second.slots.end());
  for (const auto& [key, backend] : image->backends) {
    if (key.pool != pool)
      continue;
    model::Backend entry;
    entry.ip = key.address;
    if (key.port)
      entry.port = key.port;
    entry.weight = backend.weight;
    if (backend.max_connections)
      entry.maxConnections = backend.max_connections;
    if (!backend.quic_server_id.empty())
      entry.quicServerId = model::server_id_to_string(backend.quic_server_id);
    entry.rateLimit = {.packetsPerSecond = backend.limit.packets_per_second, .burst = {}};
    if (backend.limit.burst)
      entry.rateLimit->burst = backend.limit.burst;
    // Resolved and yet without a slot: it was taken out on purpose.
    entry.enabled = !backend.resolved || serving.contains(backend.id);
    if (backend.source_varying_bits)
      (key.address.is_v4() ? config.xdp.encapSource : config.xdp.encapSource6) =
          backend.source.to_string() + (key.address.is_v4() ? "/16" : "/112");
    config.l4_backends.push_back(entry);
    settings.forwarding = backend.forwarding;
    settings.preserveClientAddress = backend.preserve_client_address;
    auto& hop = ways.next_hops[key.address];
    if (!topology.next_hops.contains(key.address))
      hop = {.ifindex = backend.ifindex,
             .via = key.address,  // of dsr-l2; for the others it makes no difference
             .source = backend.source_mac,
             .destination = backend.destination_mac,
             .preferred_source = backend.source,
             .mtu = backend.mtu,
             .resolved = backend.resolved,
             .problem = {}};
    rest.backends.erase(key);
  }
  if (const auto table = image->tables.find(pool); table != image->tables.end()) {
    if (!table->second.slots.empty())
      settings.tableSize = static_cast<std::uint32_t>(table->second.slots.size());
    settings.hashFunctions = std::max<std::uint16_t>(1, table->second.hash_functions);
    settings.algorithm = table->second.algorithm;
    settings.affinity = table->second.affinity;
    if (table->second.tracked)
      settings.connectionTracking = model::Tracking::full;
    if (const auto& quic = table->second.quic; quic != planner::QuicImage{})
      settings.quic = {.serverIdLength = quic.server_id_length,
                       .configRotation = quic.config_rotation};
  }
  config.pools.push_back(settings);
  if (auto edited = edit(config.l4_backends); !edited)
    return edited;
  auto plan = planner::make_plan(*image, config, ways);
  if (!plan)
    return fail(plan.error());
  // Everything outside the pool stays: only the steps for it are kept, over the image that runs.
  planner::Image after = rest;
  for (const auto& [key, backend] : plan->after.backends)
    after.backends.emplace(key, backend);
  after.tables[pool] = plan->after.tables.at(pool);
  planner::Plan kept;
  kept.after = std::move(after);
  for (auto& step : plan->steps) {
    const auto* removed = std::get_if<planner::RemoveBackend>(&step);
    const auto* forgotten = std::get_if<planner::ForgetTable>(&step);
    const bool foreign = (removed && removed->key.pool != pool) ||
                         (forgotten && forgotten->pool != pool) ||
                         std::holds_alternative<planner::Attach>(step) ||
                         std::holds_alternative<planner::StartMarking>(step) ||
                         std::holds_alternative<planner::StopMarking>(step) ||
                         std::holds_alternative<planner::Detach>(step);
    if (!foreign)
      kept.steps.push_back(std::move(step));
  }
  return apply(kept);
}

Result<void> Loader::add_backend(std::string_view ip, const model::Topology& topology) {
  auto address = backend_address(ip);
  if (!address)
    return fail(address.error());
  return change_default_pool(
      [&](std::vector<model::Backend>& backends) -> Result<void> {
        for (const auto& backend : backends)
          if (backend.ip == *address && !backend.port)
            return fail(Code::exists, address->to_string() + " is in the pool already");
        model::Backend backend;
        backend.ip = *address;
        backends.push_back(backend);
        return {};
      },
      topology);
}

Result<void> Loader::remove_backend(std::string_view ip, const model::Topology& topology) {
  auto address = backend_address(ip);
  if (!address)
    return fail(address.error());
  return change_default_pool(
      [&](std::vector<model::Backend>& backends) -> Result<void> {
        if (std::erase_if(backends, [&](const model::Backend& backend) {
              return backend.ip == *address && !backend.port;
            }) == 0)
          return fail(Code::not_found, address->to_string() + " is not in the pool");
        return {};
      },
      topology);
}

}  // namespace sluice::dataplane::xdp
