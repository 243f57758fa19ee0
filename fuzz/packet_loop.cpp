// The program on the host against the model, as many frames as time allows: no sanitizers, inputs
// from a seed. packet_loop [--seconds N] [--packets N] [--seed N] [--world N] [--input FILE]
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "comparison.hpp"
#include "random_input.hpp"
#include "watch.hpp"

namespace {

using namespace sluice::fuzz;

int fail(Comparison& comparison, const Input& input, std::string complaint) {
  std::printf("%s\nlooking for a shorter input\n", complaint.c_str());
  std::fflush(stdout);
  const auto shorter = shortened(comparison, input);
  if (auto again = comparison.run(shorter); !again.empty())
    complaint = again;
  std::puts(reproducer(shorter, complaint).c_str());
  return 1;
}

}  // namespace

int main(int count, char** arguments) {
  std::uint64_t seconds = 0, packets = 1'000'000, seed = 1;
  std::optional<std::uint8_t> world;
  std::string file;
  for (int i = 1; i + 1 < count; i += 2) {
    const std::string name = arguments[i];
    if (name == "--input")
      file = arguments[i + 1];
    else if (name == "--world")
      world = static_cast<std::uint8_t>(std::strtoul(arguments[i + 1], nullptr, 10));
    else
      (name == "--seconds"   ? seconds
       : name == "--packets" ? packets
                             : seed) = std::strtoull(arguments[i + 1], nullptr, 10);
  }
  Comparison comparison;
  if (!file.empty()) {
    std::ifstream stream(file, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(stream), {}};
    const auto complaint = comparison.run(
        Input::from({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}));
    std::puts(complaint.empty() ? "they agree" : complaint.c_str());
    return !complaint.empty();
  }
  Watch watch(seconds, packets);
  for (auto next = seed << 32; watch.goes_on(comparison.figures()); next++) {
    // Short ones begin anew more often, long ones remember more.
    const auto input = random_input(next, next % 8 ? 2000 : 20000, world);
    if (const auto complaint = comparison.run(input); !complaint.empty())
      return fail(comparison, input, complaint);
    if (next % 16 == 0)
      if (const auto complaint = comparison.compare_counters(); !complaint.empty())
        return fail(comparison, input, complaint);
  }
  if (const auto complaint = comparison.compare_counters(); !complaint.empty()) {
    std::puts(complaint.c_str());
    return 1;
  }
  std::printf("host and model agree: %s, %.0f a second\n", comparison.figures().text().c_str(),
              static_cast<double>(comparison.figures().executions) / watch.passed());
  return 0;
}
