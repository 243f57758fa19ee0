#include "kernel/next_hops.hpp"

#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <poll.h>

#include <algorithm>
#include <map>

#include "kernel/neighbour_policy.hpp"
#include "kernel/netlink.hpp"

namespace sluice::kernel {

namespace {

using Clock = std::chrono::steady_clock;
using NeighbourKey = std::pair<std::uint32_t, IpAddress>;  // interface and address

class LiveNextHops final : public NextHops {
 public:
  LiveNextHops(Netlink questions, Netlink events)
      : questions_(std::move(questions)), events_(std::move(events)) {}

  void watch(const std::set<IpAddress>& addresses) override {
    if (addresses == watched_)
      return;
    watched_ = addresses;
    stale_ = true;
    refresh();
  }

  void settle(std::chrono::milliseconds patience) override {
    const auto until = Clock::now() + patience;
    for (;;) {
      process();
      const auto now = Clock::now();
      if (all_settled(now) || now >= until)
        return;
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - now);
      pollfd waiting{events_.fd(), POLLIN, 0};
      poll(&waiting, 1, static_cast<int>(std::min<std::int64_t>(left.count(), 50)));
    }
  }

  Result<model::Topology> topology() override {
    if (stale_)
      if (auto read = refresh(); !read)
        return fail(read.error());
    model::Topology topology{.links = links_, .next_hops = {}};
    const auto now = Clock::now();
    for (const auto& address : watched_)
      topology.next_hops.emplace(address, next_hop(address, now));
    return topology;
  }

  int fd() const override { return events_.fd(); }

  bool process() override {
    const auto now = Clock::now();
    const bool complete = events_.drain([&](const nlmsghdr* message) { handle(message, now); });
    stale_ = stale_ || !complete;
    if (stale_)
      refresh();
    for (auto& [key, policy] : neighbours_)
      if (policy.solicit_due(now))
        static_cast<void>(questions_.solicit(key.first, key.second));  // an answer is an event
    auto seen = topology();
    if (!seen || *seen == last_)
      return false;
    last_ = std::move(*seen);
    return true;
  }

 private:
  struct Way {
    Route route;
    std::string problem;  ///< why there is no route
  };

  void handle(const nlmsghdr* message, Clock::time_point now) {
    switch (message->nlmsg_type) {
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH:
      if (const auto neighbour = read_neighbour(message)) {
        const auto known = neighbours_.find({neighbour->ifindex, neighbour->address});
        if (known != neighbours_.end())
          known->second.observe(neighbour->state, neighbour->mac, now);
      }
      break;
    default:
      stale_ = true;  // a link, an address or a route: the ways are looked up anew
    }
  }

  /// Reads links, ways and neighbours of all watched addresses.
  Result<void> refresh() {
    stale_ = false;
    auto links = questions_.links();
    if (!links) {
      stale_ = true;
      return fail(links.error());
    }
    links_ = std::move(*links);
    ways_.clear();
    std::map<NeighbourKey, NeighbourPolicy> needed;
    for (const auto& address : watched_) {
      auto& way = ways_[address];
      if (auto route = questions_.route_to(address))
        way.route = *route;
      else
        way.problem = "no route to " + address.to_string() + ": " + route.error().message;
      if (!way.problem.empty() || way.route.local)
        continue;
      const auto key = key_of(address, way);
      const auto known = neighbours_.find(key);
      needed.emplace(key, known == neighbours_.end() ? NeighbourPolicy{} : known->second);
    }
    neighbours_ = std::move(needed);
    return observe_all();
  }

  Result<void> observe_all() {
    auto table = questions_.neighbours();
    if (!table)
      return fail(table.error());
    const auto now = Clock::now();
    std::map<NeighbourKey, Neighbour> present;
    for (const auto& neighbour : *table)
      present.emplace(NeighbourKey{neighbour.ifindex, neighbour.address}, neighbour);
    for (auto& [key, policy] : neighbours_) {
      const auto found = present.find(key);
      if (found == present.end())
        policy.observe(0, std::nullopt, now);
      else
        policy.observe(found->second.state, found->second.mac, now);
      if (policy.solicit_due(now))
        static_cast<void>(questions_.solicit(key.first, key.second));
    }
    return {};
  }

  static NeighbourKey key_of(const IpAddress& address, const Way& way) {
    return {way.route.ifindex, way.route.gateway.value_or(address)};
  }

  model::NextHop next_hop(const IpAddress& address, Clock::time_point now) const {
    model::NextHop hop;
    const auto& way = ways_.at(address);
    hop.problem = way.problem;
    if (!hop.problem.empty())
      return hop;
    if (way.route.local) {
      hop.problem = address.to_string() + " is an address of this host";
      return hop;
    }
    const auto link = std::ranges::find_if(
        links_, [&](const auto& entry) { return entry.second.index == way.route.ifindex; });
    if (link == links_.end()) {
      hop.problem =
          "the route to " + address.to_string() + " leads out of an interface that is not here";
      return hop;
    }
    hop.ifindex = way.route.ifindex;
    hop.interface = link->first;
    hop.via = way.route.gateway.value_or(address);
    hop.source = link->second.mac;
    hop.preferred_source = way.route.preferred_source;
    hop.mtu = static_cast<std::uint16_t>(
        std::min<std::uint32_t>(way.route.mtu ? way.route.mtu : link->second.mtu, 65535));
    if (!link->second.up) {
      hop.problem = "the interface " + hop.interface + " is down";
      return hop;
    }
    if (hop.source == MacAddress()) {
      hop.problem = "the interface " + hop.interface + " has no Ethernet address";
      return hop;
    }
    const auto neighbour = neighbours_.find(key_of(address, way));
    const auto mac = neighbour == neighbours_.end() ? std::nullopt : neighbour->second.mac(now);
    if (!mac) {
      hop.problem = hop.via.to_string() + " does not answer " +
                    (hop.via.is_v4() ? "ARP" : "neighbour solicitations") + " on " + hop.interface;
      return hop;
    }
    hop.destination = *mac;
    hop.resolved = true;
    return hop;
  }

  /// Nothing more will come by waiting: every address is resolved, or has no way at all.
  bool all_settled(Clock::time_point now) const {
    return std::ranges::all_of(
        neighbours_, [&](const auto& entry) { return entry.second.mac(now).has_value(); });
  }

  Netlink questions_, events_;
  std::set<IpAddress> watched_;
  std::map<std::string, model::Link> links_;
  std::map<IpAddress, Way> ways_;
  std::map<NeighbourKey, NeighbourPolicy> neighbours_;
  model::Topology last_;
  bool stale_ = true;
};

}  // namespace

Result<std::unique_ptr<NextHops>> NextHops::open() {
  auto questions = Netlink::open();
  if (!questions)
    return fail(questions.error());
  auto events = Netlink::open({RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_IPV4_IFADDR,
                               RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE});
  if (!events)
    return fail(events.error());
  return std::make_unique<LiveNextHops>(std::move(*questions), std::move(*events));
}

}  // namespace sluice::kernel
