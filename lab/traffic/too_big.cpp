// A router's complaint that a datagram was too big, with no more of it quoted than there must be.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <boost/json.hpp>
#include <cerrno>
#include <cstring>
#include <vector>

#include "traffic/traffic.hpp"

namespace sluice::lab {
namespace {

using Bytes = std::vector<std::uint8_t>;

void append_u16(Bytes& out, unsigned value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8));
  out.push_back(static_cast<std::uint8_t>(value));
}

void append_address(Bytes& out, const IpAddress& address) {
  out.insert(out.end(), address.bytes().begin() + (address.is_v4() ? 12 : 0),
             address.bytes().end());
}

constexpr unsigned datagram = 1400;  // what is said to have been too long

/// IP header and UDP header. Nobody checks the checksum of a quoted header: it stays zero.
Bytes quote(const TooBigOptions& options) {
  const bool v4 = options.by.address.is_v4();
  Bytes out = v4 ? Bytes{0x45, 0} : Bytes{0x60, 0, 0, 0};
  if (v4) {
    append_u16(out, datagram);
    out.insert(out.end(), {0, 0, 0x40, 0, 64, IPPROTO_UDP, 0, 0});
  } else {
    append_u16(out, datagram - 40);
    out.insert(out.end(), {IPPROTO_UDP, 64});
  }
  append_address(out, options.by.address);
  append_address(out, options.about.address);
  append_u16(out, options.by.port);
  append_u16(out, options.about.port);
  append_u16(out, datagram - (v4 ? 20 : 40));
  append_u16(out, 0);
  return out;
}

/// The Internet checksum of an even number of bytes.
unsigned checksum(const Bytes& bytes) {
  unsigned sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2)
    sum += static_cast<unsigned>(bytes[i] << 8 | bytes[i + 1]);
  while (sum >> 16)
    sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

}  // namespace

Result<boost::json::object> complain(const TooBigOptions& options) {
  const bool v4 = options.by.address.is_v4();
  if (options.about.address.is_v4() != v4)
    return fail(Code::invalid, "--by and --about are of two address families");
  Bytes message = v4 ? Bytes{3, 4, 0, 0} : Bytes{2, 0, 0, 0};
  append_u16(message, 0);
  append_u16(message, options.mtu);
  const auto quoted = quote(options);
  message.insert(message.end(), quoted.begin(), quoted.end());
  if (v4) {  // over IPv6 the kernel does this
    const auto sum = checksum(message);
    message[2] = static_cast<std::uint8_t>(sum >> 8);
    message[3] = static_cast<std::uint8_t>(sum);
  }
  const Fd fd(socket(v4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC,
                     v4 ? static_cast<int>(IPPROTO_ICMP) : static_cast<int>(IPPROTO_ICMPV6)));
  if (!fd)
    return fail(Code::kernel, std::string("no raw socket: ") + std::strerror(errno));
  sockaddr_in to4{};
  to4.sin_family = AF_INET;
  std::memcpy(&to4.sin_addr, options.by.address.bytes().data() + 12, 4);
  sockaddr_in6 to6{};
  to6.sin6_family = AF_INET6;
  std::memcpy(&to6.sin6_addr, options.by.address.bytes().data(), 16);
  const auto sent =
      sendto(fd.get(), message.data(), message.size(), 0,
             v4 ? reinterpret_cast<const sockaddr*>(&to4) : reinterpret_cast<const sockaddr*>(&to6),
             v4 ? sizeof to4 : sizeof to6);
  if (sent < 0)
    return fail(Code::kernel, std::string("the message cannot be sent: ") + std::strerror(errno));
  return boost::json::object{{"sent", true}, {"quoted", quoted.size()}};
}

}  // namespace sluice::lab
