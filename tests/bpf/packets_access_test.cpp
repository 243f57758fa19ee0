// Which clients reach the VIPs: the lists, the longest prefix, and what they leave alone.
#include <bpf/bpf.h>

#include "packets_fixture.hpp"

namespace sluice::test {

class PacketAccess : public PacketTest {
 protected:
  void deny(std::vector<std::string> list) { choose(std::move(list), {}); }
  void choose(std::vector<std::string> denied, std::vector<std::string> allowed,
              model::Access otherwise = model::Access::allow) {
    config_.security = {
        .denyList = std::move(denied), .allowList = std::move(allowed), .defaultAction = otherwise};
    apply(config_, topology_);
  }
  /// Whether a client reaches the VIP of its family.
  void reaches(const char* from, bool allowed) {
    SCOPED_TRACE(from);
    const char* to = ip(from).is_v4() ? vip : vip6;
    send(from_router().ip(from, to).tcp(40000, l2_port, ack).bytes(),
         allowed ? forwarded() : "drop", allowed ? "dsr-l2" : "denied");
  }
  std::size_t entries_in(const std::string& table) {
    const Fd fd(bpf_obj_get(folder().map(table).c_str()));
    std::vector<std::uint8_t> key(20), next(20);
    std::size_t count = 0;
    for (void* at = nullptr; bpf_map_get_next_key(fd.get(), at, next.data()) == 0; count++) {
      key = next;
      at = key.data();
    }
    return count;
  }
};
SLUICE_BOTH_ARMS(PacketAccess);

TEST_P(PacketAccess, ADeniedClientReachesNothingOfAVip) {
  deny({"192.0.2.0/24", "2001:db8::/32"});
  check({
      {"dsr-l2", from_router().ip(client, vip).tcp(40000, l2_port, syn), "drop", "denied", {}},
      {"dsr-ipip",
       from_router().ip(client, vip).udp(40000, ipip_port).payload(40),
       "drop",
       "denied",
       {}},
      {"nat", from_router().ip(client, vip).tcp(40000, nat_port, syn), "drop", "denied", {}},
      {"a port without a service",
       from_router().ip(client, vip).tcp(1, no_port, syn),
       "drop",
       "denied",
       {}},
      {"a ping", from_router().ip(client, vip).icmp(8), "drop", "denied", {}},
      {"a fragment",
       from_router().ip(client, vip, {.fragment = 0x2000}).udp(1, l2_port),
       "drop",
       "denied",
       {}},
      {"options and a tag",
       from_router().tag(3).ip(client, vip, {.option_words = 2}).tcp(1, l2_port, ack),
       "drop",
       "denied",
       {}},
      {"what contradicts itself",
       from_router().ip(client, vip, {.version = 5}).udp(1, l2_port),
       "drop",
       "denied",
       {}},
      {"IPv6, dsr-l2",
       from_router().ip(client6, vip6).tcp(40000, l2_port, syn),
       "drop",
       "denied",
       {}},
      {"IPv6, nat",
       from_router().ip(client6, vip6).tcp(40000, nat_port, syn),
       "drop",
       "denied",
       {}},
      {"IPv6, a ping", from_router().ip(client6, vip6).icmp(128), "drop", "denied", {}},
      {"IPv6, extension headers",
       from_router().ip(client6, vip6).extension(60).udp(1, l2_port),
       "drop",
       "denied",
       {}},
      {"another client", from_router().ip("192.0.3.7", vip).tcp(40000, l2_port, syn), "forward",
       "dsr-l2", to_backend("10.0.1.21").ip("192.0.3.7", vip).tcp(40000, l2_port, syn)},
      {"another client, IPv6", from_router().ip("2001:db9::7", vip6).tcp(40000, l2_port, syn),
       "forward", "dsr-l2",
       to_backend("fd00:1::21").ip("2001:db9::7", vip6).tcp(40000, l2_port, syn)},
  });
}

TEST_P(PacketAccess, WhatIsNotForAVipIsLeftAlone) {
  deny({"0.0.0.0/0", "::/0"});
  check({
      {"another address",
       from_router().ip(client, "10.0.0.101").tcp(1, nat_port, syn),
       "pass",
       "not-ours",
       {}},
      {"another address, IPv6",
       from_router().ip(client6, "fd00:100::101").tcp(1, nat_port, syn),
       "pass",
       "not-ours",
       {}},
      {"what nat sends from",
       from_router().ip(client, source).tcp(1, 22, syn),
       "pass",
       "unknown-reply",
       {}},
      {"what nat sends from, IPv6",
       from_router().ip(client6, source6).tcp(1, 22, syn),
       "pass",
       "unknown-reply",
       {}},
      {"ARP", from_router().ethertype(0x0806).payload(46), "pass", "not-ip", {}},
  });
}

TEST_P(PacketAccess, RepliesOfABackendWithinADeniedPrefixGoBack) {
  deny({"10.0.1.0/24"});
  const auto out =
      send(from_router().ip(client, vip).tcp(40000, nat_port, syn).bytes(), forwarded(), "nat");
  const auto ours = static_cast<std::uint16_t>(out[34] << 8 | out[35]);
  send(Packet()
           .ether(mac_of("10.0.1.11"), out_mac)
           .ip("10.0.1.11", source)
           .tcp(nat_port, ours, syn | ack)
           .bytes(),
       forwarded(), "nat-reply", way_out());
}

TEST_P(PacketAccess, TheLongestPrefixDecidesAndAllowWinsWhereBothHaveIt) {
  choose({"192.0.2.0/24", "192.0.2.7/32", "198.51.100.0/24", "2001:db8::/32", "2001:db8:1::7"},
         {"192.0.2.0/28", "198.51.100.0/24", "2001:db8:1::/48"});
  reaches("192.0.2.200", false);
  reaches("192.0.2.1", true);
  reaches("192.0.2.7", false);
  reaches("198.51.100.1", true);
  reaches("203.0.113.1", true);
  reaches("2001:db8::1", false);
  reaches("2001:db8:1::1", true);
  reaches("2001:db8:1::7", false);
  reaches("2001:db9::1", true);
}

TEST_P(PacketAccess, AnAllowListAloneKeepsNobodyAwayUnlessTheDefaultSaysSo) {
  choose({}, {"192.0.2.0/24", "2001:db8::/32"});
  reaches("203.0.113.1", true);
  reaches("2001:db9::1", true);
  choose({}, {"192.0.2.0/24", "2001:db8::/32"}, model::Access::deny);
  reaches("203.0.113.1", false);
  reaches("2001:db9::1", false);
  reaches(client, true);
  reaches(client6, true);
  choose({}, {}, model::Access::deny);
  reaches(client, false);
  reaches(client6, false);
  choose({}, {});
  reaches(client, true);
  reaches(client6, true);
}

TEST_P(PacketAccess, ANewListTakesTheOldOnesPlaceWhole) {
  deny({"192.0.2.0/24", "2001:db8::/32"});
  deny({"203.0.113.0/24", "2001:db9::/32"});
  reaches(client, true);
  reaches(client6, true);
  reaches("203.0.113.1", false);
  reaches("2001:db9::1", false);
  for (const char* table : {"access4_", "access6_"})
    EXPECT_EQ(entries_in(std::string(table) + "0") + entries_in(std::string(table) + "1"), 1u)
        << "the old list's memory is not free";
  deny({});
  reaches("203.0.113.1", true);
  for (const char* table : {"access4_0", "access4_1", "access6_0", "access6_1"})
    EXPECT_EQ(entries_in(table), 0u);
}

TEST_P(PacketAccess, AListThatDoesNotFitLeavesTheOldOneInForce) {
  deny({"192.0.2.0/24"});
  auto plan = planner::make_plan(running(), config_, topology_);
  ASSERT_TRUE(ok(plan));
  planner::FillAccessList list{.access = {.list = running().access.list ^ 1, .entries = 100001}};
  for (std::uint32_t i = 0; i <= 100000; i++) {
    const std::uint8_t bytes[] = {11, static_cast<std::uint8_t>(i >> 16),
                                  static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)};
    list.entries.push_back({IpAddress::from_v4(bytes), 32, model::Access::deny});
  }
  plan->steps = {list, planner::SwapFront{}};
  plan->after.access = list.access;
  EXPECT_TRUE(fails_with(Code::full, loader_->apply(*plan)));
  reaches(client, false);
  reaches("11.0.0.1", true);
  EXPECT_EQ(entries_in("access4_0") + entries_in("access4_1"), 1u);
}

