// A machine and a configuration for planner tests, and a data plane in memory that runs plans step
// by step and notices what packets would.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "abi.h"
#include "planner/plan.hpp"

namespace sluice::test {

/// Prime like the real sizes, and quick.
inline constexpr std::uint32_t small_table = 251;

inline IpAddress ip(const std::string& text) {
  return IpAddress::parse(text).value();
}

inline model::Backend backend(const std::string& address, std::uint16_t weight = 1) {
  model::Backend one;
  one.ip = ip(address);
  one.weight = weight;
  return one;
}

inline model::Pool pool(const std::string& name, std::vector<model::Backend> backends,
                        model::Forwarding forwarding = model::Forwarding::nat) {
  model::Pool one;
  one.name = name;
  one.forwarding = forwarding;
  one.backends = std::move(backends);
  return one;
}

inline model::Service service(const std::string& name, const std::string& address,
                              std::uint16_t port, const std::string& pool_name) {
  model::Service one;
  one.name = name;
  one.address = ip(address);
  one.port = port;
  one.pool = pool_name;
  return one;
}

/// Two interfaces, and neighbours on the second for every address that is asked for.
struct Machine {
  model::Topology topology;

  Machine() {
    add_link("eth0", 2, {"10.0.2.2", "fd00:2::2"});
    add_link("eth1", 3, {"10.0.1.2", "fd00:1::2", "fe80::2"});
    auto& lo = add_link("lo", 1, {"127.0.0.1", "::1"});
    lo.loopback = true;
  }

  model::Link& add_link(const std::string& name, std::uint32_t index,
                        const std::vector<std::string>& addresses) {
    auto& link = topology.links[name];
    link.index = index;
    link.name = name;
    link.mac = MacAddress{{2, 0, 0, 0, 0, static_cast<std::uint8_t>(index)}};
    link.mtu = 1500;
    link.up = true;
    for (const auto& address : addresses)
      link.addresses.push_back(ip(address));
    return link;
  }

  /// Resolves an address; changes to the answer are the test's.
  model::NextHop& hop(const std::string& address) {
    const auto key = ip(address);
    auto [found, fresh] = topology.next_hops.try_emplace(key);
    if (fresh) {
      const auto& link = topology.links.at("eth1");
      found->second = {.ifindex = link.index,
                       .interface = "eth1",
                       .via = key,
                       .source = link.mac,
                       .destination = MacAddress{{2, 0, 1, 0, 0, key.bytes()[15]}},
                       .preferred_source = ip(key.is_v4() ? "10.0.1.2" : "fd00:1::2"),
                       .mtu = static_cast<std::uint16_t>(link.mtu),
                       .resolved = true,
                       .problem = {}};
    }
    return found->second;
  }

  void lose(const std::string& address, const std::string& problem) {
    auto& lost = hop(address);
    lost.resolved = false;
    lost.destination = {};
    lost.problem = problem;
  }

  /// Resolves every backend that is not known yet.
  const model::Topology& towards(const model::Config& config) {
    for (const auto& one : config.l4_backends)
      hop(one.ip.to_string());
    for (const auto& each : config.pools)
      for (const auto& one : each.backends)
        hop(one.ip.to_string());
    return topology;
  }
};

/// One service over three backends, balanced on eth0.
inline model::Config web() {
  model::Config config;
  config.maglev.tableSize = small_table;
  config.pools = {pool("web", {backend("10.0.1.11"), backend("10.0.1.12"), backend("10.0.1.13")})};
  config.services = {service("web", "10.0.0.100", 80, "web")};
  config.xdp.interfaces = {{.name = "eth0", .mode = model::XdpMode::DRV}};
  return config;
}

template <class T>
std::vector<T> steps_of(const planner::Plan& plan) {
  std::vector<T> found;
  for (const auto& step : plan.steps)
    if (const auto* one = std::get_if<T>(&step))
      found.push_back(*one);
  return found;
}

inline std::string text_of(const planner::Plan& plan) {
  std::string text;
  for (const auto& step : plan.steps)
    text += planner::describe(step) + "\n";
  for (const auto& warning : plan.warnings)
    text += warning.pointer + ": " + warning.message + "\n";
  return text;
}

/// Runs plans. What packets see (`seen`) changes only with SwapFront; memory that they still see
/// must not be written or freed.
class Plane {
 public:
  planner::Image image;

