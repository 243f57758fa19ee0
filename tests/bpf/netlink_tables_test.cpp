// What the kernel's tables say, read by us and by iproute2: links, addresses, routes, neighbours,
// XDP features.
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <set>

#include "kernel/interfaces.hpp"
#include "netlink_fixture.hpp"

namespace sluice::test {
namespace {

class Tables : public NetlinkTest {
 protected:
  void SetUp() override {
    NetlinkTest::SetUp();
    auto opened = kernel::RtNetlink::open();
    ASSERT_TRUE(opened) << opened.error().message;
    netlink.emplace(std::move(*opened));
  }
  kernel::Route route_to(const std::string& destination) {
    auto route = netlink->route_to(ip(destination));
    EXPECT_TRUE(route) << (route ? "" : route.error().message);
    return route.value_or(kernel::Route());
  }
  /// Why there is no route.
  std::string refusal(const std::string& destination) {
    auto route = netlink->route_to(ip(destination));
    if (route)
      return "there is a route";
    EXPECT_EQ(route.error().code, Code::not_found);
    return route.error().message;
  }
  static std::string state_of(const std::string& neighbour) {
    const auto entries = json_of("ip -j neigh show " + neighbour);
    return entries.empty() ? "none"
                           : std::string(entries.at(0).at("state").as_array().at(0).as_string());
  }

