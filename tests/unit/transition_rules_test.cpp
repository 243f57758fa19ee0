// That connections outlive changes of the table: the rules one by one, each by what a user would
// lose without it.
#include <gtest/gtest.h>

#include <ostream>
#include <random>

#include "transition/transition.hpp"
#include "transition_reference.hpp"

namespace sluice::transition {

static void PrintTo(const Slot& slot, std::ostream* out) {
  constexpr const char* names[] = {"settled", "learning", "pinned"};
  *out << names[static_cast<std::size_t>(slot.phase)] << "(owner " << slot.owner << ", holder "
       << slot.holder << ", since " << slot.since << ")";
}

}  // namespace sluice::transition

namespace sluice {
namespace {

using reference::Kind;
using reference::Packet;
using reference::Record;
using reference::Records;
using transition::Alive;
using transition::Phase;
using transition::Slot;
using transition::Window;

enum : std::uint16_t { none = 0, a = 1, b = 2, c = 3 };

Slot settled(std::uint16_t owner) {
  return {owner, none, Phase::settled, 0};
}
Slot pinned(std::uint16_t owner) {
  return {owner, none, Phase::pinned, 0};
}
Slot learning(std::uint16_t owner, std::uint16_t holder, std::uint32_t since = 1000) {
  return {owner, holder, Phase::learning, since};
}

/// A data plane with one pool, whose table has one slot.
class Rules : public ::testing::Test {
 protected:
  static constexpr std::uint64_t flow = 0x1234'5678'9abc'def0;
  static constexpr std::uint32_t epoch = 16;  // seconds

  Alive alive() const { return Alive(living_); }
  void kill(std::uint16_t id) { living_[id] = 0; }
  void revive(std::uint16_t id) { living_[id] = 1; }

  void change(std::uint16_t owner) { slot_ = change_owner(slot_, owner, alive(), now_); }
  std::uint16_t send(Packet packet, std::uint64_t hash = flow) {
    return reference::route(records_, slot_, hash, packet, alive(), now_);
  }
  std::uint16_t opens(std::uint64_t hash = flow) {
    const auto to = send(Packet::syn, hash);
    EXPECT_EQ(send(Packet::other, hash), to) << "the handshake is torn";
    return to;
  }
  /// The kind of the flow's record; none where it has none.
  Kind kind(std::uint64_t hash = flow) {
    const auto* word = records_.find(hash);
    return word ? Record::unpack(*word).kind : Kind::none;
  }
  /// Lets time pass, with the daemon's round in every epoch; slots settle only if told.
  std::uint32_t pass(std::uint32_t epochs, bool settle = false) {
    std::uint32_t of_others = 0;
    for (std::uint32_t i = 0; i < epochs; i++) {
      now_ += epoch;
      of_others = sweep(settle);
    }
    return of_others;
  }
  std::uint32_t sweep(bool settle = true) {
    const auto swept =
        records_.sweep({&slot_, 1}, [](std::uint16_t) { return true; }, alive(), now_);
    if (settle)
      slot_ = transition::settle(slot_, swept.of_others[0]);
    return swept.of_others[0];
  }
  /// Another flow that shares the flow's bucket.
  static std::uint64_t neighbour(std::uint64_t i) { return flow + (i << 32); }

