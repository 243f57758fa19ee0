// The sentence that tells an operator which capability is missing.
#include <gtest/gtest.h>

#include "kernel/capabilities.hpp"

namespace sluice::kernel {
namespace {

TEST(Capabilities, NothingMissingNeedsNoWords) {
  EXPECT_EQ(explain_missing({}), "");
}

TEST(Capabilities, OneMissingIsNamedWithTheCure) {
  EXPECT_EQ(explain_missing({"CAP_BPF"}),
            "CAP_BPF is missing; run it as root, or give it the capability with setcap or "
            "systemd's AmbientCapabilities=");
}

TEST(Capabilities, SeveralMissingAreAllNamed) {
  const auto text = explain_missing({"CAP_NET_ADMIN", "CAP_BPF", "CAP_NET_RAW"});
  EXPECT_TRUE(text.starts_with("CAP_NET_ADMIN, CAP_BPF and CAP_NET_RAW are missing; ")) << text;
}

}  // namespace
}  // namespace sluice::kernel
