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

/// How long a second of the world is for the buckets of rate limits: so long that the time that the
/// kernel really takes for a sequence makes no difference. In their units (abi/limits.h).
inline constexpr std::uint64_t second_of_limits = std::uint64_t{1000} * 1'000'000'000
                                                  << SL_LIMIT_SHIFT;

/// What a bucket is after so many seconds.
inline std::uint64_t bucket_after(std::uint64_t full_at, std::uint32_t seconds) {
  const auto passed = seconds * second_of_limits;
  return full_at > passed ? full_at - passed : 0;
}

struct Contents {
  sl_front front;
  std::uint32_t active;  ///< which of the two fronts it is
  std::vector<sl_backend> backends;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> slots;  ///< place in the arena, word
  std::vector<sl_vip> vips;
  std::uint64_t flow_multiplier;
  std::vector<sl_load> loads;   ///< what each backend may have; nobody has a flow
  std::vector<sl_rate> limits;  ///< of each backend
};

Contents contents_of(const reference::World& world);
/// Writes what backends may have; what they have and have used up stays.
void set_loads(const Contents& contents, sl_loads& loads, sl_limit* limits);

}  // namespace sluice::fuzz
