// GET, POST, PUT /config and its history.
#include "api/api.hpp"
#include "codec/codec.hpp"
#include "model/document.hpp"

namespace sluice::api {

void Api::add_config_routes() {
  router_.add({.method = "GET",
               .path = "/api/v1/config",
               .id = "getXDPConfig",
               .summary = "The running configuration; its generation is the ETag",
               .handle = [this](const Call&) -> Result<Reply> {
                 const ConfigReply reply{controller_.generation(), controller_.config()};
                 return Reply{.body = codec::to_json(reply), .etag = reply.generation};
               },
               .reply = codec::type_of<ConfigReply>});
  router_.add({.method = "POST",
               .path = "/api/v1/config",
               .id = "mergeXDPConfig",
               .summary = "Merge into the configuration (RFC 7396); lists are replaced whole",
               .handle = [this](const Call& call) -> Result<Reply> {
                 auto body = body_of(call);
                 if (!body)
                   return fail(body.error());
                 if (!body->is_object())
                   return fail(
                       Code::invalid, "the body is no object",
                       {{"", "expected an object", "send {\"l4_backends\": […]} for example"}});
                 auto topology = controller_.topology();
                 if (!topology)
                   return fail(topology.error());
                 return change(
                     call,
                     [&](const model::Config& current) {
                       return model::read_document(
                           model::merge_patch(model::write_document(current), *body), &*topology);
                     },
                     IfMatch::required);
               },
               .reply = codec::type_of<ChangeReply>,
               .body = codec::type_of<model::Config>,
               .writes = true,
               .if_match = IfMatch::required});
  router_.add({.method = "PUT",
               .path = "/api/v1/config",
               .id = "updateXDPConfig",
               .summary = "Replace the configuration",
               .handle = [this](const Call& call) -> Result<Reply> {
                 auto body = body_of(call);
                 if (!body)
                   return fail(body.error());
                 auto topology = controller_.topology();
                 if (!topology)
                   return fail(topology.error());
                 return change(
                     call,
                     [&](const model::Config&) { return model::read_document(*body, &*topology); },
                     IfMatch::required);
               },
               .reply = codec::type_of<ChangeReply>,
               .body = codec::type_of<model::Config>,
               .writes = true,
               .if_match = IfMatch::required});
  router_.add({.method = "GET",
               .path = "/api/v1/config/history",
               .id = "getConfigHistory",
               .summary = "The newest generations: when, who, why",
               .handle = [this](const Call&) -> Result<Reply> {
                 auto generations = store_.history(100);
                 if (!generations)
                   return fail(generations.error());
                 HistoryReply reply;
                 for (auto& generation : *generations)
                   reply.generations.push_back({generation.number, generation.time_ms,
                                                generation.actor, generation.reason});
                 return Reply{.body = codec::to_json(reply), .etag = {}};
               },
               .reply = codec::type_of<HistoryReply>});
}

}  // namespace sluice::api
