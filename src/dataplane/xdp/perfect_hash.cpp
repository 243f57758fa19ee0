#include "dataplane/xdp/perfect_hash.hpp"

#include <algorithm>
#include <numeric>
#include <random>

#include "abi.h"

namespace sluice::dataplane::xdp {

namespace {

constexpr std::size_t buckets = std::size_t{1} << SL_DISPLACEMENT_BITS;
constexpr int multipliers_tried = 64;
constexpr int direct_multipliers_tried = 2000;
constexpr int port_multipliers_tried = 200;
constexpr int largest_port_table = 9;
constexpr std::uint64_t seed = 0x736c75696365;  // the same keys give the same table on every node

/// Places of all keys, or nothing if two share one.
template <class Keys, class Place>
std::optional<std::vector<std::uint32_t>> place_all(const Keys& keys, int bits, Place place) {
  std::vector<bool> used(std::size_t{1} << bits);
  std::vector<std::uint32_t> places;
  for (const auto key : keys) {
    const auto at = static_cast<std::uint32_t>(place(key));
    if (used[at])
      return std::nullopt;
    used[at] = true;
    places.push_back(at);
  }
  return places;
}

class Search {
 public:
  Search(std::span<const std::uint64_t> keys, int bits, std::uint64_t multiplier)
      : bits_(bits), used_(std::size_t{1} << bits), members_(buckets) {
    hash_.multiplier = multiplier;
    hash_.displacement.resize(buckets);
    hash_.places.resize(keys.size());
    for (std::uint32_t i = 0; i < keys.size(); i++) {
      hashed_.push_back(keys[i] * multiplier);
      members_[hashed_[i] >> (64 - SL_DISPLACEMENT_BITS)].push_back(i);
    }
  }

  /// Full buckets first: they are the hardest to place.
  std::optional<PerfectHash> run() {
    std::vector<std::size_t> order(buckets);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, std::ranges::greater{},
                             [&](std::size_t bucket) { return members_[bucket].size(); });
    for (const auto bucket : order)
      if (!place_bucket(bucket))
        return std::nullopt;
    return std::move(hash_);
  }

 private:
  bool place_bucket(std::size_t bucket) {
    if (members_[bucket].empty())
      return true;
    for (std::uint32_t displacement = 0; displacement <= 0xffff; displacement++)
      if (try_displacement(bucket, static_cast<std::uint16_t>(displacement)))
        return true;
    return false;
  }

  bool try_displacement(std::size_t bucket, std::uint16_t displacement) {
    std::vector<std::uint64_t> places;
    for (const auto key : members_[bucket]) {
      const std::uint64_t place =
          ((hashed_[key] ^ displacement) * SL_DISPLACEMENT_MULTIPLIER) >> (64 - bits_);
      if (used_[place] || std::ranges::find(places, place) != places.end())
        return false;
      places.push_back(place);
    }
    for (std::size_t i = 0; i < places.size(); i++) {
      used_[places[i]] = true;
      hash_.places[members_[bucket][i]] = static_cast<std::uint32_t>(places[i]);
    }
    hash_.displacement[bucket] = displacement;
    return true;
  }

  int bits_;
  std::vector<std::uint64_t> hashed_;
  std::vector<bool> used_;
  std::vector<std::vector<std::uint32_t>> members_;
  PerfectHash hash_;
};

}  // namespace

std::optional<PerfectHash> find_displaced_hash(std::span<const std::uint64_t> keys, int bits) {
  if (keys.size() > (std::size_t{1} << bits))
    return std::nullopt;
  std::mt19937_64 random(seed);
  for (int i = 0; i < multipliers_tried; i++)
    if (auto found = Search(keys, bits, random() | 1).run())
      return found;
  return std::nullopt;
}

std::optional<DirectHash> find_direct_hash(std::span<const std::uint64_t> keys, int bits) {
  std::mt19937_64 random(seed);
  for (int i = 0; i < direct_multipliers_tried; i++) {
    const auto multiplier = random() | 1;
    auto places =
        place_all(keys, bits, [&](std::uint64_t key) { return sl_place(key, multiplier, bits); });
    if (places)
      return DirectHash{multiplier, std::move(*places)};
  }
  return std::nullopt;
}

std::optional<PortHash> find_port_hash(std::span<const std::uint32_t> keys) {
  std::mt19937_64 random(seed);
  for (int bits = 0; bits <= largest_port_table; bits++)
    for (int i = 0; (std::size_t{1} << bits) >= keys.size() && i < port_multipliers_tried; i++) {
      const auto multiplier = static_cast<std::uint32_t>(random() | 1);
      const sl_services services{multiplier, 0, static_cast<__u8>(32 - bits), 0};
      auto places = place_all(keys, bits,
                              [&](std::uint32_t key) { return sl_service_place(key, &services); });
      if (places)
        return PortHash{multiplier, bits, std::move(*places)};
    }
  return std::nullopt;
}

}  // namespace sluice::dataplane::xdp
