// What the planner's tests share: plans for one service over three backends, run in memory.
#pragma once

#include "planner_world.hpp"

namespace sluice::test {

class PlannerPlan : public ::testing::Test {
 protected:
  model::Config config = web();
  Machine machine;
  Plane plane;

  planner::Plan plan(const planner::PlanOptions& options = {}) {
    auto made = planner::make_plan(plane.image, config, machine.towards(config), options);
    EXPECT_TRUE(made) << made.error().message;
    return made ? std::move(*made) : planner::Plan{};
  }
  /// Plans, runs, and sees that nothing is left to do.
  planner::Plan apply(const planner::PlanOptions& options = {}) {
    auto made = plan(options);
    plane.run(made);
    const auto again = plan(options);
    EXPECT_TRUE(again.empty()) << "a second plan is not empty:\n" << text_of(again);
    EXPECT_TRUE(again.after == made.after);
    return made;
  }
  planner::BackendImage& running(const std::string& address, const std::string& pool = "web") {
    return plane.image.backends.at({pool, ip(address), 0});
  }
  std::size_t slots_of(const std::string& address, const std::string& pool = "web") {
    const auto id = running(address, pool).id;
    return static_cast<std::size_t>(std::ranges::count(plane.image.tables.at(pool).slots, id));
  }
  std::vector<model::Backend>& backends() { return config.pools[0].backends; }
};

}  // namespace sluice::test
