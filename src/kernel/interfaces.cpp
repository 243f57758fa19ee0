#include "kernel/interfaces.hpp"

#include <linux/genetlink.h>

#include <cerrno>

#include "kernel/netlink.hpp"

namespace sluice::kernel {

namespace {

// From linux/netdev.h, which Debian 12's headers do not have yet.
constexpr const char* netdev_family = "netdev";
constexpr std::uint8_t netdev_version = 1;
constexpr std::uint8_t netdev_cmd_dev_get = 1;
constexpr std::uint16_t netdev_a_dev_ifindex = 1;
constexpr std::uint16_t netdev_a_dev_xdp_features = 3;
constexpr std::uint64_t netdev_xdp_act_basic = 1;
constexpr std::uint64_t netdev_xdp_act_ndo_xmit = 4;
constexpr std::uint64_t netdev_xdp_act_hw_offload = 16;

Result<std::optional<std::uint16_t>> family_id(Netlink& netlink) {
  Message message(GENL_ID_CTRL, 0, genlmsghdr{CTRL_CMD_GETFAMILY, 1, 0});
  message.put(CTRL_ATTR_FAMILY_NAME, std::string(netdev_family));
  std::optional<std::uint16_t> id;
  auto done = netlink.request(message, [&](const nlmsghdr& answer) {
    for (const auto& attribute : attributes(answer, sizeof(genlmsghdr)))
      if (attribute.type == CTRL_ATTR_FAMILY_ID)
        id = attribute.as<std::uint16_t>();
  });
  if (!done && done.error().error != ENOENT)
    return fail(Code::kernel, "cannot look for the netdev family: " + done.error().message);
  return id;
}

}  // namespace

Result<XdpSupport> xdp_support(std::uint32_t ifindex) {
  auto netlink = Netlink::open(NETLINK_GENERIC);
  if (!netlink)
    return fail(netlink.error());
  auto family = family_id(*netlink);
  if (!family)
    return fail(family.error());
  XdpSupport support;
  if (!*family)
    return support;

  Message message(**family, 0, genlmsghdr{netdev_cmd_dev_get, netdev_version, 0});
  message.put(netdev_a_dev_ifindex, ifindex);
  auto done = netlink->request(message, [&](const nlmsghdr& answer) {
    for (const auto& attribute : attributes(answer, sizeof(genlmsghdr))) {
      if (attribute.type != netdev_a_dev_xdp_features)
        continue;
      const auto features = attribute.as<std::uint64_t>().value_or(0);
      const auto has = [&](std::uint64_t bit) {
        return (features & bit) != 0 ? Support::yes : Support::no;
      };
      support = {.native = has(netdev_xdp_act_basic),
                 .offload = has(netdev_xdp_act_hw_offload),
                 .redirect_target = has(netdev_xdp_act_ndo_xmit)};
    }
  });
  if (!done)
    return fail(done.error().error == ENODEV ? Code::not_found : Code::kernel,
                "cannot read the XDP features of interface " + std::to_string(ifindex) + ": " +
                    done.error().message);
  return support;
}

}  // namespace sluice::kernel
