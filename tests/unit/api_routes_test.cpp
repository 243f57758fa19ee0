// The operations over a controller with a data plane in memory: what is changed, what is answered,
// what is described.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/api.hpp"
#include "codec/codec.hpp"
#include "fakes.hpp"

namespace sluice::api {
namespace {

namespace json = boost::json;
using ::testing::HasSubstr;

class Routes : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(controller.start()); }

  Response send(const std::string& method, const std::string& target, const std::string& body = "",
                std::map<std::string, std::string> headers = {}) {
    Request request;
    request.method = method;
    request.id = "id";
    request.actor = "ada";
    request.headers = std::move(headers);
    request.body = body;
    set_target(request, "/api/v1/" + target);
    last = api.handle(request);
    return last;
  }
  json::value answer(unsigned status) {
    EXPECT_EQ(last.status, status) << last.body;
    return json::parse(last.body);
  }
  void put(const std::string& config) {
    send("PUT", "config", config, {{"if-match", "*"}});
    ASSERT_EQ(last.status, 200u) << last.body;
  }
  void put_web() {
    put(R"({"services": [{"name": "web", "address": "10.0.0.100", "port": 80, "pool": "default"}],
            "l4_backends": ["10.0.1.11", "10.0.1.12"], "xdp": {"interfaces": [{"name": "eth0"}]}})");
  }

  test::FakeDataplane dataplane;
  test::FakeStore store;
  test::FakeNextHops next_hops;
  control::Controller controller{dataplane, store, next_hops};
  Api api{controller, store};
  Response last;
};

TEST_F(Routes, AConfigurationIsReadAndReplacedByItsGeneration) {
  put_web();
  send("GET", "config");
  EXPECT_EQ(answer(200).at("generation"), 1);
  EXPECT_EQ(last.headers.at(0).second, "\"1\"");
  send("PUT", "config", "{}");
  answer(428);
  send("PUT", "config", "{}", {{"if-match", "\"0\""}});
  answer(412);
  send("PUT", "config", "{}", {{"if-match", "yesterday"}});
  answer(422);
  EXPECT_EQ(controller.config().services.size(), 1u);
  for (const char* mine : {"\"1\"", "W/\"2\"", "3", "*"}) {
    send("POST", "config",
         R"({"telemetry": {"intervalMs": )" + std::to_string(500 + controller.generation()) + "}}",
         {{"if-match", mine}});
    answer(200);
  }
}

TEST_F(Routes, AMergeKeepsWhatItDoesNotName) {
  put_web();
  send("POST", "config", R"({"l4_backends": ["10.0.1.12", "10.0.1.13"]})", {{"if-match", "*"}});
  answer(200);
  EXPECT_EQ(controller.config().services.size(), 1u);
  ASSERT_EQ(controller.config().l4_backends.size(), 2u);
  EXPECT_EQ(controller.config().l4_backends[1].ip.to_string(), "10.0.1.13");
  send("POST", "config", "[]", {{"if-match", "*"}});
  answer(422);
  send("POST", "config", "{", {{"if-match", "*"}});
  answer(400);
}

TEST_F(Routes, ADryRunAnswersWithThePlanAndChangesNothing) {
  put_web();
  send("POST", "backends?dryRun=true", R"({"ip": "10.0.1.13"})");
  const auto plan = answer(200);
  EXPECT_EQ(plan.at("applied"), false);
  EXPECT_GT(plan.at("plan").at("steps").as_array().size(), 2u);
  EXPECT_GT(plan.at("plan").at("effects").at(0).at("moved").to_number<int>(), 10000);
  EXPECT_EQ(controller.config().l4_backends.size(), 2u);
  send("POST", "backends?dryRun=yes", R"({"ip": "10.0.1.13"})");
  answer(422);
}

