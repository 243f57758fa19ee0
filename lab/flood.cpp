// sluice-lab-flood: numbered packets as fast as the way takes them, and a count of every number at
// its end.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <arpa/inet.h>
#include <array>
#include <atomic>
#include <bit>
#include <boost/json.hpp>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <memory>
#include <string>
#include <thread>

#include "base/address.hpp"
#include "base/fd.hpp"
#include "base/result.hpp"
#include "flood.h"

namespace {

using namespace sluice;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

/// What one call to the kernel makes: half a second of them, so that the end is heard.
constexpr int frames_at_once = 1 << 19;

volatile std::sig_atomic_t ends = 0;

struct Options {
  std::string from, to;  ///< NAMESPACE:INTERFACE
  std::string mac;       ///< of the balancer's interface
  Endpoint target;
  std::chrono::seconds limit{60};
  std::uint32_t window = 192;
};

constexpr const char* usage =
    "sluice-lab-flood --from NAMESPACE:INTERFACE --to NAMESPACE:INTERFACE --mac MAC --target "
    "ADDRESS:PORT [--seconds N] [--window N]\n"
    "Sends numbered UDP packets out of an interface, to the port and the next one by turns, until "
    "SIGTERM or for N seconds, and counts\nevery number that arrives at the other interface.\n";

/// Both namespaces are those of `ip netns`.
Result<std::uint32_t> enter(const std::string& place) {
  const auto colon = place.find(':');
  const auto space = "/run/netns/" + place.substr(0, colon);
  const Fd fd(open(space.c_str(), O_RDONLY | O_CLOEXEC));
  if (colon == std::string::npos || !fd || setns(fd.get(), CLONE_NEWNET))
    return fail(Code::not_found, "there is no namespace for " + place);
  const auto index = if_nametoindex(place.substr(colon + 1).c_str());
  if (index == 0)
    return fail(Code::not_found, "there is no interface " + place);
  return index;
}

struct CloseObject {
  void operator()(bpf_object* object) const { bpf_object__close(object); }
};

class Flood {
 public:
  static Result<std::unique_ptr<Flood>> open(const Options& options) {
    auto flood = std::unique_ptr<Flood>(new Flood);
    flood->object_.reset(bpf_object__open_file(SLUICE_LAB_OBJECTS "/flood.bpf.o", nullptr));
    if (!flood->object_ || bpf_object__load(flood->object_.get()))
      return fail(Code::kernel, "the kernel refuses flood.bpf.o");
    flood->flood_ = flood->memory<struct flood>(".bss.flood");
    flood->arrived_ = flood->memory<flood_arrived>(".bss.arrived");
    if (!flood->flood_ || !flood->arrived_)
      return fail(Code::kernel, "the flood's memory cannot be mapped");

    auto end = enter(options.to);
    if (!end)
      return fail(end.error());
    flood->link_ = Fd(
        bpf_link_create(flood->program("flood_receive"), static_cast<int>(*end), BPF_XDP, nullptr));
    if (!flood->link_)
      return fail(Code::kernel, options.to + " takes no program: " + std::strerror(errno));
    auto begin = enter(options.from);
    if (!begin)
      return fail(begin.error());
    flood->flood_->interface = *begin;
    flood->flood_->window = options.window;
    flood->flood_->last = FLOOD_NUMBERS;
    if (auto made = flood->write_frame(options); !made)
      return fail(made.error());
    return flood;
  }

  Result<boost::json::object> run(std::chrono::seconds limit) {
    const auto begin = Clock::now();
    while (!ends && Clock::now() < begin + limit && flood_->sent < flood_->last)
      if (auto sent = send(); !sent)
        return fail(sent.error());
    const std::chrono::duration<double> seconds = Clock::now() - begin;
    std::this_thread::sleep_for(300ms);  // for what is still on its way
    return report(seconds.count());
  }

 private:
  Flood() = default;

  int program(const char* name) const {
    const auto* program = bpf_object__find_program_by_name(object_.get(), name);
    return program ? bpf_program__fd(program) : -1;
  }
  template <class T>
  T* memory(const char* section) const {
    const auto* map = bpf_object__find_map_by_name(object_.get(), section);
    void* address = map ? mmap(nullptr, bpf_map__value_size(map), PROT_READ | PROT_WRITE,
                               MAP_SHARED, bpf_map__fd(map), 0)
                        : MAP_FAILED;
    return address == MAP_FAILED ? nullptr : static_cast<T*>(address);
  }

