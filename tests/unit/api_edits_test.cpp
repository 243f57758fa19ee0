// Changes of single things: exactly that thing changes, and what is not there is said.
#include "api/edits.hpp"

#include <gtest/gtest.h>

#include "codec/codec.hpp"
#include "model/document.hpp"

namespace sluice::api {
namespace {

model::Config start() {
  return model::read_document(codec::parse(R"({
    "services": [{"name": "web", "address": "10.0.0.100", "port": 80, "pool": "default"}],
    "pools": [{"name": "video", "backends": [{"ip": "fd00::1", "port": 80, "weight": 3, "label": "old"}]}],
    "l4_backends": ["10.0.1.11", "10.0.1.12:8080"],
    "xdp": {"interfaces": [{"name": "eth0"}]}})")
                                  .value())
      .value();
}

template <class T>
testing::AssertionResult refused(Code code, const Result<T>& result) {
  if (result)
    return testing::AssertionFailure() << "it was done";
  return result.error().code == code ? testing::AssertionSuccess()
                                     : testing::AssertionFailure() << result.error().message;
}

model::Backend backend(const char* ip, std::optional<std::uint16_t> port = {}) {
  model::Backend one;
  one.ip = IpAddress::parse(ip).value();
  one.port = port;
  return one;
}

TEST(Edits, BackendsAreFoundByTheirIdInThePoolThatIsNamed) {
  const auto config = start();
  auto without = config;
  without.l4_backends.erase(without.l4_backends.begin() + 1);
  EXPECT_EQ(remove_backend(config, "default", "10.0.1.12:8080").value(), without);
  EXPECT_TRUE(refused(Code::not_found, remove_backend(config, "default", "10.0.1.12")))
      << "without its port it is another backend";
  EXPECT_TRUE(remove_backend(config, "video", "[fd00::1]:80").value().pools[0].backends.empty());
  EXPECT_TRUE(refused(Code::not_found, remove_backend(config, "video", "10.0.1.11")));
  EXPECT_TRUE(refused(Code::not_found, remove_backend(config, "vdieo", "10.0.1.11")));
  EXPECT_TRUE(refused(Code::not_found, remove_backend(config, "default", "10.0.1")));
}

TEST(Edits, ABackendIsAddedOnce) {
  const auto added = add_backend(start(), "default", backend("10.0.1.13"));
  ASSERT_TRUE(added);
  EXPECT_EQ(added->l4_backends.size(), 3u);
  EXPECT_TRUE(refused(Code::exists, add_backend(*added, "default", backend("10.0.1.13"))));
  EXPECT_TRUE(add_backend(*added, "default", backend("10.0.1.13", 81)))
      << "another port, another backend";
  EXPECT_TRUE(add_backend(*added, "video", backend("10.0.1.13")))
      << "another pool, another backend";
  EXPECT_TRUE(refused(Code::not_found, add_backend(*added, "none", backend("10.0.1.13"))));
}

TEST(Edits, APatchChangesOnlyTheFieldsThatItNames) {
  const auto patched =
      patch_backend(start(), "video", "[fd00::1]:80", {{"weight", 7}, {"label", nullptr}});
  ASSERT_TRUE(patched);
  const auto& one = patched->pools[0].backends[0];
  EXPECT_EQ(one.weight, 7);
  EXPECT_FALSE(one.label);
  EXPECT_EQ(one.port, 80);
  const auto bad = patch_backend(start(), "video", "[fd00::1]:80", {{"weight", 0}, {"wieght", 1}});
  ASSERT_TRUE(refused(Code::invalid, bad));
  EXPECT_EQ(bad.error().faults.size(), 2u);
}

TEST(Edits, ServicesAndPoolsComeAndGoByName) {
  auto service = start().services[0];
  EXPECT_TRUE(refused(Code::exists, add_service(start(), service)));
  service.name = "web2";
  EXPECT_EQ(add_service(start(), service).value().services.size(), 2u);
  EXPECT_TRUE(refused(Code::not_found, replace_service(start(), "web2", service)));
  EXPECT_EQ(replace_service(start(), "web", service).value().services[0].name, "web2");
  EXPECT_TRUE(remove_service(start(), "web").value().services.empty());
  EXPECT_TRUE(refused(Code::not_found, remove_service(start(), "web2")));
  model::Pool pool;
  pool.name = "video";
  EXPECT_TRUE(refused(Code::exists, add_pool(start(), pool)));
  EXPECT_TRUE(replace_pool(start(), "video", pool).value().pools[0].backends.empty());
  EXPECT_TRUE(remove_pool(start(), "video").value().pools.empty());
  EXPECT_TRUE(refused(Code::not_found, remove_pool(start(), "none")));
  auto used = start();
  used.services[0].pool = "video";
  const auto refusal = remove_pool(used, "video");
  ASSERT_TRUE(refused(Code::exists, refusal));
  EXPECT_NE(refusal.error().message.find("web"), std::string::npos)
      << "the service that needs it is named";
}

TEST(Edits, InterfacesAreAttachedOnceAndChangeTheirMode) {
  const auto other = attach(start(), "eth0", model::XdpMode::SKB).value();
  ASSERT_EQ(other.xdp.interfaces.size(), 1u);
  EXPECT_EQ(other.xdp.interfaces[0].mode, model::XdpMode::SKB);
  EXPECT_EQ(attach(start(), "eth1", model::XdpMode::DRV).value().xdp.interfaces.size(), 2u);
  EXPECT_TRUE(detach(start(), "eth0").value().xdp.interfaces.empty());
  EXPECT_TRUE(refused(Code::not_found, detach(start(), "eth1")));
  EXPECT_TRUE(detach_all(start()).value().xdp.interfaces.empty());
}

}  // namespace
}  // namespace sluice::api
