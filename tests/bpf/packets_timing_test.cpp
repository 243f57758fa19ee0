// How long packets take in the program is told of about one in a thousand.
#include <sched.h>

#include <numeric>

#include "packets_fixture.hpp"

namespace sluice::test {

class PacketTiming : public PacketTest {
 protected:
  bool on_both() const override { return true; }
  /// On one CPU: each decides for itself which of its packets it times.
  void SetUp() override {
    ASSERT_EQ(sched_getaffinity(0, sizeof before_, &before_), 0);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    PacketTest::SetUp();
  }
  void TearDown() override {
    PacketTest::TearDown();
    sched_setaffinity(0, sizeof before_, &before_);
  }

  dataplane::Timing timing(const std::string& interface) {
    const auto counters = loader_->counters();
    EXPECT_TRUE(ok(counters));
    return counters ? counters->timing.at(interface) : dataplane::Timing{};
  }
  static std::uint64_t samples(const dataplane::Timing& timing) {
    return std::accumulate(timing.buckets.begin(), timing.buckets.end(), std::uint64_t{0});
  }
  static Bytes foreign() { return from_router().ip(client, "10.0.0.101").udp(1, 2).bytes(); }

 private:
  cpu_set_t before_;
};
SLUICE_BOTH_ARMS(PacketTiming);

TEST_P(PacketTiming, OnePacketInAThousandIsTimedOnItsInterface) {
  run("in0", foreign(), SL_TIMED_EVERY - 1);
  EXPECT_EQ(samples(timing("in0")), 0u);
  run("in0", foreign(), 1);
  EXPECT_EQ(samples(timing("in0")), 0u) << "it has the next one timed";
  run("in0", foreign(), 1);
  EXPECT_EQ(samples(timing("in0")), 1u);
  run("in0", foreign(), 10 * SL_TIMED_EVERY);
  EXPECT_EQ(samples(timing("in0")), 11u);
  EXPECT_EQ(samples(timing("out0")), 0u);
  run("out0", foreign(), SL_TIMED_EVERY + 1);
  EXPECT_EQ(samples(timing("out0")), 1u);
  EXPECT_EQ(samples(timing("in0")), 11u);
}

TEST_P(PacketTiming, TheSumOfTheTimesIsThatOfTheBuckets) {
  run("in0", foreign(), 200 * SL_TIMED_EVERY);
  const auto timed = timing("in0");
  std::uint64_t least = 0, most = 0;
  for (std::size_t i = 0; i < timed.buckets.size(); i++) {
    least += timed.buckets[i] * (i ? std::uint64_t{1} << i : 0);
    most += timed.buckets[i] * ((std::uint64_t{2} << i) - 1);
  }
  EXPECT_GT(samples(timed), 190u);
  EXPECT_GE(timed.nanoseconds, least);
  EXPECT_LE(timed.nanoseconds, most);
  EXPECT_GT(timed.nanoseconds, 0u);
}

TEST_P(PacketTiming, EveryWayThroughTheProgramIsTimed) {
  // Any packet may be the one: a slow one, one that is dropped, one that is forwarded.
  std::uint64_t expected = 0;
  for (const auto& packet :
       {from_router().ip(client, vip, {.option_words = 1}).tcp(1, l2_port, ack),
        from_router().ip(client, vip).tcp(1, empty_port, syn),
        from_router().ip(client, vip).tcp(1, lost_port, syn),
        from_router().ip(client6, vip6).tcp(1, nat_port, syn),
        from_router().ip(client, vip).tcp(1, l2_port, ack), from_router().ethertype(0x0806)}) {
    run("in0", foreign(), static_cast<int>(SL_TIMED_EVERY));
    run("in0", packet.bytes());
    EXPECT_EQ(samples(timing("in0")), ++expected);
  }
}

}  // namespace sluice::test
