// Which capabilities are found missing in a process that gave them up.
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <string>

#include "kernel/capabilities.hpp"

namespace sluice::test {
namespace {

/// What a child without these capabilities is told.
std::string told_without(const std::vector<unsigned>& dropped) {
  std::array<int, 2> ends{};
  EXPECT_EQ(pipe(ends.data()), 0);
  const pid_t child = fork();
  if (child == 0) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
    syscall(SYS_capget, &header, sets.data());
    for (const unsigned capability : dropped)
      sets[capability / 32].effective &= ~(1U << (capability % 32));
    syscall(SYS_capset, &header, sets.data());
    const auto text = kernel::explain_missing(kernel::missing_capabilities());
    _exit(write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : 1);
  }
  close(ends[1]);
  std::array<char, 1024> buffer{};
  const auto size = read(ends[0], buffer.data(), buffer.size());
  close(ends[0]);
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  return {buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
}

TEST(Rights, RootLacksNothing) {
  EXPECT_EQ(told_without({}), "");
}

TEST(Rights, DroppedCapabilitiesAreNamed) {
  const auto text = told_without({CAP_NET_ADMIN, CAP_NET_RAW});
  EXPECT_TRUE(text.starts_with("CAP_NET_ADMIN and CAP_NET_RAW are missing; ")) << text;
}

TEST(Rights, SysAdminStandsInForBpfAndPerfmon) {
  EXPECT_EQ(told_without({CAP_BPF, CAP_PERFMON}), "");
  const auto text = told_without({CAP_BPF, CAP_PERFMON, CAP_SYS_ADMIN});
  EXPECT_TRUE(text.starts_with("CAP_BPF and CAP_PERFMON are missing; ")) << text;
}

}  // namespace
}  // namespace sluice::test
