// Compares what runs with what is wanted and lines up the steps between them.
#include "planner/plan.hpp"

#include <algorithm>
#include <set>

#include "abi.h"
#include "maglev/maglev.hpp"
#include "planner/access.hpp"
#include "planner/wanted.hpp"

namespace sluice::planner {

namespace {

/// All that the front says of nat and replies besides the services: it is made anew when this
/// changes.
std::set<std::tuple<IpAddress, IpAddress, bool>> reply_addresses(const Image& image) {
  std::set<std::tuple<IpAddress, IpAddress, bool>> addresses;
  for (const auto& [key, backend] : image.backends)
    if (backend.forwarding == model::Forwarding::nat)
      addresses.emplace(backend.preserve_client_address ? key.address : IpAddress(), backend.source,
                        backend.preserve_client_address);
  return addresses;
}

/// Whom QUIC connection ids name.
std::map<std::uint16_t, std::vector<std::uint8_t>> server_ids(const Image& image) {
  std::map<std::uint16_t, std::vector<std::uint8_t>> ids;
  for (const auto& [key, backend] : image.backends)
    if (!backend.quic_server_id.empty())
      ids.emplace(backend.id, backend.quic_server_id);
  return ids;
}

/// How the pools' services are looked up: flows first, or slots at once.
std::set<std::pair<std::string, model::Forwarding>> pool_forwarding(const Image& image) {
  std::set<std::pair<std::string, model::Forwarding>> forwarding;
  for (const auto& [key, backend] : image.backends)
    forwarding.emplace(key.pool, backend.forwarding);
  return forwarding;
}

bool front_differs(const Image& before, const Image& after) {
  const auto same_range = [](const auto& a, const auto& b) {
    return a.first == b.first && a.second.base == b.second.base &&
           a.second.slots.size() == b.second.slots.size() &&
           a.second.holder_base == b.second.holder_base &&
           a.second.holders.size() == b.second.holders.size() &&
           a.second.algorithm == b.second.algorithm && a.second.affinity == b.second.affinity &&
           a.second.tracked == b.second.tracked && a.second.quic == b.second.quic;
  };
  return before.services != after.services || before.fragments != after.fragments ||
         before.access != after.access || before.idle != after.idle ||
         before.limit != after.limit ||
         !std::ranges::equal(before.tables, after.tables, same_range) ||
         reply_addresses(before) != reply_addresses(after) ||
         pool_forwarding(before) != pool_forwarding(after) ||
         server_ids(before) != server_ids(after);
}

bool holds_range(const Image& image, std::uint32_t base) {
  return std::ranges::any_of(image.tables, [&](const auto& table) {
    return !table.second.slots.empty() && table.second.base == base;
  });
}

PoolEffect effect_of(const std::string& pool, const TableImage* before, const TableImage& after,
                     const std::set<std::uint16_t>& members_after) {
  PoolEffect effect{.pool = pool, .slots = static_cast<std::uint32_t>(after.slots.size())};
  if (!before || before->slots.empty())
    return effect;
  for (const auto id : before->slots)
    effect.unavoidable += !members_after.contains(id);
  // Where backends take turns, only new flows meet the table.
  effect.moved = after.algorithm == model::Algorithm::maglev
                     ? maglev::moved(before->slots, after.slots)
                     : effect.unavoidable;
  return effect;
}

void add_table_steps(Plan& plan, const Image& running) {
  std::vector<Step> marks;
  for (const auto& [pool, table] : plan.after.tables) {
    const auto before = running.tables.find(pool);
    const bool known = before != running.tables.end();
    if (known && before->second == table)
      continue;
    if (known && before->second.slots == table.slots && before->second.base == table.base &&
        before->second.hash_functions == table.hash_functions) {
      marks.push_back(MarkSlots{pool, table});
      continue;
    }
    plan.steps.push_back(FillTable{pool, table});
    const std::set<std::uint16_t> members(table.slots.begin(), table.slots.end());
    plan.effects.push_back(effect_of(pool, known ? &before->second : nullptr, table, members));
    plan.effects.back().learning = static_cast<std::uint32_t>(std::ranges::count_if(
        table.holders, [](auto word) { return word != 0 && !(word & SL_HOLDER_PINNED); }));
  }
  std::ranges::move(marks, std::back_inserter(plan.steps));
}

/// Where the operator wants that flows follow the table at once.
void add_forget_flows_steps(Plan& plan, const Image& running, const model::Config& wanted) {
  if (wanted.maglev.rebalanceStrategy != model::Rebalance::immediate)
    return;
  for (const auto& [pool, table] : plan.after.tables) {
    const auto before = running.tables.find(pool);
    if (before != running.tables.end() && table.algorithm == model::Algorithm::maglev &&
        (before->second.slots != table.slots || !before->second.holders.empty()))
      plan.steps.push_back(ForgetFlows{pool});
  }
}

void add_forget_steps(Plan& plan, const Image& running) {
  for (const auto& [pool, table] : running.tables) {
    const auto after = plan.after.tables.find(pool);
    const bool gone = after == plan.after.tables.end();
    if (gone)
      plan.effects.push_back({.pool = pool,
                              .slots = 0,
                              .moved = static_cast<std::uint32_t>(table.slots.size()),
                              .unavoidable = static_cast<std::uint32_t>(table.slots.size())});
    if (gone || (!table.slots.empty() && !holds_range(plan.after, table.base)))
      plan.steps.push_back(
          ForgetTable{pool, table.base, static_cast<std::uint32_t>(table.slots.size())});
  }
  for (const auto& [key, backend] : running.backends)
    if (!plan.after.backends.contains(key))
      plan.steps.push_back(RemoveBackend{key, backend.id});
}

bool is_attached_anew(const Image& running, const std::string& name,
                      const InterfaceImage& interface) {
  const auto before = running.interfaces.find(name);
  return before == running.interfaces.end() || before->second.ifindex != interface.ifindex ||
         before->second.mode != interface.mode;
}

/// Does another layout of maps hold the interface as it is wanted?
bool is_taken_over(const Image& running, const std::string& name, const InterfaceImage& interface) {
  const auto inherited = running.inherited.find(name);
  return inherited != running.inherited.end() &&
         inherited->second.interface.ifindex == interface.ifindex &&
         inherited->second.interface.mode == interface.mode;
}

void add_attach_steps(Plan& plan, const Image& running) {
  // Following an MTU is none of a configuration's business: plan_fits().
  for (auto& [name, interface] : plan.after.interfaces)
    if (!is_attached_anew(running, name, interface))
      interface.jumbo = running.interfaces.at(name).jumbo;
  // What is taken over is marked by the next plan: the step for it comes before the take-over.
  for (auto& [name, interface] : plan.after.interfaces)
    if (is_attached_anew(running, name, interface) && is_taken_over(running, name, interface))
      interface.marks = false;
  for (const auto& [name, interface] : plan.after.interfaces) {
    if (is_attached_anew(running, name, interface) && !is_taken_over(running, name, interface))
      plan.steps.push_back(Attach{name, interface});
  }
  for (const auto& [name, interface] : plan.after.interfaces)
    if (interface.marks &&
        (is_attached_anew(running, name, interface) || !running.interfaces.at(name).marks))
      plan.steps.push_back(StartMarking{name});
}

/// Behind the swap: whoever is taken over must find the services there.
void add_take_over_steps(Plan& plan, const Image& running) {
  for (const auto& [name, inherited] : running.inherited) {
    const auto after = plan.after.interfaces.find(name);
    if (after == plan.after.interfaces.end() || !is_taken_over(running, name, after->second))
      continue;
    plan.steps.push_back(TakeOver{name, after->second, inherited.layout});
    plan.warnings.push_back(
        {"/xdp/interfaces",
         "the program on " + name + " keeps its maps in layout " +
             std::to_string(inherited.layout) + ", this one in layout " +
             std::to_string(SL_ABI_VERSION) +
             ": flows of nat, records of slots in transition and counters are not carried over, "
             "because their entries have another form",
         "connections of dsr-l2 and dsr-ipip go on, except on slots that are in transition; those "
         "of nat have to be opened anew"});
  }
}

void add_detach_steps(Plan& plan, const Image& running) {
  for (const auto& [name, interface] : plan.after.interfaces)
    if (!interface.marks && !is_attached_anew(running, name, interface) &&
        running.interfaces.at(name).marks)
      plan.steps.push_back(StopMarking{name});
  for (const auto& [name, interface] : running.interfaces)
    if (!plan.after.interfaces.contains(name))
      plan.steps.push_back(Detach{name});
  for (const auto& [name, inherited] : running.inherited)
    if (!plan.after.interfaces.contains(name))
      plan.steps.push_back(Detach{name});
}

}  // namespace

Result<Plan> make_plan(const Image& running, const model::Config& wanted,
                       const model::Topology& topology, const PlanOptions& options) {
  Plan plan;
  auto after = wanted_image(running, wanted, topology, options, plan.warnings);
  if (!after)
    return fail(after.error());
  plan.after = std::move(*after);

  add_attach_steps(plan, running);
  for (const auto& [key, backend] : plan.after.backends) {
    const auto before = running.backends.find(key);
    if (before == running.backends.end() || before->second != backend)
      plan.steps.push_back(PutBackend{key, backend});
  }
  add_table_steps(plan, running);
  if (const auto& access = plan.after.access; access.entries && access.list != running.access.list)
    plan.steps.push_back(FillAccessList{access, access_entries(wanted.security)});
  if (front_differs(running, plan.after))
    plan.steps.push_back(SwapFront{plan.after.services, plan.after.fragments, plan.after.access,
                                   plan.after.idle, plan.after.limit});
  add_take_over_steps(plan, running);
  add_forget_flows_steps(plan, running, wanted);
  add_forget_steps(plan, running);
  add_detach_steps(plan, running);
  return plan;
}

}  // namespace sluice::planner
