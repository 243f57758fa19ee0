#include "kernel/netlink.hpp"

#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>

namespace sluice::kernel {

namespace {

using Attributes = std::array<const nlattr*, 64>;

/// @param header_size of the family's own header after the netlink header
int keep_attribute(const nlattr* attribute, void* to) {
  const auto type = mnl_attr_get_type(attribute);
  if (type < 64)
    (*static_cast<Attributes*>(to))[type] = attribute;
  return MNL_CB_OK;
}

Attributes attributes_of(const nlmsghdr* message, std::size_t header_size) {
  Attributes attributes{};
  mnl_attr_parse(message, static_cast<unsigned>(header_size), keep_attribute, &attributes);
  return attributes;
}

Attributes nested_in(const nlattr* attribute) {
  Attributes attributes{};
  mnl_attr_parse_nested(attribute, keep_attribute, &attributes);
  return attributes;
}

std::optional<IpAddress> address_of(const nlattr* attribute) {
  if (!attribute)
    return std::nullopt;
  const void* payload = mnl_attr_get_payload(attribute);
  return mnl_attr_get_payload_len(attribute) == 4 ? IpAddress::from_v4(payload)
                                                  : IpAddress::from_v6(payload);
}

void put_address(nlmsghdr* message, std::uint16_t type, const IpAddress& address) {
  const auto words = address.words();
  mnl_attr_put(message, type, address.is_v4() ? 4 : 16, words.data());
}

std::uint8_t family_of(const IpAddress& address) {
  return address.is_v4() ? AF_INET : AF_INET6;
}

/// A request in a buffer of its own.
struct Request {
  alignas(nlmsghdr) char buffer[1024]{};
  nlmsghdr* header = mnl_nlmsg_put_header(buffer);
  template <class Body>
  Body* body(std::uint16_t type, std::uint16_t flags) {
    header->nlmsg_type = type;
    header->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    return static_cast<Body*>(mnl_nlmsg_put_extra_header(header, sizeof(Body)));
  }
};

std::string extended_text(const nlmsghdr* message) {
  // NLM_F_ACK_TLVS: attributes follow the error; its request is echoed unless capped.
  const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(message));
  if (!(message->nlmsg_flags & NLM_F_ACK_TLVS))
    return {};
  std::size_t offset = sizeof *error;
  if (!(message->nlmsg_flags & NLM_F_CAPPED))
    offset += mnl_nlmsg_get_payload_len(&error->msg);
  const auto* text = attributes_of(message, offset)[NLMSGERR_ATTR_MSG];
  return text ? mnl_attr_get_str(text) : "";
}

}  // namespace

void Netlink::Close::operator()(mnl_socket* socket) const {
  mnl_socket_close(socket);
}

Result<Netlink> Netlink::open(const std::vector<unsigned>& groups) {
  Netlink netlink(
      mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | (groups.empty() ? 0 : SOCK_NONBLOCK)));
  if (!netlink.socket_ || mnl_socket_bind(netlink.socket_.get(), 0, MNL_SOCKET_AUTOPID) < 0)
    return fail(Code::kernel, std::string("no netlink socket: ") + std::strerror(errno));
  for (const unsigned group : groups)
    if (unsigned number = group;
        mnl_socket_setsockopt(netlink.socket_.get(), NETLINK_ADD_MEMBERSHIP, &number,
                              sizeof number) < 0)
      return fail(Code::kernel, std::string("no netlink events: ") + std::strerror(errno));
  int on = 1;
  mnl_socket_setsockopt(netlink.socket_.get(), NETLINK_EXT_ACK, &on, sizeof on);
  if (!groups.empty()) {
    int bytes = 4 << 20;  // a burst of neighbour events must not overrun the socket
    setsockopt(netlink.fd(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
  }
  return netlink;
}

int Netlink::fd() const {
  return mnl_socket_get_fd(socket_.get());
}

Result<void> Netlink::ask(nlmsghdr* request, const std::function<void(const nlmsghdr*)>& handle) {
  request->nlmsg_seq = ++sequence_;
  if (mnl_socket_sendto(socket_.get(), request, request->nlmsg_len) < 0)
    return fail(Code::kernel, std::string("netlink: ") + std::strerror(errno));
  std::vector<char> buffer(1 << 16);
  for (;;) {
    const auto received = mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size());
    if (received < 0)
      return fail(Code::kernel, std::string("netlink: ") + std::strerror(errno));
    auto left = static_cast<int>(received);
    for (auto* message = reinterpret_cast<nlmsghdr*>(buffer.data()); mnl_nlmsg_ok(message, left);
         message = mnl_nlmsg_next(message, &left)) {
      if (message->nlmsg_seq != sequence_)
        continue;
      if (message->nlmsg_type == NLMSG_DONE)
        return {};
      if (message->nlmsg_type == NLMSG_ERROR) {
        const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(message));
        if (error->error == 0)
          return {};
        const auto words = extended_text(message);
        return fail(Code::not_found,
                    std::strerror(-error->error) + (words.empty() ? "" : " (" + words + ")"));
      }
      handle(message);
      if (!(request->nlmsg_flags & (NLM_F_DUMP | NLM_F_ACK)))
        return {};
    }
  }
}

