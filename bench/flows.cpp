#include "flows.hpp"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <sys/mman.h>

#include <algorithm>
#include <span>

#include "abi.h"

namespace sluice::bench {

namespace {

/// So many are opened at once that the table of opening flows is far from full.
constexpr std::uint32_t batch = 16384;
/// The driver's walk over a list meets each of its flows once in as many steps as there are flows
/// times this.
constexpr std::uint32_t rounds_of_walk = 16;

void run(const Balancer& balancer, Object& driver, const FrameOptions& options,
         std::span<const drive_flow> flows) {
  const std::uint32_t zero = 0;
  const int program = balancer.program();
  if (bpf_map_update_elem(driver.map("under_test"), &zero, &program, BPF_ANY))
    die("the driver cannot call the program");
  std::ranges::copy(flows, driver.memory<drive_flow>(".bss.listed"));
  const auto frame = make_frame(options);
  set_stream(driver, frame, static_cast<std::uint32_t>(flows.size()), 7);
  LIBBPF_OPTS(bpf_test_run_opts, run_options);
  run_options.data_in = frame.bytes;
  run_options.data_size_in = frame.length;
  run_options.repeat = static_cast<int>(flows.size() * rounds_of_walk);
  if (bpf_prog_test_run_opts(driver.program("drive_listed_ipv4"), &run_options))
    die("flows cannot be opened");
}

/// What the driver makes of a flow's number.
drive_flow client(std::uint32_t flow, std::uint16_t port) {
  return {.source = htonl(0x0a400000u + (flow >> 14)),
          .ports = htons(static_cast<std::uint16_t>(1024 + (flow & 0x3fff))) |
                   std::uint32_t{htons(port)} << 16};
}

std::vector<drive_flow> clients_of(std::uint32_t first, std::uint32_t count, std::uint16_t port) {
  std::vector<drive_flow> clients;
  for (std::uint32_t i = 0; i < count; i++)
    clients.push_back(client(first + i, port));
  return clients;
}

/// The answers to all flows of a table.
std::vector<drive_flow> replies_in(const Balancer& balancer, const std::string& table, int bits) {
  const auto map = balancer.map(table);
  const std::size_t bytes = sizeof(sl_flow_line) << bits;
  void* memory = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, map.get(), 0);
  if (memory == MAP_FAILED)
    die("the flows cannot be read");
  std::vector<drive_flow> replies;
  for (const auto& line :
       std::span(static_cast<const sl_flow_line*>(memory), std::size_t{1} << bits))
    for (int way = 0; way < SL_FLOW_WAYS; way++)
      if (const auto key = line.key[way]; line.value[way] && key & SL_REPLY_SIDE)
        replies.push_back({.source = static_cast<std::uint32_t>(key >> 32),
                           .ports = static_cast<std::uint16_t>(key >> 16) |
                                    std::uint32_t{htons(static_cast<std::uint16_t>(
                                        SL_NAT_FIRST_PORT + (key & 0x3fff)))}
                                        << 16});
  munmap(memory, bytes);
  return replies;
}

/// As many as a power of two, some of them twice.
std::vector<drive_flow> padded(std::vector<drive_flow> flows, std::uint32_t count) {
  if (flows.empty())
    die("no flow was opened");
  for (std::size_t i = 0; flows.size() < count; i++)
    flows.push_back(flows[i]);
  flows.resize(count);
  return flows;
}

}  // namespace

std::vector<drive_flow> establish(const Balancer& balancer, Object& driver, std::uint32_t count) {
  const auto size = std::min(count, batch);
  for (std::uint32_t first = 0; first < count; first += size) {
    const auto clients = clients_of(first, size, nat_port);
    run(balancer, driver, {.to = vip, .port = nat_port, .syn = true}, clients);
    run(balancer, driver, {.to = nat_source, .from = "10.82.0.1"},
        padded(replies_in(balancer, ".bss.opening", SL_OPENING_BITS), size));
    run(balancer, driver, {.to = vip, .port = nat_port}, clients);
  }
  const auto replies = replies_in(balancer, ".bss.flows", SL_FLOW_BITS);
  std::fprintf(stderr, "bench: %zu of %u nat flows are established\n", replies.size(), count);
  return padded(replies, count);
}

void establish_tracked(const Balancer& balancer, Object& driver, std::uint32_t count) {
  const auto size = std::min(count, batch);
  for (std::uint32_t first = 0; first < count; first += size) {
    const auto clients = clients_of(first, size, tracked_port);
    run(balancer, driver, {.to = vip, .port = tracked_port, .syn = true}, clients);
    run(balancer, driver, {.to = vip, .port = tracked_port}, clients);
  }
}

}  // namespace sluice::bench
