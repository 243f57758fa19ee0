// ICMP errors about flows of nat, both ways: without them no path MTU is found through nat, and who
// sends to a closed port waits until he gives up.
#include "packets_fixture.hpp"

namespace sluice::test {

namespace {

constexpr const char *hop = "198.51.100.9", *hop6 = "2001:db8:f::9";  ///< towards the client
constexpr const char *inner_hop = "10.0.1.200", *inner_hop6 = "fd00:1::200";  ///< towards backends

}  // namespace

/// Each test opens its flow and knows by that which port of ours it has.
class PacketNatError : public PacketTest {
 protected:
  static Packet from_backends() { return Packet().ether(mac_of(inner_hop), out_mac); }
  static Packet to_router() { return Packet().ether(balancer_mac, router_mac); }
  std::uint16_t open(const Packet& packet) {
    const auto out = send(packet.bytes(), forwarded(), "nat");
    const std::size_t at = out.at(12) == 0x08 ? 34 : 54;
    return static_cast<std::uint16_t>(out.at(at) << 8 | out.at(at + 1));
  }
  /// An error that a backend's packet met, and what the backend gets of it.
  void check_to_backend(const std::string& name, const Packet& error, const Packet& out) {
    check({name, error, "forward", "icmp-error", out});
  }
  /// An error that a client's packet met, and what the client gets of it.
  void check_to_client(const std::string& name, const Packet& error, const Packet& out) {
    SCOPED_TRACE(name);
    const auto came = send(error.bytes(), forwarded(), "icmp-error", way_out());
    const auto expected = out.bytes();
    EXPECT_TRUE(came == expected) << "came out:" << dump(came, expected)
                                  << "\nexpected:" << dump(expected, came);
  }
};
SLUICE_BOTH_ARMS(PacketNatError);

TEST_P(PacketNatError, WhatARouterSaysOfABackendsPacketReachesTheBackendAsOfItsOwnPacket) {
  const auto port = open(from_router().ip(client, vip).tcp(40000, nat_port, syn));
  const auto about = Packet().ip(vip, client, {.ttl = 3}).tcp(nat_port, 40000, ack).payload(64);
  const auto own =
      Packet().ip("10.0.1.11", source, {.ttl = 3}).tcp(nat_port, port, ack).payload(64);
  const auto to = [] { return to_backend("10.0.1.11").ip(source, "10.0.1.11"); };
  for (const std::size_t size : {28, 36, 38, 40, 60, 104})
    check_to_backend(std::to_string(size) + " bytes quoted",
                     from_router().ip(hop, vip).icmp(3, 4, 1400).quote(about, size),
                     to().icmp(3, 4, 1400).quote(own, size));
  check_to_backend(
      "in a VLAN, with options",
      from_router().tag(12).ip(hop, vip, {.option_words = 3}).icmp(11).quote(about, 28),
      to_backend("10.0.1.11")
          .tag(12)
          .ip(source, "10.0.1.11", {.option_words = 3})
          .icmp(11)
          .quote(own, 28));
  const auto odd = [](const Packet& start, std::uint16_t from, std::uint16_t to_port) {
    return Packet(start).tcp(from, to_port, ack).payload("odd");
  };
  check_to_backend(
      "options quoted",
      from_router().ip(hop, vip).icmp(3, 1).quote(
          odd(Packet().ip(vip, client, {.option_words = 10}), nat_port, 40000), 83),
      to().icmp(3, 1).quote(
          odd(Packet().ip("10.0.1.11", source, {.option_words = 10}), nat_port, port), 83));
  EXPECT_EQ(service(nat_port).packets, 9u) << "they count as packets for the service";
  EXPECT_EQ(service(nat_port).opened, 1u) << "and open nothing";
}

TEST_P(PacketNatError, TheSameOverIpv6) {
  const auto port = open(from_router().ip(client6, vip6).tcp(40000, nat_port, syn));
  const auto about = Packet().ip(vip6, client6).tcp(nat_port, 40000, ack).payload(1200);
  const auto own = Packet().ip("fd00:1::11", source6).tcp(nat_port, port, ack).payload(1200);
  for (const std::size_t size : {48, 56, 58, 80, 1232})
    check_to_backend(
        std::to_string(size) + " bytes quoted",
        from_router().ip(hop6, vip6).icmp(2, 0, 1300).quote(about, size),
        to_backend("fd00:1::11").ip(source6, "fd00:1::11").icmp(2, 0, 1300).quote(own, size));
  const auto chain = [](const char* from, const char* to, std::uint16_t from_port,
                        std::uint16_t to_port) {
    return Packet().ip(from, to).extension(60).extension(43, 1).tcp(from_port, to_port, ack);
  };
  check_to_backend("extension headers quoted, and of the error itself",
                   from_router()
                       .ip(hop6, vip6)
                       .extension(60)
                       .icmp(3)
                       .quote(chain(vip6, client6, nat_port, 40000), 84),
                   to_backend("fd00:1::11")
                       .ip(source6, "fd00:1::11")
                       .extension(60)
                       .icmp(3)
                       .quote(chain("fd00:1::11", source6, nat_port, port), 84));
}

TEST_P(PacketNatError, UdpChecksumsAreTurnedBackAndTheirAbsenceStays) {
  const auto port = open(from_router().ip(client, vip).udp(5353, other_nat_port).payload("query"));
  const auto port6 =
      open(from_router().ip(client6, vip6).udp(5353, other_nat_port).payload("query"));
  for (const bool checksum : {true, false}) {
    const auto about = Packet().ip(vip, client).udp(other_nat_port, 5353, checksum).payload("x");
    const auto own = Packet().ip("10.0.1.12", source).udp(8080, port, checksum).payload("x");
    check_to_backend(checksum ? "with" : "without",
                     from_router().ip(hop, vip).icmp(3, 3).quote(about, 29),
                     to_backend("10.0.1.12").ip(source, "10.0.1.12").icmp(3, 3).quote(own, 29));
  }
  check_to_backend(
      "IPv6",
      from_router()
          .ip(hop6, vip6)
          .icmp(1, 4)
          .quote(Packet().ip(vip6, client6).udp(other_nat_port, 5353).payload("x"), 48),
      to_backend("fd00:1::12")
          .ip(source6, "fd00:1::12")
          .icmp(1, 4)
          .quote(Packet().ip("fd00:1::12", source6).udp(8080, port6).payload("x"), 48));
}

TEST_P(PacketNatError, WhatABackendSaysOfAClientsPacketReachesTheClientFromTheVip) {
  const auto port = open(from_router().ip(client, vip).udp(5353, other_nat_port).payload("query"));
  check_to_client(
      "port unreachable, said by the backend",
      from_backends()
          .ip("10.0.1.12", source)
          .icmp(3, 3)
          .quote(Packet().ip(source, "10.0.1.12").udp(port, 8080).payload("query"), 28),
      to_router()
          .ip(vip, client)
          .icmp(3, 3)
          .quote(Packet().ip(client, vip).udp(5353, other_nat_port).payload("query"), 28));
  const auto tcp = open(from_router().ip(client, vip).tcp(40000, nat_port, syn));
  check_to_client(
      "fragmentation needed, said by a router on the way",
      from_backends()
          .tag(5)
          .ip(inner_hop, source)
          .icmp(3, 4, 1200)
          .quote(Packet().ip(source, "10.0.1.11").tcp(tcp, nat_port, ack).payload(90), 130),
      to_router()
          .tag(5)
          .ip(vip, client)
          .icmp(3, 4, 1200)
          .quote(Packet().ip(client, vip).tcp(40000, nat_port, ack).payload(90), 130));
  const auto port6 = open(from_router().ip(client6, vip6).udp(5353, nat_port).payload("query"));
  check_to_client(
      "IPv6",
      from_backends()
          .ip(inner_hop6, source6)
          .icmp(2, 0, 1280)
          .quote(Packet().ip(source6, "fd00:1::11").udp(port6, nat_port).payload("query"), 53),
      to_router()
          .ip(vip6, client6)
          .icmp(2, 0, 1280)
          .quote(Packet().ip(client6, vip6).udp(5353, nat_port).payload("query"), 53));
  EXPECT_EQ(service(other_nat_port, model::Protocol::udp).reply_packets, 1u)
      << "they count as packets of the service's backends";
}

TEST_P(PacketNatError, ABackendThatKnowsTheClientGetsTheErrorFromWhoSentIt) {
  open(from_router().ip(client, vip).tcp(40000, keep_port, syn));
  open(from_router().ip(client6, vip6).tcp(40000, keep_port, syn));
  check_to_backend(
      "IPv4",
      from_router()
          .ip(hop, vip)
          .icmp(3, 4, 1400)
          .quote(Packet().ip(vip, client).tcp(keep_port, 40000, ack).payload(9), 49),
      to_backend("10.0.1.41")
          .ip(hop, "10.0.1.41")
          .icmp(3, 4, 1400)
          .quote(Packet().ip("10.0.1.41", client).tcp(keep_port, 40000, ack).payload(9), 49));
  check_to_backend(
      "IPv6",
      from_router()
          .ip(hop6, vip6)
          .icmp(2, 0, 1400)
          .quote(Packet().ip(vip6, client6).tcp(keep_port, 40000, ack).payload(9), 69),
      to_backend("fd00:1::41")
          .ip(hop6, "fd00:1::41")
          .icmp(2, 0, 1400)
          .quote(Packet().ip("fd00:1::41", client6).tcp(keep_port, 40000, ack).payload(9), 69));
}

TEST_P(PacketNatError, WhatQuotesNoFlowIsTheKernels) {
  const auto port = open(from_router().ip(client, vip).tcp(40000, nat_port, syn));
  const auto to_vip = [](const Packet& about) {
    return from_router().ip(hop, vip).icmp(3, 4, 1400).quote(about, 28);
  };
  const auto to_source = [](const Packet& about) {
    return from_router().ip(inner_hop, source).icmp(3, 3).quote(about, 28);
  };
  const auto quoted = [](const char* from, std::uint16_t from_port, const char* to,
                         std::uint16_t to_port) {
    return Packet().ip(from, to).tcp(from_port, to_port, ack).payload(9);
  };
  check({
      {"another port of the client", to_vip(quoted(vip, nat_port, client, 40001)), "pass", "icmp"},
      {"another client", to_vip(quoted(vip, nat_port, "192.0.2.8", 40000)), "pass", "icmp"},
      {"another protocol", to_vip(Packet().ip(vip, client).udp(nat_port, 40000).payload(9)), "pass",
       "icmp"},
      {"a port of ours that nobody has",
       to_source(quoted(source, static_cast<std::uint16_t>(port ^ 1), "10.0.1.11", nat_port)),
       "pass", "icmp"},
      {"a port of this machine's own", to_source(quoted(source, 40000, "10.0.1.11", nat_port)),
       "pass", "icmp"},
      {"another backend", to_source(quoted(source, port, "10.0.1.12", nat_port)), "pass", "icmp"},
      {"neither TCP nor UDP", to_source(Packet().ip(source, "10.0.1.11").icmp(8).payload(9)),
       "pass", "icmp"},
      {"IPv6",
       from_router()
           .ip(hop6, vip6)
           .icmp(2, 0, 1400)
           .quote(Packet().ip(vip6, client6).tcp(nat_port, 40000, ack), 48),
       "pass", "icmp"},
      {"a ping of the address that nat sends from", from_router().ip(inner_hop, source).icmp(8),
       "pass", "icmp"},
  });
}

TEST_P(PacketNatError, AnErrorThatDoesNotFitIsDroppedAndNotAnswered) {
  open(from_router().ip(client, vip).udp(5353, small_nat_port).payload("query"));
  const auto dropped = [&] { return service(small_nat_port, model::Protocol::udp).dropped; };
  const auto before = dropped();
  check({"too big",
         from_router()
             .ip(hop, vip)
             .icmp(3, 4, 1400)
             .quote(Packet().ip(vip, client).udp(small_nat_port, 5353).payload(600), 548),
         "drop", "too-big"});
  EXPECT_EQ(dropped(), before + 1);
}

}  // namespace sluice::test
