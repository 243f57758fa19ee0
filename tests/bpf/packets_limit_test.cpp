// How many packets go through: the burst to the packet, the steady rate by moving the bucket's
// time, over all CPUs, for single backends, and what becomes of the others.
#include <bpf/bpf.h>
#include <sched.h>
#include <sys/mman.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <thread>

#include "abi.h"
#include "packets_fixture.hpp"

namespace sluice::test {

namespace {

constexpr std::uint64_t second = std::uint64_t{1'000'000'000} << SL_LIMIT_SHIFT;
/// What a limit of one packet a second is stretched to, so that none comes by itself in a test.
constexpr std::uint64_t hour = 3600 * second;

/// What a command prints.
std::string said(const std::string& command) {
  std::string text;
  std::array<char, 256> part;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  while (pipe && fgets(part.data(), part.size(), pipe))
    text += part.data();
  if (pipe)
    pclose(pipe);
  return text;
}

}  // namespace

class PacketLimit : public PacketTest {
 protected:
  void SetUp() override {
    PacketTest::SetUp();
    limits_ = mapped<sl_limit>(".bss.limits", SL_MAX_BACKENDS);
    fronts_ = mapped<sl_front>(".bss.front", 2);
  }
  /// Applies, and stretches every limit of one packet a second.
  void change() {
    apply(config_, topology_);
    for (int i = 0; i < 2; i++)
      stretch(fronts_[i].limit);
    for (std::uint32_t id = 0; id < SL_MAX_BACKENDS; id++)
      stretch(limits_[id].rate);
  }
  static void stretch(sl_rate& rate) {
    if (rate.packets_per_second != 1)
      return;
    rate.interval = hour;
    rate.depth = rate.burst * hour;
  }
  /// A packet a second is none within a test: what goes through is the burst.
  void limit(std::uint32_t burst, std::uint32_t packets_per_second = 1) {
    config_.rateLimit.packetsPerSecond = packets_per_second;
    config_.rateLimit.burst = burst;
    change();
  }
  void limit_backends(std::uint32_t burst, std::uint32_t packets_per_second = 1) {
    config_.rateLimit.perBackend = {.packetsPerSecond = packets_per_second, .burst = burst};
    change();
  }
  model::Backend& backend_of(std::uint16_t port) {
    for (auto& pool : config_.pools)
      if (pool.name == "p" + std::to_string(port))
        return pool.backends.at(0);
    throw std::out_of_range("no such pool");
  }

  void refill() {
    for (std::uint32_t id = 0; id < SL_MAX_BACKENDS; id++)
      limits_[id].full_at = 0;
  }
  /// As if that much time had gone by.
  void let_pass(std::uint64_t units, std::uint32_t id = 0) { limits_[id].full_at -= units; }

  /// Runs a packet so many times at once; how many went through.
  std::uint64_t through(const Packet& packet, int times) {
    const auto before = limited();
    run("in0", packet.bytes(), times);
    return static_cast<std::uint64_t>(times) - (limited() - before);
  }
  std::uint64_t limited() {
    const auto counts = verdicts();
    const auto found = counts.find("in0 drop rate-limited");
    return found == counts.end() ? 0 : found->second.packets;
  }
  static Packet l2_packet() { return from_router().ip(client, vip).tcp(40000, l2_port, ack); }

