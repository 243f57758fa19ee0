// The configuration document: every setting that an operator can make, as described structs. The
// JSON codec, the OpenAPI schema and the UI's types all come from these; the rules that span fields
// are in validate.hpp.
#pragma once

#include <boost/describe.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/address.hpp"
#include "codec/reflect.hpp"

namespace sluice::model {

/// The pool that `l4_backends` feeds.
inline constexpr std::string_view default_pool = "default";

enum class Protocol { tcp, udp };
BOOST_DESCRIBE_ENUM(Protocol, tcp, udp)

/// How packets reach a backend. On the wire `nat`, `dsr-l2`, `dsr-ipip`.
enum class Forwarding { nat, dsr_l2, dsr_ipip };
BOOST_DESCRIBE_ENUM(Forwarding, nat, dsr_l2, dsr_ipip)

/// How XDP hooks in: SKB = generic, DRV = native, HW = offloaded to the card.
enum class XdpMode { SKB, DRV, HW };
BOOST_DESCRIBE_ENUM(XdpMode, SKB, DRV, HW)

/// What becomes of fragments for a VIP; `reassemble`: later ones follow the first to its backend.
enum class Fragments { drop, pass, reassemble };
BOOST_DESCRIBE_ENUM(Fragments, drop, pass, reassemble)
/// What is remembered about flows. `exceptions`: while a table changes, those that must not follow
/// it. `full`: all; what nat needs.
enum class Tracking { off, exceptions, full };
BOOST_DESCRIBE_ENUM(Tracking, off, exceptions, full)

/// How the backend of a new flow is chosen. All but `maglev` need full tracking.
enum class Algorithm { maglev, roundRobin, leastConnections };
BOOST_DESCRIBE_ENUM(Algorithm, maglev, roundRobin, leastConnections)

/// What stays together on one backend: the packets of a flow, or all flows of a client.
enum class Affinity { none, source };
BOOST_DESCRIBE_ENUM(Affinity, none, source)

/// What a changed lookup table does to flows that live.
enum class Rebalance { minimalDisruption, immediate };
BOOST_DESCRIBE_ENUM(Rebalance, minimalDisruption, immediate)

/// How many packets go through: a steady rate, and how many at once after a pause.
struct PacketRate {
  std::uint32_t packetsPerSecond = 0;  ///< 0: no limit
  std::optional<std::uint32_t> burst;  ///< absent: a tenth of a second's packets
  bool operator==(const PacketRate&) const = default;
};
BOOST_DESCRIBE_STRUCT(PacketRate, (), (packetsPerSecond, burst))

/// `burst` as it counts: at least 1; 0 without a limit.
std::uint32_t effective_burst(std::uint32_t packets_per_second,
                              const std::optional<std::uint32_t>& burst);

/// How the connection ids of QUIC name their server (draft-ietf-quic-load-balancers, in plain
/// text): what the servers of a pool have in common.
struct QuicSettings {
  std::uint8_t serverIdLength = 0;  ///< bytes of each backend's quicServerId
  std::uint8_t configRotation = 0;  ///< the first three bits of ids that name a server
  bool operator==(const QuicSettings&) const = default;
};
BOOST_DESCRIBE_STRUCT(QuicSettings, (), (serverIdLength, configRotation))

/// A server behind a VIP.
struct Backend {
  IpAddress ip;
  std::optional<std::uint16_t> port;  ///< absent: the service's port
  std::uint16_t weight = 1;
  bool enabled = true;                          ///< false: its flows move to others at once
  bool drain = false;                           ///< keeps its flows, gets no new one
  std::optional<std::uint32_t> maxConnections;  ///< flows at a time; absent: any number
  std::optional<std::string> label;
  std::vector<std::string> tags;
  std::optional<std::string> datacenter;
  std::optional<std::string> rack;
  std::optional<PacketRate> rateLimit;      ///< absent: rateLimit.perBackend
  std::optional<std::string> quicServerId;  ///< in hex digits; counts where its pool has `quic`
  std::optional<std::string>
      pool;  ///< only in `l4_backends`: the pool it belongs to, `default` if absent
  bool operator==(const Backend&) const = default;
};
BOOST_DESCRIBE_STRUCT(Backend, (),
                      (ip, port, weight, enabled, drain, maxConnections, label, tags, datacenter,
                       rack, rateLimit, quicServerId, pool))

/// A group of backends with one way of forwarding and one lookup table.
struct Pool {
  std::string name;
  std::optional<Forwarding> forwarding;       ///< absent: xdp.forwarding
  std::optional<bool> preserveClientAddress;  ///< nat only: backends see the client; absent: false
  std::optional<Algorithm> algorithm;         ///< absent: xdp.algorithm
  /// Absent: full where it is needed, xdp.connectionTracking otherwise.
  std::optional<Tracking> connectionTracking;
  Affinity affinity = Affinity::none;
  std::optional<std::uint32_t> tableSize;      ///< absent: maglev.tableSize
  std::optional<std::uint16_t> hashFunctions;  ///< absent: maglev.hashFunctions
  /// UDP services follow the server id of QUIC connections; absent: they know nothing of QUIC.
  std::optional<QuicSettings> quic;
  std::vector<Backend> backends;
  bool operator==(const Pool&) const = default;
};
BOOST_DESCRIBE_STRUCT(Pool, (),
                      (name, forwarding, preserveClientAddress, algorithm, connectionTracking,
                       affinity, tableSize, hashFunctions, quic, backends))

/// A VIP: address, port and protocol, served by a pool.
struct Service {
  std::string name;
  IpAddress address;
  std::uint16_t port = 0;                ///< 0: every port that no other service of the VIP has
  std::optional<std::uint16_t> portEnd;  ///< the last port of a range that begins with `port`
  Protocol protocol = Protocol::tcp;
  std::string pool;
  bool enabled = true;
  /// XDP answers echo requests to `address`. One enabled service of an address speaks for all.
  bool answerEcho = false;
  bool operator==(const Service&) const = default;
};
BOOST_DESCRIBE_STRUCT(Service, (),
                      (name, address, port, portEnd, protocol, pool, enabled, answerEcho))

/// "80", "8000-8099", or "any".
std::string ports_to_string(std::uint16_t port, std::uint16_t last);

/// An interface on which packets are balanced.
struct XdpInterface {
  std::string name;
  XdpMode mode = XdpMode::DRV;
  bool operator==(const XdpInterface&) const = default;
};
BOOST_DESCRIBE_STRUCT(XdpInterface, (), (name, mode))

/// Seconds without a packet after which what is remembered of a flow is over.
struct FlowTimeouts {
  std::uint32_t tcpOpenSeconds = 3600;
  /// Absent: 2 with nat, which sees both ends close; 60 with direct return, which sees the client.
  std::optional<std::uint32_t> tcpClosingSeconds;
  std::uint32_t udpSeconds = 60;
  std::uint32_t affinitySeconds = 10800;  ///< of a client, after its last packet
  bool operator==(const FlowTimeouts&) const = default;
};
BOOST_DESCRIBE_STRUCT(FlowTimeouts, (),
                      (tcpOpenSeconds, tcpClosingSeconds, udpSeconds, affinitySeconds))

struct XdpSettings {
  std::vector<XdpInterface> interfaces;
  Forwarding forwarding = Forwarding::nat;
  Algorithm algorithm = Algorithm::maglev;
  Tracking connectionTracking = Tracking::exceptions;  ///< of pools that need no full tracking
  FlowTimeouts flowTimeouts;
  Fragments fragments = Fragments::pass;
  /// Prefix of the outer source addresses of dsr-ipip; its host bits vary with the flow. IPv4 /16
  /// or shorter, IPv6 /112 or shorter. Absent: the way out's own address, which does not vary.
  std::optional<std::string> encapSource;
  std::optional<std::string> encapSource6;
  std::uint32_t transitionSeconds = 300;  ///< slots that change hands learn so long, 5 to 86,400
  std::uint32_t transitionHoldSeconds = 900;  ///< and no longer than this, 5 to 86,400
  bool operator==(const XdpSettings&) const = default;
};
BOOST_DESCRIBE_STRUCT(XdpSettings, (),
                      (interfaces, forwarding, algorithm, connectionTracking, flowTimeouts,
                       fragments, encapSource, encapSource6, transitionSeconds,
                       transitionHoldSeconds))

struct NatSettings {
  /// Addresses that nat sends from, at most one of each family; none: the way out's own address.
  std::vector<IpAddress> sourceAddresses;
  bool operator==(const NatSettings&) const = default;
};
BOOST_DESCRIBE_STRUCT(NatSettings, (), (sourceAddresses))

struct MaglevSettings {
  std::uint32_t tableSize = 65537;  ///< 65537, 131071 or 262139
  std::uint16_t hashFunctions = 1;  ///< 1 to 10 permutations a backend
  Rebalance rebalanceStrategy = Rebalance::minimalDisruption;
  bool operator==(const MaglevSettings&) const = default;
};
BOOST_DESCRIBE_STRUCT(MaglevSettings, (), (tableSize, hashFunctions, rebalanceStrategy))

/// What becomes of packets beyond a limit; `pass`: to the kernel, with a mark.
enum class ExcessAction { drop, pass };
BOOST_DESCRIBE_ENUM(ExcessAction, drop, pass)

/// The limit of all services together, what every backend's is unless it has its own, and what
/// becomes of packets beyond either.
struct RateLimitSettings {
  std::uint32_t packetsPerSecond = 0;  ///< clients' packets for all services together; 0: no limit
  std::optional<std::uint32_t> burst;  ///< absent: a tenth of a second's packets
  ExcessAction action = ExcessAction::drop;
  std::optional<std::uint32_t> mark;  ///< with `pass` only, where it is needed: skb->mark
  PacketRate perBackend;
  bool operator==(const RateLimitSettings&) const = default;
};
BOOST_DESCRIBE_STRUCT(RateLimitSettings, (), (packetsPerSecond, burst, action, mark, perBackend))

struct TelemetrySettings {
  std::uint32_t intervalMs = 1000;  ///< how often the counters are read, 100 to 60,000 ms
  bool operator==(const TelemetrySettings&) const = default;
};
BOOST_DESCRIBE_STRUCT(TelemetrySettings, (), (intervalMs))

/// Whether a client may reach the VIPs.
enum class Access { allow, deny };
BOOST_DESCRIBE_ENUM(Access, allow, deny)

struct SecuritySettings {
  /// Prefixes or addresses of clients. The longest one that holds a client decides; where it stands
  /// in both lists, the client is allowed.
  std::vector<std::string> denyList, allowList;
  Access defaultAction = Access::allow;  ///< for clients that are in no list
  bool operator==(const SecuritySettings&) const = default;
};
BOOST_DESCRIBE_STRUCT(SecuritySettings, (), (denyList, allowList, defaultAction))

/// The whole document.
struct Config {
  std::vector<Service> services;
  std::vector<Pool> pools;
  std::vector<Backend> l4_backends;
  XdpSettings xdp;
  NatSettings nat;
  MaglevSettings maglev;
  RateLimitSettings rateLimit;
  TelemetrySettings telemetry;
  SecuritySettings security;
  bool operator==(const Config&) const = default;
};
BOOST_DESCRIBE_STRUCT(Config, (),
                      (services, pools, l4_backends, xdp, nat, maglev, rateLimit, telemetry,
                       security))

/// The pool as it counts: defaults filled in, and for `default` the content of `l4_backends`.
struct EffectivePool {
  std::string name;
  Forwarding forwarding;
  bool preserve_client_address;
  Algorithm algorithm;
  Tracking tracking;
  Affinity affinity;
  std::uint32_t table_size;
  std::uint16_t hash_functions;
  std::optional<QuicSettings> quic;
  std::vector<Backend> backends;
};
/// Does a pool with these settings need full tracking, whatever else it says?
bool needs_full_tracking(Forwarding forwarding, Algorithm algorithm,
                         const std::vector<Backend>& backends);
/// All pools of a valid configuration, `default` included when `l4_backends` is not empty, a pool
/// of that name is declared, or a service points to it. In order of name.
std::vector<EffectivePool> effective_pools(const Config& config);

}  // namespace sluice::model

#include "model/config_fields.hpp"
