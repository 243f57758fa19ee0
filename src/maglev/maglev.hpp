// Maglev consistent hashing (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load
// Balancer", NSDI 2016, section 3.4), with exact weights and k permutations a backend. Pure: no
// I/O, no model.
#pragma once

#include <array>
#include <cstdint>
#include <span>
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

/// Builds a table. `size` must be prime; `hash_functions` 1 to 10: each member takes its turns from
/// that many walks one after the other. Members are ordered by address and port first, so the
/// result does not depend on the order given. Slot counts follow the weights (largest remainder)
/// exactly. No members: an empty table.
std::vector<std::uint16_t> build(std::span<const Member> members, std::uint32_t size,
                                 unsigned hash_functions);

/// Slots by value, ascending by value.
std::vector<std::pair<std::uint16_t, std::uint32_t>>
distribution(std::span<const std::uint16_t> table);

/// Slots that differ; all of the longer one when the sizes differ.
std::uint32_t moved(std::span<const std::uint16_t> before, std::span<const std::uint16_t> after);

}  // namespace sluice::maglev
