// Other versions of the program in place of the one that runs, and back; other layouts of maps.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <filesystem>

#include "abi.h"
#include "loader_fixture.hpp"
#include "planner/programs.hpp"

namespace sluice::test {

using dataplane::xdp::Loader;

class LoaderVersions : public LoaderTest {
 protected:
  void SetUp() override {
    LoaderTest::SetUp();
    reopen();
    add_interface("sl0");
    apply(config(), topology(config(), "sl0"));
  }
  void reopen() {
    close();
    auto loader = Loader::open(instance_, SLUICE_BPF_VERSIONS);
    ASSERT_TRUE(ok(loader));
    loader_ = std::move(*loader);
  }

  static model::Config config() {
    model::Config config;
    config.xdp.interfaces = {{"sl0", model::XdpMode::DRV}};
    model::Pool l2{.name = "l2", .forwarding = model::Forwarding::dsr_l2, .backends = {}};
    l2.backends = {backend("10.0.1.11")};
    model::Pool nat{.name = "nat", .backends = {}};
    nat.backends = {backend("10.0.1.12"), backend("10.0.1.13")};
    config.pools = {l2, nat};
    config.services = {service("web", "10.0.0.100", 80, "l2"),
                       service("api", "10.0.0.100", 81, "nat")};
    return config;
  }

  dataplane::Attachment attachment(const std::string& interface = "sl0") {
    const auto all = loader_->attachments().value();
    for (const auto& one : all)
      if (one.interface == interface)
        return one;
    ADD_FAILURE() << interface << " is not attached";
    return {};
  }
  Result<void> replace(std::vector<planner::ReplaceProgram> steps) {
    planner::Plan plan;
    plan.after = running();
    for (auto& step : steps)
      plan.steps.emplace_back(std::move(step));
    return loader_->apply(plan);
  }
  Result<void> reload(const std::string& version) { return replace({{"sl0", version, version}}); }
  Result<void> roll_back() { return replace({{"sl0", "", ""}}); }

