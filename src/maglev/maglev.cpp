// The hash and the walks that every table is made from, and what a finished table tells.
#include "maglev/maglev.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace sluice::maglev {

namespace {

std::uint32_t scramble(std::uint32_t word) {
  return std::rotl(word * 0xcc9e2d51u, 15) * 0x1b873593u;
}

}  // namespace

std::uint32_t murmur3_32(std::span<const std::uint8_t> bytes, std::uint32_t seed) {
  std::uint32_t hash = seed;
  std::size_t at = 0;
  for (; at + 4 <= bytes.size(); at += 4) {
    // Byte by byte, so that a big-endian machine gets the same value.
    std::uint32_t word = 0;
    for (std::size_t i = 4; i-- > 0;)
      word = word << 8 | bytes[at + i];
    hash = std::rotl(hash ^ scramble(word), 13) * 5 + 0xe6546b64u;
  }
  std::uint32_t tail = 0;
  for (std::size_t i = bytes.size(); i-- > at;)
    tail = tail << 8 | bytes[i];
  hash ^= scramble(tail);
  hash ^= static_cast<std::uint32_t>(bytes.size());
  hash = (hash ^ hash >> 16) * 0x85ebca6bu;
  hash = (hash ^ hash >> 13) * 0xc2b2ae35u;
  return hash ^ hash >> 16;
}

Walk walk_of(const Member& member, unsigned k, std::uint32_t size) {
  std::array<std::uint8_t, 18> key;
  std::ranges::copy(member.address, key.begin());
  key[16] = static_cast<std::uint8_t>(member.port >> 8);
  key[17] = static_cast<std::uint8_t>(member.port);
  return {murmur3_32(key, 2 * k) % size, murmur3_32(key, 2 * k + 1) % (size - 1) + 1};
}

std::vector<std::pair<std::uint16_t, std::uint32_t>>
distribution(std::span<const std::uint16_t> table) {
  std::vector<std::uint32_t> counts(65536);
  for (const auto value : table)
    counts[value]++;
  std::vector<std::pair<std::uint16_t, std::uint32_t>> present;
  for (std::size_t value = 0; value < counts.size(); value++)
    if (counts[value] != 0)
      present.emplace_back(static_cast<std::uint16_t>(value), counts[value]);
  return present;
}

std::uint32_t moved(std::span<const std::uint16_t> before, std::span<const std::uint16_t> after) {
  if (before.size() != after.size())
    return static_cast<std::uint32_t>(std::max(before.size(), after.size()));
  std::uint32_t count = 0;
  for (std::size_t slot = 0; slot < before.size(); slot++)
    count += before[slot] != after[slot];
  return count;
}

}  // namespace sluice::maglev
