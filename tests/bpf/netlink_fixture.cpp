#include "netlink_fixture.hpp"

#include <poll.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace sluice::test {

using namespace std::chrono_literals;

const MacAddress NetlinkTest::own_mac = mac("02:00:00:00:00:02");
const MacAddress NetlinkTest::peer_mac = mac("02:00:00:00:00:11");

IpAddress ip(const std::string& text) {
  return IpAddress::parse(text).value();
}
MacAddress mac(const std::string& text) {
  return MacAddress::parse(text).value();
}

void run(const std::string& command) {
  EXPECT_EQ(std::system(command.c_str()), 0) << "failed: " << command;
}

boost::json::array json_of(const std::string& command) {
  std::string text;
  auto* pipe = popen(command.c_str(), "r");
  std::array<char, 4096> buffer;
  while (const auto size = fread(buffer.data(), 1, buffer.size(), pipe))
    text.append(buffer.data(), size);
  EXPECT_EQ(pclose(pipe), 0) << "failed: " << command;
  return text.empty() ? boost::json::array() : boost::json::parse(text).as_array();
}

void NetlinkTest::SetUp() {
  run("ip netns add peer");
  make_network();
}

void NetlinkTest::TearDown() {
  run("ip link delete eth0 2>/dev/null; ip link delete lan0 2>/dev/null; "
      "ip nexthop flush >/dev/null 2>&1; ip netns del peer");
}

void NetlinkTest::make_network() {
  run("set -e; "
      "ip link add eth0 address " +
      own_mac.to_string() + " type veth peer name eth0 address " + peer_mac.to_string() +
      " netns peer; "
      // The kernel's own link-local address would go through duplicate address detection, which
      // takes seconds; without one IPv6 neighbours are not asked for.
      "ip link set eth0 addrgenmode none; ip -n peer link set eth0 addrgenmode none; "
      "for a in 10.0.1.1/24 10.0.1.11/24; do ip -n peer address add $a dev eth0; done; "
      "for a in fe80::1/64 fd00:1::1/64 fd00:1::11/64; do ip -n peer address add $a dev eth0 "
      "nodad; done; "
      "ip -n peer link set eth0 up; ip link set eth0 up; "
      "ip address add 10.0.1.2/24 dev eth0; for a in fe80::2/64 fd00:1::2/64; do ip address add $a "
      "dev eth0 nodad; done; "
      "ip route add 10.0.9.0/24 via 10.0.1.1; ip route add fd00:9::/64 via fd00:1::1; "
      // A neighbour that is gone is found out in tenths of a second.
      "for v in 4 6; do "
      "  cd /proc/sys/net/ipv$v/neigh/eth0; echo 100 > retrans_time_ms; echo 1 > mcast_solicit; "
      "  echo 1 > ucast_solicit; echo 1 > delay_first_probe_time; "
      "done");
}

std::unique_ptr<kernel::NextHops> NetlinkTest::open_next_hops() {
  auto opened = kernel::NextHops::open();
  EXPECT_TRUE(opened) << (opened ? "" : opened.error().message);
  return opened ? std::move(*opened) : nullptr;
}

bool NetlinkTest::reaches(kernel::NextHops& next_hops,
                          const std::function<bool(const model::Topology&)>& wanted) {
  const auto deadline = std::chrono::steady_clock::now() + 30s;
  while (std::chrono::steady_clock::now() < deadline) {
    next_hops.process();
    auto topology = next_hops.topology();
    if (topology && wanted(*topology))
      return true;
    pollfd events{next_hops.fd(), POLLIN, 0};
    poll(&events, 1, 50);
  }
  return false;
}

model::NextHop NetlinkTest::way_to(kernel::NextHops& next_hops, const std::string& address) {
  auto topology = next_hops.topology();
  EXPECT_TRUE(topology) << (topology ? "" : topology.error().message);
  return topology ? topology->next_hops[ip(address)] : model::NextHop();
}

}  // namespace sluice::test
