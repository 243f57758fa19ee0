// The controller: a change happens whole or not at all, and what runs follows configuration and
// kernel.
#include "control/controller.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "codec/codec.hpp"
#include "fakes.hpp"
#include "model/document.hpp"
#include "planner/phases.hpp"

namespace sluice::control {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

model::Config config(const std::string& text) {
  auto config = model::read_document(codec::parse(text).value());
  EXPECT_TRUE(config) << (config ? "" : config.error().message);
  return config ? *config : model::Config{};
}

const std::string web = R"({
  "services": [{"name": "web", "address": "10.0.0.100", "port": 80, "protocol": "tcp", "pool": "default"}],
  "l4_backends": ["10.0.1.11", "10.0.1.12"],
  "xdp": {"interfaces": [{"name": "eth0"}]}
})";

class ControllerTest : public ::testing::Test {
 protected:
  Result<Change> put(const model::Config& wanted, ChangeOptions options = {}) {
    return controller.change([&](const model::Config&) { return wanted; }, options);
  }
  Result<Change> put(const std::string& text, ChangeOptions options = {}) {
    return put(config(text), options);
  }
  planner::BackendKey backend(const std::string& ip) {
    return {"default", IpAddress::parse(ip).value(), 0};
  }

  test::FakeDataplane dataplane;
  test::FakeStore store;
  test::FakeNextHops next_hops;
  Controller controller{dataplane, store, next_hops};
};

TEST_F(ControllerTest, AcceptedChangeIsAppliedAndStoredAsAGeneration) {
  ASSERT_TRUE(controller.start());
  auto change = put(web, {.actor = "ada", .reason = "first"});
  ASSERT_TRUE(change) << change.error().message;
  EXPECT_TRUE(change->applied);
  EXPECT_EQ(change->generation, 1u);
  EXPECT_EQ(dataplane.image.services.size(), 1u);
  EXPECT_EQ(dataplane.image.backends.size(), 2u);
  EXPECT_TRUE(dataplane.image.interfaces.contains("eth0"));
  ASSERT_EQ(store.generations.size(), 1u);
  EXPECT_EQ(store.generations[0].actor, "ada");
  EXPECT_EQ(store.generations[0].reason, "first");
  EXPECT_EQ(config(store.generations[0].config), controller.config());
}

TEST_F(ControllerTest, ChangeThatChangesNothingMakesNoGeneration) {
  ASSERT_TRUE(controller.start());
  ASSERT_TRUE(put(web));
  auto again = put(web);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->generation, 1u);
  EXPECT_TRUE(again->plan.empty());
  EXPECT_EQ(store.generations.size(), 1u);
}

TEST_F(ControllerTest, DryRunShowsThePlanAndTouchesNothing) {
  ASSERT_TRUE(controller.start());
  auto change = put(web, {.dry_run = true});
  ASSERT_TRUE(change);
  EXPECT_FALSE(change->applied);
  EXPECT_FALSE(change->plan.empty());
  EXPECT_EQ(dataplane.applied, 0);
  EXPECT_THAT(store.generations, IsEmpty());
  EXPECT_THAT(next_hops.watched, IsEmpty()) << "a preview must not go on soliciting neighbours";
  EXPECT_EQ(controller.generation(), 0u);
}

TEST_F(ControllerTest, ChangeMadeFromAnOldGenerationIsRefused) {
  ASSERT_TRUE(controller.start());
  ASSERT_TRUE(put(web));
  auto stale = put("{}", {.if_match = 0});
  ASSERT_FALSE(stale);
  EXPECT_EQ(stale.error().code, Code::stale);
  EXPECT_THAT(stale.error().message, HasSubstr("generation 1"));
  EXPECT_EQ(dataplane.image.services.size(), 1u);
}

TEST_F(ControllerTest, SlotsSettleWhenNoFlowOfAnotherBackendIsLeft) {
  ASSERT_TRUE(controller.start());
  auto wanted = config(web);
  wanted.xdp.forwarding = model::Forwarding::dsr_l2;
  ASSERT_TRUE(put(wanted));
  auto& table = dataplane.image.tables.at("default");
  auto slots = planner::unpack(table, 0);
  slots[7].phase = transition::Phase::pinned;
  table.holders = planner::pack_holders(slots);
  table.holder_base = 1 << 20;
  dataplane.learned.of_others["default"].resize(table.slots.size());
  controller.tick();
  EXPECT_TRUE(dataplane.image.tables.at("default").holders.empty());
}

