// Pools that remember all their flows: who gets a new one (by hash, by turns, by load, by limit, by
// client), where the packets of an old one go, and when it is forgotten. Both ways of remembering:
// direct return and nat.
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <cstring>
#include <map>
#include <set>
#include <span>
#include <thread>
#include <vector>

#include "abi.h"
#include "packets_fixture.hpp"

namespace sluice::test {

namespace {

constexpr std::uint16_t web_port = 8000, dns_port = 53;

}  // namespace

class PacketTracking : public PacketTest {
 protected:
  void SetUp() override {
    instance_ = "tracking-" + std::to_string(getpid());
    open();
    add_interface("in0");
    add_interface("out0");
    config_.maglev.tableSize = 251;
    config_.xdp.interfaces = {{"in0", model::XdpMode::DRV}, {"out0", model::XdpMode::DRV}};
    for (const char* name : {"web", "web-6"}) {
      model::Pool pool;
      pool.name = name;
      pool.forwarding = model::Forwarding::dsr_l2;
      pool.connectionTracking = model::Tracking::full;
      config_.pools.push_back(pool);
    }
    set_backends({1, 1, 1});
    config_.services = {
        test::service("web", vip, web_port, "web"),
        test::service("dns", vip, dns_port, "web", model::Protocol::udp),
        test::service("web-6", vip6, web_port, "web-6"),
        test::service("many", vip, 9000, "web"),
    };
    config_.services.back().portEnd = 9099;
    change();
  }

  model::Pool& pool() { return config_.pools[0]; }
  /// Of both pools, by their weights.
  void set_backends(const std::vector<std::uint16_t>& weights) {
    config_.pools[0].backends.clear();
    config_.pools[1].backends.clear();
    for (std::size_t i = 0; i < weights.size(); i++) {
      const auto last = std::to_string(100 + i);
      config_.pools[0].backends.push_back(backend("10.0.1." + last, weights[i]));
      config_.pools[1].backends.push_back(backend("fd00:1::" + last, weights[i]));
    }
  }
  void use(model::Algorithm algorithm) {
    for (auto& one : config_.pools)
      one.algorithm = algorithm;
    change();
  }
  void use_nat() {
    for (auto& one : config_.pools)
      one.forwarding = model::Forwarding::nat;
    config_.services.pop_back();  // a range is looked up in another table with nat
    change();
  }
  void change() {
    topology_ = topology(config_, way_out());
    apply(config_, topology_);
    loader_->tick(now_);
    image_ = running();
  }
  void pass_time(std::uint32_t seconds) { loader_->tick(now_ += seconds); }

  /// The backend that a packet goes to, by its last number; 0: none.
  int where(const Packet& packet) {
    const auto outcome = run("in0", packet.bytes());
    for (const auto& [key, one] : image_.backends)
      if (outcome.verdict >= XDP_TX &&
          std::ranges::equal(one.destination_mac.bytes, std::span(outcome.packet).first(6)))
        return std::stoi(key.address.to_string().substr(key.address.to_string().size() - 3));
    return 0;
  }
  int tcp(std::uint16_t port, std::uint8_t flags, const char* from = client,
          std::uint16_t to = web_port) {
    return where(from_router().ip(from, vip).tcp(port, to, flags));
  }
  int tcp6(std::uint16_t port, std::uint8_t flags) {
    return where(from_router().ip(client6, vip6).tcp(port, web_port, flags));
  }
  int udp(std::uint16_t port) { return where(from_router().ip(client, vip).udp(port, dns_port)); }
  /// A connection that is established as far as its client's packets tell.
  int open_flow(std::uint16_t port, const char* from = client) {
    const int backend = tcp(port, syn, from);
    EXPECT_EQ(tcp(port, ack, from), backend) << "the second packet left its flow";
    return backend;
  }
  /// New connections by backend.
  std::map<int, int> spread(std::uint16_t first, int count) {
    std::map<int, int> flows;
    for (int i = 0; i < count; i++)
      flows[open_flow(static_cast<std::uint16_t>(first + i))]++;
    return flows;
  }
  std::uint32_t active(int last) {
    const auto counters = loader_->counters();
    EXPECT_TRUE(ok(counters));
    return counters->backends.at({"web", ip("10.0.1." + std::to_string(last)), 0}).active;
  }

