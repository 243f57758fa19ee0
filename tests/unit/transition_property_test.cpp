// That connections outlive changes of the table: all rules together, over random days.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <ostream>
#include <random>
#include <string>

#include "transition/transition.hpp"
#include "transition_reference.hpp"

namespace sluice {
namespace {

using reference::Packet;
using reference::Record;
using reference::Records;
using transition::Alive;
using transition::Phase;
using transition::Slot;
using transition::Window;

constexpr std::uint16_t none = 0;

/// A pool, its clients, and a daemon that keeps the rules, over hours of chance.
struct Scenario {
  std::string name;
  Records::Settings records;
  Window window;
  bool refuses = false;  ///< whether the records are meant to run out
  unsigned floods = 0;   ///< SYNs from nowhere a second
  unsigned seconds_a_change = 90;

  friend void PrintTo(const Scenario& scenario, std::ostream* out) { *out << scenario.name; }
};

class Days {
 public:
  Days(const Scenario& scenario, std::uint64_t seed)
      : scenario_(scenario), random_(seed), records_(scenario.records) {
    for (std::uint16_t id = 1; id < backends; id++)
      weights_[id] = alive_[id] = id <= backends / 2;
    change();
    for (auto& flow : flows_)
      start_over(flow);
  }

  void run(unsigned steps) {
    for (unsigned i = 0; i < steps && !::testing::Test::HasFailure(); i++) {
      now_ += below(4);
      if (now_ >= next_event_) {
        event();
        next_event_ = now_ + 1 + below(2 * scenario_.seconds_a_change);
        // A death is seen by packets at once, by the table a moment later.
        change_at_ = std::min(change_at_, now_ + below(4));
      }
      if (now_ >= change_at_)
        change();
      daemon();
      for (unsigned n = 0; n < scenario_.floods; n++)
        send(random_(), Packet::syn);
      for (auto& flow : flows_)
        if (now_ >= flow.next)
          step(flow);
    }
  }

  /// All flows end, nothing changes any more: everything that was written down must go.
  void come_to_rest() {
    change();
    const auto end =
        now_ + std::max(scenario_.window.hold, scenario_.window.seconds) + 70 * epoch();
    while (now_ < end) {
      now_ += epoch();
      daemon();
    }
    EXPECT_EQ(transition::summarize(table_).settled, slots);
    EXPECT_EQ(records_.count(), 0u);
  }

  /// What happened, so that a test can say that it tested something.
  struct Tally {
    unsigned changes = 0;
    unsigned packets = 0;   ///< that had to go to a certain backend
    unsigned saved = 0;     ///< of these, those that the owner alone would have torn
    unsigned outlived = 0;  ///< those after a silence longer than the window
    unsigned settled = 0;   ///< slots that came to rest
    unsigned died = 0, silent = 0, unwritten = 0;  ///< flows that broke, by excuse
  };
  const Tally& tally() const { return tally_; }
  std::uint64_t refused() const { return records_.refused(); }

 private:
  enum class Stage : std::uint8_t { opening, open, half_closed };
  struct Flow {
    std::uint64_t hash = 0;
    bool udp = false;
    Stage stage = Stage::opening;
    std::uint32_t next = 0, spoke = 0;  ///< when it sends next, when it sent last
    unsigned syns = 0, left = 0;        ///< SYNs sent for this opening, packets to send
    std::uint16_t home = none;          ///< the backend that has it
    unsigned life = 0;                  ///< which life of that backend's
    bool unwritten = false;             ///< its last insert was refused
    bool frail = false;                 ///< its record is one of a closing flow
  };

  static constexpr std::uint16_t backends = 9;  // ids below
  static constexpr std::uint32_t slots = 47;

  std::uint32_t epoch() const { return scenario_.records.epoch_seconds; }
  std::uint32_t below(std::uint32_t limit) { return static_cast<std::uint32_t>(random_() % limit); }
  bool chance(double p) { return std::uniform_real_distribution<>(0, 1)(random_) < p; }
  Alive alive() const { return Alive(alive_); }

  /// The owners by rendezvous hashing: few change when a weight does.
  std::vector<std::uint16_t> owners() const {
    std::vector<std::uint16_t> all;
    for (std::uint32_t slot = 0; slot < slots; slot++) {
      std::uint16_t best = none;
      double highest = 0;
      for (std::uint16_t id = 1; id < backends; id++) {
        if (!alive_[id] || weights_[id] == 0)
          continue;
        std::mt19937 hash(slot * 64 + id);
        hash.discard(4);
        const double score =
            weights_[id] / -std::log((static_cast<double>(hash()) + 1) / 4294967297.0);
        if (score > highest) {
          highest = score;
          best = id;
        }
      }
      all.push_back(best);
    }
    return all;
  }

  void change() {
    table_ = transition::change(table_, owners(), alive(), now_);
    change_at_ = ~0u;
    tally_.changes++;
  }

