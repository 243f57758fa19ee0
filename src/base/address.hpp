// IP and MAC addresses as values: parsing, printing, comparing. No I/O.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace sluice {

/// An IPv4 or IPv6 address. IPv4 is kept in the mapped form ::ffff:a.b.c.d (RFC 4291, 2.5.5.2),
/// which is also the 16 bytes that Maglev hashes.
class IpAddress {
 public:
  /// The unspecified IPv6 address `::`.
  constexpr IpAddress() = default;
  explicit constexpr IpAddress(const std::array<std::uint8_t, 16>& bytes) : bytes_(bytes) {}

  /// Reads dotted-quad IPv4 or RFC 4291 IPv6 text, without port, brackets, zone or prefix length.
  /// An IPv6 text of the mapped form is read as the IPv4 address that it stands for.
  static Result<IpAddress> parse(std::string_view text);
  /// From the four bytes of an IPv4 address in network order.
  static IpAddress from_v4(const void* four_bytes);
  /// From the sixteen bytes of an IPv6 address in network order.
  static IpAddress from_v6(const void* sixteen_bytes);

  bool is_v4() const;
  bool is_unspecified() const;  ///< 0.0.0.0 or ::
  bool is_loopback() const;
  bool is_multicast() const;  ///< IPv4 multicast or broadcast, or IPv6 multicast
  bool is_link_local() const;
  /// All sixteen bytes, IPv4 mapped.
  const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }
  /// The four words as the packet path keeps them: IPv4 as {word, 0, 0, 0}, IPv6 as it is; network
  /// order.
  std::array<std::uint32_t, 4> words() const;
  /// Canonical text (RFC 5952 for IPv6).
  std::string to_string() const;

  auto operator<=>(const IpAddress&) const = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};
};

/// An Ethernet address.
struct MacAddress {
  std::array<std::uint8_t, 6> bytes{};
  /// Reads `02:00:00:00:00:01`.
  static Result<MacAddress> parse(std::string_view text);
  std::string to_string() const;
  auto operator<=>(const MacAddress&) const = default;
};

/// `10.0.1.11`, or with a port other than 0 `10.0.1.11:80` and `[fd00::1]:80`: how a backend is
/// named everywhere.
std::string endpoint_to_string(const IpAddress& address, std::uint16_t port);

/// An address with an optional port (0: none).
struct Endpoint {
  IpAddress address;
  std::uint16_t port = 0;
  auto operator<=>(const Endpoint&) const = default;
};
/// The inverse of endpoint_to_string.
Result<Endpoint> parse_endpoint(std::string_view text);

}  // namespace sluice
