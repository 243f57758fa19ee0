// WS /api/v1/stream: topics that a client subscribes to; so far `stats`.
#include <spdlog/spdlog.h>

#include <map>

#include "api/convert.hpp"
#include "api/problem.hpp"
#include "api/session.hpp"
#include "api/views.hpp"
#include "codec/codec.hpp"

namespace sluice::api {

namespace json = boost::json;
namespace websocket = beast::websocket;
using namespace std::chrono_literals;

namespace {

constexpr int most_streams = 64;
constexpr std::size_t largest_message = 64 << 10;

/// What a client may ask. `since` is for topics with a history.
struct StreamRequest {
  std::string op;
  std::vector<std::string> topics;
  std::uint32_t intervalMs = 1000;
  std::optional<std::int64_t> since;
};
BOOST_DESCRIBE_STRUCT(StreamRequest, (), (op, topics, intervalMs, since))

}  // namespace
}  // namespace sluice::api

namespace sluice::codec {
template <>
inline constexpr Field field<&api::StreamRequest::op> = {.doc = "subscribe or unsubscribe",
                                                         .required = true};
template <>
inline constexpr Field field<&api::StreamRequest::intervalMs> = {
    .min = 100, .max = 60000, .unit = "ms"};
}  // namespace sluice::codec

namespace sluice::api {
namespace {

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(std::shared_ptr<Server::State> state, Stream stream)
      : state_(std::move(state)), socket_(std::move(stream)), due_(socket_.get_executor()) {
    state_->streams++;
  }
  ~Session() { state_->streams--; }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  asio::awaitable<void> run(beast::http::request<beast::http::string_body> upgrade) {
    beast::get_lowest_layer(socket_)
        .expires_never();  // the WebSocket has its own time-outs and pings
    websocket::permessage_deflate deflate;
    deflate.server_enable = true;
    deflate.compLevel = 3;
    socket_.set_option(deflate);
    socket_.set_option(websocket::stream_base::timeout::suggested(beast::role_type::server));
    socket_.read_message_max(largest_message);
    co_await socket_.async_accept(upgrade, asio::use_awaitable);
    asio::co_spawn(
        socket_.get_executor(), [self = shared_from_this()] { return self->write_all(); },
        asio::detached);
    co_await read_all();
    open_ = false;
    due_.cancel();
  }

 private:
  asio::awaitable<void> read_all() {
    for (;;) {
      beast::flat_buffer buffer;
      auto [error, bytes] =
          co_await socket_.async_read(buffer, asio::as_tuple(asio::use_awaitable));
      if (error)
        co_return;
      obey(beast::buffers_to_string(buffer.data()));
    }
  }

  void obey(const std::string& text) {
    auto value = codec::parse(text);
    auto request = value ? codec::from_json<StreamRequest>(*value) : fail(value.error());
    if (!request)
      return complain(request.error());
    for (const auto& topic : request->topics)
      if (topic != "stats")
        return complain({Code::invalid, "there is no topic '" + topic + "'; use stats", {}});
    if (request->op == "subscribe") {
      const bool wants = !request->topics.empty();
      interval_ = std::chrono::milliseconds(request->intervalMs);
      subscribed_ = subscribed_ || wants;
      next_ = std::chrono::steady_clock::now();
    } else if (request->op == "unsubscribe") {
      subscribed_ = subscribed_ && request->topics.empty();
    } else {
      return complain({Code::invalid,
                       "there is no op '" + request->op + "'; use subscribe or unsubscribe",
                       {}});
    }
    due_.cancel();
  }

  void complain(const Error& error) {
    if (complaints_.size() < 16)
      complaints_.push_back({{"topic", "error"}, {"time", now_ms()}, {"data", problem(error, "")}});
    due_.cancel();
  }

  /// The only writer. A client that reads slowly makes it late: it then gets the newest figures,
  /// and the gap in `seq` says how many were left out.
  asio::awaitable<void> write_all() {
    while (open_) {
      while (!complaints_.empty()) {
        auto complaint = std::move(complaints_.front());
        complaints_.erase(complaints_.begin());
        if (!co_await send(complaint))
          co_return;
      }
      const auto now = std::chrono::steady_clock::now();
      if (subscribed_ && now >= next_) {
        const auto missed = (now - next_) / interval_;
        sequence_ += 1 + static_cast<std::uint64_t>(missed);
        next_ += interval_ * (1 + missed);
        const auto read = [this] { return state_->backend.stats(); };
        auto stats = co_await on_control(*state_, read);
        json::object frame{{"topic", "stats"}, {"seq", sequence_}, {"time", now_ms()}};
        frame["data"] = stats ? std::move(*stats) : json::value(problem(stats.error(), ""));
        if (!co_await send(frame))
          co_return;
        continue;
      }
      due_.expires_at(subscribed_ ? next_ : now + 3600s);
      co_await due_.async_wait(asio::as_tuple(asio::use_awaitable));
    }
  }

  asio::awaitable<bool> send(const json::object& frame) {
    const auto text = json::serialize(frame);
    socket_.text(true);
    auto [error, bytes] =
        co_await socket_.async_write(asio::buffer(text), asio::as_tuple(asio::use_awaitable));
    co_return !error;
  }

  std::shared_ptr<Server::State> state_;
  websocket::stream<Stream> socket_;
  asio::steady_timer due_;
  std::vector<json::object> complaints_;
  std::chrono::milliseconds interval_{1000};
  std::chrono::steady_clock::time_point next_{};
  std::uint64_t sequence_ = 0;
  bool subscribed_ = false;
  bool open_ = true;
};

}  // namespace

asio::awaitable<void> serve_stream(std::shared_ptr<Server::State> state, Stream stream,
                                   beast::http::request<beast::http::string_body> upgrade) {
  if (state->streams >= most_streams) {
    beast::http::response<beast::http::string_body> full(beast::http::status::service_unavailable,
                                                         upgrade.version());
    full.body() = "too many streams are open\n";
    full.prepare_payload();
    co_await beast::http::async_write(stream, full, asio::as_tuple(asio::use_awaitable));
    co_return;
  }
  auto session = std::make_shared<Session>(std::move(state), std::move(stream));
  co_await session->run(std::move(upgrade));
}

}  // namespace sluice::api