  void die(std::uint16_t id) {
    alive_[id] = 0;
    weights_[id] = 0;
    lives_[id]++;
  }

  void event() {
    if (change_at_ != ~0u)
      change();  // no backend comes back to life before the slots know that it died
    const auto id = static_cast<std::uint16_t>(1 + below(backends - 1));
    const auto weight = static_cast<std::uint16_t>(1 + below(4));
    if (chance(0.03))
      std::ranges::fill(weights_, std::uint16_t{0});  // all are to drain
    else if (!alive_[id]) {
      alive_[id] = 1;
      weights_[id] = weight;
    } else if (weights_[id] == 0) {  // it drains
      if (chance(0.5))
        die(id);
      else
        weights_[id] = weight;
    } else if (chance(0.4))
      weights_[id] = weight;
    else if (chance(0.6))
      weights_[id] = 0;
    else
      die(id);
  }

  void daemon() {
    for (std::uint32_t i = 0; i < slots; i++)
      if (may_pin(table_[i], now_, scenario_.window, records_.last_refused(), half_full_)) {
        last_pin_[i] = {.learned_since = table_[i].since, .at = now_};
        table_[i] = pin(table_[i]);
      }
    if (now_ < next_sweep_)
      return;
    next_sweep_ = now_ + epoch() + below(epoch());
    const auto swept = records_.sweep(table_, [](std::uint16_t) { return true; }, alive(), now_);
    half_full_ = records_.is_half_full();
    for (std::uint32_t i = 0; i < slots; i++) {
      const auto before = table_[i].phase;
      table_[i] = settle(table_[i], swept.of_others[i]);
      tally_.settled += table_[i].phase != before;
    }
  }

  std::uint16_t send(std::uint64_t hash, Packet packet) {
    return reference::route(records_, table_[reference::slot_of(hash, slots)], hash, packet,
                            alive(), now_);
  }

  std::uint32_t gap(const Flow& flow) {
    if (flow.stage == Stage::half_closed)
      return below(chance(0.01) ? 200 : 20);
    if (chance(0.02))
      return static_cast<std::uint32_t>(
          30 * std::pow(40, std::uniform_real_distribution<>(0, 1)(random_)));
    return below(16);
  }

  void start_over(Flow& flow) {
    // Ports are used again, more often than they really are.
    const auto hash = !flow.udp && flow.hash != 0 && chance(0.5) ? flow.hash : random_();
    flow = {.hash = hash, .udp = flow.hash == hash ? flow.udp : chance(0.2)};
    flow.next = now_ + below(chance(0.2) ? 2000 : 60);
    flow.left = 1 + below(chance(0.1) ? 1000 : 60);
  }

  bool is_lost(const Flow& flow) const {
    return !alive_[flow.home] || lives_[flow.home] != flow.life;
  }

  void step(Flow& flow) {
    if (flow.stage == Stage::opening && (flow.syns == 0 || flow.home == none)) {
      open(flow);
      return;
    }
    if (chance(0.01))
      send(flow.hash, Packet::icmp_error);
    const bool closes = !flow.udp && flow.stage == Stage::open && flow.left == 1;
    const auto before = records_.refused();
    const auto made = records_.made();
    const auto to = send(flow.hash, flow.udp ? Packet::udp
                                    : closes ? Packet::fin_or_rst
                                             : Packet::other);
    const bool refused = records_.refused() != before;
    const auto silence = now_ - flow.spoke;
    if (!judge(flow, to, silence)) {
      start_over(flow);
      return;
    }
    if (records_.made() != made)
      flow.unwritten = flow.frail = false;
    flow.unwritten |= refused;
    flow.frail |= closes || silence >= unnoticed_silence();
    flow.spoke = now_;
    if (flow.stage == Stage::opening)
      flow.stage = Stage::open;
    if (--flow.left == 0) {
      if (closes && chance(0.7)) {
        flow.stage = Stage::half_closed;
        flow.left = 1 + below(chance(0.2) ? 100 : 2);
      } else {
        start_over(flow);
        return;
      }
    } else if (!flow.udp && chance(0.002)) {  // the client was switched off, and comes again
      flow.stage = Stage::opening;
      flow.syns = 0;
      flow.home = none;
    }
    flow.next = now_ + gap(flow);
  }

  /// The first packet, or the SYN again.
  void open(Flow& flow) {
    const auto before = records_.refused();
    const auto to = send(flow.hash, flow.udp ? Packet::udp : Packet::syn);
    flow.unwritten = records_.refused() != before;
    flow.frail = false;
    flow.spoke = now_;
    const bool answered = alive()(to) && (flow.udp || chance(0.9));
    if (!answered && flow.syns == 6) {
      start_over(flow);
      return;
    }
    flow.next = now_ + (answered ? chance(0.1) ? below(60) : 0 : 1u << flow.syns);
    flow.syns++;
    flow.home = answered ? to : std::uint16_t{none};
    flow.life = lives_[to];
    if (flow.udp)
      flow.stage = Stage::open;
  }

