#include "api/server.hpp"

#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>
#include <random>

#include "api/problem.hpp"
#include "api/session.hpp"
#include "base/address.hpp"
#include "base/fd.hpp"

namespace sluice::api {

namespace http = beast::http;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t largest_body = 8 << 20;  // access lists of 100,000 entries
constexpr std::uint32_t largest_header = 16 << 10;
constexpr auto idle_limit = 30s;
constexpr std::string_view stream_path = "/api/v1/stream";

using HttpRequest = http::request<http::string_body>;
using HttpResponse = http::response<http::string_body>;

std::string new_request_id() {
  thread_local std::mt19937_64 random(std::random_device{}());
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(random()));
  return text;
}

/// A caller's id is taken only if it cannot do harm in a log.
std::string request_id_of(const HttpRequest& request) {
  const std::string id(request["X-Request-Id"]);
  const bool sane = !id.empty() && id.size() <= 64 && std::ranges::all_of(id, [](unsigned char c) {
    return std::isalnum(c) || c == '-' || c == '_' || c == '.';
  });
  return sane ? id : new_request_id();
}

/// True where a connection came in over the machine's own loopback.
bool is_loopback(Stream& stream) {
  beast::error_code error;
  const auto local = stream.socket().local_endpoint(error);
  const auto* address = static_cast<const sockaddr*>(static_cast<const void*>(local.data()));
  if (error || (address->sa_family != AF_INET && address->sa_family != AF_INET6))
    return false;
  return address->sa_family == AF_INET
             ? IpAddress::from_v4(&reinterpret_cast<const sockaddr_in*>(address)->sin_addr)
                   .is_loopback()
             : IpAddress::from_v6(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr)
                   .is_loopback();
}

/// Whether a page of another site asks: nobody here has logged in, so it may not. A browser names
/// the page's site as Origin. A site whose name was made to lead to this machine (DNS rebinding) is
/// known by the name in Host.
bool is_foreign(const HttpRequest& request, bool loopback) {
  const std::string_view host = request[http::field::host], origin = request[http::field::origin];
  const auto name = origin.find("://");
  if (!origin.empty() && (name == origin.npos || origin.substr(name + 3) != host))
    return true;
  const auto plain = host.substr(0, host.starts_with("localhost:") ? 9 : host.npos);
  return loopback && !host.empty() && plain != "localhost" && !parse_endpoint(host);
}

Request plain(const HttpRequest& from) {
  Request request;
  request.method = std::string(from.method_string());
  set_target(request, std::string_view(from.target()));
  for (const auto& field : from) {
    std::string name(field.name_string());
    std::ranges::transform(name, name.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    request.headers.emplace(std::move(name), std::string(field.value()));
  }
  request.body = from.body();
  request.id = request_id_of(from);
  request.actor = "api";
  return request;
}

HttpResponse dressed(const Response& from, const std::string& request_id, unsigned version,
                     bool keep_alive, bool head) {
  HttpResponse response(static_cast<http::status>(from.status), version);
  response.set(http::field::server, "sluiced");
  response.set(http::field::content_type, from.content_type);
  response.set(http::field::cache_control, "no-store");
  response.set("X-Content-Type-Options", "nosniff");
  response.set("X-Request-Id", request_id);
  for (const auto& [name, value] : from.headers)
    response.set(name, value);
  response.keep_alive(keep_alive);
  response.body() = from.body;
  response.prepare_payload();
  if (head)
    response.body().clear();  // the length stays that of GET (RFC 9110, 9.3.2)
  return response;
}

/// What to answer when a request could not even be read; nothing if the peer is gone.
std::optional<Response> refusal(const beast::error_code& error) {
  if (error == http::error::body_limit)
    return problem_response(
        413, "the body is larger than " + std::to_string(largest_body >> 20) + " MiB",
        new_request_id());
  if (error == http::error::header_limit)
    return problem_response(431, "the header is larger than 16 KiB", new_request_id());
  if (error.category() == make_error_code(http::error::bad_method).category() &&
      error != http::error::end_of_stream && error != http::error::partial_message)
    return problem_response(400, "the request is not valid HTTP: " + error.message(),
                            new_request_id());
  return std::nullopt;
}

asio::awaitable<void> serve_connection(std::shared_ptr<Server::State> state, Stream stream) {
  beast::flat_buffer buffer;
  const bool loopback = is_loopback(stream);
  for (;;) {
    stream.expires_after(idle_limit);
    http::request_parser<http::string_body> parser;
    parser.body_limit(largest_body);
    parser.header_limit(largest_header);
    auto [error, bytes] =
        co_await http::async_read(stream, buffer, parser, asio::as_tuple(asio::use_awaitable));
    if (error) {
      if (const auto answer = refusal(error)) {
        auto response = dressed(*answer, new_request_id(), 11, false, false);
        co_await http::async_write(stream, response, asio::as_tuple(asio::use_awaitable));
      }
      break;
    }
    auto message = parser.release();
    if (is_foreign(message, loopback)) {
      const auto id = request_id_of(message);
      const auto answer = problem_response(403, "a page of another site may not use this API", id);
      auto response = dressed(answer, id, message.version(), false, false);
      co_await http::async_write(stream, response, asio::as_tuple(asio::use_awaitable));
      break;
    }
    if (beast::websocket::is_upgrade(message) &&
        std::string_view(message.target()).substr(0, message.target().find('?')) == stream_path) {
      co_await serve_stream(std::move(state), std::move(stream), std::move(message));
      co_return;
    }
    const auto request = plain(message);
    const bool keep_alive = message.keep_alive();
    const bool head = message.method() == http::verb::head;
    const auto id = request.id;
    const auto handle = [&] { return state->backend.handle(request); };
    const auto begin = std::chrono::steady_clock::now();
    const auto answer = co_await on_control(*state, handle);
    spdlog::debug("request {}: {} {} -> {} in {} µs", id, request.method, request.path,
                  answer.status, (std::chrono::steady_clock::now() - begin) / 1us);
    auto response = dressed(answer, id, message.version(), keep_alive, head);
    http::response_serializer<http::string_body> serializer(response);
    stream.expires_after(idle_limit);
    auto [write_error, written] =
        co_await http::async_write(stream, serializer, asio::as_tuple(asio::use_awaitable));
    if (write_error || !keep_alive)
      break;
  }
  beast::error_code ignored;
  stream.socket().shutdown(Protocol::socket::shutdown_send, ignored);
}

void log_failure(std::exception_ptr failure) {
  try {
    if (failure)
      std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    spdlog::debug("a connection ended: {}", error.what());
  }
}

using Acceptor = asio::basic_socket_acceptor<Protocol>;

asio::awaitable<void> accept_all(std::shared_ptr<Server::State> state, Acceptor acceptor) {
  for (;;) {
    auto [error, socket] = co_await acceptor.async_accept(asio::as_tuple(asio::use_awaitable));
    if (error == asio::error::operation_aborted)
      co_return;
    if (error) {  // out of descriptors, say: wait for some to come back
      asio::steady_timer pause(state->io, 100ms);
      co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
      continue;
    }
    asio::co_spawn(state->io, serve_connection(state, Stream(std::move(socket))), log_failure);
  }
}

}  // namespace