TEST_F(ControllerTest, InvalidChangeNamesItsFaultsAndChangesNothing) {
  ASSERT_TRUE(controller.start());
  ASSERT_TRUE(put(web));
  auto wanted = controller.config();
  wanted.services[0].pool = "nowhere";
  wanted.l4_backends[0].weight = 101;
  wanted.xdp.interfaces[0].name = "eth7";
  auto refused = put(wanted);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::invalid);
  EXPECT_EQ(refused.error().message, "the configuration has 3 faults");
  std::set<std::string> pointers;
  for (const auto& fault : refused.error().faults)
    pointers.insert(fault.pointer);
  EXPECT_EQ(pointers, (std::set<std::string>{"/services/0/pool", "/l4_backends/0/weight",
                                             "/xdp/interfaces/0/name"}));
  EXPECT_EQ(controller.generation(), 1u);
  EXPECT_EQ(dataplane.applied, 1);
}

TEST_F(ControllerTest, RefusalByTheKernelLeavesConfigurationAndHistoryAsTheyWere) {
  ASSERT_TRUE(controller.start());
  dataplane.refusal = "eth0: Operation not supported";
  auto refused = put(web);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("Operation not supported"));
  EXPECT_EQ(controller.generation(), 0u);
  EXPECT_THAT(store.generations, IsEmpty());
}

TEST_F(ControllerTest, ChangeThatCannotBeStoredIsTakenBack) {
  ASSERT_TRUE(controller.start());
  ASSERT_TRUE(put(web));
  const auto before = dataplane.image;
  store.refusal = "disk full";
  auto wanted = controller.config();
  wanted.l4_backends.pop_back();
  auto refused = put(wanted);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("disk full"));
  EXPECT_EQ(controller.config().l4_backends.size(), 2u);
  EXPECT_EQ(dataplane.image.backends.size(), before.backends.size());
  EXPECT_EQ(dataplane.image.tables.at("default").slots, before.tables.at("default").slots);
}

TEST_F(ControllerTest, RestartLoadsTheNewestGenerationAndChangesNothingThatRuns) {
  ASSERT_TRUE(controller.start());
  ASSERT_TRUE(put(web));
  const auto before = dataplane.image;
  Controller second{dataplane, store, next_hops};
  ASSERT_TRUE(second.start());
  EXPECT_EQ(second.generation(), 1u);
  EXPECT_EQ(second.config(), controller.config());
  EXPECT_EQ(dataplane.image, before);
  EXPECT_TRUE(second.state()->adopted);
}

TEST_F(ControllerTest, LostStoreDoesNotTakeDownARunningDataPlane) {
  ASSERT_TRUE(controller.start());
  ASSERT_TRUE(put(web));
  store.generations.clear();
  Controller second{dataplane, store, next_hops};
  ASSERT_TRUE(second.start());
  next_hops.changed = true;
  second.tick();
  EXPECT_EQ(dataplane.image.services.size(), 1u);
  EXPECT_THAT(second.state()->drift, HasSubstr("no configuration is stored"));
}

TEST_F(ControllerTest, BackendWhoseNeighbourIsLostLeavesTheTableAndComesBack) {
  ASSERT_TRUE(controller.start());
  ASSERT_TRUE(put(web));
  next_hops.unreachable = {IpAddress::parse("10.0.1.11").value()};
  next_hops.changed = true;
  controller.tick();
  EXPECT_FALSE(dataplane.image.backends.at(backend("10.0.1.11")).resolved);
  const auto gone = dataplane.image.backends.at(backend("10.0.1.11")).id;
  EXPECT_THAT(dataplane.image.tables.at("default").slots,
              ::testing::Not(::testing::Contains(gone)));

  next_hops.unreachable.clear();
  next_hops.changed = true;
  controller.tick();
  EXPECT_TRUE(dataplane.image.backends.at(backend("10.0.1.11")).resolved);
  EXPECT_THAT(dataplane.image.tables.at("default").slots, ::testing::Contains(gone));
}

TEST_F(ControllerTest, VanishedInterfaceIsReportedAndOtherChangesStayPossible) {
  ASSERT_TRUE(controller.start());
  ASSERT_TRUE(put(web));
  next_hops.links.erase("eth0");
  next_hops.changed = true;
  controller.tick();
  EXPECT_THAT(controller.state()->interfaces.at(0).problem, HasSubstr("eth0"));
  auto wanted = controller.config();
  wanted.l4_backends.push_back({.ip = IpAddress::parse("10.0.1.13").value()});
  auto change = put(wanted);
  ASSERT_TRUE(change) << change.error().message;
  EXPECT_EQ(dataplane.image.backends.size(), 3u);
}

