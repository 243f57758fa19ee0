// One long download that checks every byte and notes the longest silence.
#include <poll.h>
#include <sys/socket.h>

#include <boost/json.hpp>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string_view>

#include "traffic/traffic.hpp"

namespace sluice::lab {
namespace {

using Clock = std::chrono::steady_clock;

/// Compares a stream with the lab's file: line n is n in fifteen digits.
class Checker {
 public:
  void feed(std::string_view bytes) {
    for (const char byte : bytes) {
      const std::uint64_t column = at_ % line_length;
      if (column == 0)
        std::snprintf(line_, sizeof line_, "%015llu\n",
                      static_cast<unsigned long long>(at_ / line_length + 1));
      if (byte != line_[column] && !first_bad_)
        first_bad_ = at_;
      ++at_;
    }
  }
  std::uint64_t bytes() const { return at_; }
  std::optional<std::uint64_t> first_bad() const { return first_bad_; }

 private:
  static constexpr std::uint64_t line_length = 16;
  char line_[32] = {};
  std::uint64_t at_ = 0;
  std::optional<std::uint64_t> first_bad_;
};

/// The value of a header field in the lines of a reply's head; empty if it is absent.
std::string header_field(std::string_view head, std::string_view name) {
  const std::size_t at = head.find("\r\n" + std::string(name) + ": ");
  if (at == std::string_view::npos)
    return {};
  const std::size_t from = at + name.size() + 4;
  return std::string(head.substr(from, head.find("\r\n", from) - from));
}

}  // namespace

Result<boost::json::object> run_download(const DownloadOptions& options) {
  auto fd = connect_from(options.port, options.to, false);
  if (!fd)
    return fail(fd.error());
  const auto start = Clock::now();
  const std::string request = http_request(options.to, options.path);
  bool asked = false;
  std::string head, error;
  std::optional<std::uint64_t> expected;
  Checker checker;
  auto last = start;
  Clock::duration longest{};
  while (error.empty()) {
    pollfd wait{fd->get(), static_cast<short>(asked ? POLLIN : POLLOUT), 0};
    const int ready = poll(&wait, 1, 100);
    const auto now = Clock::now();
    longest = std::max(longest, now - last);
    if (now - start > options.limit) {
      error = "the time limit came first";
      break;
    }
    if (ready <= 0)
      continue;
    if (!asked) {
      if (send(fd->get(), request.data(), request.size(), MSG_NOSIGNAL) < 0)
        error = std::strerror(errno);
      asked = true;
      continue;
    }
    char buffer[65536];
    const ssize_t got = recv(fd->get(), buffer, sizeof buffer, 0);
    if (got < 0 && errno != EAGAIN)
      error = std::strerror(errno);
    if (got == 0)
      break;
    if (got <= 0)
      continue;
    last = now;
    const std::string_view bytes(buffer, static_cast<std::size_t>(got));
    if (expected) {
      checker.feed(bytes);
      continue;
    }
    head.append(bytes);
    const std::size_t end = head.find("\r\n\r\n");
    if (end == std::string::npos)
      continue;
    checker.feed(std::string_view(head).substr(end + 4));
    head.resize(end + 2);
    const std::string length = header_field(head, "Content-Length");
    std::uint64_t number = 0;
    if (!head.starts_with("HTTP/1.1 200 ") ||
        std::from_chars(length.data(), length.data() + length.size(), number).ec != std::errc())
      error = "the reply is not a file: " + head.substr(0, head.find('\r'));
    expected = number;
  }
  const std::chrono::duration<double> seconds = Clock::now() - start;
  boost::json::object out{
      {"server", header_field(head, "X-Backend")},
      {"bytes", checker.bytes()},
      {"expected", expected.value_or(0)},
      {"complete", error.empty() && expected && checker.bytes() == *expected},
      {"intact", !checker.first_bad()},
      {"longestGapMs", std::chrono::duration_cast<std::chrono::milliseconds>(longest).count()},
      {"seconds", seconds.count()},
      {"bytesPerSecond", static_cast<double>(checker.bytes()) / seconds.count()}};
  if (checker.first_bad())
    out["firstBadByte"] = *checker.first_bad();
  if (!error.empty())
    out["error"] = error;
  return out;
}

}  // namespace sluice::lab
