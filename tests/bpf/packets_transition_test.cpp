// Slots that change hands: the kernel's program against the reference in plain C++
// (tests/unit/transition_reference.hpp), on the same random sequences of changes and packets.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <random>
#include <span>

#include "abi.h"
#include "dataplane/xdp/front.hpp"
#include "packets_fixture.hpp"
#include "planner/phases.hpp"
#include "planner/plan.hpp"
#include "transition_reference.hpp"

namespace sluice::test {

namespace {

constexpr std::size_t backends = 6;
constexpr std::uint16_t service_port = 8000;
constexpr std::uint32_t window = 60;

std::uint16_t port_of(std::size_t flow) {
  return static_cast<std::uint16_t>(10000 + flow * 7);
}

reference::Packet kind_of(model::Protocol protocol, std::uint8_t flags) {
  if (protocol == model::Protocol::udp)
    return reference::Packet::udp;
  if (flags == syn)
    return reference::Packet::syn;
  return flags & (fin | rst) ? reference::Packet::fin_or_rst : reference::Packet::other;
}

}  // namespace

/// A dsr-l2 pool, and the reference beside it.
class PacketTransition : public PacketTest {
 protected:
  void SetUp() override {
    instance_ = "transition-" + std::to_string(getpid());
    open();
    add_interface("in0");
    add_interface("out0");
    config_.maglev.tableSize = 31;
    config_.xdp.interfaces = {{"in0", model::XdpMode::DRV}};
    config_.xdp.transitionSeconds = config_.xdp.transitionHoldSeconds = window;
    model::Pool pool;
    pool.name = "web";
    pool.forwarding = model::Forwarding::dsr_l2;
    for (std::size_t i = 0; i < backends; i++)
      pool.backends.push_back(backend("10.0.1." + std::to_string(100 + i)));
    config_.pools = {pool};
    for (const auto protocol : {model::Protocol::tcp, model::Protocol::udp})
      config_.services.push_back(test::service(protocol == model::Protocol::tcp ? "tcp" : "udp",
                                               vip, service_port, "web", protocol));
    topology_ = topology(config_, way_out());
    change();
  }

  std::vector<model::Backend>& pool() { return config_.pools[0].backends; }
  model::NextHop& way_to(std::size_t i) { return topology_.next_hops.at(pool()[i].ip); }

  /// Plans towards the configuration as it is now; with `sweep` as the daemon does every few
  /// seconds.
  void change(bool sweep = false) {
    loader_->tick(now_);
    const auto before = running();
    planner::Learned learned;
    if (sweep) {
      learned = loader_->sweep(before);
      records_.sweep(
          planner::unpack(before.tables.at("web"), now_), [](std::uint16_t) { return true; },
          transition::Alive(alive_), now_);
    }
    const auto plan = planner::make_plan(before, config_, topology_,
                                         {.now = now_, .learned = sweep ? &learned : nullptr});
    ASSERT_TRUE(ok(plan));
    ASSERT_TRUE(ok(loader_->apply(*plan)));
    image_ = running();
    ASSERT_EQ(image_, plan->after);
    slots_ = planner::unpack(image_.tables.at("web"), now_);
    alive_.assign(SL_MAX_BACKENDS, 0);
    for (const auto& [key, one] : image_.backends)
      alive_[one.id] = one.resolved && one.enabled;
  }

  transition::Summary phases() const { return transition::summarize(slots_); }

  /// Which backend the kernel sends a packet of a flow to; 0: none.
  std::uint16_t kernel(std::size_t flow, model::Protocol protocol, std::uint8_t flags) {
    auto packet = from_router().ip(client, vip);
    if (protocol == model::Protocol::tcp)
      packet.tcp(port_of(flow), service_port, flags);
    else
      packet.udp(port_of(flow), service_port);
    const auto outcome = run("in0", packet.bytes());
    for (const auto& [key, one] : image_.backends)
      if (outcome.verdict >= XDP_TX &&
          std::ranges::equal(one.destination_mac.bytes, std::span(outcome.packet).first(6)))
        return one.id;
    return 0;
  }

