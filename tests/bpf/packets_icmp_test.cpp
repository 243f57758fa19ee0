// ICMP for a VIP: errors reach the backend of the flow that they are about, pings are answered
// where the VIP is to answer, and everything else is the kernel's.
#include "packets_fixture.hpp"

namespace sluice::test {

namespace {

constexpr const char *hop = "198.51.100.9", *hop6 = "2001:db8:f::9";  ///< a router on the way

/// What the service sent to the client, as IP packets. Data is there, so that 28 or 48 bytes of it
/// are a beginning.
Packet sent(std::uint16_t port, IpFields fields = {}) {
  return Packet().ip(vip, client, fields).tcp(port, 40000, ack).payload(64);
}
Packet sent6(std::uint16_t port) {
  return Packet().ip(vip6, client6).tcp(port, 40000, ack).payload(64);
}
/// "Fragmentation needed" with 28 bytes: the IP header and eight more. "Packet too big" with 48.
Packet error(Packet frame, const Packet& about, std::size_t size = 28) {
  return frame.ip(hop, vip).icmp(3, 4, 1400).quote(about, size);
}
Packet error6(Packet frame, const Packet& about, std::size_t size = 48) {
  return frame.ip(hop6, vip6).icmp(2, 0, 1400).quote(about, size);
}

}  // namespace

class PacketIcmp : public PacketTest {
 protected:
  /// One service of each VIP says that the VIP answers echo requests.
  void answer_echo() {
    for (auto& one : config_.services)
      if (one.port == nat_port && one.protocol == model::Protocol::udp)
        one.answerEcho = true;
    apply(config_, topology_);
  }
};
SLUICE_BOTH_ARMS(PacketIcmp);

TEST_P(PacketIcmp, ErrorsThatQuoteEightBytesReachTheBackendAsItsPoolForwards) {
  const auto l2 = to_backend("10.0.1.21"), l26 = to_backend("fd00:1::21");
  const auto ipip = to_backend("10.0.1.31").ip(source, "10.0.1.31");
  const auto ipip6 = to_backend("fd00:1::31").ip(source6, "fd00:1::31");
  check({
      {"dsr-l2", error(from_router(), sent(l2_port)), "forward", "icmp-error",
       error(l2, sent(l2_port))},
      {"dsr-ipip", error(from_router(), sent(ipip_port)), "forward", "icmp-error",
       error(ipip, sent(ipip_port))},
      {"dsr-ipip, IPv4 in IPv6", error(from_router(), sent(ipip6_port)), "forward", "icmp-error",
       error(ipip6, sent(ipip6_port))},
      {"dsr-l2, IPv6", error6(from_router(), sent6(l2_port)), "forward", "icmp-error",
       error6(l26, sent6(l2_port))},
      {"dsr-ipip, IPv6", error6(from_router(), sent6(ipip_port)), "forward", "icmp-error",
       error6(ipip6, sent6(ipip_port))},
      {"all of a datagram quoted",
       error(from_router(), Packet().ip(vip, client).udp(l2_port, 5353).payload("x"), 1000),
       "forward", "icmp-error",
       error(l2, Packet().ip(vip, client).udp(l2_port, 5353).payload("x"), 1000)},
      {"UDP over IPv6",
       error6(from_router(), Packet().ip(vip6, client6).udp(l2_port, 5353).payload("x")), "forward",
       "icmp-error", error6(l26, Packet().ip(vip6, client6).udp(l2_port, 5353).payload("x"))},
      {"in a VLAN", error(from_router().tag(12), sent(l2_port)), "forward", "icmp-error",
       error(to_backend("10.0.1.21").tag(12), sent(l2_port))},
      {"in two VLANs, IPv6, encapsulated",
       error6(from_router().tag(7, 0x88a8).tag(12), sent6(ipip_port)), "forward", "icmp-error",
       error6(to_backend("fd00:1::31").tag(7, 0x88a8).tag(12).ip(source6, "fd00:1::31"),
              sent6(ipip_port))},
  });
  EXPECT_EQ(service(l2_port).packets, 2u) << "they count as packets for the service";
  EXPECT_EQ(service(l2_port).opened + service(l2_port).closed, 0u) << "and open or close nothing";
}

TEST_P(PacketIcmp, EveryTypeThatSaysThatAPacketDidNotArriveIsFollowed) {
  for (const std::uint8_t type : std::initializer_list<std::uint8_t>{3, 11, 12})
    for (const std::uint8_t code : std::initializer_list<std::uint8_t>{0, 1, 13})
      check({"IPv4 type " + std::to_string(type),
             from_router().ip(hop, vip).icmp(type, code, 0).quote(sent(l2_port), 28), "forward",
             "icmp-error",
             to_backend("10.0.1.21").ip(hop, vip).icmp(type, code, 0).quote(sent(l2_port), 28)});
  for (const std::uint8_t type : std::initializer_list<std::uint8_t>{1, 2, 3, 4})
    check({"IPv6 type " + std::to_string(type),
           from_router().ip(hop6, vip6).icmp(type, 1, 9).quote(sent6(l2_port), 48), "forward",
           "icmp-error",
           to_backend("fd00:1::21").ip(hop6, vip6).icmp(type, 1, 9).quote(sent6(l2_port), 48)});
}

TEST_P(PacketIcmp, TheBackendOfTheQuotedFlowIsTheOneThatItsPacketsGoTo) {
  for (auto& pool : config_.pools)
    if (pool.name.starts_with("p81")) {
      pool.connectionTracking = model::Tracking::off;  // the hash alone decides
      for (const char* last : {"2", "3", "4", "5"})
        pool.backends.push_back(backend(std::string(pool.backends[0].ip.to_string()) + last));
    }
  const auto l2_backend = [](const Bytes& frame) {
    return Bytes(frame.begin(), frame.begin() + 6);
  };
  topology_ = topology(config_, way_out());
  apply(config_, topology_);
  std::set<Bytes> seen, seen6;
  for (std::uint16_t port = 1; port <= 24; port++) {
    const auto owner = l2_backend(
        send(from_router().ip(client, vip).tcp(port, l2_port, ack).bytes(), forwarded(), "dsr-l2"));
    const auto about = Packet().ip(vip, client).tcp(l2_port, port, ack);
    EXPECT_EQ(l2_backend(send(error(from_router(), about).bytes(), forwarded(), "icmp-error")),
              owner)
        << "an error about the flow from port " << port;
    seen.insert(owner);
    const auto owner6 = l2_backend(
        send(from_router().ip(client6, vip6).udp(port, l2_port).bytes(), forwarded(), "dsr-l2"));
    const auto about6 = Packet().ip(vip6, client6).udp(l2_port, port);
    EXPECT_EQ(l2_backend(send(error6(from_router(), about6).bytes(), forwarded(), "icmp-error")),
              owner6);
    seen6.insert(owner6);
  }
  EXPECT_GE(seen.size(), 4u) << "one backend alone would show nothing";
  EXPECT_GE(seen6.size(), 4u);
}

TEST_P(PacketIcmp, OptionsAndExtensionHeadersInFrontOfTheQuotedPortsAreFollowed) {
  const auto l2 = to_backend("10.0.1.21"), l26 = to_backend("fd00:1::21");
  const auto options = sent(l2_port, {.option_words = 10});
  const auto beginning = sent(l2_port, {.fragment = 0x2000});
  const auto chain = [] {
    return Packet()
        .ip(vip6, client6)
        .extension(0)
        .extension(43, 1)
        .extension(60)
        .tcp(l2_port, 40000, ack);
  };
  const auto beginning6 = Packet().ip(vip6, client6).fragment_header(1).tcp(l2_port, 40000, ack);
  check({
      {"the most IPv4 options quoted", error(from_router(), options, 68), "forward", "icmp-error",
       error(l2, options, 68)},
      {"the first fragment quoted", error(from_router(), beginning), "forward", "icmp-error",
       error(l2, beginning)},
      {"options of the error itself",
       from_router().ip(hop, vip, {.option_words = 10}).icmp(11).quote(options, 68), "forward",
       "icmp-error", Packet(l2).ip(hop, vip, {.option_words = 10}).icmp(11).quote(options, 68)},
      {"extension headers quoted", error6(from_router(), chain(), 40 + 32 + 8), "forward",
       "icmp-error", error6(l26, chain(), 40 + 32 + 8)},
      {"the first fragment quoted, IPv6", error6(from_router(), beginning6, 56), "forward",
       "icmp-error", error6(l26, beginning6, 56)},
      {"extension headers of the error itself",
       from_router().ip(hop6, vip6).extension(60).icmp(3).quote(chain(), 80), "forward",
       "icmp-error", Packet(l26).ip(hop6, vip6).extension(60).icmp(3).quote(chain(), 80)},
  });
}

TEST_P(PacketIcmp, ErrorsAboutNothingOfOursAreTheKernels) {
  const auto chain = [](int headers) {
    auto packet = Packet().ip(vip6, client6);
    for (int i = 0; i < headers; i++)
      packet.extension(60);
    return packet.tcp(l2_port, 40000, ack);
  };
  check({
      {"sent by another address",
       error(from_router(), Packet().ip(source, client).udp(l2_port, 9)),
       "pass",
       "icmp",
       {}},
      {"sent to the VIP, not by it",
       error(from_router(), Packet().ip(client, vip).udp(9, l2_port)),
       "pass",
       "icmp",
       {}},
      {"a port without a service", error(from_router(), sent(no_port)), "pass", "icmp", {}},
      {"ports the wrong way round",
       error(from_router(), Packet().ip(vip, client).udp(9, l2_port)),
       "pass",
       "icmp",
       {}},
      {"a ping's reply",
       error(from_router(), Packet().ip(vip, client).icmp(0)),
       "pass",
       "icmp",
       {}},
      {"a later fragment",
       error(from_router(), sent(l2_port, {.fragment = 0x0010})),
       "pass",
       "icmp",
       {}},
      {"nat, but of no flow", error(from_router(), sent(nat_port)), "pass", "icmp", {}},
      {"a redirect",
       from_router().ip(hop, vip).icmp(5, 1).quote(sent(l2_port), 28),
       "pass",
       "icmp",
       {}},
      {"an echo reply",
       from_router().ip(hop, vip).icmp(0).quote(sent(l2_port), 28),
       "pass",
       "icmp",
       {}},
      {"another address, IPv6",
       error6(from_router(), Packet().ip(source6, client6).udp(l2_port, 9)),
       "pass",
       "icmp",
       {}},
      {"a port without a service, IPv6", error6(from_router(), sent6(no_port)), "pass", "icmp", {}},
      {"a later fragment, IPv6",
       error6(from_router(), Packet().ip(vip6, client6).fragment_header(0x10).payload(64)),
       "pass",
       "icmp",
       {}},
      {"more extension headers than are followed",
       error6(from_router(), chain(7), 40 + 64),
       "pass",
       "icmp",
       {}},
      {"nat, but of no flow, IPv6", error6(from_router(), sent6(nat_port)), "pass", "icmp", {}},
      {"a neighbour solicitation",
       from_router().ip(hop6, vip6).icmp(135).quote(sent6(l2_port), 48),
       "pass",
       "icmp",
       {}},
      {"ICMPv6 in IPv4 is no error",
       from_router().ip(hop, vip, {.protocol = 58}).icmp(3, 4).quote(sent(l2_port), 28),
       "pass",
       "icmp",
       {}},
      {"an error that a backend sends is the client's",
       from_router()
           .ip("10.0.1.21", client)
           .icmp(3, 3)
           .quote(Packet().ip(client, vip).udp(9, l2_port), 28),
       "pass",
       "not-ours",
       {}},
      {"and one that a backend sends from the VIP",
       from_router()
           .ip(vip6, client6)
           .icmp(1, 4)
           .quote(Packet().ip(client6, vip6).udp(9, l2_port), 48),
       "pass",
       "not-ours",
       {}},
  });
}

TEST_P(PacketIcmp, ErrorsThatContradictThemselvesAreTheKernels) {
  check({
      {"a byte less than eight of the L4 header",
       error(from_router(), sent(l2_port), 27),
       "pass",
       "truncated",
       {}},
      {"a byte less, IPv6", error6(from_router(), sent6(l2_port), 47), "pass", "truncated", {}},
      {"eight bytes, but not of the L4 header: options come first",
       error(from_router(), sent(l2_port, {.option_words = 10}), 67),
       "pass",
       "truncated",
       {}},
      {"half an IP header", error(from_router(), sent(l2_port), 19), "pass", "truncated", {}},
      {"half an IP header, IPv6",
       error6(from_router(), sent6(l2_port), 39),
       "pass",
       "truncated",
       {}},
      {"an extension header that leads out",
       error6(from_router(), Packet().ip(vip6, client6, {.protocol = 60}), 40),
       "pass",
       "truncated",
       {}},
      {"nothing quoted", from_router().ip(hop, vip).icmp(3, 1), "pass", "truncated", {}},
      {"half an ICMP header",
       from_router().ip(hop, vip, {.protocol = 1}).payload(7),
       "pass",
       "truncated",
       {}},
      {"half an ICMP header, IPv6",
       from_router().ip(hop6, vip6, {.protocol = 58}).payload(20 - 13),
       "pass",
       "truncated",
       {}},
      {"the quote is padding of the frame only",
       from_router().ip(hop, vip, {.length_error = -8}).icmp(3, 4).quote(sent(l2_port), 28),
       "pass",
       "truncated",
       {}},
      {"a quote of another version",
       error(from_router(), sent(l2_port, {.version = 6})),
       "pass",
       "malformed",
       {}},
      {"a quote of another version, IPv6",
       error6(from_router(),
              Packet().ip(vip6, client6, {.version = 4}).tcp(l2_port, 40000, ack).payload(64)),
       "pass",
       "malformed",
       {}},
  });
  auto short_header = error(from_router(), sent(l2_port)).bytes();
  short_header[14 + 20 + 8] = 0x44;
  send(short_header, "pass", "malformed");
}

TEST_P(PacketIcmp, ErrorsThatCannotBeDeliveredAreDroppedAndNeverAnswered) {
  const auto large = [](std::uint16_t port) {
    return Packet().ip(vip, client).udp(port, 9).payload(600);
  };
  const auto large6 = [](std::uint16_t port) {
    return Packet().ip(vip6, client6).udp(port, 9).payload(1300);
  };
  check({
      {"no backend", error(from_router(), sent(empty_port)), "drop", "no-backend", {}},
      {"no backend, IPv6", error6(from_router(), sent6(empty_port)), "drop", "no-backend", {}},
      {"no MAC", error(from_router(), sent(lost_port)), "drop", "unresolved", {}},
      {"too big for the way", error(from_router(), large(small_port), 548), "drop", "too-big", {}},
      {"too big for the way, IPv6",
       error6(from_router(), large6(small_port), 1300),
       "drop",
       "too-big",
       {}},
      {"a later extension does not make it anything else",
       from_router().ip(hop6, vip6).extension(60).icmp(2).quote(large6(small_port), 1300),
       "drop",
       "too-big",
       {}},
  });
}

TEST_P(PacketIcmp, PingsOfAVipThatIsToAnswerAreAnswered) {
  answer_echo();
  const auto back = [] { return Packet().ether(balancer_mac, router_mac); };
  check({
      {"ping", from_router().ip(client, vip, {.ttl = 3, .id = 77}).icmp(8).payload(56), "tx",
       "echo", back().ip(vip, client, {.ttl = 64, .id = 77}).icmp(0).payload(56)},
      {"ping of an odd size", from_router().ip(client, vip, {.tos = 0x20}).icmp(8).payload("odd"),
       "tx", "echo", back().ip(vip, client, {.tos = 0x20}).icmp(0).payload("odd")},
      {"the smallest", from_router().ip(client, vip, {.fragment = 0}).icmp(8, 0, 0xffffffff), "tx",
       "echo", back().ip(vip, client, {.fragment = 0}).icmp(0, 0, 0xffffffff)},
      {"a large one", from_router().ip(client, vip).icmp(8).payload(1472), "tx", "echo",
       back().ip(vip, client).icmp(0).payload(1472)},
      {"in a VLAN", from_router().tag(12).ip(client, vip, {.ttl = 255}).icmp(8).payload(8), "tx",
       "echo", back().tag(12).ip(vip, client).icmp(0).payload(8)},
      {"IPv6", from_router().ip(client6, vip6, {.ttl = 3}).icmp(128).payload(56), "tx", "echo",
       back().ip(vip6, client6).icmp(129).payload(56)},
      {"IPv6 in two VLANs",
       from_router().tag(7, 0x88a8).tag(12).ip(client6, vip6).icmp(128).payload("odd"), "tx",
       "echo", back().tag(7, 0x88a8).tag(12).ip(vip6, client6).icmp(129).payload("odd")},
  });
}

TEST_P(PacketIcmp, AVipThatAnswersPingsServesAsBefore) {
  answer_echo();
  check({
      {"the fast way", from_router().ip(client, vip).tcp(1, l2_port, ack), "forward", "dsr-l2",
       to_backend("10.0.1.21").ip(client, vip).tcp(1, l2_port, ack)},
      {"the slow way", from_router().ip(client, vip, {.option_words = 1}).tcp(1, l2_port, ack),
       "forward", "dsr-l2",
       to_backend("10.0.1.21").ip(client, vip, {.option_words = 1}).tcp(1, l2_port, ack)},
      {"the slow way, IPv6", from_router().ip(client6, vip6).extension(60).tcp(1, l2_port, ack),
       "forward", "dsr-l2",
       to_backend("fd00:1::21").ip(client6, vip6).extension(60).tcp(1, l2_port, ack)},
      {"errors", error(from_router(), sent(l2_port)), "forward", "icmp-error",
       error(to_backend("10.0.1.21"), sent(l2_port))},
      {"no service", from_router().ip(client, vip).tcp(1, no_port, syn), "pass", "no-service", {}},
  });
}

TEST_P(PacketIcmp, PingsThatNeedMoreThoughtAreTheKernels) {
  answer_echo();
  constexpr MacAddress broadcast{{255, 255, 255, 255, 255, 255}}, group{{0x33, 0x33, 0, 0, 0, 1}};
  check({
      {"options", from_router().ip(client, vip, {.option_words = 1}).icmp(8), "pass", "icmp", {}},
      {"extension headers",
       from_router().ip(client6, vip6).extension(0).icmp(128),
       "pass",
       "icmp",
       {}},
      {"an unknown code", from_router().ip(client, vip).icmp(8, 1), "pass", "icmp", {}},
      {"an unknown code, IPv6", from_router().ip(client6, vip6).icmp(128, 1), "pass", "icmp", {}},
      {"a reply", from_router().ip(client, vip).icmp(0), "pass", "icmp", {}},
      {"a reply, IPv6", from_router().ip(client6, vip6).icmp(129), "pass", "icmp", {}},
      {"a broadcast frame",
       Packet().ether(router_mac, broadcast).ip(client, vip).icmp(8),
       "pass",
       "icmp",
       {}},
      {"a multicast frame",
       Packet().ether(router_mac, group).ip(client6, vip6).icmp(128),
       "pass",
       "icmp",
       {}},
      {"from a group", from_router().ip("224.0.0.1", vip).icmp(8), "pass", "icmp", {}},
      {"from all", from_router().ip("255.255.255.255", vip).icmp(8), "pass", "icmp", {}},
      {"from nobody", from_router().ip("0.0.0.0", vip).icmp(8), "pass", "icmp", {}},
      {"from a loopback address", from_router().ip("127.0.0.1", vip).icmp(8), "pass", "icmp", {}},
      {"from a group, IPv6", from_router().ip("ff02::1", vip6).icmp(128), "pass", "icmp", {}},
      {"from nobody, IPv6", from_router().ip("::", vip6).icmp(128), "pass", "icmp", {}},
      {"from a loopback address, IPv6",
       from_router().ip("::1", vip6).icmp(128),
       "pass",
       "icmp",
       {}},
      {"a fragment",
       from_router().ip(client, vip, {.fragment = 0x2000}).icmp(8).payload(64),
       "pass",
       "fragment",
       {}},
      {"of a nat source, which is no VIP",
       from_router().ip(client, source).icmp(8),
       "pass",
       "icmp",
       {}},
      {"of another address",
       from_router().ip(client, "10.0.0.101").icmp(8),
       "pass",
       "not-ours",
       {}},
  });
}

TEST_P(PacketIcmp, WhetherAVipAnswersFollowsItsEnabledServices) {
  const Case ping{"ping", from_router().ip(client, vip).icmp(8), "tx", "echo",
                  Packet().ether(balancer_mac, router_mac).ip(vip, client).icmp(0)};
  Case passes = ping, ping6 = ping;
  passes.verdict = "pass", passes.reason = "icmp", passes.out = {};
  ping6.in = from_router().ip(client6, vip6).icmp(128);
  ping6.verdict = "pass", ping6.reason = "icmp", ping6.out = {};
  check(passes);
  config_.services.front().answerEcho = true;
  ASSERT_EQ(config_.services.front().address, ip(vip));
  apply(config_, topology_);
  check({ping, ping6});
  config_.services.front().enabled = false;
  apply(config_, topology_);
  check(passes);
}

TEST_P(PacketIcmp, NoBeginningOfAnErrorIsForwarded) {
  answer_echo();
  for (const auto& whole : {error(from_router(), sent(l2_port)).bytes(),
                            error6(from_router(), sent6(ipip_port)).bytes(),
                            from_router().tag(3).ip(client, vip).icmp(8).bytes(),
                            from_router().ip(client6, vip6).icmp(128).bytes()})
    for (std::size_t size = 14; size < whole.size(); size++) {
      SCOPED_TRACE("cut to " + std::to_string(size) + " of " + std::to_string(whole.size()));
      const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      const auto outcome = run("in0", cut);
      EXPECT_EQ(outcome.verdict, 2u) << "only the kernel may judge it";
      EXPECT_TRUE(outcome.packet == cut);
    }
}

}  // namespace sluice::test
