// Every rule that spans fields: broken, it is named with the pointer of the field to change; kept,
// it is silent.
#include "model/validate.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "codec/codec.hpp"
#include "model/document.hpp"

namespace sluice::model {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> pointers(const std::string& text, const Topology* topology = nullptr) {
  auto config = read_document(codec::parse(text).value(), topology);
  std::vector<std::string> found;
  if (!config)
    for (const auto& fault : config.error().faults) {
      found.push_back(fault.pointer);
      EXPECT_FALSE(fault.message.empty() || fault.suggestion.empty()) << fault.pointer;
    }
  return found;
}
std::string service(const std::string& name, const std::string& address, const std::string& pool,
                    const std::string& port = "80") {
  return R"({"name": ")" + name + R"(", "address": ")" + address + R"(", "port": )" + port +
         R"(, "pool": ")" + pool + R"("})";
}
std::string services(const std::string& list) {
  return R"({"services": [)" + list + "]";
}

TEST(Validate, AnEmptyAndAFullConfigurationAreValid) {
  EXPECT_THAT(pointers("{}"), ElementsAre());
  EXPECT_THAT(
      pointers(
          services(service("web", "10.0.0.100", "default") + "," +
                   service("web6", "fd00:100::100", "six")) +
          R"(, "l4_backends": ["10.0.1.11"], "pools": [{"name": "six", "backends": [{"ip": "fd00:1::11"}]}]})"),
      ElementsAre());
}

TEST(Validate, NamesAreSingleAndPlain) {
  EXPECT_THAT(
      pointers(R"({"pools": [{"name": ""}, {"name": "a b"}, {"name": "a"}, {"name": "a"}]})"),
      ElementsAre("/pools/0/name", "/pools/1/name", "/pools/3/name"));
  EXPECT_THAT(pointers(services(service("a", "10.0.0.100", "default") + "," +
                                service("a", "10.0.0.101", "default")) +
                       "}"),
              ElementsAre("/services/1/name"));
}

TEST(Validate, AddressesMustBeOnesThatServersCanHave) {
  for (const char* address :
       {"0.0.0.0", "127.0.0.1", "224.0.0.1", "169.254.0.1", "::", "::1", "ff02::1", "fe80::1"})
    EXPECT_THAT(pointers(R"({"l4_backends": [")" + std::string(address) + "\"]}"),
                ElementsAre("/l4_backends/0/ip"))
        << address;
  EXPECT_THAT(pointers(services(service("a", "127.0.0.1", "default")) + "}"),
              ElementsAre("/services/0/address"));
}

TEST(Validate, BackendsStandOnceInAPoolByAddressAndPort) {
  EXPECT_THAT(pointers(R"({"l4_backends": ["10.0.1.11", "10.0.1.11:80", "10.0.1.11"]})"),
              ElementsAre("/l4_backends/2"));
  EXPECT_THAT(
      pointers(R"({"pools": [{"name": "a", "backends": [{"ip": "10.0.1.1"}, {"ip": "10.0.1.1"}]},
                                     {"name": "b", "backends": [{"ip": "10.0.1.1"}]}]})"),
      ElementsAre("/pools/0/backends/1"));
}

TEST(Validate, ThePoolDefaultHasItsBackendsInOnePlace) {
  EXPECT_THAT(pointers(R"({"pools": [{"name": "default", "backends": [{"ip": "10.0.1.1"}]}]})"),
              ElementsAre("/pools/0/backends"));
  EXPECT_THAT(pointers(R"({"pools": [{"name": "default", "forwarding": "dsr-l2"}]})"),
              ElementsAre());
  EXPECT_THAT(
      pointers(R"({"pools": [{"name": "a", "backends": [{"ip": "10.0.1.1", "pool": "a"}]}]})"),
      ElementsAre("/pools/0/backends/0/pool"));
}

