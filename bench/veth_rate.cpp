// Packets a second through native XDP on a veth pair with one core, beside floors measured in the
// same rounds. Generator, program under test and counting end share that core, so a figure is the
// rate of the whole way there and back: it says what a program takes away from a bare XDP_TX.
#include <sys/resource.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <regex>
#include <string>
#include <vector>

#include "balancer.hpp"
#include "flows.hpp"
#include "measure.hpp"
#include "wire.hpp"

namespace {

using namespace sluice;
using namespace sluice::bench;

constexpr std::uint32_t flow_counts[] = {1, 131072, 1048576};

struct Case {
  std::string name;
  std::uint32_t flows = 1;
  int floor = -1;  ///< program; -1: the balancer
  Frame frame = make_frame({.to = vip});
  std::vector<double> mpps = {};  ///< a round each
  double sent = 0, lost = 0;      ///< packets of all rounds
};

std::vector<Case> cases(const Object& floor) {
  std::vector<Case> all = {
      {.name = "floor: drop at ingress", .floor = floor.program("floor_drop")},
      {.name = "floor: XDP_TX", .floor = floor.program("floor_tx")},
      {.name = "floor: swap MACs, XDP_TX", .floor = floor.program("floor_swap")},
  };
  const auto add = [&](const std::string& name, int program, std::uint16_t port) {
    for (const auto flows : flow_counts)
      all.push_back({name, flows, program, make_frame({.to = vip, .port = port})});
  };
  add("floor: stateless", floor.program("floor_stateless"), ipip_port);
  add("dsr-ipip", -1, ipip_port);
  add("dsr-l2", -1, l2_port);
  add("nat", -1, nat_port);
  return all;
}

void run_round(Wire& wire, Case& one, std::uint32_t packets, int number) {
  wire.aim(one.frame, one.flows, static_cast<std::uint32_t>(7 + number * 7919), one.floor);
  // Every flow once or more before the clock runs: flow tables are then as full as they get.
  wire.send(std::max(packets / 4, number ? 0 : one.flows * 2));
  const auto passage = wire.pass(packets);
  one.mpps.push_back(static_cast<double>(passage.in_time) / passage.seconds.count() / 1e6);
  one.sent += packets;
  one.lost += packets - static_cast<double>(passage.arrived);
}

void report(const std::vector<Case>& all, const Options& options) {
  const auto bare = std::ranges::find(all, "floor: XDP_TX", &Case::name);
  std::printf("%-26s %9s %8s %8s %8s %9s\n", "million packets a second", "flows", "median", "best",
              "lost, %", "x XDP_TX");
  boost::json::array rows;
  for (const auto& one : all) {
    const double median = quantile(one.mpps, 0.5), best = quantile(one.mpps, 1);
    const double ratio = median / quantile(bare->mpps, 0.5);
    const double lost = 100 * one.lost / one.sent;
    std::printf("%-26s %9u %8.2f %8.2f %8.3f %9.2f\n", one.name.c_str(), one.flows, median, best,
                lost, ratio);
    rows.push_back({{"case", one.name},
                    {"flows", one.flows},
                    {"median", median},
                    {"best", best},
                    {"lost_percent", lost},
                    {"ratio", ratio}});
  }
  write_json(options, rows);
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = read_options(argc, argv, {.rounds = 7, .packets = 1000000});
  stay_on_one_cpu();
  // A round lasts as long as many turns of the scheduler: others on this core would get into it.
  setpriority(PRIO_PROCESS, 0, -20);
  Wire wire;
  const Balancer balancer("in0");
  auto all = cases(wire.floor());
  const std::regex only(options.only);
  std::erase_if(
      all, [&](const Case& one) { return one.floor < 0 && !std::regex_search(one.name, only); });
  if (std::ranges::find(all, "nat", &Case::name) != all.end())
    establish(balancer, wire.driver(), *std::ranges::max_element(flow_counts));
  for (int round = 0; round < options.rounds; round++)
    for (auto& one : all)
      run_round(wire, one, options.packets, round);
  report(all, options);
}