  void run(const planner::Plan& plan) {
    seen_ = image;
    std::size_t kind = 0;
    for (const auto& step : plan.steps) {
      EXPECT_GE(step.index(), kind) << "out of order: " << planner::describe(step);
      kind = step.index();
      std::visit([&](const auto& one) { take(one); }, step);
    }
    for (const auto& [name, table] : image.tables)
      if (const auto after = plan.after.tables.find(name); after != plan.after.tables.end()) {
        EXPECT_TRUE(seen_.tables[name].slots.empty() ||
                    seen_.tables[name].base == after->second.base)
            << "packets still see the old table of pool " << name;
      }
    EXPECT_TRUE(image == plan.after) << "the steps do not lead to what the plan promises:\n"
                                     << text_of(plan);
    check();
  }

 private:
  /// A table's slots and their holders.
  static std::vector<std::pair<std::uint64_t, std::uint64_t>>
  ranges(const planner::TableImage& table) {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> all;
    if (!table.slots.empty())
      all.emplace_back(table.base, table.base + table.slots.size());
    if (!table.holders.empty())
      all.emplace_back(table.holder_base, table.holder_base + table.holders.size());
    return all;
  }
  static bool overlap(const planner::TableImage& a, const planner::TableImage& b) {
    for (const auto& [a_first, a_end] : ranges(a))
      for (const auto& [b_first, b_end] : ranges(b))
        if (a_first < b_end && b_first < a_end)
          return true;
    return false;
  }

  std::set<std::uint16_t> ids() const {
    std::set<std::uint16_t> all;
    for (const auto& [key, one] : image.backends)
      all.insert(one.id);
    return all;
  }

