// Every key has a place of its own, where the packet path looks.
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "abi.h"
#include "dataplane/xdp/perfect_hash.hpp"

namespace sluice::dataplane::xdp {

namespace {

void expect_perfect(const std::vector<std::uint64_t>& keys, int bits) {
  const auto hash = find_displaced_hash(keys, bits);
  ASSERT_TRUE(hash) << "none for " << keys.size() << " keys in " << (1 << bits) << " places";
  ASSERT_EQ(hash->displacement.size(), std::size_t{1} << SL_DISPLACEMENT_BITS);
  ASSERT_EQ(hash->places.size(), keys.size());
  std::set<std::uint32_t> taken;
  for (std::size_t i = 0; i < keys.size(); i++) {
    EXPECT_EQ(sl_displaced_place(keys[i], hash->multiplier, hash->displacement.data(), bits),
              hash->places[i])
        << "the packet path looks elsewhere for key " << i;
    EXPECT_TRUE(taken.insert(hash->places[i]).second) << "two keys in place " << hash->places[i];
  }
}

std::vector<std::uint64_t> random_keys(std::size_t count) {
  std::mt19937_64 random(7);
  std::vector<std::uint64_t> keys(count);
  for (auto& key : keys)
    key = random();
  return keys;
}

}  // namespace

TEST(PerfectHash, NoKeysAndOneKey) {
  expect_perfect({}, SL_ADDRESS_BITS);
  expect_perfect({0}, SL_ADDRESS_BITS);
}

TEST(PerfectHash, AsManyServicesAsFitAtAll) {
  std::vector<std::uint64_t> keys;
  for (std::uint64_t i = 1; i <= SL_MAX_SERVICES; i++)
    keys.push_back(SL_SERVICE_KEY(i, i % 2 ? 6 : 17, i * 256));
  expect_perfect(keys, SL_SERVICE_BITS);
}

TEST(PerfectHash, ManyPortsOfOneAddress) {
  std::vector<std::uint64_t> keys;
  for (std::uint64_t port = 0; port < SL_MAX_SERVICES; port++)
    keys.push_back(SL_SERVICE_KEY(1, 6, port));
  expect_perfect(keys, SL_SERVICE_BITS);
}

TEST(PerfectHash, NeighbouringIpv4Addresses) {
  std::vector<std::uint64_t> keys;
  for (std::uint64_t i = 0; i < 512; i++)
    keys.push_back(0x0a000000 + i);
  expect_perfect(keys, SL_ADDRESS_BITS);
  for (auto& key : keys)
    key = __builtin_bswap32(static_cast<std::uint32_t>(key));
  expect_perfect(keys, SL_ADDRESS_BITS);
}

TEST(PerfectHash, NearlyFullTable) {
  expect_perfect(random_keys(1000), SL_ADDRESS_BITS);
}

TEST(PerfectHash, SameKeysGiveTheSameHash) {
  const auto keys = random_keys(300);
  const auto first = find_displaced_hash(keys, SL_ADDRESS_BITS),
             second = find_displaced_hash(keys, SL_ADDRESS_BITS);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->multiplier, second->multiplier);
  EXPECT_EQ(first->places, second->places);
}

TEST(PerfectHash, TooManyKeysGiveNone) {
  EXPECT_FALSE(find_displaced_hash(random_keys(1025), SL_ADDRESS_BITS));
}

TEST(PerfectHash, EqualKeysGiveNone) {
  const std::vector<std::uint64_t> keys{5, 5};
  EXPECT_FALSE(find_displaced_hash(keys, SL_ADDRESS_BITS));
}

}  // namespace sluice::dataplane::xdp
