// The operations of the API over one controller.
#pragma once

#include "api/router.hpp"
#include "api/views.hpp"
#include "control/controller.hpp"

namespace sluice::api {

/// All handlers call the controller, so they run on the control strand.
class Api {
 public:
  explicit Api(control::Controller& controller, store::Store& store);

  Response handle(const Request& request) const { return router_.dispatch(request); }
  const Router& router() const { return router_; }
  /// The body of GET /stats, as the stream sends it too.
  Result<boost::json::value> stats() const;

 private:
  void add_config_routes();
  void add_service_routes();
  void add_pool_routes();
  void add_backend_routes(const std::string& prefix, const std::string& id_suffix);
  void add_status_routes();
  void add_program_routes();
  void add_program_change(const std::string& path, const std::string& id,
                          const std::string& summary, bool rollback);

  /// If-Match, dryRun, actor and reason of a request that changes something.
  Result<control::ChangeOptions> options_of(const Request& request, IfMatch if_match) const;
  /// Runs an edit with If-Match, dryRun, actor and reason of the request.
  Result<Reply> change(const Call& call, const control::Edit& edit,
                       IfMatch if_match = IfMatch::optional) const;
  /// The same where the edit makes something: 201 unless it is a dry run.
  Result<Reply> create(const Call& call, const control::Edit& edit) const;
  Result<boost::json::value> body_of(const Call& call) const;
  Result<model::EffectivePool> pool(const std::string& name) const;

  control::Controller& controller_;
  store::Store& store_;
  Router router_;
};

}  // namespace sluice::api
