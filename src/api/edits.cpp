#include "api/edits.hpp"

#include <algorithm>

#include "codec/codec.hpp"
#include "model/document.hpp"

namespace sluice::api {

namespace {

using model::Config;

template <class T>
auto find_named(std::vector<T>& list, const std::string& name) {
  return std::ranges::find(list, name, &T::name);
}

tl::unexpected<Error> none(const std::string& what, const std::string& name) {
  return fail(Code::not_found, "there is no " + what + " '" + name + "'");
}

tl::unexpected<Error> already(const std::string& what, const std::string& name) {
  return fail(Code::exists, "there is a " + what + " '" + name + "' already; replace it with PUT");
}

/// The list that holds a pool's backends.
Result<std::vector<model::Backend>*> backends_of(Config& config, const std::string& pool) {
  if (pool == model::default_pool)
    return &config.l4_backends;
  const auto found = find_named(config.pools, pool);
  if (found == config.pools.end())
    return none("pool", pool);
  return &found->backends;
}

bool is(const model::Backend& backend, const Endpoint& endpoint) {
  return backend.ip == endpoint.address && backend.port.value_or(0) == endpoint.port;
}

/// A backend of a pool, with the list that it stands in.
struct Found {
  std::vector<model::Backend>* list;
  std::vector<model::Backend>::iterator backend;
};

Result<Found> find_backend(Config& config, const std::string& pool, const std::string& id) {
  auto list = backends_of(config, pool);
  if (!list)
    return fail(list.error());
  const auto endpoint = parse_endpoint(id);
  if (!endpoint)
    return fail(Code::not_found, "there is no backend '" + id + "' in pool " + pool +
                                     "; name it as 10.0.1.11, 10.0.1.11:80 or [fd00::1]:80");
  const auto found = std::ranges::find_if(
      **list, [&](const model::Backend& backend) { return is(backend, *endpoint); });
  if (found == (*list)->end())
    return fail(Code::not_found, "there is no backend '" + id + "' in pool " + pool);
  return Found{*list, found};
}

}  // namespace

Result<Config> add_service(Config config, const model::Service& service) {
  if (find_named(config.services, service.name) != config.services.end())
    return already("service", service.name);
  config.services.push_back(service);
  return config;
}

Result<Config> replace_service(Config config, const std::string& name,
                               const model::Service& service) {
  const auto found = find_named(config.services, name);
  if (found == config.services.end())
    return none("service", name);
  *found = service;
  return config;
}

Result<Config> remove_service(Config config, const std::string& name) {
  if (std::erase_if(config.services, [&](const auto& service) { return service.name == name; }) ==
      0)
    return none("service", name);
  return config;
}

Result<Config> add_pool(Config config, const model::Pool& pool) {
  if (find_named(config.pools, pool.name) != config.pools.end())
    return already("pool", pool.name);
  config.pools.push_back(pool);
  return config;
}

Result<Config> replace_pool(Config config, const std::string& name, const model::Pool& pool) {
  const auto found = find_named(config.pools, name);
  if (found == config.pools.end())
    return none("pool", name);
  *found = pool;
  return config;
}

Result<Config> remove_pool(Config config, const std::string& name) {
  std::string users;
  for (const auto& service : config.services)
    if (service.pool == name)
      users += (users.empty() ? "" : ", ") + service.name;
  if (!users.empty() && find_named(config.pools, name) != config.pools.end())
    return fail(Code::exists, "the pool '" + name + "' serves " + users +
                                  "; remove these services, or point them to another pool");
  if (std::erase_if(config.pools, [&](const auto& pool) { return pool.name == name; }) == 0)
    return none("pool", name);
  return config;
}

Result<Config> add_backend(Config config, const std::string& pool, const model::Backend& backend) {
  auto list = backends_of(config, pool);
  if (!list)
    return fail(list.error());
  const Endpoint endpoint{backend.ip, backend.port.value_or(0)};
  if (std::ranges::any_of(**list, [&](const auto& other) { return is(other, endpoint); }))
    return fail(Code::exists, "the backend " + endpoint_to_string(endpoint.address, endpoint.port) +
                                  " is in pool " + pool + " already; change it with PATCH");
  (*list)->push_back(backend);
  return config;
}

Result<Config> remove_backend(Config config, const std::string& pool, const std::string& id) {
  auto found = find_backend(config, pool, id);
  if (!found)
    return fail(found.error());
  found->list->erase(found->backend);
  return config;
}

Result<Config> patch_backend(Config config, const std::string& pool, const std::string& id,
                             const boost::json::value& patch) {
  auto found = find_backend(config, pool, id);
  if (!found)
    return fail(found.error());
  auto patched =
      codec::from_json<model::Backend>(model::merge_patch(codec::to_json(*found->backend), patch));
  if (!patched)
    return fail(patched.error());
  *found->backend = std::move(*patched);
  return config;
}

Result<Config> attach(Config config, const std::string& interface, model::XdpMode mode) {
  const auto found = find_named(config.xdp.interfaces, interface);
  if (found == config.xdp.interfaces.end())
    config.xdp.interfaces.push_back({interface, mode});
  else
    found->mode = mode;
  return config;
}

Result<Config> detach(Config config, const std::string& interface) {
  if (std::erase_if(config.xdp.interfaces,
                    [&](const auto& entry) { return entry.name == interface; }) == 0)
    return fail(Code::not_found, "nothing is attached to " + interface);
  return config;
}

Result<Config> detach_all(Config config) {
  config.xdp.interfaces.clear();
  return config;
}

}  // namespace sluice::api
