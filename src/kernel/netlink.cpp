#include "kernel/netlink.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <cstdlib>

namespace sluice::kernel {

namespace {

/// Large enough for every datagram that the kernel makes.
constexpr std::size_t datagram_size = 64 * 1024;
/// Events of a burst wait here; what does not fit costs a full re-read.
constexpr int event_buffer_size = 4 * 1024 * 1024;
constexpr timeval answer_timeout{5, 0};
constexpr int dump_attempts = 5;

Refusal refusal(int error) {
  return {error, std::strerror(error)};
}

/// Reads NLMSG_ERROR: the errno (0: acknowledged) and the extended ack's text where there is one.
Refusal read_error(const nlmsghdr& message) {
  const auto* error = family_header<nlmsgerr>(message);
  if (!error)
    return refusal(EBADMSG);
  auto read = refusal(-error->error);
  if (message.nlmsg_flags & NLM_F_ACK_TLVS) {
    std::size_t before = sizeof(nlmsgerr);
    if (!(message.nlmsg_flags & NLM_F_CAPPED))
      before += error->msg.nlmsg_len - sizeof(nlmsghdr);
    for (const auto& attribute : attributes(message, before))
      if (attribute.type == NLMSGERR_ATTR_MSG)
        read.message = attribute.text();
  }
  return read;
}

std::vector<Attribute> attributes_between(const void* begin, const void* end) {
  std::vector<Attribute> all;
  const auto* last = static_cast<const char*>(end);
  for (const auto* at = static_cast<const nlattr*>(begin);
       mnl_attr_ok(at, static_cast<int>(last - reinterpret_cast<const char*>(at)));
       at = mnl_attr_next(at))
    all.push_back({mnl_attr_get_type(at), mnl_attr_get_payload(at), mnl_attr_get_payload_len(at)});
  return all;
}

}  // namespace

void Message::begin(std::uint16_t type, std::uint16_t flags) {
  auto* put = mnl_nlmsg_put_header(buffer_.data());
  put->nlmsg_type = type;
  put->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
}

void Message::put(std::uint16_t attribute, const void* data, std::size_t size) {
  if (!mnl_attr_put_check(header(), buffer_.size(), attribute, size, data))
    std::abort();
}

void Message::put(std::uint16_t attribute, const IpAddress& address) {
  const std::size_t skip = address.is_v4() ? 12 : 0;
  put(attribute, address.bytes().data() + skip, 16 - skip);
}

std::string Attribute::text() const {
  const auto* begin = static_cast<const char*>(data);
  return {begin, strnlen(begin, size)};
}

std::optional<IpAddress> Attribute::address() const {
  if (size == 4)
    return IpAddress::from_v4(data);
  if (size == 16)
    return IpAddress::from_v6(data);
  return std::nullopt;
}

std::optional<MacAddress> Attribute::mac() const {
  if (size != 6)
    return std::nullopt;
  MacAddress mac;
  std::memcpy(mac.bytes.data(), data, size);
  return mac;
}

std::vector<Attribute> Attribute::nested() const {
  return attributes_between(data, static_cast<const char*>(data) + size);
}

std::vector<Attribute> attributes(const nlmsghdr& message, std::size_t header_size) {
  if (mnl_nlmsg_get_payload_len(&message) < header_size)
    return {};
  return attributes_between(mnl_nlmsg_get_payload_offset(&message, header_size),
                            mnl_nlmsg_get_payload_tail(&message));
}

Result<Netlink> Netlink::open(int bus) {
  auto* socket = mnl_socket_open2(bus, SOCK_CLOEXEC);
  if (!socket)
    return fail(Code::kernel, std::string("cannot open a netlink socket: ") + std::strerror(errno));
  Netlink netlink(socket);
  if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0)
    return fail(Code::kernel, std::string("cannot bind a netlink socket: ") + std::strerror(errno));
  // All three are comfort: without them errors are terser, longer, and dumps are filtered less.
  netlink.set_option(NETLINK_EXT_ACK);
  netlink.set_option(NETLINK_CAP_ACK);
  netlink.set_option(NETLINK_GET_STRICT_CHK);
  setsockopt(netlink.fd(), SOL_SOCKET, SO_RCVTIMEO, &answer_timeout, sizeof answer_timeout);
  netlink.buffer_.resize(datagram_size);
  return netlink;
}

