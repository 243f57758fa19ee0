#include "control/controller.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>

#include "base/text.hpp"
#include "codec/codec.hpp"
#include "model/document.hpp"
#include "model/layout.hpp"
#include "model/validate.hpp"

namespace sluice::control {

namespace {

using namespace std::chrono_literals;

/// How long a change waits for the neighbours of backends that it brings in. A neighbour on the
/// same link answers within a few ms; one that does not is taken up when it does.
constexpr auto patience_for_new_backends = 1000ms;
/// After a failed attempt to converge the next one waits, so that a broken interface does not keep
/// the strand busy.
constexpr auto retry_after = 5s;
/// While slots are in transition their records are looked at this often.
constexpr auto sweep_every = 5s;

std::set<IpAddress> backend_addresses(const model::Config& config) {
  std::set<IpAddress> addresses;
  for (const auto& backend : config.l4_backends)
    addresses.insert(backend.ip);
  for (const auto& pool : config.pools)
    for (const auto& backend : pool.backends)
      addresses.insert(backend.ip);
  return addresses;
}

std::int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

/// Monotonic, as the packet path's own clock is: a wall clock that is set must not end flows.
std::uint32_t uptime_seconds() {
  return static_cast<std::uint32_t>(std::chrono::steady_clock::now().time_since_epoch() / 1s);
}

/// The machine as validation sees it: an interface that the running configuration names already may
/// vanish without making every other change impossible.
model::Topology with_configured_interfaces(model::Topology topology, const model::Config& config) {
  for (const auto& interface : config.xdp.interfaces)
    if (auto [link, missing] = topology.links.try_emplace(interface.name); missing)
      link->second.name = interface.name;
  return topology;
}

}  // namespace

Controller::Controller(dataplane::Dataplane& dataplane, store::Store& store,
                       kernel::NextHops& next_hops)
    : dataplane_(dataplane), store_(store), next_hops_(next_hops) {}

Result<void> Controller::start() {
  auto running = dataplane_.running();
  if (!running)
    return fail(running.error());
  adopted_ =
      !running->interfaces.empty() || !running->services.empty() || !running->inherited.empty();

  auto newest = store_.newest();
  if (!newest)
    return fail(newest.error());
  if (!*newest) {
    if (adopted_)
      drift_ = "a data plane is running, but no configuration is stored; it is left as it is until "
               "a configuration is put";
    return {};
  }
  auto document = codec::parse((*newest)->config);
  auto config = document ? model::read_document(*document) : fail(document.error());
  if (!config)
    return fail(config.error().code,
                "the stored configuration (generation " + std::to_string((*newest)->number) +
                    ") does not load: " + config.error().message,
                config.error().faults);
  config_ = std::move(*config);
  generation_ = (*newest)->number;
  auto topology = look(config_, patience_for_new_backends);
  if (!topology)
    return fail(topology.error());
  heal(*topology);
  say_what_is_outdated();
  return {};
}

Result<model::Topology> Controller::look(const model::Config& wanted,
                                         std::chrono::milliseconds patience) {
  auto addresses = backend_addresses(wanted);
  addresses.merge(backend_addresses(config_));
  next_hops_.watch(addresses);
  if (patience > 0ms)
    next_hops_.settle(patience);
  return next_hops_.topology();
}

Result<planner::Plan> Controller::plan_towards(const model::Config& wanted,
                                               const model::Topology& topology) {
  auto running = dataplane_.running();
  if (!running)
    return fail(running.error());
  return planner::make_plan(*running, wanted, topology,
                            {.tolerate_missing_interfaces = true, .now = uptime_seconds()});
}

Result<void> Controller::check_generation(const ChangeOptions& options) const {
  if (options.if_match && *options.if_match != generation_)
    return fail(Code::stale, "the configuration is at generation " + std::to_string(generation_) +
                                 ", not " + std::to_string(*options.if_match) +
                                 "; read it again and repeat the change");
  return {};
}

Result<Change> Controller::change(const Edit& edit, const ChangeOptions& options) {
  if (auto current = check_generation(options); !current)
    return fail(current.error());
  auto wanted = edit(config_);
  if (!wanted)
    return fail(wanted.error());

  const auto old_addresses = backend_addresses(config_);
  const bool new_addresses = !std::ranges::includes(old_addresses, backend_addresses(*wanted));
  auto change = attempt(*wanted, options, new_addresses ? patience_for_new_backends : 0ms);
  next_hops_.watch(backend_addresses(config_));
  return change;
}

Result<Change> Controller::attempt(model::Config wanted, const ChangeOptions& options,
                                   std::chrono::milliseconds patience) {
  // Faults that need no look at the network are told before anything is waited for.
  auto known = next_hops_.topology();
  if (!known)
    return fail(known.error());
  if (auto faults = model::validate(wanted, with_configured_interfaces(*known, config_));
      !faults.empty())
    return faulty("the configuration", std::move(faults));
  model::distribute_backends(wanted);  // of entries of l4_backends that name another pool

  auto topology = look(wanted, patience);
  if (!topology)
    return fail(topology.error());
  auto plan = plan_towards(wanted, *topology);
  if (!plan)
    return fail(plan.error());
  Change change{generation_, !options.dry_run, std::move(*plan)};
  const bool same = wanted == config_ && generation_ != 0;
  if (options.dry_run || (same && change.plan.empty()))
    return change;

  // All that wants much memory comes before the first write: where it is short nothing has changed.
  store::Generation generation{.number = 0,
                               .time_ms = now_ms(),
                               .actor = options.actor,
                               .reason = options.reason,
                               .config = boost::json::serialize(model::write_document(wanted))};
  if (auto applied = dataplane_.apply(change.plan); !applied)
    return fail(applied.error());
  if (same)
    return change;

  auto number = store_.append(generation);
  if (!number) {
    // What cannot be kept is not accepted: the data plane goes back to the stored configuration.
    auto back = plan_towards(config_, *topology);
    if (!back || !dataplane_.apply(*back))
      drift_ = "a change that could not be stored could not be taken back either";
    return fail(number.error());
  }
  config_ = std::move(wanted);
  generation_ = *number;
  drift_.clear();
  change.generation = generation_;
  spdlog::info("generation {} by {}: {}{}{}", generation_, options.actor,
               counted(change.plan.steps.size(), "step"), options.reason.empty() ? "" : ", ",
               options.reason);
  for (const auto& step : change.plan.steps)
    spdlog::debug("  {}", planner::describe(step));
  for (const auto& warning : change.plan.warnings)
    spdlog::warn("{}: {}", warning.pointer, warning.message);
  return change;
}

Result<model::Topology> Controller::topology() {
  auto topology = next_hops_.topology();
  if (!topology)
    return fail(topology.error());
  return with_configured_interfaces(std::move(*topology), config_);
}

Result<planner::Plan> Controller::pending() {
  auto topology = next_hops_.topology();
  if (!topology)
    return fail(topology.error());
  return plan_towards(config_, *topology);
}

Result<void> Controller::follow(const model::Config& wanted, const model::Topology& topology) {
  auto plan = plan_towards(wanted, topology);
  if (!plan)
    return fail(plan.error());
  auto applied = dataplane_.apply(*plan);
  if (!applied)
    return applied;
  for (const auto& step : plan->steps)
    spdlog::info("following the kernel: {}", planner::describe(step));
  // What taking over costs is in the warnings.
  if (std::ranges::any_of(plan->steps, [](const planner::Step& step) {
        return std::holds_alternative<planner::TakeOver>(step);
      }))
    for (const auto& warning : plan->warnings)
      spdlog::warn("{}; {}", warning.message, warning.suggestion);
  return applied;
}

Result<void> Controller::converge(const model::Topology& topology) {
  auto running = dataplane_.running();
  if (!running)
    return fail(running.error());
  auto wanted = config_;
  wanted.xdp.interfaces.clear();
  std::vector<model::XdpInterface> missing;
  for (const auto& interface : config_.xdp.interfaces) {
    auto there = running->interfaces;
    for (const auto& [name, inherited] : running->inherited)
      there.emplace(name, inherited.interface);
    const auto found = there.find(interface.name);
    if (found != there.end())
      wanted.xdp.interfaces.push_back({interface.name, found->second.mode});
    if (found == there.end() || found->second.mode != interface.mode)
      missing.push_back(interface);
  }
  if (auto followed = follow(wanted, topology); !followed)
    return followed;

  std::string refused;
  for (const auto& interface : missing) {
    auto with = wanted;
    std::erase_if(with.xdp.interfaces,
                  [&](const auto& other) { return other.name == interface.name; });
    with.xdp.interfaces.push_back(interface);
    if (auto followed = follow(with, topology))
      wanted = std::move(with);
    else
      refused += (refused.empty() ? "" : "; ") + followed.error().message;
  }
  if (const auto fitted = fit_programs(topology); !fitted)
    refused += (refused.empty() ? "" : "; ") + fitted.error().message;
  if (!refused.empty())
    return fail(Code::kernel, refused);
  return {};
}

void Controller::heal(const model::Topology& topology) {
  const auto healed = converge(topology);
  if (healed) {
    drift_.clear();
    return;
  }
  if (drift_ != healed.error().message)
    spdlog::error("the data plane is not what generation {} wants: {}", generation_,
                  healed.error().message);
  drift_ = healed.error().message;
  retry_at_ = std::chrono::steady_clock::now() + retry_after;
}

void Controller::tick() {
  dataplane_.tick(uptime_seconds());
  advance_transitions();
  const bool moved = next_hops_.process();
  const bool retry = !drift_.empty() && std::chrono::steady_clock::now() >= retry_at_;
  if (generation_ == 0 || (!moved && !retry))
    return;
  if (auto topology = next_hops_.topology())
    heal(*topology);
  else
    spdlog::error("the kernel's routes and links cannot be read: {}", topology.error().message);
}

void Controller::advance_transitions() {
  if (generation_ == 0 || std::chrono::steady_clock::now() < sweep_at_ ||
      !dataplane_.in_transition())
    return;
  sweep_at_ = std::chrono::steady_clock::now() + sweep_every;
  auto running = dataplane_.running();
  auto topology = next_hops_.topology();
  if (!running || !topology)
    return;  // converging will say so
  const auto learned = dataplane_.sweep(*running);
  auto plan = planner::make_plan(
      *running, config_, *topology,
      {.tolerate_missing_interfaces = true, .now = uptime_seconds(), .learned = &learned});
  const auto applied = plan ? dataplane_.apply(*plan) : fail(plan.error());
  if (!applied)
    spdlog::error("slots in transition stay as they are: {}", applied.error().message);
  else
    for (const auto& step : plan->steps)
      spdlog::info("tables settle: {}", planner::describe(step));
}

Result<State> Controller::state() {
  auto image = dataplane_.running();
  if (!image)
    return fail(image.error());
  auto topology = next_hops_.topology();
  if (!topology)
    return fail(topology.error());
  auto attachments = dataplane_.attachments();
  if (!attachments)
    return fail(attachments.error());

  State state{.generation = generation_,
              .started = started_,
              .adopted = adopted_,
              .drift = drift_,
              .interfaces = {},
              .image = std::move(*image),
              .topology = std::move(*topology)};
  for (const auto& wanted : config_.xdp.interfaces) {
    InterfaceState interface{
        .name = wanted.name, .mode = wanted.mode, .program = {}, .problem = {}};
    const auto found =
        std::ranges::find(*attachments, wanted.name, &dataplane::Attachment::interface);
    if (found != attachments->end()) {
      interface.attached = true;
      interface.program = found->program;
      interface.outdated = found->outdated;
    } else if (!state.topology.links.contains(wanted.name)) {
      interface.problem = "there is no interface " + wanted.name;
    } else {
      interface.problem = drift_.empty() ? "not attached yet" : drift_;
    }
    state.interfaces.push_back(std::move(interface));
  }
  return state;
}

}  // namespace sluice::control
