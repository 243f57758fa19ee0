// Many short exchanges with one event loop: open, ask, read the answer, close.
#include <sys/epoll.h>
#include <sys/socket.h>

#include <boost/json.hpp>
#include <cerrno>
#include <cstring>
#include <map>
#include <sstream>
#include <unordered_map>
#include <vector>

#include "traffic/traffic.hpp"

namespace sluice::lab {
namespace {

using Clock = std::chrono::steady_clock;

struct Exchange {
  Fd fd;
  std::uint16_t port = 0;
  bool asked = false;
  std::string received;
  Clock::time_point deadline;
};

class Runner {
 public:
  explicit Runner(const ExchangeOptions& options) : options_(options) {}

  Result<boost::json::object> run() {
    epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
    if (!epoll_)
      return fail(Code::kernel, std::string("epoll: ") + std::strerror(errno));
    start_ = Clock::now();
    while (started_ < options_.count || !running_.empty()) {
      if (Clock::now() - start_ > options_.limit) {
        give_up();
        break;
      }
      while (may_start())
        start_one();
      wait_for_events();
      expire();
    }
    return report();
  }

 private:
  bool may_start() {
    if (started_ >= options_.count || running_.size() >= options_.concurrency)
      return false;
    if (options_.rate == 0)
      return true;
    const std::chrono::duration<double> elapsed = Clock::now() - start_;
    double due = elapsed.count() * options_.rate - skipped_;
    // After a pause of the machine's the schedule slips: a burst would overrun a veth's ring.
    constexpr double longest_burst = 32;
    if (const double behind = due - started_; behind > longest_burst) {
      skipped_ += behind - longest_burst;
      due = started_ + longest_burst;
    }
    return started_ <= due;
  }

  void start_one() {
    Exchange exchange;
    exchange.port = static_cast<std::uint16_t>(options_.first_port + started_);
    exchange.deadline = Clock::now() + options_.timeout;
    ++started_;
    auto socket = connect_from(exchange.port, options_.to, options_.udp);
    if (!socket)
      return count_error(socket.error().message);
    exchange.fd = std::move(*socket);
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT;
    const int fd = exchange.fd.get();
    event.data.fd = fd;
    epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
    running_.emplace(fd, std::move(exchange));
  }

  void wait_for_events() {
    epoll_event events[64];
    const int count = epoll_wait(epoll_.get(), events, 64, 5);
    for (int i = 0; i < count; ++i) {
      const auto found = running_.find(events[i].data.fd);
      if (found == running_.end())
        continue;
      if (step(found->second))
        running_.erase(found);
    }
  }

  /// True when the exchange is over, well or not.
  bool step(Exchange& exchange) {
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(exchange.fd.get(), SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0)
      return end_with_error(error);
    if (!exchange.asked && !ask(exchange))
      return end_with_error(errno);
    char buffer[4096];
    for (;;) {
      const ssize_t got = recv(exchange.fd.get(), buffer, sizeof buffer, 0);
      if (got < 0)
        return errno != EAGAIN && end_with_error(errno);
      exchange.received.append(buffer, static_cast<std::size_t>(got));
      if (options_.udp || got == 0)
        return finish(exchange);
    }
  }

  /// False with errno set if the question cannot be sent.
  bool ask(Exchange& exchange) {
    const std::string question = options_.udp ? dns_query(exchange.port, options_.name)
                                              : http_request(options_.to, options_.path);
    const ssize_t sent = send(exchange.fd.get(), question.data(), question.size(), MSG_NOSIGNAL);
    if (sent < 0)
      return errno == EAGAIN || errno == ENOTCONN;  // the connection is not there yet
    exchange.asked = true;
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = exchange.fd.get();
    epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, event.data.fd, &event);
    return true;
  }

  bool finish(const Exchange& exchange) {
    std::string server, source, port;
    if (options_.udp) {
      server = dns_answer_text(exchange.port, exchange.received);
    } else if (exchange.received.starts_with("HTTP/1.1 200 ")) {
      const std::size_t body = exchange.received.find("\r\n\r\n");
      if (body != std::string::npos)
        std::istringstream(exchange.received.substr(body + 4)) >> server >> source >> port;
    }
    if (server.empty()) {
      count_error("the answer does not name a server");
      return true;
    }
    ++answered_;
    ++by_server_[server];
    if (!source.empty())
      ++by_source_[source];
    if (port == std::to_string(exchange.port))
      ++same_port_;
    return true;
  }

  bool end_with_error(int error) {
    count_error(std::strerror(error));
    return true;
  }

  void expire() {
    const auto now = Clock::now();
    std::erase_if(running_, [&](const auto& entry) {
      if (now < entry.second.deadline)
        return false;
      count_error("no answer in time");
      return true;
    });
  }

  void give_up() {
    for (std::size_t i = 0; i < running_.size(); ++i)
      count_error("the run's time limit came first");
    running_.clear();
  }

  void count_error(const std::string& what) {
    ++failed_;
    ++errors_[what];
  }

  boost::json::object report() const {
    const std::chrono::duration<double> elapsed = Clock::now() - start_;
    return {{"sent", started_},
            {"answered", answered_},
            {"failed", failed_},
            {"errors", boost::json::value_from(errors_)},
            {"byServer", boost::json::value_from(by_server_)},
            {"bySource", boost::json::value_from(by_source_)},
            {"samePort", same_port_},
            {"seconds", elapsed.count()}};
  }

  const ExchangeOptions& options_;
  Fd epoll_;
  Clock::time_point start_;
  std::unordered_map<int, Exchange> running_;  // by descriptor
  std::uint32_t started_ = 0, answered_ = 0, failed_ = 0, same_port_ = 0;
  double skipped_ = 0;  ///< exchanges by which the schedule has slipped
  std::map<std::string, std::uint32_t> errors_, by_server_, by_source_;
};

}  // namespace

Result<boost::json::object> run_exchanges(const ExchangeOptions& options) {
  if (options.count == 0 || options.first_port + options.count > 65536)
    return fail(Code::invalid, "source ports " + std::to_string(options.first_port) + " and " +
                                   std::to_string(options.count) + " on do not fit below 65536");
  return Runner(options).run();
}

}  // namespace sluice::lab
