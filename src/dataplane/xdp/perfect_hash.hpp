// Perfect hashing: every key has a place of its own, so that a packet needs one probe. Few keys
// take one multiplier (Fredman, Komlos, Szemeredi, "Storing a Sparse Table with O(1) Worst Case
// Access Time", J. ACM 1984), many take hash and displace (Belazzougui, Botelho, Dietzfelbinger,
// "Hash, Displace, and Compress", ESA 2009). The formulas are in abi.h.
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
std::optional<PerfectHash> find_displaced_hash(std::span<const std::uint64_t> keys, int bits);

struct DirectHash {
  std::uint64_t multiplier = 1;
  std::vector<std::uint32_t> places;
};

/// The cheaper way for few keys: one multiplier without displacement, as sl_place says.
/// @return nothing if none was found; likely beyond 100 keys for 1,024 places
std::optional<DirectHash> find_direct_hash(std::span<const std::uint64_t> keys, int bits);

struct PortHash {
  std::uint32_t multiplier = 1;
  int bits = 0;                       ///< 1 << bits places
  std::vector<std::uint32_t> places;  ///< of each key, in the order given
};

/// The smallest table without collisions for the services of one address: its place is
/// (key * multiplier) >> (32 - bits) in 32 bits.
/// @param keys SL_PORT_KEY of each, all different
std::optional<PortHash> find_port_hash(std::span<const std::uint32_t> keys);

}  // namespace sluice::dataplane::xdp
