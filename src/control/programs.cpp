// The part of the controller that puts other versions of the program on interfaces.
#include <spdlog/spdlog.h>

#include <algorithm>

#include "control/controller.hpp"

namespace sluice::control {

namespace {

std::string in_words(const planner::Program& program) {
  return (program.version.empty() ? "of unknown version" : "version " + program.version) +
         (program.multi_buffer ? ", multi-buffer" : "") +
         (program.tag.empty() ? "" : ", tag " + program.tag) + ", id " + std::to_string(program.id);
}

}  // namespace

/// It is not replaced unasked: a restart must change nothing for packets, and who rolled a program
/// back does not want it again.
void Controller::say_what_is_outdated() {
  auto attachments = dataplane_.attachments();
  if (!attachments)
    return;
  for (const auto& attachment : *attachments)
    if (attachment.outdated)
      spdlog::warn(
          "the program on {} is {}, not the one that this sluiced brings; it goes on as it "
          "is, 'sluicectl program reload {}' replaces it in place",
          attachment.interface, in_words(attachment.program), attachment.interface);
}

Result<void> Controller::fit_programs(const model::Topology& topology) {
  auto running = dataplane_.running();
  if (!running)
    return fail(running.error());
  std::string refused;
  for (const auto& plan : planner::plan_fits(*running, topology)) {
    const auto applied = dataplane_.apply(plan);
    if (!applied) {
      refused += (refused.empty() ? "" : "; ") + applied.error().message;
      continue;
    }
    const auto programs = programs_by_interface();
    for (const auto& step : plan.steps) {
      spdlog::info("following the kernel: {}", planner::describe(step));
      if (const auto* fitted = std::get_if<planner::FitProgram>(&step);
          programs && fitted && programs->contains(fitted->interface))
        spdlog::info("the program on {} is now {}", fitted->interface,
                     in_words(programs->at(fitted->interface).running));
    }
  }
  if (!refused.empty())
    return fail(Code::kernel, refused);
  return {};
}

Result<ProgramsState> Controller::programs() {
  auto attachments = dataplane_.attachments();
  if (!attachments)
    return fail(attachments.error());
  return ProgramsState{dataplane_.versions(), std::move(*attachments)};
}

Result<planner::ProgramsByInterface> Controller::programs_by_interface() {
  auto attachments = dataplane_.attachments();
  if (!attachments)
    return fail(attachments.error());
  planner::ProgramsByInterface programs;
  for (auto& attachment : *attachments)
    programs.emplace(attachment.interface, planner::Programs{std::move(attachment.program),
                                                             std::move(attachment.previous)});
  return programs;
}

Result<Change> Controller::reload_programs(const std::optional<std::string>& interface,
                                           const std::string& version,
                                           const ChangeOptions& options) {
  const auto versions = dataplane_.versions();
  const auto found = std::ranges::find(versions, version, &dataplane::ProgramVersion::name);
  if (found == versions.end()) {
    std::string all;
    for (const auto& one : versions)
      all += (all.empty() ? "" : ", ") + one.name;
    return fail(Code::not_found, "there is no program version '" + version + "'; there is: " + all);
  }
  if (!found->problem.empty())
    return fail(Code::unsupported, found->problem);
  return replace(
      [&](const planner::Image& running, const planner::ProgramsByInterface& programs) {
        return planner::plan_reload(running, programs, interface, version, found->version);
      },
      options);
}

Result<Change> Controller::roll_back_programs(const std::optional<std::string>& interface,
                                              const ChangeOptions& options) {
  return replace(
      [&](const planner::Image& running, const planner::ProgramsByInterface& programs) {
        return planner::plan_rollback(running, programs, interface);
      },
      options);
}

Result<Change> Controller::replace(const PlanPrograms& make, const ChangeOptions& options) {
  if (auto current = check_generation(options); !current)
    return fail(current.error());
  auto running = dataplane_.running();
  if (!running)
    return fail(running.error());
  auto there = programs_by_interface();
  if (!there)
    return fail(there.error());
  auto plan = make(*running, *there);
  if (!plan)
    return fail(plan.error());
  Change change{generation_, !options.dry_run, std::move(*plan)};
  if (options.dry_run)
    return change;
  if (auto applied = dataplane_.apply(change.plan); !applied) {
    spdlog::error("programs stay as they are, {} wanted to change them: {}", options.actor,
                  applied.error().message);
    return fail(applied.error());
  }
  for (const auto& step : change.plan.steps)
    spdlog::info("by {}: {}{}{}", options.actor, planner::describe(step),
                 options.reason.empty() ? "" : ", ", options.reason);
  if (auto programs = programs_by_interface())
    for (const auto& step : change.plan.steps)
      if (const auto* replaced = std::get_if<planner::ReplaceProgram>(&step);
          replaced && programs->contains(replaced->interface))
        spdlog::info("the program on {} is now {}", replaced->interface,
                     in_words(programs->at(replaced->interface).running));
  return change;
}

}  // namespace sluice::control
