// The OpenAPI 3.1 document, from the route table and the described types.
#include "api/router.hpp"
#include "api/views.hpp"
#include "codec/codec.hpp"

namespace sluice::api {

namespace json = boost::json;

namespace {

json::object content(json::object schema, const char* type = "application/json") {
  return {{type, json::object{{"schema", std::move(schema)}}}};
}

json::array parameters_of(const Route& route) {
  json::array parameters;
  for (auto at = route.path.find('{'); at != std::string::npos; at = route.path.find('{', at + 1)) {
    const auto name = route.path.substr(at + 1, route.path.find('}', at) - at - 1);
    parameters.push_back({{"name", name},
                          {"in", "path"},
                          {"required", true},
                          {"schema", json::object{{"type", "string"}}}});
  }
  if (route.writes)
    parameters.push_back({{"name", "dryRun"},
                          {"in", "query"},
                          {"description", "true: answer with the plan, change nothing"},
                          {"schema", json::object{{"type", "boolean"}, {"default", false}}}});
  if (route.writes)
    parameters.push_back({{"name", "X-Reason"},
                          {"in", "header"},
                          {"description", "why, for the history"},
                          {"schema", json::object{{"type", "string"}}}});
  if (route.if_match != IfMatch::none)
    parameters.push_back({{"name", "If-Match"},
                          {"in", "header"},
                          {"required", route.if_match == IfMatch::required},
                          {"description", "the generation that the caller saw, in quotes"},
                          {"schema", json::object{{"type", "string"}}}});
  return parameters;
}

json::object operation_of(const Route& route, json::object& schemas) {
  json::object reply{{"description", "done"}};
  reply["content"] = content(route.reply ? codec::schema(route.reply(), schemas)
                                         : json::object{{"type", "object"}});
  json::object problem{{"description", "a problem document (RFC 9457)"},
                       {"content", content(codec::schema(codec::type_of<Problem>(), schemas),
                                           "application/problem+json")}};
  json::object responses{{"default", std::move(problem)}};
  if (route.creates)
    responses["201"] = reply;
  responses["200"] = std::move(reply);
  json::object operation{{"operationId", route.id},
                         {"summary", route.summary},
                         {"parameters", parameters_of(route)},
                         {"responses", std::move(responses)}};
  if (route.body)
    operation["requestBody"] = {{"required", true},
                                {"content", content(codec::schema(route.body(), schemas))}};
  return operation;
}

}  // namespace

json::object openapi(const std::vector<Route>& routes) {
  json::object schemas, paths;
  for (const auto& route : routes) {
    std::string method = route.method;
    for (char& c : method)
      c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    auto& item = paths[route.path];
    if (!item.is_object())
      item = json::object();
    item.get_object()[method] = operation_of(route, schemas);
  }
  return {{"openapi", "3.1.0"},
          {"info", json::object{{"title", "Sluice"}, {"version", "1"}}},
          {"paths", std::move(paths)},
          {"components", json::object{{"schemas", std::move(schemas)}}}};
}

}  // namespace sluice::api