  /// Of five packets at once three go through, each counted once; the others are left as they are.
  void expect_burst_of_three(const std::string& what, const Packet& packet,
                             const std::string& reason) {
    SCOPED_TRACE(what);
    refill();
    for (int i = 0; i < 3; i++)
      send(packet.bytes(), forwarded(), reason);
    for (int i = 0; i < 2; i++)
      EXPECT_TRUE(send(packet.bytes(), "drop", "rate-limited") == packet.bytes());
  }
  /// The same over every way that a packet takes through the program.
  void expect_bursts_of_three() {
    const auto frame = from_router();
    const auto in4 = [&] { return Packet(frame).ip(client, vip); };
    const auto in6 = [&] { return Packet(frame).ip(client6, vip6); };
    expect_burst_of_three("dsr-l2", in4().tcp(40000, l2_port, ack), "dsr-l2");
    expect_burst_of_three("dsr-ipip, UDP", in4().udp(40000, ipip_port).payload(40), "dsr-ipip4");
    expect_burst_of_three("dsr-l2, IPv6", in6().tcp(40000, l2_port, ack), "dsr-l2");
    expect_burst_of_three("dsr-ipip, IPv6", in6().tcp(40000, ipip_port, ack), "dsr-ipip6");
    expect_burst_of_three("a tag", frame_with_tag().ip(client, vip).tcp(1, l2_port, ack), "dsr-l2");
    expect_burst_of_three("options",
                          Packet(frame).ip(client, vip, {.option_words = 2}).tcp(1, l2_port, ack),
                          "dsr-l2");
    expect_burst_of_three("nat, from its first packet on", in4().tcp(40001, nat_port, syn), "nat");
    expect_burst_of_three("nat, a flow that is there", in4().tcp(40001, nat_port, ack), "nat");
    expect_burst_of_three("nat, UDP", in4().udp(40002, nat_port).payload(4), "nat");
    expect_burst_of_three("nat, IPv6", in6().tcp(40003, nat_port, syn), "nat");
    expect_burst_of_three("nat, IPv6, a flow that is there", in6().tcp(40003, nat_port, ack),
                          "nat");
    expect_burst_of_three("nat, client kept", in4().tcp(40004, keep_port, syn), "nat");
    expect_burst_of_three(
        "an error about a flow",
        Packet(frame)
            .ip("198.51.100.9", vip)
            .icmp(3, 4, 1400)
            .quote(Packet().ip(vip, client).tcp(l2_port, 40000, ack).payload(64), 28),
        "icmp-error");
  }
  static Packet frame_with_tag() { return from_router().tag(3); }

