// A network to look at: this namespace's eth0 is a veth whose far end, eth0 too, is in the
// namespace `peer`, which answers for backends and gateways.
#pragma once

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <functional>
#include <memory>
#include <string>

#include "kernel/next_hops.hpp"
#include "kernel/rtnetlink.hpp"

namespace sluice::test {

IpAddress ip(const std::string& text);
MacAddress mac(const std::string& text);

/// Runs a shell command; a failure fails the test.
void run(const std::string& command);
/// What a command prints: a JSON array, or nothing.
boost::json::array json_of(const std::string& command);

class NetlinkTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  /// Makes eth0 with 10.0.1.2/24 and fd00:1::2/64, and the peer with .1 and .11 (::1 and ::11);
  /// 10.0.9.0/24 and fd00:9::/64 are behind the peer's .1 and ::1.
  static void make_network();

  /// Opens what is tested; fails the test if that fails.
  std::unique_ptr<kernel::NextHops> open_next_hops();

  /// Handles events until the topology is as wanted. False if that takes longer than any sound
  /// kernel needs.
  static bool reaches(kernel::NextHops& next_hops,
                      const std::function<bool(const model::Topology&)>& wanted);

  static model::NextHop way_to(kernel::NextHops& next_hops, const std::string& address);

  static const MacAddress own_mac, peer_mac;
};

}  // namespace sluice::test
