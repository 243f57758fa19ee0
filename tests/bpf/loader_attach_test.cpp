// Programs on interfaces: attaching, refusals that leave nothing, surviving the daemon, replacing
// in place.
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "loader_fixture.hpp"

namespace sluice::test {

using dataplane::xdp::Loader;

namespace {

std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
    count++;
  return count;
}

/// Lets every packet pass: a program of "another build".
Fd passing_program() {
  const bpf_insn instructions[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
      {.code = BPF_JMP | BPF_EXIT}};
  LIBBPF_OPTS(bpf_prog_load_opts, options);
  options.expected_attach_type = BPF_XDP;  // a link is only updated to a program of the same one
  return Fd(bpf_prog_load(BPF_PROG_TYPE_XDP, "other", "GPL", instructions, 2, &options));
}

}  // namespace

class LoaderAttach : public LoaderTest {
 protected:
  static model::Config config(std::initializer_list<const char*> interfaces) {
    model::Config config;
    for (const char* name : interfaces)
      config.xdp.interfaces.push_back({name, model::XdpMode::DRV});
    model::Pool pool;
    pool.name = "l2";
    pool.forwarding = model::Forwarding::dsr_l2;
    pool.backends = {backend("10.0.1.11"), backend("10.0.1.12")};
    config.pools = {pool};
    config.services = {service("web", "10.0.0.100", 80, "l2")};
    return config;
  }

  /// The plan must fail, and leave maps, links, programs and counters as they were.
  void expect_refused(const planner::Plan& plan, Code code, std::string_view reason) {
    const auto before = running();
    const auto attached = loader_->attachments().value();
    const auto pool = map_bytes("backend_pool"), control = map_bytes(".bss.control");
    const auto totals = loader_->get_stats();
    auto applied = loader_->apply(plan);
    ASSERT_TRUE(fails_with(code, applied));
    EXPECT_NE(applied.error().message.find(reason), std::string::npos)
        << "the reason is missing: " << applied.error().message;
    EXPECT_EQ(running(), before) << "the failed plan changed what runs";
    EXPECT_EQ(map_bytes("backend_pool"), pool) << "backend_pool was not put back";
    EXPECT_EQ(map_bytes(".bss.control"), control) << "front or places were not put back";
    EXPECT_EQ(loader_->get_stats().packets, totals.packets) << "counters were lost";
    const auto now = loader_->attachments().value();
    ASSERT_EQ(now.size(), attached.size());
    for (std::size_t i = 0; i < now.size(); i++)
      EXPECT_EQ(now[i].interface, attached[i].interface);
  }

  planner::Plan plan(const model::Config& config) {
    auto made = planner::make_plan(running(), config, topology(config, "sl0"));
    EXPECT_TRUE(ok(made));
    return made.value_or(planner::Plan{});
  }
};

TEST_F(LoaderAttach, TwoInterfacesHaveAProgramAndCountersEach) {
  const auto first = add_interface("sl0"), second = add_interface("sl1");
  apply(config({"sl0", "sl1"}));
  const auto attached = loader_->attachments().value();
  ASSERT_EQ(attached.size(), 2u);
  EXPECT_EQ(attached[0].ifindex, first);
  EXPECT_EQ(attached[1].ifindex, second);
  EXPECT_NE(attached[0].program.id, attached[1].program.id);
  EXPECT_EQ(attached[0].program.id, program_id("sl0"));
  EXPECT_EQ(attached[0].program.tag, attached[1].program.tag) << "the same code has the same tag";
  EXPECT_EQ(attached[0].program.tag.size(), 16u);

  const auto packet = tcp_packet(ip("10.0.2.10"), ip("10.9.9.9"), 80);
  run("sl0", packet, 3);
  run("sl1", packet, 5);
  const auto counters = loader_->counters().value();
  ASSERT_EQ(counters.interfaces.at("sl0").size(), 1u);
  EXPECT_EQ(counters.interfaces.at("sl0")[0].count.packets, 3u);
  EXPECT_EQ(counters.interfaces.at("sl1")[0].count.packets, 5u);

  apply(config({"sl1"}));
  EXPECT_EQ(loader_->attachments()->size(), 1u);
  EXPECT_EQ(program_id("sl0"), 0u) << "the pin of the detached program is still there";
  EXPECT_EQ(loader_->counters()->interfaces.count("sl0"), 0u);
  EXPECT_EQ(loader_->counters()->interfaces.at("sl1")[0].count.packets, 5u)
      << "the other interface's counters were touched";
}

TEST_F(LoaderAttach, NameWithADotCanBeAttached) {
  add_interface("sl.100");
  apply(config({"sl.100"}));
  close();
  open();
  EXPECT_EQ(running().interfaces.count("sl.100"), 1u);
}