  /// A table of flows, as packets meet it, shown to `look`.
  template <class Look>
  void look_at(const char* name, int bits, Look look) {
    const std::size_t lines = std::size_t{1} << bits;
    const auto table = mapped<sl_flow_line>(name, lines);
    for (auto& line : std::span(table.get(), lines))
      for (int way = 0; way < SL_FLOW_WAYS; way++)
        look(line, way);
  }
  /// Puts a flow of another service into every free place of a table.
  void fill(const char* name, int bits, std::uint32_t flags, std::uint64_t value = 0) {
    std::uint64_t others = 0;
    look_at(name, bits, [&](sl_flow_line& line, int way) {
      if (line.value[way])
        return;
      line.key[way] = SL_FORWARD_KEY(++others, 1, SL_MAX_SERVICES - 1);
      line.value[way] = value ? value
                              : std::uint64_t{SL_MAX_BACKENDS - 1} << 48 |
                                    std::uint64_t{now_ & 0xffffff} << 8 | flags;
    });
  }
  template <class Of>
  int count_entries(const char* name, int bits, Of of) {
    int count = 0;
    look_at(name, bits, [&](const sl_flow_line& line, int way) {
      count += static_cast<std::uint32_t>(line.value[way]) && of(line.key[way]);
    });
    return count;
  }

