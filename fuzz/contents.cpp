#include "contents.hpp"

#include <stdexcept>

#include "dataplane/xdp/encode.hpp"
#include "dataplane/xdp/front.hpp"
#include "planner/phases.hpp"

namespace sluice::fuzz {

namespace {

using planner::BackendImage;
using planner::BackendKey;

BackendKey key_of(const reference::World& world, const reference::Pool& pool, std::uint16_t id) {
  return {pool.name, world.backends[id].address, world.backends[id].port};
}

/// That there is a limit; how high it is stands in encoded().
planner::RateImage rate_of(const reference::Rate& rate) {
  return {.packets_per_second = rate.burst ? 1u : 0u, .burst = rate.burst};
}

sl_rate encoded(const reference::Rate& rate) {
  const auto interval = rate.burst ? rate.seconds * second_of_limits : 0;
  return {.interval = interval,
          .depth = rate.burst * interval,
          .packets_per_second = rate.burst ? 1u : 0u,
          .burst = rate.burst};
}

BackendImage image_of(const reference::Backend& backend, std::uint16_t id) {
  BackendImage image;
  image.id = id;
  image.forwarding = static_cast<model::Forwarding>(backend.forwarding);
  image.preserve_client_address = backend.preserve_client_address;
  image.enabled = backend.enabled;
  image.source_mac = backend.source;
  image.destination_mac = backend.destination;
  image.mtu = backend.mtu;
  image.resolved = backend.resolved;
  image.source = backend.from;
  image.source_varying_bits = backend.from_varies ? 16 : 0;
  image.quic_server_id = backend.server_id;
  image.weight = static_cast<std::uint16_t>(backend.weight);
  image.max_connections = backend.max_connections;
  image.limit = rate_of(backend.limit);
  return image;
}

model::Fragments fragments_of(reference::Fragments fragments) {
  switch (fragments) {
  case reference::Fragments::drop:
    return model::Fragments::drop;
  case reference::Fragments::reassemble:
    return model::Fragments::reassemble;
  case reference::Fragments::pass:
    break;
  }
  return model::Fragments::pass;
}

planner::ServiceKey key_of(const reference::Service& service) {
  return {service.address, service.first_port,
          service.udp ? model::Protocol::udp : model::Protocol::tcp, service.last_port};
}

}  // namespace

Contents contents_of(const reference::World& world) {
  static_assert(static_cast<int>(reference::Forwarding::dsr_ipip) == SL_FORWARDING_DSR_IPIP);
  Contents contents{};
  planner::Image image;
  static_assert(static_cast<int>(reference::Algorithm::least_connections) ==
                static_cast<int>(model::Algorithm::leastConnections));
  contents.backends.resize(world.backends.size());
  contents.loads.resize(world.backends.size());
  contents.limits.resize(world.backends.size());
  std::uint32_t next = 1000;  // in the arena
  for (const auto& pool : world.pools) {
    for (const auto id : pool.backends) {
      const auto key = key_of(world, pool, id);
      image.backends[key] = image_of(world.backends[id], id);
      contents.backends[id] =
          dataplane::xdp::encode_backend(key, image.backends[key], world.backends[id].interface);
      contents.loads[id] = {.active = 0,
                            .limit = world.backends[id].max_connections,
                            .weight = world.backends[id].weight,
                            .pad = 0};
      contents.limits[id] = encoded(world.backends[id].limit);
    }
    auto& table = image.tables[pool.name];
    table.algorithm = static_cast<model::Algorithm>(pool.algorithm);
    table.affinity = pool.affine ? model::Affinity::source : model::Affinity::none;
    table.tracked = pool.tracked;
    for (const auto& slot : pool.slots)
      table.slots.push_back(slot.owner);
    table.holders = planner::pack_holders(pool.slots);
    table.quic = {static_cast<std::uint8_t>(pool.server_id_length),
                  static_cast<std::uint8_t>(pool.config_rotation)};
    table.base = pool.lost ? SL_NO_SLOT + 1 : next;
    if (pool.lost)
      continue;
    next += static_cast<std::uint32_t>(table.slots.size());
    table.holder_base = next;
    next += static_cast<std::uint32_t>(table.holders.size());
    for (std::uint32_t i = 0; i < pool.slots.size(); i++) {
      const bool settled = pool.slots[i].phase == transition::Phase::settled;
      contents.slots.emplace_back(table.base + i,
                                  table.slots[i] | (settled ? 0 : SL_SLOT_TRANSITION));
      if (!table.holders.empty())
        contents.slots.emplace_back(table.holder_base + i, table.holders[i]);
    }
  }
  contents.vips.resize(SL_MAX_SERVICES);
  for (const auto& service : world.services) {
    image.services[key_of(service)] = {service.id, "", world.pools[service.pool].name,
                                       service.answers_echo};
    contents.vips.at(service.id) = dataplane::xdp::vip_of(key_of(service));
  }
  image.fragments = fragments_of(world.fragments);
  image.access.entries = static_cast<std::uint32_t>(world.access.size());
  image.limit = {.rate = rate_of(world.limit), .mark = world.mark};
  image.access.otherwise = world.deny_otherwise ? model::Access::deny : model::Access::allow;
  if (!dataplane::xdp::build_front(image, contents.front))
    throw std::runtime_error("no front for the world '" + world.name + "'");
  contents.front.limit = encoded(world.limit);
  contents.front.batch = world.batch;
  contents.active = world.services.size() & 2 ? 1 : 0;
  contents.flow_multiplier = world.flow_multiplier;
  return contents;
}

void set_loads(const Contents& contents, sl_loads& loads, sl_limit* limits) {
  for (std::size_t id = 0; id < contents.loads.size(); id++) {
    loads.backend[id].limit = contents.loads[id].limit;
    loads.backend[id].weight = contents.loads[id].weight;
    limits[id].rate = contents.limits[id];
  }
}

}  // namespace sluice::fuzz