  /// Which one the reference does.
  std::uint16_t expected(std::size_t flow, model::Protocol protocol, std::uint8_t flags) {
    std::uint32_t ports = 0;
    const std::uint16_t words[] = {htons(port_of(flow)), htons(service_port)};
    std::memcpy(&ports, words, sizeof ports);
    const auto hash =
        sl_flow_hash4(ip(client).words()[0], ports,
                      dataplane::xdp::service_seed({ip(vip), service_port, protocol}));
    const auto& slot = slots_[reference::slot_of(hash, slots_.size())];
    const auto id = reference::route(records_, slot, hash, kind_of(protocol, flags),
                                     transition::Alive(alive_), now_);
    return alive_[id] ? id : std::uint16_t{0};
  }

  /// Sends a packet both ways.
  std::uint16_t send(std::size_t flow, std::uint8_t flags,
                     model::Protocol protocol = model::Protocol::tcp) {
    const auto got = kernel(flow, protocol, flags);
    EXPECT_EQ(got, expected(flow, protocol, flags))
        << "flow " << flow << ", flags " << int{flags} << ", at " << now_;
    return got;
  }

  std::uint64_t looked_up() {
    std::uint64_t sum = 0;
    const auto bytes = map_bytes("xdp_stats_map");
    for (std::size_t at = 0; at + sizeof(sl_stats) <= bytes.size(); at += sizeof(sl_stats))
      sum += reinterpret_cast<const sl_stats*>(bytes.data() + at)->learning.looked_up;
    return sum;
  }

  /// As if other flows had been written down into every place.
  void fill_records() {
    constexpr std::size_t buckets = std::size_t{1} << SL_RECORD_BITS;
    const auto records = mapped<sl_bucket>(".bss.records", buckets);
    const auto id = std::uint64_t{image_.backends.begin()->second.id};
    std::uint64_t signature = 0;
    for (auto& bucket : std::span(records.get(), buckets))
      for (auto& record : bucket.record)
        if (!record)
          record = ++signature << 24 | id << 8 | SL_RECORD_OLD << 6 | (now_ / SL_RECORD_EPOCH & 63);
  }

