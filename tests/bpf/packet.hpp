// Builds frames layer by layer, with checksums computed over the finished bytes: what a test sends,
// and what it expects to come out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/address.hpp"

namespace sluice::test {

using Bytes = std::vector<std::uint8_t>;

inline constexpr std::uint8_t fin = 0x01, syn = 0x02, rst = 0x04, ack = 0x10;

/// Fields of an IP header that a test may want otherwise. Those of the other family are ignored.
struct IpFields {
  std::uint8_t tos = 0;
  std::uint8_t ttl = 64;
  std::uint16_t id = 0;
  std::uint16_t fragment = 0x4000;  ///< flags and offset; DF alone is a whole packet
  unsigned option_words = 0;
  std::uint8_t version = 0;              ///< 0: what the addresses say
  std::optional<std::uint8_t> protocol;  ///< absent: what follows
  int length_error = 0;                  ///< added to the length that the header tells
};

/// A frame from the outside in: `Packet().ether(a, b).ip(c, d).tcp(40000, 80, syn)`.
class Packet {
 public:
  Packet& ether(const MacAddress& source, const MacAddress& destination);
  /// A VLAN tag (IEEE 802.1Q), or with ethertype 0x88a8 a service tag.
  Packet& tag(std::uint16_t vlan, std::uint16_t ethertype = 0x8100);
  Packet& ip(std::string_view source, std::string_view destination, IpFields fields = {});
  /// An IPv6 extension header of 8 * (1 + more) bytes: hop-by-hop 0, routing 43, destination 60.
  Packet& extension(std::uint8_t type, std::uint8_t more = 0);
  /// An IPv6 fragment header; 0 is one that holds the whole packet (RFC 6946).
  Packet& fragment_header(std::uint16_t offset_and_flags, std::uint32_t id = 0,
                          std::optional<std::uint8_t> protocol = {});
  Packet& tcp(std::uint16_t source, std::uint16_t destination, std::uint8_t flags);
  Packet& udp(std::uint16_t source, std::uint16_t destination, bool checksum = true);
  /// `rest` is what stands behind the checksum: of an echo, identifier and sequence number.
  Packet& icmp(std::uint8_t type, std::uint8_t code = 0, std::uint32_t rest = 0x00010001);
  Packet& payload(std::string_view text);
  /// `size` bytes that count up.
  Packet& payload(std::size_t size);
  /// The first bytes of an IP packet, as an ICMP error has them.
  Packet& quote(const Packet& packet, std::size_t size);
  /// What stands behind a header whose ethertype or protocol nothing else says.
  Packet& ethertype(std::uint16_t type);

  Bytes bytes() const;

 private:
  struct Ether {
    MacAddress source, destination;
  };
  struct Tag {
    std::uint16_t vlan, ethertype;
  };
  struct Ip {
    IpAddress source, destination;
    IpFields fields;
  };
  struct Extension {
    std::uint8_t type, more;
    std::uint16_t fragment = 0;
    std::uint32_t id = 0;
    std::optional<std::uint8_t> protocol = {};  ///< absent: what follows
  };
  struct L4 {
    std::uint8_t protocol;
    std::uint16_t source, destination;
    std::uint8_t flags;
    bool checksum;
  };
  struct Icmp {
    std::uint8_t type, code;
    std::uint32_t rest;
  };
  using Layer = std::variant<Ether, Tag, Ip, Extension, L4, Icmp, Bytes>;
  class Writer;

  std::vector<Layer> layers_;
  std::uint16_t ethertype_ = 0;
};

/// The bytes as a table for people, those that differ from `other` marked.
std::string dump(const Bytes& bytes, const Bytes& other);

}  // namespace sluice::test
