// The route table: what each operation is called, takes and gives. Requests are dispatched by it,
// OpenAPI is made from it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "api/http.hpp"
#include "base/result.hpp"
#include "codec/reflect.hpp"

namespace sluice::api {

/// A request with the variable parts of its path.
struct Call {
  const Request& request;
  std::map<std::string, std::string> path;  ///< decoded, by name in the template
};

/// What an operation answers with; an error becomes a problem document.
struct Reply {
  boost::json::value body;
  unsigned status = 200;
  std::optional<std::uint64_t> etag;  ///< the generation
};

enum class IfMatch { none, optional, required };

struct Route {
  std::string method;
  std::string path;  ///< `/api/v1/pools/{pool}`
  std::string id;    ///< operationId: `getPool`
  std::string summary;
  std::function<Result<Reply>(const Call&)> handle;
  const codec::TypeDesc& (*reply)() = nullptr;  ///< absent: free-form JSON
  const codec::TypeDesc& (*body)() = nullptr;
  bool writes = false;   ///< takes `?dryRun=true` and `X-Reason`
  bool creates = false;  ///< answers with 201 once it has made something
  IfMatch if_match = IfMatch::none;
};

class Router {
 public:
  void add(Route route) { routes_.push_back(std::move(route)); }
  const std::vector<Route>& routes() const { return routes_; }

  /// Runs the operation; 404 and 405 (with Allow) where there is none. Exceptions become a 500 and
  /// are logged.
  Response dispatch(const Request& request) const;

 private:
  std::vector<Route> routes_;
};

/// OpenAPI 3.1 of all routes.
boost::json::object openapi(const std::vector<Route>& routes);

}  // namespace sluice::api