TEST(Validate, PoolsThatAreNamedMustExistAndNearOnesAreSuggested) {
  auto config = read_document(codec::parse(services(service("a", "10.0.0.100", "vdieo")) +
                                           R"(, "pools": [{"name": "video"}]})")
                                  .value());
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().faults.at(0).pointer, "/services/0/pool");
  EXPECT_THAT(config.error().faults.at(0).suggestion, HasSubstr("'video'"));
  EXPECT_THAT(pointers(R"({"l4_backends": [{"ip": "10.0.1.1", "pool": "x"}]})"),
              ElementsAre("/l4_backends/0/pool"));
}

TEST(Validate, OneServiceAnAddressPortAndProtocol) {
  EXPECT_THAT(pointers(services(service("a", "10.0.0.100", "default") + "," +
                                service("b", "10.0.0.100", "default") + "," +
                                service("c", "10.0.0.100", "default", "81")) +
                       "}"),
              ElementsAre("/services/1"));
}

TEST(Validate, RangesOfPortsDoNotMeetAndEndAfterTheyBegin) {
  const auto with = [](const std::string& one, const std::string& other) {
    return pointers(services(service("a", "10.0.0.100", "default", one) + "," +
                             service("b", "10.0.0.100", "default", other)) +
                    "}");
  };
  const std::string range = R"(8000, "portEnd": 8099)";
  EXPECT_THAT(with(range, R"(8100, "portEnd": 8199)"), ElementsAre());
  EXPECT_THAT(with(range, "8005"), ElementsAre()) << "a single port goes before a range";
  EXPECT_THAT(with(range, "0"), ElementsAre()) << "and a range before every port";
  EXPECT_THAT(with("80", "0"), ElementsAre());
  EXPECT_THAT(with(range, R"(8099, "portEnd": 8199)"), ElementsAre("/services/1/port"));
  EXPECT_THAT(with(range, R"(7000, "portEnd": 9000)"), ElementsAre("/services/1/port"));
  EXPECT_THAT(with(range, range), ElementsAre("/services/1"));
  EXPECT_THAT(with("0", "0"), ElementsAre("/services/1"));
  EXPECT_THAT(with("80", R"(80, "portEnd": 80)"), ElementsAre("/services/1"))
      << "a range of one port is that port";
  EXPECT_THAT(with("80", R"(8099, "portEnd": 8000)"), ElementsAre("/services/1/portEnd"));
  EXPECT_THAT(with("80", R"(0, "portEnd": 8000)"), ElementsAre("/services/1/portEnd"));
  auto config = read_document(
      codec::parse(services(service("a", "10.0.0.100", "default", range) + "," +
                            service("b", "10.0.0.100", "default", R"(8050, "portEnd": 8199)")) +
                   "}")
          .value());
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().faults.at(0).message, HasSubstr("8000-8099 of service 'a'"));
  EXPECT_EQ(config.error().faults.at(0).suggestion, "begin it with 8100");
}

TEST(Validate, AVipIsNeverABackend) {
  EXPECT_THAT(pointers(services(service("a", "10.0.0.100", "default")) +
                       R"(, "pools": [{"name": "x", "backends": [{"ip": "10.0.0.100"}]}]})"),
              ElementsAre("/services/0/address"));
}

TEST(Validate, FamiliesMustFitTheForwarding) {
  const auto with = [](const char* vip, const char* forwarding, const char* backend) {
    return pointers(services(service("a", vip, "p")) +
                    R"(, "pools": [{"name": "p", "forwarding": ")" + forwarding +
                    R"(", "backends": [{"ip": ")" + backend + R"("}]}]})");
  };
  EXPECT_THAT(with("10.0.0.100", "nat", "fd00::1"), ElementsAre("/services/0/pool"));
  EXPECT_THAT(with("fd00::100", "nat", "10.0.1.1"), ElementsAre("/services/0/pool"));
  EXPECT_THAT(with("fd00::100", "dsr-ipip", "10.0.1.1"), ElementsAre("/services/0/pool"));
  EXPECT_THAT(with("10.0.0.100", "dsr-ipip", "fd00::1"), ElementsAre()) << "IPv4 in IPv6";
  EXPECT_THAT(with("10.0.0.100", "dsr-l2", "fd00::1"), ElementsAre())
      << "only the MAC is looked up";
}

