// Keeps the way to every backend fresh: routes and neighbours by netlink, followed by events.
#pragma once

#include <chrono>
#include <memory>
#include <set>

#include "base/address.hpp"
#include "base/result.hpp"
#include "model/topology.hpp"

namespace sluice::kernel {

/// Not thread-safe: one strand owns it.
class NextHops {
 public:
  /// Opens the netlink sockets and subscribes to link, address, route and neighbour events of this
  /// network namespace.
  static Result<std::unique_ptr<NextHops>> open();
  virtual ~NextHops() = default;

  /// From now on exactly these addresses are followed. For those whose neighbour is unknown a
  /// resolution is started in the kernel (RTM_NEWNEIGH with NTF_USE), and repeated before entries
  /// go stale.
  virtual void watch(const std::set<IpAddress>& addresses) = 0;

  /// Waits up to `patience` until every watched address that has a route has a neighbour too,
  /// handling events.
  virtual void settle(std::chrono::milliseconds patience) = 0;

  /// What is known now.
  virtual Result<model::Topology> topology() = 0;

  /// Readable when events wait.
  virtual int fd() const = 0;
  /// Handles waiting events and due re-resolutions without blocking; true if topology() may have
  /// changed.
  virtual bool process() = 0;
};

}  // namespace sluice::kernel
