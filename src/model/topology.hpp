// What the machine looks like from the configuration's point of view: links and the ways to
// backends. Pure data, filled by the kernel room, read by the planner.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/address.hpp"

namespace sluice::model {

/// A network interface in the daemon's namespace.
struct Link {
  std::uint32_t index = 0;
  std::string name;
  MacAddress mac;
  std::uint32_t mtu = 0;
  bool up = false;
  bool loopback = false;
  std::vector<IpAddress> addresses;
  bool operator==(const Link&) const = default;
};

/// The way to one backend as the kernel's routes and neighbours have it.
struct NextHop {
  std::uint32_t ifindex = 0;  ///< way out; 0: no route
  std::string interface;
  IpAddress via;               ///< the address whose MAC is needed: gateway, or the backend itself
  MacAddress source;           ///< the way out's own MAC
  MacAddress destination;      ///< the MAC of `via`
  IpAddress preferred_source;  ///< the address that the kernel would send from
  std::uint16_t mtu = 0;       ///< of the route or the way out
  bool resolved = false;       ///< route and MAC are both known
  std::string problem;         ///< for people, why not resolved: "no route to 10.9.9.9"
  bool operator==(const NextHop&) const = default;
};

/// One look at the machine. `next_hops` has an entry for every address that was asked for.
struct Topology {
  std::map<std::string, Link> links;
  std::map<IpAddress, NextHop> next_hops;
  bool operator==(const Topology&) const = default;
};

}  // namespace sluice::model
