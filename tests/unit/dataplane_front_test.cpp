// The front: which packets are ours, as the packet path looks it up.
#include "dataplane/xdp/front.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <memory>

namespace sluice::dataplane::xdp {

namespace {

IpAddress ip(std::string_view text) {
  return IpAddress::parse(text).value();
}

class Front : public testing::Test {
 protected:
  void add_service(std::string_view address, std::uint16_t port, const std::string& pool,
                   model::Protocol protocol = model::Protocol::tcp, std::uint16_t port_end = 0) {
    const auto id = static_cast<std::uint16_t>(image_.services.size() + 1);
    image_.services[{ip(address), port, protocol, port_end}] = {id, "s" + std::to_string(id), pool};
  }
  planner::BackendImage& add_backend(const std::string& pool, std::string_view address,
                                     model::Forwarding forwarding) {
    auto& backend = image_.backends[{pool, ip(address), 0}];
    backend.forwarding = forwarding;
    return backend;
  }
  void build() {
    const auto built = build_front(image_, *front_);
    ASSERT_TRUE(built) << built.error().message;
  }

  /// As stages/service.h does it, the long way.
  std::uint32_t address_id(std::string_view text) const {
    const auto address = ip(text);
    if (address.is_v4()) {
      const auto word = address.words()[0];
      const auto& place =
          front_->address4[front_->flags & SL_FRONT_DISPLACED4
                               ? sl_displaced_place(word, front_->displaced_multiplier4,
                                                    front_->displacement4, SL_ADDRESS_BITS)
                               : sl_place(word, front_->multiplier4, SL_ADDRESS_BITS)];
      services_ = place.services;
      return place.address == word ? place.id : 0;
    }
    std::uint64_t high, low;
    std::memcpy(&high, address.bytes().data(), 8);
    std::memcpy(&low, address.bytes().data() + 8, 8);
    const auto key = sl_fold6(high, low);
    const auto& place =
        front_->address6[front_->flags & SL_FRONT_DISPLACED6
                             ? sl_displaced_place(key, front_->displaced_multiplier6,
                                                  front_->displacement6, SL_ADDRESS_BITS)
                             : sl_place(key, front_->multiplier6, SL_ADDRESS_BITS)];
    services_ = place.services;
    return place.high == high && place.low == low ? place.id : 0;
  }
  const sl_service* find(std::string_view address, std::uint16_t port, int protocol = 6) const {
    const std::uint64_t key = SL_SERVICE_KEY(address_id(address), protocol, htons(port));
    const auto& place =
        front_->service[services_.flags & SL_SERVICES_DISPLACED
                            ? sl_displaced_service(key, front_->displaced_service_multiplier,
                                                   front_->service_displacement)
                            : sl_service_place(static_cast<std::uint32_t>(key), &services_)];
    return place.key == key ? &place : find_rest(port, protocol);
  }
  /// Of the address that was looked up last.
  const sl_service* find_rest(std::uint16_t port, int protocol) const {
    if (!(services_.flags & SL_SERVICES_REST))
      return nullptr;
    const auto& rest =
        front_->service[sl_rest_place(static_cast<std::uint8_t>(protocol), &services_)];
    for (auto i = rest.first_range; i < rest.first_range + rest.ranges; i++)
      if (front_->range[i].first <= port && port <= front_->range[i].last)
        return &front_->service[front_->range[i].service];
    return static_cast<std::uint32_t>(rest.key) == SL_REST_KEY(protocol) ? &rest : nullptr;
  }

