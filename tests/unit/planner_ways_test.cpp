// How frames reach a backend, what address they come from, and what is said when they cannot.
#include "planner_world.hpp"

namespace sluice {
namespace {

using namespace planner;
using model::Forwarding;
using test::ip;

class PlannerWays : public ::testing::Test {
 protected:
  model::Config config;
  test::Machine machine;
  Plan plan;

  PlannerWays() {
    config.maglev.tableSize = test::small_table;
    config.services = {test::service("web", "10.0.0.100", 80, "p"),
                       test::service("web6", "fd00:100::100", 80, "p")};
    config.xdp.interfaces = {{.name = "eth0", .mode = model::XdpMode::DRV}};
  }
  /// The entry of the only backend of a pool with this forwarding.
  BackendImage entry(Forwarding forwarding, const std::string& address) {
    config.pools = {test::pool("p", {test::backend(address)}, forwarding)};
    return planned(address);
  }
  BackendImage planned(const std::string& address) {
    auto made = make_plan({}, config, machine.towards(config));
    EXPECT_TRUE(made) << made.error().message;
    if (!made)
      return {};
    plan = std::move(*made);
    return plan.after.backends.at({"p", ip(address), 0});
  }
  std::string warnings() const {
    std::string text;
    for (const auto& warning : plan.warnings)
      text += warning.pointer + ": " + warning.message + " (" + warning.suggestion + ")\n";
    return text;
  }
};

TEST_F(PlannerWays, NatSendsFromTheConfiguredAddressOfTheFamily) {
  config.nat.sourceAddresses = {ip("10.0.1.50"), ip("fd00:1::50")};
  EXPECT_EQ(entry(Forwarding::nat, "10.0.1.11").source, ip("10.0.1.50"));
  EXPECT_EQ(entry(Forwarding::nat, "fd00:1::11").source, ip("fd00:1::50"));
}

TEST_F(PlannerWays, NatWithoutASourceOfTheFamilySendsFromTheWayOut) {
  config.nat.sourceAddresses = {ip("10.0.1.50")};
  EXPECT_EQ(entry(Forwarding::nat, "fd00:1::11").source, ip("fd00:1::2"));
}

TEST_F(PlannerWays, NatNeverSendsFromAVip) {
  machine.hop("10.0.1.11").preferred_source = ip("10.0.0.100");
  auto& addresses = machine.topology.links.at("eth1").addresses;
  addresses.insert(addresses.begin(), ip("10.0.0.100"));
  EXPECT_EQ(entry(Forwarding::nat, "10.0.1.11").source, ip("10.0.1.2"))
      << "the other address of the way out";
  config.services[0].enabled = false;
  EXPECT_EQ(entry(Forwarding::nat, "10.0.1.11").source, ip("10.0.1.2"))
      << "the VIP of a disabled service may be on the backends all the same";
}

TEST_F(PlannerWays, NatFallsBackToNoLinkLocalAddress) {
  machine.hop("fd00:1::11").preferred_source = ip("fd00:100::100");
  machine.topology.links.at("eth1").addresses = {ip("fe80::2"), ip("fd00:100::100"),
                                                 ip("10.0.1.2")};
  EXPECT_FALSE(entry(Forwarding::nat, "fd00:1::11").resolved);
  EXPECT_NE(warnings().find("eth1 has no IPv6 address to send from that is no VIP"),
            std::string::npos)
      << warnings();
}

TEST_F(PlannerWays, NatWithNothingButTheVipIsUnroutable) {
  machine.hop("10.0.1.11").preferred_source = ip("10.0.0.100");
  machine.topology.links.at("eth1").addresses = {ip("10.0.0.100")};
  const auto unresolved = entry(Forwarding::nat, "10.0.1.11");
  EXPECT_FALSE(unresolved.resolved);
  EXPECT_EQ(unresolved.destination_mac, MacAddress());
  EXPECT_NE(warnings().find("/nat/sourceAddresses"), std::string::npos) << warnings();
}

TEST_F(PlannerWays, PreservedClientNeedsNoSource) {
  config.pools = {test::pool("p", {test::backend("10.0.1.11")})};
  config.pools[0].preserveClientAddress = true;
  const auto preserving = planned("10.0.1.11");
  EXPECT_TRUE(preserving.preserve_client_address);
  EXPECT_EQ(preserving.source, IpAddress());
}

TEST_F(PlannerWays, DsrL2HasNoSource) {
  const auto direct = entry(Forwarding::dsr_l2, "10.0.1.11");
  EXPECT_TRUE(direct.resolved);
  EXPECT_EQ(direct.source, IpAddress());
}

TEST_F(PlannerWays, DsrL2BehindAGatewayWouldLoopAndIsRefused) {
  machine.hop("10.9.0.11").via = ip("10.0.1.1");
  EXPECT_FALSE(entry(Forwarding::dsr_l2, "10.9.0.11").resolved);
  EXPECT_NE(warnings().find("behind 10.0.1.1"), std::string::npos) << warnings();
  EXPECT_TRUE(entry(Forwarding::dsr_ipip, "10.9.0.11").resolved);
  EXPECT_TRUE(entry(Forwarding::nat, "10.9.0.11").resolved);
}

TEST_F(PlannerWays, DsrIpipVariesItsSourceInThePrefix) {
  config.xdp.encapSource = "172.16.0.0/16";
  config.xdp.encapSource6 = "fd00:e::/64";
  auto tunnel = entry(Forwarding::dsr_ipip, "10.0.1.11");
  EXPECT_EQ(tunnel.source, ip("172.16.0.0"));
  EXPECT_EQ(tunnel.source_varying_bits, 16);
  tunnel = entry(Forwarding::dsr_ipip, "fd00:1::11");
  EXPECT_EQ(tunnel.source, ip("fd00:e::"));
  EXPECT_EQ(tunnel.source_varying_bits, 16);
}

TEST_F(PlannerWays, DsrIpipWithoutAPrefixSendsFromTheWayOut) {
  const auto tunnel = entry(Forwarding::dsr_ipip, "10.0.1.11");
  EXPECT_EQ(tunnel.source, ip("10.0.1.2"));
  EXPECT_EQ(tunnel.source_varying_bits, 0);
}

TEST_F(PlannerWays, BackendOnThisMachineIsUnroutable) {
  EXPECT_FALSE(entry(Forwarding::nat, "10.0.2.2").resolved);
  EXPECT_NE(warnings().find("/pools/0/backends/0: the backend 10.0.2.2 is unroutable: it is an "
                            "address of this machine"),
            std::string::npos)
      << warnings();
}

TEST_F(PlannerWays, BackendBehindLoopbackIsUnroutable) {
  machine.hop("10.0.9.9").interface = "lo";
  EXPECT_FALSE(entry(Forwarding::nat, "10.0.9.9").resolved);
  EXPECT_NE(warnings().find("loopback"), std::string::npos) << warnings();
}

TEST_F(PlannerWays, BackendThatWasNotLookedUpIsUnroutable) {
  config.pools = {test::pool("p", {test::backend("10.0.1.11")})};
  const auto made = make_plan({}, config, machine.topology);
  ASSERT_TRUE(made);
  EXPECT_FALSE(made->after.backends.begin()->second.resolved);
  EXPECT_FALSE(made->warnings.empty());
}

TEST_F(PlannerWays, DisabledBackendThatCannotBeReachedIsNoWarning) {
  machine.lose("10.0.1.12", "no answer");
  config.pools = {test::pool("p", {test::backend("10.0.1.11"), test::backend("10.0.1.12")})};
  config.pools[0].backends[1].enabled = false;
  planned("10.0.1.12");
  EXPECT_TRUE(plan.warnings.empty()) << warnings();
}

TEST_F(PlannerWays, ChangedSourceOrPreservedClientMakesANewFront) {
  entry(Forwarding::nat, "10.0.1.11");
  const auto running = plan.after;
  config.nat.sourceAddresses = {ip("10.0.1.50")};
  auto made = make_plan(running, config, machine.topology);
  ASSERT_TRUE(made);
  EXPECT_EQ(test::steps_of<SwapFront>(*made).size(), 1u)
      << "replies to the new source must be known as ours";
  config.nat.sourceAddresses.clear();
  config.pools[0].preserveClientAddress = true;
  made = make_plan(running, config, machine.topology);
  ASSERT_TRUE(made);
  EXPECT_EQ(test::steps_of<SwapFront>(*made).size(), 1u);
}

TEST_F(PlannerWays, EncapsulationThatDoesNotFitIsSaidOncePerWayOut) {
  config.pools = {test::pool("p", {test::backend("10.0.1.11"), test::backend("10.0.1.12")},
                             Forwarding::dsr_ipip)};
  planned("10.0.1.11");
  ASSERT_EQ(plan.warnings.size(), 1u) << warnings();
  EXPECT_EQ(plan.warnings[0].pointer, "/pools/0");
  EXPECT_NE(plan.warnings[0].suggestion.find("1520"), std::string::npos)
      << plan.warnings[0].suggestion;
}

TEST_F(PlannerWays, EncapsulationThatDoesNotFitSaysWhatBecomesOfClientsPackets) {
  const auto said = [&](std::uint16_t mtu, const char* backend) {
    machine.hop(backend).mtu = mtu;
    entry(Forwarding::dsr_ipip, backend);
    return warnings();
  };
  const char* ipv6 = "larger IPv6 packets";
  EXPECT_NE(said(1500, "10.0.1.11").find("no more than 1480 bytes"), std::string::npos);
  EXPECT_NE(said(1500, "fd00:1::11").find("no more than 1460 bytes"), std::string::npos);
  EXPECT_EQ(said(1320, "fd00:1::11").find(ipv6), std::string::npos);
  EXPECT_NE(said(1319, "fd00:1::11").find(ipv6), std::string::npos)
      << "what every host may send does not fit, and nobody can be told to send less";
}

TEST_F(PlannerWays, LinksWithRoomForTheOuterHeaderAreNoWarning) {
  struct {
    std::uint32_t client_link;
    std::uint16_t way_out;
    const char* backend;
    bool fits;
  } const cases[] = {
      {1500, 1520, "10.0.1.11", true},  {1500, 1519, "10.0.1.11", false},
      {1500, 1540, "fd00:1::11", true}, {1500, 1520, "fd00:1::11", false},
      {1600, 1600, "10.0.1.11", true},  {1400, 1500, "10.0.1.11", true},
      {9000, 9000, "10.0.1.11", false}, {9000, 9216, "10.0.1.11", true},
  };
  for (const auto& one : cases) {
    machine.topology.links.at("eth0").mtu = one.client_link;
    machine.hop(one.backend).mtu = one.way_out;
    entry(Forwarding::dsr_ipip, one.backend);
    EXPECT_EQ(plan.warnings.empty(), one.fits) << "clients " << one.client_link << ", way out "
                                               << one.way_out << ", " << one.backend << "\n"
                                               << warnings();
  }
}

TEST_F(PlannerWays, OneArmedEncapsulationIsMeasuredAgainstEthernet) {
  config.xdp.interfaces = {{.name = "eth1", .mode = model::XdpMode::DRV}};
  machine.topology.links.at("eth1").mtu = 1600;
  machine.hop("10.0.1.11").mtu = 1600;
  entry(Forwarding::dsr_ipip, "10.0.1.11");
  EXPECT_TRUE(plan.warnings.empty()) << warnings();
  machine.hop("10.0.1.11").mtu = 1500;
  entry(Forwarding::dsr_ipip, "10.0.1.11");
  EXPECT_EQ(plan.warnings.size(), 1u) << warnings();
}

}  // namespace
}  // namespace sluice