  std::uint32_t now_ = 1'000'000;
  planner::Image image_;
};
// Which way they leave by is shown elsewhere.
INSTANTIATE_TEST_SUITE_P(Arms, PacketTracking, testing::Values(false));

TEST_P(PacketTracking, FlowsKeepTheirBackendWhateverHappensToTheTable) {
  std::map<std::uint16_t, int> home, home6, of_range, of_udp;
  for (std::uint16_t port = 1000; port < 1100; port++) {
    home[port] = open_flow(port);
    home6[port] = tcp6(port, syn);
    tcp6(port, ack);
    of_range[port] = tcp(port, syn, client, 9007);
    tcp(port, ack, client, 9007);
    of_udp[port] = udp(port);
  }
  set_backends({1, 9, 1, 7});
  pool().backends[0].drain = config_.pools[1].backends[0].drain = true;
  change();
  int elsewhere = 0;
  for (std::uint16_t port = 1000; port < 1100; port++) {
    EXPECT_EQ(tcp(port, ack), home[port]);
    EXPECT_EQ(tcp6(port, ack), home6[port]);
    EXPECT_EQ(tcp(port, ack, client, 9007), of_range[port]);
    EXPECT_EQ(udp(port), of_udp[port]);
    elsewhere += open_flow(static_cast<std::uint16_t>(port + 1000)) != home[port];
    EXPECT_NE(open_flow(static_cast<std::uint16_t>(port + 2000)), 100) << "it drains";
  }
  EXPECT_GT(elsewhere, 0) << "the table has changed";
}

TEST_P(PacketTracking, TwoPortsOfARangeAreTwoFlows) {
  use(model::Algorithm::roundRobin);
  const int one = tcp(1000, syn, client, 9001), other = tcp(1000, syn, client, 9002);
  EXPECT_NE(one, other);
  EXPECT_EQ(tcp(1000, ack, client, 9001), one);
  EXPECT_EQ(tcp(1000, ack, client, 9002), other);
}

TEST_P(PacketTracking, ABackendThatIsDisabledLosesItsFlowsAtOnce) {
  const int home = open_flow(1000);
  pool().backends[static_cast<std::size_t>(home - 100)].enabled = false;
  change();
  const int now = tcp(1000, ack);
  EXPECT_NE(now, 0);
  EXPECT_NE(now, home);
  EXPECT_EQ(active(home), 0u);
  EXPECT_EQ(active(now), 1u);
}

TEST_P(PacketTracking, TurnsAreTakenByWeight) {
  use(model::Algorithm::roundRobin);
  EXPECT_EQ(spread(1000, 300), (std::map<int, int>{{100, 100}, {101, 100}, {102, 100}}));
  set_backends({3, 1, 2});
  change();
  EXPECT_EQ(spread(2000, 300), (std::map<int, int>{{100, 150}, {101, 50}, {102, 100}}));
  EXPECT_EQ(tcp(1000, ack), 100) << "old flows stay";
}

TEST_P(PacketTracking, NatTakesTurnsToo) {
  use_nat();
  use(model::Algorithm::roundRobin);
  EXPECT_EQ(spread(1000, 300), (std::map<int, int>{{100, 100}, {101, 100}, {102, 100}}));
  std::set<int> turns;
  for (std::uint16_t port = 1; port <= 3; port++)
    turns.insert(tcp6(port, syn));
  EXPECT_EQ(turns.size(), 3u) << "and so does IPv6, which is remembered elsewhere";
}

TEST_P(PacketTracking, TheLeastLoadedGetsTheNextFlow) {
  use(model::Algorithm::leastConnections);
  EXPECT_EQ(spread(1000, 30), (std::map<int, int>{{100, 10}, {101, 10}, {102, 10}}));
  for (std::uint16_t port = 1000; port < 1030; port++)
    if (tcp(port, ack) == 101)
      tcp(port, fin | ack);
  EXPECT_EQ(active(101), 0u);
  EXPECT_EQ(spread(2000, 10), (std::map<int, int>{{101, 10}})) << "they go where room was made";
  set_backends({1, 1, 4});
  change();
  EXPECT_EQ(spread(3000, 30), (std::map<int, int>{{102, 30}})) << "four times as many are due";
  EXPECT_EQ(active(100), 10u);
  EXPECT_EQ(active(102), 40u);
}

TEST_P(PacketTracking, AmongManyTheBetterOfTwoIsTaken) {
  set_backends(std::vector<std::uint16_t>(40, 1));
  use(model::Algorithm::leastConnections);
  int most = 0;
  for (const auto& [backend, flows] : spread(1000, 400))
    most = std::max(most, flows);
  // Thrown at random, 400 flows on 40 backends leave some with 18 and more.
  EXPECT_LE(most, 14);
}

TEST_P(PacketTracking, NobodyGetsMoreFlowsThanHeMay) {
  for (const auto algorithm : {model::Algorithm::maglev, model::Algorithm::roundRobin,
                               model::Algorithm::leastConnections}) {
    SCOPED_TRACE(static_cast<int>(algorithm));
    for (auto& one : pool().backends)
      one.maxConnections = 5;
    use(algorithm);
    const auto base = static_cast<std::uint16_t>(1000 + 1000 * static_cast<int>(algorithm));
    EXPECT_EQ(spread(base, 15), (std::map<int, int>{{100, 5}, {101, 5}, {102, 5}}));
    const auto next = static_cast<std::uint16_t>(base + 100);
    send(from_router().ip(client, vip).tcp(next, web_port, syn).bytes(), "drop",
         "connection-limit");
    EXPECT_NE(tcp(base, ack), 0) << "those that are there go on";
    tcp(base, fin | ack);
    EXPECT_NE(tcp(next, syn), 0) << "one has closed, one may open";
    pool().backends[1].maxConnections = 6;
    change();
    EXPECT_EQ(tcp(static_cast<std::uint16_t>(next + 1), syn), 101);
    for (auto port = base; port < next + 2; port++)
      tcp(port, rst);
    for (int last : {100, 101, 102})
      EXPECT_EQ(active(last), 0u) << last;
  }
}

TEST_P(PacketTracking, NobodyIsRefusedWhileABackendMayHaveTheFlow) {
  // Eleven of twelve are full at once, one of them gets nearly every turn.
  set_backends({100, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1});
  for (auto& one : pool().backends)
    one.maxConnections = 1;
  pool().backends.back().maxConnections.reset();
  for (const auto algorithm : {model::Algorithm::maglev, model::Algorithm::roundRobin,
                               model::Algorithm::leastConnections}) {
    SCOPED_TRACE(static_cast<int>(algorithm));
    use(algorithm);
    const auto base = static_cast<std::uint16_t>(1000 + 1000 * static_cast<int>(algorithm));
    const auto flows = spread(base, 300);
    EXPECT_FALSE(flows.contains(0)) << "the last backend may have any number";
    EXPECT_GE(flows.at(111), 289);
    for (int i = 0; i < 300; i++)
      tcp(static_cast<std::uint16_t>(base + i), rst);
  }
}

TEST_P(PacketTracking, AFlowThatNobodyCanHaveIsNotCountedAsOpened) {
  for (auto& [address, hop] : topology_.next_hops)
    hop.resolved = false;
  apply(config_, topology_);
  for (std::uint16_t port = 1; port <= 3; port++)
    send(from_router().ip(client, vip).tcp(port, web_port, syn).bytes(), "drop", "unresolved");
  const auto counters = loader_->counters();
  ASSERT_TRUE(ok(counters));
  const auto& counted = counters->services.at({ip(vip), web_port, model::Protocol::tcp, 0});
  EXPECT_EQ(counted.opened, 0u);
  EXPECT_EQ(counted.unresolved, 3u);
}

TEST_P(PacketTracking, NatKeepsToTheLimitAndCountsBothEnds) {
  for (auto& one : pool().backends)
    one.maxConnections = 2;
  use_nat();
  std::map<std::uint16_t, int> home;
  for (std::uint16_t port = 1; port <= 6; port++)
    EXPECT_NE(home[port] = tcp(port, syn), 0);
  send(from_router().ip(client, vip).tcp(7, web_port, syn).bytes(), "drop", "connection-limit");
  tcp(1, fin | ack);
  EXPECT_EQ(active(home[1]), 2u) << "the backend may still send";
  tcp(1, rst);
  EXPECT_EQ(active(home[1]), 1u);
  EXPECT_EQ(tcp(7, syn), home[1]);
  // What was never answered is given up after ten seconds, and swept within a minute.
  for (int i = 0; i < 80; i++)
    pass_time(1);
  for (int last : {100, 101, 102})
    EXPECT_EQ(active(last), 0u) << last;
}

TEST_P(PacketTracking, AClientStaysWithItsBackend) {
  for (auto& one : config_.pools)
    one.affinity = model::Affinity::source;
  for (const bool tracked : {false, true}) {
    for (auto& one : config_.pools)
      one.connectionTracking = tracked ? model::Tracking::full : model::Tracking::exceptions;
    change();
    std::set<int> backends;
    for (int last = 1; last <= 30; last++) {
      const auto from = "198.51.100." + std::to_string(last);
      const int home = open_flow(1000, from.c_str());
      for (std::uint16_t port = 2000; port < 2010; port++)
        EXPECT_EQ(open_flow(port, from.c_str()), home);
      backends.insert(home);
    }
    EXPECT_EQ(backends.size(), 3u);
    std::set<int> home6;
    for (std::uint16_t port = 1; port < 20; port++)
      home6.insert(tcp6(port, syn));
    EXPECT_EQ(home6.size(), 1u);
  }
}

TEST_P(PacketTracking, AClientThatTakesTurnsStaysUntilItWasSilent) {
  pool().affinity = model::Affinity::source;
  config_.xdp.flowTimeouts.affinitySeconds = 600;
  use(model::Algorithm::roundRobin);
  std::map<int, int> homes;
  for (int last = 1; last <= 30; last++) {
    const auto from = "198.51.100." + std::to_string(last);
    const int home = open_flow(1000, from.c_str());
    homes[home]++;
    for (std::uint16_t port = 2000; port < 2010; port++)
      EXPECT_EQ(open_flow(port, from.c_str()), home);
  }
  EXPECT_EQ(homes, (std::map<int, int>{{100, 10}, {101, 10}, {102, 10}}));
  pass_time(599);
  const int home = tcp(1000, ack, "198.51.100.1");
  EXPECT_EQ(open_flow(3000, "198.51.100.1"), home) << "its flow has just spoken";
  pass_time(599);
  EXPECT_EQ(open_flow(3001, "198.51.100.1"), home);
  pass_time(601);
  // Three clients, three turns: all at home again would be one chance in many.
  EXPECT_EQ(active(100) + active(101) + active(102), 332u);
  EXPECT_EQ(open_flow(3002, "198.51.100.1"), open_flow(3003, "198.51.100.1"))
      << "a home, be it a new one";
}

TEST_P(PacketTracking, EveryPacketOfAClientCountsForHowLongItStays) {
  pool().affinity = model::Affinity::source;
  config_.xdp.flowTimeouts.affinitySeconds = 16;
  use(model::Algorithm::roundRobin);
  const int home = open_flow(1000);
  for (std::uint16_t port = 2000; port < 2006; port++) {
    pass_time(15);
    EXPECT_EQ(open_flow(port), home) << "the client was silent for 15 seconds of 16";
  }
  pass_time(16);
  EXPECT_NE(open_flow(3000), home) << "now it takes its turn like any other";
}

TEST_P(PacketTracking, AClientDoesNotStayWithABackendThatDrains) {
  pool().affinity = model::Affinity::source;
  change();
  const int home = open_flow(1000);
  pool().backends[static_cast<std::size_t>(home - 100)].drain = true;
  change();
  EXPECT_EQ(tcp(1000, ack), home) << "its flow does";
  const int other = open_flow(1001);
  EXPECT_NE(other, home);
  EXPECT_EQ(open_flow(1002), other);
}

TEST_P(PacketTracking, AFlowIsForgottenAfterItsTimeoutAndNotBefore) {
  use(model::Algorithm::roundRobin);
  config_.xdp.flowTimeouts = {.tcpOpenSeconds = 100, .tcpClosingSeconds = 20, .udpSeconds = 30};
  change();
  const auto follows = [&](std::uint16_t port, std::uint32_t silent, bool udp_flow) {
    const int home = udp_flow ? udp(port) : open_flow(port);
    if (udp_flow)
      udp(port);
    pass_time(silent);
    // Others take their turns meanwhile, so that only a flow that is remembered comes home.
    tcp(static_cast<std::uint16_t>(port + 1), syn);
    udp(static_cast<std::uint16_t>(port + 1));
    return udp_flow ? udp(port) == home : tcp(port, syn) == home;
  };
  EXPECT_TRUE(follows(1000, 99, false));
  EXPECT_FALSE(follows(1010, 100, false));
  EXPECT_TRUE(follows(1020, 29, true));
  EXPECT_FALSE(follows(1030, 30, true));
  const int home = open_flow(1040);
  tcp(1040, fin | ack);
  pass_time(19);
  EXPECT_EQ(tcp(1040, ack), home) << "the last ACK of a connection that closes";
  const auto before = active(100) + active(101) + active(102);
  for (int i = 0; i < 170; i++)
    pass_time(1);
  EXPECT_GT(before, 0u);
  EXPECT_EQ(active(100) + active(101) + active(102), 0u) << "all were swept";
}

TEST_P(PacketTracking, ARebalanceAtOnceLeavesNothingThatTheTableDoesNotSay) {
  for (const bool nat : {false, true}) {
    if (nat)
      use_nat();
    set_backends({1, 1, 1});
    config_.maglev.rebalanceStrategy = model::Rebalance::minimalDisruption;
    change();
    const auto base = static_cast<std::uint16_t>(nat ? 4000 : 1000);
    std::map<std::uint16_t, int> home;
    for (auto port = base; port < base + 200; port++)
      home[port] = open_flow(port);
    config_.maglev.rebalanceStrategy = model::Rebalance::immediate;
    set_backends({1, 1, 1, 1, 1, 1});
    change();
    // What the table says, a flow shows that nothing remembers.
    const auto& table = image_.tables.at("web");
    std::set<std::uint16_t> ids(table.slots.begin(), table.slots.end());
    ASSERT_EQ(ids.size(), 6u);
    int moved = 0;
    for (auto port = base; port < base + 200; port++) {
      const int now = tcp(port, ack);
      moved += now != home[port];
      if (now == home[port]) {
        EXPECT_LT(now, 103);
      }
    }
    EXPECT_NEAR(moved, 100, 30) << "half of the slots have new owners";
  }
}

TEST_P(PacketTracking, FullTablesRefuseNobodyAndThrowNoEstablishedFlowOut) {
  use(model::Algorithm::roundRobin);
  std::map<std::uint16_t, int> home;
  for (std::uint16_t port = 1000; port < 1030; port++)
    home[port] = open_flow(port);
  fill(".bss.flows", SL_FLOW_BITS, SL_FLOW4_LIVE | SL_FLOW4_ESTABLISHED);
  fill(".bss.opening", SL_OPENING_BITS, SL_FLOW4_LIVE);
  for (std::uint16_t port = 2000; port < 2030; port++) {
    const int backend = tcp(port, syn);
    EXPECT_NE(backend, 0) << "a flow that opens takes the place of another that opens";
    EXPECT_EQ(tcp(port, ack), backend);
  }
  for (const auto& [port, backend] : home)
    EXPECT_EQ(tcp(port, ack), backend) << "an established flow has lost its place";
}

TEST_P(PacketTracking, AFlowThatFindsNoPlaceGoesByItsHash) {
  use(model::Algorithm::roundRobin);
  fill(".bss.opening", SL_OPENING_BITS, 0, SL_FLOW_CLAIMED);  // as if all were just being written
  std::map<int, int> flows;
  for (std::uint16_t port = 1000; port < 1060; port++) {
    const int backend = tcp(port, syn);
    flows[backend]++;
    for (int i = 0; i < 3; i++)
      EXPECT_EQ(tcp(port, ack), backend);
  }
  EXPECT_EQ(flows.size(), 3u);
  EXPECT_FALSE(flows.contains(0));
  const auto counters = loader_->counters();
  ASSERT_TRUE(ok(counters));
  EXPECT_EQ(counters->tracking.untracked, 60u * 4);
}

TEST_P(PacketTracking, TwoCpusThatOpenTheSameFlowsAgreeOnTheirBackends) {
  constexpr std::size_t flows = 4000, batch = 40;
  use(model::Algorithm::roundRobin);
  // Each flow throws another one out, one that is older: flows of the same second might throw out
  // each other.
  pass_time(5);
  fill(".bss.opening", SL_OPENING_BITS, SL_FLOW4_LIVE);
  pass_time(1);
  const auto others = active(100) + active(101) + active(102);
  std::array<std::vector<int>, 2> home{std::vector<int>(flows), std::vector<int>(flows)};
  std::array<std::atomic<int>, 2> torn{};
  std::barrier together(2);
  const auto cpu = [&](std::size_t self) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(self, &one);
    pthread_setaffinity_np(pthread_self(), sizeof one, &one);
    const auto port = [](std::size_t flow) { return static_cast<std::uint16_t>(2000 + flow); };
    for (std::size_t first = 0; first < flows; first += batch) {
      together.arrive_and_wait();
      for (std::size_t i = 0; i < batch; i++)
        tcp(port(first + i), syn);
      together.arrive_and_wait();
      for (std::size_t i = 0; i < batch; i++)
        home[self][first + i] = tcp(port(first + i), ack);
      for (std::size_t i = 0; i < batch; i++)
        torn[self] += tcp(port(first + i), ack) != home[self][first + i];
    }
  };
  std::thread other(cpu, 1);
  cpu(0);
  other.join();
  EXPECT_EQ(torn[0] + torn[1], 0) << "a packet went to another backend than its flow";
  EXPECT_EQ(home[0], home[1]);
  EXPECT_EQ(std::ranges::count(home[0], 0), 0);
  EXPECT_EQ(active(100) + active(101) + active(102), others + flows) << "each counts once";
  for (std::size_t i = 0; i < flows; i++)
    tcp(static_cast<std::uint16_t>(2000 + i), rst);
  EXPECT_EQ(active(100) + active(101) + active(102), others);
}

