// What a change of the configuration or of the machine does to the data plane.
#include "planner_fixture.hpp"

#include "maglev/maglev.hpp"

namespace sluice {
namespace {

using namespace planner;
using test::backend;
using test::ip;
using test::PlannerPlan;
using test::small_table;
using test::steps_of;

TEST_F(PlannerPlan, FirstConfigurationWritesEverythingOnce) {
  const auto made = apply();
  EXPECT_EQ(steps_of<PutBackend>(made).size(), 3u);
  EXPECT_EQ(steps_of<FillTable>(made).size(), 1u);
  EXPECT_EQ(steps_of<SwapFront>(made).size(), 1u);
  EXPECT_EQ(steps_of<Attach>(made).size(), 1u);
  EXPECT_EQ(made.steps.size(), 6u) << test::text_of(made);
  EXPECT_TRUE(made.warnings.empty()) << test::text_of(made);

  const auto& entry = running("10.0.1.12");
  EXPECT_EQ(entry.ifindex, 3u);
  EXPECT_EQ(entry.destination_mac, (MacAddress{{2, 0, 1, 0, 0, 12}}));
  EXPECT_EQ(entry.source, ip("10.0.1.2")) << "nat sends from the way out's own address";
  EXPECT_TRUE(entry.resolved);
  EXPECT_EQ(plane.image.interfaces.at("eth0").ifindex, 2u);
  ASSERT_EQ(made.effects.size(), 1u);
  EXPECT_EQ(made.effects[0].slots, small_table);
  EXPECT_EQ(made.effects[0].moved, 0u) << "nobody had a slot before";
}

TEST_F(PlannerPlan, TableIsTheOneOfMaglev) {
  config.maglev.hashFunctions = 2;
  backends()[1].weight = 50;
  backends()[2].port = 8080;
  apply();
  std::vector<maglev::Member> members;
  for (const auto& [key, entry] : plane.image.backends)
    members.push_back({.address = key.address.bytes(),
                       .port = key.port,
                       .weight = entry.weight,
                       .value = entry.id});
  EXPECT_EQ(plane.image.tables.at("web").slots, maglev::build(members, small_table, 2));
}

TEST_F(PlannerPlan, AddedBackendTakesItsShareAndLittleElseMoves) {
  apply();
  const auto before = plane.image;
  backends().push_back(backend("10.0.1.14"));
  const auto made = apply();
  EXPECT_EQ(steps_of<PutBackend>(made).size(), 1u) << "the others stay as they are";
  EXPECT_EQ(steps_of<SwapFront>(made).size(), 1u);
  EXPECT_EQ(steps_of<ForgetTable>(made).size(), 1u);
  EXPECT_EQ(running("10.0.1.11").id, before.backends.at({"web", ip("10.0.1.11"), 0}).id);
  ASSERT_EQ(made.effects.size(), 1u);
  EXPECT_EQ(made.effects[0].moved,
            maglev::moved(before.tables.at("web").slots, plane.image.tables.at("web").slots));
  EXPECT_GE(made.effects[0].moved, slots_of("10.0.1.14"));
  EXPECT_LT(made.effects[0].moved, small_table / 2);
  EXPECT_EQ(made.effects[0].unavoidable, 0u) << "no backend leaves";
}

TEST_F(PlannerPlan, RemovedBackendLosesItsSlotsAndItsEntry) {
  apply();
  const auto id = running("10.0.1.12").id;
  const auto owned = slots_of("10.0.1.12");
  backends().erase(backends().begin() + 1);
  const auto made = apply();
  const auto removed = steps_of<RemoveBackend>(made);
  ASSERT_EQ(removed.size(), 1u);
  EXPECT_EQ(removed[0].id, id);
  EXPECT_TRUE(steps_of<PutBackend>(made).empty()) << test::text_of(made);
  ASSERT_EQ(made.effects.size(), 1u);
  EXPECT_EQ(made.effects[0].unavoidable, owned);
  EXPECT_GE(made.effects[0].moved, owned);
}

TEST_F(PlannerPlan, IdOfARemovedBackendIsFreeOnlyAfterTheChange) {
  apply();
  const auto id = running("10.0.1.11").id;
  backends()[0] = backend("10.0.1.21");
  apply();
  EXPECT_NE(running("10.0.1.21").id, id) << "its memory is zeroed by this very change";
  backends().push_back(backend("10.0.1.22"));
  apply();
  EXPECT_EQ(running("10.0.1.22").id, id) << "the lowest free id";
}

TEST_F(PlannerPlan, DisabledBackendKeepsItsEntryAndHasNoSlot) {
  apply();
  auto expected = running("10.0.1.12");
  backends()[1].enabled = false;
  const auto made = apply();
  expected.enabled = false;  // which tells packets to leave it
  EXPECT_TRUE(running("10.0.1.12") == expected);
  EXPECT_EQ(slots_of("10.0.1.12"), 0u);
  EXPECT_TRUE(steps_of<RemoveBackend>(made).empty());
  backends()[1].enabled = true;
  apply();
  EXPECT_GT(slots_of("10.0.1.12"), 0u);
}

/// The same pool with direct return: its flows are told from one another while the table changes.
TEST_F(PlannerPlan, TimeoutsAreANewFrontAndNothingElse) {
  apply();
  config.xdp.flowTimeouts.tcpClosingSeconds = 7;
  const auto made = apply();
  ASSERT_EQ(made.steps.size(), 1u) << test::text_of(made);
  EXPECT_EQ(steps_of<SwapFront>(made).at(0).idle.closing, 7u);
  EXPECT_EQ(plane.image.idle.closing_one_sided, 7u);
}

TEST_F(PlannerPlan, ALimitIsOneWriteAndMovesNothing) {
  apply();
  backends()[0].maxConnections = 5;
  const auto made = apply();
  ASSERT_EQ(made.steps.size(), 1u) << test::text_of(made);
  EXPECT_EQ(steps_of<PutBackend>(made).at(0).backend.max_connections, 5u);
}

TEST_F(PlannerPlan, QuicIsANewFrontAndMovesNoSlot) {
  config.services[0].protocol = model::Protocol::udp;
  apply();
  for (std::size_t i = 0; i < backends().size(); i++)
    backends()[i].quicServerId = "0a0" + std::to_string(i);
  EXPECT_TRUE(apply().empty()) << "ids alone say nothing";
  config.pools[0].quic = {.serverIdLength = 2, .configRotation = 5};
  auto made = apply();
  EXPECT_TRUE(made.warnings.empty()) << test::text_of(made);
  EXPECT_TRUE(steps_of<FillTable>(made).empty()) << test::text_of(made);
  EXPECT_EQ(steps_of<MarkSlots>(made).size(), 1u);
  EXPECT_EQ(steps_of<PutBackend>(made).size(), 3u);
  EXPECT_EQ(steps_of<SwapFront>(made).size(), 1u);
  EXPECT_NE(test::text_of(made).find("QUIC server id 0a01"), std::string::npos);
  EXPECT_NE(test::text_of(made).find("QUIC connections follow server ids of 2 bytes in config "
                                     "rotation 5"),
            std::string::npos)
      << test::text_of(made);
  EXPECT_EQ(running("10.0.1.12").quic_server_id, (std::vector<std::uint8_t>{0x0a, 0x01}));

  std::swap(backends()[0].quicServerId, backends()[2].quicServerId);
  made = apply();
  EXPECT_EQ(steps_of<PutBackend>(made).size(), 2u);
  EXPECT_EQ(steps_of<SwapFront>(made).size(), 1u) << "packets would follow the old ids";
  config.pools[0].quic->configRotation = 4;
  EXPECT_EQ(steps_of<SwapFront>(apply()).size(), 1u);
  config.pools[0].quic.reset();
  EXPECT_EQ(steps_of<SwapFront>(apply()).size(), 1u);
  EXPECT_TRUE(running("10.0.1.12").quic_server_id.empty());
}

TEST_F(PlannerPlan, QuicWithoutAUdpServiceIsAWarning) {
  config.pools[0].quic = {.serverIdLength = 1, .configRotation = 0};
  for (std::size_t i = 0; i < backends().size(); i++)
    backends()[i].quicServerId = "0" + std::to_string(i);
  auto made = plan();
  ASSERT_EQ(made.warnings.size(), 1u);
  EXPECT_EQ(made.warnings[0].pointer, "/pools/0/quic");
  config.services.push_back(config.services[0]);
  config.services.back().name = "quic";
  config.services.back().protocol = model::Protocol::udp;
  EXPECT_TRUE(plan().warnings.empty()) << "TCP and QUIC of one pool is what HTTP/3 looks like";
}

TEST_F(PlannerPlan, WeightMovesSlots) {
  apply();
  backends()[0].weight = 2;
  const auto made = apply();
  EXPECT_EQ(steps_of<PutBackend>(made).size(), 1u) << "the entry's label keeps the weight";
  EXPECT_EQ(slots_of("10.0.1.11"), 125u)
      << "half of 251; the two others have the larger remainders";
  ASSERT_EQ(made.effects.size(), 1u);
  EXPECT_EQ(made.effects[0].unavoidable, 0u);
}

TEST_F(PlannerPlan, SameWeightsInOtherNumbersMoveNothing) {
  apply();
  for (auto& one : backends())
    one.weight = 50;
  const auto made = apply();
  EXPECT_TRUE(steps_of<FillTable>(made).empty()) << test::text_of(made);
  EXPECT_TRUE(steps_of<SwapFront>(made).empty()) << test::text_of(made);
}

TEST_F(PlannerPlan, OtherTableSizeMovesAll) {
  apply();
  config.pools[0].tableSize = 257;
  const auto made = apply();
  ASSERT_EQ(made.effects.size(), 1u);
  EXPECT_EQ(made.effects[0].moved, 257u);
  EXPECT_EQ(plane.image.tables.at("web").slots.size(), 257u);
}

TEST_F(PlannerPlan, OtherHashFunctionsAreKeptInTheTable) {
  apply();
  config.maglev.hashFunctions = 10;
  apply();
  EXPECT_EQ(plane.image.tables.at("web").hash_functions, 10);
}

TEST_F(PlannerPlan, ServiceComesAndGoesWithoutTouchingTables) {
  apply();
  config.services.push_back(test::service("dns", "10.0.0.101", 53, "web"));
  auto made = apply();
  ASSERT_EQ(made.steps.size(), 1u) << test::text_of(made);
  EXPECT_EQ(steps_of<SwapFront>(made).at(0).services.size(), 2u);
  config.services.pop_back();
  made = apply();
  ASSERT_EQ(made.steps.size(), 1u) << test::text_of(made);
  EXPECT_EQ(steps_of<SwapFront>(made).at(0).services.size(), 1u);
}

TEST_F(PlannerPlan, AnotherChoiceForFragmentsIsANewFrontAndNothingElse) {
  apply();
  config.xdp.fragments = model::Fragments::drop;
  const auto made = apply();
  ASSERT_EQ(made.steps.size(), 1u) << test::text_of(made);
  EXPECT_EQ(steps_of<SwapFront>(made).at(0).fragments, model::Fragments::drop);
}

TEST_F(PlannerPlan, AnAccessListIsWrittenBesideTheOneThatCounts) {
  apply();
  config.security.denyList = {"198.51.100.0/24", "2001:db8::/32"};
  auto made = apply();
  ASSERT_EQ(steps_of<FillAccessList>(made).size(), 1u) << test::text_of(made);
  const auto first = steps_of<FillAccessList>(made).at(0).access.list;
  EXPECT_EQ(steps_of<SwapFront>(made).at(0).access.entries, 2u);

  config.security.denyList = {"2001:db8::/32", "198.51.100.0/24"};
  EXPECT_TRUE(apply().empty()) << "the same list in another order";
  config.services.push_back(test::service("dns", "10.0.0.101", 53, "web"));
  EXPECT_TRUE(steps_of<FillAccessList>(apply()).empty()) << "services do not touch the lists";

  config.security.allowList = {"198.51.100.0/24"};
  made = apply();
  ASSERT_EQ(steps_of<FillAccessList>(made).size(), 1u);
  const auto list = steps_of<FillAccessList>(made).at(0);
  EXPECT_NE(list.access.list, first);
  ASSERT_EQ(list.entries.size(), 2u);
  for (const auto& entry : list.entries)
    EXPECT_EQ(entry.action, entry.address.is_v4() ? model::Access::allow : model::Access::deny)
        << "allow counts where both lists have the prefix";

  config.security.defaultAction = model::Access::deny;
  made = apply();
  ASSERT_EQ(made.steps.size(), 1u) << "another default needs no new list";
  config.security = {};
  made = apply();
  ASSERT_EQ(made.steps.size(), 1u) << test::text_of(made);
  EXPECT_EQ(steps_of<SwapFront>(made).at(0).access.entries, 0u);
}

TEST_F(PlannerPlan, ALimitForAllIsANewFrontAndNothingElse) {
  apply();
  config.rateLimit.packetsPerSecond = 5000;
  auto made = apply();
  ASSERT_EQ(made.steps.size(), 1u) << test::text_of(made);
  EXPECT_EQ(steps_of<SwapFront>(made).at(0).limit.rate, (RateImage{5000, 500}))
      << "the burst is a tenth of a second's packets unless it is said";
  config.rateLimit.packetsPerSecond = 5;
  apply();
  EXPECT_EQ(plane.image.limit.rate, (RateImage{5, 1})) << "and at least one packet";
  config.rateLimit.burst = 100;
  made = apply();
  ASSERT_EQ(made.steps.size(), 1u) << test::text_of(made);
  EXPECT_EQ(plane.image.limit.rate, (RateImage{5, 100}));
  config.rateLimit.packetsPerSecond = 0;
  apply();
  EXPECT_EQ(plane.image.limit, LimitImage{}) << "a burst without a rate is no limit";
}

TEST_F(PlannerPlan, LimitsOfBackendsAreWrittenWithThemAndTablesStay) {
  apply();
  config.rateLimit.perBackend.packetsPerSecond = 1000;
  backends()[1].rateLimit = {.packetsPerSecond = 50, .burst = 7};
  backends()[2].rateLimit = {.packetsPerSecond = 0, .burst = {}};
  const auto made = apply();
  EXPECT_EQ(steps_of<PutBackend>(made).size(), 2u) << test::text_of(made);
  EXPECT_EQ(made.steps.size(), 2u) << test::text_of(made);
  EXPECT_EQ(running("10.0.1.11").limit, (RateImage{1000, 100}));
  EXPECT_EQ(running("10.0.1.12").limit, (RateImage{50, 7})) << "its own goes before all backends'";
  EXPECT_EQ(running("10.0.1.13").limit, RateImage{}) << "zero is no limit";
}

TEST_F(PlannerPlan, TheKernelMarksOnlyWhileMarkedPacketsPass) {
  config.rateLimit.action = model::ExcessAction::pass;
  config.rateLimit.mark = 7;
  EXPECT_TRUE(steps_of<StartMarking>(apply()).empty()) << "there is no limit yet";
  config.rateLimit.perBackend.packetsPerSecond = 10;
  auto made = apply();
  ASSERT_EQ(steps_of<StartMarking>(made).size(), 1u) << test::text_of(made);
  EXPECT_EQ(steps_of<StartMarking>(made).at(0).interface, "eth0");

  config.xdp.interfaces[0].mode = model::XdpMode::SKB;
  EXPECT_EQ(steps_of<StartMarking>(apply()).size(), 1u) << "attaching anew took the marking off";
  config.xdp.interfaces.push_back({.name = "eth1", .mode = model::XdpMode::DRV});
  EXPECT_EQ(steps_of<StartMarking>(apply()).at(0).interface, "eth1");

  plane.image.interfaces.at("eth1").marks = false;  // somebody took it off
  made = apply();
  ASSERT_EQ(made.steps.size(), 1u) << test::text_of(made);
  EXPECT_EQ(steps_of<StartMarking>(made).at(0).interface, "eth1");

  config.xdp.interfaces.pop_back();
  made = apply();
  EXPECT_TRUE(steps_of<StopMarking>(made).empty()) << "detaching does that";
  config.rateLimit.action = model::ExcessAction::drop;
  config.rateLimit.mark = {};
  made = apply();
  ASSERT_EQ(steps_of<StopMarking>(made).size(), 1u) << test::text_of(made);
  EXPECT_EQ(steps_of<SwapFront>(made).size(), 1u);
}

TEST_F(PlannerPlan, ARangeIsAnotherServiceThanItsFirstPort) {
  apply();
  config.services[0].portEnd = static_cast<std::uint16_t>(config.services[0].port + 9);
  const auto made = apply();
  ASSERT_EQ(steps_of<SwapFront>(made).size(), 1u);
  const auto services = steps_of<SwapFront>(made).at(0).services;
  ASSERT_EQ(services.size(), 1u);
  EXPECT_EQ(services.begin()->first.port_end, *config.services[0].portEnd);
  config.services[0].portEnd = config.services[0].port;
  apply();
  EXPECT_EQ(plane.image.services.begin()->first.port_end, 0) << "a range of one port is that port";
}

TEST_F(PlannerPlan, DisabledServiceIsNotInTheFront) {
  config.services[0].enabled = false;
  apply();
  EXPECT_TRUE(plane.image.services.empty());
}

TEST_F(PlannerPlan, ServiceMovesToAnotherPoolAndKeepsItsCounters) {
  config.pools.push_back(test::pool("other", {backend("10.0.1.31")}));
  apply();
  const auto before = plane.image.services.begin()->second;
  config.services[0].pool = "other";
  const auto made = apply();
  EXPECT_EQ(made.steps.size(), 1u) << test::text_of(made);
  EXPECT_EQ(plane.image.services.begin()->second.id, before.id);
  EXPECT_EQ(plane.image.services.begin()->second.pool, "other");
}

TEST_F(PlannerPlan, AServiceThatIsToAnswerPingsChangesTheFrontAndNothingElse) {
  apply();
  config.services[0].answerEcho = true;
  const auto made = apply();
  ASSERT_EQ(made.steps.size(), 1u) << test::text_of(made);
  EXPECT_TRUE(steps_of<SwapFront>(made).at(0).services.begin()->second.answer_echo);
  EXPECT_TRUE(apply().empty());
}

TEST_F(PlannerPlan, RenamedServiceKeepsItsCounters) {
  apply();
  const auto id = plane.image.services.begin()->second.id;
  config.services[0].name = "shop";
  const auto made = apply();
  EXPECT_EQ(steps_of<SwapFront>(made).size(), 1u);
  EXPECT_EQ(plane.image.services.begin()->second.id, id);
}

TEST_F(PlannerPlan, PoolGoesWithTableAndBackends) {
  config.pools.push_back(test::pool("other", {backend("10.0.1.31"), backend("10.0.1.32")}));
  apply();
  config.pools.pop_back();
  const auto made = apply();
  EXPECT_EQ(steps_of<ForgetTable>(made).size(), 1u);
  EXPECT_EQ(steps_of<RemoveBackend>(made).size(), 2u);
  EXPECT_FALSE(plane.image.tables.contains("other"));
  ASSERT_EQ(made.effects.size(), 1u);
  EXPECT_EQ(made.effects[0].slots, 0u);
  EXPECT_EQ(made.effects[0].unavoidable, small_table);
}

TEST_F(PlannerPlan, SameHostInTwoPoolsIsTwoBackends) {
  config.pools.push_back(test::pool("l2", {backend("10.0.1.11")}, model::Forwarding::dsr_l2));
  apply();
  EXPECT_NE(running("10.0.1.11", "web").id, running("10.0.1.11", "l2").id);
  EXPECT_EQ(running("10.0.1.11", "l2").forwarding, model::Forwarding::dsr_l2);
}

TEST_F(PlannerPlan, L4BackendsFeedThePoolDefault) {
  config.l4_backends = {backend("10.0.1.41"), backend("10.0.1.42")};
  config.services.push_back(test::service("plain", "10.0.0.100", 81, "default"));
  apply();
  EXPECT_EQ(plane.image.tables.at("default").slots.size(), small_table);
}

TEST_F(PlannerPlan, ChangedNeighbourIsOneWriteAndMovesNoFlow) {
  apply();
  machine.hop("10.0.1.12").destination = MacAddress{{2, 0, 9, 9, 9, 9}};
  const auto made = apply();
  ASSERT_EQ(made.steps.size(), 1u) << test::text_of(made);
  EXPECT_EQ(steps_of<PutBackend>(made).at(0).backend.destination_mac,
            (MacAddress{{2, 0, 9, 9, 9, 9}}));
  EXPECT_TRUE(made.effects.empty());
}

TEST_F(PlannerPlan, LostRouteTakesABackendOutAndRecoveryBringsItBack) {
  apply();
  const auto before = plane.image;
  machine.lose("10.0.1.12", "no route to 10.0.1.12");
  auto made = apply();
  EXPECT_EQ(slots_of("10.0.1.12"), 0u);
  EXPECT_FALSE(running("10.0.1.12").resolved);
  ASSERT_EQ(made.warnings.size(), 1u) << test::text_of(made);
  EXPECT_EQ(made.warnings[0].pointer, "/pools/0/backends/1");
  EXPECT_NE(made.warnings[0].message.find("no route to 10.0.1.12"), std::string::npos)
      << made.warnings[0].message;
  EXPECT_FALSE(made.warnings[0].suggestion.empty());

  machine.topology.next_hops.erase(ip("10.0.1.12"));
  made = apply();
  EXPECT_TRUE(made.warnings.empty());
  EXPECT_TRUE(plane.image.backends == before.backends);
  EXPECT_EQ(plane.image.tables.at("web").slots, before.tables.at("web").slots)
      << "its flows come back to it";
}

TEST_F(PlannerPlan, PoolWithoutAnyReachableBackendKeepsAllOfThemInTheTable) {
  for (const auto* address : {"10.0.1.11", "10.0.1.12", "10.0.1.13"})
    machine.lose(address, "no answer");
  const auto made = apply();
  EXPECT_EQ(plane.image.tables.at("web").slots.size(), small_table);
  EXPECT_EQ(made.warnings.size(), 4u) << "one a backend and one for the pool:\n"
                                      << test::text_of(made);
}

TEST_F(PlannerPlan, PoolWithoutEnabledBackendHasNoSlotsAndWarns) {
  apply();
  for (auto& one : backends())
    one.enabled = false;
  auto made = apply();
  EXPECT_TRUE(plane.image.tables.at("web").slots.empty());
  EXPECT_EQ(plane.image.tables.at("web").base, 0u);
  ASSERT_EQ(made.warnings.size(), 1u);
  EXPECT_EQ(made.warnings[0].pointer, "/pools/0");
  ASSERT_EQ(made.effects.size(), 1u);
  EXPECT_EQ(made.effects[0].unavoidable, small_table);

  config.services.clear();
  made = apply();
  EXPECT_TRUE(made.warnings.empty()) << "no service needs the pool";
}

TEST_F(PlannerPlan, HandEditedSlotsAreHealed) {
  apply();
  auto& slots = plane.image.tables.at("web").slots;
  const auto wanted = slots;
  slots[17] = slots[17] == 1 ? 2 : 1;
  const auto made = apply();
  EXPECT_EQ(steps_of<FillTable>(made).size(), 1u);
  EXPECT_EQ(plane.image.tables.at("web").slots, wanted);
  EXPECT_EQ(made.effects.at(0).moved, 1u);
}

TEST_F(PlannerPlan, ModeOfAnInterfaceChangesInOneStep) {
  apply();
  config.xdp.interfaces[0].mode = model::XdpMode::SKB;
  const auto made = apply();
  ASSERT_EQ(made.steps.size(), 1u) << test::text_of(made);
  EXPECT_EQ(steps_of<Attach>(made).at(0).image.mode, model::XdpMode::SKB);
}

TEST_F(PlannerPlan, LostBackendKeepsTheSourceThatItsFlowsKnow) {
  apply();
  for (const auto* address : {"10.0.1.11", "10.0.1.12", "10.0.1.13"})
    machine.lose(address, "the link is down");
  apply();
  EXPECT_FALSE(running("10.0.1.11").resolved);
  EXPECT_EQ(running("10.0.1.11").source, ip("10.0.1.2"))
      << "replies that are on their way would go to the kernel, which resets the connection";
  config.services[0].address = ip("10.0.1.2");
  apply();
  EXPECT_EQ(running("10.0.1.11").source, IpAddress()) << "nothing is sent from a VIP";
}

TEST_F(PlannerPlan, RecreatedInterfaceIsAttachedAgain) {
  apply();
  machine.topology.links.at("eth0").index = 12;
  const auto made = apply();
  EXPECT_EQ(steps_of<Attach>(made).at(0).image.ifindex, 12u);
}

TEST_F(PlannerPlan, InterfaceThatIsNoLongerNamedIsDetached) {
  apply();
  config.xdp.interfaces.clear();
  const auto made = apply();
  ASSERT_EQ(made.steps.size(), 1u) << test::text_of(made);
  EXPECT_EQ(steps_of<Detach>(made).at(0).interface, "eth0");
}

TEST_F(PlannerPlan, InterfaceThatDoesNotExistIsRefusedByName) {
  config.xdp.interfaces.push_back({.name = "eth7", .mode = model::XdpMode::DRV});
  const auto made = make_plan(plane.image, config, machine.towards(config));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Code::invalid);
  ASSERT_EQ(made.error().faults.size(), 1u);
  EXPECT_EQ(made.error().faults[0].pointer, "/xdp/interfaces/1/name");
  EXPECT_NE(made.error().faults[0].suggestion.find("eth0, eth1"), std::string::npos)
      << made.error().faults[0].suggestion;
}

TEST_F(PlannerPlan, VanishedInterfaceDoesNotStopEverythingElse) {
  apply();
  machine.topology.links.erase("eth0");
  backends().push_back(backend("10.0.1.14"));
  const auto made = apply({.tolerate_missing_interfaces = true});
  EXPECT_TRUE(plane.image.interfaces.empty());
  EXPECT_GT(slots_of("10.0.1.14"), 0u);
  ASSERT_EQ(made.warnings.size(), 1u);
  EXPECT_EQ(made.warnings[0].pointer, "/xdp/interfaces/0/name");
}

TEST_F(PlannerPlan, InterfaceThatIsDownIsAttachedWithAWarning) {
  machine.topology.links.at("eth0").up = false;
  const auto made = apply();
  EXPECT_TRUE(plane.image.interfaces.contains("eth0"));
  ASSERT_EQ(made.warnings.size(), 1u);
  EXPECT_EQ(made.warnings[0].pointer, "/xdp/interfaces/0/name");
}

TEST_F(PlannerPlan, EveryStepHasALineForPeople) {
  config.xdp.interfaces.push_back({.name = "eth1", .mode = model::XdpMode::SKB});
  apply();
  config.xdp.interfaces.pop_back();
  config.xdp.interfaces[0].mode = model::XdpMode::HW;
  backends()[0] = backend("10.0.1.21");
  machine.lose("10.0.1.21", "no answer");
  std::string text;
  for (const auto& step : plan().steps)
    text += describe(step) + "\n";
  EXPECT_EQ(text, "attach eth0 in mode HW\n"
                  "write backend 10.0.1.21 of pool web, which is unroutable\n"
                  "fill 251 slots of pool web\n"
                  "switch to a new front of 1 service\n"
                  "free 251 slots of the old table of pool web\n"
                  "remove backend 10.0.1.11 of pool web\n"
                  "detach eth1\n");
}

TEST_F(PlannerPlan, AnInterfaceOfAnotherLayoutIsTakenOverOnceItsServicesAreThere) {
  const InterfaceImage eth0{2, model::XdpMode::DRV};
  plane.image.inherited["eth0"] = {eth0, 1};
  const auto made = apply();
  EXPECT_TRUE(steps_of<Attach>(made).empty()) << "attaching is refused where a program is";
  ASSERT_EQ(steps_of<TakeOver>(made).size(), 1u);
  EXPECT_GT(made.steps.back().index(), Step(SwapFront{}).index())
      << "packets would meet a front without services";
  ASSERT_EQ(made.warnings.size(), 1u);
  EXPECT_NE(made.warnings[0].message.find("flows of nat"), std::string::npos)
      << "nobody is told what is lost";
  EXPECT_EQ(plane.image.interfaces.at("eth0"), eth0);
}

TEST_F(PlannerPlan, AnInterfaceOfAnotherLayoutThatIsNotWantedIsDetached) {
  plane.image.inherited["eth1"] = {{3, model::XdpMode::DRV}, 1};
  const auto made = apply();
  ASSERT_EQ(steps_of<Detach>(made).size(), 1u);
  EXPECT_TRUE(plane.image.inherited.empty());
}

/// Two interfaces, of which one has had another program.

}  // namespace
}  // namespace sluice
