// sluice-lab-tables: writes into the pinned maps of a running balancer past its daemon, what no
// daemon would write: how it fares then is what is tested.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <iostream>
#include <span>
#include <string>

#include "abi.h"
#include "base/address.hpp"
#include "base/fd.hpp"
#include "base/result.hpp"

namespace {

using namespace sluice;

constexpr const char* usage =
    "sluice-lab-tables fill MAPS\n"
    "  every free place of the large flow table gets an established flow of nobody's; says how "
    "many\n"
    "sluice-lab-tables free MAPS\n"
    "  free places of both flow tables\n"
    "sluice-lab-tables spoil MAPS ADDRESS:PORT\n"
    "  the TCP service's table begins beyond the arena from now on, until the next front\n"
    "MAPS is the folder of the pinned maps: /sys/fs/bpf/sluice/INSTANCE/vN/maps\n";

/// The content of a pinned map of one entry.
template <class T>
Result<std::span<T>> open_map(const std::string& maps, const char* name, std::size_t count) {
  const auto path = maps + "/" + name;
  const Fd fd(bpf_obj_get(path.c_str()));
  void* memory =
      fd ? mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0)
         : MAP_FAILED;
  if (memory == MAP_FAILED)
    return fail(Code::kernel, path + " cannot be written to: " + std::strerror(errno));
  return std::span(static_cast<T*>(memory), count);
}

Result<void> fill(const std::string& maps) {
  auto flows = open_map<sl_flow_line>(maps, "bss_flows", std::size_t{1} << SL_FLOW_BITS);
  auto control = open_map<sl_control>(maps, "bss_control", 1);
  if (!flows || !control)
    return fail(flows ? control.error() : flows.error());
  // Of a service and a backend whose ids are the last ones: nothing else has these keys.
  const std::uint64_t value = std::uint64_t{SL_MAX_BACKENDS - 1} << 48 |
                              std::uint64_t{(*control)[0].epoch & 0xffffff} << 8 | SL_FLOW4_LIVE |
                              SL_FLOW4_ESTABLISHED;
  std::uint64_t filled = 0;
  for (auto& line : *flows)
    for (int way = 0; way < SL_FLOW_WAYS; way++)
      if (std::uint64_t free = 0;
          __atomic_compare_exchange_n(&line.value[way], &free, SL_FLOW_CLAIMED, false,
                                      __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
        line.key[way] = SL_FORWARD_KEY(++filled, 1, SL_MAX_SERVICES - 1);
        line.more[way] = 0;
        __atomic_store_n(&line.value[way], value, __ATOMIC_RELEASE);
      }
  std::cout << filled << "\n";
  return {};
}

Result<void> count_free(const std::string& maps) {
  auto flows = open_map<sl_flow_line>(maps, "bss_flows", std::size_t{1} << SL_FLOW_BITS);
  auto opening = open_map<sl_flow_line>(maps, "bss_opening", std::size_t{1} << SL_OPENING_BITS);
  if (!flows || !opening)
    return fail(flows ? opening.error() : flows.error());
  const auto count = [](std::span<sl_flow_line> lines) {
    std::uint64_t free = 0;
    for (auto& line : lines)
      for (auto& value : line.value)
        free += __atomic_load_n(&value, __ATOMIC_RELAXED) == 0;
    return free;
  };
  std::cout << "{\"flows\": " << count(*flows) << ", \"opening\": " << count(*opening) << "}\n";
  return {};
}

Result<void> spoil(const std::string& maps, const std::string& text) {
  const auto endpoint = parse_endpoint(text);
  if (!endpoint || !endpoint->address.is_v4())
    return fail(Code::invalid, text + " is not an IPv4 address with a port");
  auto fronts = open_map<sl_front>(maps, "bss_front", 2);
  auto control = open_map<sl_control>(maps, "bss_control", 1);
  if (!fronts || !control)
    return fail(fronts ? control.error() : fronts.error());
  auto& front = (*fronts)[(*control)[0].active & 1];
  std::uint32_t address = 0;
  std::memcpy(&address, endpoint->address.bytes().data() + 12, 4);
  const std::uint64_t key = SL_PORT_KEY(6, htons(endpoint->port));
  for (const auto& place : front.address4) {
    if (place.address != address || place.id == 0)
      continue;
    for (auto& service : front.service)
      if (service.id && (service.key & 0xffffffff) == key &&
          service.key >> 32 == (place.id & 0xffff)) {
        __atomic_store_n(&service.base, 2 * SL_SLOT_ARENA, __ATOMIC_RELEASE);
        return {};
      }
  }
  return fail(Code::not_found, "no service of the active front has " + text);
}

Result<void> run(int argc, char** argv) {
  const std::string verb = argc > 1 ? argv[1] : "";
  if (verb == "fill" && argc == 3)
    return fill(argv[2]);
  if (verb == "free" && argc == 3)
    return count_free(argv[2]);
  if (verb == "spoil" && argc == 4)
    return spoil(argv[2], argv[3]);
  return fail(Code::invalid, usage);
}

}  // namespace

int main(int argc, char** argv) {
  const auto done = run(argc, argv);
  if (!done)
    std::cerr << "sluice-lab-tables: " << done.error().message << "\n";
  return done ? 0 : 1;
}