  /// As packets meet them.
  std::shared_ptr<sl_limit[]> limits_;
  std::shared_ptr<sl_front[]> fronts_;
};
SLUICE_BOTH_ARMS(PacketLimit);

TEST_P(PacketLimit, ExactlyTheBurstGoesThroughAndEachPacketCountsOnce) {
  limit(3);
  expect_bursts_of_three();
  const auto dropped = service(l2_port).dropped;
  EXPECT_EQ(dropped, 4u * 2) << "the service's own counter: dsr-l2, tag, options and error";
}

TEST_P(PacketLimit, ABackendsOwnLimitIsExactToo) {
  limit_backends(3);
  expect_bursts_of_three();
  const auto counters = loader_->counters();
  ASSERT_TRUE(ok(counters));
  const auto& backend = counters->backends.at({"p81", ip("10.0.1.21"), 0});
  EXPECT_EQ(backend.dropped, 4u * 2);
  EXPECT_EQ(backend.packets, 4u * 3);
}

TEST_P(PacketLimit, FragmentsThatAreFollowedCountEach) {
  config_.xdp.fragments = model::Fragments::reassemble;
  const auto first =
      from_router().ip(client, vip, {.id = 7, .fragment = 0x2000}).udp(9, l2_port).payload(24);
  const auto later =
      from_router().ip(client, vip, {.id = 7, .fragment = 0x2004, .protocol = 17}).payload(24);
  for (const bool of_backends : {false, true}) {
    SCOPED_TRACE(of_backends ? "of backends" : "of all");
    config_.rateLimit = {};
    of_backends ? limit_backends(3) : limit(3);
    refill();
    send(first.bytes(), forwarded(), "dsr-l2");
    for (int i = 0; i < 2; i++)
      send(later.bytes(), forwarded(), "dsr-l2");
    send(later.bytes(), "drop", "rate-limited");
    send(first.bytes(), "drop", "rate-limited");
  }
}

TEST_P(PacketLimit, WhatIsNoClientsPacketForAServiceIsLeftAlone) {
  const auto out =
      send(from_router().ip(client, vip).tcp(40000, nat_port, syn).bytes(), forwarded(), "nat");
  const auto ours = static_cast<std::uint16_t>(out[34] << 8 | out[35]);
  limit(1);
  limit_backends(1);
  send(l2_packet().bytes(), forwarded(), "dsr-l2");
  send(l2_packet().bytes(), "drop", "rate-limited");
  for (int i = 0; i < 3; i++)
    send(Packet()
             .ether(mac_of("10.0.1.11"), out_mac)
             .ip("10.0.1.11", source)
             .tcp(nat_port, ours, ack)
             .bytes(),
         forwarded(), "nat-reply", way_out());
  check({
      {"another address",
       from_router().ip(client, "10.0.0.101").tcp(1, nat_port, syn),
       "pass",
       "not-ours",
       {}},
      {"a port without a service",
       from_router().ip(client, vip).tcp(1, no_port, syn),
       "pass",
       "no-service",
       {}},
      {"a ping", from_router().ip(client, vip).icmp(8), "pass", "icmp", {}},
      {"ARP", from_router().ethertype(0x0806).payload(46), "pass", "not-ip", {}},
  });
}

TEST_P(PacketLimit, AfterTheBurstComesTheSteadyRate) {
  limit(100);
  const auto& rate = limits_[0];
  EXPECT_EQ(through(l2_packet(), 150), 100u) << "a bucket that was never used is full";
  EXPECT_EQ(through(l2_packet(), 50), 0u);
  let_pass(10 * hour);
  EXPECT_EQ(through(l2_packet(), 50), 10u) << "ten packets' time later";
  for (int i = 0; i < 20; i++) {
    let_pass(hour / 2);
    EXPECT_EQ(through(l2_packet(), 3), i % 2 ? 1u : 0u) << "half of the time is half a packet";
  }
  let_pass(1000 * hour);
  EXPECT_EQ(through(l2_packet(), 150), 100u) << "a long pause gives no more than the burst";
  EXPECT_GT(rate.full_at, 0u);
}

TEST_P(PacketLimit, ABackendsBucketIsItsOwn) {
  backend_of(l2_port).rateLimit = {.packetsPerSecond = 1, .burst = 20};
  change();
  const auto id = running().backends.at({"p81", ip("10.0.1.21"), 0}).id;
  EXPECT_EQ(through(l2_packet(), 50), 20u);
  let_pass(7 * hour, id);
  EXPECT_EQ(through(l2_packet(), 50), 7u);
  for (const auto port : {ipip_port, nat_port, keep_port})
    EXPECT_EQ(through(from_router().ip(client, vip).udp(40000, port).payload(20), 1), 1u)
        << "port " << port << "'s backend has no limit";
  EXPECT_EQ(through(from_router().ip(client6, vip6).tcp(1, l2_port, ack), 50), 50u)
      << "nor has the pool's other one";

  config_.rateLimit.perBackend = {.packetsPerSecond = 1, .burst = 5};
  backend_of(l2_port).rateLimit = {.packetsPerSecond = 0, .burst = {}};
  change();
  EXPECT_EQ(through(l2_packet(), 50), 50u) << "zero takes a backend out of the others' limit";
  EXPECT_EQ(through(from_router().ip(client6, vip6).tcp(1, l2_port, ack), 50), 5u);
}

TEST_P(PacketLimit, ALimitedBackendStillTellsWhatFits) {
  limit_backends(2);
  const auto small = from_router().ip(client, vip).udp(40000, small_port).payload(100);
  const auto large = from_router().ip(client, vip).udp(40000, small_port).payload(600);
  send(large.bytes(), "tx", "too-big-told");
  send(small.bytes(), forwarded(), "dsr-ipip4");
  send(small.bytes(), forwarded(), "dsr-ipip4");
  send(small.bytes(), "drop", "rate-limited");
  send(large.bytes(), "tx", "too-big-told");
  send(from_router().ip(client, vip).tcp(1, lost_port, ack).bytes(), "drop", "unresolved");
}

TEST_P(PacketLimit, ADeniedClientUsesNothingUp) {
  config_.security.denyList = {"198.51.100.0/24"};
  limit(2);
  for (int i = 0; i < 5; i++)
    send(from_router().ip("198.51.100.7", vip).tcp(40000, l2_port, ack).bytes(), "drop", "denied");
  EXPECT_EQ(through(l2_packet(), 5), 2u);
}

TEST_P(PacketLimit, OverAllCpusTogetherItIsOneLimit) {
  limit(1000);
  const auto packet = l2_packet().bytes();
  const auto before = limited();
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::thread> senders;
  for (int i = 0; i < 4; i++)
    senders.emplace_back([&, i] {
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(i % static_cast<int>(std::thread::hardware_concurrency()), &one);
      sched_setaffinity(0, sizeof one, &one);
      run("in0", packet, 100000);
    });
  for (auto& sender : senders)
    sender.join();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  const auto went = 400000 - (limited() - before);
  EXPECT_GE(went, 1000u);
  EXPECT_LE(went, 1000u + static_cast<std::uint64_t>(took.count()) + 1);
}

TEST_P(PacketLimit, AtHighRatesCpusTakeBatchesAndNeverMoreThanThereIs) {
  limit(1024, 4'000'000);
  const auto packet = l2_packet().bytes();
  const auto before = limited();
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::thread> senders;
  for (int i = 0; i < 2; i++)
    senders.emplace_back([&] { run("in0", packet, 1000000); });
  for (auto& sender : senders)
    sender.join();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  const auto went = 2000000 - (limited() - before);
  EXPECT_GE(went, 1024u);
  EXPECT_LE(static_cast<double>(went), 1024 + 4e6 * took.count());
}

TEST_P(PacketLimit, AChangedLimitCountsAtOnceAndKeepsWhatIsInTheBucket) {
  limit(100);
  EXPECT_EQ(through(l2_packet(), 90), 90u);
  limit(50);
  EXPECT_EQ(through(l2_packet(), 90), 0u) << "90 of the last seconds' packets were used";
  limit(1000, 100'000);
  through(l2_packet(), 1);  // finds that the bucket was left by a slower limit
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_GE(through(l2_packet(), 900), 900u) << "the slower limit's debts hold up the faster one";
  config_.rateLimit = {};
  change();
  EXPECT_EQ(through(l2_packet(), 5000), 5000u) << "without a limit";
}

TEST_P(PacketLimit, WhatPassesHasItsMarkBeforeIt) {
  config_.rateLimit.action = model::ExcessAction::pass;
  config_.rateLimit.mark = 0x51ce;
  const sl_mark mark{SL_MARK_MAGIC, 0x51ce};
  for (const bool of_backends : {false, true}) {
    SCOPED_TRACE(of_backends ? "of backends" : "of all");
    config_.rateLimit.packetsPerSecond = 0;
    config_.rateLimit.perBackend = {};
    of_backends ? limit_backends(1) : limit(1);
    for (const auto& packet : {from_router().ip(client, vip).tcp(40000, l2_port, ack),
                               from_router().ip(client, vip).tcp(40000, nat_port, syn),
                               from_router().ip(client6, vip6).tcp(40000, nat_port, syn),
                               from_router().ip(client6, vip6).udp(40000, ipip_port).payload(9)}) {
      refill();
      through(packet, 1);
      const auto in = packet.bytes();
      const auto out = send(in, "pass", "rate-limited");
      ASSERT_EQ(out.size(), in.size() + sizeof mark);
      EXPECT_EQ(std::memcmp(out.data(), &mark, sizeof mark), 0);
      EXPECT_TRUE(std::equal(in.begin(), in.end(), out.begin() + sizeof mark))
          << "the kernel gets another packet than came in";
    }
  }
}

TEST_P(PacketLimit, TheKernelsSideIsThereOnlyWhileMarksAreWritten) {
  const auto filters = [] { return said("tc filter show dev in0 ingress"); };
  const auto disciplines = [] { return said("tc qdisc show dev in0"); };
  limit(1);
  EXPECT_EQ(filters(), "") << "what is dropped needs no mark";
  config_.rateLimit.action = model::ExcessAction::pass;
  config_.rateLimit.mark = 7;
  change();
  EXPECT_TRUE(running().interfaces.at("in0").marks);
  EXPECT_NE(filters().find("tc_mark"), std::string::npos) << filters();

  close();
  EXPECT_NE(filters().find("tc_mark"), std::string::npos) << "it went with the daemon";
  open();
  EXPECT_TRUE(running().interfaces.at("in0").marks);
  said("tc qdisc del dev in0 clsact");
  EXPECT_FALSE(running().interfaces.at("in0").marks) << "that somebody took it off is not seen";
  change();
  EXPECT_NE(filters().find("tc_mark"), std::string::npos) << "it is not put on again";

  // Somebody else's filter stays, and with it what it hangs on.
  EXPECT_EQ(said("tc filter add dev in0 egress prio 9 bpf direct-action object-pinned " +
                 folder().marking("in0").string()),
            "");
  config_.rateLimit = {};
  change();
  EXPECT_EQ(filters(), "");
  EXPECT_NE(said("tc filter show dev in0 egress").find("pref 9 "), std::string::npos);
  said("tc filter del dev in0 egress");
  config_.rateLimit = {.packetsPerSecond = 1,
                       .burst = 1,
                       .action = model::ExcessAction::pass,
                       .mark = 7,
                       .perBackend = {}};
  change();
  config_.rateLimit = {};
  change();
  EXPECT_NE(disciplines().find("clsact"), std::string::npos) << "it was there before";
  said("tc qdisc del dev in0 clsact");

  config_.rateLimit.perBackend = {.packetsPerSecond = 1, .burst = 1};
  config_.rateLimit.action = model::ExcessAction::pass;
  config_.rateLimit.mark = 7;
  change();
  EXPECT_NE(filters().find("tc_mark"), std::string::npos);
  config_.xdp.interfaces.clear();
  change();
  EXPECT_EQ(disciplines().find("clsact"), std::string::npos) << "it outlives the XDP program";
}

TEST_P(PacketLimit, ADaemonThatStartsKnowsTheLimitsAndWritesNothing) {
  limit(100);
  backend_of(l2_port).rateLimit = {.packetsPerSecond = 1, .burst = 50};
  config_.rateLimit.action = model::ExcessAction::pass;
  config_.rateLimit.mark = 0xffffffff;
  change();
  run("in0", l2_packet().bytes(), 30);
  const auto before = running();
  EXPECT_EQ(before.limit.rate, (planner::RateImage{1, 100}));
  close();
  open();
  EXPECT_EQ(running(), before);
  const auto plan = planner::make_plan(running(), config_, topology_);
  ASSERT_TRUE(ok(plan));
  EXPECT_TRUE(plan->empty()) << planner::describe(plan->steps.at(0));
  config_.rateLimit.action = model::ExcessAction::drop;
  config_.rateLimit.mark = {};
  change();
  EXPECT_EQ(through(l2_packet(), 100), 20u) << "what was used up before counts";
}

TEST_P(PacketLimit, ARefusedPlanPutsTheLimitsBack) {
  limit(10);
  limit_backends(20);
  const auto before = running();
  config_.rateLimit = {.packetsPerSecond = 1,
                       .burst = 5,
                       .action = model::ExcessAction::pass,
                       .mark = 7,
                       .perBackend = {.packetsPerSecond = 1, .burst = 3}};
  auto plan = planner::make_plan(running(), config_, topology_);
  ASSERT_TRUE(ok(plan));
  plan->steps.push_back(planner::Attach{"nowhere", {123456, model::XdpMode::DRV}});
  EXPECT_TRUE(fails_with(Code::not_found, loader_->apply(*plan)));
  EXPECT_EQ(running(), before);
  EXPECT_EQ(said("tc filter show dev in0 ingress"), "");
  EXPECT_EQ(through(l2_packet(), 50), 10u);
}

TEST_P(PacketLimit, AnIdThatIsUsedAgainStartsWithAFullBucket) {
  limit_backends(5);
  EXPECT_EQ(through(l2_packet(), 9), 5u);
  const auto id = running().backends.at({"p81", ip("10.0.1.21"), 0}).id;
  auto& one = backend_of(l2_port);
  const auto was = one.ip;
  for (auto& pool : config_.pools)
    if (pool.name == "p81")
      pool.backends.clear();
  change();
  for (auto& pool : config_.pools)
    if (pool.name == "p81")
      pool.backends.push_back(backend("10.0.1.22"));
  auto& hop = topology_.next_hops[ip("10.0.1.22")] = topology_.next_hops.at(was);
  hop.via = ip("10.0.1.22");
  change();
  ASSERT_EQ(running().backends.at({"p81", ip("10.0.1.22"), 0}).id, id)
      << "the test wants the id to be used again";
  EXPECT_EQ(through(l2_packet(), 9), 5u) << "the new backend pays for the old one";
}

}  // namespace sluice::test
