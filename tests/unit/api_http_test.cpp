// Requests before they reach an operation: paths, queries, sockets that are handed over, and how
// errors look.
#include <gtest/gtest.h>

#include "api/listen_fds.hpp"
#include "api/problem.hpp"
#include "api/router.hpp"

namespace sluice::api {
namespace {

TEST(PercentDecoding, BrokenEscapesAreRefused) {
  EXPECT_EQ(percent_decode("%5Bfd00%3a%3a1%5D%3A80"), "[fd00::1]:80");
  EXPECT_EQ(percent_decode("a+b"), "a+b");
  for (const char* text : {"%", "%4", "%zz", "a%2", "%+1"})
    EXPECT_EQ(percent_decode(text), std::nullopt) << text;
}

TEST(Text, IsUtf8InOneLine) {
  for (const char* text : {"", "new rack", "größe \"7\" \\", "日本"})
    EXPECT_TRUE(is_text(text)) << text;
  for (const char* text : {"a\nb", "\x1b[2J", "\xff", "\xc3", "\xed\xa0\x80", "\x7f"})
    EXPECT_FALSE(is_text(text));
}

TEST(Target, IsSplitIntoPathAndQuery) {
  Request request;
  set_target(request, "/api/v1/config?dryRun=true&empty&x=a%26b&=&bad=%zz");
  EXPECT_EQ(request.path, "/api/v1/config");
  EXPECT_EQ(request.query.at("dryRun"), "true");
  EXPECT_EQ(request.query.at("empty"), "");
  EXPECT_EQ(request.query.at("x"), "a&b");
  EXPECT_FALSE(request.query.contains("bad"));
}

TEST(ListenFds, AreTakenOnlyByTheProcessTheyAreMeantFor) {
  EXPECT_EQ(listen_fds("42", "2", 42), (std::vector<int>{3, 4}));
  EXPECT_TRUE(listen_fds("41", "2", 42).empty());
  EXPECT_TRUE(listen_fds({}, "2", 42).empty());
  EXPECT_TRUE(listen_fds("42", {}, 42).empty());
  for (const char* count : {"", "-1", "x", "2x", "1000000"})
    EXPECT_TRUE(listen_fds("42", count, 42).empty()) << count;
}

Router router() {
  Router router;
  router.add({.method = "GET",
              .path = "/things/{name}/parts/{id}",
              .id = "getPart",
              .summary = "",
              .handle = [](const Call& call) -> Result<Reply> {
                return Reply{.body = {{"name", call.path.at("name")}, {"id", call.path.at("id")}},
                             .etag = 7};
              }});
  router.add({.method = "POST",
              .path = "/things",
              .id = "addThing",
              .summary = "",
              .handle = [](const Call&) -> Result<Reply> { throw std::runtime_error("a secret"); },
              .body = codec::type_of<std::string>});
  return router;
}
Request request(const char* method, const char* target) {
  Request request;
  request.method = method;
  request.id = "the-id";
  set_target(request, target);
  return request;
}

TEST(Router, PartsOfThePathAreDecodedEachForItself) {
  const auto response = router().dispatch(request("GET", "/things/a%2Fb/parts/%5B::1%5D:80?x"));
  EXPECT_EQ(response.status, 200u);
  EXPECT_EQ(response.body, R"({"name":"a/b","id":"[::1]:80"})");
  EXPECT_EQ(response.headers.at(0), (std::pair<std::string, std::string>{"ETag", "\"7\""}));
  EXPECT_EQ(router().dispatch(request("HEAD", "/things/a/parts/b")).status, 200u);
}

TEST(Router, WhatIsNotThereAndWhatCannotBeDoneAreToldApart) {
  for (const char* path : {"/", "/thing", "/things/a/parts", "/things/a/parts/",
                           "/things/a/parts/b/c", "/things/%zz/parts/b", "/things//parts/b"})
    EXPECT_EQ(router().dispatch(request("GET", path)).status, 404u) << path;
  const auto response = router().dispatch(request("DELETE", "/things"));
  EXPECT_EQ(response.status, 405u);
  EXPECT_EQ(response.headers.at(0), (std::pair<std::string, std::string>{"Allow", "POST"}));
}

TEST(Router, AnExceptionDoesNotTellItsTextToTheCaller) {
  const auto response = router().dispatch(request("POST", "/things"));
  EXPECT_EQ(response.status, 500u);
  EXPECT_EQ(response.body.find("secret"), std::string::npos);
  EXPECT_NE(response.body.find("the-id"), std::string::npos);
}

TEST(Router, BodiesThatAreNotJsonAreRefusedUnread) {
  auto form = request("POST", "/things");
  for (const char* type :
       {"text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""}) {
    form.headers["content-type"] = type;
    EXPECT_EQ(router().dispatch(form).status, 415u) << "a page of another site could send " << type;
  }
}

TEST(Problem, CarriesEveryFaultAndTheRequestsId) {
  const auto response = problem_response(
      {Code::invalid, "two faults", {{"/a", "m1", "s1"}, {"/b", "m2", "s2"}}}, "id7");
  EXPECT_EQ(response.status, 422u);
  EXPECT_EQ(response.content_type, "application/problem+json");
  const auto body = boost::json::parse(response.body);
  EXPECT_EQ(body.at("status"), 422);
  EXPECT_EQ(body.at("requestId"), "id7");
  EXPECT_EQ(body.at("errors").as_array().size(), 2u);
  EXPECT_EQ(body.at("errors").at(1).at("pointer"), "/b");
}

TEST(Problem, EveryCodeHasAStatusOfItsOwn) {
  std::set<unsigned> statuses;
  for (int code = 0; code <= static_cast<int>(Code::internal); code++) {
    const auto status = status_of(static_cast<Code>(code));
    EXPECT_TRUE(status >= 400 && status < 600);
    EXPECT_TRUE(statuses.insert(status).second) << "two codes say " << status;
  }
}

}  // namespace
}  // namespace sluice::api
