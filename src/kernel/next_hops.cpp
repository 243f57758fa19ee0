#include "kernel/next_hops.hpp"

#include <linux/if_arp.h>
#include <linux/rtnetlink.h>
#include <poll.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "kernel/neighbour_policy.hpp"
#include "kernel/rtnetlink.hpp"

namespace sluice::kernel {

namespace {

using namespace std::chrono_literals;
using Clock = NeighbourPolicy::Clock;

/// Not every change has an event (a learned path MTU expires silently), so all is read anew now and
/// then.
constexpr auto audit_every = 60s;
/// One call takes at most so many datagrams, so that a storm of events does not hold the caller.
constexpr int datagrams_at_once = 4096;
/// Beyond so many changed routes it is cheaper to look every address up again.
constexpr std::size_t most_route_changes = 64;
constexpr auto settle_step = 100ms;

bool covers(const model::Prefix& prefix, const IpAddress& address) {
  if (prefix.address.is_v4() != address.is_v4())
    return false;
  const unsigned length = prefix.length + (address.is_v4() ? 96 : 0);
  for (unsigned bit = 0; bit < length && bit < 128; bit++) {
    const unsigned mask = 0x80U >> (bit % 8);
    if ((prefix.address.bytes()[bit / 8] & mask) != (address.bytes()[bit / 8] & mask))
      return false;
  }
  return true;
}

class KernelNextHops final : public NextHops {
 public:
  KernelNextHops(RtNetlink requests, Netlink events)
      : requests_(std::move(requests)), events_(std::move(events)) {}

  void watch(const std::set<IpAddress>& addresses) override {
    std::erase_if(ways_, [&](const auto& way) { return !addresses.contains(way.first); });
    for (const auto& address : addresses)
      ways_.try_emplace(address);
    refresh();
  }

  void settle(std::chrono::milliseconds patience) override {
    const auto deadline = Clock::now() + patience;
    for (;;) {
      take_events();
      refresh();
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
      if (left <= 0ms || !waiting())
        return;
      pollfd events{events_.fd(), POLLIN, 0};
      poll(&events, 1,
           static_cast<int>(std::min<std::chrono::milliseconds>(left, settle_step).count()));
    }
  }

  Result<model::Topology> topology() override {
    take_events();
    refresh();
    if (failure_)
      return fail(*failure_);
    model::Topology topology;
    for (const auto& [index, info] : links_)
      topology.links.emplace(info.link.name, info.link);
    for (const auto& [address, way] : ways_)
      topology.next_hops.emplace(address, next_hop(address, way));
    return topology;
  }

  int fd() const override { return events_.fd(); }

  bool process() override {
    take_events();
    refresh();
    return std::exchange(changed_, false);
  }

 private:
  /// Where an address is reached; without a route `problem` says why.
  struct Way {
    bool looked_up = false;
    std::optional<Route> route;
    std::string problem;
    std::string interface;  ///< of the last route that there was
  };
  struct Neighbour {
    NeighbourPolicy policy;
    std::string refusal;  ///< why the kernel did not take the last solicitation
  };
  using NeighbourKey = std::pair<std::uint32_t, IpAddress>;

  static NeighbourKey key_of(const IpAddress& address, const Route& route) {
    return {route.ifindex, route.gateway.value_or(address)};
  }

  void take_events() {
    for (int i = 0; i < datagrams_at_once; i++) {
      switch (events_.receive([this](const nlmsghdr& event) { take(event); })) {
      case Netlink::Received::nothing:
        // Until the queue has been empty the kernel goes on dropping and does not say so again.
        if (std::exchange(overrun_, false))
          everything_changed();
        return;
      case Netlink::Received::some:
        break;
      case Netlink::Received::overrun:
        overrun_ = true;
        break;
      }
    }
  }

  void take(const nlmsghdr& event) {
    switch (event.nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
    case RTM_NEWADDR:
    case RTM_DELADDR:
      links_changed_ = true;
      break;
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
      if (auto destination = read_route_destination(event);
          destination && route_changes_.size() <= most_route_changes)
        route_changes_.push_back(*destination);
      break;
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH:
      if (auto neighbour = read_neighbour(event))
        see(*neighbour);
      break;
    default:
      // Rules and next hop objects: any route may lead elsewhere now.
      all_routes_changed_ = true;
    }
  }

