// The configuration document: what an operator writes is what is kept, and what is merged.
#include "model/document.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "codec/codec.hpp"
#include "model/prefix.hpp"

namespace sluice::model {
namespace {

using ::testing::ElementsAre;

boost::json::value json(const std::string& text) {
  return codec::parse(text).value();
}
Config read(const std::string& text) {
  auto config = read_document(json(text));
  EXPECT_TRUE(config) << (config ? "" : config.error().message);
  return config.value_or(Config{});
}

TEST(Document, BackendsAreAddressesOrObjects) {
  const auto config =
      read(R"({"l4_backends": ["10.0.1.11", "10.0.1.12:8080", "[fd00::1]:80", "fd00::2",
                                               {"ip": "10.0.1.13", "weight": 5}]})");
  ASSERT_EQ(config.l4_backends.size(), 5u);
  EXPECT_FALSE(config.l4_backends[0].port);
  EXPECT_EQ(config.l4_backends[1].port, 8080);
  EXPECT_EQ(config.l4_backends[2].port, 80);
  EXPECT_EQ(config.l4_backends[3].ip.to_string(), "fd00::2");
  EXPECT_EQ(config.l4_backends[4].weight, 5);
}

TEST(Document, ItsFaultsAreCounted) {
  EXPECT_EQ(read_document(json(R"({"l4_backends": ["x"]})")).error().message,
            "the configuration has 1 fault");
  EXPECT_EQ(read_document(json(R"({"l4_backends": ["x", "y"]})")).error().message,
            "the configuration has 2 faults");
}

TEST(Document, BackendsThatNameAPoolAreMovedThere) {
  const auto config = read(R"({"pools": [{"name": "video", "backends": [{"ip": "10.0.1.12"}]}],
    "l4_backends": ["10.0.1.11", {"ip": "10.0.1.12", "pool": "video", "weight": 9},
                    {"ip": "10.0.1.13", "pool": "video"}]})");
  ASSERT_EQ(config.l4_backends.size(), 1u);
  ASSERT_EQ(config.pools[0].backends.size(), 2u);
  EXPECT_EQ(config.pools[0].backends[0].weight, 9) << "it replaces the one of its address and port";
  EXPECT_FALSE(config.pools[0].backends[1].pool) << "once there it is no longer said";
}

TEST(Document, WhatIsWrittenIsReadBackTheSame) {
  const auto config = read(R"({
    "services": [{"name": "web", "address": "10.0.0.100", "port": 80, "protocol": "udp", "pool": "p"}],
    "pools": [{"name": "p", "forwarding": "dsr-ipip", "tableSize": 131071, "backends": [
      {"ip": "fd00:1::11", "enabled": false, "label": "old", "tags": ["a", "b"], "rack": "r1"}]}],
    "xdp": {"interfaces": [{"name": "eth0", "mode": "SKB"}], "encapSource6": "fd00:e::/112"},
    "telemetry": {"intervalMs": 250}})");
  const auto again = read_document(write_document(config));
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, config);
}

TEST(Document, EffectivePoolsHaveTheirDefaultsFilledIn) {
  const auto config = read(R"({"l4_backends": ["10.0.1.11"], "xdp": {"forwarding": "dsr-l2"},
    "pools": [{"name": "big", "tableSize": 262139, "forwarding": "nat"}], "maglev": {"hashFunctions": 3}})");
  const auto pools = effective_pools(config);
  ASSERT_EQ(pools.size(), 2u);
  EXPECT_EQ(pools[0].name, "big");
  EXPECT_EQ(pools[0].table_size, 262139u);
  EXPECT_EQ(pools[0].forwarding, Forwarding::nat);
  EXPECT_EQ(pools[1].name, "default");
  EXPECT_EQ(pools[1].forwarding, Forwarding::dsr_l2);
  EXPECT_EQ(pools[1].hash_functions, 3);
  EXPECT_EQ(pools[1].backends.size(), 1u);
}

// The examples of RFC 7396, appendix A, that can occur here.
TEST(MergePatch, FollowsTheRfc) {
  const std::vector<std::array<const char*, 3>> cases{
      {R"({"a":"b"})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":"b"})", R"({"b":"c"})", R"({"a":"b","b":"c"})"},
      {R"({"a":"b"})", R"({"a":null})", R"({})"},
      {R"({"a":"b","b":"c"})", R"({"a":null})", R"({"b":"c"})"},
      {R"({"a":["b"]})", R"({"a":"c"})", R"({"a":"c"})"},
      {R"({"a":"c"})", R"({"a":["b"]})", R"({"a":["b"]})"},
      {R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})", R"({"a":{"b":"d"}})"},
      {R"({"a":[{"b":"c"}]})", R"({"a":[1]})", R"({"a":[1]})"},
      {R"(["a","b"])", R"(["c","d"])", R"(["c","d"])"},
      {R"({"a":"b"})", R"(["c"])", R"(["c"])"},
      {R"({"e":null})", R"({"a":1})", R"({"e":null,"a":1})"},
      {R"([1,2])", R"({"a":"b","c":null})", R"({"a":"b"})"},
      {R"({})", R"({"a":{"bb":{"ccc":null}}})", R"({"a":{"bb":{}}})"}};
  for (const auto& [target, patch, result] : cases)
    EXPECT_EQ(merge_patch(json(target), json(patch)), json(result)) << target << " + " << patch;
}

TEST(Prefix, IsReadWithItsLength) {
  const auto prefix = parse_prefix("172.16.0.0/16");
  ASSERT_TRUE(prefix);
  EXPECT_EQ(prefix->length, 16u);
  EXPECT_TRUE(has_no_host_bits(*prefix));
  EXPECT_FALSE(has_no_host_bits(parse_prefix("172.16.0.1/16").value()));
  EXPECT_TRUE(has_no_host_bits(parse_prefix("fd00:e::/112").value()));
  for (const char* text : {"172.16.0.0", "172.16.0.0/33", "172.16.0.0/", "/16", "fd00::/129",
                           "172.16.0.0/-1", "172.16.0.0/16x", "x/16"})
    EXPECT_FALSE(parse_prefix(text)) << text;
}

}  // namespace
}  // namespace sluice::model
