// A packet that does not fit the way to its backend: whoever sent it hears what does, so that an
// upload through a tunnel goes on with smaller packets instead of standing still.
#include <sched.h>

#include <chrono>
#include <thread>

#include "packets_fixture.hpp"

namespace sluice::test {

namespace {

Packet back() {
  return Packet().ether(balancer_mac, router_mac);
}
/// What comes back for an IPv4 packet, from the VIP that it was sent to.
Packet told(Packet frame, const Packet& about, std::uint16_t room, std::size_t quoted = 548) {
  return frame.ip(vip, client, {.tos = 0xc0}).icmp(3, 4, room).quote(about, quoted);
}
Packet told6(Packet frame, const Packet& about, std::uint32_t room) {
  return frame.ip(vip6, client6).icmp(2, 0, room).quote(about, 1232);
}

}  // namespace

class PacketTooBig : public PacketTest {
 protected:
  void SetUp() override {
    PacketTest::SetUp();
    set_way(1500);
  }
  /// The ways to the backends of dsr-ipip on 82 and 83 carry that much.
  void set_way(std::uint16_t mtu) {
    for (const char* address : {"10.0.1.31", "fd00:1::31"})
      topology_.next_hops.at(ip(address)).mtu = mtu;
    apply(config_, topology_);
  }
};
SLUICE_BOTH_ARMS(PacketTooBig);

TEST_P(PacketTooBig, WhatFitsToTheByteGoesAndAByteMoreIsToldWhatFits) {
  const auto data = [](std::uint16_t port, std::size_t length) {
    return Packet().ip(client, vip).tcp(40000, port, ack).payload(length - 40);
  };
  const auto data6 = [](std::size_t length) {
    return Packet().ip(client6, vip6).tcp(40000, ipip_port, ack).payload(length - 60);
  };
  const auto framed = [](Packet frame, std::uint16_t port, std::size_t length) {
    return frame.ip(client, vip).tcp(40000, port, ack).payload(length - 40);
  };
  const auto framed6 = [](Packet frame, std::size_t length) {
    return frame.ip(client6, vip6).tcp(40000, ipip_port, ack).payload(length - 60);
  };
  check({
      {"fits exactly", framed(from_router(), ipip_port, 1480), "forward", "dsr-ipip4",
       framed(to_backend("10.0.1.31").ip(source, "10.0.1.31"), ipip_port, 1480)},
      {"a byte more", framed(from_router(), ipip_port, 1481), "tx", "too-big-told",
       told(back(), data(ipip_port, 1481), 1480)},
      {"as large as Ethernet has it", framed(from_router(), ipip_port, 1500), "tx", "too-big-told",
       told(back(), data(ipip_port, 1500), 1480)},
      {"IPv4 in IPv6: 20 bytes less fit", framed(from_router(), ipip6_port, 1461), "tx",
       "too-big-told", told(back(), data(ipip6_port, 1461), 1460)},
      {"IPv6 fits exactly", framed6(from_router(), 1460), "forward", "dsr-ipip6",
       framed6(to_backend("fd00:1::31").ip(source6, "fd00:1::31"), 1460)},
      {"IPv6, a byte more", framed6(from_router(), 1461), "tx", "too-big-told",
       told6(back(), data6(1461), 1460)},
      {"in a VLAN", framed(from_router().tag(12), ipip_port, 1490), "tx", "too-big-told",
       told(back().tag(12), data(ipip_port, 1490), 1480)},
      {"in two VLANs", framed(from_router().tag(7, 0x88a8).tag(12), ipip_port, 1490), "tx",
       "too-big-told", told(back().tag(7, 0x88a8).tag(12), data(ipip_port, 1490), 1480)},
      {"IPv6 in a VLAN", framed6(from_router().tag(12), 1470), "tx", "too-big-told",
       told6(back().tag(12), data6(1470), 1460)},
      {"IPv6 in two VLANs", framed6(from_router().tag(7, 0x88a8).tag(12), 1470), "tx",
       "too-big-told", told6(back().tag(7, 0x88a8).tag(12), data6(1470), 1460)},
  });
  const auto counted = service(ipip_port);
  EXPECT_EQ(counted.packets, 1u);
  EXPECT_EQ(counted.dropped, 4u) << "told or not, they did not reach the service";
}

TEST_P(PacketTooBig, TheQuoteHasAllHeadersAndThePortsWhateverComesBeforeThem) {
  set_way(1400);
  const auto options = Packet()
                           .ip(client, vip, {.tos = 0x10, .ttl = 9, .id = 77, .option_words = 10})
                           .udp(9, ipip_port)
                           .payload(1380);
  const auto chain =
      Packet().ip(client6, vip6).extension(0).extension(60, 2).udp(9, ipip_port).payload(1380);
  check({
      {"IPv4 options",
       from_router()
           .ip(client, vip, {.tos = 0x10, .ttl = 9, .id = 77, .option_words = 10})
           .udp(9, ipip_port)
           .payload(1380),
       "tx", "too-big-told", told(back(), options, 1380)},
      {"extension headers",
       from_router()
           .ip(client6, vip6)
           .extension(0)
           .extension(60, 2)
           .udp(9, ipip_port)
           .payload(1380),
       "tx", "too-big-told", told6(back(), chain, 1360)},
  });
}

TEST_P(PacketTooBig, AWayTooNarrowForEvenTheQuoteQuotesHeadersAndEightBytes) {
  // The way on this port carries 200 bytes: 180 of a client's IPv4 packet.
  const auto about = [](std::size_t length) {
    return Packet().ip(client, vip).udp(1, small_port).payload(length - 28);
  };
  const auto framed = [](std::size_t length) {
    return from_router().ip(client, vip).udp(1, small_port).payload(length - 28);
  };
  check({
      {"the shortest that does not fit", framed(181), "tx", "too-big-told",
       told(back(), about(181), 180, 68)},
      {"one byte short of a long quote", framed(547), "tx", "too-big-told",
       told(back(), about(547), 180, 68)},
      {"a long quote", framed(548), "tx", "too-big-told", told(back(), about(548), 180, 548)},
  });
  // Less than the longest header and eight bytes, on a way that no link may be: 40 - 20 bytes.
  topology_.next_hops.at(ip("10.0.1.61")).mtu = 40;
  apply(config_, topology_);
  check({"not even that", framed(67), "drop", "too-big", {}});
}

TEST_P(PacketTooBig, Ipv6IsNeverToldLessThanWhatEveryLinkMustCarry) {
  set_way(1300);  // 1260 of a client's packet
  const auto framed = [](std::size_t length) {
    return from_router().ip(client6, vip6).udp(1, ipip_port).payload(length - 48);
  };
  const auto about = Packet().ip(client6, vip6).udp(1, ipip_port).payload(1281 - 48);
  check({
      {"who sends more is told 1280", framed(1281), "tx", "too-big-told",
       told6(back(), about, 1280)},
      {"who sends just that cannot send less", framed(1280), "drop", "too-big", {}},
      {"what does not fit, but almost", framed(1261), "drop", "too-big", {}},
  });
}

TEST_P(PacketTooBig, WhoMayNotBeToldIsNotTold) {
  constexpr MacAddress broadcast{{255, 255, 255, 255, 255, 255}}, group{{0x33, 0x33, 0, 0, 0, 1}};
  const auto large = [](Packet packet) { return packet.udp(1, ipip_port).payload(1460); };
  check({
      {"without DF: it may be cut up, but not by us",
       large(from_router().ip(client, vip, {.fragment = 0})),
       "drop",
       "too-big",
       {}},
      {"a broadcast frame",
       large(Packet().ether(router_mac, broadcast).ip(client, vip)),
       "drop",
       "too-big",
       {}},
      {"a multicast frame",
       large(Packet().ether(router_mac, group).ip(client6, vip6)),
       "drop",
       "too-big",
       {}},
      {"from a group", large(from_router().ip("224.0.0.1", vip)), "drop", "too-big", {}},
      {"from all", large(from_router().ip("255.255.255.255", vip)), "drop", "too-big", {}},
      {"from nobody", large(from_router().ip("0.0.0.0", vip)), "drop", "too-big", {}},
      {"from a loopback address", large(from_router().ip("127.1.2.3", vip)), "drop", "too-big", {}},
      {"from a group, IPv6", large(from_router().ip("ff02::1", vip6)), "drop", "too-big", {}},
      {"from nobody, IPv6", large(from_router().ip("::", vip6)), "drop", "too-big", {}},
      {"from a loopback address, IPv6",
       large(from_router().ip("::1", vip6)),
       "drop",
       "too-big",
       {}},
      {"a later fragment",
       from_router().ip(client, vip, {.fragment = 0x4010}).payload(1480),
       "pass",
       "fragment",
       {}},
      {"a later fragment, IPv6",
       from_router().ip(client6, vip6).fragment_header(0x10).payload(1440),
       "pass",
       "fragment",
       {}},
  });
}

TEST_P(PacketTooBig, ABudgetOfEachSecondKeepsItFromAnsweringAFlood) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(sched_getcpu(), &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0) << "each CPU has a budget of its own";
  const Bytes frames[] = {
      from_router().ip(client, vip).udp(1, ipip_port).payload(1460).bytes(),
      from_router().ip(client6, vip6).udp(1, ipip_port).payload(1440).bytes(),
  };
  const auto begin = std::chrono::steady_clock::now();
  std::uint64_t told = 0, dropped = 0;
  for (int i = 0; i < 12000 && dropped < 100; i++) {
    const auto verdict = run("in0", frames[i % 2]).verdict;
    (verdict == 3 ? told : dropped)++;
  }
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(std::chrono::steady_clock::now() -
                                                               begin + std::chrono::seconds(1));
  EXPECT_GE(told, 1000u) << "both families draw on one budget";
  EXPECT_LE(told, 1000u * static_cast<std::uint64_t>(seconds.count()));
  EXPECT_GE(dropped, 100u) << "the flood was never refused";
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  send(frames[0], "tx", "too-big-told");
}

}  // namespace sluice::test