TEST(Validate, DirectReturnCannotChangeThePort) {
  const auto with = [](const char* forwarding, const char* port) {
    return pointers(services(service("a", "10.0.0.100", "p")) +
                    R"(, "pools": [{"name": "p", "forwarding": ")" + forwarding +
                    R"(", "backends": [{"ip": "10.0.1.1", "port": )" + port + "}]}]}");
  };
  EXPECT_THAT(with("dsr-l2", "8080"), ElementsAre("/pools/0/backends/0/port"));
  EXPECT_THAT(with("dsr-ipip", "8080"), ElementsAre("/pools/0/backends/0/port"));
  EXPECT_THAT(with("dsr-l2", "80"), ElementsAre());
  EXPECT_THAT(with("nat", "8080"), ElementsAre());
  EXPECT_THAT(pointers(services(service("a", "10.0.0.100", "p", R"(80, "portEnd": 90)")) +
                       R"(, "pools": [{"name": "p", "forwarding": "dsr-l2",
                            "backends": [{"ip": "10.0.1.1", "port": 80}]}]})"),
              ElementsAre("/pools/0/backends/0/port"))
      << "what comes for port 81 could not go there";
}

TEST(Validate, OnlyNatCanPreserveTheClient) {
  EXPECT_THAT(
      pointers(
          R"({"pools": [{"name": "p", "forwarding": "dsr-l2", "preserveClientAddress": true}]})"),
      ElementsAre("/pools/0/preserveClientAddress"));
}

TEST(Validate, TrackingSuitsTheForwarding) {
  const auto with = [](const std::string& forwarding, const std::string& tracking) {
    return pointers(R"({"pools": [{"name": "p", "forwarding": ")" + forwarding +
                    R"(", "connectionTracking": ")" + tracking + R"("}]})");
  };
  for (const char* tracking : {"off", "exceptions"}) {
    EXPECT_THAT(with("dsr-l2", tracking), ElementsAre());
    EXPECT_THAT(with("nat", tracking), ElementsAre("/pools/0/connectionTracking"));
  }
  EXPECT_THAT(with("nat", "full"), ElementsAre());
  EXPECT_THAT(with("dsr-ipip", "full"), ElementsAre());
  EXPECT_THAT(with("dsr-ipip", "some"), ElementsAre("/pools/0/connectionTracking"));
  EXPECT_THAT(pointers(R"({"xdp": {"transitionSeconds": 4, "transitionHoldSeconds": 86401}})"),
              ElementsAre("/xdp/transitionSeconds", "/xdp/transitionHoldSeconds"));
  EXPECT_THAT(pointers(R"({"l4_backends": [{"ip": "10.0.1.11", "drain": "yes"}]})"),
              ElementsAre("/l4_backends/0/drain"));
}

TEST(Validate, WhatCountsFlowsTracksThemAll) {
  const auto with = [](const std::string& settings, const std::string& backend = "") {
    return pointers(R"({"pools": [{"name": "p", "forwarding": "dsr-l2", )" + settings +
                    R"(, "backends": [{"ip": "10.0.1.11")" + backend + "}]}]}");
  };
  EXPECT_THAT(with(R"("algorithm": "roundRobin")"), ElementsAre());
  EXPECT_THAT(with(R"("algorithm": "roundRobin", "connectionTracking": "full")"), ElementsAre());
  for (const char* algorithm : {"roundRobin", "leastConnections"})
    EXPECT_THAT(with(R"("connectionTracking": "exceptions", "algorithm": ")" +
                     std::string(algorithm) + '"'),
                ElementsAre("/pools/0/connectionTracking"));
  const std::string limit = R"(, "maxConnections": 10)";
  EXPECT_THAT(with(R"("affinity": "source")", limit), ElementsAre());
  EXPECT_THAT(with(R"("connectionTracking": "off")", limit),
              ElementsAre("/pools/0/connectionTracking"));
  EXPECT_THAT(with(R"("algorithm": "fastest", "affinity": "cookie")"),
              ElementsAre("/pools/0/algorithm", "/pools/0/affinity"));
  EXPECT_THAT(with(R"("tableSize": 65537)", R"(, "maxConnections": 0)"),
              ElementsAre("/pools/0/backends/0/maxConnections"));
  EXPECT_THAT(
      pointers(R"({"xdp": {"algorithm": "random", "flowTimeouts": {"udpSeconds": 0}},
                           "maglev": {"rebalanceStrategy": "never"}})"),
      ElementsAre("/xdp/algorithm", "/xdp/flowTimeouts/udpSeconds", "/maglev/rebalanceStrategy"));
}

