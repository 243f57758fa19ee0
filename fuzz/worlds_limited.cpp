// Worlds with limits: of the flows that backends may have, and of packets.
#include "world_builder.hpp"
#include "worlds.hpp"

namespace sluice::fuzz {

namespace {

using namespace reference;

World of_connections() {
  Builder builder("limits of connections");
  const auto few = [](Backend& one, int i) {
    one.max_connections = i == 0 ? 1 : i == 1 ? 6 : 3;
    one.weight = i == 1 ? 4 : 1;
    one.interface = i == 1;
  };
  const auto hashed = builder.tracked(
      Forwarding::dsr_l2, {"10.0.1.21", "10.0.1.22", "10.0.1.23", "10.0.1.24", "10.0.1.25"}, few);
  const auto one = builder.tracked(Forwarding::dsr_ipip, {"10.0.1.31"}, [](Backend& only, int) {
    only.max_connections = 1;
    only.from = ip("10.99.0.0");
    only.from_varies = true;
  });
  const auto turns =
      builder.tracked(Forwarding::dsr_l2, {"10.0.1.26", "10.0.1.27", "10.0.1.28"}, few);
  const auto least =
      builder.tracked(Forwarding::dsr_l2, {"fd00:1::21", "fd00:1::22", "fd00:1::23"}, few);
  const auto partly = builder.tracked(Forwarding::dsr_l2, {"10.0.1.41", "10.0.1.42", "10.0.1.43"},
                                      [](Backend& backend, int i) {
                                        backend.max_connections = 4;
                                        backend.resolved = i != 1;
                                        backend.enabled = i != 2;
                                      });
  const auto many = builder.tracked(Forwarding::dsr_l2, twenty,
                                    [](Backend& backend, int) { backend.max_connections = 2; });
  const auto nat = builder.pool(Forwarding::nat, {"10.0.1.11", "10.0.1.12", "10.0.1.13"}, few);
  const auto nat_turns = builder.pool(Forwarding::nat, {"10.0.1.14", "10.0.1.15"}, few);
  const auto nat_least =
      builder.affine(builder.pool(Forwarding::nat, {"10.0.1.16", "10.0.1.17", "10.0.1.18"}, few));
  builder.set(turns, Algorithm::round_robin);
  builder.set(nat_turns, Algorithm::round_robin);
  builder.set(least, Algorithm::least_connections);
  builder.set(nat_least, Algorithm::least_connections);
  builder.serve(vip, 80, hashed).serve(vip, 81, one).serve(vip, 82, turns).serve(vip, 83, partly);
  builder.serve(vip, 84, many).serve(vip, 85, nat).serve(vip, 86, nat_turns);
  builder.serve(vip, 87, nat_least).serve(vip6, 80, hashed).serve(vip6, 82, least);
  builder.serve(wide, 8000, turns, 8099);
  builder.world().few_routers = true;
  builder.world().familiar = true;
  return builder.echo().world();
}

/// Everything that packets of a service can meet, so that each is held back in its place.
void add_all(Builder& builder) {
  const auto limited = [](Backend& one, int i) {
    if (i > 0)
      one.limit = {.burst = i == 1 ? 3u : 20u, .seconds = 8};
    one.interface = i == 1;
    one.mtu = i == 2 ? 700 : 1500;
  };
  const auto l2 =
      builder.pool(Forwarding::dsr_l2, {"10.0.1.21", "10.0.1.22", "10.0.1.23"}, limited);
  const auto ipip = builder.tracked(Forwarding::dsr_ipip, {"10.0.1.31", "fd00:1::31", "10.0.1.33"},
                                    [&](Backend& one, int i) {
                                      limited(one, i);
                                      one.from = ip(i == 1 ? "fd00:99::" : "10.99.0.0");
                                      one.from_varies = true;
                                    });
  const auto nat = builder.pool(Forwarding::nat, {"10.0.1.11", "10.0.1.12", "10.0.1.13"}, limited);
  // Flows of the LRU hash would not show their ports while they are held back, and give them away.
  const auto nat6 = builder.pool(Forwarding::nat, {"fd00:1::11", "fd00:1::12"});
  const auto range = builder.pool(Forwarding::nat, {"10.0.1.14", "10.0.1.15"});
  const auto keep =
      builder.pool(Forwarding::nat, {"10.0.1.41", "10.0.1.42"}, [&](Backend& one, int i) {
        one.preserve_client_address = true;
        limited(one, i);
      });
  const auto gone =
      builder.pool(Forwarding::dsr_l2, {"10.0.1.51", "10.0.1.52"}, [&](Backend& one, int i) {
        limited(one, i + 1);
        one.resolved = i != 0;
        one.enabled = i != 1;
      });
  builder.serve(vip, 80, l2).serve(vip, 81, ipip).serve(vip, 83, gone).serve(vip, 85, nat);
  builder.serve(vip, 87, keep).serve(vip6, 80, l2).serve(vip6, 81, ipip).serve(vip6, 85, nat6);
  builder.serve(wide, 8000, range, 8099).serve(wide, 0, ipip);
  builder.world().fragments = Fragments::reassemble;
  builder.world().familiar = true;
}

World of_packets() {
  Builder builder("limits of packets, dropped");
  add_all(builder);
  builder.world().limit = {.burst = 30, .seconds = 4};
  return builder.echo().world();
}

World marked() {
  Builder builder("limits of packets in batches, passed with a mark");
  add_all(builder);
  auto& world = builder.echo().world();
  world.limit = {.burst = 25, .seconds = 8};
  world.batch = 5;
  world.mark = 20942;
  world.access = {{ip("192.0.2.0"), 29, true}, {ip("2001:db8::8"), 125, true}};
  return world;
}

World of_backends() {
  Builder builder("limits of backends' packets, passed with a mark");
  add_all(builder);
  builder.world().mark = 0xffffffff;
  return builder.echo().world();
}

}  // namespace

void add_limited_worlds(std::vector<World>& worlds) {
  for (const auto& make : {of_connections, of_packets, marked, of_backends})
    worlds.push_back(make());
}

}  // namespace sluice::fuzz
