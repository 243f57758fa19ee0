// What runs: health, status, counters, interfaces and their attachment, and the document that
// describes all this.
#include "api/api.hpp"
#include "api/convert.hpp"
#include "api/edits.hpp"
#include "codec/codec.hpp"

namespace sluice::api {

void Api::add_status_routes() {
  router_.add({.method = "GET",
               .path = "/healthz",
               .id = "health",
               .summary = "Is the daemon there?",
               .handle = [](const Call&) -> Result<Reply> {
                 return Reply{.body = codec::to_json(Health{"ok"}), .etag = {}};
               },
               .reply = codec::type_of<Health>});
  router_.add({.method = "GET",
               .path = "/api/v1/status",
               .id = "getStatus",
               .summary = "What runs, and whether it is what the configuration wants",
               .handle = [this](const Call&) -> Result<Reply> {
                 auto state = controller_.state();
                 if (!state)
                   return fail(state.error());
                 return Reply{.body = codec::to_json(status_view(controller_.config(), *state)),
                              .etag = {}};
               },
               .reply = codec::type_of<StatusView>});
  router_.add({.method = "GET",
               .path = "/api/v1/stats",
               .id = "getXDPStats",
               .summary = "All counters, summed over the CPUs",
               .handle = [this](const Call&) -> Result<Reply> {
                 auto body = stats();
                 if (!body)
                   return fail(body.error());
                 return Reply{.body = std::move(*body), .etag = {}};
               },
               .reply = codec::type_of<StatsView>});
  router_.add({.method = "GET",
               .path = "/api/v1/interfaces",
               .id = "getInterfaces",
               .summary = "The interfaces of the daemon's network namespace",
               .handle = [this](const Call&) -> Result<Reply> {
                 auto state = controller_.state();
                 if (!state)
                   return fail(state.error());
                 return Reply{.body = codec::to_json(interface_views(*state)), .etag = {}};
               },
               .reply = codec::type_of<std::vector<InterfaceView>>});
  router_.add({.method = "POST",
               .path = "/api/v1/interfaces/{name}/attach",
               .id = "attachProgram",
               .summary = "Attach the program to an interface",
               .handle = [this](const Call& call) -> Result<Reply> {
                 AttachRequest wanted;
                 if (!call.request.body.empty()) {
                   auto body = body_of(call);
                   if (!body)
                     return fail(body.error());
                   auto read = codec::from_json<AttachRequest>(*body);
                   if (!read)
                     return fail(read.error());
                   wanted = *read;
                 }
                 return change(call, [&](const model::Config& config) {
                   return attach(config, call.path.at("name"), wanted.mode);
                 });
               },
               .reply = codec::type_of<ChangeReply>,
               .body = codec::type_of<AttachRequest>,
               .writes = true});
  router_.add({.method = "POST",
               .path = "/api/v1/interfaces/{name}/detach",
               .id = "detachProgram",
               .summary = "Take the program off an interface",
               .handle = [this](const Call& call) -> Result<Reply> {
                 return change(call, [&](const model::Config& config) {
                   return detach(config, call.path.at("name"));
                 });
               },
               .reply = codec::type_of<ChangeReply>,
               .writes = true});
  router_.add({.method = "POST",
               .path = "/api/v1/detach",
               .id = "detachAll",
               .summary = "Take the program off all interfaces",
               .handle = [this](const Call& call) -> Result<Reply> {
                 return change(call,
                               [](const model::Config& config) { return detach_all(config); });
               },
               .reply = codec::type_of<ChangeReply>,
               .writes = true});
  router_.add({.method = "GET",
               .path = "/api/v1/openapi.json",
               .id = "getOpenapi",
               .summary = "This description",
               .handle = [this](const Call&) -> Result<Reply> {
                 return Reply{.body = openapi(router_.routes()), .etag = {}};
               }});
}

}  // namespace sluice::api
