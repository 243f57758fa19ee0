#include "maglev/maglev.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <numeric>

namespace sluice::maglev {

std::uint32_t murmur3_32(std::span<const std::uint8_t> bytes, std::uint32_t seed) {
  constexpr std::uint32_t c1 = 0xcc9e2d51;
  constexpr std::uint32_t c2 = 0x1b873593;
  std::uint32_t hash = seed;
  const std::size_t blocks = bytes.size() / 4;
  for (std::size_t i = 0; i < blocks; i++) {
    std::uint32_t block;
    std::memcpy(&block, bytes.data() + i * 4, 4);
    hash ^= std::rotl(block * c1, 15) * c2;
    hash = std::rotl(hash, 13) * 5 + 0xe6546b64;
  }
  std::uint32_t tail = 0;
  for (std::size_t i = bytes.size(); i-- > blocks * 4;)
    tail = tail << 8 | bytes[i];
  if (bytes.size() % 4)
    hash ^= std::rotl(tail * c1, 15) * c2;
  hash ^= static_cast<std::uint32_t>(bytes.size());
  hash = (hash ^ hash >> 16) * 0x85ebca6b;
  hash = (hash ^ hash >> 13) * 0xc2b2ae35;
  return hash ^ hash >> 16;
}

Walk walk_of(const Member& member, unsigned k, std::uint32_t size) {
  std::array<std::uint8_t, 18> key;
  std::ranges::copy(member.address, key.begin());
  key[16] = static_cast<std::uint8_t>(member.port >> 8);
  key[17] = static_cast<std::uint8_t>(member.port);
  return {murmur3_32(key, 2 * k) % size, murmur3_32(key, 2 * k + 1) % (size - 1) + 1};
}

namespace {

/// Slots due to each member by its weight: largest remainder, ties to the member that comes first.
std::vector<std::uint32_t> quotas(std::span<const Member> members, std::uint32_t size) {
  const auto total =
      std::accumulate(members.begin(), members.end(), std::uint64_t{0},
                      [](std::uint64_t sum, const Member& member) { return sum + member.weight; });
  std::vector<std::uint32_t> quota;
  std::vector<std::pair<std::uint64_t, std::size_t>> remainders;
  std::uint32_t given = 0;
  for (std::size_t i = 0; i < members.size(); i++) {
    const std::uint64_t due = std::uint64_t{size} * members[i].weight;
    quota.push_back(static_cast<std::uint32_t>(due / total));
    given += quota.back();
    remainders.emplace_back(due % total, i);
  }
  std::ranges::stable_sort(remainders, std::ranges::greater{},
                           &std::pair<std::uint64_t, std::size_t>::first);
  for (std::uint32_t i = 0; i < size - given; i++)
    quota[remainders[i].second]++;
  return quota;
}

/// A member while the table is filled.
struct Filler {
  std::uint16_t value;
  std::uint32_t weight;
  std::uint32_t left;        ///< slots still due
  std::uint32_t credit = 0;  ///< turns saved up, in units of 1/heaviest
  unsigned next_walk = 0;
  std::vector<Walk> walks;  ///< `start` is where each stands
};

}  // namespace

std::vector<std::uint16_t> build(std::span<const Member> members, std::uint32_t size,
                                 unsigned hash_functions) {
  if (members.empty())
    return {};
  std::vector<Member> ordered(members.begin(), members.end());
  std::ranges::sort(ordered, [](const Member& a, const Member& b) {
    return std::tie(a.address, a.port) < std::tie(b.address, b.port);
  });
  const auto quota = quotas(ordered, size);
  std::uint32_t heaviest = 0;
  std::vector<Filler> fillers;
  for (std::size_t i = 0; i < ordered.size(); i++) {
    Filler filler{
        .value = ordered[i].value, .weight = ordered[i].weight, .left = quota[i], .walks = {}};
    for (unsigned k = 0; k < hash_functions; k++)
      filler.walks.push_back(walk_of(ordered[i], k, size));
    heaviest = std::max(heaviest, filler.weight);
    fillers.push_back(std::move(filler));
  }

  std::vector<std::uint16_t> table(size, 0);
  for (std::uint32_t filled = 0; filled < size;) {
    for (auto& filler : fillers) {
      // In each round a member saves up weight/heaviest of a turn; the heaviest has one in every
      // round.
      filler.credit += filler.weight;
      if (filler.credit < heaviest)
        continue;
      filler.credit -= heaviest;
      if (filler.left == 0)
        continue;
      auto& walk = filler.walks[filler.next_walk];
      filler.next_walk = filler.next_walk + 1 == hash_functions ? 0 : filler.next_walk + 1;
      std::uint32_t at = walk.start;
      while (table[at] != 0) {
        at += walk.step;
        at -= at >= size ? size : 0;
      }
      table[at] = filler.value;
      walk.start = at;
      filler.left--;
      filled++;
    }
  }
  return table;
}

std::vector<std::pair<std::uint16_t, std::uint32_t>>
distribution(std::span<const std::uint16_t> table) {
  std::map<std::uint16_t, std::uint32_t> counts;
  for (const auto value : table)
    counts[value]++;
  return {counts.begin(), counts.end()};
}

std::uint32_t moved(std::span<const std::uint16_t> before, std::span<const std::uint16_t> after) {
  if (before.size() != after.size())
    return static_cast<std::uint32_t>(std::max(before.size(), after.size()));
  std::uint32_t count = 0;
  for (std::size_t i = 0; i < before.size(); i++)
    count += before[i] != after[i];
  return count;
}

}  // namespace sluice::maglev
