// Whatever arrives: the program ends, and the counters' sum is the number of packets.
#include <random>

#include "packets_fixture.hpp"

namespace sluice::test {

class PacketProperty : public PacketTest {
 protected:
  bool on_both() const override { return true; }
  std::mt19937 random_{20261125};

  std::uint32_t below(std::uint32_t limit) { return static_cast<std::uint32_t>(random_()) % limit; }
  template <class T>
  T one_of(std::initializer_list<T> list) {
    return list.begin()[below(static_cast<std::uint32_t>(list.size()))];
  }

  /// Something that a service sent, as an ICMP error quotes it.
  Packet quoted(bool v4) {
    const auto port = static_cast<std::uint16_t>(nat_port + below(12));
    auto packet = Packet();
    if (v4)
      packet.ip(vip, client, {.option_words = below(3) ? 0 : below(11)});
    else
      packet.ip(vip6, client6);
    for (auto i = v4 ? 4 : below(8); i < 4; i++)
      packet.extension(one_of<std::uint8_t>({0, 43, 60}), static_cast<std::uint8_t>(below(3)));
    return packet.tcp(port, static_cast<std::uint16_t>(1 + below(50)), ack).payload(below(64));
  }

  /// Mostly well-formed and for a service; then, one time in three, bytes flipped or cut off.
  Bytes random_frame() {
    auto packet = from_router();
    for (auto tags = below(8); tags < 3; tags++)
      packet.tag(static_cast<std::uint16_t>(below(4096)), one_of<std::uint16_t>({0x8100, 0x88a8}));
    const IpFields fields{.fragment = one_of<std::uint16_t>({0, 0x4000, 0x4000, 0x4000, 0x2000, 7}),
                          .option_words = below(4) ? 0 : below(11)};
    const auto port = static_cast<std::uint16_t>(nat_port + below(12));
    const bool v4 = below(2);
    if (v4) {
      packet.ip(client, one_of({vip, vip, vip, source, "10.0.0.9"}), fields);
    } else {
      packet.ip(client6, one_of({vip6, vip6, vip6, source6, "fd00::9"}));
      for (auto i = below(10); i < 4; i++)
        packet.extension(one_of<std::uint8_t>({0, 43, 60}), static_cast<std::uint8_t>(below(3)));
      if (below(8) == 0)
        packet.fragment_header(one_of<std::uint16_t>({0, 1, 8}));
    }
    const auto client_port = static_cast<std::uint16_t>(1 + below(50));
    const auto kind = below(8);
    if (kind < 4)
      packet.tcp(client_port, port, static_cast<std::uint8_t>(below(64)));
    else if (kind < 6)
      packet.udp(client_port, port, below(4) != 0);
    else if (kind == 6)
      packet.icmp(static_cast<std::uint8_t>(below(256)));
    else
      packet
          .icmp(static_cast<std::uint8_t>(v4 ? one_of({3, 11, 12, 8}) : one_of({1, 2, 3, 4, 128})))
          .quote(quoted(v4), 8 + below(100));
    if (kind < 7)
      packet.payload(below(5) ? below(64) : below(1400));
    auto bytes = packet.bytes();
    if (below(3) == 0)
      for (auto i = below(4); i < 4; i++)
        bytes[below(static_cast<std::uint32_t>(bytes.size()))] =
            static_cast<std::uint8_t>(random_());
    if (below(6) == 0)
      bytes.resize(14 + below(static_cast<std::uint32_t>(bytes.size()) - 13));
    return bytes;
  }
};
SLUICE_BOTH_ARMS(PacketProperty);

TEST_P(PacketProperty, CountersSumToThePacketsThatWereSent) {
  for (auto& one : config_.services)
    one.answerEcho = true;
  apply(config_, topology_);
  constexpr std::uint64_t packets = 5000;
  std::uint64_t bytes = 0;
  for (std::uint64_t i = 0; i < packets; i++) {
    const auto frame = random_frame();
    bytes += frame.size();
    const auto outcome = run(i % 2 ? "in0" : "out0", frame);
    ASSERT_NE(outcome.verdict, 0u) << "aborted:" << dump(frame, frame);
    if (outcome.verdict == 2) {
      ASSERT_TRUE(outcome.packet == frame) << "the kernel gets it untouched" << dump(frame, frame);
    }
  }
  dataplane::Count sum;
  for (const auto& [name, count] : verdicts()) {
    sum.packets += count.packets;
    sum.bytes += count.bytes;
  }
  EXPECT_EQ(sum.packets, packets);
  EXPECT_EQ(sum.bytes, bytes);
  const auto totals = loader_->get_stats();
  EXPECT_EQ(totals.packets, packets);
  EXPECT_EQ(totals.bytes, bytes);
}

}  // namespace sluice::test
