// What a packet costs in the program: ns above the driver's own cost, beside floors measured in the
// same rounds.
#include <bpf/bpf.h>

#include <boost/json.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <regex>
#include <string>
#include <vector>

#include "balancer.hpp"
#include "flows.hpp"
#include "measure.hpp"

namespace {

using namespace sluice;
using namespace sluice::bench;

struct Case {
  std::string name;
  std::uint32_t flows = 1;
  int program = -1;  ///< -1: the driver alone
  Frame frame;
  bool listed = false;  ///< its flows are the list of nat replies
  model::RateLimitSettings limits = {};
  std::vector<double> ns = {};  ///< a round each, the driver's cost in it
  std::uint32_t verdict = 0, length = 0;
};

/// `flows` of a case with four counts of them: 1, 1k, 128k, 1M.
constexpr std::uint32_t flow_counts[] = {1, 1024, 131072, 1048576};
constexpr std::uint32_t tracked_flows = 131072;

std::vector<Case> cases(const Balancer& balancer, const Object& floor) {
  const Frame plain = make_frame({.to = vip});
  std::vector<Case> all = {
      {"driver", 1, -1, plain},
      {"driver, IPv6", 1, -1, make_frame({.to = vip6})},
      {"floor: XDP_TX", 1, floor.program("floor_tx"), plain},
      {"floor: swap MACs, XDP_TX", 1, floor.program("floor_swap"), plain},
  };
  const auto add = [&](const std::string& name, int program, const FrameOptions& options) {
    for (const auto flows : flow_counts)
      all.push_back({name, flows, program, make_frame(options)});
  };
  const int subject = balancer.program();
  add("floor: stateless", floor.program("floor_stateless"), {.to = vip});
  add("dsr-ipip", subject, {.to = vip, .port = ipip_port});
  add("dsr-ipip, SYN", subject, {.to = vip, .port = ipip_port, .syn = true});
  add("dsr-ipip, UDP", subject, {.to = vip, .port = ipip_port, .udp = true});
  add("dsr-ipip, IPv6", subject, {.to = vip6, .port = ipip_port});
  add("dsr-l2", subject, {.to = vip, .port = l2_port});
  add("dsr-l2, IPv6", subject, {.to = vip6, .port = l2_port});
  // Beside a million nat flows there is no room for as many others.
  for (const auto flows : flow_counts)
    if (flows <= tracked_flows)
      all.push_back(
          {"dsr-ipip, tracked", flows, subject, make_frame({.to = vip, .port = tracked_port})});
  add("nat", subject, {.to = vip, .port = nat_port});
  add("nat, reply", subject, {.to = nat_source, .from = "10.82.0.1"});
  for (auto& one : all)
    one.listed = one.name == "nat, reply";
  add("nat, IPv6", subject, {.to = vip6, .port = nat_port});
  // Deep enough to let all through; below two million packets a second a CPU takes one at a time.
  const auto limited = [&](const std::string& name, std::uint16_t port,
                           const model::RateLimitSettings& limits) {
    all.push_back({.name = name,
                   .flows = 1024,
                   .program = subject,
                   .frame = make_frame({.to = vip, .port = port}),
                   .limits = limits});
  };
  limited("dsr-ipip, limit", ipip_port, {.packetsPerSecond = 1'900'000, .burst = 100'000'000});
  limited("dsr-ipip, limit of 10M", ipip_port,
          {.packetsPerSecond = 10'000'000, .burst = 100'000'000});
  limited("dsr-ipip, beyond it", ipip_port, {.packetsPerSecond = 1, .burst = 1});
  limited("dsr-ipip, backend limit", ipip_port,
          {.perBackend = {.packetsPerSecond = 1'900'000, .burst = 100'000'000}});
  limited("nat, limit", nat_port, {.packetsPerSecond = 1'900'000, .burst = 100'000'000});
  all.push_back({"not a service", 1024, subject, make_frame({.to = "203.0.113.77", .port = 4242})});
  all.push_back(
      {"not a service, IPv6", 1024, subject, make_frame({.to = "2001:db8:9::77", .port = 4242})});
  return all;
}

/// One run of a case: the driver over its flows, `packets` times. Returns ns a packet.
double run(Object& driver, Case& one, std::uint32_t packets, std::uint32_t seed) {
  const std::uint32_t zero = 0;
  if (one.program < 0)
    bpf_map_delete_elem(driver.map("under_test"), &zero);
  else if (bpf_map_update_elem(driver.map("under_test"), &zero, &one.program, BPF_ANY))
    die("the driver cannot call the program of '" + one.name + "'");
  set_stream(driver, one.frame, one.flows, seed);
  std::uint8_t out[512];
  LIBBPF_OPTS(bpf_test_run_opts, options);
  options.data_in = one.frame.bytes;
  options.data_size_in = one.frame.length;
  options.data_out = out;
  options.data_size_out = sizeof out;
  options.repeat = static_cast<int>(packets);
  if (bpf_prog_test_run_opts(driver.program(one.listed       ? "drive_listed_ipv4"
                                            : one.frame.ipv6 ? "drive_ipv6"
                                                             : "drive_ipv4"),
                             &options))
    die("'" + one.name + "' cannot be run: " + std::strerror(errno));
  one.verdict = options.retval;
  one.length = options.data_size_out;
  return options.duration;
}

/// The cost above the driver's, at a quantile of the rounds.
double net(const Case& one, const std::vector<Case>& all, double at) {
  const auto& driver = all[one.frame.ipv6 ? 1 : 0];
  return quantile(one.ns, at) - quantile(driver.ns, at);
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = read_options(argc, argv, {.rounds = 9, .packets = 500000});
  if (std::system("ip link add in0 type veth peer name in0p"))
    die("no veth pair can be made");
  stay_on_one_cpu();
  Balancer balancer("in0");
  Object driver("drive"), floor("floor");
  fill_floor(floor);
  auto all = cases(balancer, floor);
  const std::regex only(options.only);
  std::erase_if(all, [&](const Case& one) {
    return !one.name.starts_with("driver") && !one.name.starts_with("floor") &&
           !std::regex_search(one.name, only);
  });
  if (std::ranges::any_of(all, [](const Case& one) { return one.name == "dsr-ipip, tracked"; }))
    establish_tracked(balancer, driver, tracked_flows);
  if (std::ranges::any_of(all, [](const Case& one) { return one.name.starts_with("nat"); }))
    std::ranges::copy(establish(balancer, driver, flow_counts[3]),
                      driver.memory<drive_flow>(".bss.listed"));
  for (int round = 0; round < options.rounds; round++)
    for (auto& one : all) {
      const auto seed = static_cast<std::uint32_t>(7 + round * 7919);
      balancer.limit(one.limits);
      // Every flow once or more before the clock runs: flow tables are then as full as they get.
      run(driver, one, std::max(options.packets / 4, round ? 0 : one.flows * 2), seed);
      one.ns.push_back(run(driver, one, options.packets, seed));
    }

  const char* verdicts[] = {"aborted", "drop", "pass", "tx", "redirect"};
  const auto stateless = std::ranges::find(all, "floor: stateless", &Case::name);
  std::printf("%-26s %9s %8s %8s %8s %9s  %s\n", "ns a packet", "flows", "median", "p25", "p10",
              "x floor", "verdict, bytes");
  boost::json::array rows;
  for (const auto& one : all) {
    const bool driver_itself = one.name.starts_with("driver");
    const auto figure = [&](double at) {
      return driver_itself ? quantile(one.ns, at) : net(one, all, at);
    };
    const double ratio = driver_itself ? 0 : figure(0.25) / net(*stateless, all, 0.25);
    std::printf("%-26s %9u %8.1f %8.1f %8.1f %9.2f  %s, %u\n", one.name.c_str(), one.flows,
                figure(0.5), figure(0.25), figure(0.1), ratio, verdicts[one.verdict], one.length);
    rows.push_back({{"case", one.name},
                    {"flows", one.flows},
                    {"median", figure(0.5)},
                    {"p25", figure(0.25)},
                    {"p10", figure(0.1)},
                    {"ratio", ratio},
                    {"verdict", verdicts[one.verdict]}});
  }
  write_json(options, rows);
}
