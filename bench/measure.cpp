#include "measure.hpp"

#include <arpa/inet.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "balancer.hpp"

namespace sluice::bench {

Options read_options(int argc, char** argv, Options options) {
  const std::string usage = std::string(program_invocation_short_name) +
                            " [--rounds N] [--packets N] [--only REGEX] [--json FILE]";
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    if (name == "--rounds" && i + 1 < argc)
      options.rounds = std::atoi(argv[i + 1]);
    else if (name == "--packets" && i + 1 < argc)
      options.packets = static_cast<std::uint32_t>(std::atoi(argv[i + 1]));
    else if (name == "--only" && i + 1 < argc)
      options.only = argv[i + 1];
    else if (name == "--json" && i + 1 < argc)
      options.json = argv[i + 1];
    else
      die(usage);
  }
  // The kernel counts repeats in an int; none at all would be figures of nothing.
  if (options.rounds < 1 || static_cast<std::int32_t>(options.packets) < 1)
    die(usage);
  return options;
}

void write_json(const Options& options, const boost::json::array& rows) {
  if (options.json.empty())
    return;
  auto* file = std::fopen(options.json.c_str(), "w");
  if (!file)
    die("cannot write " + options.json);
  std::fprintf(file, "%s\n", boost::json::serialize(rows).c_str());
  std::fclose(file);
}

Object::Object(const std::string& name) {
  libbpf_set_print([](libbpf_print_level level, const char* format, va_list arguments) {
    return level == LIBBPF_WARN ? std::vfprintf(stderr, format, arguments) : 0;
  });
  object_.reset(
      bpf_object__open_file((SLUICE_BENCH_OBJECTS "/" + name + ".bpf.o").c_str(), nullptr));
  if (!object_ || bpf_object__load(object_.get()))
    die("the kernel refuses " + name + ".bpf.o");
}

int Object::program(const std::string& name) const {
  const auto* program = bpf_object__find_program_by_name(object_.get(), name.c_str());
  if (!program)
    die("there is no program " + name);
  return bpf_program__fd(program);
}

int Object::map(const std::string& name) const {
  return bpf_object__find_map_fd_by_name(object_.get(), name.c_str());
}

void* Object::map_memory(const std::string& section) {
  for (const auto& [name, memory] : mapped_)
    if (name == section)
      return memory;
  const auto* map = bpf_object__find_map_by_name(object_.get(), section.c_str());
  if (!map)
    die("there is no section " + section);
  void* memory = mmap(nullptr, bpf_map__value_size(map), PROT_READ | PROT_WRITE, MAP_SHARED,
                      bpf_map__fd(map), 0);
  if (memory == MAP_FAILED)
    die("the section " + section + " cannot be mapped");
  mapped_.emplace_back(section, memory);
  return memory;
}

void fill_floor(Object& floor) {
  auto* table = floor.memory<std::uint32_t>(".bss.table");
  std::uint32_t state = 1;
  for (int i = 0; i < 65537; i++) {
    state = state * 1664525 + 1013904223;
    table[i] = 1 + (state >> 8) % 100;
  }
}

namespace {

std::uint16_t checksum(const std::uint8_t* bytes, int length) {
  std::uint32_t sum = 0;
  for (int i = 0; i < length; i += 2)
    sum += static_cast<std::uint32_t>(bytes[i] << 8 | bytes[i + 1]);
  while (sum >> 16)
    sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

void put16(std::uint8_t* at, std::uint32_t value) {
  at[0] = static_cast<std::uint8_t>(value >> 8);
  at[1] = static_cast<std::uint8_t>(value);
}

}  // namespace

Frame make_frame(const FrameOptions& options) {
  Frame frame;
  std::uint8_t* b = frame.bytes;
  const std::uint8_t ethernet[12] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
  std::memcpy(b, ethernet, sizeof ethernet);
  const std::uint8_t protocol = options.udp ? 17 : 6;
  frame.ipv6 = options.to.find(':') != std::string::npos;
  if (frame.ipv6) {
    frame.length = 80;
    put16(b + 12, 0x86dd);
    b[14] = 0x60;
    put16(b + 18, frame.length - 54);
    b[20] = protocol;
    b[21] = 64;
    inet_pton(AF_INET6, options.from.empty() ? "2001:db8::a40:0" : options.from.c_str(), b + 22);
    inet_pton(AF_INET6, options.to.c_str(), b + 38);
  } else {
    put16(b + 12, 0x0800);
    b[14] = 0x45;
    put16(b + 16, frame.length - 14);
    b[20] = 0x40;
    b[22] = 64;
    b[23] = protocol;
    inet_pton(AF_INET, options.from.empty() ? "10.64.0.0" : options.from.c_str(), b + 26);
    inet_pton(AF_INET, options.to.c_str(), b + 30);
    put16(b + 24, checksum(b + 14, 20));
  }
  std::uint8_t* l4 = b + (frame.ipv6 ? 54 : 34);
  put16(l4, options.from_port);
  put16(l4 + 2, options.port);
  if (options.udp) {
    put16(l4 + 4, frame.length - (frame.ipv6 ? 54 : 34));
  } else {
    l4[12] = 0x50;
    l4[13] = options.syn ? 0x02 : 0x10;
    l4[14] = 0x20;
  }
  return frame;
}

void set_stream(Object& driver, const Frame& frame, std::uint32_t flows, std::uint32_t seed,
                std::uint32_t interface) {
  auto& drive = *driver.memory<struct drive>(".bss.drive");
  drive = {.length = frame.length,
           .flow_mask = flows - 1,
           .walk = seed,
           .interface = interface,
           .frame = {}};
  std::memcpy(drive.frame, frame.bytes, sizeof drive.frame);
}

double quantile(std::vector<double> values, double at) {
  std::ranges::sort(values);
  return values.empty()
             ? 0
             : values[static_cast<std::size_t>(at * static_cast<double>(values.size() - 1))];
}

void stay_on_one_cpu() {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<std::size_t>(sysconf(_SC_NPROCESSORS_ONLN) - 1), &one);
  sched_setaffinity(0, sizeof one, &one);
}

}  // namespace sluice::bench
