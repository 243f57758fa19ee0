#include "cli/timing.hpp"

#include <map>

namespace sluice::cli {

namespace {

/// Samples by the shortest time of their bucket, of the buckets that grew.
struct Histogram {
  std::uint64_t samples = 0;
  std::map<std::uint64_t, std::uint64_t> buckets;
  std::map<std::uint64_t, std::uint64_t> below;  ///< where they end; no entry: nowhere
};

Histogram growth(View before, View after) {
  std::map<std::uint64_t, std::uint64_t> was;
  for (const View bucket : before["buckets"].items())
    was[bucket["fromNs"].number()] = bucket["samples"].number();
  Histogram grown;
  for (const View bucket : after["buckets"].items()) {
    const auto from = bucket["fromNs"].number(), is = bucket["samples"].number();
    if (is <= was[from])
      continue;
    grown.buckets[from] = is - was[from];
    grown.samples += is - was[from];
    if (const View below = bucket["belowNs"])
      grown.below[from] = below.number();
  }
  return grown;
}

/// Where the time lies that so many percent of the samples do not exceed.
std::string percentile(const Histogram& histogram, std::uint64_t percent) {
  const auto rank = (histogram.samples * percent + 99) / 100;
  std::uint64_t seen = 0;
  for (const auto& [from, samples] : histogram.buckets) {
    if ((seen += samples) < rank)
      continue;
    const auto below = histogram.below.find(from);
    return below == histogram.below.end()
               ? ">= " + format_nanoseconds(static_cast<double>(from))
               : "< " + format_nanoseconds(static_cast<double>(below->second));
  }
  return "-";
}

View of_interface(View list, View interface) {
  for (const View candidate : list.items())
    if (candidate["interface"].text() == interface["interface"].text())
      return candidate["timing"];
  return {};
}

}  // namespace

Table timing_table(View before, View after) {
  Table table{"INTERFACE", ">TIMED", ">MEAN", ">50%", ">99%"};
  for (const View interface : after["interfaces"].items()) {
    const View is = interface["timing"];
    const auto was = of_interface(before["interfaces"], interface);
    const auto grown = growth(was, is);
    const auto nanoseconds = is["nanoseconds"].number(), earlier = was["nanoseconds"].number();
    if (grown.samples == 0 || nanoseconds < earlier)  // nothing, or counted anew in between
      continue;
    table.add({interface["interface"].text(), format_count(grown.samples),
               format_nanoseconds(static_cast<double>(nanoseconds - earlier) /
                                  static_cast<double>(grown.samples)),
               percentile(grown, 50), percentile(grown, 99)});
  }
  return table;
}

}  // namespace sluice::cli
