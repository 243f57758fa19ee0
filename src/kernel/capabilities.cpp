#include "kernel/capabilities.hpp"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace sluice::kernel {

std::vector<std::string> missing_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  syscall(SYS_capget, &header, data);
  const std::uint64_t effective = std::uint64_t{data[1].effective} << 32 | data[0].effective;
  const auto has = [&](int capability) { return (effective >> capability & 1) != 0; };

  std::vector<std::string> missing;
  if (!has(CAP_NET_ADMIN))
    missing.emplace_back("CAP_NET_ADMIN");
  if (!has(CAP_NET_RAW))
    missing.emplace_back("CAP_NET_RAW");
  if (!has(CAP_BPF) && !has(CAP_SYS_ADMIN))
    missing.emplace_back("CAP_BPF");
  if (!has(CAP_PERFMON) && !has(CAP_SYS_ADMIN))
    missing.emplace_back("CAP_PERFMON");
  return missing;
}

std::string explain_missing(const std::vector<std::string>& missing) {
  if (missing.empty())
    return {};
  std::string names;
  for (std::size_t i = 0; i < missing.size(); i++)
    names += (i == 0 ? "" : i + 1 == missing.size() ? " and " : ", ") + missing[i];
  return "sluiced lacks " + names +
         "; run it as root, or give it the capabilities (systemd: AmbientCapabilities=)";
}

}  // namespace sluice::kernel
