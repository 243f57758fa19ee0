// What is lost at a given rate through native XDP on a veth pair, and what a packet takes in the
// program meanwhile by the kernel's own statistics. Generator, program and counting end share one
// core, as in veth_rate.cpp: a rate that this core cannot offer is shown as not reached.
#include <bpf/bpf.h>
#include <sys/resource.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <cstring>
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

constexpr std::uint32_t rates[] = {1000000, 5000000, 10000000};  ///< packets a second
constexpr std::uint32_t flows = 1024;
/// Short of the wanted rate by more than this share is "not reached".
constexpr double short_of = 0.02;

struct Case {
  std::string name;
  Frame frame;
  std::uint32_t rate;
  double sent = 0, arrived = 0, seconds = 0;  ///< of all rounds
  double nanoseconds = 0, runs = 0;  ///< in the program, of the rounds that the kernel counted
};

/// The kernel's account of a program: it keeps one only while a descriptor of bpf_enable_stats()
/// is open, and that costs every packet some 70 ns.
struct Account {
  double nanoseconds, runs;
};
Account account_of(int program) {
  bpf_prog_info info{};
  __u32 size = sizeof info;
  if (bpf_obj_get_info_by_fd(program, &info, &size))
    die("the program's statistics cannot be read: " + std::string(std::strerror(errno)));
  return {static_cast<double>(info.run_time_ns), static_cast<double>(info.run_cnt)};
}

void run_round(Wire& wire, const Balancer& balancer, Case& one, std::uint32_t packets, int number) {
  const auto interval = static_cast<std::uint32_t>(1000000000 / one.rate);
  wire.aim(one.frame, flows, static_cast<std::uint32_t>(7 + number * 7919));
  wire.send(flows * 2);
  const auto passage = wire.pass(packets, interval);
  one.sent += static_cast<double>(passage.sent);
  one.arrived += static_cast<double>(passage.arrived);
  one.seconds += passage.seconds.count();
  const Fd counting(bpf_enable_stats(BPF_STATS_RUN_TIME));
  if (!counting)
    die("the kernel keeps no statistics of programs: " + std::string(std::strerror(errno)));
  const auto before = account_of(balancer.program());
  wire.pass(packets / 4, interval);
  const auto after = account_of(balancer.program());
  one.nanoseconds += after.nanoseconds - before.nanoseconds;
  one.runs += after.runs - before.runs;
}

void report(const std::vector<Case>& all, const Options& options) {
  std::printf("%-10s %11s %13s %13s %10s %8s %14s  %s\n", "case", "wanted, Mpps", "offered, Mpps",
              "received, Mpps", "lost", "lost, %", "ns by kernel", "rate");
  boost::json::array rows;
  for (const auto& one : all) {
    const double wanted = one.rate / 1e6, offered = one.sent / one.seconds / 1e6;
    const double received = one.arrived / one.seconds / 1e6, lost = one.sent - one.arrived;
    const bool reached = offered >= wanted * (1 - short_of);
    const double ns = one.nanoseconds / one.runs;
    std::printf("%-10s %11.0f %14.2f %14.2f %10.0f %8.4f %14.0f  %s\n", one.name.c_str(), wanted,
                offered, received, lost, 100 * lost / one.sent, ns,
                reached ? "reached" : "not reached");
    rows.push_back({{"case", one.name},
                    {"wanted_mpps", wanted},
                    {"offered_mpps", offered},
                    {"received_mpps", received},
                    {"lost", lost},
                    {"sent", one.sent},
                    {"kernel_ns", ns},
                    {"reached", reached}});
  }
  write_json(options, rows);
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = read_options(argc, argv, {.rounds = 5, .packets = 2000000});
  stay_on_one_cpu();
  // A round lasts as long as many turns of the scheduler: others on this core would get into it.
  setpriority(PRIO_PROCESS, 0, -20);
  Wire wire;
  const Balancer balancer("in0");
  establish(balancer, wire.driver(), flows);
  std::vector<Case> all;
  for (const auto& [name, port] :
       {std::pair{"dsr-ipip", ipip_port}, {"dsr-l2", l2_port}, {"nat", nat_port}})
    if (std::regex_search(name, std::regex(options.only)))
      for (const auto rate : rates)
        all.push_back({name, make_frame({.to = vip, .port = port}), rate});
  for (int round = 0; round < options.rounds; round++)
    for (auto& one : all)
      run_round(wire, balancer, one, options.packets, round);
  report(all, options);
}
