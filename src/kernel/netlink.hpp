// Questions to the kernel over rtnetlink: links, addresses, routes, neighbours.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/address.hpp"
#include "base/result.hpp"
#include "model/topology.hpp"

struct mnl_socket;
struct nlmsghdr;

namespace sluice::kernel {

/// The kernel's way to one destination.
struct Route {
  std::uint32_t ifindex = 0;
  std::optional<IpAddress> gateway;
  IpAddress preferred_source;  ///< `::` if the kernel names none
  std::uint32_t mtu = 0;       ///< of the route; 0: the link's
  bool local = false;          ///< the destination is this host
};

/// An entry of the neighbour table.
struct Neighbour {
  std::uint32_t ifindex = 0;
  IpAddress address;
  std::uint16_t state = 0;  ///< NUD_* of linux/neighbour.h; 0 when deleted
  std::optional<MacAddress> mac;
};

class Netlink {
 public:
  /// @param groups RTNLGRP_* to listen to; none: for questions
  static Result<Netlink> open(const std::vector<unsigned>& groups = {});

  /// All links with their addresses, by name.
  Result<std::map<std::string, model::Link>> links();
  Result<std::vector<Neighbour>> neighbours();
  /// Code::not_found with the kernel's reason if there is no way.
  Result<Route> route_to(const IpAddress& destination);
  /// Asks the kernel to resolve or confirm a neighbour as if a packet had to be sent (NTF_USE).
  Result<void> solicit(std::uint32_t ifindex, const IpAddress& address);

  int fd() const;
  /// Reads what waits without blocking and hands each message on. False: messages were lost,
  /// everything must be read anew.
  bool drain(const std::function<void(const nlmsghdr*)>& handle);

 private:
  struct Close {
    void operator()(mnl_socket* socket) const;
  };
  explicit Netlink(mnl_socket* socket) : socket_(socket) {}
  Result<void> ask(nlmsghdr* request, const std::function<void(const nlmsghdr*)>& handle);

  std::unique_ptr<mnl_socket, Close> socket_;
  std::uint32_t sequence_ = 0;
};

/// Reads RTM_NEWNEIGH or RTM_DELNEIGH; nothing for other families than IPv4 and IPv6.
std::optional<Neighbour> read_neighbour(const nlmsghdr* message);

}  // namespace sluice::kernel
