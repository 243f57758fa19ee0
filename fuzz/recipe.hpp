// What the fuzzers mutate: not bytes of frames but recipes for them, of a fixed size, so that they
// can be cut out, doubled and exchanged. Most make a frame for a service, whatever their bytes.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "model.hpp"

namespace sluice::fuzz {

struct Recipe {
  std::uint8_t kind;      ///< what sort of packet
  std::uint8_t service;   ///< which of the world's it is for
  std::uint8_t client;    ///< its address
  std::uint8_t port;      ///< the client's, and where in a range the service's lies
  std::uint8_t flags;     ///< of TCP; type of ICMP; server id of QUIC
  std::uint8_t tags;      ///< VLAN tags
  std::uint8_t options;   ///< of IPv4; IPv6: extension headers
  std::uint8_t fragment;  ///< whether, and which
  std::uint8_t length[2];
  std::uint8_t router;  ///< MAC addresses and interface
  std::uint8_t wait;    ///< time that passes before
  std::uint8_t headroom;
  std::uint8_t sums;    ///< whether checksums are right
  std::uint8_t cut;     ///< bytes cut off the end
  std::uint8_t mutate;  ///< how many of the following
  struct {
    std::uint8_t at, value;
  } mutation[4];
};
static_assert(sizeof(Recipe) == 24);

/// A sequence of packets in a world; as bytes: the world, then recipes.
struct Input {
  std::uint8_t world = 0;
  std::vector<Recipe> recipes;

  static Input from(std::span<const std::uint8_t> bytes);
  std::vector<std::uint8_t> bytes() const;
};

/// Makes frames. Answers of backends need to know which ports nat has given: it looks at what
/// leaves.
class Kitchen {
 public:
  explicit Kitchen(const reference::World& world) : world_(world) {}

  /// The frame stays until the next one.
  reference::Frame cook(const Recipe& recipe);
  /// Seconds that pass before it.
  std::uint32_t wait(const Recipe& recipe) const;
  /// Whether the configuration changes before it.
  static bool changes(const Recipe& recipe);
  /// What became of the last frame.
  void taste(const reference::Outcome& outcome);

 private:
  struct Served {  ///< a packet of nat as it left
    std::array<std::uint8_t, 16> source, destination;
    std::uint16_t source_port, destination_port;
    std::uint8_t protocol;
    bool ipv6;
    unsigned interface;
  };
  struct Plan;

  void put_ethernet(const Recipe& recipe, Plan& plan);
  void put_ip(const Recipe& recipe, Plan& plan);
  void put_extensions(const Recipe& recipe, Plan& plan);
  void put_l4(const Recipe& recipe, Plan& plan);
  void put_icmp(const Recipe& recipe, Plan& plan);
  void put_quic(const Recipe& recipe, const reference::Service& service, std::size_t length);
  void put_payload(const Recipe& recipe, const Plan& plan);
  void finish(const Recipe& recipe, const Plan& plan);
  void add(std::size_t count) { size_ += count; }
  std::uint8_t* at(std::size_t offset) { return frame_.data() + offset; }

  const reference::World& world_;
  std::array<std::uint8_t, 3072> frame_{};  ///< longer than any recipe makes one
  std::size_t size_ = 0;
  unsigned interface_ = 0;
  std::vector<Served> served_;
  std::size_t next_served_ = 0;
};

}  // namespace sluice::fuzz
