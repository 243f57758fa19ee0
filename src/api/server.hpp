// HTTP and WebSocket on TCP and Unix sockets.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>

#include "api/http.hpp"
#include "base/result.hpp"

namespace sluice::api {

/// What the server asks for; both run on the control executor.
struct Backend {
  std::function<Response(const Request&)> handle;
  std::function<Result<boost::json::value>()> stats;
};

class Server {
 public:
  /// @param io where sockets are served; @param control where `backend` is called
  Server(boost::asio::io_context& io, boost::asio::any_io_executor control, Backend backend);
  ~Server();

  /// Serves a listening socket that was handed over.
  Result<void> serve(int fd);
  /// Listens on `127.0.0.1:8080` or `[::1]:8080`. Anything beyond loopback needs `allow_public`.
  Result<void> listen_tcp(const std::string& endpoint, bool allow_public);
  /// Listens on a Unix socket that only its owner may use. A file left by a dead process is
  /// replaced; a live one is refused.
  Result<void> listen_unix(const std::string& path);

  struct State;

 private:
  std::shared_ptr<State> state_;
};

}  // namespace sluice::api