  void see(const NeighbourEvent& event) {
    if (auto found = neighbours_.find({event.ifindex, event.address}); found != neighbours_.end())
      following(found->second,
                [&](NeighbourPolicy& policy) { policy.see(event.entry, Clock::now()); });
  }

  /// Runs an action on a neighbour and notes whether it changed what next_hop() says.
  template <class Action>
  void following(Neighbour& neighbour, const Action& action) {
    const auto phase = neighbour.policy.phase();
    const auto mac = neighbour.policy.mac();
    action(neighbour.policy);
    changed_ |= phase != neighbour.policy.phase() || mac != neighbour.policy.mac();
  }

  void everything_changed() {
    links_changed_ = all_routes_changed_ = all_neighbours_changed_ = true;
  }

  /// Reads again what events have put in doubt, and does what is due.
  void refresh() {
    const auto now = Clock::now();
    if (now >= audit_at_) {
      everything_changed();
      audit_at_ = now + audit_every;
    }
    if (links_changed_)
      read_links();
    look_up_routes();
    follow_neighbours();
  }

  void read_links() {
    auto links = requests_.links();
    auto addresses = links ? requests_.addresses() : fail(links.error());
    if (!addresses) {
      changed_ |= !failure_;
      failure_ = addresses.error();
      return;
    }
    changed_ |= failure_.has_value();
    failure_.reset();
    std::map<std::uint32_t, LinkInfo> by_index;
    for (auto& info : *links)
      by_index.emplace(info.link.index, std::move(info));
    for (const auto& address : *addresses)
      if (auto link = by_index.find(address.ifindex); link != by_index.end())
        link->second.link.addresses.push_back(address.prefix.address);
    changed_ |= by_index != links_;
    links_ = std::move(by_index);
    links_changed_ = false;
    // Routes over a link that goes down vanish without events.
    all_routes_changed_ = true;
  }

  bool in_doubt(const IpAddress& address, const Way& way) const {
    return !way.looked_up || all_routes_changed_ || route_changes_.size() > most_route_changes ||
           std::ranges::any_of(route_changes_,
                               [&](const auto& prefix) { return covers(prefix, address); });
  }

  void look_up_routes() {
    for (auto& [address, way] : ways_)
      if (in_doubt(address, way))
        look_up(address, way);
    route_changes_.clear();
    all_routes_changed_ = false;
  }

  void look_up(const IpAddress& address, Way& way) {
    auto route = requests_.route_to(address);
    std::optional<Route> found;
    std::string problem;
    if (!route)
      problem = route.error().message;
    else if (route->local)
      problem = address.to_string() +
                " is an address of this machine itself; a backend is another machine";
    else
      found = *route;
    changed_ |= !way.looked_up || found != way.route || problem != way.problem;
    way.looked_up = true;
    way.route = found;
    way.problem = std::move(problem);
    if (found)
      if (auto link = links_.find(found->ifindex); link != links_.end())
        way.interface = link->second.link.name;
  }

  void follow_neighbours() {
    std::set<NeighbourKey> used;
    for (const auto& [address, way] : ways_)
      if (way.route)
        used.insert(key_of(address, *way.route));
    std::erase_if(neighbours_, [&](const auto& entry) { return !used.contains(entry.first); });
    for (const auto& key : used) {
      auto [found, is_new] = neighbours_.try_emplace(key);
      if (is_new || all_neighbours_changed_)
        if (auto entry = requests_.neighbour(key.first, key.second))
          following(found->second,
                    [&](NeighbourPolicy& policy) { policy.see(*entry, Clock::now()); });
      following(found->second, [&](NeighbourPolicy& policy) {
        if (usable_link(key.first) && policy.advance(Clock::now()))
          solicit(key, found->second);
      });
    }
    all_neighbours_changed_ = false;
  }

  void solicit(const NeighbourKey& key, Neighbour& neighbour) {
    auto solicited = requests_.solicit(key.first, key.second);
    auto refusal = solicited ? std::string() : solicited.error().message;
    changed_ |= refusal != neighbour.refusal;
    neighbour.refusal = std::move(refusal);
  }

  bool usable_link(std::uint32_t ifindex) const {
    const auto link = links_.find(ifindex);
    return link != links_.end() && link_problem(link->second).empty();
  }

  static std::string link_problem(const LinkInfo& info) {
    if (info.type != ARPHRD_ETHER)
      return info.link.name + " has no Ethernet addresses; backends are reached over Ethernet "
                              "interfaces only";
    if (!info.enabled)
      return info.link.name + " is down";
    if (!info.link.up)
      return info.link.name + " has no carrier";
    return "";
  }

