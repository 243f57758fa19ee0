// From the controller's values to what goes over the wire.
#pragma once

#include "api/views.hpp"
#include "control/controller.hpp"

namespace sluice::api {

ChangeReply view_of(const control::Change& change);
StatsView stats_view(const model::Config& config, const dataplane::Counters& counters);
StatusView status_view(const model::Config& config, const control::State& state);
ProgramsReply programs_view(const control::ProgramsState& state);
std::vector<InterfaceView> interface_views(const control::State& state);
std::vector<BackendView> backend_views(const model::EffectivePool& pool,
                                       const control::State& state,
                                       const dataplane::Counters& counters);
PoolView pool_view(const model::EffectivePool& pool, const control::State& state,
                   const dataplane::Counters& counters);
ServiceView service_view(const model::Service& service, const dataplane::Counters& counters);

/// `10.0.1.11:80`, outside the pool `default` with the pool before it: `video/10.0.1.11`.
std::string flat_id(const planner::BackendKey& key);

std::int64_t now_ms();

}  // namespace sluice::api
