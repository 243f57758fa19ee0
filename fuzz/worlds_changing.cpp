// Worlds whose configuration changes while packets come: backends that are drained, switched off
// and back on, weights, limits and algorithms.
#include "world_builder.hpp"
#include "worlds.hpp"

namespace sluice::fuzz {

namespace {

using namespace reference;

struct Pools {
  std::size_t hashed, tracked, turns, staying, least, nat, nat_turns, nat6, keep;
};

Pools add_pools(Builder& builder) {
  const auto l2 = Forwarding::dsr_l2;
  Pools pools{};
  pools.hashed = builder.pool(l2, {"10.0.1.21", "10.0.1.22", "10.0.1.23"});
  pools.tracked = builder.tracked(l2, {"10.0.1.24", "10.0.1.25", "10.0.1.26"});
  pools.turns = builder.tracked(l2, {"10.0.1.27", "10.0.1.28", "10.0.1.29"});
  pools.staying = builder.affine(builder.tracked(l2, {"10.0.1.34", "10.0.1.35", "10.0.1.36"}));
  pools.least = builder.tracked(Forwarding::dsr_ipip, {"10.0.1.31", "10.0.1.32", "fd00:1::33"});
  pools.nat = builder.pool(Forwarding::nat, {"10.0.1.11", "10.0.1.12", "10.0.1.13"},
                           [](Backend& one, int) { one.port = 8080; });
  pools.nat_turns = builder.affine(builder.pool(Forwarding::nat, {"10.0.1.14", "10.0.1.15"}));
  pools.nat6 = builder.pool(Forwarding::nat, {"fd00:1::11", "fd00:1::12"});
  pools.keep = builder.pool(Forwarding::nat, {"10.0.1.41"},
                            [](Backend& one, int) { one.preserve_client_address = true; });
  builder.set(pools.turns, Algorithm::round_robin);
  builder.set(pools.staying, Algorithm::round_robin);
  builder.set(pools.nat_turns, Algorithm::round_robin);
  builder.set(pools.least, Algorithm::least_connections);
  builder.serve(vip, 80, pools.hashed).serve(vip, 81, pools.tracked).serve(vip, 82, pools.turns);
  builder.serve(vip, 83, pools.least).serve(vip, 85, pools.nat).serve(vip, 86, pools.nat_turns);
  builder.serve(vip, 84, pools.staying).serve(vip6, 84, pools.staying);
  builder.serve(vip, 87, pools.keep).serve(vip6, 80, pools.hashed).serve(vip6, 81, pools.tracked);
  builder.serve(vip6, 83, pools.least).serve(vip6, 85, pools.nat6);
  builder.serve(wide, 8000, pools.nat, 8099).serve(wide, 0, pools.hashed);
  builder.world().fragments = Fragments::reassemble;
  builder.world().few_routers = true;
  builder.world().familiar = true;
  return pools;
}

/// The nth backend of each pool.
std::vector<Backend*> each(World& world, std::size_t n) {
  std::vector<Backend*> backends;
  for (const auto& pool : world.pools)
    if (n < pool.backends.size())
      backends.push_back(&world.backends[pool.backends[n]]);
  return backends;
}

/// What tables become when weights and backends have changed: none has slots that gets no flows.
/// `phase`: of the slots of pools without full tracking that change hands.
void share_out(World& world, const World& before, transition::Phase phase) {
  for (std::size_t i = 0; i < world.pools.size(); i++) {
    auto& pool = world.pools[i];
    std::vector<std::uint16_t> turns;
    for (std::uint32_t round = 0; round < 4; round++)
      for (const auto id : pool.backends)
        if (round < world.backends[id].weight && world.backends[id].enabled)
          turns.push_back(id);
    const bool exceptions =
        !pool.tracked && world.backends[pool.backends[0]].forwarding != Forwarding::nat;
    for (std::size_t at = 0; at < pool.slots.size(); at++) {
      auto& slot = pool.slots[at];
      const auto old = before.pools[i].slots[at].owner;
      slot = {turns.empty() ? std::uint16_t{0} : turns[at % turns.size()]};
      if (exceptions && slot.owner != old)
        slot = {slot.owner, old, phase, 4};
    }
  }
}

World then(const World& before, const char* name, transition::Phase phase,
           void (*change)(World& world)) {
  World world = before;
  world.name = name;
  world.later.clear();
  change(world);
  share_out(world, before, phase);
  return world;
}

World changing() {
  Builder builder("changes");
  add_pools(builder);
  auto& world = builder.echo().world();
  std::vector<World> later;
  const auto next = [&](const char* name, transition::Phase phase, void (*change)(World&)) {
    later.push_back(then(later.empty() ? world : later.back(), name, phase, change));
  };
  using transition::Phase;
  next("the first of each pool is drained", Phase::learning, [](World& changed) {
    for (auto* one : each(changed, 0))
      if (one->address != ip("10.0.1.41"))
        one->weight = 0;
  });
  next("and switched off, others weigh more", Phase::learning, [](World& changed) {
    for (auto* one : each(changed, 0))
      one->enabled = one->weight > 0;
    for (auto* one : each(changed, 1))
      one->weight = 3;
  });
  next("the second cannot be reached", Phase::pinned, [](World& changed) {
    for (auto* one : each(changed, 1))
      one->resolved = false;
  });
  next("the first is back, limits come", Phase::learning, [](World& changed) {
    for (auto* one : each(changed, 0)) {
      one->weight = 2;
      one->enabled = true;
    }
    for (auto* one : each(changed, 1)) {
      one->resolved = true;
      if (one->address.is_v4() && one->address != ip("10.0.1.12"))  // that has ranges, too
        one->limit = {.burst = 20, .seconds = 4};
    }
    for (auto* one : each(changed, 2))
      if (!one->preserve_client_address)
        one->max_connections = 3;
    changed.limit = {.burst = 400, .seconds = 1};
  });
  next("the next hops are others, a limit is lower", Phase::learning, [](World& changed) {
    for (auto* one : each(changed, 0)) {
      one->destination.bytes[0] = 6;
      one->interface = 1;
    }
    for (auto* one : each(changed, 1))
      one->limit.burst = one->limit.burst ? 5 : 0;
    changed.limit = {.burst = 40, .seconds = 1};
    changed.fragments = Fragments::pass;
  });
  world.later = std::move(later);
  return world;
}

}  // namespace

void add_changing_worlds(std::vector<World>& worlds) {
  worlds.push_back(changing());
}

}  // namespace sluice::fuzz
