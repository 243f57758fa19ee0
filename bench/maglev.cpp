// How long a lookup table takes to build, and what a change of it costs in flows that move.
#include <benchmark/benchmark.h>

#include <algorithm>

#include "maglev/maglev.hpp"

namespace {

using namespace sluice;

/// Weights 1 to 100 when `weighted`, all 1 otherwise.
std::vector<maglev::Member> members(std::int64_t count, bool weighted) {
  std::vector<maglev::Member> all;
  for (std::int64_t i = 0; i < count; i++)
    all.push_back({.address = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 1,
                               static_cast<std::uint8_t>(i / 256), static_cast<std::uint8_t>(i)},
                   .port = 80,
                   .weight = static_cast<std::uint16_t>(weighted ? 1 + i * 37 % 100 : 1),
                   .value = static_cast<std::uint16_t>(i + 1)});
  return all;
}

void build(benchmark::State& state) {
  const auto given = members(state.range(0), state.range(2) != 0);
  const auto size = static_cast<std::uint32_t>(state.range(1));
  const auto walks = static_cast<unsigned>(state.range(3));
  for (auto _ : state)
    benchmark::DoNotOptimize(maglev::build(given, size, walks));
}
BENCHMARK(build)
    ->ArgNames({"backends", "slots", "weighted", "walks"})
    ->ArgsProduct({{10, 100, 1000}, {65537, 262139}, {0, 1}, {1}})
    ->Args({1000, 65537, 1, 10})
    ->Unit(benchmark::kMillisecond);

/// The share of slots that change hands beyond those of the backends that leave.
void removal(benchmark::State& state) {
  const auto all = members(100, false);
  const auto leaving = static_cast<std::size_t>(state.range(0));
  const std::vector<maglev::Member> rest(all.begin() + static_cast<std::ptrdiff_t>(leaving),
                                         all.end());
  const auto before = maglev::build(all, 65537, 1);
  std::vector<std::uint16_t> after;
  for (auto _ : state)
    after = maglev::build(rest, 65537, 1);
  const auto unavoidable =
      std::ranges::count_if(before, [&](std::uint16_t value) { return value <= leaving; });
  const auto moved = maglev::moved(before, after);
  state.counters["moved%"] = 100.0 * moved / 65537;
  state.counters["beyond%"] = 100.0 * (moved - static_cast<double>(unavoidable)) / 65537;
}
BENCHMARK(removal)->ArgName("leaving")->Arg(1)->Arg(5)->Unit(benchmark::kMillisecond);

}  // namespace
