// Lays out turns: the k-th of a member with weight w is due at (2k + 1) / w, whoever is due first
// goes first.
#include "planner/rotation.hpp"

#include <numeric>
#include <queue>

namespace sluice::planner {

namespace {

struct Turn {
  std::uint64_t nth;  // 2k + 1
  std::uint64_t weight;
  std::size_t member;

  /// Is this one's turn after the other's? Equals go in the order of the members.
  bool operator<(const Turn& other) const {
    const auto mine = nth * other.weight, theirs = other.nth * weight;
    return mine != theirs ? mine > theirs : member > other.member;
  }
};

}  // namespace

std::vector<std::uint16_t> rotation(const std::vector<maglev::Member>& members,
                                    std::uint32_t most) {
  std::vector<std::uint16_t> places;
  if (members.empty())
    return places;
  std::uint64_t divisor = 0, round = 0;
  for (const auto& member : members)
    divisor = std::gcd(divisor, std::uint64_t{member.weight});
  std::priority_queue<Turn> turns;
  for (std::size_t i = 0; i < members.size(); i++) {
    const auto weight = members[i].weight / divisor;
    round += weight;
    turns.push({1, weight, i});
  }
  const auto size = round > most ? most : most / round * round;
  places.reserve(size);
  while (places.size() < size) {
    auto turn = turns.top();
    turns.pop();
    places.push_back(members[turn.member].value);
    turn.nth += 2;
    turns.push(turn);
  }
  return places;
}

}  // namespace sluice::planner