TEST_F(LoaderAttach, GenericModeIsReadBackAsGeneric) {
  add_interface("sl0");
  auto wanted = config({"sl0"});
  wanted.xdp.interfaces[0].mode = model::XdpMode::SKB;
  apply(wanted);
  close();
  open();
  EXPECT_EQ(running().interfaces.at("sl0").mode, model::XdpMode::SKB);
  wanted.xdp.interfaces[0].mode = model::XdpMode::DRV;
  apply(wanted);
  EXPECT_EQ(running().interfaces.at("sl0").mode, model::XdpMode::DRV);
}

TEST_F(LoaderAttach, RefusedAttachChangesNothing) {
  add_interface("sl0");
  apply(config({"sl0"}), topology(config({}), "sl0"));
  run("sl0", tcp_packet(ip("10.0.2.10"), ip("10.0.0.100"), 80), 7);
  const auto link = link_id("sl0"), program = program_id("sl0");

  // Everything changes, and in the end loopback refuses native XDP.
  auto wanted = config({"sl0", "lo"});
  wanted.pools[0].backends = {backend("10.0.1.12", 5), backend("10.0.1.13")};
  wanted.services = {service("other", "10.0.0.200", 80, "l2")};
  expect_refused(plan(wanted), Code::kernel, "driver does not support XDP in native mode");
  EXPECT_EQ(link_id("sl0"), link) << "the other interface's link was touched";
  EXPECT_EQ(program_id("sl0"), program);
  EXPECT_EQ(run("sl0", tcp_packet(ip("10.0.2.10"), ip("10.0.0.100"), 80)).verdict, 3u)
      << "the service is gone after a failed change";
  EXPECT_EQ(loader_->counters()->backends.at({"l2", ip("10.0.1.11"), 0}).packets +
                loader_->counters()->backends.at({"l2", ip("10.0.1.12"), 0}).packets,
            8u)
      << "the backends' counters were lost";
}

TEST_F(LoaderAttach, RefusedModeLeavesTheOldOneAttached) {
  add_interface("sl0");
  apply(config({"sl0"}));
  auto wanted = config({"sl0"});
  wanted.xdp.interfaces[0].mode = model::XdpMode::HW;
  expect_refused(plan(wanted), Code::kernel, "cannot attach to sl0");
}

TEST_F(LoaderAttach, ForeignProgramIsNotReplaced) {
  const auto ifindex = add_interface("sl0");
  const auto foreign = passing_program();
  const Fd link(bpf_link_create(foreign.get(), static_cast<int>(ifindex), BPF_XDP, nullptr));
  ASSERT_TRUE(link) << "the foreign program does not attach";
  expect_refused(plan(config({"sl0"})), Code::kernel, "another XDP program");
}

TEST_F(LoaderAttach, InterfaceThatDoesNotExistIsNotFound) {
  auto wanted = config({});
  auto missing = plan(wanted);
  missing.steps.push_back(planner::Attach{"nowhere", {123456, model::XdpMode::DRV}});
  expect_refused(missing, Code::not_found, "nowhere");
  add_interface("sl0");
  missing.steps.back() = planner::Attach{"nowhere", {1, model::XdpMode::SKB}};
  expect_refused(missing, Code::not_found, "nowhere");
}

TEST_F(LoaderAttach, BackendBehindAMissingInterfaceIsRefused) {
  auto wanted = config({});
  auto ways = topology(wanted);
  ways.next_hops.at(ip("10.0.1.12")).ifindex = 123456;
  expect_refused(planner::make_plan(running(), wanted, ways).value(), Code::not_found, "123456");
}

TEST_F(LoaderAttach, NextLoaderAdoptsWhatRuns) {
  add_interface("sl0");
  apply(config({"sl0"}), topology(config({}), "sl0"));
  run("sl0", tcp_packet(ip("10.0.2.10"), ip("10.0.0.100"), 80), 9);
  const auto before = running();
  const auto link = link_id("sl0"), program = program_id("sl0");
  const auto tag = loader_->attachments()->at(0).program.tag;
  close();
  EXPECT_EQ(run("sl0", tcp_packet(ip("10.0.2.10"), ip("10.0.0.100"), 80)).verdict, 3u)
      << "without a daemon nothing is forwarded";
  open();
  EXPECT_TRUE(loader_->adopted());
  EXPECT_EQ(running(), before);
  EXPECT_EQ(link_id("sl0"), link);
  EXPECT_EQ(program_id("sl0"), program) << "the same program was loaded anew";
  EXPECT_EQ(loader_->attachments()->at(0).program.tag, tag);
  EXPECT_EQ(loader_->get_stats().packets, 10u) << "the counters were not kept";
  apply(config({}));
  EXPECT_EQ(link_id("sl0"), 0u);
}

