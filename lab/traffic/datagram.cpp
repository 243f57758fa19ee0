// Datagrams of any size, and the server that says what it got of each: whole ones are answered,
// torn ones never arrive.
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#include <boost/crc.hpp>
#include <boost/json.hpp>
#include <cerrno>
#include <cstring>
#include <span>
#include <vector>

#include "traffic/traffic.hpp"

namespace sluice::lab {
namespace {

using Clock = std::chrono::steady_clock;
using Bytes = std::vector<std::uint8_t>;

/// No two numbers give the same bytes.
Bytes content(std::uint32_t number, std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; i++)
    bytes[i] = static_cast<std::uint8_t>((i * 7 + number * 13) ^ (i >> 8) ^ (number >> 5));
  return bytes;
}

std::string receipt(const std::string& name, std::span<const std::uint8_t> bytes) {
  boost::crc_32_type crc;
  crc.process_bytes(bytes.data(), bytes.size());
  return name + " " + std::to_string(bytes.size()) + " " + std::to_string(crc.checksum());
}

bool readable(const Fd& fd, Clock::time_point until) {
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
  pollfd one{.fd = fd.get(), .events = POLLIN, .revents = 0};
  return poll(&one, 1, static_cast<int>(std::max<std::int64_t>(left, 0))) > 0;
}

Result<Fd> bound(const Endpoint& at) {
  Fd fd(socket(at.address.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(at.port);
  std::memcpy(&v4.sin_addr, at.address.bytes().data() + 12, 4);
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(at.port);
  std::memcpy(&v6.sin6_addr, at.address.bytes().data(), 16);
  const int failed = at.address.is_v4()
                         ? bind(fd.get(), reinterpret_cast<const sockaddr*>(&v4), sizeof v4)
                         : bind(fd.get(), reinterpret_cast<const sockaddr*>(&v6), sizeof v6);
  if (!fd || failed)
    return fail(Code::kernel, std::string("no socket there: ") + std::strerror(errno));
  return fd;
}

}  // namespace

Result<boost::json::object> take_datagrams(const TakeOptions& options) {
  auto fd = bound(options.at);
  if (!fd)
    return fail(fd.error());
  const auto end = Clock::now() + options.length;
  std::uint64_t taken = 0;
  for (Bytes buffer(65536); readable(*fd, end);) {
    sockaddr_storage from{};
    socklen_t length = sizeof from;
    const auto size = recvfrom(fd->get(), buffer.data(), buffer.size(), 0,
                               reinterpret_cast<sockaddr*>(&from), &length);
    if (size < 0)
      continue;  // an ICMP error about an answer
    const auto answer =
        receipt(options.name, std::span(buffer).first(static_cast<std::size_t>(size)));
    sendto(fd->get(), answer.data(), answer.size(), 0, reinterpret_cast<const sockaddr*>(&from),
           length);
    taken++;
  }
  return boost::json::object{{"taken", taken}};
}

Result<boost::json::object> send_datagrams(const DatagramOptions& options) {
  std::uint64_t answered = 0, torn = 0;
  boost::json::object by_server;
  for (std::uint32_t i = 0; i < options.count; i++) {
    auto fd = connect_from(static_cast<std::uint16_t>(options.first_port + i), options.to, true);
    if (!fd)
      return fail(fd.error());
    const auto bytes = content(i, options.size);
    if (send(fd->get(), bytes.data(), bytes.size(), 0) < 0)
      return fail(Code::kernel, std::string("nothing can be sent: ") + std::strerror(errno));
    char buffer[128];
    if (!readable(*fd, Clock::now() + options.timeout))
      continue;
    const auto size = recv(fd->get(), buffer, sizeof buffer, 0);
    if (size <= 0)
      continue;
    answered++;
    const std::string text(buffer, static_cast<std::size_t>(size));
    const auto name = text.substr(0, text.find(' '));
    torn += text != receipt(name, bytes);
    auto& times = by_server[name];
    times = (times.is_int64() ? times.as_int64() : 0) + 1;
  }
  return boost::json::object{{"sent", options.count},
                             {"answered", answered},
                             {"unanswered", options.count - answered},
                             {"torn", torn},
                             {"byServer", std::move(by_server)}};
}

}  // namespace sluice::lab
