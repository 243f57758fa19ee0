// The words that stand for verdicts and reasons on the wire.
#include "dataplane/names.hpp"

#include <gmock/gmock.h>
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

TEST(Names, ErrorsAreOfAKindAndSayTheirCause) {
  EXPECT_EQ(error_of("pass", "truncated")->kind, "malformed");
  EXPECT_EQ(error_of("pass", "malformed")->kind, "malformed");
  EXPECT_EQ(error_of("aborted", "missing-backend")->kind, "map-lookup");
  EXPECT_THAT(std::string(error_of("drop", "missing-interface")->cause),
              testing::HasSubstr("tx_ports"));
  EXPECT_EQ(error_of("aborted", "table-bound")->kind, "program");
  EXPECT_EQ(error_of("aborted", "bug")->kind, "program");
  EXPECT_EQ(error_of("aborted", "unknown")->kind, "program")
      << "a program that is newer than the daemon may abort for reasons of its own";
  for (const char* reason : {"not-ours", "no-backend", "unresolved", "denied", "rate-limited"})
    EXPECT_FALSE(error_of("drop", reason)) << reason;
  EXPECT_FALSE(error_of("tx", "nat"));
}

}  // namespace sluice::dataplane
