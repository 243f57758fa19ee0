// Makes worlds: adds pools and services to one, and gives everything its number.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "dataplane/xdp/front.hpp"
#include "world.hpp"

namespace sluice::fuzz {

inline constexpr const char *vip = "10.0.0.100", *vip6 = "fd00:100::100";
inline constexpr const char *wide = "10.0.0.110", *wide6 = "fd00:100::110";
inline constexpr const char *source = "10.0.1.2", *source6 = "fd00:1::2";

/// More backends than are all looked at for the least loaded one.
inline constexpr std::initializer_list<const char*> twenty = {
    "10.0.5.1",  "10.0.5.2",  "10.0.5.3",  "10.0.5.4",  "10.0.5.5",  "10.0.5.6",  "10.0.5.7",
    "10.0.5.8",  "10.0.5.9",  "10.0.5.10", "10.0.5.11", "10.0.5.12", "10.0.5.13", "10.0.5.14",
    "10.0.5.15", "10.0.5.16", "10.0.5.17", "10.0.5.18", "10.0.5.19", "10.0.5.20"};

inline IpAddress ip(std::string_view text) {
  return IpAddress::parse(text).value();
}

class Builder {
  using Backend = reference::Backend;
  using Forwarding = reference::Forwarding;
  using Pool = reference::Pool;
  using Service = reference::Service;
  using World = reference::World;

 public:
  explicit Builder(std::string name) {
    world_.name = std::move(name);
    world_.backends.emplace_back();
    world_.backends[0].enabled = false;
  }

  /// A backend's entry with the usual way there: MACs by its number, out of interface 0.
  static Backend backend(Forwarding forwarding, std::string_view address) {
    Backend one;
    one.address = ip(address);
    one.forwarding = forwarding;
    const auto& bytes = one.address.bytes();
    one.destination = {{2, 0, 0, bytes[13], bytes[14], bytes[15]}};
    one.source = {{2, 0, 0, 0, 0, 1}};
    if (forwarding != Forwarding::dsr_l2)
      one.from = ip(one.address.is_v4() ? source : source6);
    return one;
  }

  /// A pool whose slots its backends share in turn. With `but`, each backend is changed first.
  template <class Change>
  std::size_t pool(Forwarding forwarding, std::initializer_list<const char*> addresses,
                   Change but) {
    Pool pool;
    pool.name = "p" + std::to_string(world_.pools.size());
    int number = 0;
    for (const char* address : addresses) {
      auto one = backend(forwarding, address);
      but(one, number++);
      if (one.preserve_client_address)
        one.from = {};
      pool.backends.push_back(static_cast<std::uint16_t>(world_.backends.size()));
      world_.backends.push_back(one);
    }
    if (!pool.backends.empty())
      for (std::size_t i = 0; i < 31; i++)
        pool.slots.push_back({.owner = pool.backends[i % pool.backends.size()]});
    world_.pools.push_back(pool);
    return world_.pools.size() - 1;
  }
  std::size_t pool(Forwarding forwarding, std::initializer_list<const char*> addresses) {
    return pool(forwarding, addresses, [](Backend&, int) {});
  }

  /// Direct return that remembers every flow.
  template <class Change>
  std::size_t tracked(Forwarding forwarding, std::initializer_list<const char*> addresses,
                      Change but) {
    const auto made = pool(forwarding, addresses, but);
    world_.pools[made].tracked = true;
    return made;
  }
  std::size_t tracked(Forwarding forwarding, std::initializer_list<const char*> addresses) {
    return tracked(forwarding, addresses, [](Backend&, int) {});
  }
  std::size_t affine(std::size_t pool) {
    world_.pools[pool].affine = true;
    return pool;
  }
  /// Gives a pool an algorithm, and its backends slots by their weights, in turn.
  void set(std::size_t pool, reference::Algorithm algorithm) {
    auto& one = world_.pools[pool];
    one.algorithm = algorithm;
    one.slots.clear();
    for (std::uint32_t round = 0, given = 1; given; round++) {
      given = 0;
      for (const auto id : one.backends)
        if (round < world_.backends[id].weight) {
          one.slots.push_back({.owner = id});
          given++;
        }
    }
  }

  Builder& serve(const char* address, std::uint16_t port, std::size_t pool,
                 std::uint16_t last = 0) {
    for (const bool udp : {false, true}) {
      Service one{.address = ip(address), .first_port = port, .last_port = last, .udp = udp};
      one.id = static_cast<std::uint16_t>(world_.services.size() + 1);
      one.pool = pool;
      one.seed = dataplane::xdp::service_seed(
          {one.address, port, udp ? model::Protocol::udp : model::Protocol::tcp, last});
      world_.services.push_back(one);
    }
    return *this;
  }
  Builder& echo() {
    for (auto& service : world_.services)
      service.answers_echo = service.first_port == 80;
    return *this;
  }
  World& world() { return world_; }

 private:
  World world_;
};

}  // namespace sluice::fuzz
