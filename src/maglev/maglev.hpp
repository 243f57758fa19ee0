// Maglev consistent hashing (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load
// Balancer", NSDI 2016, section 3.4), with exact weights and k permutations a backend. Pure: no
// I/O, no model.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace sluice::maglev {

/// MurmurHash3_x86_32 (Austin Appleby, public domain algorithm). Frozen: tables on all nodes and in
/// the UI depend on it.
std::uint32_t murmur3_32(std::span<const std::uint8_t> bytes, std::uint32_t seed);

/// What the table is built from. `address` is IPv4 mapped; port 0 where the backend takes the
/// service's.
struct Member {
  std::array<std::uint8_t, 16> address;
  std::uint16_t port;    ///< host order; hashed in network order after the address
  std::uint16_t weight;  ///< 1 to 100
  std::uint16_t value;   ///< what its slots hold, never 0
};

/// The start and the step of a member's walk number `k`: seeds 2k and 2k+1, `start = h % size`,
/// `step = h % (size - 1) + 1`.
struct Walk {
  std::uint32_t start, step;
};
Walk walk_of(const Member& member, unsigned k, std::uint32_t size);

/// Builds a table. `size` must be prime and below 2^31, `hash_functions` 1 to 10, members must
/// differ in address or port. No members: an empty table.
///
/// Members are ordered by address and port first, so the result does not depend on the order given.
/// Each is due `size * weight / total` slots, rounded by largest remainders (equal ones: the first
/// member). Then, round after round, each member in its order gains weight / heaviest weight of a
/// turn; when it has a whole turn, and not yet all that it is due, it takes the next free slot of
/// one of its `hash_functions` walks: of walk t modulo `hash_functions` in its turn t. Each walk
/// goes on from where it stands. With equal weights and one walk this is the published algorithm.
std::vector<std::uint16_t> build(std::span<const Member> members, std::uint32_t size,
                                 unsigned hash_functions);

/// Slots by value, ascending by value.
std::vector<std::pair<std::uint16_t, std::uint32_t>>
distribution(std::span<const std::uint16_t> table);

/// Slots that differ; all of the longer one when the sizes differ.
std::uint32_t moved(std::span<const std::uint16_t> before, std::span<const std::uint16_t> after);

}  // namespace sluice::maglev
