// nat, frame by frame, both ways: addresses, ports and checksums, and who owns a source port.
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <sys/mman.h>

#include <chrono>
#include <cstring>
#include <span>

#include "abi.h"

#include "packets_fixture.hpp"

namespace sluice::test {

class PacketNat : public PacketTest {
 protected:
  /// Where the ports of a frame stand that has no tags, options and extensions.
  static std::size_t l4(const Bytes& frame) { return frame.at(12) == 0x08 ? 34 : 54; }
  static std::uint16_t source_port(const Bytes& frame, std::size_t at) {
    return static_cast<std::uint16_t>(frame.at(at) << 8 | frame.at(at + 1));
  }
  static std::uint16_t source_port(const Bytes& frame) { return source_port(frame, l4(frame)); }

  Bytes forward(const Packet& packet) { return send(packet.bytes(), forwarded(), "nat"); }
  Bytes reply(const Packet& packet) {
    return send(packet.bytes(), forwarded(), "nat-reply", way_out());
  }
  static void same(const Bytes& out, const Packet& packet) {
    const auto expected = packet.bytes();
    EXPECT_TRUE(out == expected) << "came out:" << dump(out, expected)
                                 << "\nexpected:" << dump(expected, out);
  }
  /// A backend's frame as it arrives, and the answer as it goes to the router.
  static Packet from_backend(std::string_view backend) {
    return Packet().ether(mac_of(backend), out_mac);
  }
  static Packet to_router() { return Packet().ether(balancer_mac, router_mac); }
  dataplane::Traffic nat_service() { return service(nat_port); }
  void pass_time(std::uint32_t seconds) { loader_->tick(now_ += seconds); }
  static std::uint32_t uptime() {
    return static_cast<std::uint32_t>(std::chrono::steady_clock::now().time_since_epoch() /
                                      std::chrono::seconds(1));
  }
  std::uint64_t drops(const std::string& reason) {
    std::uint64_t sum = 0;
    for (const auto& [name, counted] : verdicts())
      sum += name.ends_with("drop " + reason) ? counted.packets : 0;
    return sum;
  }
  /// As if other flows had needed the places of the flow's entries, of one direction.
  void take_out(bool replies) {
    constexpr std::size_t lines = 1u << SL_OPENING_BITS;
    const auto opening = mapped<sl_flow_line>(".bss.opening", lines);
    int taken = 0;
    for (auto& line : std::span(opening.get(), lines))
      for (int way = 0; way < SL_FLOW_WAYS; way++)
        if (line.value[way] && !!(line.key[way] & SL_REPLY_SIDE) == replies) {
          line.value[way] = 0;
          taken++;
        }
    EXPECT_EQ(taken, 1);
  }

