// JSON schemas (2020-12) of described types, as OpenAPI 3.1 refers to them.
#include "codec/codec.hpp"

namespace sluice::codec {

namespace json = boost::json;

namespace {

json::object schema_of(const TypeDesc& type, json::object& components, const Field& field);

json::string_view text(std::string_view view) {
  return {view.data(), view.size()};
}

/// Puts the type's own schema into `components`, once, and refers to it.
json::object reference(const TypeDesc& type, json::object& components,
                       json::object (*make)(const TypeDesc&, json::object&)) {
  const auto name = text(type.name);
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

void add_range(json::object& schema, const TypeDesc& type, const Field& field) {
  if (type.kind == Kind::integer && !field.one_of.empty()) {
    schema["enum"] = json::array(field.one_of.begin(), field.one_of.end());
  } else if (type.kind == Kind::integer) {
    schema["minimum"] = field.min.value_or(type.lowest);
    schema["maximum"] = field.max ? static_cast<std::uint64_t>(*field.max) : type.highest;
  } else {
    if (field.min)
      schema["minimum"] = *field.min;
    if (field.max)
      schema["maximum"] = *field.max;
  }
}

/// The type and what is said of its values; for a list of its elements.
json::object bare_schema(const TypeDesc& type, json::object& components, const Field& field) {
  json::object schema;
  switch (type.kind) {
  case Kind::boolean:
    schema["type"] = "boolean";
    break;
  case Kind::integer:
  case Kind::number:
    schema["type"] = type.kind == Kind::integer ? "integer" : "number";
    add_range(schema, type, field);
    break;
  case Kind::string:
  case Kind::text:
    schema["type"] = "string";
    if (field.max_length)
      schema["maxLength"] = field.max_length;
    if (!field.format.empty())
      schema["format"] = text(field.format);
    break;
  case Kind::enumeration:
    return reference(type, components, enumeration);
  case Kind::object:
    return reference(type, components, object);
  case Kind::optional:
    return bare_schema(type.element(), components, field);
  case Kind::list:
    schema["type"] = "array";
    schema["items"] = bare_schema(type.element(), components, field);
    if (field.max_items)
      schema["maxItems"] = field.max_items;
    break;
  case Kind::dict:
    schema["type"] = "object";
    schema["additionalProperties"] = bare_schema(type.element(), components, field);
    if (field.max_items)
      schema["maxProperties"] = field.max_items;
    break;
  }
  return schema;
}

json::object schema_of(const TypeDesc& type, json::object& components, const Field& field) {
  auto schema = bare_schema(type, components, field);
  if (!field.doc.empty())
    schema["description"] = text(field.doc);
  if (!field.unit.empty())
    schema["x-unit"] = text(field.unit);
  if (!field.example.empty())
    schema["examples"] = json::array{json::parse(text(field.example))};
  if (field.read_only)
    schema["readOnly"] = true;
  return schema;
}

}  // namespace

json::object schema(const TypeDesc& type, json::object& components) {
  return schema_of(type, components, {});
}

}  // namespace sluice::codec
