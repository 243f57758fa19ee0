// Whatever the order of changes, packets never meet a table that is half written, names nobody, or
// overlaps another.
#include "planner_world.hpp"

#include <random>

namespace sluice {
namespace {

using namespace planner;
using test::ip;

/// Makes one random change after the other.
class Operator {
 public:
  explicit Operator(unsigned seed) : random_(seed) { config.maglev.tableSize = 61; }

  model::Config config;
  test::Machine machine;

  void change() {
    switch (below(13)) {
    case 0:
      return add_pool();
    case 1:
      if (config.pools.size() > 1)
        return remove_pool();
      return add_pool();
    case 2:
    case 3:
    case 4:
      return with_pool([&](model::Pool& pool) { add_backend(pool); });
    case 5:
      return with_backend([&](model::Pool& pool, std::size_t i) {
        pool.backends.erase(pool.backends.begin() + static_cast<std::ptrdiff_t>(i));
      });
    case 6:
      return with_backend([&](model::Pool& pool, std::size_t i) {
        pool.backends[i].enabled = !pool.backends[i].enabled;
      });
    case 7:
      return with_backend([&](model::Pool& pool, std::size_t i) {
        pool.backends[i].weight = static_cast<std::uint16_t>(1 + below(100));
      });
    case 8:
      return change_way();
    case 9:
      return change_pool();
    case 10:
      return change_services();
    case 11:
      return change_limits();
    default:
      return change_interfaces();
    }
  }

 private:
  std::size_t below(std::size_t limit) { return random_() % limit; }

  template <class Use>
  void with_pool(Use use) {
    if (!config.pools.empty())
      use(config.pools[below(config.pools.size())]);
  }
  template <class Use>
  void with_backend(Use use) {
    with_pool([&](model::Pool& pool) {
      if (!pool.backends.empty())
        use(pool, below(pool.backends.size()));
    });
  }

  std::string address() {
    const auto host = std::to_string(10 + below(20));
    return below(3) ? "10.0.1." + host : "fd00:1::" + host;
  }

  void add_pool() {
    const auto name = "p" + std::to_string(below(6));
    if (std::ranges::find(config.pools, name, &model::Pool::name) == config.pools.end())
      config.pools.push_back(test::pool(name, {}, static_cast<model::Forwarding>(below(3))));
  }
  void remove_pool() {
    const auto at = below(config.pools.size());
    std::erase_if(config.services, [&](const model::Service& service) {
      return service.pool == config.pools[at].name;
    });
    config.pools.erase(config.pools.begin() + static_cast<std::ptrdiff_t>(at));
  }
  void add_backend(model::Pool& pool) {
    const auto one = test::backend(address(), static_cast<std::uint16_t>(1 + below(5)));
    if (std::ranges::find(pool.backends, one.ip, &model::Backend::ip) == pool.backends.end())
      pool.backends.push_back(one);
  }
  void change_limits() {
    config.rateLimit.packetsPerSecond = below(2) ? 1000 : 0;
    config.rateLimit.perBackend.packetsPerSecond = below(3) ? 0 : 10;
    config.rateLimit.action = below(2) ? model::ExcessAction::pass : model::ExcessAction::drop;
    config.rateLimit.mark.reset();
    if (config.rateLimit.action == model::ExcessAction::pass)
      config.rateLimit.mark = 7;
  }
  void change_way() {
    const auto text = address();
    auto& hop = machine.hop(text);
    switch (below(4)) {
    case 0:
      return machine.lose(text, "no answer");
    case 1:
      machine.topology.next_hops.erase(ip(text));
      return;
    case 2:
      hop.preferred_source = ip(hop.via.is_v4() ? "10.0.0.100" : "fd00:100::100");
      return;
    default:
      hop.destination.bytes[5]++;
    }
  }
  void change_pool() {
    with_pool([&](model::Pool& pool) {
      switch (below(4)) {
      case 0:
        pool.forwarding = static_cast<model::Forwarding>(below(3));
        return;
      case 1:
        pool.tableSize = below(2) ? 61 : 127;
        return;
      case 2:
        pool.hashFunctions = static_cast<std::uint16_t>(1 + below(10));
        return;
      default:
        pool.preserveClientAddress = pool.forwarding == model::Forwarding::nat && below(2) == 0;
      }
    });
  }
  void change_services() {
    if (below(3) == 0 && !config.services.empty()) {
      config.services.erase(config.services.begin() +
                            static_cast<std::ptrdiff_t>(below(config.services.size())));
      return;
    }
    with_pool([&](model::Pool& pool) {
      const auto port = static_cast<std::uint16_t>(80 + below(8));
      const auto name = "s" + std::to_string(port);
      const auto same = std::ranges::find(config.services, name, &model::Service::name);
      if (same == config.services.end())
        config.services.push_back(
            test::service(name, port % 2 ? "10.0.0.100" : "fd00:100::100", port, pool.name));
      else if (below(2))
        same->pool = pool.name;
      else
        same->enabled = !same->enabled;
    });
  }
  void change_interfaces() {
    const std::string name = below(2) ? "eth0" : "eth1";
    const auto same = std::ranges::find(config.xdp.interfaces, name, &model::XdpInterface::name);
    if (same == config.xdp.interfaces.end())
      config.xdp.interfaces.push_back({.name = name, .mode = model::XdpMode::DRV});
    else if (below(2))
      same->mode = model::XdpMode::SKB;
    else
      config.xdp.interfaces.erase(same);
  }

  std::mt19937 random_;
};

TEST(PlannerProperty, AnySequenceOfChangesKeepsPacketsSafe) {
  for (unsigned seed = 1; seed <= 20; seed++) {
    Operator admin(seed);
    test::Plane plane;
    for (int i = 0; i < 120; i++) {
      for (int changes = 0; changes < 1 + i % 4; changes++)
        admin.change();
      const auto& topology = admin.machine.towards(admin.config);
      const auto made = make_plan(plane.image, admin.config, topology);
      ASSERT_TRUE(made) << made.error().message;
      const auto before = plane.image;
      plane.run(*made);

      const auto again = make_plan(plane.image, admin.config, topology);
      ASSERT_TRUE(again);
      ASSERT_TRUE(again->empty()) << "seed " << seed << ", change " << i
                                  << ": the second plan is not empty:\n"
                                  << test::text_of(*again);
      for (const auto& step : test::steps_of<RemoveBackend>(*made))
        for (const auto& put : test::steps_of<PutBackend>(*made))
          ASSERT_NE(put.backend.id, step.id) << "the id of a removed backend is given away";
      for (const auto& [key, entry] : plane.image.backends) {
        if (const auto was = before.backends.find(key); was != before.backends.end()) {
          ASSERT_EQ(entry.id, was->second.id) << "a backend that stays changes its id";
        }
        for (const auto& service : admin.config.services)
          ASSERT_NE(entry.source, service.address) << "packets would come from a VIP";
      }
      ASSERT_FALSE(testing::Test::HasFailure()) << "seed " << seed << ", change " << i << "\n"
                                                << test::text_of(*made);
    }
  }
}

}  // namespace
}  // namespace sluice
