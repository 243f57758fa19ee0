// What is applied is what is read back, and what packets meet.
#include <algorithm>
#include <atomic>
#include <thread>

#include "abi.h"
#include "loader_fixture.hpp"

namespace sluice::test {

class LoaderImage : public LoaderTest {
 protected:
  /// Every way of forwarding, both families, ports, weights, a disabled and an unroutable backend,
  /// a service of any protocol, a pool that nobody uses and one without backends.
  static model::Config everything() {
    model::Config config;
    config.xdp.interfaces = {{"sl0", model::XdpMode::DRV}};
    config.xdp.encapSource = "172.16.0.0/16";
    config.xdp.encapSource6 = "fd00:e::/112";
    config.l4_backends = {backend("10.0.1.11", 7), backend("10.0.1.12"), backend("fd00:1::11")};
    config.l4_backends[0].port = 8080;
    config.l4_backends[1].enabled = false;
    config.pools = {pool("l2", model::Forwarding::dsr_l2, {"10.0.1.11", "fd00:1::11"}),
                    pool("ipip", model::Forwarding::dsr_ipip, {"10.0.1.21", "fd00:1::21"}),
                    pool("kept", model::Forwarding::nat, {"10.0.1.31", "fd00:1::31"}),
                    pool("idle", model::Forwarding::nat, {"10.0.1.41"}),
                    pool("empty", model::Forwarding::dsr_l2, {})};
    config.pools[2].preserveClientAddress = true;
    config.pools[3].tableSize = 131071;
    config.pools[3].hashFunctions = 3;
    config.services = {service("web", "10.0.0.100", 80, "default"),
                       service("web6", "fd00:100::100", 80, "default"),
                       service("l2", "10.0.0.100", 81, "l2"),
                       service("ipip", "10.0.0.100", 82, "ipip"),
                       service("ipip6", "fd00:100::100", 82, "ipip"),
                       service("kept", "10.0.0.101", 80, "kept"),
                       service("empty", "10.0.0.101", 81, "empty"),
                       service("dns", "10.0.0.100", 53, "default", model::Protocol::udp)};
    return config;
  }

