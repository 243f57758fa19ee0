// /services: VIPs one by one.
#include <algorithm>

#include "api/api.hpp"
#include "api/convert.hpp"
#include "api/edits.hpp"
#include "codec/codec.hpp"

namespace sluice::api {

void Api::add_service_routes() {
  const auto read_service = [this](const Call& call) -> Result<model::Service> {
    auto body = body_of(call);
    if (!body)
      return fail(body.error());
    return codec::from_json<model::Service>(*body);
  };
  router_.add({.method = "GET",
               .path = "/api/v1/services",
               .id = "getServices",
               .summary = "All services with their counters",
               .handle = [this](const Call&) -> Result<Reply> {
                 auto counters = controller_.counters();
                 if (!counters)
                   return fail(counters.error());
                 std::vector<ServiceView> views;
                 for (const auto& service : controller_.config().services)
                   views.push_back(service_view(service, *counters));
                 return Reply{.body = codec::to_json(views), .etag = controller_.generation()};
               },
               .reply = codec::type_of<std::vector<ServiceView>>});
  router_.add({.method = "POST",
               .path = "/api/v1/services",
               .id = "addService",
               .summary = "Add a service",
               .handle = [this, read_service](const Call& call) -> Result<Reply> {
                 auto service = read_service(call);
                 if (!service)
                   return fail(service.error());
                 return create(call, [&](const model::Config& config) {
                   return add_service(config, *service);
                 });
               },
               .reply = codec::type_of<ChangeReply>,
               .body = codec::type_of<model::Service>,
               .writes = true,
               .creates = true,
               .if_match = IfMatch::optional});
  router_.add({.method = "GET",
               .path = "/api/v1/services/{name}",
               .id = "getService",
               .summary = "One service with its counters",
               .handle = [this](const Call& call) -> Result<Reply> {
                 auto counters = controller_.counters();
                 if (!counters)
                   return fail(counters.error());
                 const auto& services = controller_.config().services;
                 const auto found =
                     std::ranges::find(services, call.path.at("name"), &model::Service::name);
                 if (found == services.end())
                   return fail(Code::not_found,
                               "there is no service '" + call.path.at("name") + "'");
                 return Reply{.body = codec::to_json(service_view(*found, *counters)),
                              .etag = controller_.generation()};
               },
               .reply = codec::type_of<ServiceView>});
  router_.add({.method = "PUT",
               .path = "/api/v1/services/{name}",
               .id = "updateService",
               .summary = "Replace a service",
               .handle = [this, read_service](const Call& call) -> Result<Reply> {
                 auto service = read_service(call);
                 if (!service)
                   return fail(service.error());
                 return change(call, [&](const model::Config& config) {
                   return replace_service(config, call.path.at("name"), *service);
                 });
               },
               .reply = codec::type_of<ChangeReply>,
               .body = codec::type_of<model::Service>,
               .writes = true,
               .if_match = IfMatch::optional});
  router_.add({.method = "DELETE",
               .path = "/api/v1/services/{name}",
               .id = "removeService",
               .summary = "Remove a service; its packets then pass to the kernel",
               .handle = [this](const Call& call) -> Result<Reply> {
                 return change(call, [&](const model::Config& config) {
                   return remove_service(config, call.path.at("name"));
                 });
               },
               .reply = codec::type_of<ChangeReply>,
               .writes = true,
               .if_match = IfMatch::optional});
}

}  // namespace sluice::api