TEST_F(ControllerTest, OneInterfaceThatRefusesDoesNotKeepTheOthersFromBalancing) {
  ASSERT_TRUE(controller.start());
  auto wanted = config(web);
  wanted.xdp.interfaces.push_back({.name = "eth1", .mode = model::XdpMode::DRV});
  ASSERT_TRUE(put(wanted));
  test::FakeDataplane rebooted;
  rebooted.refused_interface = "eth1";
  Controller second{rebooted, store, next_hops};
  ASSERT_TRUE(second.start());
  EXPECT_TRUE(rebooted.image.interfaces.contains("eth0"));
  EXPECT_EQ(rebooted.image.services.size(), 1u);
  EXPECT_THAT(second.state()->drift, HasSubstr("eth1"));
  next_hops.unreachable = {IpAddress::parse("10.0.1.11").value()};
  next_hops.changed = true;
  second.tick();
  EXPECT_FALSE(rebooted.image.backends.at(backend("10.0.1.11")).resolved)
      << "neighbours are followed all the same";
  rebooted.refused_interface.reset();
  next_hops.changed = true;
  second.tick();
  EXPECT_TRUE(rebooted.image.interfaces.contains("eth1"));
  EXPECT_EQ(second.state()->drift, "");
}

TEST_F(ControllerTest, BackendThatNamesAPoolIsInThatPoolAtOnce) {
  ASSERT_TRUE(controller.start());
  auto wanted = config(web);
  wanted.pools.push_back({.name = "video", .backends = {}});
  wanted.l4_backends.push_back({.ip = IpAddress::parse("10.0.1.21").value(), .pool = "video"});
  ASSERT_TRUE(put(wanted));
  EXPECT_TRUE(
      dataplane.image.backends.contains({"video", IpAddress::parse("10.0.1.21").value(), 0}));
  EXPECT_EQ(controller.config().l4_backends.size(), 2u);
}

TEST_F(ControllerTest, TickMovesThePacketPathsClock) {
  ASSERT_TRUE(controller.start());
  controller.tick();
  const auto uptime = std::chrono::steady_clock::now().time_since_epoch() / std::chrono::seconds(1);
  EXPECT_NEAR(dataplane.epoch, static_cast<double>(uptime), 2)
      << "a wall clock that is set must not end flows";
}

TEST_F(ControllerTest, AnotherMtuIsFollowedWithoutANewGenerationAndWithoutAttachingAnew) {
  ASSERT_TRUE(controller.start());
  ASSERT_TRUE(put(web));
  EXPECT_FALSE(dataplane.image.interfaces.at("eth0").jumbo);
  next_hops.links.at("eth0").mtu = 9000;
  EXPECT_TRUE(controller.pending()->empty()) << "an MTU is no part of the configuration";
  next_hops.changed = true;
  controller.tick();
  EXPECT_TRUE(dataplane.image.interfaces.at("eth0").jumbo) << "large frames are not balanced";
  EXPECT_EQ(controller.generation(), 1u);
  EXPECT_EQ(controller.state()->drift, "");
}

TEST_F(ControllerTest, AVersionThatRunsSurvivesChangesAndRestarts) {
  ASSERT_TRUE(controller.start());
  ASSERT_TRUE(put(web));
  ASSERT_TRUE(controller.reload_programs({}, "next", {}));
  auto wanted = controller.config();
  wanted.l4_backends.pop_back();
  ASSERT_TRUE(put(wanted));
  Controller second{dataplane, store, next_hops};
  ASSERT_TRUE(second.start());
  second.tick();
  EXPECT_EQ(second.programs()->attachments.at(0).program.version, "2.0")
      << "which program runs is the operator's affair";
  EXPECT_TRUE(second.state()->interfaces.at(0).outdated) << "but it is said";
  ASSERT_TRUE(second.roll_back_programs("eth0", {}));
  EXPECT_EQ(second.programs()->attachments.at(0).program.version, "1.0");
}

TEST_F(ControllerTest, AnInterfaceOfAnotherLayoutIsTakenOverInOnePlanWithTheServices) {
  ASSERT_TRUE(controller.start());
  ASSERT_TRUE(put(web));
  test::FakeDataplane upgraded;
  upgraded.image.inherited["eth0"] = {dataplane.image.interfaces.at("eth0"), 1};
  Controller second{upgraded, store, next_hops};
  ASSERT_TRUE(second.start());
  EXPECT_TRUE(second.state()->adopted);
  EXPECT_EQ(upgraded.applied, 1) << "between two plans packets would meet half of the tables";
  EXPECT_TRUE(upgraded.image.interfaces.contains("eth0"));
  EXPECT_EQ(upgraded.image.services.size(), 1u);
  EXPECT_EQ(second.state()->drift, "");
}

}  // namespace
}  // namespace sluice::control
