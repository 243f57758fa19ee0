// HTTP and WebSocket over a real socket: what a client of the API meets.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <boost/asio.hpp>
#include <boost/beast.hpp>
#include <boost/json.hpp>
#include <thread>

#include "api/problem.hpp"
#include "api/server.hpp"
#include "base/fd.hpp"

namespace sluice::api {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace json = boost::json;
using asio::ip::tcp;

class ServerTest : public testing::Test {
 protected:
  void SetUp() override {
    Fd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
    ASSERT_EQ(listen(listener.get(), 16), 0);
    getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
    ASSERT_TRUE(server_.serve(listener.release()));
    thread_ = std::thread([this] { io_.run(); });
  }
  void TearDown() override {
    io_.stop();
    thread_.join();
    control_.join();
  }

  tcp::socket connect() {
    tcp::socket socket(client_);
    socket.connect({asio::ip::address_v4::loopback(), port_});
    return socket;
  }
  http::request<http::string_body> request(http::verb verb, const std::string& target) {
    http::request<http::string_body> request(verb, target, 11);
    request.set(http::field::host, "127.0.0.1:" + std::to_string(port_));
    return request;
  }
  /// One request on a connection; nothing of HEAD is waited for.
  http::response<http::string_body> exchange(tcp::socket& socket,
                                             http::request<http::string_body> message) {
    message.prepare_payload();
    http::write(socket, message);
    beast::flat_buffer buffer;
    http::response_parser<http::string_body> parser;
    parser.skip(message.method() == http::verb::head);
    http::read(socket, buffer, parser);
    return parser.release();
  }
  http::response<http::string_body> exchange(http::request<http::string_body> message) {
    auto socket = connect();
    return exchange(socket, std::move(message));
  }

  using WebSocket = beast::websocket::stream<tcp::socket>;
  WebSocket open_stream() {
    WebSocket stream(connect());
    stream.handshake("127.0.0.1:" + std::to_string(port_), "/api/v1/stream");
    return stream;
  }
  static json::value read(WebSocket& stream) {
    beast::flat_buffer buffer;
    stream.read(buffer);
    return json::parse(beast::buffers_to_string(buffer.data()));
  }

