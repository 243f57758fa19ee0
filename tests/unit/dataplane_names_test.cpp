// The words that stand for verdicts and reasons on the wire.
#include "dataplane/names.hpp"

#include <gtest/gtest.h>

#include <set>

#include "abi.h"

namespace sluice::dataplane {

TEST(Names, EveryReasonHasOneOfItsOwn) {
  std::set<std::string_view> names;
  for (std::size_t reason = 0; reason < SL_REASON_COUNT; reason++) {
    EXPECT_FALSE(reason_name(reason).empty());
    EXPECT_TRUE(names.insert(reason_name(reason)).second) << reason_name(reason) << " twice";
  }
  EXPECT_FALSE(names.contains("unknown"));
  EXPECT_EQ(reason_name(SL_REASON_COUNT), "unknown");
}

TEST(Names, ReasonsAreInTheOrderOfTheAbi) {
  EXPECT_EQ(reason_name(SL_REASON_NOT_OURS), "not-ours");
  EXPECT_EQ(reason_name(SL_REASON_UNKNOWN_REPLY), "unknown-reply");
  EXPECT_EQ(reason_name(SL_REASON_TOO_BIG), "too-big");
  EXPECT_EQ(reason_name(SL_REASON_FAMILY_MISMATCH), "family-mismatch");
  EXPECT_EQ(reason_name(SL_REASON_RATE_LIMITED), "rate-limited");
  EXPECT_EQ(reason_name(SL_REASON_DSR_IPIP6), "dsr-ipip6");
  EXPECT_EQ(reason_name(SL_REASON_ICMP_ERROR), "icmp-error");
  EXPECT_EQ(reason_name(SL_REASON_TOO_BIG_TOLD), "too-big-told");
}

TEST(Names, VerdictsAreTheKernelsActions) {
  EXPECT_EQ(verdict_name(0), "aborted");
  EXPECT_EQ(verdict_name(1), "drop");
  EXPECT_EQ(verdict_name(2), "pass");
  EXPECT_EQ(verdict_name(3), "tx");
  EXPECT_EQ(verdict_name(4), "redirect");
  EXPECT_EQ(verdict_name(5), "unknown");
}

}  // namespace sluice::dataplane