  static model::Pool pool(const std::string& name, model::Forwarding forwarding,
                          std::initializer_list<const char*> backends) {
    model::Pool pool;
    pool.name = name;
    pool.forwarding = forwarding;
    for (const char* address : backends)
      pool.backends.push_back(backend(address));
    return pool;
  }
};

TEST_F(LoaderImage, FreshInstanceRunsNothing) {
  EXPECT_EQ(running(), planner::Image{});
  EXPECT_FALSE(loader_->adopted());
}

TEST_F(LoaderImage, EverythingIsReadBackAsItWasApplied) {
  add_interface("sl0");
  const auto config = everything();
  auto ways = topology(config, "sl0");
  ways.next_hops.at(ip("10.0.1.21")).resolved = false;
  apply(config, ways);

  const auto image = running();
  const planner::BackendKey varying{"ipip", ip("fd00:1::21"), 0}, lost{"ipip", ip("10.0.1.21"), 0};
  EXPECT_EQ(image.backends.at(varying).source, ip("fd00:e::"));
  EXPECT_EQ(image.backends.at(varying).source_varying_bits, 16);
  EXPECT_FALSE(image.backends.at(lost).resolved);
  EXPECT_EQ(image.tables.at("idle").hash_functions, 3);
  EXPECT_EQ(image.tables.at("idle").slots.size(), 131071u);
  EXPECT_TRUE(image.tables.at("empty").slots.empty());

  auto again = planner::make_plan(image, config, ways);
  ASSERT_TRUE(ok(again));
  EXPECT_TRUE(again->empty()) << "the first of " << again->steps.size()
                              << " step(s): " << planner::describe(again->steps.front());
}

TEST_F(LoaderImage, ChangesAreReadBackOneAfterTheOther) {
  add_interface("sl0");
  auto config = everything();
  const auto step = [&](const char* what) {
    SCOPED_TRACE(what);
    apply(config, topology(config, "sl0"));
  };
  step("everything");
  config.l4_backends[0].weight = 1;
  step("a weight");
  config.pools[0].forwarding = model::Forwarding::nat;
  step("a pool's forwarding");
  config.services[0].name = "shop";
  config.services[1].pool = "ipip";
  step("a service's name and another one's pool");
  config.services.erase(config.services.begin() + 2);
  step("a service less");
  config.pools[1].tableSize = 262139;
  step("a table's size");
  config.pools.erase(config.pools.begin() + 3);
  step("a pool less");
  config.nat.sourceAddresses = {ip("10.0.1.3")};
  step("another nat source");
  config.xdp.encapSource.reset();
  step("a fixed outer source");
  config = {};
  step("nothing at all");
  EXPECT_TRUE(running().backends.empty() && running().interfaces.empty());
}

TEST_F(LoaderImage, ChangedNeighbourIsReadBack) {
  add_interface("sl0");
  const auto config = everything();
  auto ways = topology(config, "sl0");
  apply(config, ways);
  ways.next_hops.at(ip("10.0.1.11")).destination = MacAddress{{2, 9, 9, 9, 9, 9}};
  apply(config, ways);
  EXPECT_EQ(running().backends.at({"l2", ip("10.0.1.11"), 0}).destination_mac,
            (MacAddress{{2, 9, 9, 9, 9, 9}}));
}

TEST_F(LoaderImage, PacketsGoToTheBackendOfTheSlot) {
  add_interface("sl0");
  add_interface("sl1");
  auto config = everything();
  apply(config, topology(config, "sl1"));
  const auto client = ip("10.0.2.10"), client6 = ip("fd00:2::10");

  auto out = run("sl0", tcp_packet(client, ip("10.0.0.100"), 81));
  EXPECT_EQ(out.verdict, 4u) << "another interface's packet is redirected";
  EXPECT_EQ(out.packet[0], 2) << "the next hop's MAC";
  EXPECT_TRUE(
      std::equal(out.packet.begin(), out.packet.begin() + 6, std::begin({2, 0, 0, 0, 1, 11})) ||
      out.packet[5] == 0x11)
      << "neither of the pool's backends";
  EXPECT_EQ(out.packet.size(), 74u);

  out = run("sl0", tcp_packet(client6, ip("fd00:100::100"), 82));
  EXPECT_EQ(out.verdict, 4u);
  EXPECT_TRUE(out.packet.size() == 94 || out.packet.size() == 114) << "no outer header";

  out = run("sl0", tcp_packet(client, ip("10.0.0.100"), 80));
  EXPECT_EQ(out.verdict, 4u) << "nat over IPv4: the family's only enabled backend";
  apply(config, topology(config, "sl0"));
  out = run("sl0", tcp_packet(client, ip("10.0.0.100"), 81));
  EXPECT_EQ(out.verdict, 3u) << "the way out is the way in now";
}

TEST_F(LoaderImage, EveryOneOf511ServicesIsFound) {
  add_interface("sl0");
  model::Config config;
  config.xdp.interfaces = {{"sl0", model::XdpMode::DRV}};
  config.pools = {pool("l2", model::Forwarding::dsr_l2, {"10.0.1.11"})};
  for (std::uint32_t i = 0; i + 1 < SL_MAX_SERVICES; i++) {
    const auto number = std::to_string(i / 2);
    config.services.push_back(service("s" + std::to_string(i),
                                      i % 2 ? "fd00:100::" + number : "10.7.1." + number,
                                      static_cast<std::uint16_t>(1000 + i), "l2"));
  }
  apply(config, topology(config, "sl0"));
  for (const auto& service : config.services) {
    const auto client = ip(service.address.is_v4() ? "10.0.2.10" : "fd00:2::10");
    EXPECT_EQ(run("sl0", tcp_packet(client, service.address, service.port)).verdict, 3u)
        << service.name << " is not found";
    EXPECT_EQ(run("sl0", tcp_packet(client, service.address, 7)).verdict, 2u)
        << "a port without a service at " << service.name << "'s address must pass";
  }
  EXPECT_EQ(run("sl0", tcp_packet(ip("10.0.2.10"), ip("10.7.2.1"), 1000)).verdict, 2u);

  config.services.push_back(service("one-more", "10.8.0.1", 80, "l2"));
  const auto before = running();
  auto plan = planner::make_plan(before, config, topology(config, "sl0"));
  EXPECT_TRUE(fails_with(Code::full, plan));
}

TEST_F(LoaderImage, NoPacketIsLostWhileTablesAndServicesChange) {
  add_interface("sl0");
  model::Config config;
  config.xdp.interfaces = {{"sl0", model::XdpMode::DRV}};
  config.pools = {pool("l2", model::Forwarding::dsr_l2, {"10.0.1.11", "10.0.1.12"})};
  config.services = {service("web", "10.0.0.100", 80, "l2")};
  apply(config, topology(config, "sl0"));

  std::atomic<bool> stop = false;
  std::uint64_t sent = 0;
  std::thread sender([&] {
    const auto packet = tcp_packet(ip("10.0.2.10"), ip("10.0.0.100"), 80);
    for (; !stop || sent == 0; sent += 10000)
      run("sl0", packet, 10000);
  });
  for (std::uint8_t i = 0; i < 40; i++) {
    config.pools[0].backends = {backend("10.0.1.12"),
                                backend("10.0.1." + std::to_string(i % 7 + 20))};
    config.services.resize(1);
    for (std::uint16_t port = 0; port < i % 3; port++)
      config.services.push_back(
          service("s" + std::to_string(port), "10.0.0.101", 8000 + port, "l2"));
    apply(config, topology(config, "sl0"));
  }
  stop = true;
  sender.join();
  const auto verdicts = loader_->counters()->interfaces.at("sl0");
  ASSERT_EQ(verdicts.size(), 1u) << "some packets met a half-built world: "
                                 << verdicts[0].verdict + "/" + verdicts[0].reason;
  EXPECT_EQ(verdicts[0].reason, "dsr-l2");
  EXPECT_EQ(verdicts[0].count.packets, sent);
}

TEST_F(LoaderImage, ServiceCountersStartAtZeroForAnotherService) {
  add_interface("sl0");
  model::Config config;
  config.xdp.interfaces = {{"sl0", model::XdpMode::DRV}};
  config.pools = {pool("l2", model::Forwarding::dsr_l2, {"10.0.1.11"})};
  config.services = {service("a", "10.0.0.100", 80, "l2")};
  apply(config, topology(config, "sl0"));
  run("sl0", tcp_packet(ip("10.0.2.10"), ip("10.0.0.100"), 80));
  const planner::BackendKey key{"l2", ip("10.0.1.11"), 0};
  EXPECT_EQ(loader_->counters()->backends.at(key).packets, 1u);
  const auto id = running().services.begin()->second.id;

  config.services = {};
  apply(config, topology(config, "sl0"));
  config.services = {service("b", "10.0.0.200", 80, "l2")};
  apply(config, topology(config, "sl0"));
  ASSERT_EQ(running().services.begin()->second.id, id) << "the test wants the id to be used again";
  EXPECT_EQ(loader_->counters()->services.begin()->second.packets, 0u)
      << "the new service starts with the old one's packets";
  EXPECT_EQ(loader_->counters()->backends.at(key).packets, 1u)
      << "the backend stayed, its counters must too";

  config.pools[0].backends = {backend("10.0.1.12")};
  apply(config, topology(config, "sl0"));
  config.pools[0].backends = {backend("10.0.1.13")};
  apply(config, topology(config, "sl0"));
  EXPECT_EQ(loader_->counters()->backends.at({"l2", ip("10.0.1.13"), 0}).packets, 0u)
      << "a new backend starts with another's packets";
}

}  // namespace sluice::test
