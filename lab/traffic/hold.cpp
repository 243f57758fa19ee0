// Many connections that are held open, each asking again and again: what a change behind them
// breaks.
#include <poll.h>
#include <sys/socket.h>

#include <boost/json.hpp>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <map>
#include <vector>

#include "traffic/traffic.hpp"

namespace sluice::lab {
namespace {

using Clock = std::chrono::steady_clock;

/// One connection: asks, waits for the whole answer, pauses, asks again.
class Held {
 public:
  Held(Fd fd, std::string request) : fd_(std::move(fd)), request_(std::move(request)) {}

  int fd() const { return fd_.get(); }
  bool alive() const { return error_.empty(); }
  bool waits() const { return waits_; }
  const std::string& error() const { return error_; }
  const std::string& server() const { return server_; }
  std::uint64_t answers() const { return answers_; }

  void ask() {
    waits_ = true;
    asked_ = Clock::now();
    answer_.clear();
    if (send(fd_.get(), request_.data(), request_.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request_.size()))
      error_ = std::string("ask: ") + std::strerror(errno);
  }
  void listen() {
    char buffer[4096];
    const auto got = recv(fd_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
      return;
    if (got <= 0) {
      error_ = got == 0 ? "closed" : std::strerror(errno);
      return;
    }
    answer_.append(buffer, static_cast<std::size_t>(got));
    if (is_complete())
      take_answer();
  }
  void give_up_after(Clock::duration patience) {
    if (waits_ && alive() && Clock::now() - asked_ > patience)
      error_ = "no answer";
  }

 private:
  bool is_complete() const {
    const auto body = answer_.find("\r\n\r\n");
    const auto length = answer_.find("Content-Length: ");
    std::size_t bytes = 0;
    return body != std::string::npos && length < body &&
           std::from_chars(answer_.data() + length + 16, answer_.data() + body, bytes).ec ==
               std::errc() &&
           answer_.size() >= body + 4 + bytes;
  }
  void take_answer() {
    waits_ = false;
    answers_++;
    const auto name = answer_.find("X-Backend: ");
    const auto server = name == std::string::npos
                            ? std::string("?")
                            : answer_.substr(name + 11, answer_.find("\r\n", name) - name - 11);
    if (!server_.empty() && server != server_)
      error_ = "another server answers";
    server_ = server;
  }

  Fd fd_;
  std::string request_, answer_, server_, error_;
  bool waits_ = false;
  Clock::time_point asked_;
  std::uint64_t answers_ = 0;
};

class Run {
 public:
  explicit Run(const HoldOptions& options) : options_(options) {}

  Result<boost::json::object> run() {
    const auto end = Clock::now() + options_.length;
    if (auto opened = open(); !opened)
      return fail(opened.error());
    auto round = Clock::now();
    const auto silence_begins = round + options_.interval,
               silence_ends = silence_begins + options_.silence;
    while (Clock::now() < end) {
      const bool quiet = Clock::now() >= silence_begins && Clock::now() < silence_ends;
      for (std::size_t i = 0; i < held_.size(); i++)
        if (held_[i].alive() && !held_[i].waits() && !(quiet && i < options_.silent))
          held_[i].ask();
      round += options_.interval;
      listen_until(std::min(round, end));
    }
    return report();
  }

 private:
  /// A few at a time: nobody's queue of new connections is that long.
  Result<void> open() {
    const auto request = "GET / HTTP/1.1\r\nHost: lab\r\n\r\n";
    for (std::uint32_t i = 0; i < options_.count; i++) {
      auto fd =
          connect_from(static_cast<std::uint16_t>(options_.first_port + i), options_.to, false);
      if (!fd)
        return fail(fd.error());
      held_.emplace_back(std::move(*fd), request);
      pollfd ready{held_.back().fd(), POLLOUT, 0};
      if (poll(&ready, 1, static_cast<int>(options_.connect.count())) == 1) {
        held_.back().ask();
      } else {
        held_.pop_back();
        unopened_++;
      }
    }
    listen_until(Clock::now() + std::chrono::seconds(2));
    return {};
  }
  void listen_until(Clock::time_point end) {
    while (Clock::now() < end) {
      std::vector<pollfd> waiting;
      std::vector<std::size_t> who;
      for (std::size_t i = 0; i < held_.size(); i++) {
        held_[i].give_up_after(options_.patience);
        if (held_[i].alive()) {
          waiting.push_back({held_[i].fd(), POLLIN, 0});
          who.push_back(i);
        }
      }
      if (poll(waiting.data(), waiting.size(), 50) <= 0)
        continue;
      for (std::size_t i = 0; i < waiting.size(); i++)
        if (waiting[i].revents)
          held_[who[i]].listen();
    }
  }
  boost::json::object report() const {
    std::map<std::string, std::uint64_t> servers, errors;
    std::uint64_t broken = 0, answers = 0;
    for (const auto& one : held_) {
      answers += one.answers();
      servers[one.server().empty() ? "none" : one.server()]++;
      if (!one.alive()) {
        broken++;
        errors[one.error()]++;
      }
    }
    const auto as_object = [](const auto& counts) {
      boost::json::object object;
      for (const auto& [name, count] : counts)
        object[name] = count;
      return object;
    };
    return {{"connections", held_.size() + unopened_},
            {"unopened", unopened_},
            {"broken", broken},
            {"answers", answers},
            {"errors", as_object(errors)},
            {"byServer", as_object(servers)}};
  }

  const HoldOptions& options_;
  std::vector<Held> held_;
  std::uint64_t unopened_ = 0;
};

}  // namespace

Result<boost::json::object> run_hold(const HoldOptions& options) {
  return Run(options).run();
}

}  // namespace sluice::lab
