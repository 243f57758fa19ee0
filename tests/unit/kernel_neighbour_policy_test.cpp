// When a backend's MAC is used, kept, confirmed and given up, on a clock of the test's own.
#include <gtest/gtest.h>

#include <vector>

#include "kernel/neighbour_policy.hpp"

namespace sluice::kernel {

void PrintTo(NeighbourPolicy::Phase phase, std::ostream* out) {
  switch (phase) {
  case NeighbourPolicy::Phase::waiting:
    *out << "waiting";
    break;
  case NeighbourPolicy::Phase::known:
    *out << "known";
    break;
  case NeighbourPolicy::Phase::silent:
    *out << "silent";
    break;
  }
}

namespace {

using namespace std::chrono_literals;
using Phase = NeighbourPolicy::Phase;

const MacAddress first_mac{{2, 0, 0, 0, 0, 1}};
const MacAddress second_mac{{2, 0, 0, 0, 0, 2}};
const std::optional<NeighbourEntry> deleted;

class NeighbourPolicyTest : public testing::Test {
 protected:
  void see(std::uint16_t state, std::optional<MacAddress> mac = std::nullopt) {
    policy.see(NeighbourEntry{state, mac}, now);
  }
  void see_deleted() { policy.see(deleted, now); }
  bool solicits() { return policy.advance(now); }

  /// Known and reachable, nothing due.
  void learn(const MacAddress& mac) {
    see(NUD_REACHABLE, mac);
    ASSERT_FALSE(solicits()) << "a reachable neighbour needs no solicitation";
  }

  /// The seconds after now at which a solicitation is sent while nothing is heard.
  std::vector<int> solicitations_within(int seconds) {
    std::vector<int> at;
    for (int second = 0; second <= seconds; second++, now += 1s)
      if (solicits())
        at.push_back(second);
    return at;
  }