  std::uint32_t now_ =
      uptime() + 1000;  ///< ahead of the program's own clock, so that the test's counts
};
SLUICE_BOTH_ARMS(PacketNat);

TEST_P(PacketNat, RequestAndReplyOverIpv4AreRewrittenToTheByte) {
  const auto request = from_router().ip(client, vip, {.tos = 0x10, .ttl = 9, .id = 7});
  const auto out = forward(Packet(request).tcp(40000, nat_port, syn));
  const auto port = source_port(out);
  EXPECT_GE(port, 20000);
  EXPECT_LE(port, 31999);
  const auto to = to_backend("10.0.1.11").ip(source, "10.0.1.11", {.tos = 0x10, .ttl = 9, .id = 7});
  same(out, Packet(to).tcp(port, nat_port, syn));
  const auto back = from_backend("10.0.1.11").ip("10.0.1.11", source, {.ttl = 63});
  const auto answer = to_router().ip(vip, client, {.ttl = 63});
  same(reply(Packet(back).tcp(nat_port, port, syn | ack)),
       Packet(answer).tcp(nat_port, 40000, syn | ack));
  same(forward(Packet(request).tcp(40000, nat_port, ack).payload("GET /")),
       Packet(to).tcp(port, nat_port, ack).payload("GET /"));
  same(reply(Packet(back).tcp(nat_port, port, ack).payload("odd")),
       Packet(answer).tcp(nat_port, 40000, ack).payload("odd"));
}

TEST_P(PacketNat, RequestAndReplyOverIpv6AreRewrittenToTheByte) {
  const auto out = forward(from_router().ip(client6, vip6).tcp(40000, nat_port, syn));
  const auto port = source_port(out);
  same(out, to_backend("fd00:1::11").ip(source6, "fd00:1::11").tcp(port, nat_port, syn));
  same(reply(from_backend("fd00:1::11")
                 .ip("fd00:1::11", source6)
                 .tcp(nat_port, port, ack)
                 .payload(33)),
       to_router().ip(vip6, client6).tcp(nat_port, 40000, ack).payload(33));
}

TEST_P(PacketNat, UdpKeepsItsChecksumOrItsAbsence) {
  const auto out = forward(from_router().ip(client, vip).udp(5353, nat_port).payload("query"));
  const auto port = source_port(out);
  same(out, to_backend("10.0.1.11").ip(source, "10.0.1.11").udp(port, nat_port).payload("query"));
  same(reply(
           from_backend("10.0.1.11").ip("10.0.1.11", source).udp(nat_port, port).payload("answer")),
       to_router().ip(vip, client).udp(nat_port, 5353).payload("answer"));
  same(forward(from_router().ip(client, vip).udp(5353, nat_port, false).payload("query")),
       to_backend("10.0.1.11").ip(source, "10.0.1.11").udp(port, nat_port, false).payload("query"));
  const auto out6 = forward(from_router().ip(client6, vip6).udp(5353, nat_port).payload("query"));
  same(out6, to_backend("fd00:1::11")
                 .ip(source6, "fd00:1::11")
                 .udp(source_port(out6), nat_port)
                 .payload("query"));
}

TEST_P(PacketNat, UdpChecksumThatComesOutAsZeroIsSentAsAllOnes) {
  const auto port = source_port(forward(from_router().ip(client, vip).udp(5353, nat_port)));
  // One of the 65,536 two-byte payloads makes the sum zero, which would say "no checksum" (RFC
  // 768).
  for (unsigned i = 0; i < 65536; i++) {
    const std::string text{static_cast<char>(i >> 8), static_cast<char>(i)};
    const auto expected =
        to_backend("10.0.1.11").ip(source, "10.0.1.11").udp(port, nat_port).payload(text);
    const auto bytes = expected.bytes();
    if (bytes[40] != 0xff || bytes[41] != 0xff)
      continue;
    same(forward(from_router().ip(client, vip).udp(5353, nat_port).payload(text)), expected);
    return;
  }
  FAIL() << "no payload gives this checksum";
}

TEST_P(PacketNat, TagsOptionsAndExtensionsStayAsTheyAre) {
  const auto tagged = forward(from_router().tag(12).ip(client, vip).tcp(1, nat_port, syn));
  same(tagged, to_backend("10.0.1.11")
                   .tag(12)
                   .ip(source, "10.0.1.11")
                   .tcp(source_port(tagged, 38), nat_port, syn));
  const auto options =
      forward(from_router().ip(client, vip, {.option_words = 2}).tcp(2, nat_port, syn));
  same(options, to_backend("10.0.1.11")
                    .ip(source, "10.0.1.11", {.option_words = 2})
                    .tcp(source_port(options, 42), nat_port, syn));
  const auto extension = forward(from_router().ip(client6, vip6).extension(60, 1).udp(3, nat_port));
  same(extension, to_backend("fd00:1::11")
                      .ip(source6, "fd00:1::11")
                      .extension(60, 1)
                      .udp(source_port(extension, 70), nat_port));
}

TEST_P(PacketNat, BackendsOwnPortIsUsedAndUndoneOnTheWayBack) {
  const auto out = forward(from_router().ip(client, vip).tcp(40000, other_nat_port, syn));
  const auto port = source_port(out);
  same(out, to_backend("10.0.1.12").ip(source, "10.0.1.12").tcp(port, 8080, syn));
  same(reply(from_backend("10.0.1.12").ip("10.0.1.12", source).tcp(8080, port, syn | ack)),
       to_router().ip(vip, client).tcp(other_nat_port, 40000, syn | ack));
  const auto out6 = forward(from_router().ip(client6, vip6).udp(1, other_nat_port));
  same(out6, to_backend("fd00:1::12").ip(source6, "fd00:1::12").udp(source_port(out6), 8080));
}

TEST_P(PacketNat, PreservedClientSeesOnlyTheDestinationChange) {
  same(forward(from_router().ip(client, vip).tcp(40000, keep_port, syn)),
       to_backend("10.0.1.41").ip(client, "10.0.1.41").tcp(40000, keep_port, syn));
  same(reply(from_backend("10.0.1.41").ip("10.0.1.41", client).tcp(keep_port, 40000, syn | ack)),
       to_router().ip(vip, client).tcp(keep_port, 40000, syn | ack));
  same(forward(from_router().ip(client6, vip6).udp(40000, keep_port).payload("x")),
       to_backend("fd00:1::41").ip(client6, "fd00:1::41").udp(40000, keep_port).payload("x"));
  same(reply(
           from_backend("fd00:1::41").ip("fd00:1::41", client6).udp(keep_port, 40000).payload("y")),
       to_router().ip(vip6, client6).udp(keep_port, 40000).payload("y"));
}

TEST_P(PacketNat, WhatAPreservingBackendSendsOfItsOwnGoesToTheKernel) {
  const auto in = from_backend("10.0.1.41").ip("10.0.1.41", client).tcp(22, 40000, ack).bytes();
  EXPECT_TRUE(send(in, "pass", "unknown-reply", way_out()) == in);
  const auto ping = from_backend("10.0.1.41").ip("10.0.1.41", client).icmp(8).bytes();
  EXPECT_TRUE(send(ping, "pass", "icmp", way_out()) == ping);
}

TEST_P(PacketNat, ReplyOfNoFlowIsLeftToTheKernel) {
  for (const auto& one :
       {from_backend("10.0.1.11").ip("10.0.1.11", source).tcp(nat_port, 20000, ack),
        from_backend("10.0.1.11").ip("10.0.1.11", source).tcp(443, 22, ack),
        from_backend("fd00:1::11").ip("fd00:1::11", source6).udp(53, 31999)})
    EXPECT_TRUE(send(one.bytes(), "pass", "unknown-reply", way_out()) == one.bytes());
}

TEST_P(PacketNat, ReplyFromAnotherAddressOrPortIsNotOfTheFlow) {
  const auto port = source_port(forward(from_router().ip(client, vip).tcp(40000, nat_port, syn)));
  for (const auto& one :
       {from_backend("10.0.1.12").ip("10.0.1.12", source).tcp(nat_port, port, ack),
        from_backend("10.0.1.11").ip("10.0.1.11", source).tcp(81, port, ack),
        from_backend("10.0.1.11").ip("10.0.1.11", source).udp(nat_port, port)})
    EXPECT_TRUE(send(one.bytes(), "pass", "unknown-reply", way_out()) == one.bytes());
}

TEST_P(PacketNat, FlowsToOneBackendNeverShareASourcePort) {
  pass_time(0);  // where everything takes long, half-open flows must not end meanwhile
  std::set<std::uint16_t> ports;
  for (std::uint16_t i = 1; i <= 500; i++) {
    const auto out = forward(from_router().ip(client, vip).tcp(i, nat_port, syn));
    ASSERT_TRUE(ports.insert(source_port(out)).second) << "flow " << i << " took another's port";
    ASSERT_EQ(source_port(forward(from_router().ip(client, vip).tcp(i, nat_port, ack))),
              source_port(out))
        << "a flow keeps its port";
  }
  EXPECT_EQ(nat_service().opened, 500u);
}

TEST_P(PacketNat, UsedUpPortsAreAReasonToDropAndIdleOnesAreReused) {
  pass_time(0);
  std::set<std::uint16_t> ports;
  std::uint64_t refused = 0;
  // One client with 15,000 ports, one backend with 12,000 ports towards it.
  for (std::uint16_t i = 1; i <= 15000; i++) {
    const auto outcome = run("in0", from_router().ip(client, vip).udp(i, nat_port).bytes());
    if (outcome.verdict == 1)
      refused++;
    else
      ASSERT_TRUE(ports.insert(source_port(outcome.packet)).second)
          << "a port was given away twice";
  }
  EXPECT_GT(ports.size(), 11500u) << "most of the range is found";
  EXPECT_EQ(refused, 15000 - ports.size());
  EXPECT_EQ(drops("no-port"), refused);
  pass_time(59);
  EXPECT_EQ(run("in0", from_router().ip(client, vip).udp(20000, nat_port).bytes()).verdict, 1u)
      << "UDP flows live for 60 s";
  pass_time(2);
  forward(from_router().ip(client, vip).udp(20000, nat_port));
}

TEST_P(PacketNat, AFloodOfSynsKeepsNobodyOutAndTakesNoPortOfAConnection) {
  pass_time(0);
  for (const bool v6 : {false, true}) {
    SCOPED_TRACE(v6 ? "IPv6" : "IPv4");
    const char *backend = v6 ? "fd00:1::11" : "10.0.1.11", *own = v6 ? source6 : source;
    const auto request = from_router().ip(v6 ? client6 : client, v6 ? vip6 : vip);
    const auto answer = [&](std::uint16_t port) {
      return from_backend(backend).ip(backend, own).tcp(nat_port, port, syn | ack);
    };
    const auto answered = [&](std::uint16_t client_port) {
      return to_router()
          .ip(v6 ? vip6 : vip, v6 ? client6 : client)
          .tcp(nat_port, client_port, syn | ack);
    };
    const auto open = [&](std::uint16_t client_port) {
      return source_port(forward(Packet(request).tcp(client_port, nat_port, syn)));
    };
    // Five SYNs for four ports, none of which is answered.
    std::uint16_t next = 1000;
    const auto flood = [&] {
      for (int i = 0; i < 15000; i++) {
        const auto out = run("in0", Packet(request).tcp(next++, nat_port, syn).bytes());
        ASSERT_NE(out.verdict, XDP_DROP) << "SYN " << i << " was refused";
      }
    };
    const auto port = open(1);
    same(reply(answer(port)), answered(1));
    forward(Packet(request).tcp(1, nat_port, ack));
    flood();
    same(reply(answer(port)), answered(1));

    // Who opens now has the youngest of all half-open flows: others yield before.
    pass_time(2);
    const auto young = open(2);
    for (int i = 0; i < 3000; i++)
      run("in0", Packet(request).tcp(next++, nat_port, syn).bytes());
    same(reply(answer(young)), answered(2));
    same(forward(Packet(request).tcp(2, nat_port, ack)),
         to_backend(backend).ip(own, backend).tcp(young, nat_port, ack));
    flood();
    same(reply(answer(port)), answered(1));
    same(reply(answer(young)), answered(2));
  }
  EXPECT_EQ(drops("no-port"), 0u);
}

TEST_P(PacketNat, PortOfAOneWayFlowStaysItsOwn) {
  pass_time(0);
  const auto packet = from_router().ip(client, vip).udp(514, nat_port);
  const auto port = source_port(forward(packet));
  for (int i = 0; i < 4; i++) {  // a log that nobody answers
    pass_time(30);
    EXPECT_EQ(source_port(forward(packet)), port);
  }
  for (std::uint16_t i = 1000; i < 12000; i++) {
    const auto outcome = run("in0", from_router().ip(client, vip).udp(i, nat_port).bytes());
    if (outcome.verdict != 1) {
      ASSERT_NE(source_port(outcome.packet), port);
    }
  }
}

TEST_P(PacketNat, AFlowLivesOnWhatItsBackendSendsEveryEightSeconds) {
  pass_time(0);
  const auto out = forward(from_router().ip(client, vip).udp(5353, nat_port).payload("subscribe"));
  const auto port = source_port(out);
  const auto news = from_backend("10.0.1.11").ip("10.0.1.11", source).udp(nat_port, port);
  reply(news);
  forward(from_router().ip(client, vip).udp(5353, nat_port).payload("thanks"));
  for (int i = 0; i < 20; i++) {
    pass_time(8);
    reply(news);
  }
  pass_time(30);
  forward(from_router().ip(client, vip).udp(5353, nat_port).payload("still there"));
  EXPECT_EQ(service(nat_port, model::Protocol::udp).opened, 1u)
      << "the flow was given up while its backend spoke";
}

TEST_P(PacketNat, FlowWhoseReplyWasThrownOutIsMadeAnew) {
  pass_time(0);
  const auto request = from_router().ip(client, vip);
  forward(Packet(request).tcp(40000, nat_port, syn));
  take_out(true);
  const auto port = source_port(forward(Packet(request).tcp(40000, nat_port, ack)));
  same(reply(from_backend("10.0.1.11").ip("10.0.1.11", source).tcp(nat_port, port, ack)),
       to_router().ip(vip, client).tcp(nat_port, 40000, ack));
}

TEST_P(PacketNat, TimeGoesOnWithoutADaemon) {
  loader_->tick(1);  // the last word of a daemon that died long ago
  forward(from_router().ip(client, vip).tcp(40000, nat_port, syn));
  sl_control control{};
  std::memcpy(&control, map_bytes(".bss.control").data(), sizeof control);
  EXPECT_NEAR(control.epoch, uptime(), 2);
}

TEST_P(PacketNat, PreservingBackendMayBeAClientOfAnother) {
  const char *tier1 = "10.0.1.42", *tier1_6 = "fd00:1::42";
  const auto from_tier1 = [](const char* address) {
    return Packet().ether(mac_of(address), balancer_mac);
  };
  same(forward(from_tier1(tier1).ip(tier1, vip).tcp(40000, keep_port, syn)),
       to_backend("10.0.1.41").ip(tier1, "10.0.1.41").tcp(40000, keep_port, syn));
  same(reply(from_backend("10.0.1.41").ip("10.0.1.41", tier1).tcp(keep_port, 40000, syn | ack)),
       Packet().ether(balancer_mac, mac_of(tier1)).ip(vip, tier1).tcp(keep_port, 40000, syn | ack));
  same(forward(from_tier1(tier1_6).ip(tier1_6, vip6).udp(40000, keep_port)),
       to_backend("fd00:1::41").ip(tier1_6, "fd00:1::41").udp(40000, keep_port));
  same(reply(from_backend("fd00:1::41").ip("fd00:1::41", tier1_6).udp(keep_port, 40000)),
       Packet().ether(balancer_mac, mac_of(tier1_6)).ip(vip6, tier1_6).udp(keep_port, 40000));
}

TEST_P(PacketNat, FlowOfABackendThatIsLostMovesWhereItCanBegin) {
  const auto request = from_router().ip(client, vip);
  forward(Packet(request).udp(40000, nat_port));
  forward(Packet(request).tcp(40000, nat_port, syn));
  config_.pools[0].backends = {backend("10.0.1.11"), backend("10.0.1.12")};
  topology_.next_hops.at(ip("10.0.1.11")).resolved = false;
  apply(config_, topology_);
  const auto udp = forward(Packet(request).udp(40000, nat_port));
  same(udp, to_backend("10.0.1.12").ip(source, "10.0.1.12").udp(source_port(udp), nat_port));
  const auto tcp = forward(Packet(request).tcp(40000, nat_port, syn));
  same(tcp, to_backend("10.0.1.12").ip(source, "10.0.1.12").tcp(source_port(tcp), nat_port, syn));
}

TEST_P(PacketNat, ConnectionIsCountedOnceWhenItOpensAndOnceWhenItCloses) {
  const auto request = from_router().ip(client, vip);
  const auto port = source_port(forward(Packet(request).tcp(40000, nat_port, syn)));
  forward(Packet(request).tcp(40000, nat_port, syn));  // retransmitted
  const auto back = from_backend("10.0.1.11").ip("10.0.1.11", source);
  reply(Packet(back).tcp(nat_port, port, syn | ack));
  forward(Packet(request).tcp(40000, nat_port, ack));
  forward(Packet(request).tcp(40000, nat_port, fin | ack));
  forward(Packet(request).tcp(40000, nat_port, fin | ack));  // retransmitted
  reply(Packet(back).tcp(nat_port, port, fin | ack));
  forward(Packet(request).tcp(40000, nat_port, ack));
  const auto counted = nat_service();
  EXPECT_EQ(counted.opened, 1u);
  EXPECT_EQ(counted.closed, 1u);
  EXPECT_EQ(counted.packets, 6u);
  EXPECT_EQ(counted.reply_packets, 2u);
  EXPECT_EQ(counted.reply_bytes, 2 * Packet(back).tcp(nat_port, port, ack).bytes().size());
}

TEST_P(PacketNat, SynOnAClosedConnectionOpensANewOne) {
  const auto request = from_router().ip(client, vip);
  forward(Packet(request).tcp(40000, nat_port, syn));
  forward(Packet(request).tcp(40000, nat_port, rst));
  const auto again = forward(Packet(request).tcp(40000, nat_port, syn));
  EXPECT_EQ(nat_service().opened, 2u);
  const auto back = from_backend("10.0.1.11").ip("10.0.1.11", source);
  same(reply(Packet(back).tcp(nat_port, source_port(again), syn | ack)),
       to_router().ip(vip, client).tcp(nat_port, 40000, syn | ack));
}

TEST_P(PacketNat, LateReplyOfAFlowThatWasThrownOutIsNotOfTheOneOpenedAnew) {
  const auto request = from_router().ip(client, vip).tcp(40000, nat_port, syn);
  const auto old_port = source_port(forward(request));
  take_out(false);
  auto& backends = config_.pools[0].backends;
  backends[0].enabled = false;
  backends.push_back(backend("10.0.1.13"));
  topology_ = topology(config_, way_out());
  apply(config_, topology_);
  const auto port = source_port(forward(request));
  const auto answer = [](const char* from, std::uint16_t to) {
    return from_backend(from).ip(from, source).tcp(nat_port, to, syn | ack);
  };
  send(answer("10.0.1.11", old_port).bytes(), "pass", "unknown-reply", way_out());
  same(reply(answer("10.0.1.13", port)),
       to_router().ip(vip, client).tcp(nat_port, 40000, syn | ack));
}

TEST_P(PacketNat, ReplyFollowsTheClientsRouterWhenItChanges) {
  const auto port = source_port(forward(from_router().ip(client, vip).tcp(40000, nat_port, syn)));
  const MacAddress other{{2, 0, 0, 0, 8, 8}};
  forward(Packet().ether(other, balancer_mac).ip(client, vip).tcp(40000, nat_port, ack));
  same(reply(from_backend("10.0.1.11").ip("10.0.1.11", source).tcp(nat_port, port, ack)),
       Packet().ether(balancer_mac, other).ip(vip, client).tcp(nat_port, 40000, ack));
}

TEST_P(PacketNat, FlowsOfARemovedBackendMoveToAnother) {
  forward(from_router().ip(client, vip).tcp(40000, nat_port, syn));
  auto& pool = config_.pools[0];
  pool.backends = {backend("10.0.1.12")};
  apply(config_, topology_);
  const auto out = forward(from_router().ip(client, vip).tcp(40000, nat_port, ack));
  same(out, to_backend("10.0.1.12").ip(source, "10.0.1.12").tcp(source_port(out), nat_port, ack));
}

TEST_P(PacketNat, FlowsStayWithTheirBackendWhenTheTableChanges) {
  const auto out = forward(from_router().ip(client, vip).tcp(40000, nat_port, syn));
  auto& pool = config_.pools[0];
  pool.backends = {backend("10.0.1.11"), backend("10.0.1.12", 100)};
  apply(config_, topology_);
  for (std::uint16_t i = 0; i < 20; i++)
    same(forward(from_router().ip(client, vip).tcp(40000, nat_port, ack)),
         to_backend("10.0.1.11").ip(source, "10.0.1.11").tcp(source_port(out), nat_port, ack));
}

TEST_P(PacketNat, WhatCannotBeDeliveredIsDroppedWithTheReason) {
  const auto fits = forward(from_router().ip(client, vip).udp(1, small_nat_port).payload(172));
  same(fits, to_backend("10.0.1.61")
                 .ip(source, "10.0.1.61")
                 .udp(source_port(fits), small_nat_port)
                 .payload(172));
  const auto too_long = from_router().ip(client, vip).udp(1, small_nat_port).payload(173);
  send(too_long.bytes(), "tx", "too-big-told");
  send(from_router().ip(client6, vip6).udp(1, small_nat_port).payload(1300).bytes(), "tx",
       "too-big-told");
  check({"one byte too long, and the client did not ask to be told",
         from_router().ip(client, vip, {.fragment = 0}).udp(1, small_nat_port).payload(173),
         "drop",
         "too-big",
         {}});
  topology_.next_hops.at(ip("10.0.1.11")).resolved = false;
  config_.pools[0].backends = {backend("10.0.1.11")};
  apply(config_, topology_);
  check({"no MAC", from_router().ip(client, vip).tcp(9, nat_port, syn), "drop", "unresolved", {}});
}

TEST_P(PacketNat, FlowsOfIpv6FindAPlaceWhereTheirTableIsFull) {
  const Fd map(bpf_obj_get(folder().map("nat_flows").c_str()));
  sl_flow_key key{};
  key.ipv6 = 1;
  const sl_flow flow{};
  for (std::uint32_t i = 0; i < SL_MAX_FLOWS; i++) {  // others' that have been there for long
    key.source[3] = i;
    ASSERT_EQ(bpf_map_update_elem(map.get(), &key, &flow, BPF_ANY), 0) << i;
  }
  for (std::uint16_t i = 0; i < 1000; i++) {
    const auto client_port = static_cast<std::uint16_t>(1000 + i);
    const auto out = forward(from_router().ip(client6, vip6).tcp(client_port, nat_port, syn));
    same(reply(from_backend("fd00:1::11")
                   .ip("fd00:1::11", source6)
                   .tcp(nat_port, source_port(out), syn | ack)),
         to_router().ip(vip6, client6).tcp(nat_port, client_port, syn | ack));
  }
}

TEST_P(PacketNat, RepliesGoToTheClientsRouterOrToNobodysHoweverManyRoutersThereAre) {
  int lost = 0;
  for (int i = 0; i < 2 * SL_WAYS; i++) {
    const MacAddress router{
        {2, 0, 7, 0, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)}};
    const auto client_port = static_cast<std::uint16_t>(1000 + i);
    const auto out = forward(
        Packet().ether(router, balancer_mac).ip(client, vip).tcp(client_port, nat_port, syn));
    const auto in =
        from_backend("10.0.1.11").ip("10.0.1.11", source).tcp(nat_port, source_port(out), ack);
    const auto back = run(way_out(), in.bytes());
    if (back.verdict == XDP_DROP)  // by the kernel's route, of which there is none here
      lost++;
    else
      same(back.packet,
           Packet().ether(balancer_mac, router).ip(vip, client).tcp(nat_port, client_port, ack));
  }
  EXPECT_GE(lost, SL_WAYS + 1) << "the first place is not one, and there are no more than these";
  EXPECT_LT(lost, SL_WAYS + SL_WAYS / 8) << "places are left while routers find none";
}

TEST_P(PacketNat, AnotherFamilyCannotBeTranslated) {
  for (auto& one : config_.services)
    if (one.port == nat_port && one.address == ip(vip6))
      one.pool = "p80";
  apply(config_, topology_);
  check({"IPv6 to an IPv4 backend",
         from_router().ip(client6, vip6).tcp(9, nat_port, syn),
         "drop",
         "family-mismatch",
         {}});
}

}  // namespace sluice::test
