// Full tables are refused with a word on how much room there is, and nothing is planned.
#include "planner_world.hpp"

namespace sluice {
namespace {

using namespace planner;
using test::ip;
using test::small_table;

IpAddress numbered(std::size_t i) {
  const std::uint8_t bytes[] = {10, 1, static_cast<std::uint8_t>(i >> 8),
                                static_cast<std::uint8_t>(i)};
  return IpAddress::from_v4(bytes);
}

model::Config with_backends(std::size_t count, std::size_t first = 0) {
  auto config = test::web();
  config.pools[0].backends.clear();
  for (std::size_t i = 0; i < count; i++) {
    model::Backend one;
    one.ip = numbered(first + i);
    config.pools[0].backends.push_back(one);
  }
  return config;
}

TEST(PlannerLimits, LastIdIsUsed) {
  test::Machine machine;
  const auto config = with_backends(SL_MAX_BACKENDS - 1);
  const auto made = make_plan({}, config, machine.towards(config));
  ASSERT_TRUE(made) << made.error().message;
  std::set<std::uint16_t> ids;
  for (const auto& [key, one] : made->after.backends)
    ids.insert(one.id);
  EXPECT_EQ(ids.size(), SL_MAX_BACKENDS - 1u);
  EXPECT_EQ(*ids.begin(), 1);
  EXPECT_EQ(*ids.rbegin(), SL_MAX_BACKENDS - 1);
}

TEST(PlannerLimits, OneBackendTooManyIsFull) {
  test::Machine machine;
  const auto config = with_backends(SL_MAX_BACKENDS);
  const auto made = make_plan({}, config, machine.towards(config));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Code::full);
  EXPECT_NE(made.error().message.find("4095"), std::string::npos) << made.error().message;
}

TEST(PlannerLimits, IdsOfBackendsThatGoAreNotRoomYet) {
  test::Machine machine;
  auto config = with_backends(SL_MAX_BACKENDS - 1);
  const auto first = make_plan({}, config, machine.towards(config));
  ASSERT_TRUE(first);
  config = with_backends(1, 5000);
  const auto made = make_plan(first->after, config, machine.towards(config));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Code::full);
  EXPECT_NE(made.error().message.find("make the change in two"), std::string::npos)
      << made.error().message;
}

TEST(PlannerLimits, OneServiceTooManyIsFull) {
  test::Machine machine;
  auto config = test::web();
  config.services.clear();
  for (std::uint16_t i = 0; i < SL_MAX_SERVICES; i++)
    config.services.push_back(test::service("s" + std::to_string(i), "10.0.0.100",
                                            static_cast<std::uint16_t>(i + 1), "web"));
  const auto made = make_plan({}, config, machine.towards(config));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Code::full);
  EXPECT_NE(made.error().message.find("511"), std::string::npos) << made.error().message;
}

class PlannerArena : public ::testing::Test {
 protected:
  test::Machine machine;
  model::Config config = test::web();

  static TableImage table(std::uint32_t base, std::size_t slots) {
    return {.base = base, .hash_functions = 1, .slots = std::vector<std::uint16_t>(slots, 1)};
  }
  Result<Plan> plan(const Image& running) {
    return make_plan(running, config, machine.towards(config));
  }
};

TEST_F(PlannerArena, TakesTheFirstHoleThatFits) {
  Image running;
  running.tables = {{"a", table(0, 100)}, {"b", table(350, 50)}, {"c", table(651, 9)}};
  const auto made = plan(running);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->after.tables.at("web").base, 400u) << "the hole at 100 is one slot too small";
}

TEST_F(PlannerArena, TakesTheLastSlots) {
  Image running;
  running.tables = {{"a", table(0, SL_SLOT_ARENA - small_table)}};
  const auto made = plan(running);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->after.tables.at("web").base, SL_SLOT_ARENA - small_table);
}

TEST_F(PlannerArena, RangeThatThisPlanFreesIsNotRoomYet) {
  Image running;
  running.tables = {{"web", table(0, small_table)}};
  const auto made = plan(running);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->after.tables.at("web").base, small_table);
  const auto freed = test::steps_of<ForgetTable>(*made);
  ASSERT_EQ(freed.size(), 1u);
  EXPECT_EQ(freed[0].base, 0u);
  EXPECT_EQ(freed[0].slots, small_table);
}

TEST_F(PlannerArena, FullArenaSaysHowMuchIsFree) {
  Image running;
  running.tables = {{"a", table(0, 1000)}, {"b", table(1100, SL_SLOT_ARENA - 1300)}};
  const auto made = plan(running);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Code::full);
  EXPECT_NE(made.error().message.find("300 slots are free, 200 of them together"),
            std::string::npos)
      << made.error().message;
}

}  // namespace
}  // namespace sluice