  planner::Image image_;
  mutable sl_services services_{};  // of the address that was looked up last
  std::unique_ptr<sl_front> front_ = std::make_unique<sl_front>();
};

}  // namespace

TEST_F(Front, AVipAnswersEchoIfOneOfItsServicesSaysSo) {
  for (const char* address : {"10.0.0.100", "fd00:100::100", "10.0.0.101", "fd00:100::101"})
    for (const auto port : std::initializer_list<std::uint16_t>{80, 81, 82})
      add_service(address, port, "p");
  image_.services.at({ip("10.0.0.100"), 82, model::Protocol::tcp}).answer_echo = true;
  image_.services.at({ip("fd00:100::100"), 80, model::Protocol::tcp}).answer_echo = true;
  build();
  for (const char* address : {"10.0.0.100", "fd00:100::100"})
    EXPECT_TRUE(address_id(address) & SL_ADDRESS_ANSWERS_ECHO) << address;
  for (const char* address : {"10.0.0.101", "fd00:100::101"})
    EXPECT_FALSE(address_id(address) & SL_ADDRESS_ANSWERS_ECHO) << address;
  for (const char* address : {"10.0.0.100", "fd00:100::100", "10.0.0.101", "fd00:100::101"})
    for (const auto port : std::initializer_list<std::uint16_t>{80, 81, 82})
      EXPECT_TRUE(find(address, port)) << address << " is still found with its port " << port;
}

TEST_F(Front, EmptyImageFindsNothing) {
  build();
  EXPECT_EQ(address_id("10.0.0.1"), 0u);
  EXPECT_EQ(address_id("fd00::1"), 0u);
}

TEST_F(Front, ServiceIsFoundByItsAddressPortAndProtocolOnly) {
  add_service("10.0.0.100", 80, "a");
  add_service("10.0.0.100", 53, "a", model::Protocol::udp);
  add_service("fd00:100::100", 80, "a");
  build();
  ASSERT_TRUE(find("10.0.0.100", 80));
  EXPECT_EQ(find("10.0.0.100", 80)->id, 1u);
  EXPECT_EQ(find("10.0.0.100", 53, 17)->id, 2u);
  EXPECT_EQ(find("fd00:100::100", 80)->id, 3u);
  EXPECT_FALSE(find("10.0.0.100", 81)) << "another port";
  EXPECT_FALSE(find("10.0.0.100", 80, 17)) << "another protocol";
  EXPECT_EQ(address_id("10.0.0.101"), 0u) << "another address";
  EXPECT_EQ(address_id("10.0.0.100") & (SL_ADDRESS_NAT_SOURCE | SL_ADDRESS_PRESERVING_BACKEND), 0u);
}

TEST_F(Front, ServiceHasTheRangeOfItsPool) {
  add_service("10.0.0.100", 80, "a");
  add_service("10.0.0.100", 81, "none");
  image_.tables["a"] = {.base = 131074, .hash_functions = 1, .slots = {1, 1, 2}};
  image_.tables["none"] = {};
  build();
  EXPECT_EQ(find("10.0.0.100", 80)->base, 131074u);
  EXPECT_EQ(find("10.0.0.100", 80)->slots, 3u);
  EXPECT_EQ(find("10.0.0.100", 81)->base, SL_NO_SLOT) << "a pool without slots names no backend";
  EXPECT_EQ(find("10.0.0.100", 81)->slots, 1u);
}

TEST_F(Front, ServerIdsAreFoundByPoolAndBytes) {
  add_service("10.0.0.100", 443, "a", model::Protocol::udp);
  add_service("10.0.0.100", 443, "a");
  add_service("10.0.0.101", 443, "b", model::Protocol::udp);
  add_service("10.0.0.102", 443, "none", model::Protocol::udp);
  image_.tables["a"].quic = {2, 6};
  image_.tables["b"].quic = {15, 0};
  image_.tables["none"] = {};
  for (std::uint16_t i = 1; i < SL_MAX_BACKENDS; i++) {
    const std::string pool = i % 2 ? "a" : "b";
    auto& backend =
        add_backend(pool, "10.1." + std::to_string(i / 256) + '.' + std::to_string(i % 256),
                    model::Forwarding::dsr_l2);
    backend.id = i;
    backend.quic_server_id.assign(pool == "a" ? 2 : 15, 0xff);
    backend.quic_server_id.front() = static_cast<std::uint8_t>(i >> 8);
    backend.quic_server_id.back() = static_cast<std::uint8_t>(i / 2 & 0x7f);
    if (pool == "a")
      backend.quic_server_id = {static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)};
  }
  build();
  const auto flags = [&](const char* address, int protocol = 17) {
    return find(address, 443, protocol)->flags;
  };
  EXPECT_EQ(SL_QUIC_LENGTH(flags("10.0.0.100")), 2u);
  EXPECT_EQ(SL_QUIC_ROTATION(flags("10.0.0.100")), 6u);
  EXPECT_EQ(SL_QUIC_LENGTH(flags("10.0.0.101")), 15u);
  EXPECT_EQ(SL_QUIC_ROTATION(flags("10.0.0.101")), 0u);
  EXPECT_NE(SL_QUIC_POOL(flags("10.0.0.100")), SL_QUIC_POOL(flags("10.0.0.101")));
  EXPECT_EQ(flags("10.0.0.100", 6) & SL_SERVICE_QUIC, 0u) << "TCP is no QUIC";
  EXPECT_EQ(flags("10.0.0.102") & SL_SERVICE_QUIC, 0u);

