// What a changed table does to flows that live: slots in transition, full tracking, and a rebalance
// that does not ask.
#include "planner/phases.hpp"
#include "planner_fixture.hpp"

namespace sluice {
namespace {

using namespace planner;
using test::backend;
using test::PlannerPlan;
using test::steps_of;

class PlannerTransition : public PlannerPlan {
 protected:
  PlannerTransition() {
    config.pools[0].forwarding = model::Forwarding::dsr_l2;
    config.xdp.transitionSeconds = config.xdp.transitionHoldSeconds = 60;
    apply(at(1000));
  }
  static PlanOptions at(std::uint32_t now, const Learned* learned = nullptr) {
    return {.now = now, .learned = learned};
  }
  TableImage& table() { return plane.image.tables.at("web"); }
  transition::Summary phases(std::uint32_t now) {
    return transition::summarize(unpack(table(), now));
  }
  /// What a sweep tells that found no record of anybody else.
  Learned nothing_left() {
    Learned learned;
    learned.of_others["web"].resize(table().slots.size());
    return learned;
  }
};

TEST_F(PlannerTransition, SlotsThatMoveKeepTheirOldFlowsWithTheOldOwner) {
  EXPECT_TRUE(table().holders.empty()) << "nobody had flows before";
  const auto before = table().slots;
  backends().push_back(backend("10.0.1.14"));
  const auto made = apply(at(1000));
  ASSERT_EQ(table().holders.size(), before.size());
  const auto slots = unpack(table(), 1000);
  for (std::size_t i = 0; i < slots.size(); i++) {
    EXPECT_EQ(slots[i].phase == transition::Phase::learning, before[i] != slots[i].owner);
    if (slots[i].phase == transition::Phase::learning) {
      EXPECT_EQ(slots[i].holder, before[i]);
    }
  }
  EXPECT_EQ(made.effects.at(0).learning, made.effects.at(0).moved);
}

TEST_F(PlannerTransition, SlotsLearnThenArePinnedThenSettleWithoutATableBeingMoved) {
  backends().push_back(backend("10.0.1.14"));
  apply(at(1000));
  const auto base = table().base;
  const auto learned = nothing_left();
  plane.run(plan(at(1030, &learned)));
  EXPECT_EQ(phases(1030).pinned, 0u) << "the window is not over";
  plane.run(plan(at(1064, &learned)));
  EXPECT_EQ(phases(1064).learning, 0u);
  EXPECT_GT(phases(1064).pinned, 0u) << "a look from before the pin settles nothing";
  auto left = nothing_left();
  for (auto& records : left.of_others["web"])
    records = 1;
  plane.run(plan(at(1070, &left)));
  EXPECT_GT(phases(1070).pinned, 0u) << "there are flows of others";
  const auto made = plan(at(1075, &learned));
  plane.run(made);
  EXPECT_TRUE(table().holders.empty());
  EXPECT_EQ(table().base, base);
  EXPECT_EQ(steps_of<FillTable>(made).size(), 0u);
  EXPECT_EQ(steps_of<SwapFront>(made).size(), 1u) << "the holders' memory is free again";
}

TEST_F(PlannerTransition, LastBackendOfAPoolCanBeDrained) {
  for (auto& one : backends())
    one.drain = true;
  const auto made = apply(at(1000));
  EXPECT_EQ(phases(1000).learning, table().slots.size()) << "all old flows stay";
  EXPECT_EQ(std::ranges::count(table().slots, 0), std::ssize(table().slots)) << "no new ones";
  EXPECT_FALSE(made.warnings.empty());
  const auto learned = nothing_left();
  plane.run(plan(at(1064, &learned)));
  plane.run(plan(at(1070, &learned)));
  EXPECT_TRUE(table().slots.empty()) << "when the last has ended the pool has no table";
}

TEST_F(PlannerTransition, DisabledBackendIsNotWaitedFor) {
  backends()[0].enabled = false;
  apply(at(1000));
  for (const auto& slot : unpack(table(), 1000))
    EXPECT_NE(slot.holder, running(backends()[0].ip.to_string()).id);
}

TEST_F(PlannerTransition, WithoutTrackingNothingIsLearnedAndADrainIsWarnedOf) {
  config.pools[0].connectionTracking = model::Tracking::off;
  backends()[0].drain = true;
  const auto made = apply(at(1000));
  EXPECT_TRUE(table().holders.empty());
  ASSERT_EQ(made.warnings.size(), 1u);
  EXPECT_EQ(made.warnings[0].pointer, "/pools/0/backends/0/drain");
}

TEST_F(PlannerTransition, TableOfAnotherSizeBeginsAnew) {
  backends().push_back(backend("10.0.1.14"));
  apply(at(1000));
  config.pools[0].tableSize = 131071;
  apply(at(1000));
  EXPECT_TRUE(table().holders.empty());
}

TEST_F(PlannerTransition, ARebalanceAtOnceKeepsNobodyAndForgetsFlows) {
  config.maglev.rebalanceStrategy = model::Rebalance::immediate;
  backends().push_back(backend("10.0.1.14"));
  const auto made = apply(at(1000));
  EXPECT_TRUE(table().holders.empty());
  ASSERT_EQ(steps_of<ForgetFlows>(made).size(), 1u);
  EXPECT_EQ(steps_of<ForgetFlows>(made)[0].pool, "web");
  const auto is = [](auto which) {
    return [which](const Step& step) { return step.index() == Step(which).index(); };
  };
  EXPECT_LT(std::ranges::find_if(made.steps, is(SwapFront{})),
            std::ranges::find_if(made.steps, is(ForgetFlows{})))
      << "a flow that is forgotten too early is written down again by the old table";
  EXPECT_TRUE(plan(at(1001)).empty());
}

TEST_F(PlannerTransition, ARebalanceAtOnceEndsATransitionThatRuns) {
  backends().push_back(backend("10.0.1.14"));
  apply(at(1000));
  ASSERT_FALSE(table().holders.empty());
  config.maglev.rebalanceStrategy = model::Rebalance::immediate;
  const auto made = apply(at(1001));
  EXPECT_TRUE(table().holders.empty());
  EXPECT_EQ(steps_of<ForgetFlows>(made).size(), 1u);
}

TEST_F(PlannerTransition, APoolThatRemembersAllFlowsNeedsNoTransition) {
  config.pools[0].connectionTracking = model::Tracking::full;
  const auto made = apply(at(1000));
  EXPECT_TRUE(table().tracked);
  EXPECT_EQ(steps_of<FillTable>(made).size(), 0u) << "the slots are the same";
  EXPECT_EQ(steps_of<SwapFront>(made).size(), 1u);
  backends().push_back(backend("10.0.1.14"));
  apply(at(1001));
  EXPECT_TRUE(table().holders.empty());
}

TEST_F(PlannerTransition, AnotherAlgorithmIsAnotherTable) {
  config.pools[0].algorithm = model::Algorithm::roundRobin;
  const auto made = apply(at(1000));
  EXPECT_EQ(table().algorithm, model::Algorithm::roundRobin);
  EXPECT_TRUE(table().tracked) << "chosen without being asked for";
  EXPECT_EQ(table().slots.size() % 3, 0u);
  EXPECT_EQ(steps_of<FillTable>(made).size(), 1u);
  EXPECT_EQ(steps_of<SwapFront>(made).size(), 1u);
  EXPECT_TRUE(plan(at(1001)).empty());
  config.pools[0].algorithm = model::Algorithm::leastConnections;
  const auto other = apply(at(1002));
  EXPECT_EQ(steps_of<SwapFront>(other).size(), 1u) << "the same slots, chosen from in another way";
}

}  // namespace
}  // namespace sluice
