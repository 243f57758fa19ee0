// Turns: everybody has his share of any stretch, not only of the whole.
#include "planner/rotation.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace sluice::planner {

namespace {

using testing::ElementsAre;

std::vector<maglev::Member> members(const std::vector<std::uint16_t>& weights) {
  std::vector<maglev::Member> all;
  for (std::size_t i = 0; i < weights.size(); i++)
    all.push_back({.address = {},
                   .port = 0,
                   .weight = weights[i],
                   .value = static_cast<std::uint16_t>(i + 1)});
  return all;
}

}  // namespace

TEST(Rotation, EqualsTakeTurns) {
  EXPECT_THAT(rotation(members({1, 1, 1}), 7), ElementsAre(1, 2, 3, 1, 2, 3));
  EXPECT_THAT(rotation(members({5}), 3), ElementsAre(1, 1, 1));
  EXPECT_TRUE(rotation({}, 7).empty());
}

TEST(Rotation, AHeavyOneIsNotServedInARow) {
  EXPECT_THAT(rotation(members({4, 2, 2}), 8), ElementsAre(1, 2, 3, 1, 1, 2, 3, 1));
}

TEST(Rotation, EveryStretchHoldsItsShareWithinOnePlace) {
  const std::vector<std::uint16_t> weights{100, 1, 7, 33, 33, 50};
  const auto places = rotation(members(weights), 65537);
  double total = 0;
  for (const auto weight : weights)
    total += weight;
  EXPECT_EQ(places.size() % static_cast<std::size_t>(total), 0u) << "whole rounds, so no seam";
  for (std::size_t member = 0; member < weights.size(); member++) {
    double count = 0;
    for (std::size_t i = 0; i < 2000; i++) {
      count += places[i] == member + 1;
      const double due = static_cast<double>(i + 1) * weights[member] / total;
      ASSERT_LE(std::abs(count - due), 1.5) << "member " << member << " after " << i + 1;
    }
  }
}

TEST(Rotation, MoreWeightThanPlacesFillsThemAll) {
  const auto places = rotation(members(std::vector<std::uint16_t>(1000, 99)), 251);
  EXPECT_EQ(places.size(), 251u);
  EXPECT_EQ(std::ranges::count(places, 1), 1);
}

}  // namespace sluice::planner
