// Frames that are larger than a page: the kernel gives them to the program in several buffers, of
// which it sees the first. Whatever is said of lengths must hold for all of them, and every byte
// that lies behind must come out again.
#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "packets_fixture.hpp"

namespace sluice::test {

namespace {

constexpr std::size_t whole = 9000;  ///< IP packet, as large as the links carry

Packet back() {
  return Packet().ether(balancer_mac, router_mac);
}

}  // namespace

class PacketJumbo : public PacketTest {
 protected:
  bool on_both() const override { return true; }
  std::uint32_t mtu() const override { return 9100; }

  void SetUp() override {
    PacketTest::SetUp();
    const auto attached = loader_->attachments().value();
    ASSERT_EQ(attached.size(), 2u);
    for (const auto& one : attached)
      EXPECT_TRUE(one.program.multi_buffer) << one.interface;
  }
  static std::uint16_t port_of(const Bytes& frame, std::size_t at) {
    return static_cast<std::uint16_t>(frame.at(at) << 8 | frame.at(at + 1));
  }
  /// Whether this kernel lets a test say how much of a packet is in the first buffer.
  bool splits_where_told() const {
    const Fd program(bpf_obj_get(folder().program("in0").c_str()));
    const Bytes packet(8000);
    xdp_md context{};
    context.data_end = 128;
    LIBBPF_OPTS(bpf_test_run_opts, options);
    options.data_in = packet.data();
    options.data_size_in = static_cast<std::uint32_t>(packet.size());
    options.ctx_in = &context;
    options.ctx_size_in = sizeof context;
    return bpf_prog_test_run_opts(program.get(), &options) == 0;
  }
  /// The ways to the backends of dsr-ipip carry that much.
  void set_way(std::uint16_t mtu) {
    for (const char* address : {"10.0.1.31", "fd00:1::31"})
      topology_.next_hops.at(ip(address)).mtu = mtu;
    apply(config_, topology_);
  }
};
SLUICE_BOTH_ARMS(PacketJumbo);

TEST_P(PacketJumbo, DirectReturnHandsOnEveryByte) {
  const auto data4 = [](Packet frame, std::uint16_t port, std::size_t length) {
    return frame.ip(client, vip).tcp(40000, port, ack).payload(length - 40);
  };
  const auto data6 = [](Packet frame, std::uint16_t port, std::size_t length) {
    return frame.ip(client6, vip6).tcp(40000, port, ack).payload(length - 60);
  };
  const auto outer = [](const char* from, const char* to) { return to_backend(to).ip(from, to); };
  for (const std::size_t length : {std::size_t{8192}, whole})
    check({
        {"dsr-l2", data4(from_router(), l2_port, length), "forward", "dsr-l2",
         data4(to_backend("10.0.1.21"), l2_port, length)},
        {"dsr-l2, IPv6", data6(from_router(), l2_port, length), "forward", "dsr-l2",
         data6(to_backend("fd00:1::21"), l2_port, length)},
        {"dsr-l2 in a VLAN, which goes the slow way", data4(from_router().tag(12), l2_port, length),
         "forward", "dsr-l2", data4(to_backend("10.0.1.21").tag(12), l2_port, length)},
        {"IPv6 in two VLANs", data6(from_router().tag(7, 0x88a8).tag(12), l2_port, length),
         "forward", "dsr-l2",
         data6(to_backend("fd00:1::21").tag(7, 0x88a8).tag(12), l2_port, length)},
        {"dsr-ipip, IPv4 in IPv4", data4(from_router(), ipip_port, length), "forward", "dsr-ipip4",
         data4(outer(source, "10.0.1.31"), ipip_port, length)},
        {"dsr-ipip, IPv4 in IPv6", data4(from_router(), ipip6_port, length), "forward", "dsr-ipip6",
         data4(outer(source6, "fd00:1::31"), ipip6_port, length)},
        {"dsr-ipip, IPv6 in IPv6", data6(from_router(), ipip_port, length), "forward", "dsr-ipip6",
         data6(outer(source6, "fd00:1::31"), ipip_port, length)},
    });
  const auto counted = service(l2_port);
  EXPECT_EQ(counted.bytes, 2 * (8192 + whole) + 4 * 14 + 2 * 4) << "bytes of all buffers count";
}

TEST_P(PacketJumbo, NatKeepsTheChecksumOfWhatItNeverSaw) {
  const auto request = from_router().ip(client, vip).tcp(40000, nat_port, syn).bytes();
  const auto port = port_of(send(request, forwarded(), "nat"), 34);
  const auto request6 = from_router().ip(client6, vip6).tcp(40000, nat_port, syn).bytes();
  const auto port6 = port_of(send(request6, forwarded(), "nat"), 54);
  check({
      {"a request", from_router().ip(client, vip).tcp(40000, nat_port, ack).payload(whole - 40),
       "forward", "nat",
       to_backend("10.0.1.11")
           .ip(source, "10.0.1.11")
           .tcp(port, nat_port, ack)
           .payload(whole - 40)},
      {"a request over IPv6",
       from_router().ip(client6, vip6).tcp(40000, nat_port, ack).payload(whole - 60), "forward",
       "nat",
       to_backend("fd00:1::11")
           .ip(source6, "fd00:1::11")
           .tcp(port6, nat_port, ack)
           .payload(whole - 60)},
  });
  const auto reply = [&](const Packet& from, const Packet& expected) {
    const auto out = send(from.bytes(), forwarded(), "nat-reply", way_out());
    const auto wanted = expected.bytes();
    EXPECT_TRUE(out == wanted) << "came out:" << dump(out, wanted);
  };
  reply(Packet()
            .ether(mac_of("10.0.1.11"), out_mac)
            .ip("10.0.1.11", source)
            .tcp(nat_port, port, ack)
            .payload(whole - 41),
        back().ip(vip, client).tcp(nat_port, 40000, ack).payload(whole - 41));
  reply(Packet()
            .ether(mac_of("fd00:1::11"), out_mac)
            .ip("fd00:1::11", source6)
            .tcp(nat_port, port6, ack)
            .payload(whole - 61),
        back().ip(vip6, client6).tcp(nat_port, 40000, ack).payload(whole - 61));
}

TEST_P(PacketJumbo, UdpAndPingsOfThatSize) {
  for (auto& one : config_.services)
    if (one.port == l2_port)
      one.answerEcho = true;
  apply(config_, topology_);
  const auto out = send(from_router().ip(client, vip).udp(5353, nat_port).payload(8972).bytes(),
                        forwarded(), "nat");
  const auto expected = to_backend("10.0.1.11")
                            .ip(source, "10.0.1.11")
                            .udp(port_of(out, 34), nat_port)
                            .payload(8972)
                            .bytes();
  EXPECT_TRUE(out == expected) << dump(out, expected);
  check({
      {"a ping", from_router().ip(client, vip).icmp(8).payload(8972), "tx", "echo",
       back().ip(vip, client).icmp(0).payload(8972)},
      {"a ping over IPv6", from_router().ip(client6, vip6).icmp(128).payload(8952), "tx", "echo",
       back().ip(vip6, client6).icmp(129).payload(8952)},
  });
}

TEST_P(PacketJumbo, WhatDoesNotFitIsCutDownToTheMessageThatSaysSo) {
  set_way(8000);
  const auto data4 = [](Packet frame) {
    return frame.ip(client, vip).tcp(40000, ipip_port, ack).payload(whole - 40);
  };
  const auto data6 = [](Packet frame) {
    return frame.ip(client6, vip6).tcp(40000, ipip_port, ack).payload(whole - 60);
  };
  const auto told4 = [&](Packet frame) {
    return frame.ip(vip, client, {.tos = 0xc0}).icmp(3, 4, 7980).quote(data4(Packet()), 548);
  };
  const auto told6 = [&](Packet frame) {
    return frame.ip(vip6, client6).icmp(2, 0, 7960).quote(data6(Packet()), 1232);
  };
  check({
      {"IPv4", data4(from_router()), "tx", "too-big-told", told4(back())},
      {"IPv6", data6(from_router()), "tx", "too-big-told", told6(back())},
      {"in a VLAN", data4(from_router().tag(12)), "tx", "too-big-told", told4(back().tag(12))},
      {"in two VLANs", data6(from_router().tag(7, 0x88a8).tag(12)), "tx", "too-big-told",
       told6(back().tag(7, 0x88a8).tag(12))},
  });
}

TEST_P(PacketJumbo, AHeaderThatTellsMoreThanThereIsIsNoService) {
  for (const int error : {1, 40})
    check({
        {"IPv4",
         from_router()
             .ip(client, vip, {.length_error = error})
             .tcp(40000, l2_port, ack)
             .payload(whole - 40),
         "pass", "truncated", std::nullopt},
        {"IPv6",
         from_router()
             .ip(client6, vip6, {.length_error = error})
             .tcp(40000, l2_port, ack)
             .payload(whole - 60),
         "pass", "truncated", std::nullopt},
    });
  check({{"bytes behind the packet are no fault",
          from_router()
              .ip(client, vip, {.length_error = -100})
              .tcp(40000, l2_port, ack)
              .payload(whole - 40),
          "forward", "dsr-l2",
          to_backend("10.0.1.21")
              .ip(client, vip, {.length_error = -100})
              .tcp(40000, l2_port, ack)
              .payload(whole - 40)}});
}

TEST_P(PacketJumbo, HeadersInTheFirstBufferSuffice) {
  if (!splits_where_told())
    GTEST_SKIP() << "before Linux 6.18 a test cannot say how much is in the first buffer";
  const auto data4 = [](Packet frame, std::uint16_t port) {
    return frame.ip(client, vip).tcp(40000, port, ack).payload(whole - 40);
  };
  const auto data6 = [](Packet frame, std::uint16_t port) {
    return frame.ip(client6, vip6).tcp(40000, port, ack).payload(whole - 60);
  };
  set_way(8000);
  const auto about4 = data4(Packet(), ipip_port);
  first_buffer_ = 54;
  check({
      {"dsr-l2", data4(from_router(), l2_port), "forward", "dsr-l2",
       data4(to_backend("10.0.1.21"), l2_port)},
      {"IPv6 ports are beyond it", data6(from_router(), l2_port), "pass", "truncated",
       std::nullopt},
      {"too big, and too little to quote", data4(from_router(), ipip_port), "drop", "too-big",
       std::nullopt},
  });
  first_buffer_ = 128;
  check({
      {"IPv6", data6(from_router(), l2_port), "forward", "dsr-l2",
       data6(to_backend("fd00:1::21"), l2_port)},
      {"too big: what is there is quoted", data4(from_router(), ipip_port), "tx", "too-big-told",
       back().ip(vip, client, {.tos = 0xc0}).icmp(3, 4, 7980).quote(about4, 68)},
      {"too big over IPv6, whose quote is longer", data6(from_router(), ipip_port), "drop",
       "too-big", std::nullopt},
  });
  set_way(9100);
  check({{"dsr-ipip", data6(from_router(), ipip_port), "forward", "dsr-ipip6",
          data6(to_backend("fd00:1::31").ip(source6, "fd00:1::31"), ipip_port)}});
}

TEST_P(PacketJumbo, SmallFramesFareAsEverywhere) {
  check({
      {"dsr-l2", from_router().ip(client, vip).tcp(40000, l2_port, syn), "forward", "dsr-l2",
       to_backend("10.0.1.21").ip(client, vip).tcp(40000, l2_port, syn)},
      {"dsr-ipip", from_router().ip(client6, vip6).tcp(40000, ipip_port, syn), "forward",
       "dsr-ipip6",
       to_backend("fd00:1::31")
           .ip(source6, "fd00:1::31")
           .ip(client6, vip6)
           .tcp(40000, ipip_port, syn)},
      {"nobody's", from_router().ip(client, "10.9.9.9").tcp(40000, l2_port, ack).payload(8960),
       "pass", "not-ours", std::nullopt},
  });
}

}  // namespace sluice::test
