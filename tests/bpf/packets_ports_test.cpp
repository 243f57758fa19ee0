// Services for a range of ports and for every port: which one a packet meets, and that the port
// that the client asked for stays.
#include <set>

#include "packets_fixture.hpp"

namespace sluice::test {

inline constexpr const char *wide = "10.0.0.110", *wide6 = "fd00:100::110";

class PacketPorts : public PacketTest {
 protected:
  /// TCP: 8050 has a service of its own, 8000 to 8099 and 9000 to 9009 are ranges, all others go to
  /// one service. UDP: only a range.
  void SetUp() override {
    PacketTest::SetUp();
    add("any", 0, {}, l2_port);
    add("range", 8000, 8099, ipip_port);
    add("range2", 9000, 9009, nat_port);
    add("one", 8050, {}, nat_port);
    add("dns", 5300, 5301, l2_port, model::Protocol::udp);
    apply(config_, topology_);
  }

  void add(const std::string& name, std::uint16_t port, std::optional<std::uint16_t> last,
           std::uint16_t pool, model::Protocol protocol = model::Protocol::tcp) {
    const auto of = "p" + std::to_string(pool);
    for (const char* address : {wide, wide6}) {
      const bool v6 = address == wide6;
      auto one =
          test::service(name + (v6 ? "-6" : ""), address, port, v6 ? of + "-6" : of, protocol);
      one.portEnd = last;
      config_.services.push_back(std::move(one));
    }
  }
  dataplane::Traffic counted(std::uint16_t port, std::uint16_t last, const char* address = wide,
                             model::Protocol protocol = model::Protocol::tcp) {
    const auto counters = loader_->counters();
    EXPECT_TRUE(ok(counters));
    return counters ? counters->services.at({ip(address), port, protocol, last})
                    : dataplane::Traffic{};
  }
  static Packet tcp(std::uint16_t port, std::uint8_t flags = ack) {
    return from_router().ip(client, wide).tcp(40000, port, flags);
  }
  static Packet tcp6(std::uint16_t port, std::uint8_t flags = ack) {
    return from_router().ip(client6, wide6).tcp(40000, port, flags);
  }
};
SLUICE_BOTH_ARMS(PacketPorts);

TEST_P(PacketPorts, EveryPortWithoutAServiceOfItsOwnGoesToTheOneForAll) {
  for (const int port : {1, 22, 7999, 8100, 8999, 9010, 20000, 65535}) {
    const auto to = static_cast<std::uint16_t>(port);
    check({"port " + std::to_string(port), tcp(to), "forward", "dsr-l2",
           to_backend("10.0.1.21").ip(client, wide).tcp(40000, to, ack)});
    check({"IPv6, port " + std::to_string(port), tcp6(to), "forward", "dsr-l2",
           to_backend("fd00:1::21").ip(client6, wide6).tcp(40000, to, ack)});
  }
  EXPECT_EQ(counted(0, 0).packets, 8u);
  EXPECT_EQ(counted(0, 0, wide6).packets, 8u);
  check(
      {"behind a tag and with options",
       from_router().tag(7).ip(client, wide, {.option_words = 2}).tcp(40000, 443, ack), "forward",
       "dsr-l2",
       to_backend("10.0.1.21").tag(7).ip(client, wide, {.option_words = 2}).tcp(40000, 443, ack)});
}

TEST_P(PacketPorts, ARangeHoldsItsFirstAndItsLastPort) {
  for (const int port : {8000, 8001, 8049, 8051, 8098, 8099}) {
    const auto to = static_cast<std::uint16_t>(port);
    check({"port " + std::to_string(port), tcp(to), "forward", "dsr-ipip4",
           to_backend("10.0.1.31").ip(source, "10.0.1.31").ip(client, wide).tcp(40000, to, ack)});
    check({"IPv6, port " + std::to_string(port), tcp6(to), "forward", "dsr-ipip6",
           to_backend("fd00:1::31")
               .ip(source6, "fd00:1::31")
               .ip(client6, wide6)
               .tcp(40000, to, ack)});
  }
  EXPECT_EQ(counted(8000, 8099).packets, 6u);
}

TEST_P(PacketPorts, NatKeepsThePortThatTheClientAskedFor) {
  for (const int port : {8050, 9000, 9009}) {
    SCOPED_TRACE(port);
    const auto to = static_cast<std::uint16_t>(port);
    const auto out = send(tcp(to, syn).bytes(), forwarded(), "nat");
    ASSERT_GE(out.size(), 54u);
    const auto ours = static_cast<std::uint16_t>(out[34] << 8 | out[35]);
    const auto expected = to_backend("10.0.1.11").ip(source, "10.0.1.11").tcp(ours, to, syn);
    EXPECT_TRUE(out == expected.bytes()) << dump(out, expected.bytes());
    const auto reply = Packet()
                           .ether(mac_of("10.0.1.11"), out_mac)
                           .ip("10.0.1.11", source)
                           .tcp(to, ours, syn | ack);
    const auto back = send(reply.bytes(), one_armed() ? "tx" : "redirect", "nat-reply", way_out());
    const auto at_client =
        Packet().ether(balancer_mac, router_mac).ip(wide, client).tcp(to, 40000, syn | ack);
    EXPECT_TRUE(back == at_client.bytes()) << dump(back, at_client.bytes());
    const auto out6 = send(tcp6(to, syn).bytes(), forwarded(), "nat");
    const auto ours6 = static_cast<std::uint16_t>(out6[54] << 8 | out6[55]);
    const auto expected6 = to_backend("fd00:1::11").ip(source6, "fd00:1::11").tcp(ours6, to, syn);
    EXPECT_TRUE(out6 == expected6.bytes()) << dump(out6, expected6.bytes());
  }
  EXPECT_EQ(counted(9000, 9009).opened, 2u);
}

TEST_P(PacketPorts, ARangeAndASinglePortOfOneBackendNeverShareAPortOfOurs) {
  // Their flows are remembered in two tables, but a reply tells only backend and our port.
  config_.services.push_back(test::service("single", vip, 9001, "p" + std::to_string(nat_port)));
  apply(config_, topology_);
  std::set<int> given;
  for (std::uint16_t port = 1; port <= 2500; port++)
    for (const char* address : {vip, wide}) {
      const auto outcome =
          run("in0", from_router().ip(client, address).tcp(port, 9001, syn).bytes());
      ASSERT_GE(outcome.verdict, 3u) << "flow " << port << " to " << address;
      ASSERT_EQ(Bytes(outcome.packet.begin() + 36, outcome.packet.begin() + 38),
                (Bytes{9001 >> 8, 9001 & 0xff}));
      EXPECT_TRUE(given.insert(outcome.packet[34] << 8 | outcome.packet[35]).second)
          << "two clients would get each other's answers";
    }
}

TEST_P(PacketPorts, AClientThatStaysWithItsBackendHasAsManyFlowsAsOthers) {
  for (auto& pool : config_.pools)
    if (pool.name == "p" + std::to_string(nat_port) ||
        pool.name == "p" + std::to_string(nat_port) + "-6")
      pool.affinity = model::Affinity::source;
  apply(config_, topology_);
  for (std::uint16_t port = 1; port <= 500; port++) {
    send(from_router().ip(client, wide).tcp(port, 9001, syn).bytes(), forwarded(), "nat");
    send(from_router().ip(client6, vip6).tcp(port, nat_port, syn).bytes(), forwarded(), "nat");
  }
}

TEST_P(PacketPorts, OneClientPortToTwoPortsOfARangeIsTwoFlows) {
  const auto first = send(tcp(9000, syn).bytes(), forwarded(), "nat");
  const auto second = send(tcp(9001, syn).bytes(), forwarded(), "nat");
  EXPECT_EQ(Bytes(first.begin() + 36, first.begin() + 38), (Bytes{9000 >> 8, 9000 & 0xff}));
  EXPECT_EQ(Bytes(second.begin() + 36, second.begin() + 38), (Bytes{9001 >> 8, 9001 & 0xff}));
  EXPECT_EQ(counted(9000, 9009).opened, 2u);
}

TEST_P(PacketPorts, WhatNoRangeHoldsAndOtherProtocolsAreTheKernels) {
  check({
      {"UDP within its range",
       from_router().ip(client, wide).udp(9, 5301).payload("a long question"), "forward", "dsr-l2",
       to_backend("10.0.1.21").ip(client, wide).udp(9, 5301).payload("a long question")},
      {"UDP behind it",
       from_router().ip(client, wide).udp(9, 5302).payload("a long question"),
       "pass",
       "no-service",
       {}},
      {"UDP before it, IPv6",
       from_router().ip(client6, wide6).udp(9, 5299).payload("a long question"),
       "pass",
       "no-service",
       {}},
      {"a ping", from_router().ip(client, wide).icmp(8).payload(40), "pass", "icmp", {}},
      {"a ping, IPv6", from_router().ip(client6, wide6).icmp(128).payload(40), "pass", "icmp", {}},
      {"a ping that looks like a port of a range",
       from_router().ip(client, wide, {.protocol = 1}).udp(9, 8001).payload(40),
       "pass",
       "icmp",
       {}},
      {"GRE",
       from_router().ip(client, wide, {.protocol = 47}).payload(64),
       "pass",
       "other-protocol",
       {}},
      {"a fragment",
       from_router().ip(client, wide, {.fragment = 0x2000}).tcp(1, 8001, ack),
       "pass",
       "fragment",
       {}},
      {"the VIP beside it has no such service",
       from_router().ip(client, vip).tcp(1, no_port, syn),
       "pass",
       "no-service",
       {}},
  });
}

TEST_P(PacketPorts, FlowsOfOneServiceSpreadOverItsBackendsByClientAndPort) {
  for (auto& pool : config_.pools)
    if (pool.name == "p81" || pool.name == "p81-6") {
      pool.connectionTracking = model::Tracking::off;  // these packets are of no old flow
      for (int i = 2; i <= 9; i++)
        pool.backends.push_back(
            backend((pool.name == "p81" ? "10.0.1.20" : "fd00:1::20") + std::to_string(i)));
    }
  apply(config_, topology(config_, way_out()));
  std::set<Bytes> macs;
  loader_->tick(1'000'000);  // records are written by a clock that goes
  // New flows: what is older than the change stays with the backend that there was.
  for (std::uint16_t port = 100; port < 140; port++) {
    const auto out = send(tcp(port, syn).bytes(), forwarded(), "dsr-l2");
    EXPECT_TRUE(send(tcp(port, syn).bytes(), forwarded(), "dsr-l2") == out) << "a flow stays";
    macs.emplace(out.begin(), out.begin() + 6);
  }
  EXPECT_GT(macs.size(), 5u);
}

TEST_P(PacketPorts, ADaemonThatStartsFindsTheServicesAsTheyAre) {
  const auto before = running();
  close();
  open();
  EXPECT_EQ(running(), before);
  const auto plan = planner::make_plan(running(), config_, topology_);
  ASSERT_TRUE(ok(plan));
  EXPECT_TRUE(plan->empty()) << planner::describe(plan->steps.at(0));
}

}  // namespace sluice::test