  std::uint32_t now_ = 1'000'000;
  planner::Image image_;
  std::vector<transition::Slot> slots_;
  std::vector<std::uint8_t> alive_;
  reference::Records records_{{.buckets = std::size_t{1} << SL_RECORD_BITS}};
};
SLUICE_BOTH_ARMS(PacketTransition);

TEST_P(PacketTransition, KernelAndReferenceAgreeOnRandomSequences) {
  std::mt19937 random(GetParam() ? 7 : 11);
  const auto upto = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  const auto some = [&] { return 1 + upto(backends - 1); };  // the first always serves
  std::size_t in_transition = 0;
  for (int step = 0; step < 6000 && !HasFailure(); step++) {
    switch (upto(40)) {
    case 0:
      pool()[upto(backends)].weight = static_cast<std::uint16_t>(1 + upto(5));
      change();
      break;
    case 1:
      pool()[some()].drain ^= true;
      change();
      break;
    case 2:
      pool()[some()].enabled ^= true;
      change();
      break;
    case 3:
      way_to(some()).resolved ^= true;
      change();
      break;
    case 4:
    case 5:
      now_ += static_cast<std::uint32_t>(upto(40));
      change(true);
      break;
    default:
      const std::uint8_t kinds[] = {syn, ack, ack, ack, fin | ack, rst};
      send(upto(300), kinds[upto(6)], upto(5) ? model::Protocol::tcp : model::Protocol::udp);
      in_transition += phases().learning + phases().pinned > 0;
    }
  }
  EXPECT_GT(in_transition, 1000u) << "the sequence has to be about slots in transition";
}

TEST_P(PacketTransition, ConnectionsStayWhileTheTableChangesTwiceAndSettledSlotsLookUpNothing) {
  std::map<std::size_t, std::uint16_t> home;
  for (std::size_t flow = 0; flow < 300; flow++) {
    home[flow] = send(flow, syn);
    send(flow, ack);
  }
  EXPECT_EQ(looked_up(), 0u) << "a settled slot read the records";
  pool()[0].weight = 5;  // two changes within one window
  change();
  now_ += 10;
  pool()[1].drain = true;
  change();
  EXPECT_GT(phases().learning, 0u);
  for (std::uint32_t passed = 0; passed < 10 * window && phases().settled < slots_.size();
       passed += 5) {
    now_ += 5;
    change(true);
    for (const auto& [flow, id] : home)
      ASSERT_EQ(send(flow, ack), id) << "flow " << flow << " was torn after " << passed << " s";
  }
  EXPECT_GT(looked_up(), 0u);
  // The connections end; then nothing is left to remember.
  for (const auto& [flow, id] : home)
    send(flow, rst);
  for (int i = 0; i < 1000 && phases().settled < slots_.size(); i++) {
    now_ += 16;
    change(true);
  }
  EXPECT_EQ(phases().settled, slots_.size());
  EXPECT_TRUE(image_.tables.at("web").holders.empty());
  const auto before = looked_up();
  for (std::size_t flow = 0; flow < 300; flow++)
    send(flow, syn);
  EXPECT_EQ(looked_up(), before) << "a settled slot read the records";
}

TEST_P(PacketTransition, WhereNoRecordFindsAPlaceNewFlowsStayWithTheHolder) {
  std::map<std::size_t, std::uint16_t> home;
  for (std::size_t flow = 0; flow < 300; flow++)
    home[flow] = kernel(flow, model::Protocol::tcp, syn);
  pool()[0].weight = 5;
  change();
  ASSERT_GT(phases().learning, 0u);
  fill_records();
  int moved = 0;
  for (std::size_t flow = 0; flow < 600; flow++) {
    const auto first = kernel(flow, model::Protocol::tcp, flow < 300 ? ack : syn);
    EXPECT_NE(first, 0) << "flow " << flow << " was refused for want of a record";
    for (int i = 0; i < 3; i++)
      EXPECT_EQ(kernel(flow, model::Protocol::tcp, ack), first) << "flow " << flow << " was torn";
    moved += flow < 300 && first != home[flow];
  }
  EXPECT_EQ(moved, 0) << "flows that were there before went elsewhere";
}

TEST_P(PacketTransition, RecordsOfARemovedBackendLeadToNobodyWhoGetsItsId) {
  std::map<std::size_t, std::uint16_t> home;
  for (std::size_t flow = 0; flow < 300; flow++)
    home[flow] = kernel(flow, model::Protocol::tcp, syn);
  pool()[0].weight = 5;
  change();
  for (const auto& [flow, id] : home)
    EXPECT_EQ(kernel(flow, model::Protocol::tcp, ack), id);  // and is written down
  const auto removed = image_.backends.at({"web", pool()[1].ip, 0}).id;
  pool().erase(pool().begin() + 1);
  change();
  model::Pool other;
  other.name = "other";
  other.backends = {backend("10.0.1.200")};
  config_.pools.push_back(other);
  topology_ = topology(config_, way_out());
  change();
  ASSERT_EQ(image_.backends.at({"other", ip("10.0.1.200"), 0}).id, removed)
      << "the test wants the id to be used again";
  for (const auto& [flow, id] : home) {
    const auto now = kernel(flow, model::Protocol::tcp, ack);
    EXPECT_NE(now, 0);
    EXPECT_NE(now, removed) << "flow " << flow << " went to a server of another pool";
    if (id != removed) {
      EXPECT_EQ(now, id);
    }
  }
}

TEST_P(PacketTransition, FlowsOfADeadBackendMoveAtOnce) {
  const auto id = send(1, syn);
  send(1, ack);
  for (auto& one : pool())
    if (image_.backends.at({"web", one.ip, 0}).id == id)
      one.enabled = false;
  change();
  EXPECT_NE(send(1, ack), id);
  EXPECT_NE(send(1, ack), 0);
}

}  // namespace sluice::test
