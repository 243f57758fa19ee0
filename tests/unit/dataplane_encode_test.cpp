// Entries of backend_pool: what the packet path reads, and the way back.
#include "dataplane/xdp/encode.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <cstring>

namespace sluice::dataplane::xdp {

namespace {

IpAddress ip(std::string_view text) {
  return IpAddress::parse(text).value();
}

planner::BackendImage resolved(model::Forwarding forwarding, std::string_view source = "") {
  planner::BackendImage backend;
  backend.id = 5;
  backend.forwarding = forwarding;
  backend.weight = 7;
  backend.ifindex = 9;
  backend.source_mac = MacAddress{{2, 0, 0, 0, 0, 1}};
  backend.destination_mac = MacAddress{{2, 0, 0, 0, 0, 2}};
  backend.mtu = 1600;
  backend.resolved = true;
  if (!source.empty())
    backend.source = ip(source);
  return backend;
}

void expect_round_trip(const planner::BackendKey& key, const planner::BackendImage& backend) {
  const auto entry = encode_backend(key, backend, 3);
  const auto label = label_of(key, backend);
  EXPECT_EQ(key_of(label), key);
  EXPECT_EQ(decode_backend(backend.id, entry, label, encode_rate(backend.limit)), backend);
}

}  // namespace

TEST(BackendEntry, HoldsWhatThePacketPathReads) {
  auto backend = resolved(model::Forwarding::nat, "10.0.1.2");
  const auto entry = encode_backend({"default", ip("10.0.1.11"), 8080}, backend, 3);
  EXPECT_EQ(std::memcmp(entry.ethernet, "\2\0\0\0\0\2\2\0\0\0\0\1", 12), 0)
      << "destination MAC first, then ours";
  EXPECT_EQ(entry.room, 1600);
  EXPECT_EQ(entry.port, htons(8080));
  EXPECT_EQ(entry.interface, 3u);
  EXPECT_EQ(entry.address[0], inet_addr("10.0.1.11"));
  EXPECT_EQ(entry.source[0], inet_addr("10.0.1.2"));
  EXPECT_EQ(entry.flags, SL_BACKEND_PRESENT | SL_BACKEND_RESOLVED);
  EXPECT_EQ(entry.forwarding, SL_FORWARDING_NAT);
}

TEST(BackendEntry, OuterHeaderIsPreparedForIpip) {
  auto backend = resolved(model::Forwarding::dsr_ipip, "172.16.0.0");
  backend.source_varying_bits = 16;
  const auto entry = encode_backend({"ipip", ip("10.0.1.21"), 0}, backend, 3);
  EXPECT_EQ(entry.ethertype, htons(0x0800));
  EXPECT_EQ(entry.source_mask, htonl(0xffff));
  EXPECT_EQ(entry.outer, 20);
  EXPECT_EQ(entry.room, 1580) << "what clients may send is less by the outer header";
  EXPECT_EQ(entry.outer_sum, sl_outer_sum(inet_addr("10.0.1.21"), inet_addr("172.16.0.0")));

  backend.source = ip("fd00:e::");
  const auto entry6 = encode_backend({"ipip", ip("fd00:1::21"), 0}, backend, 3);
  EXPECT_EQ(entry6.ethertype, htons(0x86dd));
  EXPECT_EQ(entry6.flags, SL_BACKEND_PRESENT | SL_BACKEND_RESOLVED | SL_BACKEND_IPV6);
  EXPECT_EQ(std::memcmp(entry6.source, ip("fd00:e::").bytes().data(), 16), 0);
}

TEST(BackendEntry, UnresolvedIsThereButWithoutAWay) {
  planner::BackendImage backend;
  backend.id = 5;
  const auto entry = encode_backend({"default", ip("10.0.1.11"), 0}, backend, 0);
  EXPECT_EQ(entry.flags & SL_BACKEND_RESOLVED, 0);
  EXPECT_NE(entry.flags & SL_BACKEND_PRESENT, 0);
  EXPECT_EQ(entry.room, 0) << "no packet may be sent there";
}

TEST(BackendEntry, ALimitedOneHasNoRoomForASecondLookAtEveryPacket) {
  auto backend = resolved(model::Forwarding::dsr_ipip, "10.0.1.2");
  backend.limit = {.packets_per_second = 1000, .burst = 50};
  const auto entry = encode_backend({"ipip", ip("10.0.1.21"), 0}, backend, 3);
  EXPECT_EQ(entry.room, 0);
  EXPECT_EQ(sl_room(&entry), 1580u) << "what fits is still known";
  EXPECT_NE(entry.flags & SL_BACKEND_LIMITED, 0);
  backend.enabled = false;
  const auto disabled = encode_backend({"ipip", ip("10.0.1.21"), 0}, backend, 3);
  EXPECT_EQ(sl_room(&disabled), 0u);
}

TEST(Rate, IsATimeBetweenPackets) {
  constexpr std::uint64_t second = std::uint64_t{1'000'000'000} << SL_LIMIT_SHIFT;
  EXPECT_EQ(encode_rate({}).interval, 0u) << "no limit";
  EXPECT_EQ(encode_rate({1, 1}).interval, second);
  EXPECT_EQ(encode_rate({1, 100}).depth, 100 * second);
  for (const std::uint32_t rate : {1u, 7u, 1000u, 148'809u, 14'880'952u, 100'000'000u}) {
    const auto interval = encode_rate({rate, 1}).interval;
    const auto told = static_cast<double>(second) / static_cast<double>(interval);
    EXPECT_NEAR(told / rate, 1, 0.001) << rate << " packets a second";
  }
  EXPECT_EQ(decode_rate(encode_rate({148'809, 14'880})), (planner::RateImage{148'809, 14'880}));
}

TEST(Rate, BatchesAreSmallBesideTheBurstAndOfOnePacketAtOrdinaryRates) {
  EXPECT_EQ(batch_of({}), 1u);
  EXPECT_EQ(batch_of({1'999'999, 100'000'000}), 1u);
  EXPECT_EQ(batch_of({10'000'000, 1'000'000}), 10u);
  EXPECT_EQ(batch_of({10'000'000, 1024}), 4u);
  EXPECT_EQ(batch_of({10'000'000, 1}), 1u);
  EXPECT_EQ(batch_of({1'000'000'000, 100'000'000}), 1000u);
}

TEST(BackendEntry, ReadsBackAsItWas) {
  expect_round_trip({"default", ip("10.0.1.11"), 80}, resolved(model::Forwarding::nat, "10.0.1.2"));
  expect_round_trip({"default", ip("fd00:1::11"), 0},
                    resolved(model::Forwarding::nat, "fd00:1::2"));
  expect_round_trip({"l2", ip("10.0.1.11"), 0}, resolved(model::Forwarding::dsr_l2));
  expect_round_trip({"ipip", ip("10.0.1.11"), 0},
                    resolved(model::Forwarding::dsr_ipip, "10.0.1.2"));
  auto kept = resolved(model::Forwarding::nat);
  kept.preserve_client_address = true;
  expect_round_trip({"kept", ip("fd00:1::11"), 0}, kept);
  auto limited = resolved(model::Forwarding::dsr_l2);
  limited.limit = {.packets_per_second = 1000, .burst = 50};
  expect_round_trip({"l2", ip("10.0.1.11"), 0}, limited);
  planner::BackendImage lost;
  lost.id = 5;
  expect_round_trip({std::string(63, 'p'), ip("10.0.1.11"), 0}, lost);
}

TEST(ServiceLabel, ReadsBackAsItWas) {
  for (const auto protocol : {model::Protocol::tcp, model::Protocol::udp}) {
    const planner::ServiceKey key{ip("fd00:100::100"), 443, protocol};
    const auto label = label_of(key, {.id = 1, .name = std::string(63, 'n'), .pool = "web"});
    EXPECT_EQ(key_of(label), key);
    EXPECT_EQ(name_in(label.name), std::string(63, 'n'));
    EXPECT_EQ(name_in(label.pool), "web");
    const planner::ServiceKey range{ip("10.0.0.100"), 8000, protocol, 8099};
    EXPECT_EQ(key_of(label_of(range, {.id = 2, .name = "range", .pool = "web"})), range);
  }
}

}  // namespace sluice::dataplane::xdp
