// What the lab's client can do: many short exchanges from fixed source ports, many long
// connections, one long download, or large datagrams. And what a router on the way may say about
// it.
#pragma once

#include <boost/json/object.hpp>
#include <chrono>
#include <cstdint>
#include <string>

#include "base/address.hpp"
#include "base/fd.hpp"
#include "base/result.hpp"

namespace sluice::lab {

/// Many exchanges, each on a connection (TCP) or socket (UDP) of its own.
struct ExchangeOptions {
  Endpoint to;
  bool udp = false;                         ///< DNS queries instead of HTTP requests
  std::uint32_t count = 100;                ///< exchanges
  std::uint16_t first_port = 10000;         ///< source port of the first; the others count up
  std::uint32_t concurrency = 32;           ///< at most this many at a time
  std::uint32_t rate = 0;                   ///< started per second; 0: as fast as they end
  std::chrono::milliseconds timeout{5000};  ///< of one exchange; nothing is tried again
  std::chrono::seconds limit{300};          ///< of the whole run
  std::string path = "/";                   ///< TCP: what is asked for
  std::string name = "whoami.lab";          ///< UDP: whose TXT record is asked for
};
/// Runs them all: {sent, answered, failed, errors: {what: times}, byServer: {name: answers},
/// bySource: {address that a backend saw: answers}, samePort: answers to the port we bound,
/// seconds}.
Result<boost::json::object> run_exchanges(const ExchangeOptions& options);

/// One long HTTP download of the lab's self-numbering file.
struct DownloadOptions {
  Endpoint to;
  std::uint16_t port = 0;             ///< source port; 0: any
  std::string path = "/big?rate=1m";  ///< the rate is the server's
  std::chrono::seconds limit{120};    ///< give up after this
};
/// Runs it: {server, bytes, expected, complete, intact, firstBadByte?, longestGapMs, seconds,
/// bytesPerSecond, error?}.
Result<boost::json::object> run_download(const DownloadOptions& options);

/// Connections that are held open and used again and again.
struct HoldOptions {
  Endpoint to;
  std::uint32_t count = 100;
  std::uint16_t first_port = 10000;           ///< source port of the first; the others count up
  std::chrono::milliseconds interval{1000};   ///< from question to question of a connection
  std::uint32_t silent = 0;                   ///< the first so many say nothing for a while
  std::chrono::milliseconds silence{0};       ///< how long
  std::chrono::milliseconds connect{3000};    ///< until a connection stands, or is given up
  std::chrono::milliseconds patience{10000};  ///< for an answer
  std::chrono::seconds length{30};            ///< of the whole run
};
/// Runs them: {connections, unopened, broken, answers, errors: {what: connections}, byServer:
/// {name: connections}}. Broken is one that was reset, closed, not answered, or answered by another
/// server.
Result<boost::json::object> run_hold(const HoldOptions& options);

/// A datagram from a service to a client that a router could not carry on.
struct TooBigOptions {
  Endpoint by, about;        ///< the service that sent it, the client
  std::uint16_t mtu = 1300;  ///< what the router can carry
};
/// Tells the sender so, by ICMP, quoting the IP header and eight bytes behind it: {sent, quoted}.
Result<boost::json::object> complain(const TooBigOptions& options);

/// Datagrams that are answered by who takes them.
struct DatagramOptions {
  Endpoint to;
  std::uint32_t count = 10;
  std::uint16_t first_port = 10000;         ///< source port of the first; the others count up
  std::size_t size = 4000;                  ///< of the payload, bytes
  std::chrono::milliseconds timeout{1000};  ///< for the answer; nothing is tried again
};
/// Sends one after the other: {sent, answered, unanswered, torn, byServer: {name: answers}}. Torn
/// is one of which the server got other bytes than were sent.
Result<boost::json::object> send_datagrams(const DatagramOptions& options);

struct TakeOptions {
  Endpoint at;
  std::string name;
  std::chrono::seconds length{60};  ///< then it ends
};
/// Answers datagrams with the server's name, their size and their checksum: {taken}.
Result<boost::json::object> take_datagrams(const TakeOptions& options);

/// Datagrams at a steady pace that nobody is expected to answer.
struct StreamOptions {
  Endpoint to;
  std::uint32_t count = 1000;        ///< datagrams
  std::uint32_t rate = 1000;         ///< a second
  std::uint16_t first_port = 10000;  ///< source port of the first flow; the others count up
  std::uint32_t flows = 1;           ///< in turn
  int cpu = -1;                      ///< where to run; -1: anywhere
};
/// Sends them: {sent, failed, seconds}.
Result<boost::json::object> run_stream(const StreamOptions& options);

/// SYNs that nobody follows up, from random addresses.
struct SynsOptions {
  static constexpr unsigned window = 1;  ///< by which who receives them tells them from real ones
  Endpoint to;
  std::uint32_t count = 100000;
  std::uint64_t seed = 1;  ///< another one gives other addresses and ports
};
/// Sends them as fast as the kernel takes them: {sent, failed, seconds}.
Result<boost::json::object> run_syns(const SynsOptions& options);

/// A non-blocking socket bound to `port` of any address, on its way to `to`.
Result<Fd> connect_from(std::uint16_t port, const Endpoint& to, bool udp);
/// The request that a connection carries.
std::string http_request(const Endpoint& to, const std::string& path);
/// A DNS query for the TXT record of `name` (labels of 1 to 63 bytes), with this id.
std::string dns_query(std::uint16_t id, const std::string& name);
/// The text of the first TXT record of an answer to it; empty if there is none.
std::string dns_answer_text(std::uint16_t id, const std::string& packet);

}  // namespace sluice::lab
