#include "wire.hpp"

#include <bpf/bpf.h>
#include <net/if.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <numeric>

#include "balancer.hpp"

namespace sluice::bench {

namespace {

constexpr std::uint32_t batch = 64;  ///< frames at once, a quarter of what a veth queues
constexpr useconds_t settle =
    5000;  ///< for what is still on its way; queues hold 0.1 ms of packets

Fd attach_xdp(int program, std::uint32_t interface) {
  Fd link(bpf_link_create(program, static_cast<int>(interface), BPF_XDP, nullptr));
  if (!link)
    die("no program can be attached to a veth: " + std::string(std::strerror(errno)));
  return link;
}

}  // namespace

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

void Wire::aim(const Frame& frame, std::uint32_t flows, std::uint32_t seed, int floor_program) {
  if (floor_program >= 0)
    floors_.attach(floor_program);
  set_stream(driver_, frame, flows, seed, (floor_program < 0 ? subject_ : floors_).far());
}

std::uint64_t Wire::arrived() {
  const auto* by_cpu = floor_.memory<std::uint64_t[8]>(".bss.arrived");
  return std::accumulate(by_cpu, by_cpu + 64, std::uint64_t{0},
                         [](std::uint64_t sum, const auto& cpu) { return sum + cpu[0]; });
}

void Wire::send(std::uint32_t packets, std::uint32_t interval) {
  auto& drive = *driver_.memory<struct drive>(".bss.drive");
  drive.interval = interval;
  drive.due = drive.burst = 0;
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

Passage Wire::pass(std::uint32_t packets, std::uint32_t interval) {
  usleep(settle);
  Passage passage{.sent = packets};
  const auto before = arrived();
  const auto start = std::chrono::steady_clock::now();
  send(packets, interval);
  passage.seconds = std::chrono::steady_clock::now() - start;
  passage.in_time = arrived() - before;
  usleep(settle);
  passage.arrived = arrived() - before;
  return passage;
}

}  // namespace sluice::bench