TEST_P(PacketTracking, AFloodDoesNotThrowOutWhoCameLastBeforeIt) {
  constexpr int own = 1000, others = 20000;  // one to three lines of the table, all in one second
  use(model::Algorithm::roundRobin);
  fill(".bss.opening", SL_OPENING_BITS, SL_FLOW4_LIVE);
  for (std::uint16_t port = 1; port <= own; port++)
    tcp(port, syn);
  for (int i = 0; i < others; i++) {
    const auto from = "198.51.100." + std::to_string(1 + i % 200);
    tcp(static_cast<std::uint16_t>(1 + i / 200), syn, from.c_str());
  }
  const auto address = ip(client).bytes();
  std::uint32_t word = 0;
  std::memcpy(&word, &address[12], 4);
  const auto left = count_entries(".bss.opening", SL_OPENING_BITS, [&](std::uint64_t key) {
    return key >> 32 == word && (key & 0xffff) < SL_MAX_SERVICES - 1;
  });
  // One of six yields to each newcomer. If it were always the same one, 740 would be left.
  EXPECT_GT(left, 820) << "of 1,000 that opened just before";
}

TEST_P(PacketTracking, AnErrorFollowsItsFlowAndWritesNothing) {
  use(model::Algorithm::roundRobin);
  open_flow(1000);
  const int home = open_flow(1001);
  const auto quoted = Packet().ip(vip, client).tcp(web_port, 1001, ack);
  const auto error = from_router().ip("203.0.113.1", vip).icmp(3, 4).quote(quoted, 28);
  EXPECT_EQ(where(error), home);
  const auto before = active(100) + active(101) + active(102);
  const auto unknown = Packet().ip(vip, client).tcp(web_port, 1999, ack);
  EXPECT_NE(where(from_router().ip("203.0.113.1", vip).icmp(3, 4).quote(unknown, 28)), 0);
  EXPECT_EQ(active(100) + active(101) + active(102), before);
}

TEST_P(PacketTracking, ANewDaemonFindsFlowsLimitsAndTurns) {
  pool().backends[0].maxConnections = 7;
  use(model::Algorithm::leastConnections);
  const auto before = image_;
  const int home = open_flow(1000);
  const auto counted = active(home);
  close();
  open();
  EXPECT_EQ(running(), before);
  EXPECT_EQ(tcp(1000, ack), home);
  EXPECT_EQ(active(home), counted);
}

}  // namespace sluice::test
