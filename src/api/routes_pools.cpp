// /pools, and the backends in them; /backends is the pool `default`.
#include <algorithm>

#include "api/api.hpp"
#include "api/convert.hpp"
#include "api/edits.hpp"
#include "codec/codec.hpp"
#include "model/document.hpp"

namespace sluice::api {

void Api::add_pool_routes() {
  const auto read_pool = [this](const Call& call) -> Result<model::Pool> {
    auto body = body_of(call);
    if (!body)
      return fail(body.error());
    return codec::from_json<model::Pool>(*body);
  };
  const auto view = [this](const model::EffectivePool& pool) -> Result<PoolView> {
    auto state = controller_.state();
    if (!state)
      return fail(state.error());
    auto counters = controller_.counters();
    if (!counters)
      return fail(counters.error());
    return pool_view(pool, *state, *counters);
  };
  router_.add({.method = "GET",
               .path = "/api/v1/pools",
               .id = "getPools",
               .summary = "All pools with their backends",
               .handle = [this, view](const Call&) -> Result<Reply> {
                 std::vector<PoolView> views;
                 for (const auto& entry : model::effective_pools(controller_.config())) {
                   auto one = view(entry);
                   if (!one)
                     return fail(one.error());
                   views.push_back(std::move(*one));
                 }
                 return Reply{.body = codec::to_json(views), .etag = controller_.generation()};
               },
               .reply = codec::type_of<std::vector<PoolView>>});
  router_.add({.method = "POST",
               .path = "/api/v1/pools",
               .id = "addPool",
               .summary = "Add a pool",
               .handle = [this, read_pool](const Call& call) -> Result<Reply> {
                 auto added = read_pool(call);
                 if (!added)
                   return fail(added.error());
                 return create(
                     call, [&](const model::Config& config) { return add_pool(config, *added); });
               },
               .reply = codec::type_of<ChangeReply>,
               .body = codec::type_of<model::Pool>,
               .writes = true,
               .creates = true,
               .if_match = IfMatch::optional});
  router_.add({.method = "GET",
               .path = "/api/v1/pools/{pool}",
               .id = "getPool",
               .summary = "One pool with its backends",
               .handle = [this, view](const Call& call) -> Result<Reply> {
                 auto found = pool(call.path.at("pool"));
                 if (!found)
                   return fail(found.error());
                 auto one = view(*found);
                 if (!one)
                   return fail(one.error());
                 return Reply{.body = codec::to_json(*one), .etag = controller_.generation()};
               },
               .reply = codec::type_of<PoolView>});
  router_.add({.method = "PUT",
               .path = "/api/v1/pools/{pool}",
               .id = "updatePool",
               .summary = "Replace a pool, its backends included",
               .handle = [this, read_pool](const Call& call) -> Result<Reply> {
                 auto replaced = read_pool(call);
                 if (!replaced)
                   return fail(replaced.error());
                 return change(call, [&](const model::Config& config) {
                   return replace_pool(config, call.path.at("pool"), *replaced);
                 });
               },
               .reply = codec::type_of<ChangeReply>,
               .body = codec::type_of<model::Pool>,
               .writes = true,
               .if_match = IfMatch::optional});
  router_.add({.method = "DELETE",
               .path = "/api/v1/pools/{pool}",
               .id = "removePool",
               .summary = "Remove a pool that no service points to",
               .handle = [this](const Call& call) -> Result<Reply> {
                 return change(call, [&](const model::Config& config) {
                   return remove_pool(config, call.path.at("pool"));
                 });
               },
               .reply = codec::type_of<ChangeReply>,
               .writes = true,
               .if_match = IfMatch::optional});
  add_backend_routes("/api/v1/pools/{pool}/backends", "OfPool");
  add_backend_routes("/api/v1/backends", "");
}

void Api::add_backend_routes(const std::string& prefix, const std::string& id_suffix) {
  const auto pool_in = [](const Call& call) {
    const auto found = call.path.find("pool");
    return found == call.path.end() ? std::string(model::default_pool) : found->second;
  };
  // The pool `default` is there also while nothing is in it.
  const auto views = [this](const std::string& name) -> Result<std::vector<BackendView>> {
    auto found = pool(name);
    if (!found && name == model::default_pool)
      return std::vector<BackendView>();
    if (!found)
      return fail(found.error());
    auto state = controller_.state();
    if (!state)
      return fail(state.error());
    auto counters = controller_.counters();
    if (!counters)
      return fail(counters.error());
    return backend_views(*found, *state, *counters);
  };
  router_.add({.method = "GET",
               .path = prefix,
               .id = "getBackends" + id_suffix,
               .summary = "All backends of the pool with state and counters",
               .handle = [this, pool_in, views](const Call& call) -> Result<Reply> {
                 auto all = views(pool_in(call));
                 if (!all)
                   return fail(all.error());
                 return Reply{.body = codec::to_json(*all), .etag = controller_.generation()};
               },
               .reply = codec::type_of<std::vector<BackendView>>});
  router_.add({.method = "POST",
               .path = prefix,
               .id = "addBackend" + id_suffix,
               .summary = "Add a backend",
               .handle = [this, pool_in](const Call& call) -> Result<Reply> {
                 auto body = body_of(call);
                 if (!body)
                   return fail(body.error());
                 auto backend = model::read_backend(*body);
                 if (!backend)
                   return fail(backend.error());
                 return create(call, [&](const model::Config& config) {
                   return add_backend(config, pool_in(call), *backend);
                 });
               },
               .reply = codec::type_of<ChangeReply>,
               .body = codec::type_of<model::Backend>,
               .writes = true,
               .creates = true,
               .if_match = IfMatch::optional});
  router_.add({.method = "GET",
               .path = prefix + "/{id}",
               .id = "getBackend" + id_suffix,
               .summary = "One backend",
               .handle = [this, pool_in, views](const Call& call) -> Result<Reply> {
                 auto all = views(pool_in(call));
                 if (!all)
                   return fail(all.error());
                 const auto endpoint = parse_endpoint(call.path.at("id"));
                 const auto found = std::ranges::find_if(*all, [&](const BackendView& one) {
                   return endpoint && one.ip == endpoint->address &&
                          one.port.value_or(0) == endpoint->port;
                 });
                 if (found == all->end())
                   return fail(Code::not_found, "there is no backend '" + call.path.at("id") +
                                                    "' in pool " + pool_in(call));
                 return Reply{.body = codec::to_json(*found), .etag = controller_.generation()};
               },
               .reply = codec::type_of<BackendView>});
  router_.add({.method = "PATCH",
               .path = prefix + "/{id}",
               .id = "updateBackend" + id_suffix,
               .summary = "Change fields of a backend (RFC 7396)",
               .handle = [this, pool_in](const Call& call) -> Result<Reply> {
                 auto body = body_of(call);
                 if (!body)
                   return fail(body.error());
                 return change(call, [&](const model::Config& config) {
                   return patch_backend(config, pool_in(call), call.path.at("id"), *body);
                 });
               },
               .reply = codec::type_of<ChangeReply>,
               .body = codec::type_of<model::Backend>,
               .writes = true,
               .if_match = IfMatch::optional});
  router_.add({.method = "DELETE",
               .path = prefix + "/{id}",
               .id = "removeBackend" + id_suffix,
               .summary = "Remove a backend",
               .handle = [this, pool_in](const Call& call) -> Result<Reply> {
                 return change(call, [&](const model::Config& config) {
                   return remove_backend(config, pool_in(call), call.path.at("id"));
                 });
               },
               .reply = codec::type_of<ChangeReply>,
               .writes = true,
               .if_match = IfMatch::optional});
}

}  // namespace sluice::api
