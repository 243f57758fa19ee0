#include "api/problem.hpp"

#include <algorithm>
#include <array>

namespace sluice::api {

namespace json = boost::json;

namespace {

struct Kind {
  Code code;
  unsigned status;
  const char* name;
  const char* title;
};

constexpr std::array<Kind, 12> kinds{{
    {Code::malformed, 400, "malformed", "The body cannot be read"},
    {Code::invalid, 422, "invalid", "The input breaks a rule"},
    {Code::not_found, 404, "not-found", "There is no such thing"},
    {Code::exists, 409, "exists", "It exists already"},
    {Code::full, 507, "full", "A table has no room left"},
    {Code::stale, 412, "stale", "The configuration has changed meanwhile"},
    {Code::precondition, 428, "precondition", "The generation that was seen must be named"},
    {Code::permission, 403, "permission", "A right is missing"},
    {Code::unsupported, 501, "unsupported", "This machine cannot do it"},
    {Code::unavailable, 503, "unavailable", "Not possible right now"},
    {Code::kernel, 502, "kernel", "The kernel refused"},
    {Code::internal, 500, "internal", "A defect of Sluice"},
}};

const Kind& kind_of(Code code) {
  return *std::ranges::find(kinds, code, &Kind::code);
}

Response response_of(unsigned status, json::object document) {
  return {.status = status,
          .content_type = "application/problem+json",
          .headers = {},
          .body = json::serialize(document)};
}

}  // namespace

unsigned status_of(Code code) {
  return kind_of(code).status;
}

json::object problem(const Error& error, const std::string& request_id) {
  const auto& kind = kind_of(error.code);
  json::array errors;
  for (const auto& fault : error.faults)
    errors.push_back(
        {{"pointer", fault.pointer}, {"message", fault.message}, {"suggestion", fault.suggestion}});
  return {{"type", std::string("urn:sluice:problem:") + kind.name},
          {"title", kind.title},
          {"status", kind.status},
          {"detail", error.message},
          {"requestId", request_id},
          {"errors", std::move(errors)}};
}

Response problem_response(const Error& error, const std::string& request_id) {
  return response_of(status_of(error.code), problem(error, request_id));
}

Response problem_response(unsigned status, const std::string& detail,
                          const std::string& request_id) {
  return response_of(status, {{"type", "about:blank"},
                              {"title", "The request cannot be served"},
                              {"status", status},
                              {"detail", detail},
                              {"requestId", request_id},
                              {"errors", json::array()}});
}

}  // namespace sluice::api
