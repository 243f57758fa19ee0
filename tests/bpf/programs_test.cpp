// The small programs beside xdp_lb, and the kernel's verifier over everything that is shipped.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <set>

#include "abi.h"
#include "dataplane/xdp/program.hpp"
#include "packet.hpp"

namespace sluice::test {

namespace {

constexpr MacAddress a{{2, 0, 0, 0, 0, 1}}, b{{2, 0, 0, 0, 0, 2}};

struct Object {
  explicit Object(const std::string& file) : object(bpf_object__open_file(file.c_str(), nullptr)) {}
  ~Object() { bpf_object__close(object); }
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  bpf_object* object;
};

/// Runs the frame through backend_decap: the kernel must get what comes out.
Bytes decap(const Bytes& frame) {
  static const Object loaded(SLUICE_BPF_OBJECTS "/backend_decap.bpf.o");
  static const int error = bpf_object__load(loaded.object);
  EXPECT_EQ(error, 0);
  Bytes out(frame.size() + 64);
  LIBBPF_OPTS(bpf_test_run_opts, options);
  options.data_in = frame.data();
  options.data_size_in = static_cast<std::uint32_t>(frame.size());
  options.data_out = out.data();
  options.data_size_out = static_cast<std::uint32_t>(out.size());
  const auto* program = bpf_object__find_program_by_name(loaded.object, "backend_decap");
  EXPECT_EQ(bpf_prog_test_run_opts(bpf_program__fd(program), &options), 0);
  EXPECT_EQ(options.retval, static_cast<std::uint32_t>(XDP_PASS));
  out.resize(options.data_size_out);
  return out;
}

void same(const Bytes& out, const Packet& packet) {
  const auto expected = packet.bytes();
  EXPECT_TRUE(out == expected) << "came out:" << dump(out, expected)
                               << "\nexpected:" << dump(expected, out);
}

}  // namespace

TEST(BackendDecap, TakesOffTheOuterHeaderOfEveryKindThatWeSend) {
  const auto inner4 = [](Packet packet) {
    return packet.ip("192.0.2.1", "10.0.0.100").tcp(1, 80, syn);
  };
  const auto inner6 = [](Packet packet) { return packet.ip("2001:db8::1", "fd00::1").udp(1, 53); };
  const auto frame = Packet().ether(a, b);
  same(decap(inner4(Packet(frame).ip("10.0.1.2", "10.0.1.11")).bytes()), inner4(frame));
  same(decap(inner4(Packet(frame).ip("fd00:1::2", "fd00:1::11")).bytes()), inner4(frame));
  same(decap(inner6(Packet(frame).ip("fd00:1::2", "fd00:1::11")).bytes()), inner6(frame));
  same(decap(inner6(Packet(frame).ip("10.0.1.2", "10.0.1.11")).bytes()), inner6(frame));
}

TEST(BackendDecap, LeavesEverythingElseAlone) {
  const auto frame = Packet().ether(a, b);
  const char *from = "10.0.1.2", *to = "10.0.1.11";
  for (const auto& packet :
       {Packet(frame).ip(from, to).tcp(1, 80, ack),
        Packet(frame).ip("fd00::1", "fd00::2").udp(1, 2),
        Packet(frame).ip(from, to, {.fragment = 0x2000}).ip(from, to).tcp(1, 80, ack),
        Packet(frame).ip(from, to, {.option_words = 1}).ip(from, to).tcp(1, 80, ack),
        Packet(frame).ip(from, to, {.protocol = 47}).payload(40),
        Packet(frame).ethertype(0x0806).payload(46)}) {
    const auto bytes = packet.bytes();
    EXPECT_TRUE(decap(bytes) == bytes) << dump(bytes, bytes);
  }
  const auto whole = Packet(frame).ip(from, to).ip(from, to).tcp(1, 80, ack).bytes();
  for (std::size_t size = 14; size < 34; size++) {
    const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_TRUE(decap(cut) == cut) << "cut to " << size;
  }
}

TEST(Programs, APacketOnACpuWithoutCountersIsAbortedAndCountedAllTheSame) {
  cpu_set_t before, last;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  int cpu = CPU_SETSIZE - 1;
  while (!CPU_ISSET(cpu, &before))
    cpu--;
  if (cpu == 0)
    GTEST_SKIP() << "there is one CPU only";
  CPU_ZERO(&last);
  CPU_SET(cpu, &last);
  // As it is declared, with an entry for one CPU.
  const Object loaded(SLUICE_BPF_OBJECTS "/xdp_lb.bpf.o");
  ASSERT_NE(loaded.object, nullptr);
  ASSERT_EQ(bpf_object__load(loaded.object), 0);
  const auto frame = Packet().ether(a, b).ip("192.0.2.1", "10.0.0.100").udp(1, 80).bytes();
  LIBBPF_OPTS(bpf_test_run_opts, options);
  options.data_in = frame.data();
  options.data_size_in = static_cast<std::uint32_t>(frame.size());
  options.repeat = 3;
  const auto* program = bpf_object__find_program_by_name(loaded.object, "xdp_lb");
  ASSERT_EQ(sched_setaffinity(0, sizeof last, &last), 0);
  const int error = bpf_prog_test_run_opts(bpf_program__fd(program), &options);
  sched_setaffinity(0, sizeof before, &before);
  ASSERT_EQ(error, 0);
  EXPECT_EQ(options.retval, static_cast<std::uint32_t>(XDP_ABORTED));
  sl_control control{};
  const std::uint32_t zero = 0;
  const auto* map = bpf_object__find_map_by_name(loaded.object, ".bss.control");
  ASSERT_EQ(bpf_map_lookup_elem(bpf_map__fd(map), &zero, &control), 0);
  EXPECT_EQ(control.uncounted, 3u);
}

/// Every object of every compiler that we build with.
class Verifier : public testing::TestWithParam<std::string> {};

TEST_P(Verifier, AcceptsTheProgram) {
  Object object(GetParam());
  ASSERT_NE(object.object, nullptr) << GetParam() << " cannot be opened";
  EXPECT_EQ(bpf_object__load(object.object), 0) << "the kernel refuses " << GetParam();
  // The code that the plain variant does without is seen only in the other one.
  const Object variant(GetParam());
  if (!GetParam().ends_with("/xdp_lb.bpf.o"))
    return;
  ASSERT_TRUE(dataplane::xdp::make_multi_buffer(variant.object));
  EXPECT_EQ(bpf_object__load(variant.object), 0)
      << "the kernel refuses the multi-buffer variant of " << GetParam();
}

std::vector<std::string> objects() {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(SLUICE_BPF_OBJECTS))
    if (entry.path().string().ends_with(".bpf.o"))
      found.push_back(entry.path().string());
  std::ranges::sort(found);
  return found;
}

TEST(Programs, AllShippedProgramsWereBuilt) {
  std::set<std::string> sources, built;
  for (const auto& entry : std::filesystem::directory_iterator(SLUICE_BPF_SOURCES))
    if (entry.path().string().ends_with(".bpf.c"))
      sources.insert(entry.path().filename().stem().stem().string());
  for (const auto& object : objects())
    built.insert(std::filesystem::path(object).filename().stem().stem().string());
  EXPECT_EQ(sources, built) << "a program that is not built is not seen by the verifier";
  EXPECT_GE(sources.size(), 3u);
}

INSTANTIATE_TEST_SUITE_P(Objects, Verifier, testing::ValuesIn(objects()), [](const auto& instance) {
  auto name = std::filesystem::relative(instance.param, SLUICE_BPF_OBJECTS).string();
  std::ranges::replace_if(name, [](unsigned char c) { return !std::isalnum(c); }, '_');
  return name;
});

}  // namespace sluice::test
