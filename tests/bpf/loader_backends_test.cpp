// Single servers of the pool `default`, and the totals.
#include <sched.h>

#include <algorithm>
#include <cstring>
#include <thread>

#include "abi.h"
#include "loader_fixture.hpp"

namespace sluice::test {

namespace {

/// The entry of `backend_pool` as the kernel's map has it.
sl_backend entry(const std::vector<std::uint8_t>& pool, std::uint32_t id) {
  sl_backend backend;
  std::memcpy(&backend, pool.data() + id * sizeof backend, sizeof backend);
  return backend;
}

std::size_t used_entries(const std::vector<std::uint8_t>& pool) {
  std::size_t used = 0;
  for (std::uint32_t id = 0; id < SL_MAX_BACKENDS; id++)
    used += entry(pool, id).flags & SL_BACKEND_PRESENT;
  return used;
}

}  // namespace

class LoaderBackends : public LoaderTest {
 protected:
  /// What an error must leave alone.
  void remember() {
    image_ = running();
    pool_ = map_bytes("backend_pool");
    labels_ = map_bytes("backend_labels");
  }
  void expect_untouched() {
    EXPECT_EQ(running(), image_) << "an error changed what runs";
    EXPECT_EQ(map_bytes("backend_pool"), pool_) << "an error changed backend_pool";
    EXPECT_EQ(map_bytes("backend_labels"), labels_) << "an error changed the labels";
  }