  NeighbourPolicy policy;
  NeighbourPolicy::Time now{1000s};
};

TEST_F(NeighbourPolicyTest, UnknownNeighbourIsAskedForAtOnceAndWaitedFor) {
  see_deleted();
  EXPECT_TRUE(solicits());
  EXPECT_EQ(policy.phase(), Phase::waiting);
  EXPECT_FALSE(solicits()) << "one solicitation is enough for now";
}

TEST_F(NeighbourPolicyTest, AnswerMakesItUsable) {
  see_deleted();
  solicits();
  now += 2ms;
  see(NUD_REACHABLE, first_mac);
  EXPECT_EQ(policy.phase(), Phase::known);
  EXPECT_EQ(policy.mac(), first_mac);
  EXPECT_TRUE(solicitations_within(100).empty()) << "the kernel tells when it goes stale";
}

TEST_F(NeighbourPolicyTest, StaleEntryKeepsItsMacAndIsConfirmedBeforeItIsThrownAway) {
  learn(first_mac);
  now += 30s;
  see(NUD_STALE, first_mac);
  EXPECT_EQ(policy.mac(), first_mac);
  EXPECT_TRUE(solicits());
  now += 5s;
  see(NUD_PROBE, first_mac);
  EXPECT_EQ(policy.mac(), first_mac) << "being confirmed is no reason to stop the traffic";
  see(NUD_REACHABLE, first_mac);
  EXPECT_TRUE(solicitations_within(100).empty());
}

TEST_F(NeighbourPolicyTest, StaleEntryThatIsNotConfirmedIsAskedForAgain) {
  learn(first_mac);
  see(NUD_STALE, first_mac);
  EXPECT_EQ(solicitations_within(25), (std::vector{0, 10, 20}));
  EXPECT_EQ(policy.mac(), first_mac);
}

TEST_F(NeighbourPolicyTest, NewMacIsUsedAtOnce) {
  learn(first_mac);
  see(NUD_STALE, second_mac);
  EXPECT_EQ(policy.mac(), second_mac);
}

TEST_F(NeighbourPolicyTest, FlushKeepsTheMacWhileItIsFoundOutAgain) {
  learn(first_mac);
  // What the kernel tells of a deletion: failed for a moment, then gone.
  see(NUD_FAILED);
  see_deleted();
  EXPECT_EQ(policy.mac(), first_mac);
  EXPECT_TRUE(solicits()) << "at once, not after a pause";
  now += 2900ms;
  solicits();
  EXPECT_EQ(policy.mac(), first_mac) << "within the grace";
  see(NUD_REACHABLE, first_mac);
  now += 10s;
  EXPECT_FALSE(solicits());
  EXPECT_EQ(policy.mac(), first_mac) << "answered in time: the grace has ended well";
}

TEST_F(NeighbourPolicyTest, FlushWithoutAnAnswerIsGivenUpAfterTheGrace) {
  learn(first_mac);
  see_deleted();
  solicits();
  now += NeighbourPolicy::grace;
  solicits();
  EXPECT_EQ(policy.phase(), Phase::silent);
  EXPECT_FALSE(policy.mac());
}

TEST_F(NeighbourPolicyTest, RepeatedFlushesDoNotProlongTheGrace) {
  learn(first_mac);
  for (int i = 0; i < 4; i++, now += 1s) {
    see_deleted();
    solicits();
  }
  EXPECT_EQ(policy.phase(), Phase::silent);
}

TEST_F(NeighbourPolicyTest, FailureAfterProbingIsBelievedAndAskedAboutAtOnce) {
  learn(first_mac);
  see(NUD_STALE, first_mac);
  solicits();
  see(NUD_PROBE, first_mac);
  see(NUD_FAILED);
  EXPECT_EQ(policy.phase(), Phase::silent);
  EXPECT_FALSE(policy.mac());
  EXPECT_TRUE(solicits()) << "the probes went to the old MAC only";
}

TEST_F(NeighbourPolicyTest, FailureOfTheFirstResolutionIsBelievedBeforeTheGraceEnds) {
  see_deleted();
  solicits();
  now += 500ms;
  see(NUD_FAILED);
  EXPECT_EQ(policy.phase(), Phase::silent);
}

TEST_F(NeighbourPolicyTest, FailureFromBeforeItWasFollowedIsNotBelieved) {
  see(NUD_FAILED);
  EXPECT_EQ(policy.phase(), Phase::waiting);
  EXPECT_TRUE(solicits());
}

TEST_F(NeighbourPolicyTest, SilentNeighbourIsAskedForEverMoreRarelyButAlways) {
  see_deleted();
  solicits();
  see(NUD_FAILED);
  EXPECT_EQ(solicitations_within(60), (std::vector{1, 2, 4, 8, 16, 26, 36, 46, 56}));
}

TEST_F(NeighbourPolicyTest, SilenceReportedAgainAndAgainDoesNotPostponeTheNextQuestion) {
  see_deleted();
  solicits();
  std::vector<int> at;
  for (int second = 0; second <= 40; second++, now += 1s) {
    see(NUD_FAILED);
    see_deleted();
    if (solicits())
      at.push_back(second);
  }
  EXPECT_EQ(at, (std::vector{1, 2, 4, 8, 16, 26, 36}));
}

TEST_F(NeighbourPolicyTest, SilentNeighbourThatComesBackIsUsed) {
  see_deleted();
  solicits();
  see(NUD_FAILED);
  see(NUD_STALE, first_mac);
  EXPECT_EQ(policy.phase(), Phase::known) << "it was heard: its own request made the entry";
  EXPECT_EQ(policy.mac(), first_mac);
}

TEST_F(NeighbourPolicyTest, EntrySetByHandIsNeverAskedFor) {
  see(NUD_PERMANENT, first_mac);
  EXPECT_EQ(policy.mac(), first_mac);
  EXPECT_TRUE(solicitations_within(100).empty());
}

TEST_F(NeighbourPolicyTest, FullTableThatThrowsOutEveryEntryIsNotFlooded) {
  int sent = 0;
  for (int i = 0; i < 1000; i++, now += 1ms) {
    see_deleted();
    sent += solicits();
  }
  EXPECT_LE(sent, 1);
}

}  // namespace
}  // namespace sluice::kernel
