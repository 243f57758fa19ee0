#include "api/figures.hpp"

#include <numeric>

#include "dataplane/names.hpp"

namespace sluice::api {

namespace {

/// The times of a bucket; the last one has no end.
NsRange range_of(const dataplane::Timing& timing, std::size_t bucket) {
  NsRange range{.fromNs = bucket == 0 ? 0 : std::uint64_t{1} << bucket, .belowNs = {}};
  if (bucket + 1 < timing.buckets.size())
    range.belowNs = std::uint64_t{2} << bucket;
  return range;
}

/// Where the time lies that so many percent of the samples do not exceed.
NsRange percentile(const dataplane::Timing& timing, std::uint64_t samples, std::uint64_t percent) {
  const auto rank = (samples * percent + 99) / 100;
  std::uint64_t seen = 0;
  std::size_t bucket = 0;
  while ((seen += timing.buckets[bucket]) < rank)
    bucket++;
  return range_of(timing, bucket);
}

}  // namespace

TimingView timing_view(const dataplane::Timing& timing) {
  const auto samples =
      std::accumulate(timing.buckets.begin(), timing.buckets.end(), std::uint64_t{0});
  TimingView view{.samples = samples,
                  .nanoseconds = timing.nanoseconds,
                  .meanNs = {},
                  .p50 = {},
                  .p99 = {},
                  .buckets = {}};
  if (samples == 0)
    return view;
  view.meanNs = static_cast<double>(timing.nanoseconds) / static_cast<double>(samples);
  view.p50 = percentile(timing, samples, 50);
  view.p99 = percentile(timing, samples, 99);
  for (std::size_t i = 0; i < timing.buckets.size(); i++)
    if (timing.buckets[i]) {
      const auto range = range_of(timing, i);
      view.buckets.push_back({range.fromNs, range.belowNs, timing.buckets[i]});
    }
  return view;
}

std::vector<ErrorView> packet_errors(const dataplane::Counters& counters) {
  std::vector<ErrorView> errors;
  for (const auto& [interface, verdicts] : counters.interfaces)
    for (const auto& verdict : verdicts)
      if (const auto error = dataplane::error_of(verdict.verdict, verdict.reason))
        errors.push_back({.kind = std::string(error->kind),
                          .reason = verdict.reason,
                          .cause = std::string(error->cause),
                          .interface = interface,
                          .pool = {},
                          .backend = {},
                          .packets = verdict.count.packets});
  if (counters.uncounted)
    errors.push_back({.kind = "map-lookup",
                      .reason = "missing-counters",
                      .cause = "xdp_stats_map has no entry for the CPU that ran the program; these "
                               "packets were aborted and are in no other counter",
                      .interface = {},
                      .pool = {},
                      .backend = {},
                      .packets = counters.uncounted});
  return errors;
}

std::optional<ErrorView> unreachable_error(const BackendStats& backend) {
  if (backend.unresolved == 0)
    return {};
  return ErrorView{.kind = "unreachable",
                   .reason = "unresolved",
                   .cause = "no route to the backend, or no answer from its next hop, when the "
                            "packet was to be forwarded",
                   .interface = {},
                   .pool = backend.pool,
                   .backend = backend.id,
                   .packets = backend.unresolved};
}

void add_error(TotalsView& totals, const ErrorView& error) {
  auto& total = error.kind == "malformed"    ? totals.malformed
                : error.kind == "map-lookup" ? totals.lookupFailures
                : error.kind == "program"    ? totals.programErrors
                                             : totals.unreachable;
  total += error.packets;
}

}  // namespace sluice::api
