// Stand-ins for the kernel in unit tests: a data plane in memory that can be told to refuse, and
// next hops by hand.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "dataplane/dataplane.hpp"
#include "kernel/next_hops.hpp"
#include "store/store.hpp"

namespace sluice::test {

/// Holds what was applied last.
class FakeDataplane final : public dataplane::Dataplane {
 public:
  Result<planner::Image> running() override { return image; }
  Result<void> apply(const planner::Plan& plan) override {
    if (refusal)
      return fail(Code::kernel, *refusal);
    for (const auto& step : plan.steps)
      if (const auto* attach = std::get_if<planner::Attach>(&step);
          attach && attach->interface == refused_interface)
        return fail(Code::kernel, "cannot attach to " + attach->interface);
    for (const auto& step : plan.steps)
      if (const auto* replace = std::get_if<planner::ReplaceProgram>(&step))
        put(*replace);
    image = plan.after;
    applied++;
    return {};
  }
  Result<dataplane::Counters> counters() override { return counted; }
  Result<std::vector<dataplane::Attachment>> attachments() override {
    std::vector<dataplane::Attachment> attachments;
    for (const auto& [name, interface] : image.interfaces) {
      const auto found = programs.find(name);
      const auto& there = found == programs.end() ? attached : found->second;
      attachments.push_back({.interface = name,
                             .ifindex = interface.ifindex,
                             .mode = interface.mode,
                             .program = there.running,
                             .previous = there.previous,
                             .outdated = there.running.tag != attached.running.tag});
    }
    return attachments;
  }
  std::vector<dataplane::ProgramVersion> versions() const override { return known_versions; }
  bool in_transition() const override {
    return std::ranges::any_of(image.tables,
                               [](const auto& table) { return !table.second.holders.empty(); });
  }
  planner::Learned sweep(const planner::Image&) override { return learned; }
  void tick(std::uint32_t now) override { epoch = now; }

  void put(const planner::ReplaceProgram& step) {
    auto& there = programs.try_emplace(step.interface, attached).first->second;
    const auto before = there.running;
    if (step.name.empty())
      there.running = *there.previous;
    else
      there.running = {.id = ++last_id, .version = step.version, .tag = "tag of " + step.version};
    if (there.running.tag != before.tag)
      there.previous = before;
  }

  /// What an attached interface has until something else is put there.
  planner::Programs attached{.running = {.id = 42, .version = "1.0", .tag = "tag of 1.0"},
                             .previous = {}};
  planner::ProgramsByInterface programs;
  std::vector<dataplane::ProgramVersion> known_versions{
      {.name = "built-in", .version = "1.0", .problem = {}},
      {.name = "next", .version = "2.0", .problem = {}},
      {.name = "foreign", .version = "", .problem = "its maps have another layout"}};
  std::uint32_t last_id = 42;
  planner::Image image;
  dataplane::Counters counted;
  planner::Learned learned;                      ///< what a sweep finds
  std::optional<std::string> refusal;            ///< set: every apply fails with this
  std::optional<std::string> refused_interface;  ///< set: every plan that attaches it fails
  int applied = 0;
  std::uint32_t epoch = 0;
};

/// A machine with the links given; every watched address in `reachable` is resolved.
class FakeNextHops final : public kernel::NextHops {
 public:
  FakeNextHops() {
    add_link("eth0", 2, "10.0.1.2");
    add_link("eth1", 3, "10.0.2.2");
  }

  void add_link(const std::string& name, std::uint32_t index, const std::string& address) {
    model::Link link;
    link.index = index;
    link.name = name;
    link.mac = MacAddress{{2, 0, 0, 0, 0, static_cast<std::uint8_t>(index)}};
    link.mtu = 1500;
    link.up = true;
    link.addresses = {IpAddress::parse(address).value()};
    links[name] = link;
  }

  void watch(const std::set<IpAddress>& addresses) override { watched = addresses; }
  void settle(std::chrono::milliseconds) override { settled++; }
  Result<model::Topology> topology() override {
    model::Topology topology{.links = links, .next_hops = {}};
    for (const auto& address : watched) {
      model::NextHop hop;
      hop.ifindex = 2;
      hop.interface = "eth0";
      hop.via = address;
      hop.mtu = 1500;
      hop.preferred_source = IpAddress::parse(address.is_v4() ? "10.0.1.2" : "fd00:1::2").value();
      hop.source = links.contains("eth0") ? links.at("eth0").mac : MacAddress{};
      hop.resolved = !unreachable.contains(address);
      if (hop.resolved)
        hop.destination = MacAddress{{2, 0, 0, 1, 0, address.bytes()[15]}};
      else
        hop.problem = address.to_string() + " does not answer ARP on eth0";
      topology.next_hops[address] = hop;
    }
    return topology;
  }
  int fd() const override { return -1; }
  bool process() override { return std::exchange(changed, false); }

  std::map<std::string, model::Link> links;
  std::set<IpAddress> watched, unreachable;
  bool changed = false;
  int settled = 0;
};

/// Generations in memory.
class FakeStore final : public store::Store {
 public:
  Result<std::uint64_t> append(const store::Generation& generation) override {
    if (refusal)
      return fail(Code::full, *refusal);
    generations.push_back(generation);
    generations.back().number = generations.size();
    return generations.size();
  }
  Result<std::optional<store::Generation>> newest() override {
    if (generations.empty())
      return std::optional<store::Generation>();
    return std::optional(generations.back());
  }
  Result<std::vector<store::Generation>> history(std::size_t limit) override {
    std::vector<store::Generation> newest_first(generations.rbegin(), generations.rend());
    newest_first.resize(std::min(limit, newest_first.size()));
    return newest_first;
  }
  Result<std::optional<std::string>> imported_hash() override { return hash; }
  Result<void> set_imported_hash(const std::string& value) override {
    hash = value;
    return {};
  }

  std::vector<store::Generation> generations;
  std::optional<std::string> hash;
  std::optional<std::string> refusal;  ///< set: every append fails with this
};

}  // namespace sluice::test
