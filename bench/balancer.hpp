// A whole balancer for benchmarks: services of every kind with 100 backends each, loaded and
// attached through the loader, as the daemon does it. Runs in a namespace and bpffs of its own
// (tests/isolate).
#pragma once

#include <memory>
#include <string>

#include "base/fd.hpp"
#include "dataplane/xdp/loader.hpp"
#include "model/config.hpp"
#include "model/topology.hpp"

namespace sluice::bench {

inline constexpr const char *vip = "10.0.0.1", *vip6 = "2001:db8:1::1";
inline constexpr const char* nat_source = "10.0.1.2";

/// Ports of the services on both VIPs, TCP and UDP. Backends are of the VIP's family unless said
/// otherwise.
enum Port : std::uint16_t {
  ipip_port = 80,
  l2_port = 81,
  nat_port = 82,
  tracked_port = 83,  ///< dsr-ipip whose flows are all remembered
};

/// Writes what went wrong to standard error and ends the process with 1.
[[noreturn]] void die(const std::string& what);

/// The result's value, or the end.
template <class T>
T must(Result<T> result) {
  if (!result)
    die(result.error().message);
  if constexpr (!std::is_void_v<T>)
    return std::move(*result);
}

class Balancer {
 public:
  /// Attaches to `interface`, which is also the way out to all backends.
  explicit Balancer(const std::string& interface);
  ~Balancer();
  Balancer(const Balancer&) = delete;

  /// The attached program.
  int program() const { return program_.get(); }
  dataplane::xdp::Loader& loader() { return *loader_; }
  /// Sets the rate limits; the default is none.
  void limit(const model::RateLimitSettings& limits);
  /// A pinned map of the instance, e.g. ".bss.flows".
  Fd map(const std::string& name) const;

 private:
  void apply(const model::Config& config);

  std::string instance_, interface_;
  model::RateLimitSettings limits_;
  std::unique_ptr<dataplane::xdp::Loader> loader_;
  Fd program_;
};

}  // namespace sluice::bench
