// A configuration as the reference knows it: what an operator wrote and what the daemon found out
// about next hops, in plain structures. Nothing of how the data plane stores it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/address.hpp"
#include "transition/transition.hpp"

namespace sluice::reference {

enum class Forwarding : std::uint8_t { nat, dsr_l2, dsr_ipip };
enum class Fragments : std::uint8_t { pass, drop, reassemble };
enum class Algorithm : std::uint8_t { maglev, round_robin, least_connections };

/// A limit of packets: so many at once after a pause, then one each `seconds`.
struct Rate {
  std::uint32_t burst = 0;  ///< 0: there is no limit
  std::uint32_t seconds = 8;
};

/// A backend of a pool, with the way there.
struct Backend {
  IpAddress address;
  std::uint16_t port = 0;  ///< nat: 0 is the service's
  Forwarding forwarding = Forwarding::nat;
  bool preserve_client_address = false;
  bool enabled = true;
  bool resolved = true;  ///< the next hop's MAC address is known
  MacAddress destination, source;
  std::uint16_t mtu = 1500;
  std::uint8_t interface = 0;           ///< the way out
  IpAddress from;                       ///< nat: what we send from; dsr-ipip: the outer source
  bool from_varies = false;             ///< dsr-ipip: its low 16 bits vary with the flow
  std::vector<std::uint8_t> server_id;  ///< in QUIC connection ids
  std::uint32_t weight = 1;             ///< 0: it is drained, and gets no new flow
  std::uint32_t max_connections = 0;    ///< 0: any number
  Rate limit;

  bool ipv6() const { return !address.is_v4(); }
  /// Bytes of the outer header.
  unsigned outer() const { return forwarding == Forwarding::dsr_ipip ? (ipv6() ? 40u : 20u) : 0u; }
  /// The longest IP packet of a client that fits the way there; 0: nothing can be sent.
  unsigned room() const { return resolved && enabled && mtu > outer() ? mtu - outer() : 0u; }
};

struct Pool {
  std::string name;
  std::vector<std::uint16_t> backends;  ///< ids
  std::vector<transition::Slot> slots;  ///< the lookup table; empty: no usable backend
  unsigned server_id_length = 0;        ///< of its UDP services' QUIC connection ids; 0: no QUIC
  unsigned config_rotation = 0;         ///< of ids that name a server
  bool lost = false;  ///< its table lies outside of the arena: what the loader never does
  Algorithm algorithm = Algorithm::maglev;
  bool tracked = false;  ///< direct return that remembers every flow
  bool affine = false;   ///< a client's flows go to one backend
};

struct Service {
  IpAddress address;
  std::uint16_t first_port = 0;  ///< 0: every port that no other service of the address has
  std::uint16_t last_port = 0;   ///< 0: one port
  bool udp = false;
  std::uint16_t id = 0;
  std::size_t pool = 0;
  bool answers_echo = false;
  std::uint64_t seed = 0;  ///< of its flows' hash; all nodes agree on it

  bool has_one_port() const { return first_port != 0 && last_port == 0; }
};

struct AccessEntry {
  IpAddress address;
  unsigned length = 0;  ///< bits; of an IPv4 address 32 at most
  bool deny = true;
};

/// A route to every client, for where the ways of frames are too many to be remembered.
struct Route {
  bool found = false;
  std::uint8_t interface = 0;
  MacAddress destination, source;
};

struct World {
  std::string name;
  std::vector<Backend> backends;  ///< by id; 0 is none
  std::vector<Pool> pools;
  std::vector<Service> services;
  Fragments fragments = Fragments::pass;
  std::vector<AccessEntry> access;
  bool deny_otherwise = false;
  std::uint32_t interfaces = 2;  ///< those that frames arrive at and leave by: 0 to this
  Route route;
  Rate limit;               ///< of all services together
  std::uint32_t batch = 1;  ///< packets that are taken from it at once
  std::uint32_t mark = 0;   ///< of packets beyond a limit, which pass; 0: they are dropped
  /// Flows may be forgotten for want of room, and ports be refused: what the tables' geometry
  /// decides, which the reference does not know.
  bool crowded = false;
  std::uint64_t flow_multiplier = 0x9e3779b97f4a7c15;
  /// Few clients, with few ports, and long pauses are rare: most packets are of flows that live.
  bool familiar = false;
  /// No frame comes with a MAC address of its own, so that all ways back are remembered.
  bool few_routers = false;
  /// Some flows' backends are drawn by lot: two programs draw differently.
  bool draws = false;
  /// What it changes to, one after the other and round again: of the same services and backends.
  std::vector<World> later;
};

}  // namespace sluice::reference