  void take(const planner::PutBackend& step) {
    for (const auto& [key, one] : image.backends)
      EXPECT_FALSE(one.id == step.backend.id && key != step.key)
          << "id " << one.id << " is still the one of "
          << endpoint_to_string(key.address, key.port);
    EXPECT_GT(step.backend.id, 0) << "id 0 names an empty slot";
    EXPECT_LT(step.backend.id, SL_MAX_BACKENDS);
    image.backends[step.key] = step.backend;
  }
  void take(const planner::FillTable& step) {
    const auto known = ids();
    for (const auto id : step.table.slots)
      ASSERT_TRUE(known.contains(id) || (id == 0 && !step.table.holders.empty()))
          << "a slot names backend " << id << ", which is not written";
    EXPECT_LE(step.table.base + step.table.slots.size(), SL_SLOT_ARENA);
    for (const auto& tables : {seen_.tables, image.tables})
      for (const auto& [name, table] : tables)
        EXPECT_FALSE(overlap(table, step.table))
            << "the new table of " << step.pool << " is written over one of " << name;
    image.tables[step.pool] = step.table;
  }
  void take(const planner::MarkSlots& step) {
    auto& table = image.tables.at(step.pool);
    EXPECT_EQ(table.slots, step.table.slots) << "owners may not change in place";
    EXPECT_EQ(table.base, step.table.base);
    if (!step.table.holders.empty()) {
      EXPECT_EQ(table.holder_base, step.table.holder_base);
    }
    table = step.table;
  }
  void take(const planner::SwapFront& step) {
    image.services = step.services;
    image.fragments = step.fragments;
    EXPECT_TRUE(step.access.entries == 0 || step.access.list == filled_list_)
        << "an access list counts that was not filled";
    image.access = step.access;
    image.idle = step.idle;
    image.limit = step.limit;
    seen_.tables = image.tables;
    seen_.services = image.services;
  }
  void take(const planner::FillAccessList& step) {
    EXPECT_TRUE(image.access.entries == 0 || step.access.list != image.access.list)
        << "the access list that counts is written over";
    filled_list_ = step.access.list;
  }
  void take(const planner::ForgetFlows& step) { EXPECT_TRUE(image.tables.contains(step.pool)); }
  void take(const planner::ForgetTable& step) {
    if (const auto held = image.tables.find(step.pool); held != image.tables.end() &&
                                                        held->second.base == step.base &&
                                                        held->second.slots.size() == step.slots)
      image.tables.erase(held);
    if (step.slots == 0)
      return;  // the pool had no memory to free
    for (const auto& [key, one] : seen_.services)
      if (const auto table = seen_.tables.find(one.pool);
          table != seen_.tables.end() && !table->second.slots.empty()) {
        EXPECT_NE(table->second.base, step.base)
            << "service " << one.name << " still points to a table that is freed";
      }
  }
  void take(const planner::RemoveBackend& step) {
    EXPECT_EQ(image.backends.at(step.key).id, step.id);
    for (const auto& [key, one] : seen_.services)
      if (const auto table = seen_.tables.find(one.pool); table != seen_.tables.end()) {
        EXPECT_EQ(std::ranges::count(table->second.slots, step.id), 0)
            << "a slot of " << one.pool << " still names the removed backend " << step.id;
      }
    image.backends.erase(step.key);
  }
  void take(const planner::Detach& step) {
    EXPECT_EQ(image.interfaces.erase(step.interface) + image.inherited.erase(step.interface), 1u)
        << step.interface << " is not attached";
  }
  void take(const planner::TakeOver& step) {
    EXPECT_EQ(image.inherited.at(step.interface),
              (planner::InheritedImage{step.image, step.layout}))
        << "nobody else holds " << step.interface;
    image.inherited.erase(step.interface);
    image.interfaces[step.interface] = step.image;
  }
  void take(const planner::ReplaceProgram& step) {
    EXPECT_TRUE(image.interfaces.contains(step.interface)) << step.interface << " is not attached";
  }
  void take(const planner::FitProgram& step) {
    EXPECT_NE(image.interfaces.at(step.interface).jumbo, step.jumbo);
    image.interfaces.at(step.interface).jumbo = step.jumbo;
  }
  void take(const planner::Attach& step) {
    EXPECT_FALSE(image.inherited.contains(step.interface)) << step.interface << " is held already";
    const auto there = image.interfaces.find(step.interface);
    EXPECT_TRUE(there == image.interfaces.end() || there->second.ifindex != step.image.ifindex ||
                there->second.mode != step.image.mode)
        << step.interface << " is attached already";
    image.interfaces[step.interface] = step.image;
    image.interfaces[step.interface].marks = false;
  }
  void take(const planner::StartMarking& step) {
    EXPECT_FALSE(image.interfaces.at(step.interface).marks) << step.interface << " marks already";
    image.interfaces.at(step.interface).marks = true;
  }
  void take(const planner::StopMarking& step) {
    EXPECT_TRUE(image.interfaces.at(step.interface).marks) << step.interface << " does not mark";
    EXPECT_TRUE(image.limit.mark == 0 || !is_limited())
        << "packets pass that " << step.interface << " does not mark any more";
    image.interfaces.at(step.interface).marks = false;
  }
  bool is_limited() const {
    return image.limit.rate != planner::RateImage{} ||
           std::ranges::any_of(image.backends, [](const auto& one) {
             return one.second.limit != planner::RateImage{};
           });
  }

  /// What must hold of every image.
  void check() const {
    const auto known = ids();
    EXPECT_EQ(known.size(), image.backends.size()) << "two backends have one id";
    std::set<std::uint16_t> service_ids;
    for (const auto& [key, one] : image.services)
      EXPECT_TRUE(service_ids.insert(one.id).second && one.id != 0) << "service id " << one.id;
    for (auto a = image.tables.begin(); a != image.tables.end(); ++a) {
      for (const auto id : a->second.slots)
        ASSERT_TRUE(known.contains(id) || (id == 0 && !a->second.holders.empty()))
            << "a slot of " << a->first << " names nobody: " << id;
      for (auto b = std::next(a); b != image.tables.end(); ++b)
        EXPECT_FALSE(overlap(a->second, b->second)) << a->first << " and " << b->first;
    }
  }

  planner::Image seen_;
  std::uint32_t filled_list_ = 7;  // none yet
};

}  // namespace sluice::test
