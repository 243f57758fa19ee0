// JSON in and out of described structs: the one way in which wire types are read, written and
// documented.
#pragma once

#include <boost/json.hpp>

#include "base/result.hpp"
#include "codec/reflect.hpp"

namespace sluice::codec {

/// Writes a described value; absent optionals are left out.
boost::json::value encode(const TypeDesc& type, const void* object);

/// Reads strictly: unknown fields, wrong types, values out of range, missing required fields are
/// all reported at once, each with its JSON pointer and a suggestion. Fields that are absent keep
/// the object's value.
/// @param at prefix of every pointer, e.g. "" or "/l4_backends/3".
std::vector<Fault> decode(const TypeDesc& type, const boost::json::value& json, void* object,
                          std::string at = {});

/// The JSON schema (2020-12, as OpenAPI 3.1 uses it) of a type. Objects and enums go into
/// `components` under their name and are referred to by `#/components/schemas/NAME`.
boost::json::object schema(const TypeDesc& type, boost::json::object& components);

/// Parses JSON text as people write it: comments and trailing commas are accepted, duplicate keys
/// are not. A syntax error names line and column.
Result<boost::json::value> parse(std::string_view text);

template <class T>
boost::json::value to_json(const T& object) {
  return encode(type_of<T>(), &object);
}

template <class T>
Result<T> from_json(const boost::json::value& json) {
  T object{};
  auto faults = decode(type_of<T>(), json, &object);
  if (faults.empty())
    return object;
  return faulty("the document", std::move(faults));
}

}  // namespace sluice::codec
