// Direct server return, frame by frame: what goes in, and every byte of what comes out.
#include "packets_fixture.hpp"

namespace sluice::test {

class PacketDsr : public PacketTest {};
SLUICE_BOTH_ARMS(PacketDsr);

TEST_P(PacketDsr, L2ChangesTheMacAddressesAndNothingElse) {
  check({
      {"TCP SYN", from_router().ip(client, vip).tcp(40000, l2_port, syn), "forward", "dsr-l2",
       to_backend("10.0.1.21").ip(client, vip).tcp(40000, l2_port, syn)},
      {"data, and the TTL stays: nobody routes between us and the backend",
       from_router().ip(client, vip, {.ttl = 3}).tcp(40000, l2_port, ack).payload("hello"),
       "forward", "dsr-l2",
       to_backend("10.0.1.21")
           .ip(client, vip, {.ttl = 3})
           .tcp(40000, l2_port, ack)
           .payload("hello")},
      {"UDP", from_router().ip(client, vip).udp(5353, l2_port).payload("?"), "forward", "dsr-l2",
       to_backend("10.0.1.21").ip(client, vip).udp(5353, l2_port).payload("?")},
      {"UDP without checksum", from_router().ip(client, vip).udp(5353, l2_port, false).payload("?"),
       "forward", "dsr-l2",
       to_backend("10.0.1.21").ip(client, vip).udp(5353, l2_port, false).payload("?")},
      {"IPv4 options", from_router().ip(client, vip, {.option_words = 3}).tcp(40000, l2_port, ack),
       "forward", "dsr-l2",
       to_backend("10.0.1.21").ip(client, vip, {.option_words = 3}).tcp(40000, l2_port, ack)},
      {"the most IPv4 options",
       from_router().ip(client, vip, {.option_words = 10}).tcp(40000, l2_port, ack), "forward",
       "dsr-l2",
       to_backend("10.0.1.21").ip(client, vip, {.option_words = 10}).tcp(40000, l2_port, ack)},
      {"DF not set is no fragment",
       from_router().ip(client, vip, {.fragment = 0}).tcp(40000, l2_port, ack), "forward", "dsr-l2",
       to_backend("10.0.1.21").ip(client, vip, {.fragment = 0}).tcp(40000, l2_port, ack)},
      {"VLAN", from_router().tag(12).ip(client, vip).tcp(40000, l2_port, ack), "forward", "dsr-l2",
       to_backend("10.0.1.21").tag(12).ip(client, vip).tcp(40000, l2_port, ack)},
      {"two VLAN tags", from_router().tag(7, 0x88a8).tag(12).ip(client, vip).udp(9, l2_port),
       "forward", "dsr-l2",
       to_backend("10.0.1.21").tag(7, 0x88a8).tag(12).ip(client, vip).udp(9, l2_port)},
      {"TCP over IPv6", from_router().ip(client6, vip6).tcp(40000, l2_port, syn), "forward",
       "dsr-l2", to_backend("fd00:1::21").ip(client6, vip6).tcp(40000, l2_port, syn)},
      {"UDP over IPv6, the shortest there is", from_router().ip(client6, vip6).udp(40000, l2_port),
       "forward", "dsr-l2", to_backend("fd00:1::21").ip(client6, vip6).udp(40000, l2_port)},
      {"IPv6 extension headers",
       from_router().ip(client6, vip6).extension(0).extension(60, 2).tcp(40000, l2_port, ack),
       "forward", "dsr-l2",
       to_backend("fd00:1::21")
           .ip(client6, vip6)
           .extension(0)
           .extension(60, 2)
           .tcp(40000, l2_port, ack)},
      {"six IPv6 extension headers, as many as are followed",
       from_router()
           .ip(client6, vip6)
           .extension(0)
           .extension(60)
           .extension(43)
           .extension(60)
           .extension(43)
           .extension(60)
           .udp(9, l2_port),
       "forward", "dsr-l2",
       to_backend("fd00:1::21")
           .ip(client6, vip6)
           .extension(0)
           .extension(60)
           .extension(43)
           .extension(60)
           .extension(43)
           .extension(60)
           .udp(9, l2_port)},
      {"a fragment header that holds the whole packet (RFC 6946)",
       from_router().ip(client6, vip6).fragment_header(0).udp(9, l2_port), "forward", "dsr-l2",
       to_backend("fd00:1::21").ip(client6, vip6).fragment_header(0).udp(9, l2_port)},
      {"VLAN over IPv6", from_router().tag(12).ip(client6, vip6).tcp(40000, l2_port, ack),
       "forward", "dsr-l2",
       to_backend("fd00:1::21").tag(12).ip(client6, vip6).tcp(40000, l2_port, ack)},
      {"trailing bytes of a short Ethernet frame stay",
       from_router().ip(client, vip, {.length_error = -6}).udp(9, l2_port).payload("??????"),
       "forward", "dsr-l2",
       to_backend("10.0.1.21")
           .ip(client, vip, {.length_error = -6})
           .udp(9, l2_port)
           .payload("??????")},
  });
}

TEST_P(PacketDsr, IpipPutsAnOuterHeaderOfRfc2003Or2473BeforeThePacket) {
  check({
      {"IPv4 in IPv4",
       from_router().ip(client, vip, {.tos = 0x10, .ttl = 9, .id = 77}).tcp(40000, ipip_port, syn),
       "forward", "dsr-ipip4",
       to_backend("10.0.1.31")
           .ip(source, "10.0.1.31")
           .ip(client, vip, {.tos = 0x10, .ttl = 9, .id = 77})
           .tcp(40000, ipip_port, syn)},
      {"IPv4 in IPv4, UDP, odd length",
       from_router().ip(client, vip).udp(40000, ipip_port).payload("odd"), "forward", "dsr-ipip4",
       to_backend("10.0.1.31")
           .ip(source, "10.0.1.31")
           .ip(client, vip)
           .udp(40000, ipip_port)
           .payload("odd")},
      {"IPv4 with options in IPv4",
       from_router().ip(client, vip, {.option_words = 2}).tcp(40000, ipip_port, ack), "forward",
       "dsr-ipip4",
       to_backend("10.0.1.31")
           .ip(source, "10.0.1.31")
           .ip(client, vip, {.option_words = 2})
           .tcp(40000, ipip_port, ack)},
      {"IPv6 in IPv6", from_router().ip(client6, vip6).tcp(40000, ipip_port, syn), "forward",
       "dsr-ipip6",
       to_backend("fd00:1::31")
           .ip(source6, "fd00:1::31")
           .ip(client6, vip6)
           .tcp(40000, ipip_port, syn)},
      {"IPv6 with extension headers in IPv6",
       from_router().ip(client6, vip6).extension(60).udp(9, ipip_port).payload("x"), "forward",
       "dsr-ipip6",
       to_backend("fd00:1::31")
           .ip(source6, "fd00:1::31")
           .ip(client6, vip6)
           .extension(60)
           .udp(9, ipip_port)
           .payload("x")},
      {"IPv4 in IPv6", from_router().ip(client, vip).tcp(40000, ipip6_port, ack).payload("data"),
       "forward", "dsr-ipip6",
       to_backend("fd00:1::31")
           .ip(source6, "fd00:1::31")
           .ip(client, vip)
           .tcp(40000, ipip6_port, ack)
           .payload("data")},
      {"behind a VLAN tag", from_router().tag(12).ip(client, vip).tcp(40000, ipip_port, ack),
       "forward", "dsr-ipip4",
       to_backend("10.0.1.31")
           .tag(12)
           .ip(source, "10.0.1.31")
           .ip(client, vip)
           .tcp(40000, ipip_port, ack)},
      {"behind two VLAN tags, IPv6",
       from_router().tag(7, 0x88a8).tag(12).ip(client6, vip6).tcp(40000, ipip_port, ack), "forward",
       "dsr-ipip6",
       to_backend("fd00:1::31")
           .tag(7, 0x88a8)
           .tag(12)
           .ip(source6, "fd00:1::31")
           .ip(client6, vip6)
           .tcp(40000, ipip_port, ack)},
  });
}

TEST_P(PacketDsr, OuterSourceVariesWithTheFlowInItsPrefixAndStaysWithinAFlow) {
  config_.xdp.encapSource = "172.16.0.0/16";
  config_.xdp.encapSource6 = "fd00:e::/112";
  apply(config_, topology_);
  std::set<std::pair<int, int>> seen4, seen6;
  for (std::uint16_t port = 1; port <= 40; port++) {
    const auto in4 = from_router().ip(client, vip).tcp(port, ipip_port, ack).bytes();
    const auto out4 = send(in4, forwarded(), "dsr-ipip4");
    ASSERT_GT(out4.size(), 54u);
    const std::string from = "172.16." + std::to_string(out4[28]) + "." + std::to_string(out4[29]);
    const auto want = to_backend("10.0.1.31")
                          .ip(from, "10.0.1.31")
                          .ip(client, vip)
                          .tcp(port, ipip_port, ack)
                          .bytes();
    ASSERT_TRUE(out4 == want) << "the outer checksum follows the varying bits:" << dump(out4, want);
    EXPECT_TRUE(send(in4, forwarded(), "dsr-ipip4") == out4) << "one flow, one outer source";
    seen4.emplace(out4[28], out4[29]);
    const auto out6 = send(from_router().ip(client6, vip6).tcp(port, ipip_port, ack).bytes(),
                           forwarded(), "dsr-ipip6");
    EXPECT_EQ(Bytes(out6.begin() + 22, out6.begin() + 36),
              (Bytes{0xfd, 0, 0, 0xe, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
    seen6.emplace(out6[36], out6[37]);
  }
  EXPECT_GT(seen4.size(), 35u) << "receive-side scaling at the backend needs many outer sources";
  EXPECT_GT(seen6.size(), 35u);
}

TEST_P(PacketDsr, ServiceAndBackendCountWhatWasForwarded) {
  const auto opening = from_router().ip(client, vip).tcp(40000, ipip_port, syn).bytes();
  const auto data = from_router().ip(client, vip).tcp(40000, ipip_port, ack).payload(100).bytes();
  const auto closing = from_router().ip(client, vip).tcp(40000, ipip_port, fin | ack).bytes();
  for (const auto& packet : {opening, data, data, closing})
    send(packet, forwarded(), "dsr-ipip4");
  const auto counted = service(ipip_port);
  EXPECT_EQ(counted.packets, 4u);
  EXPECT_EQ(counted.bytes, opening.size() + 2 * data.size() + closing.size());
  EXPECT_EQ(counted.opened, 1u);
  EXPECT_EQ(counted.closed, 1u);
  EXPECT_EQ(counted.dropped, 0u);
  const auto counters = loader_->counters();
  ASSERT_TRUE(ok(counters));
  const auto& backend = counters->backends.at({"p82", ip("10.0.1.31"), 0});
  EXPECT_EQ(backend.packets, counted.packets);
  EXPECT_EQ(backend.bytes, counted.bytes);
}

}  // namespace sluice::test
