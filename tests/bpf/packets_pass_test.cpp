// What is no service's packet goes on to the kernel untouched; what a service cannot deliver is
// dropped, with the reason.
#include "packets_fixture.hpp"

namespace sluice::test {

class PacketPass : public PacketTest {};
SLUICE_BOTH_ARMS(PacketPass);

TEST_P(PacketPass, WhatIsNotOursIsLeftAlone) {
  const char *other = "10.0.0.101", *other6 = "fd00:100::101";
  check({
      {"TCP to another address",
       from_router().ip(client, other).tcp(1, nat_port, syn),
       "pass",
       "not-ours",
       {}},
      {"UDP to another address",
       from_router().ip(client, other).udp(1, nat_port),
       "pass",
       "not-ours",
       {}},
      {"ping of another address", from_router().ip(client, other).icmp(8), "pass", "not-ours", {}},
      {"options",
       from_router().ip(client, other, {.option_words = 5}).udp(1, 2),
       "pass",
       "not-ours",
       {}},
      {"a fragment",
       from_router().ip(client, other, {.fragment = 0x2000}).udp(1, 2),
       "pass",
       "not-ours",
       {}},
      {"a later fragment",
       from_router().ip(client, other, {.fragment = 0x0010}).payload(64),
       "pass",
       "not-ours",
       {}},
      {"another protocol",
       from_router().ip(client, other, {.protocol = 47}).payload(64),
       "pass",
       "not-ours",
       {}},
      {"a wrong version",
       from_router().ip(client, other, {.version = 5}).udp(1, 2),
       "pass",
       "not-ours",
       {}},
      {"a length that lies",
       from_router().ip(client, other, {.length_error = 900}).udp(1, 2),
       "pass",
       "not-ours",
       {}},
      {"VLAN", from_router().tag(5).ip(client, other).udp(1, 2), "pass", "not-ours", {}},
      {"IPv6 TCP", from_router().ip(client6, other6).tcp(1, nat_port, syn), "pass", "not-ours", {}},
      {"IPv6 hop-by-hop",
       from_router().ip(client6, other6).extension(0).icmp(130),
       "pass",
       "not-ours",
       {}},
      {"IPv6 fragment",
       from_router().ip(client6, other6).fragment_header(1).payload(64),
       "pass",
       "not-ours",
       {}},
      {"neighbour solicitation",
       from_router().ip(client6, "ff02::1:ff00:100").icmp(135).payload(24),
       "pass",
       "not-ours",
       {}},
      {"from the VIP is not to the VIP",
       from_router().ip(vip, client).tcp(nat_port, 1, ack),
       "pass",
       "not-ours",
       {}},
      {"ARP", from_router().ethertype(0x0806).payload(46), "pass", "not-ip", {}},
      {"LLDP", from_router().ethertype(0x88cc).payload(50), "pass", "not-ip", {}},
      {"a bare Ethernet header", from_router().ethertype(0x0800), "pass", "truncated", {}},
      {"ARP in a VLAN", from_router().tag(5).ethertype(0x0806).payload(46), "pass", "not-ip", {}},
      {"three tags are more than we follow",
       from_router().tag(1).tag(2).tag(3).ip(client, vip).udp(1, nat_port),
       "pass",
       "not-ip",
       {}},
  });
}

TEST_P(PacketPass, WhatAVipHasNoServiceForGoesToTheKernel) {
  check({
      {"another port",
       from_router().ip(client, vip).tcp(1, no_port, syn),
       "pass",
       "no-service",
       {}},
      {"another port, UDP",
       from_router().ip(client, vip).udp(1, no_port),
       "pass",
       "no-service",
       {}},
      {"another port, IPv6",
       from_router().ip(client6, vip6).tcp(1, no_port, syn),
       "pass",
       "no-service",
       {}},
      {"ping", from_router().ip(client, vip).icmp(8), "pass", "icmp", {}},
      {"ping, IPv6", from_router().ip(client6, vip6).icmp(128), "pass", "icmp", {}},
      {"GRE",
       from_router().ip(client, vip, {.protocol = 47}).payload(64),
       "pass",
       "other-protocol",
       {}},
      {"SCTP over IPv6",
       from_router().ip(client6, vip6, {.protocol = 132}).payload(64),
       "pass",
       "other-protocol",
       {}},
      {"no next header",
       from_router().ip(client6, vip6).extension(0),
       "pass",
       "other-protocol",
       {}},
  });
}

TEST_P(PacketPass, FragmentsForAVipGoToTheKernel) {
  check({
      {"the first",
       from_router().ip(client, vip, {.fragment = 0x2000}).udp(1, l2_port).payload(32),
       "pass",
       "fragment",
       {}},
      {"a later one",
       from_router().ip(client, vip, {.fragment = 0x2010}).payload(64),
       "pass",
       "fragment",
       {}},
      {"the last",
       from_router().ip(client, vip, {.fragment = 0x0020}).payload(64),
       "pass",
       "fragment",
       {}},
      {"IPv6, the first",
       from_router().ip(client6, vip6).fragment_header(1).udp(1, l2_port),
       "pass",
       "fragment",
       {}},
      {"IPv6, a later one",
       from_router().ip(client6, vip6).fragment_header(0x10).payload(64),
       "pass",
       "fragment",
       {}},
      {"IPv6, behind another extension",
       from_router().ip(client6, vip6).extension(0).fragment_header(1).udp(1, l2_port),
       "pass",
       "fragment",
       {}},
  });
}

TEST_P(PacketPass, WhatContradictsItselfIsNotForwarded) {
  check({
      {"wrong version",
       from_router().ip(client, vip, {.version = 5}).udp(1, l2_port),
       "pass",
       "malformed",
       {}},
      {"wrong version, IPv6",
       from_router().ip(client6, vip6, {.version = 7}).udp(1, l2_port).payload(20),
       "pass",
       "malformed",
       {}},
      {"longer than the frame",
       from_router().ip(client, vip, {.length_error = 9}).udp(1, l2_port).payload(40),
       "pass",
       "truncated",
       {}},
      {"longer than the frame, IPv6",
       from_router().ip(client6, vip6, {.length_error = 9}).tcp(1, l2_port, ack),
       "pass",
       "truncated",
       {}},
      {"no room for the TCP header",
       from_router().ip(client, vip, {.protocol = 6}).payload(19),
       "pass",
       "truncated",
       {}},
      {"no room for the UDP header",
       from_router().ip(client, vip, {.protocol = 17}).payload(7),
       "pass",
       "truncated",
       {}},
      {"the header ends before the TCP header does",
       from_router().ip(client, vip, {.length_error = -1}).tcp(1, l2_port, ack),
       "pass",
       "truncated",
       {}},
      {"a TCP header in the padding only, IPv6",
       from_router().ip(client6, vip6, {.length_error = -8}).tcp(1, l2_port, ack),
       "pass",
       "truncated",
       {}},
      {"an extension that leads out of the frame",
       from_router().ip(client6, vip6, {.protocol = 60}).payload(8),
       "pass",
       "truncated",
       {}},
      {"more extensions than anybody sends",
       from_router()
           .ip(client6, vip6)
           .extension(60)
           .extension(60)
           .extension(60)
           .extension(60)
           .extension(60)
           .extension(60)
           .extension(60)
           .udp(1, l2_port),
       "drop",
       "extension-chain",
       {}},
  });
}

TEST_P(PacketPass, EveryTruncationOfAPacketIsCountedAndNothingOfItIsForwarded) {
  for (const auto& whole :
       {from_router().ip(client, vip).tcp(1, l2_port, ack).bytes(),
        from_router().tag(3).ip(client, vip, {.option_words = 2}).udp(1, nat_port).bytes(),
        from_router().ip(client6, vip6).extension(60).tcp(1, ipip_port, ack).bytes()})
    for (std::size_t size = 14; size < whole.size(); size++) {
      SCOPED_TRACE("cut to " + std::to_string(size) + " of " + std::to_string(whole.size()));
      const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      const auto before = verdicts();
      const auto outcome = run("in0", cut);
      EXPECT_EQ(outcome.verdict, 2u) << "only the kernel may judge it";
      EXPECT_TRUE(outcome.packet == cut);
      std::uint64_t counted = 0;
      for (const auto& [name, count] : verdicts()) {
        const auto was = before.find(name);
        counted += count.packets - (was == before.end() ? 0 : was->second.packets);
      }
      EXPECT_EQ(counted, 1u);
    }
}

TEST_P(PacketPass, WhatCannotBeDeliveredIsDroppedWithTheReason) {
  check({
      {"pool without backends",
       from_router().ip(client, vip).tcp(1, empty_port, syn),
       "drop",
       "no-backend",
       {}},
      {"pool without backends, IPv6",
       from_router().ip(client6, vip6).udp(1, empty_port),
       "drop",
       "no-backend",
       {}},
      {"backend without MAC",
       from_router().ip(client, vip).tcp(1, lost_port, syn),
       "drop",
       "unresolved",
       {}},
      {"backend without MAC, IPv6",
       from_router().ip(client6, vip6).tcp(1, lost_port, syn),
       "drop",
       "unresolved",
       {}},
  });
  EXPECT_EQ(service(empty_port).dropped, 1u);
  const auto lost = service(lost_port);
  EXPECT_EQ(lost.dropped, 1u);
  EXPECT_EQ(lost.unresolved, 1u);
  EXPECT_EQ(lost.packets, 0u) << "dropped packets are not counted as forwarded";
}

TEST_P(PacketPass, DisabledServicePassesToTheKernel) {
  for (auto& one : config_.services)
    one.enabled = one.port != l2_port;
  apply(config_, topology_);
  check(
      {"its packet", from_router().ip(client, vip).tcp(1, l2_port, syn), "pass", "no-service", {}});
}

}  // namespace sluice::test
