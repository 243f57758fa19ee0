// Boost.Beast, in this file only. Every operation is asynchronous and run to its end: only these
// have time limits.
#include "cli/client.hpp"

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

namespace sluice::cli {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

namespace {

using Endpoint = asio::generic::stream_protocol::endpoint;
using Stream = beast::basic_stream<asio::generic::stream_protocol>;
/// Far above the largest configuration that the data plane's tables can hold.
constexpr std::uint64_t largest_reply = 64ULL * 1024 * 1024;

/// Starts one operation and runs it to its end.
template <class Start>
beast::error_code run(asio::io_context& context, Start start) {
  beast::error_code outcome;
  start([&outcome](beast::error_code error, auto&&...) { outcome = error; });
  context.restart();
  context.run();
  return outcome;
}

std::string seconds(std::chrono::milliseconds time) {
  const auto tenths = time.count() / 100;
  return std::to_string(tenths / 10) + (tenths % 10 == 0 ? "" : "." + std::to_string(tenths % 10)) +
         " s";
}

tl::unexpected<Error> explain(const beast::error_code& error, const Address& address,
                              std::chrono::milliseconds timeout) {
  const std::string where = address.to_string();
  if (error == beast::error::timeout)
    return fail(Code::internal, "no reply from " + where + " within " + seconds(timeout) +
                                    "; see whether sluiced is stuck, or give --timeout more");
  if (error == boost::system::errc::permission_denied)
    return fail(Code::permission,
                "no right to open " + where + "; run sluicectl as root, or with sudo");
  if (error == boost::system::errc::no_such_file_or_directory ||
      error == boost::system::errc::connection_refused ||
      error == boost::system::errc::host_unreachable ||
      error == boost::system::errc::network_unreachable)
    return fail(Code::unavailable, "sluiced is not reachable at " + where + " (" + error.message() +
                                       "); start it, or say where it is with --instance, --socket "
                                       "or --url");
  if (error.category() == http::make_error_code(http::error::end_of_stream).category())
    return fail(Code::internal, where + " does not answer as sluiced does (" + error.message() +
                                    "); see whether something else listens there");
  return fail(Code::internal, "talking to " + where + " failed: " + error.message());
}

Result<std::vector<Endpoint>> endpoints(asio::io_context& context, const Address& address) {
  if (!address.socket.empty()) {
    if (address.socket.size() >= sizeof(sockaddr_un::sun_path))
      return fail(Code::unavailable, "the path " + address.socket +
                                         " is too long for a Unix socket; use a shorter one");
    return std::vector<Endpoint>{asio::local::stream_protocol::endpoint(address.socket)};
  }
  beast::error_code error;
  asio::ip::tcp::resolver resolver(context);
  const auto found = resolver.resolve(address.host, address.port, error);
  if (error)
    return fail(Code::unavailable, "the host '" + address.host + "' is not known (" +
                                       error.message() + "); correct --url or SLUICE_URL");
  std::vector<Endpoint> all;
  for (const auto& entry : found)
    all.emplace_back(entry.endpoint());
  return all;
}

http::request<http::string_body> message_of(const Request& request, const Address& address) {
  http::request<http::string_body> message;
  message.version(11);
  message.method_string(request.method);
  message.target(request.target);
  const bool v6 = address.host.find(':') != std::string::npos;
  message.set(http::field::host,
              !address.socket.empty()
                  ? "localhost"
                  : (v6 ? "[" + address.host + "]" : address.host) + ":" + address.port);
  message.set(http::field::user_agent, "sluicectl/" SLUICE_VERSION);
  message.set(http::field::accept, "application/json, application/problem+json");
  message.keep_alive(false);
  for (const auto& [name, value] : request.headers)
    message.set(name, value);
  if (!request.body.empty())
    message.set(http::field::content_type, "application/json");
  message.body() = request.body;
  message.prepare_payload();
  return message;
}

Result<Reply> exchange(const Address& address, std::chrono::milliseconds timeout,
                       const Request& request) {
  asio::io_context context(1);
  const auto targets = endpoints(context, address);
  if (!targets)
    return fail(targets.error());

  Stream stream(context);
  beast::error_code error;
  for (const auto& target : *targets) {
    stream.expires_after(timeout);
    error = run(context, [&](auto done) { stream.async_connect(target, done); });
    if (!error)
      break;
    stream.close();
  }
  if (error)
    return explain(error, address, timeout);

  auto message = message_of(request, address);
  stream.expires_after(timeout);
  // A daemon that refuses early closes its side before all is sent, but has said why: read it.
  const auto unsent = run(context, [&](auto done) { http::async_write(stream, message, done); });

  beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(largest_reply);
  stream.expires_after(timeout);
  error = run(context, [&](auto done) { http::async_read(stream, buffer, parser, done); });
  if (error)
    return explain(unsent ? unsent : error, address, timeout);
  return Reply{parser.get().result_int(), std::move(parser.get().body())};
}

Result<Address> parse_url(const std::string& url) {
  const auto wrong = [&](const std::string& why) {
    return fail(Code::invalid, "'" + url + "' " + why + "; write it like http://127.0.0.1:8080");
  };
  std::string_view rest = url;
  if (rest.starts_with("https://"))
    return wrong("needs TLS, which sluiced does not speak");
  if (!rest.starts_with("http://"))
    return wrong("does not start with http://");
  rest.remove_prefix(7);
  if (rest.ends_with('/'))
    rest.remove_suffix(1);
  if (rest.find_first_of("/?#@ ") != rest.npos)
    return wrong("has more than host and port");

  Address address{.port = "80"};
  if (rest.starts_with('[')) {
    const auto end = rest.find(']');
    if (end == rest.npos)
      return wrong("has a '[' without ']'");
    address.host = rest.substr(1, end - 1);
    rest.remove_prefix(end + 1);
  } else {
    const auto end = std::min(rest.find(':'), rest.size());
    address.host = rest.substr(0, end);
    rest.remove_prefix(end);
  }
  if (!rest.empty()) {
    address.port = rest.substr(1);
    const bool digits = address.port.find_first_not_of("0123456789") == std::string::npos;
    if (rest[0] != ':' || !digits || address.port.empty() || address.port.size() > 5 ||
        std::stoi(address.port) > 65535)
      return wrong("has no port from 1 to 65535 after the host");
  }
  if (address.host.empty())
    return wrong("has no host");
  return address;
}

}  // namespace

std::string Address::to_string() const {
  if (!socket.empty())
    return socket;
  const bool v6 = host.find(':') != std::string::npos;
  return "http://" + (v6 ? "[" + host + "]" : host) + ":" + port;
}

Result<Address> choose_address(const AddressFlags& flags,
                               const std::function<std::string(const char*)>& variable) {
  if (flags.instance.find('/') != std::string::npos || flags.instance.starts_with('.'))
    return fail(Code::invalid,
                "'" + flags.instance + "' is not the name of an instance; for a path use --socket");
  const auto by_url = [&](const std::string& url) {
    return parse_url(url).map([&](Address address) {
      address.instance = flags.instance;
      return address;
    });
  };
  if (!flags.url.empty())
    return by_url(flags.url);
  if (!flags.socket.empty())
    return Address{.socket = flags.socket, .instance = flags.instance};
  if (flags.instance.empty()) {
    if (const auto url = variable("SLUICE_URL"); !url.empty())
      return by_url(url);
    if (const auto socket = variable("SLUICE_SOCKET"); !socket.empty())
      return Address{.socket = socket};
  }
  const std::string instance = flags.instance.empty() ? "default" : flags.instance;
  return Address{.socket = "/run/sluice/" + instance + ".sock", .instance = instance};
}

Exchange make_client(Address address, std::chrono::milliseconds timeout) {
  return [address = std::move(address), timeout](const Request& request) {
    return exchange(address, timeout, request);
  };
}

std::string percent_encode(std::string_view text) {
  static constexpr std::string_view hex = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool digit = c >= '0' && c <= '9';
    if (letter || digit || std::string_view("-._~:").find(c) != std::string_view::npos)
      encoded += c;
    else
      (((encoded += '%') += hex[byte >> 4]) += hex[byte & 15]);
  }
  return encoded;
}

}  // namespace sluice::cli
