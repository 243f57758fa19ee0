// The HTTP client of the daemon's REST API: one request, one reply, over a Unix socket or TCP.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace sluice::cli {

/// Where the daemon listens: the path of a Unix socket, or host and port.
struct Address {
  std::string socket;
  std::string host;  ///< without brackets
  std::string port;
  /// The daemon is of this machine and of this instance, which `detach` needs to know; otherwise
  /// empty.
  std::string instance;
  /// As in messages: `/run/sluice/default.sock`, `http://127.0.0.1:8080`.
  std::string to_string() const;
  bool operator==(const Address&) const = default;
};

/// What the caller said about where the daemon is; each empty if not said.
struct AddressFlags {
  std::string instance, socket, url;
};

/// Decides where the daemon is: flags before the environment (`SLUICE_URL`, `SLUICE_SOCKET`), the
/// instance `default` when nothing is said. Errors: Code::invalid.
/// @param variable reads an environment variable; empty when it is not set
Result<Address> choose_address(const AddressFlags& flags,
                               const std::function<std::string(const char*)>& variable);

struct Request {
  std::string method;
  std::string target;  ///< path and query, percent-encoded
  std::string body;    ///< JSON, or empty
  std::vector<std::pair<std::string, std::string>> headers;
};

struct Reply {
  unsigned status = 0;
  std::string body;
};

/// One exchange with the daemon. Errors: Code::unavailable: nobody listens there; Code::permission:
/// the socket may not be opened; Code::internal: no reply in time, or none that is HTTP.
using Exchange = std::function<Result<Reply>(const Request&)>;

/// An Exchange that makes a connection of its own for each request, so a daemon that was restarted
/// in between is met.
/// @param timeout for connecting, sending and receiving each
Exchange make_client(Address address, std::chrono::milliseconds timeout);

/// The text as one segment of a path or a value of a query (RFC 3986).
std::string percent_encode(std::string_view text);

}  // namespace sluice::cli
