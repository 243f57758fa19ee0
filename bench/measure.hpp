// What the benchmarks of the packet path share: options, BPF objects from files, streams of frames,
// the middle of many rounds, results as JSON.
#pragma once

#include <bpf/libbpf.h>

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bpf/drive.h"

namespace sluice::bench {

/// What the command line says; the values before are the defaults.
struct Options {
  int rounds;
  std::uint32_t packets;   ///< in each round of each case
  std::string only = ".";  ///< regular expression over the names of cases; floors always run
  std::string json = {};   ///< file for the results; empty: none
};
/// Ends the process with a usage line when it cannot read them.
Options read_options(int argc, char** argv, Options defaults);

/// Writes results to the file that --json named, if it named one.
void write_json(const Options& options, const boost::json::array& rows);

/// A loaded BPF object of bench/bpf, and its global memory.
class Object {
 public:
  /// `name`: drive or floor.
  explicit Object(const std::string& name);

  int program(const std::string& name) const;
  int map(const std::string& name) const;
  /// The memory of a global variable's section, e.g. ".bss.drive".
  template <class T>
  T* memory(const std::string& section) {
    return static_cast<T*>(map_memory(section));
  }

 private:
  struct Close {
    void operator()(bpf_object* object) const { bpf_object__close(object); }
  };
  void* map_memory(const std::string& section);

  std::unique_ptr<bpf_object, Close> object_;
  std::vector<std::pair<std::string, void*>> mapped_;
};

/// Fills the table of the stateless floor with 100 targets.
void fill_floor(Object& floor);

struct FrameOptions {
  std::string to;         ///< address; its family is the frame's
  std::string from = {};  ///< empty: the first client
  std::uint16_t from_port = 1024;
  std::uint16_t port = 80;
  bool udp = false;
  bool syn = false;
};
struct Frame {
  std::uint8_t bytes[DRIVE_FRAME]{};
  std::uint32_t length = 64;  ///< 80 for IPv6
  bool ipv6 = false;
};
/// A frame of the smallest size, its IPv4 checksum right. Clients are stamped over `from`.
Frame make_frame(const FrameOptions& options);

/// Tells the programs of drive.bpf.c what to make: the frame, from `flows` clients (a power of
/// two), in an order that starts at `seed`. `interface` is where live frames go.
void set_stream(Object& driver, const Frame& frame, std::uint32_t flows, std::uint32_t seed,
                std::uint32_t interface = 0);

/// The value below which the share `at` of them lies.
double quantile(std::vector<double> values, double at);

/// Keeps this thread on the last CPU, so that all rounds run on the same one.
void stay_on_one_cpu();

}  // namespace sluice::bench
