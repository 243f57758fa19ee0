// What stands in bpffs: shapes that must fit, one daemon an instance, and nothing when it is gone.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>

#include <filesystem>

#include "loader_fixture.hpp"

namespace sluice::test {

using dataplane::xdp::Loader;
using dataplane::xdp::PinFolder;

class LoaderPins : public LoaderTest {
 protected:
  /// Pins an array of another shape in a map's place, in an instance that is not opened yet.
  void plant(const std::string& map, std::uint32_t value_size, std::uint32_t entries) {
    close();
    ASSERT_TRUE(ok(Loader::remove_instance(instance_)));
    ASSERT_TRUE(ok(folder().create()));
    const Fd fd(bpf_map_create(BPF_MAP_TYPE_ARRAY, "planted", 4, value_size, entries, nullptr));
    ASSERT_EQ(bpf_obj_pin(fd.get(), folder().map(map).c_str()), 0);
  }

  void expect_refused(const std::string& map, const std::string& what) {
    auto loader = Loader::open(instance_);
    ASSERT_TRUE(fails_with(Code::unsupported, loader));
    const auto& message = loader.error().message;
    EXPECT_NE(message.find(map), std::string::npos) << "which map? " << message;
    EXPECT_NE(message.find(what), std::string::npos) << "what differs? " << message;
    EXPECT_NE(message.find("sluicectl detach --all"), std::string::npos)
        << "what helps? " << message;
    std::size_t maps = 0;
    for ([[maybe_unused]] const auto& entry :
         std::filesystem::directory_iterator(folder().map(map).parent_path()))
      maps++;
    EXPECT_EQ(maps, 1u) << "the refused load left maps behind";
  }
};

TEST_F(LoaderPins, MapWithAnotherValueSizeStopsTheLoad) {
  plant("backend_pool", 32, 4096);
  expect_refused("backend_pool", "value size 32");
}

TEST_F(LoaderPins, MapWithAnotherNumberOfEntriesStopsTheLoad) {
  plant("service_labels", 152, 7);
  expect_refused("service_labels", "number of entries 7");
}

TEST_F(LoaderPins, MapOfAnotherTypeStopsTheLoad) {
  plant("nat_flows", 72, 262144);
  expect_refused("nat_flows", "type");
}

TEST_F(LoaderPins, ArenaOfAnotherSizeStopsTheLoad) {
  plant(".bss.slots", 4096, 1);
  expect_refused(".bss.slots", "value size 4096");
}

TEST_F(LoaderPins, MismatchIsMendedByRemovingTheInstance) {
  plant("backend_pool", 32, 4096);
  ASSERT_TRUE(fails_with(Code::unsupported, Loader::open(instance_)));
  ASSERT_TRUE(ok(Loader::remove_instance(instance_)));
  open();
}

TEST_F(LoaderPins, SecondDaemonOfAnInstanceIsRefused) {
  EXPECT_TRUE(fails_with(Code::unavailable, Loader::open(instance_)));
  close();
  open();
}

TEST_F(LoaderPins, InstancesDoNotSeeEachOther) {
  const auto other_name = instance_ + "-2";
  auto other = Loader::open(other_name);
  ASSERT_TRUE(ok(other));
  ASSERT_TRUE(ok((*other)->add_backend("10.0.1.11")));
  EXPECT_TRUE(running().backends.empty());
  other->reset();
  ASSERT_TRUE(ok(Loader::remove_instance(other_name)));
  EXPECT_TRUE(std::filesystem::exists(folder().map("backend_pool")))
      << "removing one instance took another's maps";
}

TEST_F(LoaderPins, InstanceNamesThatBpffsRefusesAreInvalid) {
  for (const char* name : {"", "a.b", "../x", "a/b", "a b"})
    EXPECT_TRUE(fails_with(Code::invalid, Loader::open(name))) << "'" << name << "'";
}

TEST_F(LoaderPins, RemovedInstanceLeavesNothing) {
  add_interface("sl0");
  add_interface("sl1");
  model::Config config;
  config.xdp.interfaces = {{"sl0", model::XdpMode::DRV}, {"sl1", model::XdpMode::SKB}};
  apply(config);
  EXPECT_TRUE(fails_with(Code::unavailable, Loader::remove_instance(instance_)))
      << "a daemon that runs would lose its pins under its feet";
  close();
  auto one = Loader::remove_instance(instance_, "sl1");
  ASSERT_TRUE(ok(one));
  EXPECT_EQ(*one, std::vector<std::string>{"sl1"});
  open();
  EXPECT_EQ(running().interfaces.size(), 1u) << "only sl1 was to be taken off";
  close();
  EXPECT_TRUE(fails_with(Code::not_found, Loader::remove_instance(instance_, "sl1")));
  EXPECT_TRUE(fails_with(Code::not_found, Loader::remove_instance(instance_, "sl9")));

  auto all = Loader::remove_instance(instance_);
  ASSERT_TRUE(ok(all));
  EXPECT_EQ(*all, std::vector<std::string>{"sl0"});
  EXPECT_FALSE(std::filesystem::exists(folder().link("").parent_path().parent_path().parent_path()))
      << "the instance's folder is still there";
  for (const char* name : {"sl0", "sl1"}) {
    LIBBPF_OPTS(bpf_xdp_query_opts, query);
    ASSERT_EQ(bpf_xdp_query(static_cast<int>(if_nametoindex(name)), 0, &query), 0);
    EXPECT_EQ(query.attach_mode, XDP_ATTACHED_NONE) << name << " still has a program";
  }
  auto nothing = Loader::remove_instance(instance_);
  ASSERT_TRUE(ok(nothing)) << "removing what is not there is no error";
  EXPECT_TRUE(nothing->empty());
}

}  // namespace sluice::test
