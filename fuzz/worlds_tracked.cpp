// Worlds with pools that remember their flows: by direct return and by nat, with every algorithm,
// and with clients that stay.
#include "world_builder.hpp"
#include "worlds.hpp"

namespace sluice::fuzz {

namespace {

using namespace reference;

void weigh(Backend& one, int i) {
  one.weight = i == 0 ? 1 : i == 1 ? 4 : 2;
  one.interface = i == 1;
}

/// Two of them cannot be had: one is switched off, one out of reach. @param mtu of the third
std::size_t five(Builder& builder, std::uint16_t mtu) {
  return builder.tracked(Forwarding::dsr_l2,
                         {"10.0.1.21", "10.0.1.22", "10.0.1.23", "10.0.1.24", "10.0.1.25"},
                         [mtu](Backend& one, int i) {
                           weigh(one, i);
                           one.enabled = i != 3;
                           one.resolved = i != 4;
                           one.mtu = i == 2 ? mtu : std::uint16_t{1500};
                         });
}

World direct() {
  Builder builder("tracked direct return");
  const auto l2 = builder.tracked(Forwarding::dsr_l2, {"10.0.1.21", "10.0.1.22", "10.0.1.23"},
                                  [](Backend& one, int i) { one.interface = i == 1; });
  const auto l2_6 = builder.tracked(Forwarding::dsr_l2, {"fd00:1::21", "fd00:1::22"});
  const auto ipip =
      builder.tracked(Forwarding::dsr_ipip, {"10.0.1.31", "fd00:1::31"}, [](Backend& one, int i) {
        one.from = ip(i ? "fd00:99::" : "10.99.0.0");
        one.from_varies = true;
        one.mtu = i ? 1500 : 700;
      });
  const auto gone = builder.tracked(Forwarding::dsr_l2, {"10.0.1.51", "10.0.1.52", "10.0.1.53"},
                                    [](Backend& one, int i) {
                                      one.resolved = i != 0;
                                      one.enabled = i != 1;
                                      one.interface = i == 2 ? 9 : 0;
                                    });
  const auto empty = builder.tracked(Forwarding::dsr_l2, {});
  builder.serve(vip, 80, l2).serve(vip, 81, ipip).serve(vip, 83, gone).serve(vip, 84, empty);
  builder.serve(vip6, 80, l2_6).serve(vip6, 81, ipip).serve(vip6, 84, empty);
  builder.serve(wide, 0, l2).serve(wide, 8000, ipip, 8099).serve(wide6, 0, l2_6);
  builder.world().fragments = Fragments::reassemble;
  return builder.echo().world();
}

World by_turns() {
  Builder builder("by turns");
  const auto l2 = five(builder, 1500);
  const auto nat = builder.pool(Forwarding::nat, {"10.0.1.11", "10.0.1.12", "10.0.1.13"}, weigh);
  const auto nat6 = builder.pool(Forwarding::nat, {"fd00:1::11", "fd00:1::12"}, weigh);
  const auto many = builder.tracked(Forwarding::dsr_l2, twenty,
                                    [](Backend& one, int i) { one.resolved = i % 3 != 0; });
  const auto dead = builder.tracked(Forwarding::dsr_l2, {"10.0.1.61", "10.0.1.62"},
                                    [](Backend& one, int) { one.resolved = false; });
  for (const auto pool : {l2, nat, nat6, many, dead})
    builder.set(pool, Algorithm::round_robin);
  builder.serve(vip, 80, l2).serve(vip, 85, nat).serve(vip, 86, many).serve(vip, 87, dead);
  builder.serve(vip6, 85, nat6).serve(vip6, 80, many).serve(wide, 8000, nat, 8099);
  builder.world().fragments = Fragments::reassemble;
  return builder.echo().world();
}

World by_load() {
  Builder builder("by load");
  const auto l2 = five(builder, 700);
  const auto nat = builder.pool(Forwarding::nat, {"10.0.1.11", "10.0.1.12", "10.0.1.13"}, weigh);
  const auto dead = builder.pool(Forwarding::nat, {"10.0.1.61", "10.0.1.62"},
                                 [](Backend& one, int) { one.resolved = false; });
  for (const auto pool : {l2, nat, dead})
    builder.set(pool, Algorithm::least_connections);
  builder.serve(vip, 80, l2).serve(vip, 85, nat).serve(vip, 87, dead);
  builder.serve(vip6, 80, l2).serve(wide, 0, l2);
  return builder.echo().world();
}

World by_load_of_many() {
  Builder builder("by load, of more than are all looked at");
  const auto many = builder.tracked(Forwarding::dsr_l2, twenty, [](Backend& one, int i) {
    one.resolved = i % 5 != 0;
    one.max_connections = i % 4 == 1 ? 5 : 0;
  });
  const auto nat = builder.pool(Forwarding::nat, twenty);
  for (const auto pool : {many, nat})
    builder.set(pool, Algorithm::least_connections);
  builder.serve(vip, 80, many).serve(vip, 85, nat).serve(vip6, 80, many).serve(wide, 0, many);
  builder.world().draws = true;
  return builder.echo().world();
}

World staying() {
  Builder builder("clients that stay");
  const auto drained = [](Backend& one, int i) {
    weigh(one, i);
    one.max_connections = i == 2 ? 12 : 0;
  };
  const auto hashed =
      builder.affine(builder.pool(Forwarding::dsr_l2, {"10.0.1.21", "10.0.1.22", "fd00:1::23"}));
  const auto l2 = builder.affine(
      builder.tracked(Forwarding::dsr_l2, {"10.0.1.24", "10.0.1.25", "10.0.1.26"}, drained));
  const auto turns = builder.affine(builder.tracked(
      Forwarding::dsr_ipip, {"10.0.1.31", "10.0.1.32", "fd00:1::31"}, [](Backend& one, int i) {
        one.from = ip(i == 2 ? "fd00:99::" : "10.99.0.0");
        one.from_varies = true;
      }));
  const auto nat = builder.affine(
      builder.pool(Forwarding::nat, {"10.0.1.11", "10.0.1.12", "10.0.1.13"}, drained));
  const auto least = builder.affine(
      builder.pool(Forwarding::nat, {"10.0.1.14", "10.0.1.15", "10.0.1.16"}, drained));
  const auto nat6 = builder.affine(builder.pool(Forwarding::nat, {"fd00:1::11", "fd00:1::12"}));
  const auto moving = builder.affine(builder.pool(Forwarding::dsr_l2, {"10.0.3.21", "10.0.3.22"}));
  builder.set(turns, Algorithm::round_robin);
  builder.set(least, Algorithm::least_connections);
  auto& slots = builder.world().pools[moving].slots;
  for (std::size_t i = 0; i < slots.size(); i++)
    if (i % 3)
      slots[i] = {slots[i].owner, slots[(i + 1) % 4].owner,
                  i % 3 == 1 ? transition::Phase::learning : transition::Phase::pinned, 4};
  builder.serve(vip, 80, hashed).serve(vip, 81, l2).serve(vip, 82, turns).serve(vip, 85, nat);
  builder.serve(vip, 86, least).serve(vip, 87, moving).serve(vip6, 80, hashed).serve(vip6, 81, l2);
  builder.serve(vip6, 82, turns).serve(vip6, 85, nat6).serve(wide, 8000, turns, 8099);
  builder.world().fragments = Fragments::reassemble;
  builder.world().few_routers = true;
  return builder.echo().world();
}

World lost() {
  Builder builder("tracked tables that are nowhere");
  const auto l2 = builder.tracked(Forwarding::dsr_l2, {"10.0.1.21", "10.0.1.22"});
  const auto turns = builder.tracked(Forwarding::dsr_l2, {"10.0.1.23", "10.0.1.24"});
  const auto nat = builder.pool(Forwarding::nat, {"10.0.1.11", "10.0.1.12"});
  builder.set(turns, Algorithm::round_robin);
  builder.set(nat, Algorithm::least_connections);
  for (auto& one : builder.world().pools)
    one.lost = true;
  builder.serve(vip, 80, l2).serve(vip, 81, turns).serve(vip, 85, nat).serve(vip6, 80, l2);
  builder.world().fragments = Fragments::reassemble;
  return builder.world();
}

}  // namespace

void add_tracked_worlds(std::vector<World>& worlds) {
  for (const auto& make : {direct, by_turns, by_load, by_load_of_many, staying, lost}) {
    worlds.push_back(make());
    worlds.back().familiar = true;
  }
}

}  // namespace sluice::fuzz