  std::optional<kernel::RtNetlink> netlink;
};

TEST_F(Tables, LinksAreThoseThatIprouteLists) {
  run("ip link set eth0 mtu 1600");
  const auto expected = json_of("ip -j -d link show");
  auto links = netlink->links();
  ASSERT_TRUE(links) << links.error().message;
  ASSERT_EQ(links->size(), expected.size());
  for (const auto& entry : expected) {
    const std::string name(entry.at("ifname").as_string());
    const auto found =
        std::ranges::find_if(*links, [&](const auto& info) { return info.link.name == name; });
    ASSERT_NE(found, links->end()) << name;
    EXPECT_EQ(found->link.index, entry.at("ifindex").to_number<std::uint32_t>()) << name;
    EXPECT_EQ(found->link.mtu, entry.at("mtu").to_number<std::uint32_t>()) << name;
    EXPECT_EQ(found->link.mac.to_string(), entry.at("address").as_string().c_str()) << name;
    std::set<std::string> flags;
    for (const auto& flag : entry.at("flags").as_array())
      flags.emplace(flag.as_string());
    EXPECT_EQ(found->link.up, flags.contains("UP") && flags.contains("LOWER_UP")) << name;
    EXPECT_EQ(found->link.loopback, flags.contains("LOOPBACK")) << name;
    const auto* detail = entry.as_object().if_contains("linkinfo");
    EXPECT_EQ(found->kind, detail ? detail->at("info_kind").as_string().c_str() : "") << name;
  }
}

TEST_F(Tables, AddressesAreThoseThatIprouteLists) {
  run("ip address add 192.0.2.1 peer 192.0.2.2 dev eth0");
  std::set<std::string> expected, found;
  for (const auto& link : json_of("ip -j address show"))
    for (const auto& address : link.at("addr_info").as_array()) {
      auto text = std::string(address.at("local").as_string());
      text += "/" + std::to_string(address.at("prefixlen").to_number<int>());
      expected.insert(text + " on " + std::to_string(link.at("ifindex").to_number<int>()));
    }
  auto addresses = netlink->addresses();
  ASSERT_TRUE(addresses) << addresses.error().message;
  for (const auto& [ifindex, prefix] : *addresses)
    found.insert(prefix.address.to_string() + "/" + std::to_string(prefix.length) + " on " +
                 std::to_string(ifindex));
  EXPECT_EQ(found, expected);
}

TEST_F(Tables, RouteOnLinkNamesTheInterfaceAndTheSource) {
  for (const auto& [destination, source] :
       {std::pair{"10.0.1.11", "10.0.1.2"}, std::pair{"fd00:1::11", "fd00:1::2"}}) {
    const auto route = route_to(destination);
    EXPECT_EQ(route.ifindex, if_nametoindex("eth0")) << destination;
    EXPECT_EQ(route.gateway, std::nullopt) << destination;
    EXPECT_EQ(route.preferred_source, ip(source)) << destination;
    EXPECT_FALSE(route.local) << destination;
  }
}

TEST_F(Tables, RouteThroughAGatewayNamesIt) {
  EXPECT_EQ(route_to("10.0.9.1").gateway, ip("10.0.1.1"));
  EXPECT_EQ(route_to("fd00:9::1").gateway, ip("fd00:1::1"));
}

TEST_F(Tables, RouteOfIPv4ThroughAnIPv6GatewayNamesIt) {
  run("ip route add 10.0.7.0/24 via inet6 fd00:1::1 dev eth0");
  EXPECT_EQ(route_to("10.0.7.1").gateway, ip("fd00:1::1"));
}

TEST_F(Tables, RouteWithAnMtuCarriesIt) {
  run("ip route add 10.0.8.0/24 via 10.0.1.1 mtu 1400; "
      "ip route add fd00:8::/64 via fd00:1::1 mtu 1400");
  EXPECT_EQ(route_to("10.0.8.1").mtu, 1400U);
  EXPECT_EQ(route_to("fd00:8::1").mtu, 1400U);
}

TEST_F(Tables, OwnAddressIsLocal) {
  for (const char* address : {"10.0.1.2", "fd00:1::2", "127.0.0.1", "::1"})
    EXPECT_TRUE(route_to(address).local) << address;
}

TEST_F(Tables, MissingRouteIsSaid) {
  EXPECT_EQ(refusal("10.77.0.1"), "no route to 10.77.0.1");
  EXPECT_EQ(refusal("fd00:77::1"), "no route to fd00:77::1");
}

TEST_F(Tables, RouteThatForbidsIsSaid) {
  run("ip route add unreachable 10.0.70.0/24; ip route add unreachable fd00:70::/64; "
      "ip route add prohibit 10.0.71.0/24; ip route add prohibit fd00:71::/64; "
      "ip route add blackhole 10.0.72.0/24; ip route add blackhole fd00:72::/64");
  for (const char* address : {"10.0.70.1", "fd00:70::1"})
    EXPECT_EQ(refusal(address), std::string(address) + " is unreachable by a route of that type");
  for (const char* address : {"10.0.71.1", "fd00:71::1"})
    EXPECT_EQ(refusal(address), std::string(address) + " is prohibited by a route of that type");
  for (const char* address : {"10.0.72.1", "fd00:72::1"})
    EXPECT_EQ(refusal(address), std::string(address) + " falls into a blackhole route");
  run("ip route flush type unreachable; ip route flush type prohibit; "
      "ip route flush type blackhole; ip -6 route flush type unreachable; "
      "ip -6 route flush type prohibit; ip -6 route flush type blackhole");
}

TEST_F(Tables, BroadcastAddressIsNoDestination) {
  EXPECT_EQ(refusal("10.0.1.255"), "10.0.1.255 is a broadcast address");
}

TEST_F(Tables, NeighbourIsReadAsItStands) {
  run("ip neigh add 10.0.1.50 lladdr 02:00:00:00:00:50 nud permanent dev eth0");
  auto known = netlink->neighbour(if_nametoindex("eth0"), ip("10.0.1.50"));
  ASSERT_TRUE(known && *known);
  EXPECT_EQ((*known)->state, NUD_PERMANENT);
  EXPECT_EQ((*known)->mac, mac("02:00:00:00:00:50"));
  auto unknown = netlink->neighbour(if_nametoindex("eth0"), ip("10.0.1.51"));
  ASSERT_TRUE(unknown) << unknown.error().message;
  EXPECT_FALSE(*unknown);
}

TEST_F(Tables, SolicitationLeavesEntriesSetByHandAlone) {
  run("ip neigh add 10.0.1.50 lladdr 02:00:00:00:00:50 nud permanent dev eth0");
  auto done = netlink->solicit(if_nametoindex("eth0"), ip("10.0.1.50"));
  EXPECT_TRUE(done) << done.error().message;
  EXPECT_EQ(state_of("10.0.1.50"), "PERMANENT");
}

TEST_F(Tables, SolicitationMakesTheKernelAsk) {
  auto done = netlink->solicit(if_nametoindex("eth0"), ip("10.0.1.11"));
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_NE(state_of("10.0.1.11"), "none");
}

TEST_F(Tables, RefusalCarriesTheKernelsReason) {
  auto refused = netlink->solicit(999999, ip("10.0.1.11"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kernel);
  EXPECT_NE(refused.error().message.find("10.0.1.11"), std::string::npos)
      << refused.error().message;
}

TEST_F(Tables, XdpFeaturesOfTheDriverAreTold) {
  auto veth = kernel::xdp_support(if_nametoindex("eth0"));
  ASSERT_TRUE(veth) << veth.error().message;
  if (veth->native == kernel::Support::unknown)
    GTEST_SKIP() << "kernels before 6.3 do not tell XDP features; Debian 12's own 6.1 is one";
  EXPECT_EQ(veth->native, kernel::Support::yes);
  EXPECT_EQ(veth->offload, kernel::Support::no);
  auto loopback = kernel::xdp_support(if_nametoindex("lo"));
  ASSERT_TRUE(loopback) << loopback.error().message;
  EXPECT_EQ(loopback->native, kernel::Support::no);
  auto missing = kernel::xdp_support(999999);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::not_found) << missing.error().message;
}

}  // namespace
}  // namespace sluice::test