  Result<void> write_frame(const Options& options) {
    auto* b = flood_->frame;
    std::array<unsigned, 6> mac{};
    if (std::sscanf(options.mac.c_str(), "%x:%x:%x:%x:%x:%x", &mac[0], &mac[1], &mac[2], &mac[3],
                    &mac[4], &mac[5]) != 6)
      return fail(Code::invalid, "--mac is no MAC address");
    for (std::size_t i = 0; i < 6; i++)
      b[i] = static_cast<std::uint8_t>(mac[i]);
    b[6] = 2;  // a sender that nobody else is
    b[12] = 0x08;
    b[14] = 0x45;
    b[17] = FLOOD_FRAME - 14;
    b[22] = 64;
    b[23] = 17;
    inet_pton(AF_INET, "10.9.1.2", b + 26);
    const auto target = options.target.address.bytes();
    std::memcpy(b + 30, target.data() + 12, 4);
    std::uint32_t sum = 0;
    for (int i = 14; i < 34; i += 2)
      sum += static_cast<std::uint32_t>(b[i] << 8 | b[i + 1]);
    sum = ~((sum & 0xffff) + (sum >> 16));
    b[24] = static_cast<std::uint8_t>(sum >> 8);
    b[25] = static_cast<std::uint8_t>(sum);
    b[36] = static_cast<std::uint8_t>(options.target.port >> 8);
    b[37] = static_cast<std::uint8_t>(options.target.port);
    b[39] = FLOOD_FRAME - 34;  // and no checksum, which IPv4 allows
    return {};
  }

  Result<void> send() {
    std::uint8_t room[64]{};
    LIBBPF_OPTS(bpf_test_run_opts, options);
    options.data_in = room;
    options.data_size_in = sizeof room;
    options.repeat = frames_at_once;
    options.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
    options.batch_size = 128;
    if (bpf_prog_test_run_opts(program("flood_send"), &options) && errno != EINTR)
      return fail(Code::kernel, std::string("live frames cannot be sent: ") + std::strerror(errno));
    return {};
  }

  Result<boost::json::object> report(double seconds) const {
    const auto* seen = memory<std::uint64_t>(".bss.seen");
    if (!seen)
      return fail(Code::kernel, "what arrived cannot be mapped");
    std::uint64_t distinct = 0;
    for (std::uint32_t i = 0; i < FLOOD_NUMBERS / 64; i++)
      distinct += static_cast<std::uint64_t>(std::popcount(seen[i]));
    boost::json::array lost;  // the first ones, to find them again
    for (std::uint64_t number = 0; number < flood_->sent && lost.size() < 10; number++)
      if (!(seen[number / 64] >> (number & 63) & 1))
        lost.push_back(number);
    return boost::json::object{
        {"sent", flood_->sent},
        {"arrived", distinct},
        {"missing", flood_->sent - distinct},
        {"firstMissing", lost},
        {"twice", arrived_->again},
        {"strange", arrived_->strange},
        {"windowFull", flood_->held},
        {"seconds", seconds},
        {"perSecond", static_cast<std::uint64_t>(static_cast<double>(flood_->sent) / seconds)}};
  }

  std::unique_ptr<bpf_object, CloseObject> object_;
  struct flood* flood_ = nullptr;
  flood_arrived* arrived_ = nullptr;
  Fd link_;
};

Result<Options> read_options(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i], value = argv[i + 1];
    if (name == "--from")
      options.from = value;
    else if (name == "--to")
      options.to = value;
    else if (name == "--mac")
      options.mac = value;
    else if (name == "--seconds")
      options.limit = std::chrono::seconds(std::atoi(value.c_str()));
    else if (name == "--window")
      options.window = static_cast<std::uint32_t>(std::atoi(value.c_str()));
    else if (name == "--target") {
      auto target = parse_endpoint(value);
      if (!target)
        return fail(target.error());
      options.target = *target;
    } else {
      return fail(Code::invalid, usage);
    }
  }
  if (options.from.empty() || options.to.empty() || options.target.port == 0 ||
      !options.target.address.is_v4())
    return fail(Code::invalid, usage);
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  setpriority(PRIO_PROCESS, 0, -20);  // a round lasts as long as many turns of the scheduler
  std::signal(SIGTERM, [](int) { ends = 1; });
  const auto options = read_options(argc, argv);
  auto flood = options ? Flood::open(*options) : fail(options.error());
  auto report = flood ? (*flood)->run(options->limit) : fail(flood.error());
  if (!report) {
    std::cerr << "sluice-lab-flood: " << report.error().message << "\n";
    return 1;
  }
  std::cout << boost::json::serialize(*report) << "\n";
}
