#include "packet.hpp"

#include <algorithm>
#include <cstdio>

namespace sluice::test {

namespace {

IpAddress address(std::string_view text) {
  return IpAddress::parse(text).value();
}

void put16(Bytes& bytes, std::size_t at, std::size_t value) {
  bytes[at] = static_cast<std::uint8_t>(value >> 8);
  bytes[at + 1] = static_cast<std::uint8_t>(value);
}

/// The Internet checksum (RFC 1071) of bytes and a sum so far.
std::uint16_t checksum(const Bytes& bytes, std::uint64_t sum = 0) {
  for (std::size_t i = 0; i < bytes.size(); i++)
    sum += i % 2 ? bytes[i] : std::uint64_t{bytes[i]} << 8;
  while (sum >> 16)
    sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

void append_address(Bytes& bytes, const IpAddress& address) {
  bytes.insert(bytes.end(), address.bytes().begin() + (address.is_v4() ? 12 : 0),
               address.bytes().end());
}

}  // namespace

/// Writes from the inside out: each layer goes before what is there and says what it is.
class Packet::Writer {
 public:
  Writer(const std::vector<Layer>& layers, std::uint16_t ethertype)
      : layers_(layers), ethertype_(ethertype) {}

  Bytes write() {
    for (at_ = layers_.size(); at_-- > 0;)
      std::visit([&](const auto& layer) { put(layer); }, layers_[at_]);
    return std::move(bytes_);
  }

 private:
  void prepend(const Bytes& header) { bytes_.insert(bytes_.begin(), header.begin(), header.end()); }

  /// The IP header that the layer being written stands behind.
  const Ip* outer() const {
    for (auto i = at_; i-- > 0;)
      if (const auto* ip = std::get_if<Ip>(&layers_[i]))
        return ip;
    return nullptr;
  }

  /// Sum of the pseudo-header (RFC 793, RFC 8200 section 8.1).
  std::uint64_t pseudo_sum(std::uint8_t protocol) const {
    const auto* ip = outer();
    if (!ip)
      return 0;
    Bytes pseudo;
    append_address(pseudo, ip->source);
    append_address(pseudo, ip->destination);
    return static_cast<std::uint16_t>(~checksum(pseudo)) + std::uint64_t{protocol} + bytes_.size();
  }

  void put(const Bytes& payload) { bytes_ = payload; }
  void put(const Icmp& icmp) {
    const bool v4 = outer() && outer()->destination.is_v4();
    prepend({icmp.type, icmp.code, 0, 0, 0, 0, 0, 0});
    put16(bytes_, 4, icmp.rest >> 16);
    put16(bytes_, 6, icmp.rest);
    put16(bytes_, 2, checksum(bytes_, v4 ? 0 : pseudo_sum(58)));
    protocol_ = v4 ? 1 : 58;
  }
  void put(const L4& l4) {
    Bytes header(l4.protocol == 6 ? 20 : 8);
    put16(header, 0, l4.source);
    put16(header, 2, l4.destination);
    if (l4.protocol == 6) {
      put16(header, 4, 0x1234);  // sequence number
      header[12] = 0x50;
      header[13] = l4.flags;
      put16(header, 14, 64000);  // window
    } else {
      put16(header, 4, bytes_.size() + 8);
    }
    prepend(header);
    if (l4.checksum) {
      const auto sum = checksum(bytes_, pseudo_sum(l4.protocol));
      put16(bytes_, l4.protocol == 6 ? 16 : 6, l4.protocol == 17 && sum == 0 ? 0xffff : sum);
    }
    protocol_ = l4.protocol;
  }
  void put(const Extension& extension) {
    Bytes header(std::size_t{8} * (1u + extension.more));
    header[0] = extension.protocol.value_or(protocol_);
    header[1] = extension.more;
    put16(header, 2, extension.fragment);
    put16(header, 4, extension.id >> 16);
    put16(header, 6, extension.id);
    prepend(header);
    protocol_ = extension.type;
  }
  void put(const Ip& ip) {
    const bool v4 = ip.destination.is_v4();
    const auto& fields = ip.fields;
    const auto told =
        static_cast<std::size_t>(static_cast<int>(bytes_.size()) + fields.length_error);
    Bytes header(v4 ? 12 : 8);
    if (v4) {
      const std::size_t length = 20 + 4 * fields.option_words;
      header[0] = static_cast<std::uint8_t>(
          std::size_t{fields.version ? fields.version : std::uint8_t{4}} << 4 | length / 4);
      header[1] = fields.tos;
      put16(header, 2, told + length);
      put16(header, 4, fields.id);
      put16(header, 6, fields.fragment);
      header[8] = fields.ttl;
      header[9] = fields.protocol.value_or(protocol_);
    } else {
      header[0] = static_cast<std::uint8_t>((fields.version ? fields.version : 6) << 4);
      put16(header, 4, told);
      header[6] = fields.protocol.value_or(protocol_);
      header[7] = fields.ttl;
    }
    append_address(header, ip.source);
    append_address(header, ip.destination);
    if (v4) {
      header.resize(20 + std::size_t{4} * std::size_t{fields.option_words},
                    1);  // no-operation options
      put16(header, 10, checksum(header));
    }
    prepend(header);
    protocol_ = v4 ? 4 : 41;
    if (!ethertype_)
      type_ = v4 ? 0x0800 : 0x86dd;
  }
  void put(const Tag& tag) {
    Bytes header(4);
    put16(header, 0, tag.vlan);
    put16(header, 2, ethertype_ ? ethertype_ : type_);
    prepend(header);
    type_ = tag.ethertype;
    ethertype_ = 0;
  }
  void put(const Ether& ether) {
    Bytes header(14);
    std::ranges::copy(ether.destination.bytes, header.begin());
    std::ranges::copy(ether.source.bytes, header.begin() + 6);
    put16(header, 12, ethertype_ ? ethertype_ : type_);
    prepend(header);
  }