Server::Server(asio::io_context& io, asio::any_io_executor control, Backend backend)
    : state_(std::make_shared<State>(io, std::move(control), std::move(backend))) {}

Server::~Server() = default;

Result<void> Server::serve(int fd) {
  int domain = 0;
  socklen_t length = sizeof domain;
  if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length))
    return fail(Code::invalid, "descriptor " + std::to_string(fd) + " is no socket");
  Acceptor acceptor(state_->io);
  beast::error_code error;
  acceptor.assign(Protocol(domain, domain == AF_UNIX ? 0 : IPPROTO_TCP), fd, error);
  if (error)
    return fail(Code::internal,
                "descriptor " + std::to_string(fd) + " cannot be served: " + error.message());
  asio::co_spawn(state_->io, accept_all(state_, std::move(acceptor)), log_failure);
  return {};
}

Result<void> Server::listen_tcp(const std::string& text, bool allow_public) {
  const auto endpoint = parse_endpoint(text);
  if (!endpoint || endpoint->port == 0)
    return fail(Code::invalid,
                "--listen " + text + " is not an address with a port, such as 127.0.0.1:8080");
  if (!endpoint->address.is_loopback() && !allow_public)
    return fail(Code::permission,
                "--listen " + text +
                    " would be reachable from outside, and there are no users yet; "
                    "listen on 127.0.0.1, or add --insecure-listen if the network is closed");
  const auto ip = asio::ip::make_address(endpoint->address.to_string());
  const asio::ip::tcp::endpoint at(ip, endpoint->port);
  Acceptor acceptor(state_->io);
  beast::error_code error;
  acceptor.open(Protocol(at.protocol()), error);
  if (!error)
    acceptor.set_option(asio::socket_base::reuse_address(true), error);
  if (!error)
    acceptor.bind(at, error);
  if (!error)
    acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error)
    return fail(Code::unavailable, "cannot listen on " + text + ": " + error.message());
  asio::co_spawn(state_->io, accept_all(state_, std::move(acceptor)), log_failure);
  return {};
}

Result<void> Server::listen_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return fail(Code::invalid, "the socket's path is too long: " + path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);

  Fd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connect(probe.get(), generic, sizeof address) == 0)
    return fail(Code::unavailable, "another sluiced serves " + path);
  std::error_code missing;
  std::filesystem::remove(path, missing);
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), missing);

  Fd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto old = umask(0177);
  const bool bound =
      bind(listener.get(), generic, sizeof address) == 0 && listen(listener.get(), 128) == 0;
  const int reason = errno;
  umask(old);
  if (!bound)
    return fail(Code::unavailable, "cannot listen on " + path + ": " + std::strerror(reason));
  auto served = serve(listener.get());
  if (served)
    listener.release();
  return served;
}

}  // namespace sluice::api
