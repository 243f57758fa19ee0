// A flood of SYNs from addresses that are nobody's, as fast as the kernel takes them: what fills
// tables with flows that nobody goes on with.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <boost/json.hpp>
#include <cerrno>
#include <cstring>
#include <random>

#include "traffic/traffic.hpp"

namespace sluice::lab {
namespace {

constexpr std::size_t at_once = 64;  // a veth's receive ring holds 256 frames
constexpr std::size_t tcp_header = 20, largest = 40 + tcp_header;

using Packet = std::array<std::uint8_t, largest>;

void put_u16(Packet& packet, std::size_t at, unsigned value) {
  packet[at] = static_cast<std::uint8_t>(value >> 8);
  packet[at + 1] = static_cast<std::uint8_t>(value);
}

/// All but source address and port. The TCP checksum stays zero: nobody is meant to take it.
Packet draft(const Endpoint& to) {
  const bool v4 = to.address.is_v4();
  const std::size_t l4 = v4 ? 20 : 40;
  const auto address = to.address.bytes();
  Packet packet{};
  if (v4) {
    packet[0] = 0x45;
    put_u16(packet, 2, 20 + tcp_header);
    packet[6] = 0x40;  // not to be fragmented
    packet[8] = 64;
    packet[9] = IPPROTO_TCP;
    std::memcpy(packet.data() + 16, address.data() + 12, 4);
  } else {
    packet[0] = 0x60;
    put_u16(packet, 4, tcp_header);
    packet[6] = IPPROTO_TCP;
    packet[7] = 64;
    std::memcpy(packet.data() + 24, address.data(), 16);
  }
  put_u16(packet, l4 + 2, to.port);
  packet[l4 + 12] = 0x50;
  packet[l4 + 13] = 0x02;
  put_u16(packet, l4 + 14, SynsOptions::window);
  return packet;
}

/// A source of 198.18.0.0/15 or 2001:2::/48, which are set aside for tests of network devices.
void set_source(Packet& packet, bool v4, std::uint64_t number) {
  const auto host = static_cast<std::uint32_t>(number);
  if (v4) {
    packet[12] = 198;
    packet[13] = static_cast<std::uint8_t>(18 + (host >> 16 & 1));
    put_u16(packet, 14, host & 0xffff);
  } else {
    put_u16(packet, 8, 0x2001);
    put_u16(packet, 10, 2);
    put_u16(packet, 20, host >> 16);
    put_u16(packet, 22, host & 0xffff);
  }
  put_u16(packet, v4 ? 20 : 40, 1024 + static_cast<unsigned>(number >> 32) % 64512);
}

}  // namespace

Result<boost::json::object> run_syns(const SynsOptions& options) {
  const bool v4 = options.to.address.is_v4();
  const std::size_t length = (v4 ? 20 : 40) + tcp_header;
  const Fd fd(socket(v4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
  if (!fd)
    return fail(Code::kernel, std::string("no raw socket: ") + std::strerror(errno));
  sockaddr_in to4{};
  to4.sin_family = AF_INET;
  std::memcpy(&to4.sin_addr, options.to.address.bytes().data() + 12, 4);
  sockaddr_in6 to6{};
  to6.sin6_family = AF_INET6;
  std::memcpy(&to6.sin6_addr, options.to.address.bytes().data(), 16);

  std::array<Packet, at_once> packets;
  packets.fill(draft(options.to));
  std::array<iovec, at_once> parts{};
  std::array<mmsghdr, at_once> messages{};
  for (std::size_t i = 0; i < at_once; i++) {
    parts[i] = {packets[i].data(), length};
    messages[i].msg_hdr.msg_name = v4 ? static_cast<void*>(&to4) : static_cast<void*>(&to6);
    messages[i].msg_hdr.msg_namelen = v4 ? sizeof to4 : sizeof to6;
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  std::mt19937_64 random(options.seed);
  std::uint64_t sent = 0, failed = 0;
  const auto begin = std::chrono::steady_clock::now();
  while (sent + failed < options.count) {
    const auto many = std::min<std::uint64_t>(at_once, options.count - sent - failed);
    for (std::size_t i = 0; i < many; i++)
      set_source(packets[i], v4, random());
    const int taken = sendmmsg(fd.get(), messages.data(), static_cast<unsigned>(many), 0);
    sent += taken > 0 ? static_cast<std::uint64_t>(taken) : 0;
    failed += taken > 0 ? 0 : 1;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  return boost::json::object{{"sent", sent}, {"failed", failed}, {"seconds", took.count()}};
}

}  // namespace sluice::lab
