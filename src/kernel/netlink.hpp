// A netlink socket, messages to send over it and attributes to read from it.
#pragma once

#include <libmnl/libmnl.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "base/address.hpp"
#include "base/result.hpp"

namespace sluice::kernel {

/// A request under construction: netlink header, the family's header, attributes. Small requests
/// only: what does not fit into 512 bytes is a defect and ends the process.
class Message {
 public:
  template <class Header>
  Message(std::uint16_t type, std::uint16_t flags, const Header& header) {
    static_assert(std::is_trivially_copyable_v<Header>);
    begin(type, flags);
    std::memcpy(mnl_nlmsg_put_extra_header(this->header(), sizeof header), &header, sizeof header);
  }

  void put(std::uint16_t attribute, const void* data, std::size_t size);
  void put(std::uint16_t attribute, std::uint32_t value) { put(attribute, &value, sizeof value); }
  void put(std::uint16_t attribute, const std::string& text) {
    put(attribute, text.c_str(), text.size() + 1);
  }
  /// Four bytes for IPv4, sixteen for IPv6.
  void put(std::uint16_t attribute, const IpAddress& address);

  nlmsghdr* header() { return reinterpret_cast<nlmsghdr*>(buffer_.data()); }

 private:
  void begin(std::uint16_t type, std::uint16_t flags);

  alignas(nlmsghdr) std::array<char, 512> buffer_{};
};

/// One attribute of a message that came in.
struct Attribute {
  std::uint16_t type = 0;
  const void* data = nullptr;
  std::size_t size = 0;

  /// The value if the attribute is large enough to hold one.
  template <class T>
  std::optional<T> as() const {
    static_assert(std::is_trivially_copyable_v<T>);
    if (size < sizeof(T))
      return std::nullopt;
    T value;
    std::memcpy(&value, data, sizeof value);
    return value;
  }
  std::string text() const;
  /// An address of either family, by its size.
  std::optional<IpAddress> address() const;
  /// A MAC address; nothing if the link layer has other addresses.
  std::optional<MacAddress> mac() const;
  std::vector<Attribute> nested() const;
};

/// All attributes behind a family's header of `header_size` bytes.
std::vector<Attribute> attributes(const nlmsghdr& message, std::size_t header_size);

/// The family's header of a message, if the message is long enough.
template <class Header>
const Header* family_header(const nlmsghdr& message) {
  return mnl_nlmsg_get_payload_len(&message) < sizeof(Header)
             ? nullptr
             : static_cast<const Header*>(mnl_nlmsg_get_payload(&message));
}

/// How the kernel declined a request.
struct Refusal {
  int error = 0;        ///< errno
  std::string message;  ///< the kernel's own words (extended ack) or the text of the errno
};

/// Not thread-safe.
class Netlink {
 public:
  using Visitor = std::function<void(const nlmsghdr&)>;

  /// @param bus NETLINK_ROUTE or NETLINK_GENERIC, of the calling thread's network namespace
  static Result<Netlink> open(int bus);

  /// Sends a request and waits for its acknowledgement, at most a few seconds.
  /// @param visit called for each message of the answer
  tl::expected<void, Refusal> request(Message& message, const Visitor& visit = {});

  /// Asks for a whole table. A dump that the kernel reports as torn by a change is repeated.
  tl::expected<void, Refusal> dump(Message& message, const Visitor& visit);

  /// Makes this an event socket for the groups (RTNLGRP_*): from now on only receive() may be used.
  Result<void> subscribe(const std::vector<int>& groups);

  enum class Received { nothing, some, overrun };
  /// Takes the events of one datagram without blocking. overrun: events were lost.
  Received receive(const Visitor& visit);

  int fd() const { return mnl_socket_get_fd(socket_.get()); }

 private:
  struct Close {
    void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
  };
  explicit Netlink(mnl_socket* socket) : socket_(socket) {}
  tl::expected<void, Refusal> exchange(Message& message, const Visitor& visit, bool& torn);
  void set_option(int option);

  std::unique_ptr<mnl_socket, Close> socket_;
  std::uint32_t sequence_ = 0;
  std::vector<char> buffer_;
};

}  // namespace sluice::kernel
