#include "worlds.hpp"

#include "world_builder.hpp"

namespace sluice::fuzz {

namespace {

using namespace reference;

/// Direct return of every kind.
void add_dsr(Builder& builder) {
  const auto l2 = builder.pool(Forwarding::dsr_l2, {"10.0.1.21", "10.0.1.22", "10.0.1.23"},
                               [](Backend& one, int i) { one.interface = i == 1; });
  const auto l2_6 = builder.pool(Forwarding::dsr_l2, {"fd00:1::21", "fd00:1::22"});
  const auto ipip = builder.pool(Forwarding::dsr_ipip, {"10.0.1.31", "10.0.1.32", "10.0.1.33"},
                                 [](Backend& one, int i) {
                                   one.interface = i == 2;
                                   if (i > 0) {
                                     one.from = ip("10.99.0.0");
                                     one.from_varies = true;
                                   }
                                   if (i == 2)
                                     one.mtu = 600;
                                 });
  const auto ipip6 = builder.pool(Forwarding::dsr_ipip, {"fd00:1::31", "fd00:1::32", "fd00:1::33"},
                                  [](Backend& one, int i) {
                                    one.interface = i == 0;
                                    if (i > 0) {
                                      one.from = ip("fd00:99::");
                                      one.from_varies = true;
                                    }
                                    one.mtu = i == 0 ? 1500 : i == 1 ? 1400 : 1300;
                                  });
  const auto gone = builder.pool(Forwarding::dsr_l2, {"10.0.1.51", "10.0.1.52", "10.0.1.53"},
                                 [](Backend& one, int i) {
                                   one.resolved = i != 0;
                                   one.enabled = i != 1;
                                   one.interface = i == 2 ? 9 : 0;
                                 });
  const auto empty = builder.pool(Forwarding::dsr_l2, {});
  builder.serve(vip, 80, l2).serve(vip, 81, ipip).serve(vip, 82, ipip6).serve(vip, 83, gone);
  builder.serve(vip, 84, empty).serve(vip6, 80, l2_6).serve(vip6, 81, ipip).serve(vip6, 82, ipip6);
  builder.serve(vip6, 84, empty);
}

/// Nat of every kind.
void add_nat(Builder& builder) {
  const auto nat = builder.pool(Forwarding::nat, {"10.0.1.11", "10.0.1.12", "10.0.1.13"},
                                [](Backend& one, int i) {
                                  one.interface = i == 1;
                                  one.mtu = i == 2 ? 700 : 1500;
                                });
  const auto nat_port =
      builder.pool(Forwarding::nat, {"10.0.1.14"}, [](Backend& one, int) { one.port = 8080; });
  const auto nat6 =
      builder.pool(Forwarding::nat, {"fd00:1::11", "fd00:1::12"}, [](Backend& one, int i) {
        one.interface = i == 1;
        one.mtu = i == 1 ? 1290 : 1500;
        one.port = i == 0 ? 0 : 8080;
      });
  // Two pools with one backend: whose client has the port?
  const auto keep = [&](const char* address, std::uint16_t port) {
    return builder.pool(Forwarding::nat, {address}, [port](Backend& one, int) {
      one.preserve_client_address = true;
      one.port = port;
      one.interface = 1;
    });
  };
  const auto keep4 = keep("10.0.1.41", 9000), other4 = keep("10.0.1.41", 9000);
  const auto keep6 = keep("fd00:1::41", 0), other6 = keep("fd00:1::41", 90);
  const auto wrong = builder.pool(Forwarding::nat, {"fd00:1::61"});
  const auto lost =
      builder.pool(Forwarding::nat, {"10.0.1.62", "10.0.1.63"}, [](Backend& one, int i) {
        one.resolved = i != 0;
        one.enabled = i != 1;
      });
  // Both kinds of flows of one backend's port must not share ports of ours.
  builder.serve(vip, 86, nat_port).serve(wide, 7000, nat_port, 7099);
  builder.serve(vip, 85, nat).serve(vip6, 85, nat6);
  builder.serve(vip, 87, keep4).serve(vip, 88, other4);
  builder.serve(vip6, 90, keep6).serve(vip6, 91, other6);
  builder.serve(vip, 92, wrong).serve(vip, 93, lost);
}

/// Ranges, and every port.
void add_ranges(Builder& builder) {
  const auto any = builder.pool(Forwarding::dsr_l2, {"10.0.2.21", "10.0.2.22"});
  const auto nat = builder.pool(Forwarding::nat, {"10.0.2.11", "10.0.2.12"});
  const auto nat6 = builder.pool(Forwarding::nat, {"fd00:2::11", "fd00:2::12"});
  const auto one = builder.pool(Forwarding::dsr_ipip, {"10.0.2.31", "fd00:2::31"});
  for (const char* address : {wide, wide6}) {
    const bool v6 = address == wide6;
    builder.serve(address, 0, any).serve(address, 80, one);
    builder.serve(address, 8000, v6 ? nat6 : nat, 8099).serve(address, 8100, any, 8100);
    builder.serve(address, 9000, one, 9999).serve(address, 8050, one);
  }
}

/// QUIC with server ids of several lengths, some of servers that get no packets.
void add_quic(Builder& builder) {
  const auto quic = [&](std::size_t pool, unsigned length, unsigned rotation) {
    auto& world = builder.world();
    world.pools[pool].server_id_length = length;
    world.pools[pool].config_rotation = rotation;
    for (std::size_t i = 0; i < world.pools[pool].backends.size(); i++) {
      auto& id = world.backends[world.pools[pool].backends[i]].server_id;
      id.assign(length, 0xa5);
      id.back() = static_cast<std::uint8_t>(2 * i);
    }
    return pool;
  };
  const auto some_gone = [](Backend& one, int i) {
    one.resolved = i != 1;
    one.enabled = i != 2;
    one.interface = i == 3;
  };
  const auto l2 =
      quic(builder.pool(Forwarding::dsr_l2, {"10.0.5.21", "10.0.5.22", "10.0.5.23", "10.0.5.24"},
                        some_gone),
           1, 0);
  const auto ipip =
      quic(builder.pool(Forwarding::dsr_ipip, {"10.0.5.31", "10.0.5.32", "fd00:5::31"}), 4, 3);
  const auto nat =
      quic(builder.pool(Forwarding::nat, {"10.0.5.11", "10.0.5.12", "10.0.5.13", "10.0.5.14"},
                        some_gone),
           8, 6);
  const auto nat6 = quic(builder.pool(Forwarding::nat, {"fd00:5::11", "fd00:5::12"}), 15, 1);
  const auto none = builder.pool(Forwarding::dsr_l2, {"10.0.5.21", "10.0.5.22"});
  auto& slots = builder.world().pools[l2].slots;
  for (std::size_t i = 0; i < slots.size(); i += 2)
    slots[i] = {slots[i].owner, builder.world().pools[l2].backends[0], transition::Phase::learning,
                4};
  builder.serve(vip, 443, l2).serve(vip6, 443, l2).serve(vip, 444, ipip).serve(vip6, 444, ipip);
  builder.serve(vip, 445, nat).serve(vip6, 445, nat6).serve(vip, 446, none);
  builder.serve(wide, 8000, nat, 8099).serve(wide, 0, l2);
}

/// Slots that change hands, with holders that live and that do not.
void add_transitions(Builder& builder) {
  const auto one =
      builder.pool(Forwarding::dsr_l2, {"10.0.3.21", "10.0.3.22", "10.0.3.23", "10.0.3.24"},
                   [](Backend& backend, int i) {
                     backend.enabled = i != 3;
                     backend.resolved = i != 2;
                   });
  auto& pool = builder.world().pools[one];
  for (std::size_t i = 0; i < pool.slots.size(); i++) {
    auto& slot = pool.slots[i];
    slot.owner = pool.backends[i / 4 % 4];
    if (i % 4 == 1)
      slot = {slot.owner, pool.backends[i / 16 % 2], transition::Phase::learning, 4};
    else if (i % 4 == 2)
      slot = {slot.owner, pool.backends[i / 2 % 4], transition::Phase::learning, 4};
    else if (i % 4 == 3)
      slot.phase = transition::Phase::pinned;
  }
  builder.serve(vip, 100, one).serve(vip6, 100, one);
}

std::vector<World> make() {
  std::vector<World> made;
  {
    Builder builder("direct return");
    add_dsr(builder);
    made.push_back(builder.echo().world());
  }
  {
    Builder builder("nat");
    add_nat(builder);
    made.push_back(builder.echo().world());
  }
  {
    Builder builder("everything, access lists, fragments dropped");
    add_dsr(builder);
    add_nat(builder);
    add_ranges(builder);
    auto& world = builder.echo().world();
    world.fragments = Fragments::drop;
    world.access = {{ip("192.0.2.0"), 24, true},  {ip("192.0.2.4"), 30, false},
                    {ip("192.0.2.6"), 32, true},  {ip("0.0.0.0"), 1, false},
                    {ip("2001:db8::"), 32, true}, {ip("2001:db8::4"), 126, false}};
    made.push_back(world);
  }
  {
    Builder builder("everything, fragments followed");
    add_dsr(builder);
    add_nat(builder);
    add_ranges(builder);
    add_transitions(builder);
    builder.world().fragments = Fragments::reassemble;
    made.push_back(builder.echo().world());
  }
  {
    Builder builder("many services and addresses");
    add_dsr(builder);
    const auto pool = builder.pool(Forwarding::dsr_l2, {"10.0.4.21", "fd00:4::21"});
    for (int i = 0; i < 100; i++) {
      builder.serve(("10.4.0." + std::to_string(i + 1)).c_str(), 80, pool);
      builder.serve(("fd00:104::" + std::to_string(i + 1)).c_str(), 80, pool);
    }
    add_ranges(builder);
    made.push_back(builder.echo().world());
  }
  {
    Builder builder("many services of one address");
    const auto pool = builder.pool(Forwarding::dsr_ipip, {"10.0.4.31", "fd00:4::31"});
    for (std::uint16_t i = 0; i < 240; i++)
      builder.serve(vip, static_cast<std::uint16_t>(1 + i * 11), pool);
    builder.serve(vip, 0, pool);
    made.push_back(builder.echo().world());
  }
  {
    Builder builder("transitions, only some may come");
    add_transitions(builder);
    auto& world = builder.world();
    world.deny_otherwise = true;
    world.access = {{ip("192.0.2.0"), 25, false}, {ip("2001:db8::"), 64, false}};
    world.fragments = Fragments::reassemble;
    made.push_back(world);
  }
  {
    Builder builder("QUIC");
    add_quic(builder);
    builder.world().fragments = Fragments::reassemble;
    made.push_back(builder.echo().world());
  }
  {
    Builder builder("nat, crowded");
    const auto nat = builder.pool(Forwarding::nat, {"10.0.1.11", "10.0.1.7"});
    builder.serve(vip, 80, nat);
    auto& world = builder.echo().world();
    world.crowded = true;
    world.flow_multiplier = 1;  // flows whose addresses end alike share their lines
    made.push_back(world);
  }
  {
    Builder builder("a table that is nowhere");
    const auto pool = builder.pool(Forwarding::dsr_l2, {"10.0.1.21"});
    const auto nat = builder.pool(Forwarding::nat, {"10.0.1.11"});
    const auto nat6 = builder.pool(Forwarding::nat, {"fd00:1::11"});
    builder.serve(vip, 80, pool).serve(vip, 81, nat).serve(vip6, 80, pool).serve(vip6, 81, nat6);
    for (auto& one : builder.world().pools)
      one.lost = true;
    builder.world().fragments = Fragments::reassemble;
    made.push_back(builder.world());
  }
  add_tracked_worlds(made);
  add_limited_worlds(made);
  add_changing_worlds(made);
  return made;
}

}  // namespace

const std::vector<World>& worlds() {
  static const auto all = make();
  return all;
}

}  // namespace sluice::fuzz