TEST_P(PacketAccess, ADaemonThatStartsKnowsTheListAndWritesNothing) {
  choose({"192.0.2.0/24", "2001:db8::/32"}, {"192.0.2.9"}, model::Access::deny);
  const auto before = running();
  close();
  open();
  EXPECT_EQ(running(), before);
  EXPECT_EQ(running().access.entries, 3u);
  const auto plan = planner::make_plan(running(), config_, topology_);
  ASSERT_TRUE(ok(plan));
  EXPECT_TRUE(plan->empty()) << planner::describe(plan->steps.at(0));
}

TEST_P(PacketAccess, AHundredThousandEntriesAreEnforced) {
  std::vector<std::string> list;
  for (int i = 0; i < 50000; i++) {
    list.push_back("11." + std::to_string(i >> 8) + "." + std::to_string(i & 255) + ".0/24");
    list.push_back("2001:db8:" + std::to_string(i % 10000) + ":" + std::to_string(i / 10000) +
                   "::/64");
  }
  deny(list);
  EXPECT_EQ(running().access.entries, 100000u);
  reaches("11.0.0.9", false);
  reaches("11.195.79.255", false);
  reaches("11.195.80.0", true);
  reaches("2001:db8:9999:4::9", false);
  reaches("2001:db8:9999:5::9", true);
  reaches(client, true);
}

}  // namespace sluice::test
