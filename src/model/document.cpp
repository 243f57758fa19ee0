#include "model/document.hpp"

#include <algorithm>

#include "codec/codec.hpp"
#include "codec/nearest.hpp"
#include "model/validate.hpp"

namespace sluice::model {

namespace json = boost::json;

namespace {

/// A backend written as a text becomes the object that it stands for; a text that is no endpoint
/// stays, and the codec then names it.
json::value spelled_out(const json::value& backend, const std::string& at,
                        std::vector<Fault>& faults) {
  if (!backend.is_string())
    return backend;
  auto endpoint = parse_endpoint(std::string_view(backend.get_string()));
  if (!endpoint) {
    faults.push_back(
        {at, endpoint.error().message, "write it as 10.0.1.11, 10.0.1.11:80 or [fd00::1]:80"});
    return json::object{{"ip", "0.0.0.0"}};
  }
  json::object object{{"ip", endpoint->address.to_string()}};
  if (endpoint->port)
    object["port"] = endpoint->port;
  return object;
}

bool lies_at_or_below(std::string_view pointer, std::string_view above) {
  return pointer.starts_with(above) &&
         (pointer.size() == above.size() || pointer[above.size()] == '/');
}

/// Rules are checked on what could be read; what they say about places that could not be read would
/// only confuse.
void add_rule_faults(std::vector<Fault>& faults, std::vector<Fault> rules) {
  const auto unread = faults;
  for (auto& rule : rules) {
    const bool secondary = std::ranges::any_of(unread, [&](const Fault& fault) {
      return lies_at_or_below(rule.pointer, fault.pointer) ||
             lies_at_or_below(fault.pointer, rule.pointer);
    });
    if (!secondary)
      faults.push_back(std::move(rule));
  }
}

/// Moves entries of l4_backends that name another pool to that pool.
void distribute(Config& config, std::vector<Fault>& faults) {
  std::vector<Backend> stay;
  for (std::size_t i = 0; i < config.l4_backends.size(); i++) {
    auto backend = std::move(config.l4_backends[i]);
    const auto name = std::exchange(backend.pool, std::nullopt).value_or(std::string(default_pool));
    if (name == default_pool) {
      stay.push_back(std::move(backend));
      continue;
    }
    const auto pool = std::ranges::find(config.pools, name, &Pool::name);
    if (pool == config.pools.end()) {
      faults.push_back({"/l4_backends/" + std::to_string(i) + "/pool",
                        "there is no pool '" + name + "'", "declare it under pools"});
      continue;
    }
    std::erase_if(pool->backends, [&](const Backend& other) {
      return other.ip == backend.ip && other.port == backend.port;
    });
    pool->backends.push_back(std::move(backend));
  }
  config.l4_backends = std::move(stay);
}

}  // namespace

Result<Config> read_document(const json::value& document, const Topology* topology) {
  std::vector<Fault> faults;
  json::value spelled = document;
  if (auto* object = spelled.if_object())
    if (auto* list = object->if_contains("l4_backends"); list && list->is_array()) {
      std::size_t index = 0;
      for (auto& backend : list->get_array())
        backend = spelled_out(backend, "/l4_backends/" + std::to_string(index++), faults);
    }

  Config config;
  auto read = codec::decode(codec::type_of<Config>(), spelled, &config);
  faults.insert(faults.end(), read.begin(), read.end());
  // Before entries move between lists, so that pointers still name the places of the document.
  auto rules = topology ? validate(config, *topology) : validate(config);
  const bool well_formed = faults.empty();
  std::vector<Fault> distribution;
  distribute(config, distribution);
  if (well_formed && rules.empty() && distribution.empty())
    rules = topology ? validate(config, *topology) : validate(config);
  rules.insert(rules.end(), distribution.begin(), distribution.end());
  add_rule_faults(faults, std::move(rules));
  if (faults.empty())
    return config;
  return fail(Code::invalid,
              "the configuration has " + std::to_string(faults.size()) +
                  (faults.size() == 1 ? " fault" : " faults"),
              std::move(faults));
}

Result<Backend> read_backend(const json::value& value, const std::string& at) {
  std::vector<Fault> faults;
  Backend backend;
  const auto spelled = spelled_out(value, at, faults);
  auto read = codec::decode(codec::type_of<Backend>(), spelled, &backend, at);
  faults.insert(faults.end(), read.begin(), read.end());
  if (faults.empty())
    return backend;
  return fail(Code::invalid, "the backend is not valid", std::move(faults));
}

json::value write_document(const Config& config) {
  return codec::to_json(config);
}

json::value merge_patch(json::value target, const json::value& patch) {
  if (!patch.is_object())
    return patch;
  if (!target.is_object())
    target = json::object();
  auto& members = target.get_object();
  for (const auto& [name, value] : patch.get_object()) {
    if (value.is_null())
      members.erase(name);
    else
      members[name] = merge_patch(members.contains(name) ? members[name] : json::value(), value);
  }
  return target;
}

}  // namespace sluice::model