Result<std::map<std::string, model::Link>> Netlink::links() {
  std::map<std::uint32_t, model::Link> by_index;
  Request links;
  links.body<ifinfomsg>(RTM_GETLINK, NLM_F_DUMP)->ifi_family = AF_UNSPEC;
  auto asked = ask(links.header, [&](const nlmsghdr* message) {
    const auto* info = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
    const auto attributes = attributes_of(message, sizeof *info);
    model::Link link;
    link.index = static_cast<std::uint32_t>(info->ifi_index);
    if (attributes[IFLA_IFNAME])
      link.name = mnl_attr_get_str(attributes[IFLA_IFNAME]);
    if (attributes[IFLA_MTU])
      link.mtu = mnl_attr_get_u32(attributes[IFLA_MTU]);
    if (attributes[IFLA_ADDRESS] && mnl_attr_get_payload_len(attributes[IFLA_ADDRESS]) == 6)
      std::memcpy(link.mac.bytes.data(), mnl_attr_get_payload(attributes[IFLA_ADDRESS]), 6);
    link.up = (info->ifi_flags & IFF_UP) && (info->ifi_flags & IFF_RUNNING);
    link.loopback = info->ifi_flags & IFF_LOOPBACK;
    by_index.emplace(link.index, std::move(link));
  });
  if (!asked)
    return fail(asked.error());
  Request addresses;
  addresses.body<ifaddrmsg>(RTM_GETADDR, NLM_F_DUMP)->ifa_family = AF_UNSPEC;
  asked = ask(addresses.header, [&](const nlmsghdr* message) {
    const auto* info = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(message));
    const auto attributes = attributes_of(message, sizeof *info);
    const auto* own = attributes[IFA_LOCAL] ? attributes[IFA_LOCAL] : attributes[IFA_ADDRESS];
    const auto link = by_index.find(info->ifa_index);
    if (const auto address = address_of(own); address && link != by_index.end())
      link->second.addresses.push_back(*address);
  });
  if (!asked)
    return fail(asked.error());
  std::map<std::string, model::Link> by_name;
  for (auto& [index, link] : by_index)
    by_name.emplace(link.name, std::move(link));
  return by_name;
}

std::optional<Neighbour> read_neighbour(const nlmsghdr* message) {
  const auto* info = static_cast<const ndmsg*>(mnl_nlmsg_get_payload(message));
  if (info->ndm_family != AF_INET && info->ndm_family != AF_INET6)
    return std::nullopt;
  const auto attributes = attributes_of(message, sizeof *info);
  const auto address = address_of(attributes[NDA_DST]);
  if (!address)
    return std::nullopt;
  Neighbour neighbour{.ifindex = static_cast<std::uint32_t>(info->ndm_ifindex),
                      .address = *address,
                      .state =
                          message->nlmsg_type == RTM_DELNEIGH ? std::uint16_t{0} : info->ndm_state,
                      .mac = std::nullopt};
  if (const auto* mac = attributes[NDA_LLADDR]; mac && mnl_attr_get_payload_len(mac) == 6) {
    neighbour.mac.emplace();
    std::memcpy(neighbour.mac->bytes.data(), mnl_attr_get_payload(mac), 6);
  }
  return neighbour;
}

