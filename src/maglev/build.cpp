// Builds a lookup table: how many slots each member is due, the order of turns, and the walks that
// take the slots.
#include <algorithm>
#include <bit>
#include <numeric>
#include <tuple>
#include <utility>

#include "maglev/maglev.hpp"

namespace sluice::maglev {

namespace {

/// Slots due to each member by its weight: largest remainder, ties to the member that comes first.
std::vector<std::uint32_t> due_counts(std::span<const Member> members, std::uint32_t size) {
  const auto total =
      std::accumulate(members.begin(), members.end(), std::uint64_t{0},
                      [](std::uint64_t sum, const Member& member) { return sum + member.weight; });
  std::vector<std::uint32_t> due;
  std::vector<std::uint64_t> remainders;
  std::uint32_t given = 0;
  for (const auto& member : members) {
    const std::uint64_t share = std::uint64_t{size} * member.weight;
    due.push_back(static_cast<std::uint32_t>(share / total));
    remainders.push_back(share % total);
    given += due.back();
  }
  std::vector<std::size_t> by_remainder(members.size());
  std::iota(by_remainder.begin(), by_remainder.end(), std::size_t{0});
  std::ranges::stable_sort(by_remainder, std::ranges::greater{},
                           [&](std::size_t i) { return remainders[i]; });
  for (std::uint32_t i = 0; i < size - given; i++)
    due[by_remainder[i]]++;
  return due;
}

/// Calls `visit` with the round of each of a member's turns. Turn n, counted from 1, is in round
/// ceil(n * heaviest / weight): the first in which the member has gained n whole turns.
template <class Visit>
void each_turn(std::uint32_t due, std::uint32_t weight, std::uint32_t heaviest, Visit visit) {
  const std::uint32_t whole = heaviest / weight;
  const std::uint32_t part = heaviest % weight;
  std::uint32_t round = 0;
  std::uint32_t saved = 0;  // round * weight - n * heaviest, below weight
  for (std::uint32_t n = 0; n < due; n++) {
    round += whole;
    if (saved < part) {
      round++;
      saved += weight;
    }
    saved -= part;
    visit(round);
  }
}

/// Every turn in its order, as an index of `members`: by round, in a round by member. Sorted by
/// counting, because walking through all members in every round is slow where weights differ much.
std::vector<std::uint16_t> order_of_turns(std::span<const Member> members, std::uint32_t size) {
  const std::uint32_t heaviest = std::ranges::max(members, {}, &Member::weight).weight;
  std::vector<std::uint16_t> order(size);
  if (heaviest == std::ranges::min(members, {}, &Member::weight).weight) {
    // Every member has a turn in every round: nothing to sort.
    for (std::size_t turn = 0, i = 0; turn < size; turn++) {
      order[turn] = static_cast<std::uint16_t>(i);
      i = i + 1 == members.size() ? 0 : i + 1;
    }
    return order;
  }
  const auto due = due_counts(members, size);
  std::uint32_t rounds = 0;
  for (std::size_t i = 0; i < members.size(); i++)
    rounds = std::max(rounds, static_cast<std::uint32_t>(
                                  (std::uint64_t{due[i]} * heaviest + members[i].weight - 1) /
                                  members[i].weight));
  std::vector<std::uint32_t> place(rounds + 2);  // where the next turn of a round goes
  for (std::size_t i = 0; i < members.size(); i++)
    each_turn(due[i], members[i].weight, heaviest,
              [&](std::uint32_t round) { place[round + 1]++; });
  std::partial_sum(place.begin(), place.end(), place.begin());
  for (std::size_t i = 0; i < members.size(); i++)
    each_turn(due[i], members[i].weight, heaviest,
              [&](std::uint32_t round) { order[place[round]++] = static_cast<std::uint16_t>(i); });
  return order;
}

/// The table while it fills.
class Filling {
 public:
  explicit Filling(std::uint32_t size) : size_(size), table_(size), taken_((size + 63) / 64) {}

  /// Takes the next free slot of a walk by trying one after the other; `walk.start` moves there.
  void take(Walk& walk, std::uint16_t value) {
    // Four steps at a time, each reckoned from the same place: they do not wait for each other, and
    // one branch stands for four.
    const std::uint32_t step2 = add(walk.step, walk.step);
    const std::array<std::uint32_t, 4> steps{0, walk.step, step2, add(step2, walk.step)};
    const std::uint32_t step4 = add(step2, step2);
    std::uint32_t at = walk.start;
    for (;;) {
      const std::uint32_t used = is_taken(at) | is_taken(add(at, steps[1])) << 1 |
                                 is_taken(add(at, steps[2])) << 2 |
                                 is_taken(add(at, steps[3])) << 3;
      if (used != 15) {
        set(walk, add(at, steps[static_cast<std::size_t>(std::countr_one(used))]), value);
        return;
      }
      at = add(at, step4);
    }
  }

