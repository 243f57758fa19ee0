// What the loader's tests share: an instance and interfaces of their own, images, and looks at the
// kernel past the loader.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "dataplane/xdp/loader.hpp"
#include "model/config.hpp"
#include "model/topology.hpp"
#include "planner/plan.hpp"

namespace sluice::test {

/// "10.0.1.11" as an address; the test's own texts are right.
IpAddress ip(std::string_view text);

model::Backend backend(std::string_view address, std::uint16_t weight = 1);
model::Service service(const std::string& name, std::string_view address, std::uint16_t port,
                       const std::string& pool, model::Protocol protocol = model::Protocol::tcp);

/// A minimal TCP packet over Ethernet, 74 bytes for either family.
std::vector<std::uint8_t> tcp_packet(const IpAddress& source, const IpAddress& destination,
                                     std::uint16_t port);

/// What one run of a program gave.
struct Outcome {
  std::uint32_t verdict = 0;
  std::vector<std::uint8_t> packet;
};

class LoaderTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  void open();
  /// As when the daemon is killed: nothing is said to the kernel.
  void close() { loader_.reset(); }

  /// Makes a veth pair; the name's peer is the name with 'p' after it.
  std::uint32_t add_interface(const std::string& name, bool up = false);
  void remove_interface(const std::string& name);
  /// Of both ends, the far one first: the kernel takes no MTU that a program there has no room for.
  void set_mtu(const std::string& name, std::uint32_t mtu);
  void set_own_mtu(const std::string& name, std::uint32_t mtu);

  /// Every backend of the configuration can be reached over this interface. MTUs are as they were
  /// set.
  model::Topology topology(const model::Config& config, const std::string& way_out = "lo") const;
  /// Plans towards the configuration and applies; the plan's `after` must be what runs then.
  void apply(const model::Config& config, const model::Topology& topology);
  void apply(const model::Config& config) { apply(config, topology(config)); }
  planner::Image running();

  dataplane::xdp::PinFolder folder() const;
  std::uint32_t program_id(const std::string& interface) const;
  std::uint32_t link_id(const std::string& interface) const;
  /// @param first how much of the packet is in the first buffer, as a driver may have it that puts
  /// little more than the headers there; 0: as much as goes in
  Outcome run(const std::string& interface, const std::vector<std::uint8_t>& packet, int repeat = 1,
              std::uint32_t first = 0) const;
  /// An array map of the instance as packets meet it: what is written there is there for the next.
  template <class T>
  std::shared_ptr<T[]> mapped(const std::string& name, std::size_t count) const {
    const std::size_t bytes = count * sizeof(T);
    return {static_cast<T*>(map_memory(name, bytes)), [bytes](T* memory) {
              if (memory)
                munmap(memory, bytes);
            }};
  }
  /// The raw bytes of an array map of the instance.
  std::vector<std::uint8_t> map_bytes(const std::string& name) const;

  std::string instance_;
  std::unique_ptr<dataplane::xdp::Loader> loader_;

 private:
  void* map_memory(const std::string& name, std::size_t bytes) const;
  std::map<std::string, std::uint32_t> interfaces_;  ///< with their MTU
};

/// Nothing of `result` failed; otherwise its message is the failure.
template <class T>
testing::AssertionResult ok(const Result<T>& result) {
  if (result)
    return testing::AssertionSuccess();
  return testing::AssertionFailure() << result.error().message;
}

template <class T>
testing::AssertionResult fails_with(Code code, const Result<T>& result) {
  if (result)
    return testing::AssertionFailure() << "it succeeded";
  if (result.error().code == code)
    return testing::AssertionSuccess();
  return testing::AssertionFailure()
         << "another kind of error (" << static_cast<int>(result.error().code)
         << "): " << result.error().message;
}

}  // namespace sluice::test
