// Described values to JSON.
#include <cstring>

#include "codec/codec.hpp"
#include "codec/integers.hpp"

namespace sluice::codec {

namespace json = boost::json;

namespace {

json::value encode_list(const TypeDesc& type, const void* object) {
  struct Context {
    const TypeDesc& element;
    json::array items;
  } context{type.element(), {}};
  type.each(object, &context, [](void* at, std::string_view, const void* element) {
    auto& self = *static_cast<Context*>(at);
    self.items.push_back(encode(self.element, element));
  });
  return context.items;
}

json::value encode_dict(const TypeDesc& type, const void* object) {
  struct Context {
    const TypeDesc& element;
    json::object items;
  } context{type.element(), {}};
  type.each(object, &context, [](void* at, std::string_view name, const void* element) {
    auto& self = *static_cast<Context*>(at);
    self.items[name] = encode(self.element, element);
  });
  return context.items;
}

json::value encode_optional(const TypeDesc& type, const void* object) {
  struct Context {
    const TypeDesc& element;
    json::value value;
  } context{type.element(), nullptr};
  type.each(object, &context, [](void* at, std::string_view, const void* element) {
    auto& self = *static_cast<Context*>(at);
    self.value = encode(self.element, element);
  });
  return context.value;
}

json::value encode_object(const TypeDesc& type, const void* object) {
  json::object members;
  members.reserve(type.members.size());
  for (const auto& member : type.members) {
    auto value = encode(member.type(), static_cast<const char*>(object) + member.offset);
    if (member.type().kind != Kind::optional || !value.is_null())
      members.emplace(member.name, std::move(value));
  }
  return members;
}

}  // namespace

json::value encode(const TypeDesc& type, const void* object) {
  switch (type.kind) {
  case Kind::boolean:
    return *static_cast<const bool*>(object);
  case Kind::integer:
    if (type.lowest < 0)
      return load_integer(type, object);
    return static_cast<std::uint64_t>(load_integer(type, object));
  case Kind::number:
    return *static_cast<const double*>(object);
  case Kind::string:
    return json::string(*static_cast<const std::string*>(object));
  case Kind::text:
    return json::string(type.write_text(object));
  case Kind::enumeration:
    for (const auto& enumerator : type.enumerators)
      if (enumerator.value == load_integer(type, object))
        return json::string(enumerator.name);
    return nullptr;
  case Kind::optional:
    return encode_optional(type, object);
  case Kind::list:
    return encode_list(type, object);
  case Kind::dict:
    return encode_dict(type, object);
  case Kind::object:
    return encode_object(type, object);
  }
  return nullptr;
}

}  // namespace sluice::codec