  /// True while a neighbour has been asked for that was not given up.
  bool waiting() const {
    return std::ranges::any_of(neighbours_, [&](const auto& entry) {
      return entry.second.policy.phase() == NeighbourPolicy::Phase::waiting &&
             usable_link(entry.first.first);
    });
  }

  model::NextHop next_hop(const IpAddress& address, const Way& way) const {
    model::NextHop hop;
    if (!way.route) {
      hop.problem = way.problem + lost_interface(way);
      return hop;
    }
    const auto key = key_of(address, *way.route);
    hop.ifindex = key.first;
    hop.via = key.second;
    hop.preferred_source = way.route->preferred_source;
    const auto found = links_.find(key.first);
    if (found == links_.end()) {
      hop.problem = "the interface towards " + address.to_string() + " is gone";
      return hop;
    }
    const auto& link = found->second.link;
    hop.interface = link.name;
    hop.source = link.mac;
    hop.mtu = static_cast<std::uint16_t>(
        std::min({way.route->mtu ? way.route->mtu : link.mtu, link.mtu,
                  std::uint32_t{std::numeric_limits<std::uint16_t>::max()}}));
    hop.problem = link_problem(found->second);
    const auto neighbour = neighbours_.find(key);
    if (!hop.problem.empty() || neighbour == neighbours_.end())
      return hop;
    if (const auto& mac = neighbour->second.policy.mac()) {
      hop.destination = *mac;
      hop.resolved = true;
    } else {
      hop.problem = neighbour_problem(hop, link, neighbour->second);
    }
    return hop;
  }

  /// A route that went with its interface is explained by the interface.
  std::string lost_interface(const Way& way) const {
    if (way.interface.empty())
      return "";
    const auto link = std::ranges::find_if(
        links_, [&](const auto& entry) { return entry.second.link.name == way.interface; });
    if (link == links_.end())
      return "; " + way.interface + ", which led there, is gone";
    return link->second.enabled ? "" : "; " + way.interface + ", which led there, is down";
  }

  static std::string neighbour_problem(const model::NextHop& hop, const model::Link& link,
                                       const Neighbour& neighbour) {
    const auto via = hop.via.to_string();
    if (!neighbour.refusal.empty())
      return neighbour.refusal + " on " + link.name;
    if (!hop.via.is_v4() && std::ranges::none_of(link.addresses, [](const IpAddress& address) {
          return !address.is_v4() && address.is_link_local();
        }))
      return link.name +
             " has no IPv6 link-local address, and without one the kernel does not ask for " + via;
    const std::string question = hop.via.is_v4() ? "ARP" : "neighbour solicitation";
    if (neighbour.policy.phase() == NeighbourPolicy::Phase::silent)
      return via + " does not answer " + question + " on " + link.name;
    return via + " has not answered " + question + " on " + link.name + " yet";
  }

  RtNetlink requests_;
  Netlink events_;
  std::map<IpAddress, Way> ways_;  ///< exactly the watched addresses
  std::map<std::uint32_t, LinkInfo> links_;
  std::map<NeighbourKey, Neighbour> neighbours_;
  std::optional<Error> failure_;  ///< why links_ could not be read

  bool overrun_ = false;  ///< events were lost, and the queue has not been empty since

  // What events have put in doubt since the last refresh().
  bool links_changed_ = true;
  bool all_routes_changed_ = true;
  bool all_neighbours_changed_ = true;
  std::vector<model::Prefix> route_changes_;
  Clock::time_point audit_at_ = Clock::now() + audit_every;

  bool changed_ = true;  ///< topology() may differ from when process() last said so
};

}  // namespace

Result<std::unique_ptr<NextHops>> NextHops::open() {
  auto events = Netlink::open(NETLINK_ROUTE);
  if (!events)
    return fail(events.error());
  auto subscribed = events->subscribe({RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
                                       RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_RULE,
                                       RTNLGRP_IPV6_RULE, RTNLGRP_NEXTHOP, RTNLGRP_NEIGH});
  if (!subscribed)
    return fail(subscribed.error());
  auto requests = RtNetlink::open();
  if (!requests)
    return fail(requests.error());
  return std::make_unique<KernelNextHops>(std::move(*requests), std::move(*events));
}

}  // namespace sluice::kernel
