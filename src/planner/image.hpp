// The data plane's content as values: what a packet meets. Read back from the kernel's maps, or
// wanted by the planner.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/address.hpp"
#include "model/config.hpp"
#include "model/topology.hpp"

namespace sluice::planner {

/// What makes a backend the same backend over changes: one entry in `backend_pool` for each.
struct BackendKey {
  std::string pool;
  IpAddress address;
  std::uint16_t port = 0;  ///< 0: the service's
  auto operator<=>(const BackendKey&) const = default;
};

/// How many packets go through. Without a limit all is zero.
struct RateImage {
  std::uint32_t packets_per_second = 0;
  std::uint32_t burst = 0;
  bool operator==(const RateImage&) const = default;
};

/// An entry of `backend_pool`.
struct BackendImage {
  std::uint16_t id = 0;
  model::Forwarding forwarding = model::Forwarding::nat;
  bool preserve_client_address = false;
  bool enabled = true;  ///< false: its flows move to others
  bool drain = false;   ///< it gets no new flow
  std::uint16_t weight = 1;
  std::uint32_t max_connections = 0;  ///< 0: any number
  /// Way out. Of the names and texts in it only what the kernel's map holds counts: ifindex, MACs,
  /// mtu, resolved.
  std::uint32_t ifindex = 0;
  MacAddress source_mac, destination_mac;
  std::uint16_t mtu = 0;
  bool resolved = false;
  /// nat: what we send from. dsr-ipip: outer source. Unspecified for dsr-l2, and with
  /// preserve_client_address.
  IpAddress source;
  /// dsr-ipip: how many low bits of `source` vary with the flow: 0 or 16.
  std::uint8_t source_varying_bits = 0;
  RateImage limit = {};
  /// What names it in QUIC connection ids; empty where its pool has no QUIC.
  std::vector<std::uint8_t> quic_server_id = {};
  bool operator==(const BackendImage&) const = default;
};

/// Which QUIC connection ids name a server of a pool; no length: none does.
struct QuicImage {
  std::uint8_t server_id_length = 0;
  std::uint8_t config_rotation = 0;
  bool operator==(const QuicImage&) const = default;
};

/// A pool's lookup table.
struct TableImage {
  std::uint32_t base = 0;  ///< first slot in the arena
  std::uint16_t hash_functions = 1;
  /// Maglev: the lookup table; otherwise each backend as often as its weight says, well mixed.
  model::Algorithm algorithm = model::Algorithm::maglev;
  model::Affinity affinity = model::Affinity::none;
  bool tracked = false;              ///< direct return whose flows are all remembered
  QuicImage quic = {};               ///< of the pool's UDP services
  std::vector<std::uint16_t> slots;  ///< backend ids; empty: the pool has no enabled backend
  /// Of slots in transition; empty: none is. Otherwise one for each slot, 0 where it is settled, as
  /// planner/phases.hpp packs them.
  std::vector<std::uint32_t> holders;
  std::uint32_t holder_base = 0;  ///< where they begin in the arena; 0 if there are none
  bool operator==(const TableImage&) const = default;
};

struct ServiceKey {
  IpAddress address;
  std::uint16_t port = 0;  ///< 0: every port that no other service of the address has
  model::Protocol protocol = model::Protocol::tcp;
  std::uint16_t port_end = 0;  ///< the last port of a range; 0: there is just one
  auto operator<=>(const ServiceKey&) const = default;
};
ServiceKey key_of(const model::Service& service);

struct ServiceImage {
  std::uint16_t id = 0;
  std::string name;
  std::string pool;
  bool answer_echo = false;
  bool operator==(const ServiceImage&) const = default;
};

/// The largest MTU whose frames fit into one buffer of every driver: a page of 4,096 bytes, less
/// 256 of headroom, the kernel's 320 at its end, and the Ethernet header.
inline constexpr std::uint32_t largest_single_buffer_mtu = 4096 - 256 - 320 - 14;

/// Does this MTU ask for the multi-buffer variant of the program? In mode SKB the kernel puts each
/// frame into one buffer beforehand, and no card takes that variant over.
constexpr bool is_jumbo(model::XdpMode mode, std::uint32_t mtu) {
  return mode == model::XdpMode::DRV && mtu > largest_single_buffer_mtu;
}

struct InterfaceImage {
  std::uint32_t ifindex = 0;
  model::XdpMode mode = model::XdpMode::DRV;
  bool marks = false;  ///< the kernel's side of rate limits is there: excess packets get their mark
  /// The MTU for which the variant of its program was chosen is_jumbo(). The driver has the last
  /// word, so the variant may be the other one.
  bool jumbo = false;
  bool operator==(const InterfaceImage&) const = default;
};

/// A prefix of clients that may or may not reach the VIPs.
struct AccessEntry {
  IpAddress address;
  std::uint8_t length = 0;
  model::Access action = model::Access::deny;
  bool operator==(const AccessEntry&) const = default;
};

/// What is known of the access lists that count; their entries are only written.
struct AccessImage {
  std::uint32_t list = 0;  ///< which of the two lists that the data plane has
  std::uint32_t entries = 0;
  std::uint64_t digest = 0;  ///< of the entries; 0 where there are none
  model::Access otherwise = model::Access::allow;
  bool operator==(const AccessImage&) const = default;
};

/// Seconds without a packet after which what is remembered of a flow is over.
struct IdleImage {
  std::uint32_t tcp = 3600;
  std::uint32_t closing = 2;             ///< where both ends are seen
  std::uint32_t closing_one_sided = 60;  ///< where only the client is
  std::uint32_t udp = 60;
  std::uint32_t affinity = 10800;
  bool operator==(const IdleImage&) const = default;
};

/// The limit of all services together, and what becomes of packets beyond any limit.
struct LimitImage {
  RateImage rate;
  std::uint32_t mark = 0;  ///< of packets that pass; 0: they are dropped
  bool operator==(const LimitImage&) const = default;
};

/// An interface whose packets meet the program and maps of a daemon with another layout of maps.
struct InheritedImage {
  InterfaceImage interface;
  std::uint32_t layout = 0;  ///< SL_ABI_VERSION of what is there
  bool operator==(const InheritedImage&) const = default;
};

/// All that the data plane holds.
struct Image {
  std::map<BackendKey, BackendImage> backends;
  std::map<std::string, TableImage> tables;  ///< by pool
  std::map<ServiceKey, ServiceImage> services;
  std::map<std::string, InterfaceImage> interfaces;  ///< by name, attached ones
  std::map<std::string, InheritedImage> inherited;   ///< by name; none once they are taken over
  model::Fragments fragments = model::Fragments::pass;
  AccessImage access;
  IdleImage idle;
  LimitImage limit;
  bool operator==(const Image&) const = default;
};

}  // namespace sluice::planner