  std::uint32_t now_ = 16'000;
  std::vector<std::uint8_t> living_ = std::vector<std::uint8_t>(8, 1);
  Slot slot_ = settled(a);
  Records records_{{.buckets = 16}};
};

using Rule1 = Rules;
using Rule2 = Rules;
using Rule3 = Rules;
using Rule4 = Rules;
using Rule5 = Rules;
using Rule6 = Rules;
using Rule7 = Rules;
using Rule8 = Rules;
using Rule9 = Rules;

// --- rule 1: the owner changes ---

TEST_F(Rule1, FirstOwnerOfASlotNeedsNoTransition) {
  EXPECT_EQ(change_owner(Slot{}, a, alive(), now_), settled(a));
  EXPECT_EQ(change_owner(pinned(none), a, alive(), now_), pinned(a));
}

TEST_F(Rule1, FlowsOfALivingOwnerAreLearnedFromNowOn) {
  EXPECT_EQ(change_owner(settled(a), b, alive(), 1000), learning(b, a, 1000));
  EXPECT_EQ(change_owner(pinned(a), b, alive(), 1000), learning(b, a, 1000));
}

TEST_F(Rule1, SecondChangeWithinAWindowStillWaitsForTheFirstHolder) {
  EXPECT_EQ(change_owner(learning(b, a, 1000), c, alive(), 1200), learning(c, a, 1000));
}

TEST_F(Rule1, ChangeTakenBackFollowsWhatWasOpenedMeanwhile) {
  EXPECT_EQ(change_owner(learning(b, a), a, alive(), 1200), pinned(a));
}

TEST_F(Rule1, FlowsOfADeadOwnerAreNotWaitedFor) {
  kill(a);
  EXPECT_EQ(change_owner(settled(a), b, alive(), 1000), settled(b));
  EXPECT_EQ(change_owner(pinned(a), b, alive(), 1000), pinned(b));
}

TEST_F(Rule1, HolderThatDiesWhileLearningIsNotWaitedFor) {
  kill(a);
  EXPECT_EQ(change_owner(learning(b, a), b, alive(), 1200), pinned(b)) << "the owner stays";
  EXPECT_EQ(change_owner(learning(b, a), c, alive(), 1200), pinned(c)) << "it changes as well";
}

TEST_F(Rule1, OwnerThatDiesWhileLearningLeavesTheHolder) {
  kill(b);
  EXPECT_EQ(change_owner(learning(b, a, 1000), c, alive(), 1200), learning(c, a, 1000));
  EXPECT_EQ(change_owner(learning(b, a, 1000), a, alive(), 1200), pinned(a));
}

TEST_F(Rule1, PoolWithoutABackendForNewFlowsKeepsThoseThatDrain) {
  EXPECT_EQ(change_owner(settled(a), none, alive(), 1000), learning(none, a, 1000));
  kill(a);
  EXPECT_EQ(change_owner(settled(a), none, alive(), 1000), settled(none));
  EXPECT_EQ(change_owner(learning(none, a), none, alive(), 1000), pinned(none));
}

TEST_F(Rule1, NothingHappensToSlotsThatNothingHappenedTo) {
  kill(c);
  for (const auto& slot : {settled(a), pinned(a), learning(b, a), settled(none), pinned(none)})
    EXPECT_EQ(change_owner(slot, slot.owner, alive(), 5000), slot);
}

TEST_F(Rule1, TableChangesSlotForSlot) {
  kill(c);
  const std::vector<Slot> before{settled(a), settled(a), pinned(a), learning(b, c), learning(b, a)};
  const std::vector<std::uint16_t> owners{a, b, b, b, a};
  const std::vector<Slot> after{settled(a), learning(b, a), learning(b, a), pinned(b), pinned(a)};
  EXPECT_EQ(transition::change(before, owners, alive(), 1000), after);
  EXPECT_EQ(transition::summarize(after),
            (transition::Summary{.settled = 1, .learning = 2, .pinned = 2}));
}

TEST_F(Rule1, BackendsNobodyKnowsAreDead) {
  EXPECT_FALSE(alive()(none));
  EXPECT_FALSE(alive()(static_cast<std::uint16_t>(living_.size())));
  EXPECT_TRUE(alive()(a));
}

// --- rule 2: a packet on a learning slot ---

TEST_F(Rule2, EstablishedFlowsStayWhereTheyAre) {
  EXPECT_EQ(opens(), a);
  change(b);
  EXPECT_EQ(send(Packet::other), a);
  EXPECT_EQ(kind(), Kind::old);
  change(c);
  EXPECT_EQ(send(Packet::other), a);
}

TEST_F(Rule2, NewFlowsGoToTheOwnerAndStayThere) {
  change(b);
  EXPECT_EQ(send(Packet::syn), b);
  EXPECT_EQ(kind(), Kind::embryo);
  EXPECT_EQ(send(Packet::other), b);
  EXPECT_EQ(kind(), Kind::opened);
  change(c);
  EXPECT_EQ(send(Packet::other), b);
}

TEST_F(Rule2, RepeatedSynGoesWhereTheFirstWent) {
  change(b);
  EXPECT_EQ(send(Packet::syn), b);
  change(c);
  EXPECT_EQ(send(Packet::syn), b);
  EXPECT_EQ(send(Packet::other), b);
}

TEST_F(Rule2, ClosedPortsThatOpenAnewGoToTheOwner) {
  opens();
  change(b);
  EXPECT_EQ(send(Packet::fin_or_rst), a);
  EXPECT_EQ(send(Packet::syn), b);
  EXPECT_EQ(kind(), Kind::embryo);
  EXPECT_EQ(send(Packet::other), b);
}

// Sharpened: a SYN is not proof of a new flow. It may be a late copy, or sent by someone who wants
// to tear the flow; a true one on ports that were never closed is answered by the backend that
// knows them.
TEST_F(Rule2, SynAloneTearsNoFlow) {
  opens();
  change(b);
  EXPECT_EQ(send(Packet::other), a);
  EXPECT_EQ(send(Packet::syn), a);
  EXPECT_EQ(send(Packet::other), a);
}

TEST_F(Rule2, FlowsOfADeadBackendGoToTheOwnerAtOnce) {
  change(b);
  opens();
  change(c);
  kill(b);
  EXPECT_EQ(send(Packet::other), c);
  revive(b);
  EXPECT_EQ(send(Packet::other), c) << "it went back";
}

TEST_F(Rule2, FlowThatCannotBeWrittenDownOpensWithTheHolder) {
  records_ = Records({.buckets = 16, .inserts_per_epoch = 0});
  change(b);
  EXPECT_EQ(send(Packet::syn), a);
  EXPECT_EQ(send(Packet::other), a);
  EXPECT_EQ(records_.refused(), 2u);
}

TEST_F(Rule2, NothingWaitsForAHolderThatHasJustDied) {
  change(b);
  kill(a);
  EXPECT_EQ(send(Packet::other), b);
  EXPECT_EQ(opens(neighbour(1)), b);
}

TEST_F(Rule2, SynsAreNotKeptForAPoolThatTakesNoNewFlows) {
  change(none);
  EXPECT_EQ(send(Packet::syn), none);
  EXPECT_EQ(kind(), Kind::none);
  EXPECT_EQ(send(Packet::other, neighbour(1)), a) << "a draining backend lost its flow";
  EXPECT_EQ(send(Packet::syn, neighbour(1)), a);
  EXPECT_EQ(send(Packet::other, neighbour(1)), a) << "a SYN from nowhere tore a flow";
}

TEST_F(Rule2, IcmpErrorsFindTheFlowAndWriteNothing) {
  change(b);
  EXPECT_EQ(send(Packet::icmp_error), a) << "no record: the holder's";
  EXPECT_EQ(kind(), Kind::none);
  EXPECT_EQ(send(Packet::syn), b);
  EXPECT_EQ(send(Packet::icmp_error), b);
  EXPECT_EQ(kind(), Kind::embryo) << "anyone can send an ICMP error; it confirms nothing";
  kill(b);
  change(c);
  EXPECT_EQ(send(Packet::icmp_error), c);
  revive(b);
  EXPECT_EQ(send(Packet::icmp_error), b) << "it wrote";
}

// Sharpened: were the embryo as old as its first SYN, its place would be given away before the last
// packet of a slow handshake.
TEST_F(Rule2, RepeatedSynKeepsTheEmbryoYoung) {
  change(b);
  send(Packet::syn);
  now_ += 3 * epoch;
  send(Packet::syn);
  now_ += epoch;
  for (std::uint64_t i = 1; i <= 20; i++)
    send(Packet::other, neighbour(i));
  EXPECT_EQ(send(Packet::other), b);
}

// --- rule 3: how long a slot learns ---

TEST_F(Rule3, NoSlotIsPinnedBeforeItsWindowIsOver) {
  EXPECT_FALSE(may_pin(learning(b, a, 1000), 1299, {}, {}, true));
  EXPECT_TRUE(may_pin(learning(b, a, 1000), 1300, {}, {}, true));
  EXPECT_FALSE(may_pin(learning(b, a, 1000), 1300, {.seconds = 301}, {}, true));
}

TEST_F(Rule3, SilentFlowsGetLongerWhileThereIsRoom) {
  EXPECT_FALSE(may_pin(learning(b, a, 1000), 4599, {}, {}, false));
  EXPECT_TRUE(may_pin(learning(b, a, 1000), 4600, {}, {}, false)) << "but not for ever";
}

TEST_F(Rule3, FlowThatWasRefusedGetsAnotherWindow) {
  EXPECT_FALSE(may_pin(learning(b, a, 1000), 1500, {}, 1201, true));
  EXPECT_TRUE(may_pin(learning(b, a, 1000), 1501, {}, 1201, true));
}

TEST_F(Rule3, AttackThatFillsTheRecordsDoesNotHoldADrainForEver) {
  EXPECT_FALSE(may_pin(learning(b, a, 1000), 4599, {}, 4598, true));
  EXPECT_TRUE(may_pin(learning(b, a, 1000), 4600, {}, 4599, true));
}

TEST_F(Rule3, WindowLongerThanTheHoldIsKept) {
  EXPECT_FALSE(may_pin(learning(b, a, 1000), 4999, {.seconds = 4000}, {}, true));
  EXPECT_TRUE(may_pin(learning(b, a, 1000), 5000, {.seconds = 4000}, {}, true));
}

TEST_F(Rule3, ClockThatIsSetBackEndsNoWindow) {
  EXPECT_FALSE(may_pin(learning(b, a, 1000), 999, {}, {}, true));
}

TEST_F(Rule3, OnlyLearningSlotsArePinned) {
  EXPECT_FALSE(may_pin(settled(a), 10'000, {}, {}, true));
  EXPECT_FALSE(may_pin(pinned(a), 10'000, {}, {}, true));
  EXPECT_EQ(pin(learning(b, a)), pinned(b));
  EXPECT_EQ(pin(settled(a)), settled(a));
  EXPECT_EQ(pin(pinned(a)), pinned(a));
}

// --- rule 4: a packet on a pinned slot ---

TEST_F(Rule4, RecordedFlowsStayAndOthersAreTheOwners) {
  opens();
  change(b);
  send(Packet::other);
  slot_ = pin(slot_);
  EXPECT_EQ(send(Packet::other), a);
  EXPECT_EQ(send(Packet::icmp_error), a);
  EXPECT_EQ(opens(neighbour(1)), b);
  EXPECT_EQ(send(Packet::icmp_error, neighbour(1)), b);
  EXPECT_EQ(records_.count(), 1u) << "a pinned slot writes nothing down";
}

TEST_F(Rule4, HandshakeOutlivesThePin) {
  change(b);
  EXPECT_EQ(send(Packet::syn), b);
  change(c);
  slot_ = pin(slot_);
  EXPECT_EQ(send(Packet::syn), b);
  EXPECT_EQ(send(Packet::other), b);
}

TEST_F(Rule4, ClosedPortsThatOpenAnewAreTheOwnersForGood) {
  opens();
  change(b);
  send(Packet::fin_or_rst);
  slot_ = pin(slot_);
  EXPECT_EQ(opens(), b);
  change(c);
  EXPECT_EQ(send(Packet::other), b);
}

TEST_F(Rule4, FlowsOfADeadBackendAreTheOwnersForGood) {
  opens();
  change(b);
  send(Packet::other);
  slot_ = pin(slot_);
  kill(a);
  EXPECT_EQ(send(Packet::other), b);
  revive(a);
  EXPECT_EQ(send(Packet::other), b);
}

// --- rule 5: when nothing needs to be looked up any more ---

TEST_F(Rule5, SlotSettlesWhenItsLastForeignFlowIsForgotten) {
  opens();
  change(b);
  send(Packet::other);
  slot_ = pin(slot_);
  EXPECT_EQ(pass(Records::idle_limit - 1, true), 1u);
  EXPECT_EQ(slot_, pinned(b));
  EXPECT_EQ(pass(1, true), 0u);
  EXPECT_EQ(slot_, settled(b));
  EXPECT_EQ(records_.count(), 0u);
}

TEST_F(Rule5, FlowsOfTheOwnerOrOfTheDeadKeepNoSlotPinned) {
  opens();
  change(b);
  send(Packet::other);
  opens(neighbour(1));
  slot_ = pin(slot_);
  kill(a);
  EXPECT_EQ(sweep(), 0u);
  EXPECT_EQ(slot_, settled(b));
}

TEST_F(Rule5, LearningSlotsDoNotSettle) {
  EXPECT_EQ(settle(learning(b, a), 0), learning(b, a));
  EXPECT_EQ(settle(settled(a), 0), settled(a));
  EXPECT_EQ(settle(pinned(a), 0), settled(a));
  EXPECT_EQ(settle(pinned(a), 1), pinned(a));
}

TEST_F(Rule5, FlowsOnTheirWayOutDoNotHoldTheSlotLong) {
  opens();
  change(b);
  send(Packet::other);
  slot_ = pin(slot_);
  send(Packet::fin_or_rst);
  EXPECT_EQ(pass(1), 1u);
  EXPECT_EQ(pass(1), 0u);
}

// Sharpened: were the owner's records left when the slot settles, this flow would be sent after one
// that ended long before.
TEST_F(Rule5, NoRecordOutlivesTheTransition) {
  change(b);
  EXPECT_EQ(opens(), b);
  slot_ = pin(slot_);
  sweep();
  ASSERT_EQ(slot_, settled(b));
  kill(b);
  change(a);
  EXPECT_EQ(opens(), a) << "the same ports, a while later";
  revive(b);
  change(b);
  EXPECT_EQ(slot_, learning(b, a, now_));
  EXPECT_EQ(send(Packet::other), a);
}

// --- rule 6: whose place may be taken ---

TEST_F(Rule6, FullBucketTearsNoFlow) {
  for (std::uint64_t i = 0; i < 8; i++)
    opens(neighbour(i));
  change(b);
  for (std::uint64_t i = 0; i < 8; i++)
    EXPECT_EQ(send(Packet::other, neighbour(i)), a);
  for (std::uint64_t i = 8; i < 100; i++)
    EXPECT_EQ(opens(neighbour(i)), a) << "no place: no move";
  now_ += (Records::idle_limit - 1) * epoch;
  slot_ = pin(slot_);
  for (std::uint64_t i = 0; i < 8; i++)
    EXPECT_EQ(send(Packet::other, neighbour(i)), a);
}

TEST_F(Rule6, ForgottenFlowsMakeRoom) {
  change(b);
  for (std::uint64_t i = 0; i < 8; i++)
    opens(neighbour(i));
  now_ += Records::idle_limit * epoch;
  EXPECT_EQ(opens(neighbour(8)), b);
}

TEST_F(Rule6, FloodOfSynsHoldsNoPlaceForLong) {
  change(b);
  for (std::uint64_t i = 0; i < 8; i++)
    EXPECT_EQ(send(Packet::syn, neighbour(i)), b);
  now_ += Records::embryo_limit * epoch;
  EXPECT_EQ(send(Packet::syn, neighbour(8)), a);
  now_ += epoch;
  EXPECT_EQ(send(Packet::syn, neighbour(8)), b);
  EXPECT_EQ(pass(Records::embryo_limit), 0u);
  EXPECT_EQ(records_.count(), 1u) << "the sweep forgets them as well";
}

TEST_F(Rule6, FloodGetsNoMoreThanItsBudget) {
  records_ = Records({.buckets = 1024, .inserts_per_epoch = 10});
  std::mt19937_64 random(1);
  change(b);
  for (int i = 0; i < 100; i++)
    send(Packet::syn, random());
  EXPECT_EQ(records_.made(), 10u);
  EXPECT_EQ(records_.refused(), 90u);
  EXPECT_EQ(records_.last_refused(), now_);
  now_ += epoch;
  EXPECT_EQ(opens(), b);
}

TEST_F(Rule6, EndOfAFlowFreesItsPlaceSoon) {
  change(b);
  opens();
  send(Packet::fin_or_rst);
  send(Packet::other);  // the last acknowledgement
  pass(1);
  EXPECT_EQ(kind(), Kind::opened);
  pass(1);
  EXPECT_EQ(kind(), Kind::none);
}

TEST_F(Rule6, NewFlowOnPortsThatWereClosedIsNotCutShort) {
  change(b);
  opens();
  send(Packet::fin_or_rst);
  opens();
  pass(10);
  EXPECT_EQ(send(Packet::other), b);
}

// Sharpened: if packets after a FIN did not count, a client that has sent its request and closed
// its half would lose the answer after two epochs.
TEST_F(Rule6, HalfClosedFlowLivesOnWhileItSpeaks) {
  opens();
  change(b);
  send(Packet::fin_or_rst);
  slot_ = pin(slot_);
  for (int i = 0; i < 100; i++) {
    pass(1);
    ASSERT_EQ(send(Packet::other), a) << "after " << i << " epochs";
  }
}

TEST_F(Rule6, RecordHoldsAllBits) {
  const Record record{Record::signature_bits, 0xfedc, Kind::old, 63};
  const auto again = Record::unpack(record.pack());
  EXPECT_EQ(again.signature, record.signature);
  EXPECT_EQ(again.backend, record.backend);
  EXPECT_EQ(again.kind, record.kind);
  EXPECT_EQ(again.epoch, record.epoch);
}

// --- rule 7: UDP ---

TEST_F(Rule7, UdpFlowsStayWhereTheyAre) {
  EXPECT_EQ(send(Packet::udp), a);
  change(b);
  EXPECT_EQ(send(Packet::udp), a);
  EXPECT_EQ(kind(), Kind::old);
  slot_ = pin(slot_);
  EXPECT_EQ(send(Packet::udp), a);
  EXPECT_EQ(send(Packet::udp, neighbour(1)), b);
}

// --- rule 8: adoption ---

TEST_F(Rule8, RestartOfTheDaemonCostsSilentFlowsNothing) {
  std::vector<Slot> slots{learning(b, a, 100), pinned(a), settled(b)};
  transition::restart_windows(slots, 1000);
  EXPECT_EQ(slots, (std::vector<Slot>{learning(b, a, 1000), pinned(a), settled(b)}));
}

// --- rule 9: several nodes ---

TEST_F(Rule9, SettledSlotsNeedNoHistory) {
  change(b);
  change(c);
  slot_ = pin(slot_);
  sweep();
  ASSERT_EQ(slot_, settled(c));
  const auto here = opens();
  slot_ = settled(c);  // a node that was started just now
  records_ = Records({});
  EXPECT_EQ(send(Packet::other), here);
}

// --- what the rules do not give, so that nobody promises it ---

using KnownLimits = Rules;

// A settled slot does not remember half-open flows: if the old owner's answer is under way when the
// client repeats its SYN, the new owner gets the rest of a handshake it does not know.
TEST_F(KnownLimits, HandshakeOnASettledSlotIsNotKnownToTheNext) {
  EXPECT_EQ(send(Packet::syn), a);
  change(b);
  EXPECT_EQ(send(Packet::syn), b) << "mended? Then say so in the documentation";
}

}  // namespace
}  // namespace sluice
