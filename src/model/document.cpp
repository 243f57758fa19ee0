// Reads, writes and merges configuration documents.
#include "model/document.hpp"

#include <utility>

#include "codec/codec.hpp"
#include "model/layout.hpp"
#include "model/validate.hpp"

namespace sluice::model {

namespace json = boost::json;

namespace {

/// A backend written as a text becomes the object that it stands for. A text that is no endpoint is
/// a fault and becomes an object that the codec has nothing to say about.
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

}  // namespace

Result<Config> read_document(const json::value& document, const Topology* topology) {
  std::vector<Fault> faults;
  json::value spelled = document;
  if (auto* object = spelled.if_object())
    if (auto* list = object->if_contains("l4_backends");
        list && list->is_array() && list->get_array().size() <= max_backends) {
      std::size_t index = 0;
      for (auto& backend : list->get_array())
        backend = spelled_out(backend, "/l4_backends/" + std::to_string(index++), faults);
    }

  Config config;
  auto read = codec::decode(codec::type_of<Config>(), spelled, &config);
  faults.insert(faults.end(), read.begin(), read.end());
  // Before entries move between lists, so that pointers name the places of the document.
  auto broken = broken_rules(config, topology, faults);
  faults.insert(faults.end(), broken.begin(), broken.end());
  if (!faults.empty())
    return faulty("the configuration", std::move(faults));
  distribute_backends(config);
  return config;
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
    if (value.is_null()) {
      members.erase(name);
    } else {
      auto& member = members[name];
      member = merge_patch(std::move(member), value);
    }
  }
  return target;
}

}  // namespace sluice::model