TEST_F(LoaderAttach, ProgramOfAnotherBuildGoesOnUntilItIsReplacedInPlace) {
  add_interface("sl0");
  apply(config({"sl0"}));
  const auto tag = loader_->attachments()->at(0).program.tag;
  const auto link = link_id("sl0");
  close();
  const auto other = passing_program();
  {
    const Fd pinned(bpf_obj_get(folder().link("sl0").c_str()));
    ASSERT_EQ(bpf_link_update(pinned.get(), other.get(), nullptr), 0);
  }
  std::filesystem::remove(folder().program("sl0"));
  ASSERT_EQ(bpf_obj_pin(other.get(), folder().program("sl0").c_str()), 0);
  open();
  EXPECT_NE(loader_->attachments()->at(0).program.tag, tag) << "a restart changed the program";
  EXPECT_TRUE(loader_->attachments()->at(0).outdated);
  planner::Plan plan;
  plan.after = running();
  plan.steps = {planner::ReplaceProgram{"sl0", "built-in", ""}};
  ASSERT_TRUE(ok(loader_->apply(plan)));
  EXPECT_EQ(link_id("sl0"), link) << "replacing must not detach";
  const auto attached = loader_->attachments().value();
  ASSERT_EQ(attached.size(), 1u);
  EXPECT_EQ(attached[0].program.tag, tag) << "the other build's program still runs";
  EXPECT_EQ(attached[0].program.id, program_id("sl0")) << "the pin is not what runs";
}

TEST_F(LoaderAttach, VanishedInterfaceIsForgotten) {
  add_interface("sl0");
  apply(config({"sl0"}));
  remove_interface("sl0");
  EXPECT_TRUE(running().interfaces.empty());
  EXPECT_TRUE(loader_->attachments()->empty());
  const auto index = add_interface("sl0");
  apply(config({"sl0"}));
  EXPECT_EQ(running().interfaces.at("sl0").ifindex, index);

  remove_interface("sl0");
  close();
  open();
  EXPECT_TRUE(running().interfaces.empty());
  EXPECT_FALSE(std::filesystem::exists(folder().link("sl0"))) << "a dead link is still pinned";
}

/// The ids that an attached interface brings with it: its link, its program, its own map.
class Leftovers {
 public:
  void add(const dataplane::xdp::PinFolder& folder, const std::string& interface) {
    const Fd link(bpf_obj_get(folder.link(interface).c_str()));
    bpf_link_info link_info{};
    std::uint32_t length = sizeof link_info;
    ASSERT_EQ(bpf_obj_get_info_by_fd(link.get(), &link_info, &length), 0);
    links_.insert(link_info.id);

    const Fd program(bpf_obj_get(folder.program(interface).c_str()));
    std::uint32_t maps[64];
    bpf_prog_info info{};
    info.nr_map_ids = 64;
    info.map_ids = reinterpret_cast<std::uintptr_t>(maps);
    length = sizeof info;
    ASSERT_EQ(bpf_obj_get_info_by_fd(program.get(), &info, &length), 0);
    programs_.insert(info.id);
    const std::set<std::uint32_t> used(maps, maps + info.nr_map_ids);
    if (shared_.empty())
      shared_ = used;
    for (const auto id : used)
      if (!shared_.contains(id))
        maps_.insert(id);
  }

  std::size_t programs() const { return programs_.size(); }

  /// The kernel frees behind grace periods: asks again after each, for at most some thousand.
  std::string remaining() const {
    std::string left;
    for (int i = 0; i < 2000; i++) {
      left.clear();
      for (const auto id : links_)
        note(left, "link", id, bpf_link_get_fd_by_id(id));
      for (const auto id : programs_)
        note(left, "program", id, bpf_prog_get_fd_by_id(id));
      for (const auto id : maps_)
        note(left, "map", id, bpf_map_get_fd_by_id(id));
      if (left.empty())
        break;
      usleep(1000);
    }
    return left;
  }

 private:
  static void note(std::string& left, const char* kind, std::uint32_t id, int fd) {
    if (const Fd open(fd); open)
      left += std::string(left.empty() ? "" : ", ") + kind + " " + std::to_string(id);
  }

  std::set<std::uint32_t> links_, programs_, maps_, shared_;
};

TEST_F(LoaderAttach, HundredCyclesLeaveNothingBehind) {
  add_interface("sl0");
  apply(config({"sl0"}));
  apply(config({}));
  const auto descriptors = open_descriptors();
  Leftovers leftovers;
  for (int i = 0; i < 100; i++) {
    apply(config({"sl0"}));
    leftovers.add(folder(), "sl0");
    apply(config({}));
  }
  EXPECT_EQ(leftovers.programs(), 100u);
  EXPECT_EQ(open_descriptors(), descriptors) << "descriptors stayed open";
  EXPECT_EQ(leftovers.remaining(), "") << "still in the kernel";
}

}  // namespace sluice::test