void Netlink::set_option(int option) {
  int on = 1;
  mnl_socket_setsockopt(socket_.get(), option, &on, sizeof on);
}

tl::expected<void, Refusal> Netlink::request(Message& message, const Visitor& visit) {
  message.header()->nlmsg_flags |= NLM_F_ACK;
  bool torn = false;
  return exchange(message, visit, torn);
}

tl::expected<void, Refusal> Netlink::dump(Message& message, const Visitor& visit) {
  message.header()->nlmsg_flags |= NLM_F_DUMP;
  // Kept until the dump is known to be whole.
  std::vector<std::vector<char>> answers;
  for (int attempt = 0; attempt < dump_attempts; attempt++) {
    answers.clear();
    bool torn = false;
    auto done = exchange(
        message,
        [&](const nlmsghdr& answer) {
          const auto* begin = reinterpret_cast<const char*>(&answer);
          answers.emplace_back(begin, begin + answer.nlmsg_len);
        },
        torn);
    if (!done)
      return done;
    if (torn)
      continue;
    for (const auto& answer : answers)
      visit(*reinterpret_cast<const nlmsghdr*>(answer.data()));
    return {};
  }
  return tl::unexpected(Refusal{EINTR, "the table changes faster than it can be read"});
}

tl::expected<void, Refusal> Netlink::exchange(Message& message, const Visitor& visit, bool& torn) {
  auto* header = message.header();
  header->nlmsg_seq = ++sequence_;
  if (mnl_socket_sendto(socket_.get(), header, header->nlmsg_len) < 0)
    return tl::unexpected(refusal(errno));
  for (;;) {
    const auto size = mnl_socket_recvfrom(socket_.get(), buffer_.data(), buffer_.size());
    if (size < 0 && errno == EINTR)
      continue;
    if (size < 0)
      return tl::unexpected(errno == EAGAIN ? Refusal{ETIMEDOUT, "the kernel does not answer"}
                                            : refusal(errno));
    int left = static_cast<int>(size);
    for (auto* answer = reinterpret_cast<const nlmsghdr*>(buffer_.data());
         mnl_nlmsg_ok(answer, left); answer = mnl_nlmsg_next(answer, &left)) {
      // The rest of an answer that was given up on earlier.
      if (answer->nlmsg_seq != sequence_)
        continue;
      if (answer->nlmsg_flags & NLM_F_DUMP_INTR)
        torn = true;
      if (answer->nlmsg_type == NLMSG_ERROR) {
        auto read = read_error(*answer);
        if (read.error == 0)
          return {};
        return tl::unexpected(std::move(read));
      }
      if (answer->nlmsg_type == NLMSG_DONE) {
        const auto* error = family_header<int>(*answer);
        if (error && *error < 0)
          return tl::unexpected(refusal(-*error));
        return {};
      }
      if (visit)
        visit(*answer);
    }
  }
}

Result<void> Netlink::subscribe(const std::vector<int>& groups) {
  for (int group : groups)
    if (mnl_socket_setsockopt(socket_.get(), NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0)
      return fail(Code::kernel, "cannot subscribe to netlink group " + std::to_string(group) +
                                    ": " + std::strerror(errno));
  // Beyond the system's limit only with CAP_NET_ADMIN, else as much as is allowed.
  if (setsockopt(fd(), SOL_SOCKET, SO_RCVBUFFORCE, &event_buffer_size, sizeof event_buffer_size) <
      0)
    setsockopt(fd(), SOL_SOCKET, SO_RCVBUF, &event_buffer_size, sizeof event_buffer_size);
  if (fcntl(fd(), F_SETFL, O_NONBLOCK) < 0)
    return fail(Code::kernel, std::string("netlink socket: ") + std::strerror(errno));
  return {};
}

Netlink::Received Netlink::receive(const Visitor& visit) {
  ssize_t size = 0;
  do
    size = mnl_socket_recvfrom(socket_.get(), buffer_.data(), buffer_.size());
  while (size < 0 && errno == EINTR);
  if (size < 0)
    return errno == EAGAIN ? Received::nothing : Received::overrun;
  int left = static_cast<int>(size);
  for (auto* event = reinterpret_cast<const nlmsghdr*>(buffer_.data()); mnl_nlmsg_ok(event, left);
       event = mnl_nlmsg_next(event, &left))
    visit(*event);
  return Received::some;
}

}  // namespace sluice::kernel