Result<std::vector<Neighbour>> Netlink::neighbours() {
  std::vector<Neighbour> neighbours;
  Request request;
  request.body<ndmsg>(RTM_GETNEIGH, NLM_F_DUMP)->ndm_family = AF_UNSPEC;
  auto asked = ask(request.header, [&](const nlmsghdr* message) {
    if (auto neighbour = read_neighbour(message))
      neighbours.push_back(*neighbour);
  });
  if (!asked)
    return fail(asked.error());
  return neighbours;
}

Result<Route> Netlink::route_to(const IpAddress& destination) {
  Request request;
  auto* query = request.body<rtmsg>(RTM_GETROUTE, 0);
  query->rtm_family = family_of(destination);
  query->rtm_dst_len = destination.is_v4() ? 32 : 128;
  put_address(request.header, RTA_DST, destination);
  std::optional<Route> route;
  auto asked = ask(request.header, [&](const nlmsghdr* message) {
    const auto* info = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(message));
    const auto attributes = attributes_of(message, sizeof *info);
    if (info->rtm_type == RTN_UNREACHABLE || info->rtm_type == RTN_BLACKHOLE ||
        info->rtm_type == RTN_PROHIBIT)
      return;
    route.emplace();
    route->local = info->rtm_type == RTN_LOCAL;
    if (attributes[RTA_OIF])
      route->ifindex = mnl_attr_get_u32(attributes[RTA_OIF]);
    route->gateway = address_of(attributes[RTA_GATEWAY]);
    if (const auto* via = attributes[RTA_VIA]; via && mnl_attr_get_payload_len(via) >= 6) {
      const auto* hop = static_cast<const rtvia*>(mnl_attr_get_payload(via));
      route->gateway = hop->rtvia_family == AF_INET ? IpAddress::from_v4(hop->rtvia_addr)
                                                    : IpAddress::from_v6(hop->rtvia_addr);
    }
    route->preferred_source = address_of(attributes[RTA_PREFSRC]).value_or(IpAddress());
    if (attributes[RTA_METRICS])
      if (const auto* mtu = nested_in(attributes[RTA_METRICS])[RTAX_MTU])
        route->mtu = mnl_attr_get_u32(mtu);
  });
  if (!asked)
    return fail(asked.error());
  if (!route)
    return fail(Code::not_found, "the route is unreachable");
  return *route;
}

Result<void> Netlink::solicit(std::uint32_t ifindex, const IpAddress& address) {
  Request request;
  auto* neighbour = request.body<ndmsg>(RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE);
  neighbour->ndm_family = family_of(address);
  neighbour->ndm_ifindex = static_cast<int>(ifindex);
  neighbour->ndm_state = NUD_NONE;
  neighbour->ndm_flags = NTF_USE;
  put_address(request.header, NDA_DST, address);
  return ask(request.header, [](const nlmsghdr*) {});
}

bool Netlink::drain(const std::function<void(const nlmsghdr*)>& handle) {
  std::vector<char> buffer(1 << 16);
  bool complete = true;
  for (;;) {
    const auto received = mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size());
    if (received < 0) {
      if (errno == ENOBUFS)
        complete = false;
      else if (errno != EINTR)
        return complete;
      continue;
    }
    auto left = static_cast<int>(received);
    for (auto* message = reinterpret_cast<nlmsghdr*>(buffer.data()); mnl_nlmsg_ok(message, left);
         message = mnl_nlmsg_next(message, &left))
      handle(message);
  }
}

}  // namespace sluice::kernel
