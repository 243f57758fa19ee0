// A world as the daemon writes it into the maps: with the daemon's own encoders, so that their
// hashes and layouts are under test as well.
#pragma once

#include <utility>
#include <vector>

#include "abi.h"
#include "world.hpp"

namespace sluice::fuzz {

/// The clock at which every sequence begins: far ahead of any kernel's, so that only we move it.
inline constexpr std::uint32_t first_epoch = 0x10000000;

struct Contents {
  sl_front front;
  std::uint32_t active;  ///< which of the two fronts it is
  std::vector<sl_backend> backends;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> slots;  ///< place in the arena, word
  std::vector<sl_vip> vips;
  std::uint64_t flow_multiplier;
};

Contents contents_of(const reference::World& world);

}  // namespace sluice::fuzz
