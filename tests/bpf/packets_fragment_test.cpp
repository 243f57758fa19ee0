// What becomes of fragments: to the kernel, nowhere, or after the first one to its backend.
#include <linux/bpf.h>

#include <algorithm>

#include "packets_fixture.hpp"

namespace sluice::test {

class PacketFragments : public PacketTest {
 protected:
  void choose(model::Fragments fragments) {
    config_.xdp.fragments = fragments;
    apply(config_, topology_);
  }
  /// The first fragment of a datagram, with the ports.
  static Packet first(std::uint16_t id, std::uint16_t port, const char* to = vip) {
    return from_router().ip(client, to, {.id = id, .fragment = more}).udp(9, port).payload(24);
  }
  /// One from the middle, or the last.
  static Packet later(std::uint16_t id, std::uint16_t offset, bool last = false) {
    return from_router().ip(client, vip, of(id, offset, last)).payload(24);
  }
  static Packet first6(std::uint32_t id, std::uint16_t port) {
    return from_router().ip(client6, vip6).fragment_header(1, id).udp(9, port).payload(24);
  }
  static Packet later6(std::uint32_t id, std::uint16_t offset, bool last = false) {
    return from_router().ip(client6, vip6).fragment_header(of6(offset, last), id, 17).payload(24);
  }
  static IpFields of(std::uint16_t id, std::uint16_t offset, bool last = false) {
    return {.id = id,
            .fragment = static_cast<std::uint16_t>((last ? 0 : more) | offset),
            .protocol = 17};
  }
  static std::uint16_t of6(std::uint16_t offset, bool last = false) {
    return static_cast<std::uint16_t>(offset << 3 | (last ? 0 : 1));
  }
  static constexpr std::uint16_t more = 0x2000;
};
SLUICE_BOTH_ARMS(PacketFragments);

TEST_P(PacketFragments, DroppedOnesAreCountedAndWholePacketsPass) {
  choose(model::Fragments::drop);
  check({
      {"the first", first(7, l2_port), "drop", "fragment", {}},
      {"a later one", later(7, 4), "drop", "fragment", {}},
      {"the last", later(7, 8, true), "drop", "fragment", {}},
      {"of a nat service", first(8, nat_port), "drop", "fragment", {}},
      {"of a ping",
       from_router().ip(client, vip, {.fragment = more}).icmp(8).payload(24),
       "drop",
       "fragment",
       {}},
      {"IPv6, the first", first6(7, l2_port), "drop", "fragment", {}},
      {"IPv6, a later one", later6(7, 4), "drop", "fragment", {}},
      {"IPv6, behind another extension",
       from_router().ip(client6, vip6).extension(0).fragment_header(1).udp(1, l2_port),
       "drop",
       "fragment",
       {}},
      {"a whole one", from_router().ip(client, vip).udp(9, l2_port).payload(24), "forward",
       "dsr-l2", to_backend("10.0.1.21").ip(client, vip).udp(9, l2_port).payload(24)},
      {"a whole one with a fragment header",
       from_router().ip(client6, vip6).fragment_header(0).udp(9, l2_port), "forward", "dsr-l2",
       to_backend("fd00:1::21").ip(client6, vip6).fragment_header(0).udp(9, l2_port)},
      {"of another address",
       from_router().ip(client, "10.0.0.101", {.fragment = more}).udp(1, 2),
       "pass",
       "not-ours",
       {}},
      {"of another address, IPv6",
       from_router().ip(client6, "fd00:100::101").fragment_header(1).udp(1, 2),
       "pass",
       "not-ours",
       {}},
      {"for what nat sends from",
       from_router().ip("10.0.1.11", source, {.fragment = more}).udp(80, 20001),
       "pass",
       "fragment",
       {}},
  });
}

TEST_P(PacketFragments, FollowedOnesGoWhereTheFirstWent) {
  choose(model::Fragments::reassemble);
  check({
      {"the first", first(7, l2_port), "forward", "dsr-l2",
       to_backend("10.0.1.21")
           .ip(client, vip, {.id = 7, .fragment = more})
           .udp(9, l2_port)
           .payload(24)},
      {"the second", later(7, 4), "forward", "dsr-l2",
       to_backend("10.0.1.21").ip(client, vip, of(7, 4)).payload(24)},
      {"the last", later(7, 7, true), "forward", "dsr-l2",
       to_backend("10.0.1.21").ip(client, vip, of(7, 7, true)).payload(24)},
      {"encapsulated, the first", first(8, ipip_port), "forward", "dsr-ipip4",
       to_backend("10.0.1.31")
           .ip(source, "10.0.1.31")
           .ip(client, vip, {.id = 8, .fragment = more})
           .udp(9, ipip_port)
           .payload(24)},
      {"encapsulated, the last", later(8, 4, true), "forward", "dsr-ipip4",
       to_backend("10.0.1.31").ip(source, "10.0.1.31").ip(client, vip, of(8, 4, true)).payload(24)},
      {"the last of the one before, once more", later(7, 7, true), "forward", "dsr-l2",
       to_backend("10.0.1.21").ip(client, vip, of(7, 7, true)).payload(24)},
      {"IPv6, the first", first6(7, l2_port), "forward", "dsr-l2",
       to_backend("fd00:1::21")
           .ip(client6, vip6)
           .fragment_header(1, 7)
           .udp(9, l2_port)
           .payload(24)},
      {"IPv6, the last", later6(7, 4, true), "forward", "dsr-l2",
       to_backend("fd00:1::21").ip(client6, vip6).fragment_header(of6(4, true), 7, 17).payload(24)},
      {"IPv6, encapsulated, the first", first6(0x10007, ipip_port), "forward", "dsr-ipip6",
       to_backend("fd00:1::31")
           .ip(source6, "fd00:1::31")
           .ip(client6, vip6)
           .fragment_header(1, 0x10007)
           .udp(9, ipip_port)
           .payload(24)},
      {"IPv6, encapsulated, the last", later6(0x10007, 4, true), "forward", "dsr-ipip6",
       to_backend("fd00:1::31")
           .ip(source6, "fd00:1::31")
           .ip(client6, vip6)
           .fragment_header(of6(4, true), 0x10007, 17)
           .payload(24)},
      {"behind a tag", from_router().tag(5).ip(client, vip, of(7, 9)).payload(24), "forward",
       "dsr-l2", to_backend("10.0.1.21").tag(5).ip(client, vip, of(7, 9)).payload(24)},
  });
  EXPECT_EQ(service(l2_port, model::Protocol::udp).packets, 5u) << "they count for their service";
  EXPECT_EQ(service(ipip_port, model::Protocol::udp, vip6).packets, 2u);
}

TEST_P(PacketFragments, OneThatComesBeforeItsFirstIsDropped) {
  choose(model::Fragments::reassemble);
  send(first(7, l2_port).bytes(), forwarded(), "dsr-l2");
  send(first6(7, l2_port).bytes(), forwarded(), "dsr-l2");
  check({
      {"another datagram", later(8, 4), "drop", "fragment-early", {}},
      {"another client",
       from_router().ip("192.0.2.8", vip, of(7, 4)).payload(24),
       "drop",
       "fragment-early",
       {}},
      {"another protocol",
       from_router().ip(client, vip, {.id = 7, .fragment = 4, .protocol = 6}).payload(24),
       "drop",
       "fragment-early",
       {}},
      {"IPv6, another datagram", later6(8, 4), "drop", "fragment-early", {}},
      {"IPv6, a number that differs in its upper half only",
       later6(0x10007, 4),
       "drop",
       "fragment-early",
       {}},
      {"of another address",
       from_router().ip(client, "10.0.0.101", of(9, 4)).payload(24),
       "pass",
       "not-ours",
       {}},
      {"for what nat sends from",
       from_router().ip("10.0.1.11", source, of(9, 4)).payload(24),
       "pass",
       "fragment",
       {}},
  });
}

TEST_P(PacketFragments, WhatTheKernelGetsItGetsWhole) {
  choose(model::Fragments::reassemble);
  check({
      {"a port without a service, the first", first(7, no_port), "pass", "no-service", {}},
      {"and the others", later(7, 4), "pass", "fragment", {}},
      {"a nat service, the first", first(8, nat_port), "pass", "fragment", {}},
      {"and the others", later(8, 4, true), "pass", "fragment", {}},
      {"IPv6, a port without a service, the first", first6(7, no_port), "pass", "no-service", {}},
      {"and the others", later6(7, 4), "pass", "fragment", {}},
      {"IPv6, a nat service, the first", first6(8, nat_port), "pass", "fragment", {}},
      {"and the others", later6(8, 4, true), "pass", "fragment", {}},
      {"a ping whose last fragment comes first",
       from_router().ip(client, vip, {.id = 9, .fragment = 4, .protocol = 1}).payload(24),
       "pass",
       "fragment",
       {}},
      {"and its first",
       from_router().ip(client, vip, {.id = 9, .fragment = more}).icmp(8).payload(24),
       "pass",
       "icmp",
       {}},
      {"a ping over IPv6, its last",
       from_router().ip(client6, vip6).fragment_header(of6(4, true), 9, 58).payload(24),
       "pass",
       "fragment",
       {}},
  });
}

TEST_P(PacketFragments, WhoseFirstIsTooShortForItsPortsTheKernelGetsAll) {
  choose(model::Fragments::reassemble);
  check({
      {"the first, with four bytes of TCP",
       from_router().ip(client, vip, {.id = 7, .fragment = more, .protocol = 6}).payload(4),
       "pass",
       "truncated",
       {}},
      {"and the others",
       from_router().ip(client, vip, {.id = 7, .fragment = 4, .protocol = 6}).payload(24),
       "pass",
       "fragment",
       {}},
      {"IPv6, the first",
       from_router().ip(client6, vip6).fragment_header(of6(0), 7, 6).payload(8),
       "pass",
       "truncated",
       {}},
      {"and the others",
       from_router().ip(client6, vip6).fragment_header(of6(4, true), 7, 6).payload(24),
       "pass",
       "fragment",
       {}},
  });
}

TEST_P(PacketFragments, WithoutABackendAllOfADatagramIsDropped) {
  choose(model::Fragments::reassemble);
  check({
      {"the first", first(7, empty_port), "drop", "no-backend", {}},
      {"and the others", later(7, 4), "drop", "fragment-early", {}},
      {"IPv6, the first", first6(7, empty_port), "drop", "no-backend", {}},
      {"and the others", later6(7, 4), "drop", "fragment-early", {}},
      {"a backend without a MAC, the first", first(8, lost_port), "drop", "unresolved", {}},
      {"and the others", later(8, 4), "drop", "unresolved", {}},
  });
}

TEST_P(PacketFragments, ADatagramIsForgottenAfterThirtySeconds) {
  choose(model::Fragments::reassemble);
  loader_->tick(1'000'000);  // later than the machine has been up
  send(first(7, l2_port).bytes(), forwarded(), "dsr-l2");
  send(first6(7, l2_port).bytes(), forwarded(), "dsr-l2");
  loader_->tick(1'000'030);
  send(later(7, 4).bytes(), forwarded(), "dsr-l2");
  send(later6(7, 4).bytes(), forwarded(), "dsr-l2");
  loader_->tick(1'000'031);
  send(later(7, 4).bytes(), "drop", "fragment-early");
  send(later6(7, 4).bytes(), "drop", "fragment-early");
  send(first(7, ipip_port).bytes(), forwarded(), "dsr-ipip4");
  send(later(7, 4).bytes(), forwarded(), "dsr-ipip4");
}

TEST_P(PacketFragments, ManyDatagramsAtOnceEachGoToTheirOwnBackend) {
  choose(model::Fragments::reassemble);
  for (const int port : {l2_port, ipip_port})
    for (int id = port; id < 4000; id += 2)
      run("in0",
          first(static_cast<std::uint16_t>(id), port == l2_port ? l2_port : ipip_port).bytes());
  int lost = 0;
  for (const int port : {l2_port, ipip_port})
    for (int id = port; id < 4000; id += 2) {
      const auto in = later(static_cast<std::uint16_t>(id), 4).bytes();
      const auto out = run("in0", in);
      lost += out.verdict == 1;
      if (out.verdict != 1) {
        EXPECT_EQ(out.packet.size(), in.size() + (port == ipip_port ? 20 : 0)) << id;
      }
    }
  EXPECT_EQ(lost, 0) << "of some 4,000 in a table for 32,768";
}

TEST_P(PacketFragments, WhereTheTableIsFullTheOldestDatagramsGiveWay) {
  choose(model::Fragments::reassemble);
  std::uint32_t now = 1'000'000;
  const auto port_of = [](int id) { return id % 2 ? l2_port : ipip_port; };
  constexpr int datagrams = 60000, newest = 55000;
  for (int id = 1; id <= datagrams; id++) {
    if (id % 5000 == 1)
      loader_->tick(++now);
    run("in0", first(static_cast<std::uint16_t>(id), port_of(id)).bytes());
  }
  int followed = 0, lost = 0;
  for (int id = 1; id <= datagrams; id++) {
    const auto in = later(static_cast<std::uint16_t>(id), 4).bytes();
    const auto out = run("in0", in);
    followed += out.verdict != XDP_DROP;
    lost += id > newest && out.verdict == XDP_DROP;
    if (out.verdict != XDP_DROP) {
      ASSERT_EQ(out.packet.size(), in.size() + (port_of(id) == ipip_port ? 20 : 0))
          << "datagram " << id << " went where another one belongs";
    }
  }
  EXPECT_GT(followed, 30000) << "of 60,000 in a table for 32,768";
  EXPECT_LT(lost, 50) << "of the 5,000 that came last";
}

TEST_P(PacketFragments, TheOuterSourceIsThatOfTheFlow) {
  config_.xdp.encapSource = "172.16.0.0/16";
  choose(model::Fragments::reassemble);
  const auto one = send(first(7, ipip_port).bytes(), forwarded(), "dsr-ipip4");
  const auto other = send(later(7, 4).bytes(), forwarded(), "dsr-ipip4");
  EXPECT_EQ(Bytes(one.begin() + 26, one.begin() + 34),
            Bytes(other.begin() + 26, other.begin() + 34))
      << "one path through the network for all of a datagram";
  EXPECT_NE(Bytes(one.begin() + 28, one.begin() + 30), Bytes(2)) << "and it varies with the flow";
}

TEST_P(PacketFragments, AFragmentStaysWithItsBackendWhenThePoolChanges) {
  auto pool = std::ranges::find(config_.pools, "p81", &model::Pool::name);
  for (int i = 1; i <= 9; i++)
    pool->backends.push_back(backend("10.0.1.20" + std::to_string(i)));
  topology_ = topology(config_, way_out());
  choose(model::Fragments::reassemble);
  std::map<std::uint16_t, Bytes> macs;
  for (std::uint16_t id = 1; id <= 20; id++) {
    const auto out = send(from_router()
                              .ip(client, vip, {.id = id, .fragment = more})
                              .udp(static_cast<std::uint16_t>(1000 + id), l2_port)
                              .payload(24)
                              .bytes(),
                          forwarded(), "dsr-l2");
    macs[id] = Bytes(out.begin(), out.begin() + 6);
  }
  for (std::size_t i = 1; i < pool->backends.size(); i += 2)
    pool->backends[i].enabled = false;
  apply(config_, topology_);
  for (const auto& [id, mac] : macs) {
    const auto out = send(later(id, 4).bytes(), forwarded(), "dsr-l2");
    EXPECT_EQ(Bytes(out.begin(), out.begin() + 6), mac);
  }
}

TEST_P(PacketFragments, TruncatedOnesAreNeverForwarded) {
  choose(model::Fragments::reassemble);
  check({
      {"no room for the ports",
       from_router().ip(client, vip, {.id = 3, .fragment = more, .protocol = 17}).payload(7),
       "pass",
       "truncated",
       {}},
      {"nor for the TCP header",
       from_router().ip(client6, vip6).fragment_header(1, 3, 6).payload(16),
       "pass",
       "truncated",
       {}},
      {"longer than the frame",
       from_router()
           .ip(client, vip, {.id = 3, .fragment = more | 4, .protocol = 17, .length_error = 9})
           .payload(24),
       "pass",
       "truncated",
       {}},
  });
}

TEST_P(PacketFragments, TheChoiceIsReadBackAndOnlyAChangedOneIsAPlan) {
  for (const auto fragments :
       {model::Fragments::drop, model::Fragments::reassemble, model::Fragments::pass}) {
    choose(fragments);
    close();
    open();
    EXPECT_EQ(running().fragments, fragments);
    const auto plan = planner::make_plan(running(), config_, topology_);
    ASSERT_TRUE(ok(plan));
    EXPECT_TRUE(plan->empty());
  }
}

}  // namespace sluice::test
