// JSON schemas (2020-12) of described types, as OpenAPI 3.1 refers to them.
#include "codec/codec.hpp"

namespace sluice::codec {

namespace json = boost::json;

namespace {

json::object schema_of(const TypeDesc& type, json::object& components, const Field& field);

json::object reference(const TypeDesc& type, json::object& components,
                       json::object (*make)(const TypeDesc&, json::object&)) {
  const json::string_view name(type.name.data(), type.name.size());
  if (!components.contains(name)) {
    components[name] = nullptr;  // ends the recursion of a type that contains itself
    components[name] = make(type, components);
  }
  return {{"$ref", "#/components/schemas/" + std::string(type.name)}};
}

json::object enumeration(const TypeDesc& type, json::object&) {
  json::array names;
  for (const auto& enumerator : type.enumerators)
    names.emplace_back(enumerator.name);
  return {{"type", "string"}, {"enum", std::move(names)}};
}

json::object object(const TypeDesc& type, json::object& components) {
  void* defaults = type.create();
  json::object properties;
  json::array required;
  for (const auto& member : type.members) {
    auto property = schema_of(member.type(), components, *member.field);
    const bool scalar = member.type().kind != Kind::object &&
                        member.type().kind != Kind::optional && member.type().kind != Kind::list &&
                        member.type().kind != Kind::dict;
    if (scalar && !member.field->required && !member.field->read_only)
      property["default"] =
          encode(member.type(), static_cast<const char*>(defaults) + member.offset);
    properties[member.name] = std::move(property);
    if (member.field->required)
      required.emplace_back(member.name);
  }
  type.destroy(defaults);
  json::object schema{
      {"type", "object"}, {"additionalProperties", false}, {"properties", std::move(properties)}};
  if (!required.empty())
    schema["required"] = std::move(required);
  return schema;
}

json::object schema_of(const TypeDesc& type, json::object& components, const Field& field) {
  json::object schema;
  switch (type.kind) {
  case Kind::boolean:
    schema["type"] = "boolean";
    break;
  case Kind::integer:
    schema["type"] = "integer";
    if (field.one_of.empty()) {
      schema["minimum"] = field.min.value_or(type.lowest);
      schema["maximum"] = field.max ? static_cast<std::uint64_t>(*field.max) : type.highest;
    } else {
      schema["enum"] = json::array(field.one_of.begin(), field.one_of.end());
    }
    break;
  case Kind::number:
    schema["type"] = "number";
    break;
  case Kind::string:
  case Kind::text:
    schema["type"] = "string";
    if (field.max_length)
      schema["maxLength"] = field.max_length;
    break;
  case Kind::enumeration:
    schema = reference(type, components, enumeration);
    break;
  case Kind::optional:
    return schema_of(type.element(), components, field);
  case Kind::list:
    schema["type"] = "array";
    schema["items"] = schema_of(type.element(), components, {});
    if (field.max_items)
      schema["maxItems"] = field.max_items;
    break;
  case Kind::dict:
    schema["type"] = "object";
    schema["additionalProperties"] = schema_of(type.element(), components, {});
    break;
  case Kind::object:
    schema = reference(type, components, object);
    break;
  }
  if (!field.doc.empty())
    schema["description"] = json::string_view(field.doc.data(), field.doc.size());
  if (!field.format.empty())
    schema["format"] = json::string_view(field.format.data(), field.format.size());
  if (!field.unit.empty())
    schema["x-unit"] = json::string_view(field.unit.data(), field.unit.size());
  if (field.read_only)
    schema["readOnly"] = true;
  return schema;
}

}  // namespace

json::object schema(const TypeDesc& type, json::object& components) {
  return schema_of(type, components, {});
}

}  // namespace sluice::codec
