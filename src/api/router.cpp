#include "api/router.hpp"

#include <spdlog/spdlog.h>

#include <new>

#include "api/problem.hpp"

namespace sluice::api {

namespace {

std::vector<std::string_view> segments(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    path.remove_prefix(path.front() == '/' ? 1 : 0);
    const auto end = path.find('/');
    parts.push_back(path.substr(0, end));
    path.remove_prefix(end == path.npos ? path.size() : end);
  }
  return parts;
}

/// The variable parts if the path fits the template.
std::optional<std::map<std::string, std::string>> match(std::string_view pattern,
                                                        std::string_view path) {
  const auto wanted = segments(pattern);
  const auto given = segments(path);
  if (wanted.size() != given.size())
    return std::nullopt;
  std::map<std::string, std::string> variables;
  for (std::size_t i = 0; i < wanted.size(); i++) {
    if (!wanted[i].starts_with('{')) {
      if (wanted[i] != given[i])
        return std::nullopt;
      continue;
    }
    auto value = percent_decode(given[i]);
    if (!value || value->empty() || !is_text(*value))
      return std::nullopt;
    variables.emplace(wanted[i].substr(1, wanted[i].size() - 2), std::move(*value));
  }
  return variables;
}

/// Nothing that a page of another site may send without being asked about it (a form, plain text).
bool is_json(const std::string& content_type) {
  const auto plain = content_type.substr(0, content_type.find(';'));
  return plain == "application/json" || plain == "application/merge-patch+json";
}

Response run(const Route& route, const Call& call) {
  const auto& request = call.request;
  // What is kept and answered must be UTF-8, or no reply that has it is JSON.
  if (const auto reason = request.header("x-reason"); reason && !is_text(*reason))
    return problem_response(400, "X-Reason is not a line of UTF-8", request.id);
  const auto type = request.header("content-type").value_or("application/json");
  if (route.body && !is_json(type))
    return problem_response(
        415, "the body is '" + type + "'; send it with Content-Type: application/json", request.id);
  try {
    auto reply = route.handle(call);
    if (!reply)
      return problem_response(reply.error(), request.id);
    Response response{.status = reply->status,
                      .content_type = "application/json",
                      .headers = {},
                      .body = boost::json::serialize(reply->body)};
    if (reply->etag)
      response.headers.emplace_back("ETag", "\"" + std::to_string(*reply->etag) + "\"");
    return response;
  } catch (const std::bad_alloc&) {
    spdlog::error("request {} ({} {}) failed: out of memory", request.id, request.method,
                  request.path);
    return problem_response({Code::unavailable,
                             "sluiced has not enough memory for this; give it more, for instance "
                             "by systemd's MemoryMax=, and ask again",
                             {}},
                            request.id);
  } catch (const std::exception& error) {
    spdlog::error("request {} ({} {}) failed: {}", request.id, request.method, request.path,
                  error.what());
    return problem_response(
        {Code::internal, "the operation failed; the log says more under " + request.id, {}},
        request.id);
  }
}

}  // namespace

Response Router::dispatch(const Request& request) const {
  std::string allowed;
  const std::string method = request.method == "HEAD" ? "GET" : request.method;
  for (const auto& route : routes_) {
    auto variables = match(route.path, request.path);
    if (!variables)
      continue;
    if (route.method == method)
      return run(route, {request, std::move(*variables)});
    allowed += (allowed.empty() ? "" : ", ") + route.method;
  }
  if (allowed.empty())
    return problem_response(
        404, "there is nothing at " + request.path + "; /api/v1/openapi.json lists all operations",
        request.id);
  auto response =
      problem_response(405, request.method + " is not possible here, but " + allowed, request.id);
  response.headers.emplace_back("Allow", allowed);
  return response;
}

}  // namespace sluice::api
