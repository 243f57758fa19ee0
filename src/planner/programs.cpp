#include "planner/programs.hpp"

namespace sluice::planner {

namespace {

/// The interface that is named, or all; there is at least one.
Result<ProgramsByInterface> chosen(const ProgramsByInterface& programs,
                                   const std::optional<std::string>& interface) {
  if (!interface) {
    if (programs.empty())
      return fail(Code::not_found, "no interface has a program; see: sluicectl attach --help");
    return programs;
  }
  const auto found = programs.find(*interface);
  if (found == programs.end())
    return fail(Code::not_found, "nothing is attached to " + *interface);
  return ProgramsByInterface{*found};
}

Plan plan_of(const Image& running) {
  Plan plan;
  plan.after = running;
  return plan;
}

}  // namespace

Result<Plan> plan_reload(const Image& running, const ProgramsByInterface& programs,
                         const std::optional<std::string>& interface, const std::string& name,
                         const std::string& version) {
  auto interfaces = chosen(programs, interface);
  if (!interfaces)
    return fail(interfaces.error());
  auto plan = plan_of(running);
  for (const auto& [one, there] : *interfaces)
    plan.steps.push_back(ReplaceProgram{one, name, version});
  return plan;
}

std::vector<Plan> plan_fits(const Image& running, const model::Topology& topology) {
  std::vector<Plan> plans;
  for (const auto& [name, interface] : running.interfaces) {
    const auto link = topology.links.find(name);
    if (link == topology.links.end() || link->second.index != interface.ifindex)
      continue;
    const bool jumbo = is_jumbo(interface.mode, link->second.mtu);
    if (jumbo == interface.jumbo)
      continue;
    auto plan = plan_of(running);
    plan.steps.push_back(FitProgram{name, link->second.mtu, jumbo});
    plan.after.interfaces.at(name).jumbo = jumbo;
    plans.push_back(std::move(plan));
  }
  return plans;
}

Result<Plan> plan_rollback(const Image& running, const ProgramsByInterface& programs,
                           const std::optional<std::string>& interface) {
  auto interfaces = chosen(programs, interface);
  if (!interfaces)
    return fail(interfaces.error());
  auto plan = plan_of(running);
  for (const auto& [one, there] : *interfaces)
    if (there.previous)
      plan.steps.push_back(ReplaceProgram{one, "", there.previous->version});
  if (plan.empty())
    return fail(Code::invalid,
                "there is no program to go back to" + (interface ? " on " + *interface : "") +
                    ": since it was attached no other version has been there; 'sluicectl program "
                    "reload --version NAME' puts one there");
  return plan;
}

}  // namespace sluice::planner
