// How long a loop over random inputs goes on, and what it says meanwhile.
#pragma once

#include <chrono>
#include <cstdio>

#include "comparison.hpp"

namespace sluice::fuzz {

class Watch {
 public:
  /// @param seconds to go on for; 0: until `packets` frames were run
  Watch(std::uint64_t seconds, std::uint64_t packets) : seconds_(seconds), packets_(packets) {}

  double passed() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }
  /// Prints the figures once a minute.
  bool goes_on(const Figures& figures) {
    if (passed() > said_ + 60) {
      said_ = passed();
      std::printf("%.0f s: %s\n", said_, figures.text().c_str());
      std::fflush(stdout);
    }
    return seconds_ ? passed() < static_cast<double>(seconds_) : figures.executions < packets_;
  }

 private:
  std::uint64_t seconds_, packets_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  double said_ = 0;
};

}  // namespace sluice::fuzz
