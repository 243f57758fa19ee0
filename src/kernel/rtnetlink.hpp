// What rtnetlink tells and does: links, addresses, routes, neighbours, as typed calls.
#pragma once

#include <linux/neighbour.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernel/netlink.hpp"
#include "model/prefix.hpp"
#include "model/topology.hpp"

namespace sluice::kernel {

/// A link with what the model does not need. `link.addresses` is empty here; `link.up` means that
/// it is enabled and has a carrier.
struct LinkInfo {
  model::Link link;
  bool enabled = false;    ///< set up by the administrator
  std::uint16_t type = 0;  ///< ARPHRD_*
  std::string kind;        ///< "veth", "bridge", …; empty for hardware
  bool operator==(const LinkInfo&) const = default;
};

struct AddressInfo {
  std::uint32_t ifindex = 0;
  model::Prefix prefix;  ///< the address itself with its prefix length
};

/// Where the kernel would send a packet.
struct Route {
  std::uint32_t ifindex = 0;
  std::optional<IpAddress> gateway;  ///< may be of the other family; none: on-link
  IpAddress preferred_source;        ///< unspecified if the kernel has none
  std::uint32_t mtu = 0;             ///< of the route or a learned path MTU; 0: the link's
  bool local = false;                ///< the destination is this machine itself
  bool operator==(const Route&) const = default;
};

/// An entry of the neighbour table.
struct NeighbourEntry {
  std::uint16_t state = NUD_NONE;  ///< one of NUD_*
  std::optional<MacAddress> mac;
};

/// A change in the neighbour table; no entry: it was deleted.
struct NeighbourEvent {
  std::uint32_t ifindex = 0;
  IpAddress address;
  std::optional<NeighbourEntry> entry;
};

/// Reads RTM_NEWNEIGH or RTM_DELNEIGH; nothing for what is no IPv4 or IPv6 neighbour.
std::optional<NeighbourEvent> read_neighbour(const nlmsghdr& message);

/// Reads the destination of RTM_NEWROUTE or RTM_DELROUTE.
std::optional<model::Prefix> read_route_destination(const nlmsghdr& message);

/// Not thread-safe. Errors are Code::kernel with the kernel's reason unless stated otherwise.
class RtNetlink {
 public:
  /// Opens a socket in the calling thread's network namespace.
  static Result<RtNetlink> open();

  Result<std::vector<LinkInfo>> links();
  Result<std::vector<AddressInfo>> addresses();

  /// The route that a packet of this machine to `destination` would take. Code::not_found with a
  /// sentence for people when there is none, or one that forbids.
  Result<Route> route_to(const IpAddress& destination);

  /// The entry of the neighbour table, nothing if there is none.
  Result<std::optional<NeighbourEntry>> neighbour(std::uint32_t ifindex, const IpAddress& address);

  /// Makes the kernel find out (or confirm) the neighbour's MAC, as a packet to it would. Entries
  /// that were set by hand (permanent, noarp) are left alone.
  Result<void> solicit(std::uint32_t ifindex, const IpAddress& address);

 private:
  explicit RtNetlink(Netlink netlink) : netlink_(std::move(netlink)) {}

  Netlink netlink_;
};

}  // namespace sluice::kernel