TEST(Validate, QuicServerIdsNameOneBackendEach) {
  const auto with = [](const std::string& quic, const std::string& first,
                       const std::string& second) {
    return R"({"pools": [{"name": "p", )" + quic + R"("backends": [{"ip": "10.0.1.11")" + first +
           R"(}, {"ip": "10.0.1.12")" + second + "}]}]}";
  };
  const auto id = [](const std::string& hex) { return R"(, "quicServerId": ")" + hex + '"'; };
  const std::string quic = R"("quic": {"serverIdLength": 2, "configRotation": 6}, )";
  EXPECT_THAT(pointers(with(quic, id("0a01"), id("0A02"))), ElementsAre());
  EXPECT_THAT(pointers(with("", id("0a01"), "")), ElementsAre())
      << "ids come first, one by one, then quic";
  EXPECT_THAT(pointers(with(quic, id("0a01"), "")),
              ElementsAre("/pools/0/backends/1/quicServerId"));
  for (const char* wrong : {"0a", "0a0102"})
    EXPECT_THAT(pointers(with(quic, id("0a01"), id(wrong))),
                ElementsAre("/pools/0/backends/1/quicServerId"));
  for (const char* wrong : {"", "0a1", "0a0g", "0x0a", " a01", "-a01"})
    for (const auto& pool : {quic, std::string()})
      EXPECT_THAT(pointers(with(pool, id("0a01"), id(wrong))),
                  ElementsAre("/pools/0/backends/1/quicServerId"))
          << wrong;
  EXPECT_THAT(pointers(with(quic, id("0a01"), id("0A01"))),
              ElementsAre("/pools/0/backends/1/quicServerId"))
      << "the same bytes, written otherwise";
  EXPECT_THAT(pointers(with(R"("quic": {"serverIdLength": 16}, )", id("0a"), id("0b"))),
              ElementsAre("/pools/0/quic/serverIdLength"));
  EXPECT_THAT(pointers(with(R"("quic": {"serverIdLength": 0}, )", id("0a"), id("0b"))),
              ElementsAre("/pools/0/quic/serverIdLength"));
  EXPECT_THAT(pointers(with(R"("quic": {"configRotation": 0}, )", id("0a"), id("0b"))),
              ElementsAre("/pools/0/quic/serverIdLength"));
  EXPECT_THAT(
      pointers(with(R"("quic": {"serverIdLength": 1, "configRotation": 7}, )", id("0a"), id("0b"))),
      ElementsAre("/pools/0/quic/configRotation"))
      << "7 says that an id names nobody";
  EXPECT_THAT(pointers(R"({"pools": [{"name": "default", "quic": {"serverIdLength": 1}}],
                           "l4_backends": [{"ip": "10.0.1.11", "quicServerId": "01"}, "10.0.1.12"]})"),
              ElementsAre("/l4_backends/1/quicServerId"));
  const auto refused = read_document(codec::parse(with(quic, id("0a01"), "")).value());
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().faults.at(0).suggestion, HasSubstr("\"0001\""))
      << "an example of the right length";
}

