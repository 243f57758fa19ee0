#include "kernel/rtnetlink.hpp"

#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include <cerrno>
#include <tuple>

namespace sluice::kernel {

namespace {

std::uint8_t family_of(const IpAddress& address) {
  return address.is_v4() ? AF_INET : AF_INET6;
}

std::uint8_t bits_of(const IpAddress& address) {
  return address.is_v4() ? 32 : 128;
}

tl::unexpected<Error> refused(const std::string& what, const Refusal& refusal) {
  const bool right = refusal.error == EPERM || refusal.error == EACCES;
  return fail(right ? Code::permission : Code::kernel, what + ": " + refusal.message);
}

std::optional<LinkInfo> read_link(const nlmsghdr& message) {
  const auto* header = family_header<ifinfomsg>(message);
  if (!header || message.nlmsg_type != RTM_NEWLINK)
    return std::nullopt;
  LinkInfo info;
  info.link.index = static_cast<std::uint32_t>(header->ifi_index);
  info.type = header->ifi_type;
  info.enabled = (header->ifi_flags & IFF_UP) != 0;
  info.link.up = info.enabled && (header->ifi_flags & IFF_LOWER_UP) != 0;
  info.link.loopback = (header->ifi_flags & IFF_LOOPBACK) != 0;
  for (const auto& attribute : attributes(message, sizeof *header)) {
    if (attribute.type == IFLA_IFNAME)
      info.link.name = attribute.text();
    else if (attribute.type == IFLA_MTU)
      info.link.mtu = attribute.as<std::uint32_t>().value_or(0);
    else if (attribute.type == IFLA_ADDRESS)
      info.link.mac = attribute.mac().value_or(MacAddress{});
    else if (attribute.type == IFLA_LINKINFO)
      for (const auto& detail : attribute.nested())
        if (detail.type == IFLA_INFO_KIND)
          info.kind = detail.text();
  }
  return info;
}

std::optional<AddressInfo> read_address(const nlmsghdr& message) {
  const auto* header = family_header<ifaddrmsg>(message);
  if (!header || message.nlmsg_type != RTM_NEWADDR)
    return std::nullopt;
  // On a point-to-point link IFA_ADDRESS is the far end and IFA_LOCAL is ours.
  std::optional<IpAddress> address, local;
  for (const auto& attribute : attributes(message, sizeof *header)) {
    if (attribute.type == IFA_ADDRESS)
      address = attribute.address();
    else if (attribute.type == IFA_LOCAL)
      local = attribute.address();
  }
  if (!address && !local)
    return std::nullopt;
  return AddressInfo{header->ifa_index, {local ? *local : *address, header->ifa_prefixlen}};
}

/// RTA_VIA: a gateway of the other family, its family in front.
std::optional<IpAddress> read_via(const Attribute& attribute) {
  constexpr std::size_t family_size = sizeof(std::uint16_t);
  if (attribute.size <= family_size)
    return std::nullopt;
  return Attribute{0, static_cast<const char*>(attribute.data) + family_size,
                   attribute.size - family_size}
      .address();
}

struct RouteAnswer {
  Route route;
  unsigned char type = RTN_UNSPEC;
};

RouteAnswer read_route(const nlmsghdr& message, const rtmsg& header) {
  RouteAnswer answer;
  answer.type = header.rtm_type;
  answer.route.local = header.rtm_type == RTN_LOCAL;
  for (const auto& attribute : attributes(message, sizeof header)) {
    if (attribute.type == RTA_OIF)
      answer.route.ifindex = attribute.as<std::uint32_t>().value_or(0);
    else if (attribute.type == RTA_GATEWAY)
      answer.route.gateway = attribute.address();
    else if (attribute.type == RTA_VIA)
      answer.route.gateway = read_via(attribute);
    else if (attribute.type == RTA_PREFSRC)
      answer.route.preferred_source = attribute.address().value_or(IpAddress());
    else if (attribute.type == RTA_METRICS)
      for (const auto& metric : attribute.nested())
        if (metric.type == RTAX_MTU)
          answer.route.mtu = metric.as<std::uint32_t>().value_or(0);
  }
  return answer;
}

/// Why a route of this type leads nowhere; empty for one that does lead somewhere.
std::string dead_end(unsigned char type) {
  switch (type) {
  case RTN_UNICAST:
  case RTN_LOCAL:
    return "";
  case RTN_BROADCAST:
    return "is a broadcast address";
  case RTN_MULTICAST:
    return "is a multicast address";
  case RTN_ANYCAST:
    return "is an anycast address of this machine";
  case RTN_UNREACHABLE:
    return "is unreachable by a route of that type";
  case RTN_BLACKHOLE:
    return "falls into a blackhole route";
  case RTN_PROHIBIT:
    return "is prohibited by a route of that type";
  default:
    return "has a route that leads to no interface";
  }
}

}  // namespace

std::optional<NeighbourEvent> read_neighbour(const nlmsghdr& message) {
  const auto* header = family_header<ndmsg>(message);
  if (!header || (header->ndm_family != AF_INET && header->ndm_family != AF_INET6) ||
      (header->ndm_flags & NTF_PROXY) != 0)
    return std::nullopt;
  NeighbourEvent event;
  event.ifindex = static_cast<std::uint32_t>(header->ndm_ifindex);
  NeighbourEntry entry{header->ndm_state, std::nullopt};
  std::optional<IpAddress> address;
  for (const auto& attribute : attributes(message, sizeof *header)) {
    if (attribute.type == NDA_DST)
      address = attribute.address();
    else if (attribute.type == NDA_LLADDR)
      entry.mac = attribute.mac();
  }
  if (!address)
    return std::nullopt;
  event.address = *address;
  if (message.nlmsg_type == RTM_NEWNEIGH)
    event.entry = entry;
  return event;
}

std::optional<model::Prefix> read_route_destination(const nlmsghdr& message) {
  const auto* header = family_header<rtmsg>(message);
  if (!header || (header->rtm_family != AF_INET && header->rtm_family != AF_INET6))
    return std::nullopt;
  // A default route carries no destination.
  constexpr std::array<std::uint8_t, 16> zero{};
  model::Prefix prefix{header->rtm_family == AF_INET ? IpAddress::from_v4(zero.data())
                                                     : IpAddress::from_v6(zero.data()),
                       header->rtm_dst_len};
  for (const auto& attribute : attributes(message, sizeof *header))
    if (attribute.type == RTA_DST)
      prefix.address = attribute.address().value_or(prefix.address);
  return prefix;
}

Result<RtNetlink> RtNetlink::open() {
  auto netlink = Netlink::open(NETLINK_ROUTE);
  if (!netlink)
    return fail(netlink.error());
  return RtNetlink(std::move(*netlink));
}

Result<std::vector<LinkInfo>> RtNetlink::links() {
  Message message(RTM_GETLINK, 0, ifinfomsg{});
  message.put(IFLA_EXT_MASK, std::uint32_t{RTEXT_FILTER_SKIP_STATS});
  std::vector<LinkInfo> links;
  auto done = netlink_.dump(message, [&](const nlmsghdr& answer) {
    if (auto link = read_link(answer))
      links.push_back(std::move(*link));
  });
  if (!done)
    return refused("cannot list the network interfaces", done.error());
  return links;
}

Result<std::vector<AddressInfo>> RtNetlink::addresses() {
  Message message(RTM_GETADDR, 0, ifaddrmsg{});
  std::vector<AddressInfo> addresses;
  auto done = netlink_.dump(message, [&](const nlmsghdr& answer) {
    if (auto address = read_address(answer))
      addresses.push_back(*address);
  });
  if (!done)
    return refused("cannot list the addresses of the network interfaces", done.error());
  return addresses;
}

Result<Route> RtNetlink::route_to(const IpAddress& destination) {
  rtmsg header{};
  header.rtm_family = family_of(destination);
  header.rtm_dst_len = bits_of(destination);
  Message message(RTM_GETROUTE, 0, header);
  message.put(RTA_DST, destination);
  RouteAnswer found;
  auto done = netlink_.request(message, [&](const nlmsghdr& answer) {
    if (const auto* route = family_header<rtmsg>(answer);
        route && answer.nlmsg_type == RTM_NEWROUTE)
      found = read_route(answer, *route);
  });
  const auto text = destination.to_string();
  if (!done) {
    // IPv4 reports a route that forbids as an error, IPv6 as a route of that type.
    switch (done.error().error) {
    case ENETUNREACH:
    case ESRCH:
      return fail(Code::not_found, "no route to " + text);
    case EHOSTUNREACH:
      return fail(Code::not_found, text + " " + dead_end(RTN_UNREACHABLE));
    case EACCES:
      return fail(Code::not_found, text + " " + dead_end(RTN_PROHIBIT));
    case EINVAL:
      return fail(Code::not_found, text + " " + dead_end(RTN_BLACKHOLE));
    default:
      return refused("cannot look up the route to " + text, done.error());
    }
  }
  if (auto reason = dead_end(found.type); !reason.empty())
    return fail(Code::not_found, text + " " + reason);
  return found.route;
}

Result<std::optional<NeighbourEntry>> RtNetlink::neighbour(std::uint32_t ifindex,
                                                           const IpAddress& address) {
  ndmsg header{};
  header.ndm_family = family_of(address);
  header.ndm_ifindex = static_cast<int>(ifindex);
  Message message(RTM_GETNEIGH, 0, header);
  message.put(NDA_DST, address);
  std::optional<NeighbourEntry> entry;
  auto done = netlink_.request(message, [&](const nlmsghdr& answer) {
    if (auto event = read_neighbour(answer); event && event->entry)
      entry = event->entry;
  });
  if (!done && done.error().error != ENOENT)
    return refused("cannot look up the neighbour " + address.to_string(), done.error());
  return entry;
}

Result<void> RtNetlink::solicit(std::uint32_t ifindex, const IpAddress& address) {
  // NTF_USE takes away from an entry that it is permanent.
  auto known = neighbour(ifindex, address);
  if (!known)
    return fail(known.error());
  if (*known && ((*known)->state & (NUD_PERMANENT | NUD_NOARP)) != 0)
    return {};

  ndmsg header{};
  header.ndm_family = family_of(address);
  header.ndm_ifindex = static_cast<int>(ifindex);
  header.ndm_flags = NTF_USE;
  Message message(RTM_NEWNEIGH, NLM_F_CREATE, header);
  message.put(NDA_DST, address);
  auto done = netlink_.request(message);
  if (!done)
    return refused("cannot resolve " + address.to_string(), done.error());
  return {};
}

}  // namespace sluice::kernel
