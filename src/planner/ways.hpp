// The way to a backend: what a frame and an outer header towards it must carry.
#pragma once

#include <set>
#include <string>

#include "planner/image.hpp"

namespace sluice::planner {

/// Why a backend cannot be reached, and the cure.
struct Obstacle {
  std::string problem;
  std::string suggestion;
};

class Ways {
 public:
  /// Both must outlive this.
  Ways(const model::Config& config, const model::Topology& topology);

  /// Fills in next hop and source of an entry whose forwarding is set, and says what stands in the
  /// way. With an obstacle the entry is unresolved and all of its way is zero, as the kernel's map
  /// has it.
  std::optional<Obstacle> resolve(const BackendKey& key, BackendImage& entry) const;

  bool is_own(const IpAddress& address) const { return local_.contains(address); }

  /// A backend that cannot be reached for a while keeps the source that its flows know, so that
  /// replies on their way are still recognised.
  void keep_source(const BackendImage& running, BackendImage& entry) const;

 private:
  std::optional<Obstacle> obstacle(const BackendKey& key, const BackendImage& entry) const;
  bool set_source(const BackendKey& key, const model::NextHop& hop, BackendImage& entry) const;
  /// An address of the way out that is no VIP: a backend that also holds the VIP would take the
  /// packet for its own. Unspecified if there is none.
  IpAddress own_address(const model::NextHop& hop, bool v4) const;

  const model::Config& config_;
  const model::Topology& topology_;
  std::set<IpAddress> vips_;
  std::set<IpAddress> local_;
};

}  // namespace sluice::planner