  asio::io_context io_, client_;
  asio::thread_pool control_{1};
  std::atomic<int> looks_{0};
  std::thread::id handled_by_;
  Server server_{
      io_,
      control_.get_executor(),
      {.handle =
           [this](const Request& request) {
             handled_by_ = std::this_thread::get_id();
             return Response{.body = request.method + " " + request.path + " " + request.body};
           },
       .stats = [this]() -> Result<json::value> { return json::value{{"looks", ++looks_}}; }}};
  std::thread thread_;
  std::uint16_t port_ = 0;
};

TEST_F(ServerTest, RequestsOnOneConnectionAreAnsweredOneAfterTheOther) {
  auto socket = connect();
  for (int i = 0; i < 3; i++) {
    auto put = request(http::verb::put, "/a/b?c=d");
    put.body() = "body" + std::to_string(i);
    const auto answer = exchange(socket, put);
    EXPECT_EQ(answer.result_int(), 200u);
    EXPECT_EQ(answer.body(), "PUT /a/b body" + std::to_string(i));
    EXPECT_EQ(answer["X-Content-Type-Options"], "nosniff");
    EXPECT_FALSE(answer["X-Request-Id"].empty());
  }
  EXPECT_NE(handled_by_, thread_.get_id()) << "the controller has a thread of its own";
}

TEST_F(ServerTest, HeadAnswersWithTheLengthAndNoBody) {
  const auto answer = exchange(request(http::verb::head, "/a"));
  EXPECT_EQ(answer.result_int(), 200u);
  EXPECT_EQ(answer[http::field::content_length], std::to_string(std::string("HEAD /a ").size()));
}

TEST_F(ServerTest, TheCallersRequestIdIsKeptUnlessItCouldHarmALog) {
  auto get = request(http::verb::get, "/a");
  get.set("X-Request-Id", "deploy-17");
  EXPECT_EQ(exchange(get)["X-Request-Id"], "deploy-17");
  get.set("X-Request-Id", "a b\x1b[2J");
  EXPECT_NE(exchange(get)["X-Request-Id"], "a b\x1b[2J");
}

TEST_F(ServerTest, PagesOfOtherSitesAreRefused) {
  auto get = request(http::verb::get, "/a");
  get.set(http::field::origin, "http://evil.example");
  EXPECT_EQ(exchange(get).result_int(), 403u);
  get.set(http::field::origin, "null");
  EXPECT_EQ(exchange(get).result_int(), 403u);
  get.set(http::field::origin, "http://127.0.0.1:" + std::to_string(port_));
  EXPECT_EQ(exchange(get).result_int(), 200u);
  get.erase(http::field::origin);
  for (const char* host :
       {"localhost", "localhost:8080", "127.0.0.1", "[::1]:8080", "10.0.0.1:80"}) {
    get.set(http::field::host, host);
    EXPECT_EQ(exchange(get).result_int(), 200u) << host;
  }
  for (const char* host :
       {"evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example"}) {
    get.set(http::field::host, host);
    EXPECT_EQ(exchange(get).result_int(), 403u) << "a name that was made to lead here: " << host;
  }
  WebSocket stream(connect());
  stream.set_option(
      beast::websocket::stream_base::decorator([](beast::websocket::request_type& upgrade) {
        upgrade.set(http::field::origin, "http://evil.example");
      }));
  beast::error_code error;
  stream.handshake("127.0.0.1:" + std::to_string(port_), "/api/v1/stream", error);
  EXPECT_TRUE(error) << "a stream tells as much as the API";
}

TEST_F(ServerTest, TooMuchAndNonsenseGetAnAnswerAndAnEnd) {
  auto large = request(http::verb::put, "/a");
  large.set(http::field::content_length, "99999999");
  auto socket = connect();
  http::request_serializer<http::string_body> serializer(large);
  http::write_header(socket, serializer);
  beast::flat_buffer buffer;
  http::response<http::string_body> answer;
  http::read(socket, buffer, answer);
  EXPECT_EQ(answer.result_int(), 413u);
  auto nonsense = connect();
  asio::write(nonsense, asio::buffer(std::string("this is no HTTP\r\n\r\n")));
  answer = {};
  buffer.clear();
  http::read(nonsense, buffer, answer);
  EXPECT_EQ(answer.result_int(), 400u);
  EXPECT_FALSE(answer.keep_alive());
}

TEST_F(ServerTest, AStreamSendsWhatItIsSubscribedTo) {
  auto stream = open_stream();
  stream.write(
      asio::buffer(std::string(R"({"op": "subscribe", "topics": ["stats"], "intervalMs": 100})")));
  std::uint64_t last = 0;
  for (int i = 0; i < 3; i++) {
    const auto frame = read(stream);
    EXPECT_EQ(frame.at("topic"), "stats");
    EXPECT_GT(frame.at("seq").to_number<std::uint64_t>(), last);
    last = frame.at("seq").to_number<std::uint64_t>();
    EXPECT_GT(frame.at("time").to_number<std::int64_t>(), 1'600'000'000'000);
    EXPECT_GT(frame.at("data").at("looks").to_number<int>(), i);
  }
  stream.write(asio::buffer(std::string(R"({"op": "unsubscribe", "topics": ["stats"]})")));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const int looks = looks_;
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_EQ(looks_, looks) << "nobody listens, nothing is read";
  stream.close(beast::websocket::close_code::normal);
}

TEST_F(ServerTest, AStreamSaysWhatItDoesNotUnderstandAndGoesOn) {
  auto stream = open_stream();
  for (const char* text :
       {R"({"op": "subscribe", "topics": ["weather"]})", R"({"op": "sing"})", "{",
        R"({"topics": []})", R"({"op": "subscribe", "topics": ["stats"], "intervalMs": 1})"}) {
    stream.write(asio::buffer(std::string(text)));
    const auto frame = read(stream);
    EXPECT_EQ(frame.at("topic"), "error") << text;
    EXPECT_FALSE(frame.at("data").at("detail").as_string().empty());
  }
  stream.write(asio::buffer(std::string(R"({"op": "subscribe", "topics": ["stats"]})")));
  EXPECT_EQ(read(stream).at("topic"), "stats");
}

TEST_F(ServerTest, ClientsThatVanishDoNoHarm) {
  for (int i = 0; i < 20; i++) {
    auto stream = open_stream();
    stream.write(asio::buffer(
        std::string(R"({"op": "subscribe", "topics": ["stats"], "intervalMs": 100})")));
    if (i % 2)
      read(stream);
    stream.next_layer().close();
  }
  EXPECT_EQ(exchange(request(http::verb::get, "/a")).result_int(), 200u);
}

TEST(ServerListen, NothingListensBeyondLoopbackUnlessItIsSaidSo) {
  asio::io_context io;
  Server server(io, io.get_executor(), {});
  for (const char* endpoint : {"0.0.0.0:18080", "[::]:18080", "192.0.2.1:18080"}) {
    const auto refused = server.listen_tcp(endpoint, false);
    ASSERT_FALSE(refused) << endpoint;
    EXPECT_EQ(refused.error().code, Code::permission);
  }
  for (const char* endpoint : {"127.0.0.1", "localhost:80", "127.0.0.1:0", ""})
    EXPECT_FALSE(server.listen_tcp(endpoint, false)) << endpoint;
}

}  // namespace
}  // namespace sluice::api
