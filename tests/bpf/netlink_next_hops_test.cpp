// The ways to backends, followed through what happens to neighbours, routes and links.
#include <gmock/gmock.h>
#include <net/if.h>

#include <chrono>

#include "netlink_fixture.hpp"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;

class NextHopsTest : public NetlinkTest {
 protected:
  void SetUp() override {
    NetlinkTest::SetUp();
    next_hops = open_next_hops();
    ASSERT_NE(next_hops, nullptr);
  }
  void follow(const std::set<std::string>& texts) {
    std::set<IpAddress> addresses;
    for (const auto& text : texts)
      addresses.insert(ip(text));
    next_hops->watch(addresses);
    next_hops->settle(10s);
  }
  model::NextHop way(const std::string& address) { return way_to(*next_hops, address); }
  bool becomes_resolved(const std::string& address) {
    return reaches(*next_hops, [&](const model::Topology& topology) {
      return topology.next_hops.at(ip(address)).resolved;
    });
  }
  bool gets_problem(const std::string& address, const std::string& problem) {
    const bool reached = reaches(*next_hops, [&](const model::Topology& topology) {
      const auto& hop = topology.next_hops.at(ip(address));
      return !hop.resolved && hop.problem == problem;
    });
    EXPECT_TRUE(reached) << "the problem is: " << way(address).problem;
    return reached;
  }
  static void leave(const std::string& address) {
    run("ip -n peer address del " + address + " dev eth0");
  }

  std::unique_ptr<kernel::NextHops> next_hops;
};

TEST_F(NextHopsTest, BackendsOnTheLinkAreResolvedInBothFamilies) {
  follow({"10.0.1.11", "fd00:1::11"});
  for (const auto& [address, source] :
       {std::pair{"10.0.1.11", "10.0.1.2"}, std::pair{"fd00:1::11", "fd00:1::2"}}) {
    const auto hop = way(address);
    EXPECT_TRUE(hop.resolved) << hop.problem;
    EXPECT_EQ(hop.problem, "");
    EXPECT_EQ(hop.ifindex, if_nametoindex("eth0"));
    EXPECT_EQ(hop.interface, "eth0");
    EXPECT_EQ(hop.via, ip(address));
    EXPECT_EQ(hop.source, own_mac);
    EXPECT_EQ(hop.destination, peer_mac);
    EXPECT_EQ(hop.preferred_source, ip(source));
    EXPECT_EQ(hop.mtu, 1500);
  }
}

TEST_F(NextHopsTest, BackendsBehindAGatewayGetItsMac) {
  follow({"10.0.9.1", "10.0.9.2", "fd00:9::1"});
  EXPECT_EQ(way("10.0.9.1").via, ip("10.0.1.1"));
  EXPECT_EQ(way("fd00:9::1").via, ip("fd00:1::1"));
  for (const char* address : {"10.0.9.1", "10.0.9.2", "fd00:9::1"})
    EXPECT_EQ(way(address).destination, peer_mac) << way(address).problem;
}

TEST_F(NextHopsTest, LinksCarryTheirAddresses) {
  auto topology = next_hops->topology();
  ASSERT_TRUE(topology) << topology.error().message;
  const auto& link = topology->links.at("eth0");
  EXPECT_TRUE(link.up);
  EXPECT_EQ(link.mac, own_mac);
  EXPECT_THAT(link.addresses,
              testing::UnorderedElementsAre(ip("10.0.1.2"), ip("fe80::2"), ip("fd00:1::2")));
  EXPECT_TRUE(topology->links.at("lo").loopback);
}

TEST_F(NextHopsTest, NothingNewIsNoChange) {
  follow({"10.0.1.11"});
  while (next_hops->process()) {
  }
  next_hops->watch({ip("10.0.1.11")});
  EXPECT_FALSE(next_hops->process()) << "the same addresses again change nothing";
}

TEST_F(NextHopsTest, AddressThatIsNoLongerWatchedIsForgotten) {
  follow({"10.0.1.11", "fd00:1::11"});
  follow({"fd00:1::11"});
  auto topology = next_hops->topology();
  ASSERT_TRUE(topology);
  EXPECT_EQ(topology->next_hops.size(), 1U);
  EXPECT_TRUE(topology->next_hops.contains(ip("fd00:1::11")));
}

TEST_F(NextHopsTest, BackendsThatCannotBeReachedSayWhy) {
  run("ip route add 10.0.6.0/24 dev lo");
  follow({"10.77.0.1", "10.0.1.2", "127.0.0.1", "10.0.6.1"});
  EXPECT_EQ(way("10.77.0.1").problem, "no route to 10.77.0.1");
  EXPECT_EQ(way("10.0.1.2").problem,
            "10.0.1.2 is an address of this machine itself; a backend is another machine");
  EXPECT_EQ(way("127.0.0.1").problem,
            "127.0.0.1 is an address of this machine itself; a backend is another machine");
  EXPECT_EQ(way("10.0.6.1").problem,
            "lo has no Ethernet addresses; backends are reached over Ethernet interfaces only");
  run("ip route del 10.0.6.0/24 dev lo");
}

