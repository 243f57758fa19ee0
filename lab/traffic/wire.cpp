// Sockets and the bytes on them: HTTP requests, DNS queries and answers.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "traffic/traffic.hpp"

namespace sluice::lab {
namespace {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

SocketAddress socket_address(const Endpoint& endpoint) {
  SocketAddress out;
  if (endpoint.address.is_v4()) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(endpoint.port);
    std::memcpy(&v4.sin_addr, endpoint.address.bytes().data() + 12, 4);
    std::memcpy(&out.storage, &v4, sizeof v4);
    out.length = sizeof v4;
  } else {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(endpoint.port);
    std::memcpy(&v6.sin6_addr, endpoint.address.bytes().data(), 16);
    std::memcpy(&out.storage, &v6, sizeof v6);
    out.length = sizeof v6;
  }
  return out;
}

std::uint16_t read_u16(std::string_view packet, std::size_t at) {
  return static_cast<std::uint16_t>((static_cast<unsigned char>(packet[at]) << 8) |
                                    static_cast<unsigned char>(packet[at + 1]));
}

void append_u16(std::string& out, unsigned value) {
  out.push_back(static_cast<char>(value >> 8 & 0xff));
  out.push_back(static_cast<char>(value & 0xff));
}

/// Where the name at `at` ends; npos if it does not.
std::size_t after_name(std::string_view packet, std::size_t at) {
  while (at < packet.size()) {
    const auto length = static_cast<unsigned char>(packet[at]);
    if (length == 0)
      return at + 1;
    if (length >= 0xc0)
      return at + 2;
    at += length + 1u;
  }
  return std::string_view::npos;
}

constexpr unsigned type_txt = 16;
constexpr unsigned class_in = 1;

}  // namespace

Result<Fd> connect_from(std::uint16_t port, const Endpoint& to, bool udp) {
  const bool v4 = to.address.is_v4();
  Fd fd(socket(v4 ? AF_INET : AF_INET6,
               (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd)
    return fail(Code::kernel, std::string("no socket: ") + std::strerror(errno));
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (port != 0) {
    const IpAddress any = v4 ? IpAddress::from_v4("\0\0\0") : IpAddress();
    const SocketAddress from = socket_address({any, port});
    if (bind(fd.get(), from.get(), from.length) != 0)
      return fail(Code::kernel, std::string("the source port is taken: ") + std::strerror(errno));
  }
  const SocketAddress target = socket_address(to);
  if (connect(fd.get(), target.get(), target.length) != 0 && errno != EINPROGRESS)
    return fail(Code::kernel, std::string("connect: ") + std::strerror(errno));
  return fd;
}

std::string http_request(const Endpoint& to, const std::string& path) {
  return "GET " + path + " HTTP/1.0\r\nHost: " + endpoint_to_string(to.address, to.port) +
         "\r\n\r\n";
}

std::string dns_query(std::uint16_t id, const std::string& name) {
  std::string out;
  append_u16(out, id);
  append_u16(out, 0x0100);  // recursion desired
  for (unsigned count : {1u, 0u, 0u, 0u})
    append_u16(out, count);
  std::size_t at = 0;
  while (at <= name.size()) {
    const std::size_t end = std::min(name.find('.', at), name.size());
    out.push_back(static_cast<char>(end - at));
    out.append(name, at, end - at);
    at = end + 1;
  }
  out.push_back('\0');
  append_u16(out, type_txt);
  append_u16(out, class_in);
  return out;
}

std::string dns_answer_text(std::uint16_t id, const std::string& packet) {
  constexpr std::size_t header = 12;
  if (packet.size() < header || read_u16(packet, 0) != id || read_u16(packet, 6) == 0)
    return {};
  std::size_t at = after_name(packet, header);
  if (at == std::string_view::npos)
    return {};
  at = after_name(packet, at + 4);  // the answer's own name comes after the question's type, class
  if (at == std::string_view::npos || at + 11 > packet.size() || read_u16(packet, at) != type_txt)
    return {};
  const auto length = static_cast<unsigned char>(packet[at + 10]);
  return at + 11 + length <= packet.size() ? packet.substr(at + 11, length) : std::string();
}

}  // namespace sluice::lab
