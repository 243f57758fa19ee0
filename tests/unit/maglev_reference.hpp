// Maglev as the paper writes it, with whole permutations and no tricks: what the quick builder must
// equal. Weights and several permutations as maglev.hpp says.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "maglev/maglev.hpp"

namespace sluice::test {

/// The slots in the order in which a walk prefers them.
inline std::vector<std::uint32_t> permutation(const maglev::Walk& walk, std::uint32_t size) {
  std::vector<std::uint32_t> slots;
  for (std::uint64_t j = 0; j < size; j++)
    slots.push_back(static_cast<std::uint32_t>((walk.start + j * walk.step) % size));
  return slots;
}

struct ReferenceMember {
  std::vector<std::vector<std::uint32_t>> permutations;
  std::uint32_t weight = 1;
  std::uint16_t value = 0;
};

inline std::vector<std::uint32_t> reference_due(const std::vector<ReferenceMember>& members,
                                                std::uint32_t size) {
  std::uint64_t total = 0;
  for (const auto& member : members)
    total += member.weight;
  std::vector<std::uint32_t> due;
  std::vector<std::pair<std::uint64_t, std::size_t>> missing;  // ascending: largest remainder first
  std::uint32_t left = size;
  for (std::size_t i = 0; i < members.size(); i++) {
    const std::uint64_t share = std::uint64_t{size} * members[i].weight;
    due.push_back(static_cast<std::uint32_t>(share / total));
    missing.emplace_back(total - share % total, i);
    left -= due.back();
  }
  std::ranges::sort(missing);
  for (std::uint32_t i = 0; i < left; i++)
    due[missing[i].second]++;
  return due;
}

inline std::vector<std::uint16_t> reference_fill(const std::vector<ReferenceMember>& members,
                                                 std::uint32_t size) {
  const auto due = reference_due(members, size);
  const auto heaviest = std::ranges::max(members, {}, &ReferenceMember::weight).weight;
  std::vector<std::uint16_t> table(size, 0);
  std::vector<std::uint32_t> credit(members.size()), turns(members.size());
  std::vector<std::vector<std::size_t>> next(members.size());
  for (std::size_t i = 0; i < members.size(); i++)
    next[i].resize(members[i].permutations.size());
  for (std::uint32_t filled = 0; filled < size;) {
    for (std::size_t i = 0; i < members.size(); i++) {
      credit[i] += members[i].weight;
      if (credit[i] < heaviest)
        continue;
      credit[i] -= heaviest;
      if (turns[i] == due[i])
        continue;
      const auto k = turns[i] % members[i].permutations.size();
      while (table[members[i].permutations[k][next[i][k]]] != 0)
        next[i][k]++;
      table[members[i].permutations[k][next[i][k]]] = members[i].value;
      turns[i]++;
      filled++;
    }
  }
  return table;
}

inline std::vector<std::uint16_t> reference_build(std::vector<maglev::Member> members,
                                                  std::uint32_t size, unsigned hash_functions) {
  std::ranges::sort(members, [](const maglev::Member& a, const maglev::Member& b) {
    return a.address != b.address ? a.address < b.address : a.port < b.port;
  });
  std::vector<ReferenceMember> reference;
  for (const auto& member : members) {
    ReferenceMember entry{.permutations = {}, .weight = member.weight, .value = member.value};
    for (unsigned k = 0; k < hash_functions; k++)
      entry.permutations.push_back(permutation(maglev::walk_of(member, k, size), size));
    reference.push_back(std::move(entry));
  }
  return reference_fill(reference, size);
}

}  // namespace sluice::test