TEST_F(NextHopsTest, SilentBackendDoesNotKeepOthersWaiting) {
  follow({"10.0.1.66", "fd00:1::66", "10.0.1.11"});
  EXPECT_TRUE(way("10.0.1.11").resolved);
  EXPECT_EQ(way("10.0.1.66").problem, "10.0.1.66 does not answer ARP on eth0");
  EXPECT_EQ(way("fd00:1::66").problem, "fd00:1::66 does not answer neighbour solicitation on eth0");
}

TEST_F(NextHopsTest, InterfaceThatCannotAskForIPv6NeighboursSaysWhy) {
  run("ip address del fe80::2/64 dev eth0");
  follow({"fd00:1::11"});
  EXPECT_EQ(way("fd00:1::11").problem,
            "eth0 has no IPv6 link-local address, and without one the kernel does not ask for "
            "fd00:1::11");
  run("ip address add fe80::2/64 dev eth0 nodad");
  EXPECT_TRUE(becomes_resolved("fd00:1::11"));
}

TEST_F(NextHopsTest, SilentBackendIsFoundWhenItComes) {
  follow({"10.0.1.66", "fd00:1::66"});
  ASSERT_FALSE(way("10.0.1.66").resolved);
  run("ip -n peer address add 10.0.1.66/24 dev eth0; "
      "ip -n peer address add fd00:1::66/64 dev eth0 nodad");
  EXPECT_TRUE(becomes_resolved("10.0.1.66"));
  EXPECT_TRUE(becomes_resolved("fd00:1::66"));
}

TEST_F(NextHopsTest, NewMacOfABackendIsFollowed) {
  follow({"10.0.1.11"});
  ASSERT_EQ(way("10.0.1.11").destination, peer_mac);
  const auto changed = mac("02:00:00:00:00:99");
  // The peer announces it, as a host does that takes an address over.
  run("ip netns exec peer sh -c 'echo 1 > /proc/sys/net/ipv4/conf/eth0/arp_notify'; "
      "ip -n peer link set eth0 address " +
      changed.to_string());
  EXPECT_TRUE(reaches(*next_hops, [&](const model::Topology& topology) {
    return topology.next_hops.at(ip("10.0.1.11")).destination == changed;
  })) << way("10.0.1.11").destination.to_string();
}

TEST_F(NextHopsTest, FlushOfTheNeighbourTableLosesNoBackend) {
  follow({"10.0.1.11", "fd00:1::11"});
  run("ip neigh flush dev eth0; ip -6 neigh flush dev eth0");
  bool kept = true;
  // Until the kernel has found both again: the table is empty of them in between.
  auto netlink = kernel::RtNetlink::open();
  ASSERT_TRUE(netlink);
  const auto eth0 = if_nametoindex("eth0");
  EXPECT_TRUE(reaches(*next_hops, [&](const model::Topology& topology) {
    bool known = true;
    for (const char* address : {"10.0.1.11", "fd00:1::11"}) {
      const auto& hop = topology.next_hops.at(ip(address));
      kept &= hop.resolved && hop.destination == peer_mac;
      auto entry = netlink->neighbour(eth0, ip(address));
      known &= entry && *entry && (*entry)->mac == peer_mac;
    }
    return known;
  })) << "solicitations must fill the table again";
  EXPECT_TRUE(kept) << "the MACs stay in use meanwhile";
}

TEST_F(NextHopsTest, FlushedBackendThatIsGoneIsGivenUp) {
  follow({"10.0.1.11", "fd00:1::11"});
  leave("10.0.1.11/24");
  leave("fd00:1::11/64");
  run("ip neigh flush dev eth0; ip -6 neigh flush dev eth0");
  EXPECT_TRUE(gets_problem("10.0.1.11", "10.0.1.11 does not answer ARP on eth0"));
  EXPECT_TRUE(
      gets_problem("fd00:1::11", "fd00:1::11 does not answer neighbour solicitation on eth0"));
}

TEST_F(NextHopsTest, StaleBackendThatIsGoneIsNoticedWithoutTraffic) {
  follow({"10.0.1.11"});
  leave("10.0.1.11/24");
  run("ip neigh change 10.0.1.11 dev eth0 nud stale");
  EXPECT_TRUE(gets_problem("10.0.1.11", "10.0.1.11 does not answer ARP on eth0"));
}

