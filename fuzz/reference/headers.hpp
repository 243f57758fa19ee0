// A frame's headers, read as the documents say: Ethernet with up to two tags, IPv4 (RFC 791), IPv6
// with extension headers (RFC 8200), the ports.
#pragma once

#include <optional>

#include "wire.hpp"

namespace sluice::reference {

inline constexpr std::uint8_t protocol_tcp = 6, protocol_udp = 17, icmp4 = 1, icmp6 = 58;
inline constexpr std::uint8_t flag_fin = 1, flag_syn = 2, flag_rst = 4, flag_ack = 16;

/// Where the IP header begins, of which family. Absent: it is no IP.
struct Ethernet {
  std::size_t l3;
  bool ipv6;
  bool truncated = false;  ///< it ends before its type is told
};
std::optional<Ethernet> read_ethernet(Bytes frame);

/// The addresses of an IP header that is there whole.
inline Bytes source_of(Bytes ip, bool ipv6) {
  return ipv6 ? ip.subspan(8, 16) : ip.subspan(12, 4);
}
inline Bytes destination_of(Bytes ip, bool ipv6) {
  return ipv6 ? ip.subspan(24, 16) : ip.subspan(16, 4);
}

/// What follows IPv6 extension headers.
struct Chain {
  enum class End : std::uint8_t { found, truncated, too_long } end = End::found;
  std::uint8_t protocol = 0;  ///< what the last header says that was read
  std::size_t at = 0;         ///< where that protocol begins
  std::size_t fragment = 0;   ///< where the header of a fragment is; 0: there is none
  bool later = false;         ///< a fragment that is not the first: nothing behind it was read
};
/// Headers are looked for in the whole frame. Up to six are followed, and none that ends more than
/// 247 bytes into the frame.
Chain follow_extensions(Bytes frame, std::size_t at, std::uint8_t protocol);

}  // namespace sluice::reference