 private:
  planner::Image image_;
  std::vector<std::uint8_t> pool_, labels_;
};

TEST_F(LoaderBackends, AddedAddressesOfBothFamiliesAreInTheMap) {
  ASSERT_TRUE(ok(loader_->add_backend("10.0.1.11")));
  ASSERT_TRUE(ok(loader_->add_backend("fd00:1::11")));

  const auto image = running();
  const planner::BackendKey v4{"default", ip("10.0.1.11"), 0}, v6{"default", ip("fd00:1::11"), 0};
  ASSERT_TRUE(image.backends.contains(v4)) << "the IPv4 backend is not read back";
  ASSERT_TRUE(image.backends.contains(v6)) << "the IPv6 backend is not read back";
  EXPECT_EQ(image.backends.at(v4).weight, 1);
  EXPECT_EQ(image.backends.at(v4).forwarding, model::Forwarding::nat);

  const auto pool = map_bytes("backend_pool");
  const auto four = entry(pool, image.backends.at(v4).id);
  const auto six = entry(pool, image.backends.at(v6).id);
  EXPECT_EQ(std::memcmp(four.address, "\x0a\x00\x01\x0b", 4), 0) << "its address is not in the map";
  EXPECT_EQ(std::memcmp(six.address, ip("fd00:1::11").bytes().data(), 16), 0);
  EXPECT_EQ(four.flags & SL_BACKEND_IPV6, 0u);
  EXPECT_NE(six.flags & SL_BACKEND_IPV6, 0u);
  EXPECT_EQ(used_entries(pool), 2u) << "entries that nobody asked for";
}

TEST_F(LoaderBackends, AddedBackendTakesSlots) {
  ASSERT_TRUE(ok(loader_->add_backend("10.0.1.11")));
  const auto image = running();
  const auto id = image.backends.at({"default", ip("10.0.1.11"), 0}).id;
  const auto& slots = image.tables.at("default").slots;
  ASSERT_FALSE(slots.empty()) << "the pool has no table";
  EXPECT_EQ(std::ranges::count(slots, id), std::ranges::ssize(slots))
      << "the only backend does not own all slots";
}

TEST_F(LoaderBackends, ThePoolStaysAsItIsWhenABackendComesOrGoes) {
  model::Config config;
  model::Pool settings;
  settings.name = "default";
  settings.forwarding = model::Forwarding::dsr_l2;
  settings.algorithm = model::Algorithm::roundRobin;
  settings.affinity = model::Affinity::source;
  config.pools.push_back(settings);
  config.l4_backends = {backend("10.0.1.11"), backend("10.0.1.12")};
  config.l4_backends[0].maxConnections = 7;
  apply(config);
  const auto before = running();
  ASSERT_EQ(before.tables.at("default").algorithm, model::Algorithm::roundRobin);
  ASSERT_TRUE(ok(loader_->add_backend("10.0.1.13")));
  ASSERT_TRUE(ok(loader_->remove_backend("10.0.1.12")));
  const auto after = running();
  const auto &old = before.tables.at("default"), &now = after.tables.at("default");
  EXPECT_EQ(now.algorithm, old.algorithm) << "flows do not take turns any more";
  EXPECT_EQ(now.affinity, old.affinity) << "clients do not stay any more";
  EXPECT_EQ(now.tracked, old.tracked) << "flows are not remembered any more";
  const planner::BackendKey limited{"default", ip("10.0.1.11"), 0};
  EXPECT_EQ(after.backends.at(limited), before.backends.at(limited)) << "its limit is another";
}

TEST_F(LoaderBackends, BadAddressIsRefusedAndChangesNothing) {
  ASSERT_TRUE(ok(loader_->add_backend("10.0.1.11")));
  remember();
  for (const char* text :
       {"", "10.0.1", "10.0.1.256", "fd00::zz", "web1", "0.0.0.0", "224.0.0.1", "10.0.1.12/24"}) {
    EXPECT_TRUE(fails_with(Code::invalid, loader_->add_backend(text))) << "adding '" << text << "'";
    EXPECT_TRUE(fails_with(Code::invalid, loader_->remove_backend(text)))
        << "removing '" << text << "'";
  }
  expect_untouched();
}

TEST_F(LoaderBackends, DuplicateIsRefusedAndChangesNothing) {
  ASSERT_TRUE(ok(loader_->add_backend("10.0.1.11")));
  ASSERT_TRUE(ok(loader_->add_backend("fd00:1::11")));
  remember();
  EXPECT_TRUE(fails_with(Code::exists, loader_->add_backend("10.0.1.11")));
  EXPECT_TRUE(fails_with(Code::exists, loader_->add_backend("fd00:1:0::0:11")))
      << "the same address written otherwise";
  expect_untouched();
}

TEST_F(LoaderBackends, FullMapRefusesOneMoreAndChangesNothing) {
  model::Config config;
  for (std::uint32_t i = 1; i < SL_MAX_BACKENDS; i++)
    config.l4_backends.push_back(
        backend("10.1." + std::to_string(i / 256) + "." + std::to_string(i % 256)));
  apply(config);
  ASSERT_EQ(running().backends.size(), SL_MAX_BACKENDS - 1u);
  remember();
  EXPECT_TRUE(fails_with(Code::full, loader_->add_backend("10.0.1.11")));
  expect_untouched();

  ASSERT_TRUE(ok(loader_->remove_backend("10.1.0.1")));
  EXPECT_TRUE(ok(loader_->add_backend("10.0.1.11"))) << "the freed entry is not used again";
}

TEST_F(LoaderBackends, RemovedBackendIsZeroedAndOwnsNoSlot) {
  for (const char* address : {"10.0.1.11", "10.0.1.12", "10.0.1.13"})
    ASSERT_TRUE(ok(loader_->add_backend(address)));
  const auto id = running().backends.at({"default", ip("10.0.1.12"), 0}).id;
  ASSERT_TRUE(ok(loader_->remove_backend("10.0.1.12")));

  const auto pool = map_bytes("backend_pool");
  const sl_backend zero{}, left = entry(pool, id);
  EXPECT_EQ(std::memcmp(&left, &zero, sizeof zero), 0) << "the entry is not zeroed";
  const auto image = running();
  EXPECT_EQ(image.backends.size(), 2u);
  EXPECT_EQ(std::ranges::count(image.tables.at("default").slots, id), 0)
      << "slots still name the removed backend";
  EXPECT_FALSE(image.tables.at("default").slots.empty());
}

TEST_F(LoaderBackends, TheOthersKeepTheirQuicServerIds) {
  model::Config config;
  model::Pool pool;
  pool.name = "default";
  pool.quic = {.serverIdLength = 2, .configRotation = 1};
  config.pools.push_back(pool);
  for (const char* address : {"10.0.1.11", "10.0.1.12"}) {
    config.l4_backends.push_back(backend(address));
    config.l4_backends.back().quicServerId = "00" + std::string(address).substr(7);
  }
  apply(config);
  ASSERT_TRUE(ok(loader_->add_backend("10.0.1.13")));
  ASSERT_TRUE(ok(loader_->remove_backend("10.0.1.12")));
  const auto image = running();
  EXPECT_EQ(image.tables.at("default").quic, (planner::QuicImage{2, 1}));
  EXPECT_EQ(image.backends.at({"default", ip("10.0.1.11"), 0}).quic_server_id,
            (std::vector<std::uint8_t>{0, 0x11}));
}

TEST_F(LoaderBackends, RemovingTheLastLeavesAnEmptyPool) {
  ASSERT_TRUE(ok(loader_->add_backend("10.0.1.11")));
  ASSERT_TRUE(ok(loader_->remove_backend("10.0.1.11")));
  EXPECT_EQ(used_entries(map_bytes("backend_pool")), 0u);
  EXPECT_TRUE(running().tables.at("default").slots.empty());
}

TEST_F(LoaderBackends, UnknownAddressIsNotFoundAndChangesNothing) {
  ASSERT_TRUE(ok(loader_->add_backend("10.0.1.11")));
  remember();
  EXPECT_TRUE(fails_with(Code::not_found, loader_->remove_backend("10.0.1.12")));
  EXPECT_TRUE(fails_with(Code::not_found, loader_->remove_backend("fd00:1::11")));
  expect_untouched();
}

TEST_F(LoaderBackends, SingleChangesLeaveOtherPoolsServicesAndInterfacesAlone) {
  add_interface("sl0");
  model::Config config;
  config.xdp.interfaces = {{"sl0", model::XdpMode::DRV}};
  config.xdp.encapSource = "172.16.0.0/16";
  model::Pool pool;
  pool.name = "ipip";
  pool.forwarding = model::Forwarding::dsr_ipip;
  pool.backends = {backend("10.0.1.21"), backend("10.0.1.22", 3)};
  config.pools = {pool};
  config.services = {service("web", "10.0.0.100", 80, "default"),
                     service("video", "10.0.0.100", 82, "ipip")};
  config.l4_backends = {backend("10.0.1.11", 2), backend("10.0.1.12")};
  config.l4_backends[1].enabled = false;
  apply(config);
  const auto before = running();
  const auto link = link_id("sl0"), program = program_id("sl0");

  ASSERT_TRUE(ok(loader_->add_backend("10.0.1.13")));
  ASSERT_TRUE(ok(loader_->remove_backend("10.0.1.13")));
  EXPECT_EQ(running().backends, before.backends) << "a backend was changed on the way";
  EXPECT_EQ(running().services, before.services) << "a service was changed on the way";
  EXPECT_EQ(running().tables.at("ipip"), before.tables.at("ipip")) << "another pool's table moved";
  EXPECT_EQ(running().tables.at("default").slots, before.tables.at("default").slots)
      << "the disabled backend was switched on, or a weight was lost";
  EXPECT_EQ(running().interfaces, before.interfaces);
  EXPECT_EQ(link_id("sl0"), link);
  EXPECT_EQ(program_id("sl0"), program) << "the program was loaded anew for a backend";
}

TEST_F(LoaderBackends, TotalsEqualAKnownBurstOnAllCpus) {
  add_interface("sl0");  // not up: nobody else sends packets there
  model::Config config;
  config.xdp.interfaces = {{"sl0", model::XdpMode::DRV}};
  config.services = {service("empty", "10.0.0.100", 80, "default")};
  apply(config);
  const auto none = loader_->get_stats();
  ASSERT_EQ(none.packets, 0u) << "packets were counted before any was sent";

  const auto passing = tcp_packet(ip("10.0.2.10"), ip("10.9.9.9"), 80);
  auto dropped = tcp_packet(ip("10.0.2.10"), ip("10.0.0.100"), 80);
  dropped.resize(500);
  std::uint64_t cpus = 0;
  for (unsigned cpu = 0; cpu < std::thread::hardware_concurrency(); cpu++) {
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET(cpu, &only);
    if (sched_setaffinity(0, sizeof only, &only) != 0)
      continue;
    cpus++;
    EXPECT_EQ(run("sl0", passing, 1000).verdict, 2u) << "a packet that is not ours must pass";
    EXPECT_EQ(run("sl0", dropped, 500).verdict, 1u) << "a pool without backends must drop";
  }
  ASSERT_GT(cpus, 0u);
  const auto totals = loader_->get_stats();
  EXPECT_EQ(totals.packets, 1500 * cpus);
  EXPECT_EQ(totals.drops, 500 * cpus);
  EXPECT_EQ(totals.bytes, (1000 * passing.size() + 500 * dropped.size()) * cpus);

  auto counters = loader_->counters();
  ASSERT_TRUE(ok(counters));
  const auto& verdicts = counters->interfaces.at("sl0");
  ASSERT_EQ(verdicts.size(), 2u) << "there were two outcomes";
  EXPECT_EQ(verdicts[0].verdict + "/" + verdicts[0].reason, "drop/no-backend");
  EXPECT_EQ(verdicts[0].count.packets, 500 * cpus);
  EXPECT_EQ(verdicts[1].verdict + "/" + verdicts[1].reason, "pass/not-ours");
  EXPECT_EQ(counters->services.at({ip("10.0.0.100"), 80, model::Protocol::tcp}).dropped,
            500 * cpus);
}

}  // namespace sluice::test
