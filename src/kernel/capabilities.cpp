#include "kernel/capabilities.hpp"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdint>

namespace sluice::kernel {

namespace {

struct Needed {
  unsigned number;
  const char* name;
  bool in_sys_admin;
};
constexpr std::array needed{
    Needed{CAP_NET_ADMIN, "CAP_NET_ADMIN", false}, Needed{CAP_BPF, "CAP_BPF", true},
    Needed{CAP_NET_RAW, "CAP_NET_RAW", false}, Needed{CAP_PERFMON, "CAP_PERFMON", true}};

}  // namespace

std::vector<std::string> missing_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> sets{};
  // It cannot fail for the calling thread with a version that the kernel knows; if it does, all
  // sets stay empty and everything is reported as missing.
  syscall(SYS_capget, &header, sets.data());
  const std::uint64_t effective = sets[0].effective | (std::uint64_t{sets[1].effective} << 32);
  const auto has = [&](unsigned number) { return ((effective >> number) & 1) != 0; };

  std::vector<std::string> missing;
  for (const auto& capability : needed)
    if (!has(capability.number) && !(capability.in_sys_admin && has(CAP_SYS_ADMIN)))
      missing.emplace_back(capability.name);
  return missing;
}

std::string explain_missing(const std::vector<std::string>& missing) {
  if (missing.empty())
    return "";
  std::string names;
  for (std::size_t i = 0; i < missing.size(); i++) {
    if (i > 0)
      names += i + 1 == missing.size() ? " and " : ", ";
    names += missing[i];
  }
  return names + (missing.size() == 1 ? " is" : " are") +
         " missing; run it as root, or give it the " +
         (missing.size() == 1 ? "capability" : "capabilities") +
         " with setcap or systemd's AmbientCapabilities=";
}

}  // namespace sluice::kernel
