#include "base/address.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>

namespace sluice {

namespace {
constexpr std::array<std::uint8_t, 12> mapped_prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
}

IpAddress IpAddress::from_v4(const void* four_bytes) {
  std::array<std::uint8_t, 16> bytes{};
  std::ranges::copy(mapped_prefix, bytes.begin());
  std::memcpy(bytes.data() + 12, four_bytes, 4);
  return IpAddress(bytes);
}

IpAddress IpAddress::from_v6(const void* sixteen_bytes) {
  std::array<std::uint8_t, 16> bytes{};
  std::memcpy(bytes.data(), sixteen_bytes, 16);
  return IpAddress(bytes);
}

Result<IpAddress> IpAddress::parse(std::string_view text) {
  const std::string terminated(text);
  std::array<std::uint8_t, 16> raw{};
  // A zero inside the text would end it early for inet_pton and hide what follows.
  const bool has_zero = text.find('\0') != std::string_view::npos;
  if (!has_zero && inet_pton(AF_INET, terminated.c_str(), raw.data()) == 1)
    return from_v4(raw.data());
  if (!has_zero && inet_pton(AF_INET6, terminated.c_str(), raw.data()) == 1)
    return from_v6(raw.data());
  return fail(Code::invalid, "'" + terminated + "' is not an IPv4 or IPv6 address");
}

bool IpAddress::is_v4() const {
  return std::equal(mapped_prefix.begin(), mapped_prefix.end(), bytes_.begin());
}

bool IpAddress::is_unspecified() const {
  const auto from = bytes_.begin() + (is_v4() ? 12 : 0);
  return std::all_of(from, bytes_.end(), [](std::uint8_t byte) { return byte == 0; });
}

bool IpAddress::is_loopback() const {
  if (is_v4())
    return bytes_[12] == 127;
  return std::all_of(bytes_.begin(), bytes_.end() - 1,
                     [](std::uint8_t byte) { return byte == 0; }) &&
         bytes_[15] == 1;
}

bool IpAddress::is_multicast() const {
  if (is_v4())
    return (bytes_[12] & 0xf0) == 0xe0 ||
           std::all_of(bytes_.begin() + 12, bytes_.end(),
                       [](std::uint8_t byte) { return byte == 0xff; });
  return bytes_[0] == 0xff;
}

bool IpAddress::is_link_local() const {
  if (is_v4())
    return bytes_[12] == 169 && bytes_[13] == 254;
  return bytes_[0] == 0xfe && (bytes_[1] & 0xc0) == 0x80;
}

std::array<std::uint32_t, 4> IpAddress::words() const {
  std::array<std::uint32_t, 4> words{};
  if (is_v4())
    std::memcpy(words.data(), bytes_.data() + 12, 4);
  else
    std::memcpy(words.data(), bytes_.data(), 16);
  return words;
}

std::string IpAddress::to_string() const {
  char text[INET6_ADDRSTRLEN];
  const bool v4 = is_v4();
  inet_ntop(v4 ? AF_INET : AF_INET6, bytes_.data() + (v4 ? 12 : 0), text, sizeof text);
  return text;
}

Result<MacAddress> MacAddress::parse(std::string_view text) {
  MacAddress mac;
  bool ok = text.size() == 17;
  for (std::size_t i = 0; ok && i < 6; i++) {
    const char* at = text.data() + i * 3;
    ok = std::from_chars(at, at + 2, mac.bytes[i], 16).ptr == at + 2 && (i == 5 || at[2] == ':');
  }
  if (!ok)
    return fail(Code::invalid, "'" + std::string(text) + "' is not a MAC address");
  return mac;
}

std::string MacAddress::to_string() const {
  char text[18];
  std::snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", bytes[0], bytes[1], bytes[2],
                bytes[3], bytes[4], bytes[5]);
  return text;
}

std::string endpoint_to_string(const IpAddress& address, std::uint16_t port) {
  if (port == 0)
    return address.to_string();
  const std::string host = address.to_string();
  return (address.is_v4() ? host : "[" + host + "]") + ":" + std::to_string(port);
}

Result<Endpoint> parse_endpoint(std::string_view text) {
  std::string_view host = text;
  std::string_view port;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close != std::string_view::npos) {
      host = text.substr(1, close - 1);
      if (close + 1 < text.size())
        port = text.substr(close + 1);
    }
  } else if (std::ranges::count(text, ':') == 1) {
    host = text.substr(0, text.find(':'));
    port = text.substr(text.find(':'));
  }
  auto address = IpAddress::parse(host);
  if (!address)
    return fail(address.error());
  Endpoint endpoint{*address, 0};
  if (!port.empty()) {
    const char* end = port.data() + port.size();
    const auto read = std::from_chars(port.data() + 1, end, endpoint.port);
    if (port.size() < 2 || port[0] != ':' || read.ptr != end || read.ec != std::errc() ||
        endpoint.port == 0)
      return fail(Code::invalid, "'" + std::string(text) + "' has no port between 1 and 65535");
  }
  return endpoint;
}

}  // namespace sluice
