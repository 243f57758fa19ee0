// A veth pair with a generator of live frames at one end and a program under test at the other:
// what the benchmarks of whole ways share. Generator, program and counting end share one core.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/fd.hpp"
#include "measure.hpp"

namespace sluice::bench {

/// A veth pair. What is redirected into the far end arrives at the near one, where the program
/// under test is; what that sends back is counted at the far end.
class Pair {
 public:
  Pair(const std::string& near, const Object& floor);

  /// Puts a program at the near end, in the place of the one before.
  void attach(int program);
  std::uint32_t far() const { return far_; }

 private:
  std::uint32_t near_, far_;
  Fd near_link_, far_link_;
};

/// What a run sent and what came back.
struct Passage {
  std::uint64_t sent = 0;
  std::uint64_t in_time = 0;  ///< that had come back when the last one was sent
  std::uint64_t arrived = 0;  ///< when the queues were empty again
  std::chrono::duration<double> seconds{};
};

/// The generator, a pair for the balancer ("in0") and one for floors.
class Wire {
 public:
  Wire() { fill_floor(floor_); }

  const Object& floor() const { return floor_; }
  Object& driver() { return driver_; }
  /// What set_stream() tells to send goes to the balancer, or to a floor's program.
  void aim(const Frame& frame, std::uint32_t flows, std::uint32_t seed, int floor_program = -1);
  /// As fast as it goes, or `interval` ns a packet apart (bursts of DRIVE_BURST packets keep to
  /// it).
  void send(std::uint32_t packets, std::uint32_t interval = 0);
  /// The same, and counts. Waits until the queues are empty, before and after.
  Passage pass(std::uint32_t packets, std::uint32_t interval = 0);

 private:
  std::uint64_t arrived();

  Object driver_{"drive"}, floor_{"floor"};
  Pair subject_{"in0", floor_}, floors_{"floor0", floor_};
};

}  // namespace sluice::bench
