// Which variant of the program an interface has: the MTU asks for one, the driver has the last
// word.
#include <bpf/bpf.h>
#include <linux/bpf.h>

#include <filesystem>

#include "loader_fixture.hpp"
#include "planner/programs.hpp"

namespace sluice::test {

using dataplane::xdp::Loader;

class LoaderMtu : public LoaderTest {
 protected:
  static constexpr std::uint32_t redirect = XDP_REDIRECT, tx = XDP_TX;

  void SetUp() override {
    LoaderTest::SetUp();
    reopen();
    add_interface("sl0");
  }
  void reopen(const std::string& versions = SLUICE_BPF_VERSIONS) {
    close();
    auto loader = Loader::open(instance_, versions);
    ASSERT_TRUE(ok(loader));
    loader_ = std::move(*loader);
  }
  static model::Config config(std::initializer_list<const char*> interfaces = {"sl0"}) {
    model::Config config;
    for (const char* name : interfaces)
      config.xdp.interfaces.push_back({name, model::XdpMode::DRV});
    model::Pool pool{.name = "l2", .forwarding = model::Forwarding::dsr_l2, .backends = {}};
    pool.backends = {backend("10.0.1.11")};
    config.pools = {pool};
    config.services = {service("web", "10.0.0.100", 80, "l2")};
    return config;
  }
  void attach() { apply(config(), topology(config(), "sl0")); }
  /// As the daemon does it when it hears of another MTU.
  std::size_t follow_mtu() {
    const auto plans = planner::plan_fits(running(), topology(config(), "sl0"));
    for (const auto& plan : plans) {
      EXPECT_TRUE(ok(loader_->apply(plan)));
      EXPECT_EQ(running(), plan.after);
    }
    return plans.size();
  }
  dataplane::Attachment attachment(const std::string& interface = "sl0") {
    const auto all = loader_->attachments().value();
    for (const auto& one : all)
      if (one.interface == interface)
        return one;
    ADD_FAILURE() << interface << " is not attached";
    return {};
  }
  bool is_multi_buffer() { return attachment().program.multi_buffer; }
  Result<void> replace(const std::string& version) {
    planner::Plan plan;
    plan.after = running();
    plan.steps = {planner::ReplaceProgram{"sl0", version, ""}};
    return loader_->apply(plan);
  }
  std::uint32_t verdict(std::size_t size = 0) const {
    auto packet = tcp_packet(ip("10.0.2.10"), ip("10.0.0.100"), 80);
    packet.resize(std::max(packet.size(), size));
    return run("sl0", packet).verdict;
  }
};

TEST_F(LoaderMtu, ALargeMtuIsAttachedInTheVariantForSeveralBuffers) {
  set_mtu("sl0", 9000);
  attach();
  EXPECT_TRUE(is_multi_buffer());
  EXPECT_FALSE(attachment().outdated) << "another variant is no other version";
  EXPECT_EQ(verdict(9014), tx) << "a frame of several buffers is not balanced";
  EXPECT_EQ(loader_->get_stats().bytes, 9014u);
}

TEST_F(LoaderMtu, AnMtuThatFitsIntoOneBufferKeepsThePlainOne) {
  set_mtu("sl0", planner::largest_single_buffer_mtu);
  attach();
  EXPECT_FALSE(is_multi_buffer()) << "it would cost every packet something";
  apply(config({}), topology(config({}), "sl0"));
  set_mtu("sl0", planner::largest_single_buffer_mtu + 1);
  attach();
  EXPECT_TRUE(is_multi_buffer()) << "a byte more does not fit";
}

TEST_F(LoaderMtu, GenericModeNeedsNoOtherVariant) {
  set_mtu("sl0", 9000);
  auto generic = config();
  generic.xdp.interfaces[0].mode = model::XdpMode::SKB;
  apply(generic, topology(generic, "sl0"));
  EXPECT_FALSE(is_multi_buffer());
}

TEST_F(LoaderMtu, WhereTheFarEndSendsLargeFramesTheDriversWordCounts) {
  set_mtu("sl0", 9000);
  set_own_mtu("sl0", 1500);
  attach();
  EXPECT_TRUE(is_multi_buffer()) << "the kernel refuses the plain one";
  EXPECT_EQ(follow_mtu(), 0u) << "it would be tried again and again";
  const auto program = attachment().program.id;
  reopen();
  EXPECT_EQ(follow_mtu(), 0u);
  EXPECT_EQ(attachment().program.id, program) << "a restart replaced the program";
  ASSERT_TRUE(ok(replace("next"))) << "a reload is refused";
  EXPECT_TRUE(is_multi_buffer());
}

TEST_F(LoaderMtu, AChangedMtuChangesTheVariantInPlace) {
  set_mtu("sl0", 9000);
  attach();
  const auto before = attachment();
  const auto link = link_id("sl0");
  EXPECT_EQ(verdict(), tx);
  set_mtu("sl0", 1500);
  EXPECT_EQ(follow_mtu(), 1u);
  EXPECT_FALSE(is_multi_buffer());
  EXPECT_EQ(verdict(), tx);
  set_own_mtu("sl0", 9000);
  EXPECT_EQ(follow_mtu(), 1u);
  EXPECT_TRUE(is_multi_buffer());
  EXPECT_EQ(verdict(9014), tx);
  const auto after = attachment();
  EXPECT_EQ(link_id("sl0"), link) << "the interface was without a program for a moment";
  EXPECT_EQ(after.program.tag, before.program.tag) << "it is not the same code";
  EXPECT_EQ(after.program.version, before.program.version);
  EXPECT_FALSE(after.previous) << "the variant took the place of the version before";
  EXPECT_EQ(loader_->get_stats().packets, 3u) << "the counters were lost";
  reopen();
  EXPECT_TRUE(is_multi_buffer());
  EXPECT_EQ(follow_mtu(), 0u) << "the next daemon changes something";
}

TEST_F(LoaderMtu, BothVariantsSendOutOfEveryInterface) {
  add_interface("sl1");
  set_mtu("sl0", 9000);
  const auto both = config({"sl0", "sl1"});
  apply(both, topology(both, "sl1"));
  EXPECT_TRUE(is_multi_buffer());
  EXPECT_FALSE(attachment("sl1").program.multi_buffer);
  const auto packet = tcp_packet(ip("10.0.2.10"), ip("10.0.0.100"), 80);
  EXPECT_EQ(run("sl0", packet).verdict, redirect);
  EXPECT_EQ(run("sl1", packet).verdict, tx);
  // An older daemon knew one devmap, and its entries.
  close();
  std::filesystem::remove(folder().map("tx_ports_frags"));
  reopen();
  set_mtu("sl0", 1500);
  ASSERT_TRUE(ok(replace("built-in")));
  set_own_mtu("sl0", 9000);
  const auto plans = planner::plan_fits(running(), topology(both, "sl1"));
  ASSERT_EQ(plans.size(), 1u);
  ASSERT_TRUE(ok(loader_->apply(plans[0])));
  EXPECT_TRUE(is_multi_buffer());
  EXPECT_EQ(run("sl0", packet).verdict, redirect) << "the new devmap has no entry";
}

TEST_F(LoaderMtu, ReloadAndRollbackFollowTheMtuAndNotTheVersion) {
  set_mtu("sl0", 9000);
  attach();
  const auto own = attachment().program.tag;
  ASSERT_TRUE(ok(replace("next")));
  EXPECT_TRUE(is_multi_buffer());
  const auto next = attachment().program.tag;
  EXPECT_NE(next, own);
  ASSERT_TRUE(ok(replace(""))) << "the one before is pinned in the right variant";
  EXPECT_TRUE(is_multi_buffer());
  EXPECT_EQ(attachment().program.tag, own);

  set_mtu("sl0", 1500);
  EXPECT_EQ(follow_mtu(), 1u);
  EXPECT_EQ(attachment().program.tag, own);
  EXPECT_EQ(attachment().previous->tag, next);
  ASSERT_TRUE(ok(replace("")));
  EXPECT_EQ(attachment().program.tag, next);
  EXPECT_FALSE(is_multi_buffer()) << "the version before came back in the variant it had";
  set_own_mtu("sl0", 9000);
  EXPECT_EQ(follow_mtu(), 1u);
  EXPECT_EQ(attachment().program.tag, next) << "following the MTU changed the version";
  ASSERT_TRUE(ok(replace("")));
  EXPECT_EQ(attachment().program.tag, own);
  EXPECT_TRUE(is_multi_buffer());
}

TEST_F(LoaderMtu, WithoutTheObjectLargeFramesAreWorthAnotherVersion) {
  set_mtu("sl0", 9000);
  attach();
  const auto own = attachment().program.tag;
  ASSERT_TRUE(ok(replace("next")));
  const auto next = attachment().program.tag;
  reopen("");
  set_mtu("sl0", 1500);
  EXPECT_EQ(follow_mtu(), 1u);
  EXPECT_TRUE(is_multi_buffer()) << "it works at a small MTU too";
  EXPECT_EQ(attachment().program.tag, next) << "a version was replaced without need";
  EXPECT_EQ(follow_mtu(), 0u);
  ASSERT_TRUE(ok(replace("")));
  EXPECT_EQ(attachment().program.tag, own);
  EXPECT_FALSE(is_multi_buffer());

  reopen();
  ASSERT_TRUE(ok(replace("next")));
  EXPECT_FALSE(is_multi_buffer());
  reopen("");
  set_own_mtu("sl0", 9000);
  EXPECT_EQ(follow_mtu(), 1u);
  EXPECT_TRUE(is_multi_buffer());
  EXPECT_EQ(attachment().program.tag, own) << "large frames find no program";
  EXPECT_EQ(attachment().previous->tag, next) << "there is no way back";
  // The far end may send large frames by now, so that only one variant can come back.
  set_mtu("sl0", 9000);
  const auto refused = replace("");
  ASSERT_FALSE(refused) << "a plain program cannot be there";
  EXPECT_NE(refused.error().message.find("--programs"), std::string::npos)
      << "it is not said what helps: " << refused.error().message;
  EXPECT_TRUE(is_multi_buffer());
  EXPECT_EQ(attachment().program.tag, own);
}

TEST_F(LoaderMtu, AFailedPlanPutsTheVariantBack) {
  set_mtu("sl0", 9000);
  attach();
  const auto before = running();
  const auto program = attachment().program.id;
  set_mtu("sl0", 1500);
  auto plans = planner::plan_fits(before, topology(config(), "sl0"));
  ASSERT_EQ(plans.size(), 1u);
  plans[0].steps.emplace_back(planner::Detach{"nowhere"});
  EXPECT_FALSE(loader_->apply(plans[0]));
  EXPECT_EQ(running(), before);
  EXPECT_EQ(attachment().program.id, program);
}

TEST_F(LoaderMtu, AnotherLayoutIsTakenOverInTheVariantOfTheMtu) {
  set_mtu("sl0", 9000);
  attach();
  const auto link = link_id("sl0");
  close();
  const auto ours = folder().link("").parent_path().parent_path();
  std::filesystem::rename(ours, ours.parent_path() / "v1");
  reopen();
  ASSERT_EQ(running().inherited.size(), 1u);
  attach();
  EXPECT_EQ(link_id("sl0"), link);
  EXPECT_TRUE(is_multi_buffer());
  EXPECT_EQ(verdict(9014), tx);
}

}  // namespace sluice::test