  // As stages/quic.h does it.
  const auto named = [&](std::uint32_t pool, const std::vector<std::uint8_t>& bytes) {
    sl_quic_id id{};
    id.bytes[0] = static_cast<__u8>(pool);
    std::ranges::copy(bytes, id.bytes + 1);
    const auto& place = front_->quic.server[sl_displaced_place(
        sl_quic_key(&id), front_->quic.multiplier, front_->quic.displacement, SL_QUIC_BITS)];
    return std::memcmp(&place.id, &id, sizeof id) == 0 ? place.backend : 0;
  };
  for (const auto& [key, backend] : image_.backends) {
    const auto pool = SL_QUIC_POOL(flags(key.pool == "a" ? "10.0.0.100" : "10.0.0.101"));
    ASSERT_EQ(named(pool, backend.quic_server_id), backend.id);
    ASSERT_EQ(named(pool ^ 3, backend.quic_server_id), 0) << "of the other pool";
  }
  EXPECT_EQ(named(0, {}), 0) << "an empty place names nobody";
}

TEST_F(Front, TheSameServerIdTwiceIsRefused) {
  image_.tables["a"].quic = {2, 0};
  for (const char* address : {"10.0.1.11", "10.0.1.12"})
    add_backend("a", address, model::Forwarding::dsr_l2).quic_server_id = {1, 2};
  const auto built = build_front(image_, *front_);
  ASSERT_FALSE(built);
  EXPECT_EQ(built.error().code, Code::full);
}

TEST_F(Front, NatServicesAreMarked) {
  add_service("10.0.0.100", 80, "nat");
  add_service("10.0.0.100", 81, "l2");
  add_backend("nat", "10.0.1.11", model::Forwarding::nat);
  add_backend("l2", "10.0.1.11", model::Forwarding::dsr_l2);
  build();
  EXPECT_EQ(find("10.0.0.100", 80)->flags, SL_SERVICE_NAT | SL_SERVICE_NAT4);
  EXPECT_EQ(find("10.0.0.100", 81)->flags, 0u);
}

TEST_F(Front, ServicesSayThatThereIsALimitForAllOfThem) {
  add_service("10.0.0.100", 80, "p");
  build();
  EXPECT_EQ(find("10.0.0.100", 80)->flags & SL_SERVICE_LIMITED, 0u);
  image_.limit = {.rate = {.packets_per_second = 1000, .burst = 7}, .mark = 5};
  build();
  EXPECT_NE(find("10.0.0.100", 80)->flags & SL_SERVICE_LIMITED, 0u);
  EXPECT_EQ(front_->limit.depth, 7 * front_->limit.interval);
  EXPECT_EQ(front_->excess, __u32{SL_EXCESS_PASS});
  EXPECT_EQ(front_->mark, 5u);
}

