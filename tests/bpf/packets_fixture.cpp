#include "packets_fixture.hpp"

#include <linux/bpf.h>

namespace sluice::test {

MacAddress mac_of(std::string_view backend) {
  const auto bytes = ip(backend).bytes();
  return MacAddress{{2, 0, 0, bytes[13], bytes[14], bytes[15]}};
}

Packet from_router() {
  return Packet().ether(router_mac, balancer_mac);
}
Packet to_backend(std::string_view backend) {
  return Packet().ether(out_mac, mac_of(backend));
}

namespace {

using model::Forwarding;

struct World {
  model::Config config;

  /// A pool and its services on both VIPs, TCP and UDP.
  model::Pool& add(std::uint16_t port, Forwarding forwarding,
                   std::initializer_list<const char*> backends) {
    model::Pool pool;
    pool.name = "p" + std::to_string(port);
    pool.forwarding = forwarding;
    for (const char* address : backends)
      pool.backends.push_back(backend(address));
    config.pools.push_back(pool);
    return config.pools.back();
  }
  void serve(std::uint16_t port, const char* address, const std::string& pool) {
    for (const auto protocol : {model::Protocol::tcp, model::Protocol::udp})
      config.services.push_back(
          service("s" + std::to_string(config.services.size()), address, port, pool, protocol));
  }
  /// Each family has a pool of its own, so that there is one backend to choose from.
  void add_both(std::uint16_t port, Forwarding forwarding, const char* backend4,
                const char* backend6, std::optional<std::uint16_t> backend_port = {},
                std::optional<bool> preserve = {}) {
    for (const char* address : {backend4, backend6}) {
      auto& pool = add(port, forwarding, {address});
      if (address == backend6)
        pool.name += "-6";
      pool.backends[0].port = backend_port;
      pool.preserveClientAddress = preserve;
      serve(port, address == backend6 ? vip6 : vip, pool.name);
    }
  }
};

model::Config world() {
  World world;
  world.config.maglev.tableSize = 251;
  world.config.xdp.interfaces = {{"in0", model::XdpMode::DRV}, {"out0", model::XdpMode::DRV}};
  world.add_both(nat_port, Forwarding::nat, "10.0.1.11", "fd00:1::11");
  world.add_both(l2_port, Forwarding::dsr_l2, "10.0.1.21", "fd00:1::21");
  world.add_both(ipip_port, Forwarding::dsr_ipip, "10.0.1.31", "fd00:1::31");
  world.serve(ipip6_port, vip, "p" + std::to_string(ipip_port) + "-6");
  world.add_both(other_nat_port, Forwarding::nat, "10.0.1.12", "fd00:1::12", 8080);
  world.add_both(keep_port, Forwarding::nat, "10.0.1.41", "fd00:1::41", {}, true);
  world.add_both(keep2_port, Forwarding::nat, "10.0.1.42", "fd00:1::42", {}, true);
  world.add(empty_port, Forwarding::dsr_l2, {});
  world.serve(empty_port, vip, "p" + std::to_string(empty_port));
  world.serve(empty_port, vip6, "p" + std::to_string(empty_port));
  world.add_both(lost_port, Forwarding::dsr_l2, "10.0.1.51", "fd00:1::51");
  world.add_both(small_port, Forwarding::dsr_ipip, "10.0.1.61", "fd00:1::61");
  world.add_both(small_nat_port, Forwarding::nat, "10.0.1.61", "fd00:1::61");
  return world.config;
}

}  // namespace

void PacketTest::SetUp() {
  instance_ = "packets-" + std::to_string(getpid());
  open();
  // They stay down: no packet but the test's own may be counted.
  add_interface("in0");
  add_interface("out0");
  for (const char* name : {"in0", "out0"})
    set_mtu(name, mtu());
  config_ = world();
  if (!on_both())
    config_.xdp.interfaces.pop_back();
  topology_ = topology(config_, way_out());
  for (const char* address : {"10.0.1.51", "fd00:1::51"})
    topology_.next_hops.at(ip(address)).resolved = false;
  for (const char* address : {"10.0.1.61", "fd00:1::61"})
    topology_.next_hops.at(ip(address)).mtu = 200;
  apply(config_, topology_);
}

std::map<std::string, dataplane::Count> PacketTest::verdicts() {
  std::map<std::string, dataplane::Count> found;
  const auto counters = loader_->counters();
  EXPECT_TRUE(ok(counters));
  if (counters)
    for (const auto& [interface, counts] : counters->interfaces)
      for (const auto& one : counts)
        found[interface + " " + one.verdict + " " + one.reason] = one.count;
  return found;
}

dataplane::Traffic PacketTest::service(std::uint16_t port, model::Protocol protocol,
                                       const char* address) {
  const auto counters = loader_->counters();
  EXPECT_TRUE(ok(counters));
  return counters ? counters->services.at({ip(address), port, protocol}) : dataplane::Traffic{};
}

Bytes PacketTest::send(const Bytes& packet, const std::string& verdict, const std::string& reason,
                       const std::string& interface) {
  static constexpr const char* names[] = {"aborted", "drop", "pass", "tx", "redirect"};
  const auto before = verdicts();
  const auto outcome = run(interface, packet, 1, first_buffer_);
  auto after = verdicts();
  EXPECT_EQ(names[outcome.verdict], verdict);
  for (const auto& [name, count] : before) {
    after[name].packets -= count.packets;
    after[name].bytes -= count.bytes;
  }
  std::erase_if(after, [](const auto& entry) { return entry.second.packets == 0; });
  EXPECT_EQ(after.size(), 1u) << "not exactly one counter moved";
  for (const auto& [name, count] : after) {
    EXPECT_EQ(name, interface + " " + verdict + " " + reason);
    EXPECT_EQ(count.packets, 1u);
    EXPECT_EQ(count.bytes, packet.size()) << "bytes are those of the frame as it came";
  }
  return outcome.packet;
}

void PacketTest::check(const Case& one) {
  SCOPED_TRACE(one.name);
  const auto in = one.in.bytes();
  const auto out = send(in, one.verdict == "forward" ? forwarded() : one.verdict, one.reason);
  const auto expected = one.out ? one.out->bytes() : in;
  EXPECT_TRUE(out == expected) << "came out:" << dump(out, expected)
                               << "\nexpected:" << dump(expected, out);
}

}  // namespace sluice::test
