#include "api/convert.hpp"

#include <algorithm>

#include "api/figures.hpp"
#include "planner/phases.hpp"

namespace sluice::api {

namespace {

std::int64_t ms(std::chrono::system_clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

std::optional<std::string> known(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional(text);
}

/// Fills the counters of any view that has them.
template <class View>
void set_traffic(View& view, const dataplane::Traffic& traffic) {
  view.packets = traffic.packets;
  view.bytes = traffic.bytes;
  view.replyPackets = traffic.reply_packets;
  view.replyBytes = traffic.reply_bytes;
  view.opened = traffic.opened;
  view.closed = traffic.closed;
  view.dropped = traffic.dropped;
  view.unresolved = traffic.unresolved;
}

template <class Map, class Key>
dataplane::Traffic traffic_of(const Map& map, const Key& key) {
  const auto found = map.find(key);
  return found == map.end() ? dataplane::Traffic{} : found->second;
}

planner::BackendKey key_of(const std::string& pool, const model::Backend& backend) {
  return {pool, backend.ip, backend.port.value_or(0)};
}

/// Can packets be sent there now?
bool is_resolved(const control::State& state, const planner::BackendKey& key) {
  const auto running = state.image.backends.find(key);
  return running != state.image.backends.end() && running->second.resolved;
}

/// Why the way to a backend is not known.
std::optional<std::string> problem_of(const control::State& state, const model::Backend& backend) {
  const auto hop = state.topology.next_hops.find(backend.ip);
  return hop == state.topology.next_hops.end() ? std::nullopt : known(hop->second.problem);
}

InterfaceStats interface_stats(const std::string& name,
                               const std::vector<dataplane::VerdictCount>& verdicts,
                               const dataplane::Timing& timing) {
  InterfaceStats stats{.interface = name, .verdicts = {}, .timing = timing_view(timing)};
  for (const auto& verdict : verdicts) {
    stats.packets += verdict.count.packets;
    stats.bytes += verdict.count.bytes;
    stats.verdicts.push_back(
        {verdict.verdict, verdict.reason, verdict.count.packets, verdict.count.bytes});
  }
  return stats;
}

ProgramView program_view(const planner::Program& program) {
  return {.id = program.id,
          .version = known(program.version),
          .tag = program.tag,
          .loadedMs = ms(program.loaded),
          .multiBuffer = program.multi_buffer};
}

}  // namespace

std::int64_t now_ms() {
  return ms(std::chrono::system_clock::now());
}

std::string flat_id(const planner::BackendKey& key) {
  const auto id = endpoint_to_string(key.address, key.port);
  return key.pool == model::default_pool ? id : key.pool + "/" + id;
}

ChangeReply view_of(const control::Change& change) {
  ChangeReply reply{.generation = change.generation, .applied = change.applied, .plan = {}};
  reply.plan.empty = change.plan.empty();
  for (const auto& step : change.plan.steps)
    reply.plan.steps.push_back(planner::describe(step));
  for (const auto& effect : change.plan.effects)
    reply.plan.effects.push_back(
        {effect.pool, effect.slots, effect.moved, effect.unavoidable, effect.learning});
  for (const auto& warning : change.plan.warnings)
    reply.plan.warnings.push_back({warning.pointer, warning.message, warning.suggestion});
  return reply;
}

StatsView stats_view(const model::Config& config, const dataplane::Counters& counters) {
  const auto& tracking = counters.tracking;
  StatsView view{
      .timestamp = now_ms(),
      .totals = {},
      .tracking = {tracking.looked_up, tracking.recorded, tracking.refused, tracking.untracked},
      .errors = packet_errors(counters),
      .interfaces = {},
      .services = {},
      .backends = {}};
  for (const auto& [name, verdicts] : counters.interfaces) {
    const auto timing = counters.timing.find(name);
    view.interfaces.push_back(interface_stats(
        name, verdicts, timing == counters.timing.end() ? dataplane::Timing{} : timing->second));
    view.totals.packets += view.interfaces.back().packets;
    view.totals.bytes += view.interfaces.back().bytes;
    for (const auto& verdict : verdicts)
      if (verdict.verdict == "drop" || verdict.verdict == "aborted")
        view.totals.drops += verdict.count.packets;
  }
  for (const auto& service : config.services) {
    ServiceStats stats{.name = service.name,
                       .address = service.address,
                       .port = service.port,
                       .portEnd = service.portEnd,
                       .protocol = service.protocol,
                       .pool = service.pool};
    set_traffic(stats, traffic_of(counters.services, planner::key_of(service)));
    view.services.push_back(std::move(stats));
  }
  for (const auto& pool : model::effective_pools(config))
    for (const auto& backend : pool.backends) {
      const auto key = key_of(pool.name, backend);
      BackendStats stats{
          .id = flat_id(key), .pool = pool.name, .ip = backend.ip, .port = backend.port};
      const auto traffic = traffic_of(counters.backends, key);
      set_traffic(stats, traffic);
      stats.activeConnections = traffic.active;
      if (const auto error = unreachable_error(stats))
        view.errors.push_back(*error);
      view.backends.push_back(std::move(stats));
    }
  for (const auto& error : view.errors)
    add_error(view.totals, error);
  return view;
}

StatusView status_view(const model::Config& config, const control::State& state) {
  StatusView view{.version = SLUICE_VERSION,
                  .generation = state.generation,
                  .startedMs = ms(state.started),
                  .uptimeMs = now_ms() - ms(state.started),
                  .adopted = state.adopted,
                  .drift = state.drift,
                  .interfaces = {},
                  .unroutable = {}};
  for (const auto& interface : state.interfaces) {
    InterfaceStatus status{.name = interface.name,
                           .mode = interface.mode,
                           .attached = interface.attached,
                           .programId = interface.program.id,
                           .programVersion = known(interface.program.version),
                           .outdated = interface.outdated,
                           .problem = {}};
    if (!interface.problem.empty())
      status.problem = interface.problem;
    view.interfaces.push_back(std::move(status));
  }
  view.services = static_cast<std::uint32_t>(config.services.size());
  for (const auto& pool : model::effective_pools(config)) {
    view.pools++;
    view.backends += static_cast<std::uint32_t>(pool.backends.size());
    for (const auto& backend : pool.backends) {
      const auto key = key_of(pool.name, backend);
      if (!backend.enabled)
        continue;
      if (is_resolved(state, key))
        view.backendsActive++;
      else
        view.unroutable.push_back(
            {.id = flat_id(key), .pool = pool.name, .problem = problem_of(state, backend)});
    }
  }
  return view;
}

ProgramsReply programs_view(const control::ProgramsState& state) {
  ProgramsReply reply;
  for (const auto& attachment : state.attachments) {
    InterfaceProgramView view{.interface = attachment.interface,
                              .mode = attachment.mode,
                              .outdated = attachment.outdated,
                              .program = program_view(attachment.program),
                              .previous = {}};
    if (attachment.previous)
      view.previous = program_view(*attachment.previous);
    reply.interfaces.push_back(std::move(view));
  }
  for (const auto& version : state.versions)
    reply.versions.push_back({version.name, version.version, known(version.problem)});
  return reply;
}

std::vector<InterfaceView> interface_views(const control::State& state) {
  std::vector<InterfaceView> views;
  for (const auto& [name, link] : state.topology.links) {
    InterfaceView view{.name = name,
                       .index = link.index,
                       .mac = link.mac.to_string(),
                       .mtu = link.mtu,
                       .state = link.up ? LinkState::up : LinkState::down,
                       .addresses = {},
                       .attached = {}};
    for (const auto& address : link.addresses)
      view.addresses.push_back(address.to_string());
    if (const auto running = state.image.interfaces.find(name);
        running != state.image.interfaces.end()) {
      const auto known = std::ranges::find(state.interfaces, name, &control::InterfaceState::name);
      view.attached = AttachedView{.mode = running->second.mode};
      if (known != state.interfaces.end()) {
        view.attached->programId = known->program.id;
        view.attached->multiBuffer = known->program.multi_buffer;
      }
    }
    views.push_back(std::move(view));
  }
  return views;
}

std::vector<BackendView> backend_views(const model::EffectivePool& pool,
                                       const control::State& state,
                                       const dataplane::Counters& counters) {
  std::map<std::uint16_t, std::uint32_t> slots;
  if (const auto table = state.image.tables.find(pool.name); table != state.image.tables.end())
    for (const auto id : table->second.slots)
      slots[id]++;
  std::vector<BackendView> views;
  for (const auto& backend : pool.backends) {
    const auto key = key_of(pool.name, backend);
    BackendView view{.id = endpoint_to_string(key.address, key.port),
                     .pool = pool.name,
                     .ip = backend.ip,
                     .port = backend.port,
                     .weight = backend.weight,
                     .enabled = backend.enabled,
                     .drain = backend.drain,
                     .maxConnections = backend.maxConnections,
                     .quicServerId = backend.quicServerId,
                     .label = backend.label,
                     .tags = backend.tags,
                     .datacenter = backend.datacenter,
                     .rack = backend.rack,
                     .problem = {},
                     .stats = {}};
    const auto running = state.image.backends.find(key);
    const bool resolved = is_resolved(state, key);
    view.state = !backend.enabled ? BackendState::disabled
                 : !resolved      ? BackendState::unroutable
                 : backend.drain  ? BackendState::draining
                                  : BackendState::active;
    if (running != state.image.backends.end())
      view.slots = slots[running->second.id];
    if (!resolved)
      view.problem = problem_of(state, backend);
    const auto traffic = traffic_of(counters.backends, key);
    set_traffic(view.stats, traffic);
    view.activeConnections = traffic.active;
    views.push_back(std::move(view));
  }
  return views;
}

PoolView pool_view(const model::EffectivePool& pool, const control::State& state,
                   const dataplane::Counters& counters) {
  transition::Summary slots;
  if (const auto table = state.image.tables.find(pool.name); table != state.image.tables.end())
    slots = transition::summarize(planner::unpack(table->second, 0));
  return {.name = pool.name,
          .forwarding = pool.forwarding,
          .preserveClientAddress = pool.preserve_client_address,
          .algorithm = pool.algorithm,
          .connectionTracking = pool.tracking,
          .affinity = pool.affinity,
          .slotsLearning = slots.learning,
          .slotsPinned = slots.pinned,
          .tableSize = pool.table_size,
          .hashFunctions = pool.hash_functions,
          .quic = pool.quic,
          .backends = backend_views(pool, state, counters)};
}

ServiceView service_view(const model::Service& service, const dataplane::Counters& counters) {
  ServiceView view{.name = service.name,
                   .address = service.address,
                   .port = service.port,
                   .portEnd = service.portEnd,
                   .protocol = service.protocol,
                   .pool = service.pool,
                   .enabled = service.enabled,
                   .answerEcho = service.answerEcho,
                   .stats = {}};
  set_traffic(view.stats, traffic_of(counters.services, planner::key_of(service)));
  return view;
}

}  // namespace sluice::api