  const std::vector<Layer>& layers_;
  std::uint16_t ethertype_;
  std::size_t at_ = 0;
  Bytes bytes_;
  std::uint16_t type_ = 0;
  std::uint8_t protocol_ = 59;  // no next header
};

Packet& Packet::ether(const MacAddress& source, const MacAddress& destination) {
  layers_.emplace_back(Ether{source, destination});
  return *this;
}
Packet& Packet::tag(std::uint16_t vlan, std::uint16_t ethertype) {
  layers_.emplace_back(Tag{vlan, ethertype});
  return *this;
}
Packet& Packet::ip(std::string_view source, std::string_view destination, IpFields fields) {
  layers_.emplace_back(Ip{address(source), address(destination), fields});
  return *this;
}
Packet& Packet::extension(std::uint8_t type, std::uint8_t more) {
  layers_.emplace_back(Extension{type, more});
  return *this;
}
Packet& Packet::fragment_header(std::uint16_t offset_and_flags, std::uint32_t id,
                                std::optional<std::uint8_t> protocol) {
  layers_.emplace_back(Extension{44, 0, offset_and_flags, id, protocol});
  return *this;
}
Packet& Packet::tcp(std::uint16_t source, std::uint16_t destination, std::uint8_t flags) {
  layers_.emplace_back(L4{6, source, destination, flags, true});
  return *this;
}
Packet& Packet::udp(std::uint16_t source, std::uint16_t destination, bool checksum) {
  layers_.emplace_back(L4{17, source, destination, 0, checksum});
  return *this;
}
Packet& Packet::icmp(std::uint8_t type, std::uint8_t code, std::uint32_t rest) {
  layers_.emplace_back(Icmp{type, code, rest});
  return *this;
}
Packet& Packet::payload(std::string_view text) {
  layers_.emplace_back(Bytes(text.begin(), text.end()));
  return *this;
}
Packet& Packet::payload(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; i++)
    bytes[i] = static_cast<std::uint8_t>(i);
  layers_.emplace_back(std::move(bytes));
  return *this;
}
Packet& Packet::quote(const Packet& packet, std::size_t size) {
  auto bytes = packet.bytes();
  bytes.resize(std::min(bytes.size(), size));
  layers_.emplace_back(std::move(bytes));
  return *this;
}
Packet& Packet::ethertype(std::uint16_t type) {
  ethertype_ = type;
  return *this;
}

Bytes Packet::bytes() const {
  return Writer(layers_, ethertype_).write();
}

std::string dump(const Bytes& bytes, const Bytes& other) {
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i++) {
    char byte[8];
    const bool same = i < other.size() && other[i] == bytes[i];
    std::snprintf(byte, sizeof byte, same ? " %02x " : "[%02x]", bytes[i]);
    if (i % 16 == 0)
      text += "\n  " + std::to_string(i) + "\t";
    text += byte;
  }
  return text;
}

}  // namespace sluice::test