TEST_F(NextHopsTest, StaleBackendIsConfirmedWithoutTraffic) {
  follow({"10.0.1.11"});
  run("ip neigh change 10.0.1.11 dev eth0 nud stale");
  auto netlink = kernel::RtNetlink::open();
  ASSERT_TRUE(netlink);
  bool kept = true;
  EXPECT_TRUE(reaches(*next_hops, [&](const model::Topology& topology) {
    kept &= topology.next_hops.at(ip("10.0.1.11")).resolved;
    auto entry = netlink->neighbour(if_nametoindex("eth0"), ip("10.0.1.11"));
    return entry && *entry && (*entry)->state == NUD_REACHABLE;
  }));
  EXPECT_TRUE(kept) << "it was usable all the time";
}

TEST_F(NextHopsTest, BackendSetByHandNeedsNoAnswer) {
  run("ip neigh add 10.0.1.50 lladdr 02:00:00:00:00:50 nud permanent dev eth0");
  follow({"10.0.1.50"});
  EXPECT_EQ(way("10.0.1.50").destination, mac("02:00:00:00:00:50"));
}

TEST_F(NextHopsTest, NewRouteIsFollowed) {
  follow({"10.0.9.1", "10.88.0.1"});
  run("ip route add 10.0.9.1/32 via 10.0.1.11; ip route add 10.88.0.0/16 via 10.0.1.1 mtu 1400");
  EXPECT_TRUE(becomes_resolved("10.88.0.1"));
  EXPECT_EQ(way("10.88.0.1").mtu, 1400);
  EXPECT_EQ(way("10.0.9.1").via, ip("10.0.1.11"));
  run("ip route del 10.88.0.0/16");
  EXPECT_TRUE(gets_problem("10.88.0.1", "no route to 10.88.0.1"));
}

TEST_F(NextHopsTest, ReplacedNextHopObjectIsFollowed) {
  run("ip nexthop add id 1 via 10.0.1.1 dev eth0; ip route add 10.0.5.0/24 nhid 1");
  follow({"10.0.5.1"});
  ASSERT_EQ(way("10.0.5.1").via, ip("10.0.1.1"));
  run("ip nexthop replace id 1 via 10.0.1.11 dev eth0");
  EXPECT_TRUE(reaches(*next_hops, [&](const model::Topology& topology) {
    return topology.next_hops.at(ip("10.0.5.1")).via == ip("10.0.1.11");
  }));
}

TEST_F(NextHopsTest, LinkTakenDownIsNamedAndItsReturnNoticed) {
  follow({"10.0.1.11"});
  run("ip link set eth0 down");
  EXPECT_TRUE(gets_problem("10.0.1.11", "no route to 10.0.1.11; eth0, which led there, is down"));
  EXPECT_FALSE(next_hops->topology()->links.at("eth0").up);
  run("ip link set eth0 up");
  EXPECT_TRUE(becomes_resolved("10.0.1.11"));
}

TEST_F(NextHopsTest, LostCarrierIsNamed) {
  follow({"10.0.1.11"});
  run("ip -n peer link set eth0 down");
  EXPECT_TRUE(gets_problem("10.0.1.11", "eth0 has no carrier"));
  run("ip -n peer link set eth0 up");
  EXPECT_TRUE(becomes_resolved("10.0.1.11"));
}

TEST_F(NextHopsTest, RenamedInterfaceIsKnownByItsNewName) {
  follow({"10.0.1.11"});
  run("ip link set eth0 down; ip link set eth0 name lan0; ip link set lan0 up");
  EXPECT_TRUE(reaches(*next_hops, [&](const model::Topology& topology) {
    const auto& hop = topology.next_hops.at(ip("10.0.1.11"));
    return hop.resolved && hop.interface == "lan0" && !topology.links.contains("eth0");
  })) << way("10.0.1.11").problem;
}

TEST_F(NextHopsTest, RemovedInterfaceIsNamedAndItsSuccessorUsed) {
  follow({"10.0.1.11"});
  run("ip link delete eth0");
  EXPECT_TRUE(gets_problem("10.0.1.11", "no route to 10.0.1.11; eth0, which led there, is gone"));
  make_network();
  EXPECT_TRUE(becomes_resolved("10.0.1.11"));
  EXPECT_EQ(way("10.0.1.11").ifindex, if_nametoindex("eth0"));
}

TEST_F(NextHopsTest, StormOfEventsThatOverrunsTheSocketHidesNothing) {
  follow({"10.0.1.11", "10.88.0.1"});
  // More routes than the socket has room for, and the changes that matter after them.
  run("seq 0 39999 | awk '{ print \"route add 10.\" 100 + int($1 / 16384) \".\" "
      "int($1 / 64) % 256 \".\" ($1 % 64) * 4 \"/30 via 10.0.1.1\" }' | ip -batch -; "
      "ip route add 10.88.0.0/16 via 10.0.1.1; ip link set eth0 mtu 1400");
  EXPECT_TRUE(reaches(*next_hops, [&](const model::Topology& topology) {
    return topology.next_hops.at(ip("10.88.0.1")).resolved && topology.links.at("eth0").mtu == 1400;
  })) << way("10.88.0.1").problem;
}

}  // namespace
}  // namespace sluice::test
