// Plans that put other versions of the program on interfaces.
#include "planner/programs.hpp"

#include "planner_world.hpp"

namespace sluice {
namespace {

using namespace planner;

const ProgramsByInterface two_interfaces{
    {"eth0", {.running = {.id = 7, .version = "2"}, .previous = Program{.id = 3, .version = "1"}}},
    {"eth1", {.running = {.id = 8, .version = "1"}, .previous = {}}}};

TEST(PlannerPrograms, AReloadIsOfOneInterfaceOrOfAll) {
  EXPECT_EQ(plan_reload({}, two_interfaces, {}, "built-in", "2")->steps.size(), 2u);
  const auto one = plan_reload({}, two_interfaces, "eth1", "built-in", "2");
  ASSERT_EQ(one->steps.size(), 1u);
  EXPECT_EQ(describe(one->steps[0]),
            "replace the program on eth1 by version 2 (built-in), in place");
  EXPECT_EQ(plan_reload({}, two_interfaces, "eth9", "built-in", "2").error().code, Code::not_found);
  EXPECT_EQ(plan_reload({}, {}, {}, "built-in", "2").error().code, Code::not_found);
}

TEST(PlannerPrograms, ARollbackTouchesOnlyWhatHasSomethingToGoBackTo) {
  const auto all = plan_rollback({}, two_interfaces, {});
  ASSERT_EQ(all->steps.size(), 1u);
  EXPECT_EQ(describe(all->steps[0]), "put the program before, version 1, back on eth0, in place");
  EXPECT_EQ(plan_rollback({}, two_interfaces, "eth1").error().code, Code::invalid);
}

TEST(PlannerPrograms, WhatRunsBesidesStaysAsItIs) {
  Image running;
  running.interfaces["eth0"] = {2, model::XdpMode::DRV};
  EXPECT_EQ(plan_reload(running, two_interfaces, {}, "built-in", "2")->after, running);
}

}  // namespace
}  // namespace sluice
