// Perfect hashing by hash and displace (Belazzougui, Botelho, Dietzfelbinger, "Hash, Displace, and
// Compress", ESA 2009): every key has a place of its own, so that a packet needs one probe. The
// formula is sl_place in abi.h.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace sluice::dataplane::xdp {

struct PerfectHash {
  std::uint64_t multiplier = 1;
  std::vector<std::uint16_t> displacement;  ///< 1 << SL_DISPLACEMENT_BITS
  std::vector<std::uint32_t> places;        ///< of each key, in the order given
};

/// @param keys all different
/// @param bits 1 << bits places
/// @return nothing if the keys are too many, or no displacement was found for any of some dozen
/// multipliers
std::optional<PerfectHash> find_perfect_hash(std::span<const std::uint64_t> keys, int bits);

}  // namespace sluice::dataplane::xdp
