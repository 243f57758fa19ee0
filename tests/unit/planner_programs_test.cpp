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

model::Topology links(std::initializer_list<std::pair<const char*, std::uint32_t>> mtus) {
  model::Topology topology;
  std::uint32_t index = 2;
  for (const auto& [name, mtu] : mtus)
    topology.links[name] = {.index = index++, .name = name, .mac = {}, .mtu = mtu, .addresses = {}};
  return topology;
}

TEST(PlannerPrograms, EachInterfaceWhoseMtuCrossedAPageIsAPlanOfItsOwn) {
  Image running;
  running.interfaces["eth0"] = {2, model::XdpMode::DRV};
  running.interfaces["eth1"] = {3, model::XdpMode::DRV, false, true};
  EXPECT_TRUE(plan_fits(running, links({{"eth0", 3506}, {"eth1", 3507}})).empty());
  const auto plans = plan_fits(running, links({{"eth0", 9000}, {"eth1", 1500}}));
  ASSERT_EQ(plans.size(), 2u);
  EXPECT_EQ(describe(plans[0].steps.at(0)),
            "put the program on eth0 into the multi-buffer variant for its MTU of 9000, in place, "
            "if its driver takes that");
  EXPECT_TRUE(plans[0].after.interfaces.at("eth0").jumbo);
  EXPECT_TRUE(plans[0].after.interfaces.at("eth1").jumbo) << "one interface at a time";
  EXPECT_FALSE(plans[1].after.interfaces.at("eth1").jumbo);
  EXPECT_TRUE(plan_fits(plans[0].after, links({{"eth0", 9000}, {"eth1", 9000}})).empty());
}

TEST(PlannerPrograms, AnMtuIsFollowedOnlyWhereTheDriverDealsInBuffers) {
  Image running;
  running.interfaces["eth0"] = {2, model::XdpMode::SKB};
  running.interfaces["eth1"] = {9, model::XdpMode::DRV};  // another interface has its name by now
  running.interfaces["eth2"] = {4, model::XdpMode::DRV};  // gone
  EXPECT_TRUE(plan_fits(running, links({{"eth0", 9000}, {"eth1", 9000}})).empty());
}

}  // namespace
}  // namespace sluice