TEST_F(Routes, BackendsAreAddedChangedAndRemovedInTheirPool) {
  put_web();
  send("POST", "pools", R"({"name": "video", "backends": [{"ip": "10.0.1.21"}]})");
  answer(201);
  send("POST", "pools/video/backends", R"({"ip": "fd00::1", "port": 80})");
  answer(201);
  send("POST", "pools/video/backends", R"({"ip": "fd00::1", "port": 80})");
  answer(409);
  send("GET", "pools/video/backends/%5Bfd00::1%5D:80");
  EXPECT_EQ(answer(200).at("id"), "[fd00::1]:80");
  send("PATCH", "pools/video/backends/%5Bfd00::1%5D:80", R"({"weight": 9, "enabled": false})");
  answer(200);
  send("GET", "pools/video/backends/%5Bfd00::1%5D:80");
  EXPECT_EQ(answer(200).at("weight"), 9);
  EXPECT_EQ(answer(200).at("state"), "disabled");
  send("DELETE", "backends/10.0.1.11");
  answer(200);
  send("GET", "backends");
  EXPECT_EQ(answer(200).as_array().size(), 1u);
  send("DELETE", "backends/10.0.1.11");
  answer(404);
}

TEST_F(Routes, OneBadFieldRefusesTheChangeAndNamesIt) {
  put_web();
  const auto before = controller.generation();
  send("POST", "backends", R"({"ip": "10.0.1.13", "weight": 0, "wieght": 2})");
  EXPECT_EQ(answer(422).at("errors").as_array().size(), 2u);
  send("DELETE", "pools/default");
  EXPECT_EQ(last.status, 404u) << "it is not declared, only fed by l4_backends";
  EXPECT_EQ(controller.generation(), before);
}

TEST_F(Routes, WhatTheKernelRefusesIsSaidAndNotKept) {
  put_web();
  dataplane.refusal = "no memory for maps";
  send("POST", "backends", R"({"ip": "10.0.1.13"})");
  EXPECT_THAT(std::string(answer(502).at("detail").as_string()), HasSubstr("no memory for maps"));
  EXPECT_EQ(controller.config().l4_backends.size(), 2u);
}

TEST_F(Routes, InterfacesAreAttachedAndDetachedByName) {
  send("POST", "interfaces/eth1/attach", R"({"mode": "SKB"})");
  answer(200);
  EXPECT_EQ(dataplane.image.interfaces.at("eth1").mode, model::XdpMode::SKB);
  send("POST", "interfaces/eth9/attach", "{}");
  EXPECT_THAT(last.body, HasSubstr("eth9"));
  answer(422);
  send("POST", "interfaces/eth1/detach");
  answer(200);
  send("POST", "interfaces/eth1/detach");
  answer(404);
  put_web();
  send("POST", "detach");
  answer(200);
  EXPECT_TRUE(dataplane.image.interfaces.empty());
}

TEST_F(Routes, StatusAndStatsTellWhatRuns) {
  put_web();
  next_hops.unreachable = {IpAddress::parse("10.0.1.12").value()};
  next_hops.changed = true;
  controller.tick();
  const planner::BackendKey key{"default", IpAddress::parse("10.0.1.11").value(), 0};
  dataplane.counted.backends[key].packets = 17;
  dataplane.counted.interfaces["eth0"] = {{"tx", "nat", {17, 1700}},
                                          {"drop", "too-big", {2, 3000}}};
  send("GET", "status");
  const auto status = answer(200);
  EXPECT_EQ(status.at("backends"), 2);
  EXPECT_EQ(status.at("backendsActive"), 1);
  EXPECT_EQ(status.at("interfaces").at(0).at("attached"), true);
  ASSERT_EQ(status.at("unroutable").as_array().size(), 1u);
  EXPECT_EQ(status.at("unroutable").at(0).at("id"), "10.0.1.12");
  EXPECT_THAT(std::string(status.at("unroutable").at(0).at("problem").as_string()),
              HasSubstr("does not answer ARP"));
  send("GET", "backends/10.0.1.12");
  EXPECT_EQ(answer(200).at("state"), "unroutable");
  EXPECT_THAT(std::string(answer(200).at("problem").as_string()), HasSubstr("does not answer ARP"));
  send("GET", "stats");
  const auto stats = answer(200);
  EXPECT_EQ(stats.at("totals").at("packets"), 19);
  EXPECT_EQ(stats.at("totals").at("drops"), 2);
  EXPECT_EQ(stats.at("backends").at(0).at("packets"), 17);
  EXPECT_EQ(stats.at("interfaces").at(0).at("verdicts").as_array().size(), 2u);
}