TEST_F(Front, RepliesAreFoundByNatSource) {
  add_service("10.0.0.100", 80, "nat");
  add_backend("nat", "10.0.1.11", model::Forwarding::nat).source = ip("10.0.1.2");
  add_backend("nat", "fd00:1::11", model::Forwarding::nat).source = ip("fd00:1::2");
  add_backend("ipip", "10.0.1.12", model::Forwarding::dsr_ipip).source = ip("10.0.1.3");
  build();
  EXPECT_NE(address_id("10.0.1.2") & SL_ADDRESS_NAT_SOURCE, 0u);
  EXPECT_NE(address_id("fd00:1::2") & SL_ADDRESS_NAT_SOURCE, 0u);
  EXPECT_EQ(address_id("10.0.1.3"), 0u) << "nobody answers an outer source";
  EXPECT_EQ(front_->flags & SL_FRONT_REPLY_BY_SOURCE, 0u);
}

TEST_F(Front, RepliesOfPreservingBackendsAreFoundByTheirAddress) {
  add_backend("kept", "10.0.1.11", model::Forwarding::nat).preserve_client_address = true;
  build();
  EXPECT_NE(address_id("10.0.1.11") & SL_ADDRESS_PRESERVING_BACKEND, 0u);
  EXPECT_NE(front_->flags & SL_FRONT_REPLY_BY_SOURCE, 0u);
}

TEST_F(Front, NoPacketMeetsAnEmptyPlace) {
  // The fast path compares what stands in the place and nothing else.
  add_service("10.0.0.100", 80, "a");
  add_service("10.0.0.100", 443, "a");
  add_service("fd00:100::100", 80, "a");
  build();
  for (std::size_t i = 0; i < std::size(front_->address4); i++) {
    const auto& place = front_->address4[i];
    EXPECT_TRUE(place.id || sl_place(place.address, front_->multiplier4, SL_ADDRESS_BITS) != i);
  }
  for (std::size_t i = 0; i < std::size(front_->address6); i++) {
    const auto& place = front_->address6[i];
    EXPECT_TRUE(place.id || sl_place(sl_fold6(place.high, place.low), front_->multiplier6,
                                     SL_ADDRESS_BITS) != i);
  }
  for (const auto& service : front_->service)
    EXPECT_TRUE(service.id || static_cast<std::uint32_t>(service.key) > 0xffffff)
        << "protocol and port of some packet";
}

TEST_F(Front, ManyServicesAndAddressesAreFoundToo) {
  // Beyond what one multiplier can do: 300 ports of one VIP, and 200 scattered VIPs in each family.
  std::uint32_t random = 1;
  const auto byte = [&] { return std::to_string((random = random * 1664525 + 1013904223) >> 24); };
  for (int i = 0; i < 200; i++) {
    add_service("10." + byte() + "." + byte() + "." + byte(), 443, "a");
    add_service("fd00:" + byte() + ":" + byte() + "::" + byte(), 443, "a");
  }
  for (std::uint16_t port = 1; port <= 300; port++)
    add_service("10.0.0.100", port, "a");
  build();
  EXPECT_NE(front_->flags & SL_FRONT_DISPLACED4, 0u);
  for (const auto& [key, service] : image_.services) {
    const auto* found = find(key.address.to_string(), key.port);
    ASSERT_TRUE(found) << key.address.to_string() << " port " << key.port;
    EXPECT_EQ(found->id, service.id);
  }
  EXPECT_FALSE(find("10.0.0.100", 301));
}