  /// The silence after which a record may be taken for that of a closing flow: one that began late
  /// in an epoch counts as longer by one.
  std::uint32_t unnoticed_silence() const { return (Records::closing_age - 1) * epoch(); }

  /// The invariant. False when the flow is torn, and may be.
  bool judge(const Flow& flow, std::uint16_t to, std::uint32_t silence) {
    const auto at = reference::slot_of(flow.hash, slots);
    if (is_lost(flow)) {
      tally_.died++;
      return false;
    }
    tally_.packets++;
    if (to == flow.home) {
      tally_.saved += table_[at].owner != to;
      tally_.outlived += table_[at].owner != to && silence > scenario_.window.seconds;
      return true;
    }
    const auto& pin = last_pin_[at];
    // It said nothing from before its slot began to learn until that was over, ...
    const bool unlearned = pin.at != 0 && pin.learned_since >= flow.spoke;
    // ... or when it spoke last there was no place to write it down, ...
    const bool unwritten = flow.unwritten && pin.at >= flow.spoke;
    // ... or its record was forgotten.
    const bool forgotten =
        silence >= unnoticed_silence() ||
        (flow.stage == Stage::opening && silence >= Records::embryo_limit * epoch()) ||
        (flow.frail && silence >= (Records::closing_time - 1) * epoch());
    if (unlearned || unwritten || forgotten) {
      (unlearned || forgotten ? tally_.silent : tally_.unwritten)++;
      return false;
    }
    ADD_FAILURE() << "at " << now_ << " a flow of " << flow.home << " was sent to " << to
                  << " after " << silence << " s on slot " << at << ", "
                  << ::testing::PrintToString(table_[at]) << "; stage "
                  << static_cast<int>(flow.stage) << (flow.udp ? ", UDP" : ", TCP")
                  << (flow.unwritten ? ", refused" : "");
    return false;
  }

  const Scenario& scenario_;
  std::mt19937_64 random_;
  std::uint32_t now_ = 10'000, next_event_ = now_, next_sweep_ = now_, change_at_ = ~0u;
  std::vector<std::uint8_t> alive_ = std::vector<std::uint8_t>(backends);
  std::vector<std::uint16_t> weights_ = std::vector<std::uint16_t>(backends);
  std::vector<unsigned> lives_ = std::vector<unsigned>(backends);
  std::vector<Slot> table_ = std::vector<Slot>(slots);
  /// The last time that a slot was pinned because it had learned enough; at 0: never.
  struct Pin {
    std::uint32_t learned_since = 0, at = 0;
  };
  std::vector<Pin> last_pin_ = std::vector<Pin>(slots);
  Records records_;
  bool half_full_ = false;  ///< at the last sweep
  std::vector<Flow> flows_ = std::vector<Flow>(300);
  Tally tally_;
};

class AllRules : public ::testing::TestWithParam<Scenario> {};

TEST_P(AllRules, TearNoFlowOfALivingBackendAndComeToRest) {
  for (std::uint64_t seed = 1; seed <= 3; seed++) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Days days(GetParam(), seed);
    days.run(6000);
    days.come_to_rest();
    if (HasFailure())
      return;
    const auto& tally = days.tally();
    // Or the invariant was hardly put to the test.
    EXPECT_GT(tally.changes, 5u);
    EXPECT_GT(tally.saved, 1000u);
    EXPECT_GT(tally.settled, 20u);
    EXPECT_EQ(days.refused() > 0, GetParam().refuses);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Days, AllRules,
    ::testing::Values(Scenario{.name = "RoomToLearn", .records = {.buckets = 1024}, .window = {}},
                      Scenario{.name = "PinnedAfterTheWindow",
                               .records = {.buckets = 1024},
                               .window = {.seconds = 300, .hold = 300}},
                      Scenario{.name = "ManyChangesInAWindow",
                               .records = {.buckets = 1024},
                               .window = {.seconds = 300, .hold = 300},
                               .seconds_a_change = 15},
                      Scenario{.name = "FewChanges",
                               .records = {.buckets = 1024},
                               .window = {.seconds = 300, .hold = 300},
                               .seconds_a_change = 600},
                      Scenario{.name = "RecordsRunOut",
                               .records = {.buckets = 16},
                               .window = {},
                               .refuses = true,
                               .floods = 1},
                      Scenario{.name = "BudgetRunsOut",
                               .records = {.buckets = 1024, .inserts_per_epoch = 8},
                               .window = {},
                               .refuses = true,
                               .floods = 1}),
    [](const auto& scenario) { return scenario.param.name; });

}  // namespace
}  // namespace sluice
