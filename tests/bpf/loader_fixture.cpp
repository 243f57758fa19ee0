#include "loader_fixture.hpp"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <net/if.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "planner/plan.hpp"

namespace sluice::test {

using dataplane::xdp::Loader;
using dataplane::xdp::PinFolder;

namespace {

void shell(const std::string& command) {
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
}

}  // namespace

IpAddress ip(std::string_view text) {
  return IpAddress::parse(text).value();
}

model::Backend backend(std::string_view address, std::uint16_t weight) {
  model::Backend backend;
  backend.ip = ip(address);
  backend.weight = weight;
  return backend;
}

model::Service service(const std::string& name, std::string_view address, std::uint16_t port,
                       const std::string& pool, model::Protocol protocol) {
  model::Service service;
  service.name = name;
  service.address = ip(address);
  service.port = port;
  service.protocol = protocol;
  service.pool = pool;
  return service;
}

std::vector<std::uint8_t> tcp_packet(const IpAddress& source, const IpAddress& destination,
                                     std::uint16_t port) {
  std::vector<std::uint8_t> packet(74);
  const bool v4 = destination.is_v4();
  std::fill_n(packet.begin(), 12, std::uint8_t{2});
  std::uint8_t* at = packet.data() + 14;
  if (v4) {
    packet[12] = 8;
    at[0] = 0x45;
    at[3] = 60;
    at[8] = 64;
    at[9] = 6;
    std::copy_n(source.bytes().begin() + 12, 4, at + 12);
    std::copy_n(destination.bytes().begin() + 12, 4, at + 16);
    at += 20;
  } else {
    packet[12] = 0x86;
    packet[13] = 0xdd;
    at[0] = 0x60;
    at[5] = 20;
    at[6] = 6;
    at[7] = 64;
    std::ranges::copy(source.bytes(), at + 8);
    std::ranges::copy(destination.bytes(), at + 24);
    at += 40;
  }
  at[0] = 0xc0;
  at[2] = static_cast<std::uint8_t>(port >> 8);
  at[3] = static_cast<std::uint8_t>(port);
  at[12] = 0x50;
  at[13] = 0x02;  // SYN
  return packet;
}

void LoaderTest::SetUp() {
  const auto* test = testing::UnitTest::GetInstance()->current_test_info();
  instance_ = std::string(test->name()).substr(0, 50) + "-" + std::to_string(getpid());
  open();
}

void LoaderTest::TearDown() {
  close();
  EXPECT_TRUE(ok(Loader::remove_instance(instance_)));
  const auto left = interfaces_;
  for (const auto& [name, mtu] : left)
    remove_interface(name);
}

void LoaderTest::open() {
  auto loader = Loader::open(instance_);
  ASSERT_TRUE(ok(loader));
  loader_ = std::move(*loader);
}

std::uint32_t LoaderTest::add_interface(const std::string& name, bool up) {
  shell("ip link add " + name + " type veth peer name " + name + "p");
  if (up)
    shell("ip link set " + name + " up && ip link set " + name + "p up");
  interfaces_.emplace(name, 1500);
  return if_nametoindex(name.c_str());
}

void LoaderTest::remove_interface(const std::string& name) {
  shell("ip link del " + name);
  interfaces_.erase(name);
}

void LoaderTest::set_mtu(const std::string& name, std::uint32_t mtu) {
  shell("ip link set " + name + "p mtu " + std::to_string(mtu));
  set_own_mtu(name, mtu);
}

void LoaderTest::set_own_mtu(const std::string& name, std::uint32_t mtu) {
  shell("ip link set " + name + " mtu " + std::to_string(mtu));
  interfaces_.at(name) = mtu;
}

model::Topology LoaderTest::topology(const model::Config& config,
                                     const std::string& way_out) const {
  model::Topology topology;
  auto names = interfaces_;
  names.emplace("lo", 1500);
  for (const auto& [name, mtu] : names) {
    model::Link link;
    link.index = if_nametoindex(name.c_str());
    link.name = name;
    link.mtu = mtu;
    link.up = true;
    topology.links.emplace(name, link);
  }
  for (const auto& pool : model::effective_pools(config))
    for (const auto& entry : pool.backends) {
      const auto& bytes = entry.ip.bytes();
      model::NextHop hop;
      hop.ifindex = if_nametoindex(way_out.c_str());
      hop.interface = way_out;
      hop.via = entry.ip;
      hop.source = MacAddress{{2, 0, 0, 0, 0, 1}};
      hop.destination = MacAddress{{2, 0, 0, bytes[13], bytes[14], bytes[15]}};
      hop.preferred_source = ip(entry.ip.is_v4() ? "10.0.1.2" : "fd00:1::2");
      hop.mtu = static_cast<std::uint16_t>(names.contains(way_out) ? names.at(way_out) : 1500);
      hop.resolved = true;
      topology.next_hops.emplace(entry.ip, hop);
    }
  return topology;
}

void LoaderTest::apply(const model::Config& config, const model::Topology& topology) {
  ASSERT_TRUE(loader_) << "the instance is not open";
  auto plan = planner::make_plan(running(), config, topology);
  ASSERT_TRUE(ok(plan));
  ASSERT_TRUE(ok(loader_->apply(*plan)));
  EXPECT_EQ(running(), plan->after) << "what runs is not what the plan promised";
}

planner::Image LoaderTest::running() {
  if (!loader_) {
    ADD_FAILURE() << "the instance is not open";
    return {};
  }
  auto image = loader_->running();
  EXPECT_TRUE(ok(image));
  return image.value_or(planner::Image{});
}

PinFolder LoaderTest::folder() const {
  return PinFolder::of(instance_).value();
}

std::uint32_t LoaderTest::program_id(const std::string& interface) const {
  const Fd fd(bpf_obj_get(folder().program(interface).c_str()));
  bpf_prog_info info{};
  std::uint32_t length = sizeof info;
  return bpf_obj_get_info_by_fd(fd.get(), &info, &length) ? 0 : info.id;
}

std::uint32_t LoaderTest::link_id(const std::string& interface) const {
  const Fd fd(bpf_obj_get(folder().link(interface).c_str()));
  bpf_link_info info{};
  std::uint32_t length = sizeof info;
  return bpf_obj_get_info_by_fd(fd.get(), &info, &length) ? 0 : info.id;
}

Outcome LoaderTest::run(const std::string& interface, const std::vector<std::uint8_t>& packet,
                        int repeat, std::uint32_t first) const {
  const Fd fd(bpf_obj_get(folder().program(interface).c_str()));
  Outcome outcome;
  outcome.packet.resize(packet.size() + 64);
  LIBBPF_OPTS(bpf_test_run_opts, options);
  options.data_in = packet.data();
  options.data_size_in = static_cast<std::uint32_t>(packet.size());
  options.data_out = outcome.packet.data();
  options.data_size_out = static_cast<std::uint32_t>(outcome.packet.size());
  options.repeat = repeat;
  xdp_md context{};
  context.data_end = first;
  if (first) {
    options.ctx_in = &context;
    options.ctx_size_in = sizeof context;
  }
  EXPECT_EQ(bpf_prog_test_run_opts(fd.get(), &options), 0)
      << "the program on " << interface << " cannot be run: " << std::strerror(errno);
  outcome.packet.resize(options.data_size_out);
  outcome.verdict = options.retval;
  return outcome;
}

void* LoaderTest::map_memory(const std::string& name, std::size_t bytes) const {
  const Fd fd(bpf_obj_get(folder().map(name).c_str()));
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  EXPECT_NE(memory, MAP_FAILED) << name;
  return memory == MAP_FAILED ? nullptr : memory;
}

std::vector<std::uint8_t> LoaderTest::map_bytes(const std::string& name) const {
  const Fd fd(bpf_obj_get(folder().map(name).c_str()));
  bpf_map_info info{};
  std::uint32_t length = sizeof info;
  if (bpf_obj_get_info_by_fd(fd.get(), &info, &length)) {
    ADD_FAILURE() << "no pinned map " << name;
    return {};
  }
  const std::size_t bytes = std::size_t{info.value_size} * info.max_entries;
  void* memory = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) {
    ADD_FAILURE() << name << " cannot be mapped: " << std::strerror(errno);
    return {};
  }
  const auto* first = static_cast<const std::uint8_t*>(memory);
  std::vector<std::uint8_t> copy(first, first + bytes);
  munmap(memory, bytes);
  return copy;
}

}  // namespace sluice::test