TEST(Validate, NatCountsFlowsOnlyWhereItRemembersThemItself) {
  const auto with = [](const std::string& pool, const std::string& service,
                       const std::string& backend) {
    return pointers(R"({"services": [{"name": "s", "pool": "p", )" + service +
                    R"(}], "pools": [{"name": "p", "forwarding": "nat", )" + pool +
                    R"(, "backends": [)" + backend + "]}]}");
  };
  const std::string least = R"("algorithm": "leastConnections")";
  const std::string v4 = R"("address": "10.0.0.100", "port": 80)";
  const std::string v6 = R"("address": "fd00::100", "port": 80)";
  EXPECT_THAT(with(least, v4, R"({"ip": "10.0.1.11"})"), ElementsAre());
  EXPECT_THAT(with(least, v6, R"({"ip": "fd00:1::11"})"), ElementsAre("/services/0/pool"));
  EXPECT_THAT(with(least, R"("address": "10.0.0.100", "port": 80, "portEnd": 90)",
                   R"({"ip": "10.0.1.11"})"),
              ElementsAre("/services/0/pool"));
  EXPECT_THAT(with(least + R"(, "preserveClientAddress": true)", v4, R"({"ip": "10.0.1.11"})"),
              ElementsAre("/services/0/pool"));
  EXPECT_THAT(with(R"("affinity": "source")", v6, R"({"ip": "fd00:1::11", "maxConnections": 3})"),
              ElementsAre("/services/0/pool"));
  EXPECT_THAT(with(R"("algorithm": "roundRobin")", v6, R"({"ip": "fd00:1::11"})"), ElementsAre());
}

TEST(Validate, NatSourcesAreOneAFamilyAndNeitherVipNorBackend) {
  const auto with = [](const std::string& sources) {
    return pointers(services(service("a", "10.0.0.100", "default")) +
                    R"(, "l4_backends": ["10.0.1.11"],
                    "nat": {"sourceAddresses": [)" +
                    sources + "]}}");
  };
  EXPECT_THAT(with(R"("10.0.1.2", "fd00::2")"), ElementsAre());
  EXPECT_THAT(with(R"("10.0.1.2", "10.0.1.3")"), ElementsAre("/nat/sourceAddresses/1"));
  EXPECT_THAT(with(R"("10.0.0.100")"), ElementsAre("/nat/sourceAddresses/0"));
  EXPECT_THAT(with(R"("10.0.1.11")"), ElementsAre("/nat/sourceAddresses/0"));
}

TEST(Validate, EncapsulationNeedsRoomToVary) {
  const auto with = [](const std::string& field, const std::string& prefix) {
    return pointers(R"({"xdp": {")" + field + R"(": ")" + prefix + "\"}}");
  };
  EXPECT_THAT(with("encapSource", "172.16.0.0/16"), ElementsAre());
  EXPECT_THAT(with("encapSource6", "fd00:e::/112"), ElementsAre());
  for (const char* bad : {"172.16.0.0/24", "172.16.0.1/16", "fd00::/112", "x", "127.0.0.0/8"})
    EXPECT_THAT(with("encapSource", bad), ElementsAre("/xdp/encapSource")) << bad;
  for (const char* bad : {"fd00::/120", "172.16.0.0/16", "ff00::/8"})
    EXPECT_THAT(with("encapSource6", bad), ElementsAre("/xdp/encapSource6")) << bad;
}

