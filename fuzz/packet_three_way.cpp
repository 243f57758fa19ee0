// Program on the host, the same in the kernel, and the model: all three must agree on every frame,
// and the programs on every byte that they remember. Needs root; run it by tests/isolate.
// packet_three_way OBJECT [--seconds N] [--packets N] [--seed N] [--world N]
#include <bpf/libbpf.h>

#include <cstdio>
#include <cstdlib>
#include <exception>

#include "kernel_program.hpp"
#include "random_input.hpp"
#include "watch.hpp"

namespace {

using namespace sluice::fuzz;

int run(const char* object, std::uint64_t seconds, std::uint64_t packets, std::uint64_t seed,
        std::optional<std::uint8_t> world) {
  KernelProgram kernel(object);
  Comparison comparison(&kernel);
  Watch watch(seconds, packets);
  for (auto next = seed << 32; watch.goes_on(comparison.figures()); next++) {
    const auto input = random_input(next, seconds ? 20000 : 5000, world);
    auto complaint = comparison.run(input);
    if (complaint.empty())
      complaint = comparison.compare_counters();
    if (!complaint.empty()) {
      std::puts(reproducer(input, complaint).c_str());
      return 1;
    }
  }
  std::printf("kernel, host and model agree: %s, %.0f a second\n",
              comparison.figures().text().c_str(),
              static_cast<double>(comparison.figures().executions) / watch.passed());
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) {
    std::fprintf(
        stderr,
        "usage: packet_three_way OBJECT [--seconds N] [--packets N] [--seed N] [--world N]\n");
    return 2;
  }
  std::uint64_t seconds = 0, packets = 60'000, seed = 1;
  std::optional<std::uint8_t> world;
  for (int i = 2; i + 1 < count; i += 2) {
    const std::string name = arguments[i];
    if (name == "--world")
      world = static_cast<std::uint8_t>(std::strtoul(arguments[i + 1], nullptr, 10));
    else
      (name == "--seconds"   ? seconds
       : name == "--packets" ? packets
                             : seed) = std::strtoull(arguments[i + 1], nullptr, 10);
  }
  libbpf_set_print(nullptr);
  try {
    return run(arguments[1], seconds, packets, seed, world);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "packet_three_way: %s\n", error.what());
    return 1;
  }
}
