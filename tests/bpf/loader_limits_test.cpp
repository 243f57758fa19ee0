// Every table of the configuration filled to its last place: packets still find what is theirs, and
// one entry more is refused with the field and the limit while all goes on.
#include <algorithm>
#include <map>
#include <span>

#include "abi.h"
#include "loader_fixture.hpp"
#include "model/document.hpp"
#include "model/limits.hpp"

namespace sluice::test {

namespace {

constexpr std::uint32_t pass = 2, tx = 3, redirect = 4;

std::string numbered(const std::string& prefix, std::size_t i) {
  return prefix + std::to_string(i / 250) + "." + std::to_string(i % 250 + 1);
}

}  // namespace

class LoaderLimits : public LoaderTest {
 protected:
  void SetUp() override {
    LoaderTest::SetUp();
    add_interface("sl0");
    config_.xdp.interfaces = {{"sl0", model::XdpMode::DRV}};
  }

  model::Pool& add_pool(const std::string& name, const std::vector<std::string>& backends,
                        std::uint32_t table_size = 65537) {
    model::Pool pool;
    pool.name = name;
    pool.forwarding = model::Forwarding::dsr_l2;
    pool.tableSize = table_size;
    for (const auto& address : backends)
      pool.backends.push_back(backend(address));
    return config_.pools.emplace_back(std::move(pool));
  }

  /// A configuration that the API takes is applied whole.
  void accept() {
    ASSERT_TRUE(ok(model::read_document(model::write_document(config_), nullptr)));
    apply(config_, topology(config_, "sl0"));
  }

  /// What the API does not take any more is refused by its field with the limit, before anything is
  /// planned; and a plan for it would be refused as well.
  void expect_too_many(const std::string& pointer, std::size_t limit) {
    const auto read = model::read_document(model::write_document(config_), nullptr);
    ASSERT_FALSE(read);
    ASSERT_EQ(read.error().faults.size(), 1u);
    const auto& fault = read.error().faults[0];
    EXPECT_EQ(fault.pointer, pointer) << fault.message;
    EXPECT_NE(fault.message.find(std::to_string(limit)), std::string::npos)
        << "the limit is not told: " << fault.message;
    EXPECT_FALSE(fault.suggestion.empty());
  }
  void expect_full() {
    const auto before = running();
    const auto plan = planner::make_plan(before, config_, topology(config_, "sl0"));
    if (plan)
      EXPECT_TRUE(fails_with(Code::full, loader_->apply(*plan)));
    else
      EXPECT_TRUE(fails_with(Code::full, plan));
    EXPECT_EQ(running(), before) << "what was refused changed what runs";
  }

  /// The last three bytes of the address of the backend that a packet goes to; 0: to none.
  std::uint32_t where(const std::string& vip, std::uint16_t port, std::uint16_t client_port = 1) {
    auto packet = tcp_packet(ip("10.0.2.10"), ip(vip), port);
    packet[34] = static_cast<std::uint8_t>(client_port >> 8);
    packet[35] = static_cast<std::uint8_t>(client_port);
    const auto outcome = run("sl0", packet);
    if (outcome.verdict != tx && outcome.verdict != redirect)
      return 0;
    return static_cast<std::uint32_t>(outcome.packet[3] << 16 | outcome.packet[4] << 8 |
                                      outcome.packet[5]);
  }
  static std::uint32_t last_bytes(const std::string& address) {
    const auto bytes = ip(address).bytes();
    return static_cast<std::uint32_t>(bytes[13] << 16 | bytes[14] << 8 | bytes[15]);
  }