TEST(Validate, AMarkIsForPacketsThatPassAndTheseNeedOne) {
  const auto with = [](const std::string& fields) {
    return pointers(R"({"rateLimit": {)" + fields + "}}");
  };
  EXPECT_THAT(with(R"("packetsPerSecond": 1000000000, "burst": 100000000)"), ElementsAre());
  EXPECT_THAT(with(R"("packetsPerSecond": 0, "burst": 5)"), ElementsAre())
      << "a limit can be switched off and its burst kept";
  EXPECT_THAT(with(R"("action": "pass", "mark": 4294967295)"), ElementsAre());
  EXPECT_THAT(with(R"("action": "pass")"), ElementsAre("/rateLimit/mark"));
  EXPECT_THAT(with(R"("action": "drop", "mark": 1)"), ElementsAre("/rateLimit/mark"));
  EXPECT_THAT(with(R"("mark": 1)"), ElementsAre("/rateLimit/mark"));
  EXPECT_THAT(with(R"("action": "pass", "mark": 0)"), ElementsAre("/rateLimit/mark"));
  EXPECT_THAT(with(R"("action": "police", "mark": 1)"), ElementsAre("/rateLimit/action"));
  EXPECT_THAT(with(R"("packetsPerSecond": 1000000001, "burst": 0)"),
              ElementsAre("/rateLimit/packetsPerSecond", "/rateLimit/burst"));
  EXPECT_THAT(with(R"("perBackend": {"packetsPerSecond": -1, "burst": 100000001})"),
              ElementsAre("/rateLimit/perBackend/packetsPerSecond", "/rateLimit/perBackend/burst"));
  EXPECT_THAT(
      pointers(
          R"({"l4_backends": [{"ip": "10.0.1.11", "rateLimit": {"packetsPerSecond": 5, "bursts": 1}}]})"),
      ElementsAre("/l4_backends/0/rateLimit/bursts"));
}

TEST(Validate, AccessListsHoldPrefixesAndAddresses) {
  EXPECT_THAT(
      pointers(R"({"security": {"denyList": ["198.51.100.0/24", "10.0.0.1", "::/0", "2001:db8::1"],
                                "allowList": ["0.0.0.0/0"], "defaultAction": "deny"}})"),
      ElementsAre());
  EXPECT_THAT(
      pointers(R"({"security": {"denyList": ["198.51.100.0/33", "example.com", "", "10.0.0.0/24"],
                                "allowList": ["198.51.100.7/24", "2001:db8::1/64", 7]}})"),
      ElementsAre("/security/allowList/2", "/security/denyList/0", "/security/denyList/1",
                  "/security/denyList/2", "/security/allowList/0", "/security/allowList/1"));
  Config config;
  config.security.denyList.assign(60000, "10.0.0.1");
  config.security.allowList.assign(40001, "10.0.0.1");
  const auto faults = validate(config);
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_EQ(faults[0].pointer, "/security");
  EXPECT_EQ(faults[0].suggestion, "remove 1");
}

TEST(Validate, InterfacesMustExistAndStandOnce) {
  Topology topology;
  topology.links["eth0"].name = "eth0";
  EXPECT_THAT(
      pointers(R"({"xdp": {"interfaces": [{"name": "eth0"}, {"name": "eht0"}, {"name": "eth0"}]}})",
               &topology),
      ElementsAre("/xdp/interfaces/1/name", "/xdp/interfaces/2/name"));
}

TEST(Validate, AllTablesTogetherMustFitTheArena) {
  std::string pools;
  for (int i = 0; i < 13; i++)
    pools += std::string(i ? "," : "") + R"({"name": "p)" + std::to_string(i) +
             R"(", "tableSize": 262139, "backends": [{"ip": "10.0.1.)" + std::to_string(i + 1) +
             R"("}]})";
  EXPECT_THAT(pointers(R"({"pools": [)" + pools + "]}"), ElementsAre("/pools"));
}

TEST(Validate, WhatCouldNotBeReadIsNotJudgedASecondTime) {
  // The pool's name is unreadable: that a service names it is no fault of the service.
  EXPECT_THAT(pointers(services(service("a", "10.0.0.100", "p")) + R"(, "pools": [{"name": 5}]})"),
              ElementsAre("/pools/0/name"));
  EXPECT_THAT(pointers(R"({"l4_backends": [{"ip": "x"}, {"ip": "x"}]})"),
              ElementsAre("/l4_backends/0/ip", "/l4_backends/1/ip"));
}

TEST(Validate, RangesOfFieldsAreCheckedForConfigurationsThatNeverWereJson) {
  Config config;
  config.l4_backends = {{.ip = IpAddress::parse("10.0.1.11").value(), .weight = 0}};
  const auto faults = validate(config);
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_EQ(faults[0].pointer, "/l4_backends/0/weight");
}

}  // namespace
}  // namespace sluice::model
