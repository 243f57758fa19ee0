// One balancer with services of every kind, and cases that say what becomes of a packet.
#pragma once

#include <optional>
#include <string>

#include "loader_fixture.hpp"
#include "packet.hpp"

namespace sluice::test {

inline constexpr const char *client = "192.0.2.7", *client6 = "2001:db8::7";
inline constexpr const char *vip = "10.0.0.100", *vip6 = "fd00:100::100";
inline constexpr const char *source = "10.0.1.2", *source6 = "fd00:1::2";  ///< what nat sends from
inline constexpr MacAddress router_mac{{2, 0, 0, 0, 9, 9}}, balancer_mac{{2, 0, 0, 0, 9, 1}};
inline constexpr MacAddress out_mac{{2, 0, 0, 0, 0, 1}};  ///< of the way out

/// The MAC that the fixture's topology gives a backend.
MacAddress mac_of(std::string_view backend);

/// Ports of the services; each has one backend, so that the way of a packet is known beforehand.
enum Port : std::uint16_t {
  nat_port = 80,        ///< 10.0.1.11, fd00:1::11
  l2_port = 81,         ///< 10.0.1.21, fd00:1::21
  ipip_port = 82,       ///< 10.0.1.31, fd00:1::31
  ipip6_port = 83,      ///< fd00:1::31 for IPv4 too
  other_nat_port = 84,  ///< 10.0.1.12 and fd00:1::12, port 8080
  keep_port = 85,       ///< 10.0.1.41, fd00:1::41, client's address kept
  empty_port = 86,      ///< a pool without backends
  lost_port = 87,       ///< 10.0.1.51, fd00:1::51: no MAC
  small_port = 88,      ///< dsr-ipip to 10.0.1.61, fd00:1::61: MTU 200
  small_nat_port = 89,  ///< nat to the same
  no_port = 90,         ///< no service
  keep2_port = 91,      ///< 10.0.1.42, fd00:1::42, client address kept
};

struct Case {
  std::string name;
  Packet in;
  std::string verdict;  ///< "forward": tx or redirect, as the way out lies
  std::string reason;
  std::optional<Packet> out;  ///< absent: the packet is left as it was
};

/// The parameter: does the way out lead through the interface on which packets arrive?
class PacketTest : public LoaderTest, public testing::WithParamInterface<bool> {
 protected:
  void SetUp() override;
  /// Of both interfaces. What is larger than a page gets the multi-buffer variant of the program.
  virtual std::uint32_t mtu() const { return 1500; }

  bool one_armed() const { return GetParam(); }
  /// Is the program at both interfaces? With one arm the other one is rarely met, and loading the
  /// program is what most of a test's time goes into.
  virtual bool on_both() const { return !one_armed(); }
  const char* way_out() const { return one_armed() ? "in0" : "out0"; }
  std::string forwarded() const { return one_armed() ? "tx" : "redirect"; }

  /// Runs a packet through the program; exactly one counter must move, by one packet and by its
  /// bytes, and be of this verdict and reason.
  Bytes send(const Bytes& packet, const std::string& verdict, const std::string& reason,
             const std::string& interface = "in0");
  void check(const Case& one);
  /// How much of each packet is in the first buffer from here on; 0: as much as goes in.
  std::uint32_t first_buffer_ = 0;
  void check(const std::vector<Case>& cases) {
    for (const auto& one : cases)
      check(one);
  }
  /// Counts by "interface verdict reason".
  std::map<std::string, dataplane::Count> verdicts();
  dataplane::Traffic service(std::uint16_t port, model::Protocol protocol = model::Protocol::tcp,
                             const char* address = vip);

  model::Config config_;
  model::Topology topology_;
};

/// A frame as the router sends it to the balancer.
Packet from_router();
/// A frame as it leaves towards a backend.
Packet to_backend(std::string_view backend);

#define SLUICE_BOTH_ARMS(suite)                                                                    \
  INSTANTIATE_TEST_SUITE_P(Arms, suite, testing::Bool(), [](const auto& instance) {                \
    return std::string(instance.param ? "OneArmed" : "TwoArmed");                                  \
  })

}  // namespace sluice::test
