// Packets a second through native XDP on a veth pair with one core, beside floors measured in the
// same rounds. Generator, program under test and counting end share that core, so a figure is the
// rate of the whole way there and back: it says what a program takes away from a bare XDP_TX.
#include <bpf/bpf.h>
#include <net/if.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <regex>
#include <string>
#include <vector>

#include "balancer.hpp"
#include "base/fd.hpp"
#include "measure.hpp"

namespace {

using namespace sluice;
using namespace sluice::bench;

constexpr std::uint32_t flow_counts[] = {1, 131072, 1048576};
constexpr std::uint32_t batch = 64;  ///< frames at once, a quarter of what a veth queues

/// A veth pair. What is redirected into the far end arrives at the near one, where the program
/// under test is; what that sends back is counted at the far end.
class Pair {
 public:
  Pair(const std::string& near, const Object& floor);

  /// Puts a program at the near end, in the place of the one before.
  void attach(int program);
  std::uint32_t far() const { return far_; }

 private:
  std::uint32_t near_, far_;
  Fd near_link_, far_link_;
};

Fd attach_xdp(int program, std::uint32_t interface) {
  Fd link(bpf_link_create(program, static_cast<int>(interface), BPF_XDP, nullptr));
  if (!link)
    die("no program can be attached to a veth: " + std::string(std::strerror(errno)));
  return link;
}

Pair::Pair(const std::string& near, const Object& floor) {
  const auto far = near + "p";
  // Without an address of its own the kernel sends nothing that would be counted among the frames.
  auto commands = "ip link add " + near + " type veth peer name " + far;
  for (const auto& end : {near, far})
    commands += " && ip link set " + end + " addrgenmode none && ip link set " + end + " up";
  if (std::system(commands.c_str()))
    die("no veth pair can be made");
  near_ = if_nametoindex(near.c_str());
  far_ = if_nametoindex(far.c_str());
  far_link_ = attach_xdp(floor.program("sink"), far_);
}

void Pair::attach(int program) {
  if (!near_link_)
    near_link_ = attach_xdp(program, near_);
  else if (bpf_link_update(near_link_.get(), program, nullptr))
    die("a floor cannot be attached: " + std::string(std::strerror(errno)));
}

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

/// The generator, both pairs and the count of what arrived.
class Bench {
 public:
  Bench() { fill_floor(floor_); }

  const Object& floor() const { return floor_; }
  void round(Case& one, std::uint32_t packets, int number);

 private:
  std::uint64_t arrived();
  void send(std::uint32_t packets);

  Object driver_{"drive"}, floor_{"floor"};
  Pair subject_{"in0", floor_}, floors_{"floor0", floor_};
};

std::uint64_t Bench::arrived() {
  const auto* by_cpu = floor_.memory<std::uint64_t[8]>(".bss.arrived");
  return std::accumulate(by_cpu, by_cpu + 64, std::uint64_t{0},
                         [](std::uint64_t sum, const auto& cpu) { return sum + cpu[0]; });
}

void Bench::send(std::uint32_t packets) {
  std::uint8_t room[64]{};  // the generator writes the frame itself
  LIBBPF_OPTS(bpf_test_run_opts, options);
  options.data_in = room;
  options.data_size_in = sizeof room;
  options.repeat = static_cast<int>(packets);
  options.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
  options.batch_size = batch;
  if (bpf_prog_test_run_opts(driver_.program("generate"), &options))
    die("live frames cannot be sent: " + std::string(std::strerror(errno)));
}

void Bench::round(Case& one, std::uint32_t packets, int number) {
  constexpr useconds_t settle =
      5000;  // for what is still on its way; queues hold 0.1 ms of packets
  const auto& pair = one.floor < 0 ? subject_ : floors_;
  if (one.floor >= 0)
    floors_.attach(one.floor);
  set_stream(driver_, one.frame, one.flows, static_cast<std::uint32_t>(7 + number * 7919),
             pair.far());
  // Every flow once or more before the clock runs: flow tables are then as full as they get.
  send(std::max(packets / 4, number ? 0 : one.flows * 2));
  usleep(settle);
  const auto before = arrived();
  const auto start = std::chrono::steady_clock::now();
  send(packets);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  one.mpps.push_back(static_cast<double>(arrived() - before) / seconds.count() / 1e6);
  usleep(settle);
  one.sent += packets;
  one.lost += packets - static_cast<double>(arrived() - before);
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
  Bench bench;
  Balancer balancer("in0");
  auto all = cases(bench.floor());
  const std::regex only(options.only);
  std::erase_if(
      all, [&](const Case& one) { return one.floor < 0 && !std::regex_search(one.name, only); });
  for (int round = 0; round < options.rounds; round++)
    for (auto& one : all)
      bench.round(one, options.packets, round);
  report(all, options);
}
