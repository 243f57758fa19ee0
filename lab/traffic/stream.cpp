// Datagrams at a steady pace that nobody answers: what a rate limit is measured with.
#include <sched.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <cstring>
#include <thread>
#include <vector>

#include "traffic/traffic.hpp"

namespace sluice::lab {
namespace {

using Clock = std::chrono::steady_clock;

/// A veth's receive ring holds 256 frames.
constexpr std::uint32_t most_at_once = 64;

Result<void> stay_on(int cpu) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  if (sched_setaffinity(0, sizeof one, &one) != 0)
    return fail(Code::invalid,
                "CPU " + std::to_string(cpu) + " cannot be used: " + std::strerror(errno));
  return {};
}

}  // namespace

Result<boost::json::object> run_stream(const StreamOptions& options) {
  if (options.cpu >= 0)
    if (auto there = stay_on(options.cpu); !there)
      return fail(there.error());
  std::vector<Fd> sockets;
  for (std::uint32_t i = 0; i < options.flows; i++) {
    auto socket =
        connect_from(static_cast<std::uint16_t>(options.first_port + i), options.to, true);
    if (!socket)
      return fail(socket.error());
    sockets.push_back(std::move(*socket));
  }
  const std::string payload(32, 'x');
  const auto start = Clock::now();
  std::uint32_t sent = 0, failed = 0;
  while (sent + failed < options.count) {
    const std::chrono::duration<double> gone = Clock::now() - start;
    const auto due =
        std::min(options.count, static_cast<std::uint32_t>(gone.count() * options.rate));
    for (std::uint32_t i = 0; i < most_at_once && sent + failed < due; i++) {
      const auto& socket = sockets[(sent + failed) % sockets.size()];
      if (send(socket.get(), payload.data(), payload.size(), MSG_DONTWAIT) < 0)
        failed++;
      else
        sent++;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  const std::chrono::duration<double> took = Clock::now() - start;
  return boost::json::object{{"sent", sent}, {"failed", failed}, {"seconds", took.count()}};
}

}  // namespace sluice::lab
