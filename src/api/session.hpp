// One connection; shared by the server and the stream, which are the only two sources that know
// Beast.
#pragma once

#include <atomic>
#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>

#include "api/server.hpp"

namespace sluice::api {

namespace asio = boost::asio;
namespace beast = boost::beast;

/// One stream type for TCP and Unix sockets, so that Beast's templates are built once.
using Protocol = asio::generic::stream_protocol;
using Stream = beast::basic_stream<Protocol>;

struct Server::State {
  asio::io_context& io;
  asio::any_io_executor control;
  Backend backend;
  std::atomic<int> streams{0};
};

/// Serves `WS /api/v1/stream` until the client leaves.
asio::awaitable<void> serve_stream(std::shared_ptr<Server::State> state, Stream stream,
                                   beast::http::request<beast::http::string_body> upgrade);

/// Runs a call on the control executor and comes back with its value. `call` is a named object of
/// the caller's, never a temporary: g++ 12 destroys temporaries of a co_await expression twice.
template <class Call>
asio::awaitable<std::invoke_result_t<const Call&>> on_control(const Server::State& state,
                                                              const Call& call) {
  const auto home = co_await asio::this_coro::executor;
  co_await asio::post(asio::bind_executor(state.control, asio::use_awaitable));
  auto value = call();
  co_await asio::post(asio::bind_executor(home, asio::use_awaitable));
  co_return value;
}

}  // namespace sluice::api