TEST_F(Routes, StatsTellWhatWentWrongWithItsCauseAndWhere) {
  put_web();
  const planner::BackendKey key{"default", IpAddress::parse("10.0.1.12").value(), 0};
  dataplane.counted.backends[key].unresolved = 5;
  dataplane.counted.interfaces["eth0"] = {{"pass", "truncated", {3, 90}},
                                          {"pass", "malformed", {4, 240}},
                                          {"drop", "missing-interface", {6, 360}},
                                          {"drop", "unresolved", {5, 300}},
                                          {"aborted", "missing-backend", {7, 420}},
                                          {"aborted", "table-bound", {8, 480}},
                                          {"tx", "nat", {100, 6000}}};
  dataplane.counted.uncounted = 9;
  send("GET", "stats");
  const auto stats = answer(200);
  const auto& totals = stats.at("totals");
  EXPECT_EQ(totals.at("malformed"), 7);
  EXPECT_EQ(totals.at("lookupFailures"), 6 + 7 + 9);
  EXPECT_EQ(totals.at("programErrors"), 8);
  EXPECT_EQ(totals.at("unreachable"), 5);
  std::map<std::string, json::object> errors;
  for (const auto& one : stats.at("errors").as_array())
    errors[std::string(one.at("reason").as_string())] = one.as_object();
  ASSERT_EQ(errors.size(), 7u);
  EXPECT_EQ(errors["unresolved"].at("backend"), "10.0.1.12");
  EXPECT_EQ(errors["unresolved"].at("kind"), "unreachable");
  EXPECT_FALSE(errors["unresolved"].contains("interface"));
  EXPECT_EQ(errors["missing-backend"].at("interface"), "eth0");
  EXPECT_EQ(errors["missing-backend"].at("packets"), 7);
  EXPECT_THAT(std::string(errors["missing-backend"].at("cause").as_string()),
              HasSubstr("backend_pool"));
  EXPECT_FALSE(errors["missing-counters"].contains("interface"));
}

TEST_F(Routes, StatsTellHowLongPacketsTake) {
  put_web();
  dataplane.counted.interfaces["eth0"] = {{"tx", "nat", {200000, 1}}};
  auto& timing = dataplane.counted.timing["eth0"];
  timing.buckets[0] = 1;   // 0 and 1 ns
  timing.buckets[5] = 97;  // 32 to 63
  timing.buckets[6] = 1;   // 64 to 127
  timing.buckets[31] = 1;  // beyond two seconds
  timing.nanoseconds = 4700;
  send("GET", "stats");
  const auto one = answer(200).at("interfaces").at(0).at("timing");
  EXPECT_EQ(one.at("samples"), 100);
  EXPECT_EQ(one.at("nanoseconds"), 4700);
  EXPECT_EQ(one.at("meanNs"), 47.0);
  EXPECT_EQ(one.at("p50"), (json::object{{"fromNs", 32}, {"belowNs", 64}}));
  EXPECT_EQ(one.at("p99"), (json::object{{"fromNs", 64}, {"belowNs", 128}}));
  ASSERT_EQ(one.at("buckets").as_array().size(), 4u);
  EXPECT_EQ(one.at("buckets").at(0), (json::object{{"fromNs", 0}, {"belowNs", 2}, {"samples", 1}}));
  EXPECT_EQ(one.at("buckets").at(3),
            (json::object{{"fromNs", std::uint64_t{1} << 31}, {"samples", 1}}))
      << "the last one has no end";
  dataplane.counted.timing.clear();
  send("GET", "stats");
  const auto none = answer(200).at("interfaces").at(0).at("timing");
  EXPECT_EQ(none.at("samples"), 0);
  EXPECT_FALSE(none.as_object().contains("meanNs")) << "nothing was timed: there is no mean";
  EXPECT_FALSE(none.as_object().contains("p99"));
}

TEST_F(Routes, HistorySaysWhoAndWhy) {
  put_web();
  send("DELETE", "backends/10.0.1.11", "", {{"x-reason", "broken fan"}});
  send("GET", "config/history");
  const auto newest = answer(200).at("generations").at(0);
  EXPECT_EQ(newest.at("number"), 2);
  EXPECT_EQ(newest.at("actor"), "ada");
  EXPECT_EQ(newest.at("reason"), "broken fan");
}

/// Every "$ref" of a document.
void references(const json::value& value, std::set<std::string>& found) {
  if (const auto* object = value.if_object())
    for (const auto& [name, member] : *object) {
      if (name == "$ref")
        found.insert(std::string(member.as_string()));
      references(member, found);
    }
  if (const auto* list = value.if_array())
    for (const auto& item : *list)
      references(item, found);
}