  std::uint32_t verdict(std::uint16_t port = 80) const {
    return run("sl0", tcp_packet(ip("10.0.2.10"), ip("10.0.0.100"), port)).verdict;
  }
  /// The packet of a nat flow as its backend gets it: the port in it was allocated for the flow.
  std::vector<std::uint8_t> translated() const {
    return run("sl0", tcp_packet(ip("10.0.2.10"), ip("10.0.0.100"), 81)).packet;
  }
};

TEST_F(LoaderVersions, AnotherVersionTakesThePlaceAndTheMapsStay) {
  const auto link = link_id("sl0");
  const auto before = attachment();
  EXPECT_FALSE(before.program.version.empty());
  EXPECT_FALSE(before.outdated);
  EXPECT_FALSE(before.previous) << "nothing has been there before";
  const auto flow = translated();
  const auto image = running();
  const auto packets = loader_->get_stats().packets;

  ASSERT_TRUE(ok(reload("next")));
  const auto now = attachment();
  EXPECT_EQ(link_id("sl0"), link) << "the interface was without a program for a moment";
  EXPECT_EQ(now.program.version, "next");
  EXPECT_NE(now.program.tag, before.program.tag) << "the two versions are the same code";
  EXPECT_TRUE(now.outdated);
  ASSERT_TRUE(now.previous);
  EXPECT_EQ(now.previous->id, before.program.id);
  EXPECT_EQ(now.program.id, program_id("sl0")) << "the pin is not what runs";
  EXPECT_EQ(running(), image);
  EXPECT_EQ(translated(), flow) << "the nat flow got another port or backend";
  EXPECT_EQ(loader_->get_stats().packets, packets + 1) << "counters were reset";
  EXPECT_EQ(loader_->counters()->interfaces.at("sl0").at(0).count.packets, packets + 1)
      << "the new program counts for another interface";
}

TEST_F(LoaderVersions, RollbackPutsTheEarlierProgramBackAndForth) {
  const auto first = attachment().program;
  EXPECT_TRUE(fails_with(Code::invalid, roll_back()));
  ASSERT_TRUE(ok(reload("next")));
  const auto second = attachment().program;
  ASSERT_TRUE(ok(roll_back()));
  EXPECT_EQ(attachment().program.id, first.id);
  EXPECT_EQ(attachment().program.version, first.version);
  EXPECT_EQ(attachment().previous->id, second.id);
  ASSERT_TRUE(ok(roll_back()));
  EXPECT_EQ(attachment().program.id, second.id) << "a rollback can be taken back";
  EXPECT_EQ(verdict(), static_cast<std::uint32_t>(XDP_TX));
}

TEST_F(LoaderVersions, ReloadOfTheSameCodeKeepsTheVersionBefore) {
  const auto first = attachment().program;
  ASSERT_TRUE(ok(reload("next")));
  for (int i = 0; i < 3; i++) {
    const auto id = attachment().program.id;
    ASSERT_TRUE(ok(reload("next")));
    EXPECT_NE(attachment().program.id, id) << "nothing was loaded";
  }
  EXPECT_EQ(attachment().previous->id, first.id) << "after two reloads a rollback would go nowhere";
}

TEST_F(LoaderVersions, TheNextDaemonKnowsBothVersionsAndReplacesNothingUnasked) {
  const auto first = attachment().program;
  ASSERT_TRUE(ok(reload("next")));
  const auto second = attachment().program;
  reopen();
  EXPECT_EQ(attachment().program.id, second.id);
  EXPECT_EQ(attachment().program.version, "next");
  EXPECT_EQ(attachment().program.tag, second.tag);
  EXPECT_TRUE(attachment().outdated);
  ASSERT_TRUE(attachment().previous);
  EXPECT_EQ(attachment().previous->version, first.version);
  ASSERT_TRUE(ok(roll_back()));
  EXPECT_EQ(attachment().program.id, first.id);
  EXPECT_FALSE(attachment().outdated);
}

TEST_F(LoaderVersions, ADaemonKilledBetweenLinkAndPinsIsFinishedByTheNext) {
  const auto first = attachment().program;
  ASSERT_TRUE(ok(reload("next")));
  const auto second = attachment().program;
  namespace fs = std::filesystem;
  const auto place = folder().program("sl0"), previous = folder().previous("sl0"),
             incoming = folder().incoming("sl0");
  const auto expect_finished = [&](const char* when) {
    reopen();
    EXPECT_EQ(attachment().program.id, second.id) << when;
    EXPECT_EQ(program_id("sl0"), second.id) << when;
    ASSERT_TRUE(attachment().previous) << when;
    EXPECT_EQ(attachment().previous->id, first.id) << when;
    EXPECT_FALSE(fs::exists(incoming)) << when;
  };
  close();
  fs::rename(place, incoming);
  fs::rename(previous, place);
  expect_finished("killed after the link was updated");
  close();
  fs::rename(place, incoming);
  expect_finished("killed between the two pins");
  close();
  const Fd unused(bpf_obj_get(previous.c_str()));
  ASSERT_EQ(bpf_obj_pin(unused.get(), incoming.c_str()), 0);
  expect_finished("killed before the link was updated");
}

TEST_F(LoaderVersions, AVersionWithAnotherLayoutIsRefusedWithBothNumbersAndTheCure) {
  const auto before = attachment().program.id;
  const auto refused = reload("abi");
  ASSERT_TRUE(fails_with(Code::unsupported, refused));
  for (const auto& text : {std::string("version abi"), std::string("layout 999"),
                           "layout " + std::to_string(SL_ABI_VERSION), std::string("Start that")})
    EXPECT_NE(refused.error().message.find(text), std::string::npos)
        << text << " is not in: " << refused.error().message;
  EXPECT_EQ(attachment().program.id, before);
}

TEST_F(LoaderVersions, AVersionWithAMapOfAnotherShapeIsRefusedWithTheMap) {
  const auto refused = reload("shape");
  ASSERT_TRUE(fails_with(Code::unsupported, refused));
  for (const char* text : {"nat_flows", "number of entries", "4096", "detach"})
    EXPECT_NE(refused.error().message.find(text), std::string::npos)
        << text << " is not in: " << refused.error().message;
  EXPECT_TRUE(fails_with(Code::not_found, reload("nowhere")));
  EXPECT_TRUE(fails_with(Code::not_found, reload("../bpf/xdp_lb")));
}

TEST_F(LoaderVersions, VersionsThatDoNotFitAreListedWithTheReason) {
  const auto versions = loader_->versions();
  ASSERT_EQ(versions.size(), 4u);
  EXPECT_EQ(versions[0].name, "built-in");
  EXPECT_EQ(versions[0].version, attachment().program.version);
  for (const auto& one : versions)
    EXPECT_EQ(one.problem.empty(), one.name == "built-in" || one.name == "next") << one.name;
}

TEST_F(LoaderVersions, AFailedReplacementOfSeveralPutsTheFirstBack) {
  add_interface("sl1");
  auto both = config();
  both.xdp.interfaces.push_back({"sl1", model::XdpMode::DRV});
  apply(both, topology(both, "sl0"));
  ASSERT_TRUE(ok(reload("next")));
  const auto sl0 = attachment(), sl1 = attachment("sl1");
  EXPECT_FALSE(replace({{"sl0", "built-in", ""}, {"sl1", "abi", ""}}));
  EXPECT_EQ(attachment().program.id, sl0.program.id);
  EXPECT_EQ(attachment().previous->id, sl0.previous->id);
  EXPECT_EQ(attachment("sl1").program.id, sl1.program.id);
  reopen();
  EXPECT_EQ(attachment().program.id, sl0.program.id) << "the pins were not put back";
}

TEST_F(LoaderVersions, AProgramThatSomebodyElsePutThereIsNotReplacedUnseen) {
  ASSERT_TRUE(ok(reload("next")));
  {
    const Fd link(bpf_obj_get(folder().link("sl0").c_str()));
    const Fd other(bpf_obj_get(folder().previous("sl0").c_str()));
    ASSERT_EQ(bpf_link_update(link.get(), other.get(), nullptr), 0);
  }
  EXPECT_TRUE(fails_with(Code::stale, reload("built-in")));
  reopen();
  EXPECT_TRUE(ok(reload("built-in"))) << "after a new look it is known";
}

/// As an older daemon leaves it: all that is pinned stands in a folder of another layout.
class LoaderLayouts : public LoaderVersions {
 protected:
  void age() {
    close();
    ours_ = folder().link("").parent_path().parent_path();
    other_ = ours_.parent_path() / "v1";
    std::filesystem::rename(ours_, other_);
  }
  std::filesystem::path ours_, other_;
};

TEST_F(LoaderLayouts, TheLinkOfAnotherLayoutIsTakenOverInPlaceOnceAllIsThere) {
  const auto link = link_id("sl0");
  age();
  reopen();
  EXPECT_TRUE(loader_->adopted());
  const auto found = running();
  ASSERT_EQ(found.inherited.size(), 1u);
  EXPECT_EQ(found.inherited.at("sl0").layout, 1u);
  EXPECT_TRUE(found.interfaces.empty());
  EXPECT_TRUE(std::filesystem::exists(other_)) << "what forwards was taken away";

  const auto plan = planner::make_plan(found, config(), topology(config(), "sl0")).value();
  ASSERT_FALSE(plan.warnings.empty());
  EXPECT_NE(plan.warnings.back().message.find("not carried over"), std::string::npos)
      << "nobody is told that nat flows end";
  apply(config(), topology(config(), "sl0"));
  EXPECT_EQ(link_id("sl0"), link) << "the interface was without a program for a moment";
  EXPECT_EQ(verdict(), static_cast<std::uint32_t>(XDP_TX));
  EXPECT_FALSE(attachment().outdated);
  EXPECT_FALSE(std::filesystem::exists(other_)) << "the old maps are still there";
  reopen();
  EXPECT_EQ(running().interfaces.count("sl0"), 1u);
}

TEST_F(LoaderLayouts, APlanThatFailsGivesTheInterfaceBack) {
  const auto program = attachment().program.id;
  age();
  reopen();
  auto plan = planner::make_plan(running(), config(), topology(config(), "sl0")).value();
  plan.steps.push_back(planner::Detach{"nowhere"});
  EXPECT_FALSE(loader_->apply(plan));
  EXPECT_EQ(running().inherited.size(), 1u);
  EXPECT_TRUE(loader_->attachments()->empty());
  const Fd link(bpf_obj_get((other_ / "links" / "sl0").c_str()));
  bpf_link_info info{};
  std::uint32_t length = sizeof info;
  ASSERT_EQ(bpf_obj_get_info_by_fd(link.get(), &info, &length), 0);
  EXPECT_EQ(info.prog_id, program) << "the old program is not back";
  apply(config(), topology(config(), "sl0"));
  EXPECT_EQ(verdict(), static_cast<std::uint32_t>(XDP_TX));
}

TEST_F(LoaderLayouts, AnInterfaceThatIsNotWantedAnyMoreIsTakenOff) {
  age();
  reopen();
  auto none = config();
  none.xdp.interfaces.clear();
  apply(none, topology(none, "sl0"));
  EXPECT_FALSE(std::filesystem::exists(other_));
}

TEST_F(LoaderLayouts, DetachWithoutADaemonReachesEveryLayout) {
  age();
  EXPECT_EQ(Loader::remove_instance(instance_, "sl0").value(), std::vector<std::string>{"sl0"});
  EXPECT_FALSE(std::filesystem::exists(other_ / "links" / "sl0"));
}

}  // namespace sluice::test