  model::Config config_;
};

TEST_F(LoaderLimits, BackendsOfOnePoolUpToTheLastGetFlows) {
  auto& pool = add_pool("web", {}, 65537);
  for (std::size_t i = 0; i < model::max_backends; i++)
    pool.backends.push_back(backend(numbered("10.1.", i)));
  config_.services = {service("web", "10.0.0.100", 80, "web")};
  ASSERT_NO_FATAL_FAILURE(accept());
  const auto image = running();
  std::map<std::uint16_t, int> slots;
  for (const auto id : image.tables.at("web").slots)
    slots[id]++;
  ASSERT_EQ(slots.size(), model::max_backends) << "a backend owns no slot";
  EXPECT_EQ(slots.rbegin()->first, SL_MAX_BACKENDS - 1);
  std::set<std::uint32_t> met, known;
  for (const auto& [key, one] : image.backends)
    known.insert(last_bytes(key.address.to_string()));
  for (std::uint16_t port = 1; port <= 20000; port++)
    met.insert(where("10.0.0.100", 80, port));
  EXPECT_TRUE(std::ranges::includes(known, met)) << "a packet went to nobody, or somewhere else";
  EXPECT_GT(met.size(), 3900u) << "20,000 flows leave some 31 of 4,095 without one";

  config_.pools[0].backends.push_back(backend("10.2.0.1"));
  expect_too_many("/pools/0/backends", model::max_backends);
  expect_full();
  EXPECT_TRUE(known.contains(where("10.0.0.100", 80)));
  // Over two pools it is their sum.
  config_.pools[0].backends.pop_back();
  add_pool("more", {"10.2.0.1"});
  expect_too_many("/pools", model::max_backends);
  expect_full();
}

TEST_F(LoaderLimits, EachOfTheLargestNumberOfPoolsHasItsOwnBackends) {
  // As many as there is room for tables of the smallest size; the others have no backend.
  constexpr auto tables = static_cast<std::size_t>(model::max_slots / 65537);
  for (std::size_t i = 0; i < model::max_pools; i++) {
    const auto name = "p" + std::to_string(i);
    add_pool(name, i < tables ? std::vector{numbered("10.1.", i)} : std::vector<std::string>());
    config_.services.push_back(
        service("s" + std::to_string(i), "10.0.0.100", static_cast<std::uint16_t>(1000 + i), name));
  }
  ASSERT_NO_FATAL_FAILURE(accept());
  const auto all_right = [&] {
    for (std::size_t i = 0; i < model::max_pools; i++)
      EXPECT_EQ(where("10.0.0.100", static_cast<std::uint16_t>(1000 + i)),
                i < tables ? last_bytes(numbered("10.1.", i)) : 0u)
          << "pool " << i;
  };
  all_right();
  add_pool("more", {});
  expect_too_many("/pools", model::max_pools);
  expect_full();
  all_right();
  config_.pools.pop_back();
  config_.pools.back().backends = {backend("10.2.0.1")};
  expect_too_many("/pools", model::max_slots);
  all_right();
}

TEST_F(LoaderLimits, TablesFillTheirHalfOfTheArenaAndAreAllBuiltAnew) {
  constexpr std::uint32_t size = 262139;
  constexpr auto pools = static_cast<std::size_t>(model::max_slots / size);
  for (std::size_t i = 0; i < pools; i++) {
    add_pool("p" + std::to_string(i), {numbered("10.1.", i), numbered("10.2.", i)}, size);
    config_.services.push_back(service("s" + std::to_string(i), "10.0.0.100",
                                       static_cast<std::uint16_t>(1000 + i),
                                       "p" + std::to_string(i)));
  }
  ASSERT_NO_FATAL_FAILURE(accept());
  const auto all_right = [&] {
    for (std::size_t i = 0; i < pools; i++)
      for (std::uint16_t port = 1; port <= 20; port++) {
        const auto to = where("10.0.0.100", static_cast<std::uint16_t>(1000 + i), port);
        EXPECT_TRUE(to == last_bytes(numbered("10.1.", i)) ||
                    to == last_bytes(numbered("10.2.", i)))
            << "pool " << i << ", client's port " << port;
      }
  };
  all_right();
  config_.xdp.connectionTracking = model::Tracking::off;  // or holders want their part of the arena
  for (auto& pool : config_.pools)
    pool.backends[0].weight = 3;
  ASSERT_NO_FATAL_FAILURE(accept());
  std::uint64_t last = 0;
  for (const auto& [name, table] : running().tables)
    last = std::max(last, table.base + std::uint64_t{table.slots.size()});
  EXPECT_GT(last, model::max_slots) << "the test wants tables in the other half";
  all_right();

  add_pool("more", {"10.3.0.1"}, size);
  expect_too_many("/pools", model::max_slots);
  all_right();
}

TEST_F(LoaderLimits, EveryAddressThatThereCanBeIsFound) {
  // One more than there can be services, for nat has a source of its own.
  auto& pool = add_pool("web", {"10.1.0.1"});
  pool.forwarding = model::Forwarding::nat;
  config_.nat.sourceAddresses = {ip("10.0.1.2")};
  for (std::size_t i = 0; i < model::max_services; i++)
    config_.services.push_back(service("s" + std::to_string(i), numbered("10.7.", i), 80, "web"));
  ASSERT_NO_FATAL_FAILURE(accept());
  for (const auto& one : config_.services)
    EXPECT_EQ(where(one.address.to_string(), 80), last_bytes("10.1.0.1"))
        << one.address.to_string() << " is not found";
  EXPECT_EQ(where("10.7.9.9", 80), 0u);
  // Backends that keep the client's address are looked up by theirs as well.
  auto& kept = add_pool("kept", {"10.2.0.1"});
  kept.forwarding = model::Forwarding::nat;
  kept.preserveClientAddress = true;
  expect_too_many("/services", model::max_addresses);
}

TEST_F(LoaderLimits, AsManyRangesAsServicesHoldTheirPortsAndNoOthers) {
  add_pool("even", {"10.1.0.1"});
  add_pool("odd", {"10.1.0.2"});
  const auto first = [](std::size_t i) { return static_cast<std::uint16_t>(100 + i * 100); };
  for (std::size_t i = 0; i < model::max_services; i++) {
    auto& one = config_.services.emplace_back(
        service("s" + std::to_string(i), "10.0.0.100", first(i), i % 2 ? "odd" : "even"));
    one.portEnd = static_cast<std::uint16_t>(first(i) + 49);
  }
  ASSERT_NO_FATAL_FAILURE(accept());
  for (std::size_t i = 0; i < model::max_services; i++) {
    const auto to = last_bytes(i % 2 ? "10.1.0.2" : "10.1.0.1");
    for (const int port : {0, 25, 49})
      EXPECT_EQ(where("10.0.0.100", static_cast<std::uint16_t>(first(i) + port)), to)
          << "range " << i << ", port " << first(i) + port;
    for (const int port : {-1, 50})
      EXPECT_EQ(where("10.0.0.100", static_cast<std::uint16_t>(first(i) + port)), 0u)
          << "beside range " << i;
  }
  config_.services.push_back(service("more", "10.0.0.101", 80, "odd"));
  expect_too_many("/services", model::max_services);
  expect_full();
}

TEST_F(LoaderLimits, AllInterfacesAndWaysOutHaveTheirPlace) {
  // sl0 and fifteen more are attached; backends are behind sixteen others.
  std::vector<std::uint32_t> out;
  for (std::size_t i = 1; i < model::max_interfaces; i++) {
    add_interface("sl" + std::to_string(i));
    config_.xdp.interfaces.push_back({"sl" + std::to_string(i), model::XdpMode::DRV});
  }
  const auto others = model::max_ways_out - model::max_interfaces;
  for (std::size_t i = 0; i <= others; i++)
    add_interface("out" + std::to_string(i));
  const auto add = [&](std::size_t i) {
    add_pool("p" + std::to_string(i), {numbered("10.1.", i)});
    config_.services.push_back(service("s" + std::to_string(i), "10.0.0.100",
                                       static_cast<std::uint16_t>(1000 + i),
                                       "p" + std::to_string(i)));
  };
  for (std::size_t i = 0; i < others; i++)
    add(i);
  const auto ways = [&] {
    auto topology = this->topology(config_, "sl0");
    for (std::size_t i = 0; i < config_.pools.size(); i++) {
      const auto& link = topology.links.at("out" + std::to_string(i));
      auto& hop = topology.next_hops.at(config_.pools[i].backends[0].ip);
      hop.interface = link.name;
      hop.ifindex = link.index;
    }
    return topology;
  };
  ASSERT_TRUE(ok(model::read_document(model::write_document(config_), nullptr)));
  apply(config_, ways());
  const auto all_right = [&] {
    for (const auto& interface : config_.xdp.interfaces)
      for (std::size_t i = 0; i < others; i++)
        EXPECT_EQ(run(interface.name, tcp_packet(ip("10.0.2.10"), ip("10.0.0.100"),
                                                 static_cast<std::uint16_t>(1000 + i)))
                      .verdict,
                  redirect);
    EXPECT_EQ(run("sl0", tcp_packet(ip("10.0.2.10"), ip("10.0.0.101"), 80)).verdict, pass);
  };
  all_right();
  EXPECT_EQ(loader_->counters()->interfaces.size(), model::max_interfaces);

  add(others);
  const auto before = running();
  auto plan = planner::make_plan(before, config_, ways());
  ASSERT_TRUE(ok(plan));
  const auto applied = loader_->apply(*plan);
  EXPECT_TRUE(fails_with(Code::full, applied));
  if (!applied) {
    EXPECT_NE(applied.error().message.find("32"), std::string::npos) << applied.error().message;
    EXPECT_NE(applied.error().message.find("interface"), std::string::npos);
  }
  EXPECT_EQ(running(), before);
  all_right();

  config_.pools.pop_back();
  config_.services.pop_back();
  config_.xdp.interfaces.push_back({"out0", model::XdpMode::DRV});
  expect_too_many("/xdp/interfaces", model::max_interfaces);
}

}  // namespace sluice::test