TEST_F(Routes, OpenapiDescribesEveryOperationAndEveryTypeItNames) {
  send("GET", "openapi.json");
  const auto document = answer(200);
  EXPECT_EQ(document.at("openapi"), "3.1.0");
  std::set<std::string> ids;
  for (const auto& route : api.router().routes()) {
    std::string method = route.method;
    std::ranges::transform(method, method.begin(),
                           [](char c) { return static_cast<char>(std::tolower(c)); });
    const auto& operation = document.at("paths").at(route.path).at(method);
    EXPECT_EQ(operation.at("operationId").as_string(), route.id);
    EXPECT_FALSE(route.summary.empty()) << route.id;
    EXPECT_TRUE(ids.insert(route.id).second) << "two operations are called " << route.id;
    EXPECT_EQ(operation.as_object().contains("requestBody"), route.body != nullptr) << route.id;
    EXPECT_EQ(operation.at("responses").as_object().contains("201"), route.creates) << route.id;
  }
  std::set<std::string> named;
  references(document, named);
  EXPECT_GT(named.size(), 10u);
  for (const auto& name : named) {
    ASSERT_TRUE(name.starts_with("#/components/schemas/")) << name;
    EXPECT_TRUE(document.at("components").at("schemas").as_object().contains(name.substr(21)))
        << name;
  }
}

TEST_F(Routes, TheConfigurationsSchemaHasASentenceForEveryField) {
  send("GET", "openapi.json");
  const auto schemas = answer(200).at("components").at("schemas").as_object();
  for (const char* type : {"Backend", "Pool", "Service", "XdpInterface", "NatSettings",
                           "MaglevSettings", "TelemetrySettings"})
    for (const auto& [name, property] : schemas.at(type).at("properties").as_object())
      EXPECT_TRUE(property.as_object().contains("description"))
          << type << "." << std::string_view(name);
}

TEST_F(Routes, ProgramsAreReloadedAndRolledBackWithoutANewGeneration) {
  put_web();
  send("POST", "programs/eth0/reload", R"({"version": "next"})");
  const auto reloaded = answer(200);
  EXPECT_EQ(reloaded.at("generation"), 1);
  EXPECT_EQ(reloaded.at("applied"), true);
  EXPECT_THAT(std::string(reloaded.at("plan").at("steps").at(0).as_string()),
              HasSubstr("eth0 by version 2.0 (next)"));
  send("GET", "programs");
  auto eth0 = answer(200).at("interfaces").at(0);
  EXPECT_EQ(eth0.at("program").at("version"), "2.0");
  EXPECT_EQ(eth0.at("previous").at("version"), "1.0");
  EXPECT_EQ(eth0.at("outdated"), true);
  EXPECT_EQ(answer(200).at("versions").as_array().size(), 3u);
  send("GET", "status");
  EXPECT_EQ(answer(200).at("interfaces").at(0).at("programVersion"), "2.0");
  send("POST", "programs/rollback");
  answer(200);
  send("GET", "programs");
  eth0 = answer(200).at("interfaces").at(0);
  EXPECT_EQ(eth0.at("program").at("id"), 42) << "the earlier program itself, not a new one";
  EXPECT_EQ(controller.generation(), 1u);
}

TEST_F(Routes, AReloadIsPreviewedAndRefusedForWhatThereIsNot) {
  put_web();
  send("POST", "programs/reload?dryRun=true");
  EXPECT_EQ(answer(200).at("applied"), false);
  EXPECT_TRUE(dataplane.programs.empty());
  send("POST", "programs/eth0/rollback");
  answer(422);
  EXPECT_THAT(last.body, HasSubstr("no program to go back to on eth0"));
  send("POST", "programs/eth9/reload");
  answer(404);
  send("POST", "programs/eth0/reload", R"({"version": "nowhere"})");
  answer(404);
  EXPECT_THAT(last.body, HasSubstr("built-in, next"));
  send("POST", "programs/eth0/reload", R"({"version": "foreign"})");
  answer(501);
  EXPECT_THAT(last.body, HasSubstr("another layout"));
  send("POST", "programs/eth0/reload", R"({"verison": "next"})");
  answer(422);
  EXPECT_TRUE(dataplane.programs.empty());
}

}  // namespace
}  // namespace sluice::api
