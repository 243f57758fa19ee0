// The program on the host against the model, guided by coverage, with address and
// undefined-behaviour sanitizers (libFuzzer). Any disagreement ends it with the input that shows
// it.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "comparison.hpp"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace {

using namespace sluice::fuzz;

Comparison& comparison() {
  static auto& one = *[] {
    std::atexit(
        [] { std::fprintf(stderr, "figures: %s\n", comparison().figures().text().c_str()); });
    return new Comparison;
  }();
  return one;
}

void stop(const std::string& complaint) {
  std::fprintf(stderr, "DISAGREEMENT %s\n", complaint.c_str());
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto& one = comparison();
  if (const auto complaint = one.run(Input::from({data, size})); !complaint.empty())
    stop(complaint);
  if (one.figures().sequences % 256 == 0)
    if (const auto complaint = one.compare_counters(); !complaint.empty())
      stop(complaint);
  return 0;
}

/// Whole recipes are doubled, moved and thrown out; inside of one, bytes change as libFuzzer likes.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned int seed) {
  auto input = Input::from({data, size});
  auto& recipes = input.recipes;
  const auto room = std::min<std::size_t>((max_size - 1) / sizeof(Recipe), 64);
  if (recipes.empty() || seed % 8 == 0) {
    recipes.emplace_back();
    for (auto& byte : std::span(reinterpret_cast<std::uint8_t*>(&recipes.back()), sizeof(Recipe)))
      byte = static_cast<std::uint8_t>((seed = seed * 1664525 + 1013904223) >> 24);
  } else {
    const auto at = static_cast<std::ptrdiff_t>(seed / 8 % recipes.size());
    switch (seed % 8) {
    case 1:
      recipes.insert(recipes.begin() + at, recipes[static_cast<std::size_t>(at)]);
      break;
    case 2:
      recipes.erase(recipes.begin() + at);
      break;
    case 3:
      std::swap(recipes[static_cast<std::size_t>(at)], recipes.back());
      break;
    case 4:
      input.world = static_cast<std::uint8_t>(seed >> 16);
      break;
    default:
      LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(&recipes[static_cast<std::size_t>(at)]),
                       sizeof(Recipe), sizeof(Recipe));
    }
  }
  if (recipes.size() > room)
    recipes.resize(room);
  const auto bytes = input.bytes();
  std::memcpy(data, bytes.data(), std::min(bytes.size(), max_size));
  return std::min(bytes.size(), max_size);
}