TEST_F(Front, APortGoesBeforeARangeAndARangeBeforeEveryPort) {
  add_service("10.0.0.100", 0, "a");
  add_service("10.0.0.100", 8000, "a", model::Protocol::tcp, 8099);
  add_service("10.0.0.100", 8050, "a");
  add_service("10.0.0.100", 9000, "a", model::Protocol::tcp, 9099);
  add_service("10.0.0.100", 8000, "a", model::Protocol::udp, 8001);
  build();
  for (const auto& [port, id] : std::map<int, unsigned>{{80, 1},
                                                        {7999, 1},
                                                        {8000, 2},
                                                        {8049, 2},
                                                        {8050, 3},
                                                        {8051, 2},
                                                        {8099, 2},
                                                        {8100, 1},
                                                        {9000, 4},
                                                        {9100, 1}}) {
    const auto* found = find("10.0.0.100", static_cast<std::uint16_t>(port));
    ASSERT_TRUE(found) << port;
    EXPECT_EQ(found->id, id) << port;
  }
  ASSERT_TRUE(find("10.0.0.100", 8001, 17));
  EXPECT_EQ(find("10.0.0.100", 8001, 17)->id, 5u);
  EXPECT_FALSE(find("10.0.0.100", 8002, 17)) << "every port is of TCP only";
}

TEST_F(Front, AsManyRangesAsServicesAreFoundHoweverManySinglePortsThereAre) {
  // Every address a service for every port; then so many single ports that they are displaced.
  for (const bool crowded : {false, true}) {
    image_.services.clear();
    const int addresses = crowded ? 211 : 511;
    for (int i = 0; i < addresses; i++)
      add_service("10.1." + std::to_string(i / 256) + "." + std::to_string(i % 256), 0, "a",
                  i % 2 ? model::Protocol::udp : model::Protocol::tcp);
    for (std::uint16_t port = 1; crowded && port <= 3000;
         port = static_cast<std::uint16_t>(port + 10)) {
      const bool range = port % 20 == 1;
      add_service("10.1.0.0", port, "a", model::Protocol::tcp,
                  range ? static_cast<std::uint16_t>(port + 8) : std::uint16_t{0});
    }
    build();
    for (const auto& [key, service] : image_.services) {
      const auto port = key.port == 0 ? std::uint16_t{60000} : key.port;
      const auto* found = find(key.address.to_string(), port, protocol_number(key.protocol));
      ASSERT_TRUE(found) << key.address.to_string() << " port " << key.port;
      EXPECT_EQ(found->id, service.id) << key.address.to_string() << " port " << key.port;
    }
    if (crowded)
      EXPECT_EQ(find("10.1.0.0", 10)->id, 1u) << "between two ranges";
  }
}

TEST_F(Front, MoreAddressesThanPlacesAreRefused) {
  for (int i = 0; i < 1025; i++)
    add_backend("kept", "10.1." + std::to_string(i / 256) + "." + std::to_string(i % 256),
                model::Forwarding::nat)
        .preserve_client_address = true;
  const auto built = build_front(image_, *front_);
  ASSERT_FALSE(built);
  EXPECT_EQ(built.error().code, Code::full);
}

TEST(ServiceSeed, FollowsFromTheKeyAloneAndDiffersBetweenServices) {
  const planner::ServiceKey web{ip("10.0.0.100"), 80, model::Protocol::tcp};
  EXPECT_EQ(service_seed(web), service_seed({ip("10.0.0.100"), 80, model::Protocol::tcp}));
  EXPECT_NE(service_seed(web), service_seed({ip("10.0.0.100"), 81, model::Protocol::tcp}));
  EXPECT_NE(service_seed(web), service_seed({ip("10.0.0.100"), 80, model::Protocol::udp}));
  EXPECT_NE(service_seed(web), service_seed({ip("10.0.0.101"), 80, model::Protocol::tcp}));
  // Frozen: two nodes of different versions must choose the same slots.
  EXPECT_EQ(service_seed(web), 6305534648226627892ULL);
  const planner::ServiceKey any{ip("10.0.0.100"), 0, model::Protocol::tcp};
  const planner::ServiceKey range{ip("10.0.0.100"), 80, model::Protocol::tcp, 90};
  EXPECT_NE(service_seed(range), service_seed(web));
  EXPECT_NE(service_seed(range), service_seed(any));
}

}  // namespace sluice::dataplane::xdp