  /// From here on take_of_few() finds the slots: where few are free, trying takes long.
  void list_free() {
    for (std::uint32_t slot = 0; slot < size_; slot++)
      if (!is_taken(slot))
        free_.push_back(slot);
  }

  /// The same, by asking each free slot how many steps away it is: (slot - start) / step modulo the
  /// size.
  void take_of_few(Walk& walk, std::uint16_t value) {
    const std::uint32_t inverse = inverse_of(walk.step);
    // Multiplication modulo a constant by Shoup's precomputed quotient (Victor Shoup, NTL).
    const auto quotient = static_cast<std::uint32_t>((std::uint64_t{inverse} << 32) / size_);
    std::uint32_t fewest = size_;
    std::size_t nearest = 0;
    for (std::size_t i = 0; i < free_.size(); i++) {
      std::uint32_t distance = free_[i] - walk.start;
      distance = std::min(distance, distance + size_);
      const auto wraps = static_cast<std::uint32_t>(std::uint64_t{distance} * quotient >> 32);
      std::uint32_t steps = distance * inverse - wraps * size_;
      steps = std::min(steps, steps - size_);
      if (steps < fewest) {
        fewest = steps;
        nearest = i;
      }
    }
    set(walk, free_[nearest], value);
    free_[nearest] = free_.back();
    free_.pop_back();
  }

  std::vector<std::uint16_t> table() && { return std::move(table_); }

 private:
  /// a + b modulo the size. The difference of a sum that is too small wraps to something larger.
  std::uint32_t add(std::uint32_t a, std::uint32_t b) const {
    return std::min(a + b, a + b - size_);
  }
  std::uint32_t is_taken(std::uint32_t slot) const {
    return static_cast<std::uint32_t>(taken_[slot / 64] >> (slot % 64) & 1);
  }
  void set(Walk& walk, std::uint32_t slot, std::uint16_t value) {
    table_[slot] = value;
    taken_[slot / 64] |= std::uint64_t{1} << (slot % 64);
    walk.start = slot;
  }
  /// The number whose product with `step` is 1 modulo the size: extended Euclid.
  std::uint32_t inverse_of(std::uint32_t step) const {
    std::int64_t a = step, b = size_, x = 1, y = 0;
    while (b != 0) {
      const std::int64_t quotient = a / b;
      a = std::exchange(b, a - quotient * b);
      x = std::exchange(y, x - quotient * y);
    }
    return static_cast<std::uint32_t>(x < 0 ? x + size_ : x);
  }

  std::uint32_t size_;
  std::vector<std::uint16_t> table_;
  std::vector<std::uint64_t> taken_;  ///< a bit a slot: fits the first-level cache
  std::vector<std::uint32_t> free_;
};

/// With so many free slots left both ways of finding the next one cost about the same (measured for
/// the three table sizes).
constexpr std::uint32_t few = 256;

}  // namespace

std::vector<std::uint16_t> build(std::span<const Member> given, std::uint32_t size,
                                 unsigned hash_functions) {
  if (given.empty())
    return {};
  std::vector<Member> members(given.begin(), given.end());
  std::ranges::sort(members, {},
                    [](const Member& member) { return std::tie(member.address, member.port); });
  std::vector<Walk> walks;  // `start` is where each stands
  walks.reserve(members.size() * hash_functions);
  for (const auto& member : members)
    for (unsigned k = 0; k < hash_functions; k++)
      walks.push_back(walk_of(member, k, size));

  std::vector<unsigned> next_walk(members.size());
  Filling filling(size);
  std::uint32_t left = size;
  for (const auto i : order_of_turns(members, size)) {
    if (left == few || (left == size && size < few))
      filling.list_free();
    auto& walk = walks[i * hash_functions + next_walk[i]];
    next_walk[i] = next_walk[i] + 1 == hash_functions ? 0 : next_walk[i] + 1;
    if (left > few)
      filling.take(walk, members[i].value);
    else
      filling.take_of_few(walk, members[i].value);
    left--;
  }
  return std::move(filling).table();
}

}  // namespace sluice::maglev
