// Inputs from a seed, for where no fuzzer finds them.
#pragma once

#include <cstring>
#include <optional>

#include "recipe.hpp"

namespace sluice::fuzz {

/// Sebastiano Vigna's SplitMix64.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    auto z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }

 private:
  std::uint64_t state_;
};

/// @param world the one that it is for; absent: any
inline Input random_input(std::uint64_t seed, std::size_t recipes,
                          std::optional<std::uint8_t> world = {}) {
  Random random(seed);
  Input input;
  const auto any = static_cast<std::uint8_t>(random.next());
  input.world = world.value_or(any);
  input.recipes.resize(recipes);
  for (auto& recipe : input.recipes)
    for (std::size_t at = 0; at < sizeof recipe; at += 8) {
      const auto word = random.next();
      std::memcpy(reinterpret_cast<char*>(&recipe) + at, &word, 8);
    }
  return input;
}

}  // namespace sluice::fuzz
