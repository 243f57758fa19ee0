// Describes types as tables: templates only build a TypeDesc for each wire type, one plain engine
// (codec.cpp) walks them.
#pragma once

#include <boost/describe.hpp>
#include <boost/mp11.hpp>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/result.hpp"

namespace sluice::codec {

/// What is said of one member besides its type. Specialise `field<&Struct::member>` next to the
/// struct, before the struct is first read or written. For a list or a dictionary `max_items`
/// speaks of the container; min, max, one_of, max_length and format speak of its elements.
struct Field {
  std::string_view doc{};                    ///< for people: OpenAPI description and help texts
  std::optional<std::int64_t> min{}, max{};  ///< of numbers, inclusive
  std::span<const std::int64_t> one_of{};    ///< the only integers allowed
  std::size_t max_length = 0;                ///< of strings, in bytes; 0: the codec's own limit
  std::size_t max_items = 0;   ///< of lists and dictionaries; 0: no limit but the document's size
  std::string_view format{};   ///< JSON schema format, e.g. "ip"
  std::string_view unit{};     ///< "ms", "packets/s"
  std::string_view example{};  ///< a JSON value, e.g. R"("10.0.1.11")"
  bool required = false;       ///< must be present on input
  bool read_only = false;      ///< comes from the daemon; refused on input
};
template <auto Member>
inline constexpr Field field{};

enum class Kind : std::uint8_t {
  boolean,
  integer,
  number,
  string,
  text,  ///< a type with parse() and to_string(), a string on the wire
  enumeration,
  optional,
  list,
  dict,
  object
};

struct TypeDesc;

struct Member {
  const char* name;
  std::size_t offset;
  const TypeDesc& (*type)();
  const Field* field;
};

struct Enumerator {
  std::string name;  ///< as on the wire: '-' for '_'
  std::int64_t value;
};

/// Called for each element of a container: name (dictionaries only) and element.
using Visitor = void (*)(void* context, std::string_view name, const void* element);

/// One type. Which members count depends on `kind`. Names are without namespaces: two described
/// types that meet in one OpenAPI document must not share theirs.
struct TypeDesc {
  Kind kind;
  std::string_view name{};  ///< enumeration, object
  std::size_t size = 0;     ///< integer, enumeration: bytes
  std::int64_t lowest = 0;  ///< integer: range of the C++ type
  std::uint64_t highest = 0;
  std::span<const Member> members{};
  std::span<const Enumerator> enumerators{};
  const TypeDesc& (*element)() = nullptr;                              ///< optional, list, dict
  void* (*emplace)(void* container, std::string_view name) = nullptr;  ///< optional, list, dict
  void (*clear)(void* container) = nullptr;
  void (*each)(const void* container, void* context, Visitor visit) = nullptr;
  Result<void> (*read_text)(void* object, std::string_view text) = nullptr;  ///< text
  std::string (*write_text)(const void* object) = nullptr;
  void* (*create)() = nullptr;  ///< object: a default value, for the schema's defaults
  void (*destroy)(void* object) = nullptr;
};

template <class T>
const TypeDesc& type_of();

namespace detail {

template <class T>
concept Text = requires(const T& value, std::string_view text) {
  { T::parse(text) } -> std::same_as<Result<T>>;
  { value.to_string() } -> std::same_as<std::string>;
};

template <class T>
constexpr std::string_view unqualified_name() {
  std::string_view pretty = __PRETTY_FUNCTION__;
  const auto begin = pretty.find("T = ") + 4;
  auto name = pretty.substr(begin, pretty.find_first_of(";]", begin) - begin);
  if (const auto colon = name.rfind("::"); colon != name.npos)
    name.remove_prefix(colon + 2);
  return name;
}

template <class T>
struct Describe {
  static TypeDesc make() {
    if constexpr (std::is_same_v<T, bool>) {
      return {.kind = Kind::boolean};
    } else if constexpr (std::is_integral_v<T>) {
      return {.kind = Kind::integer,
              .size = sizeof(T),
              .lowest = static_cast<std::int64_t>(std::numeric_limits<T>::min()),
              .highest = static_cast<std::uint64_t>(std::numeric_limits<T>::max())};
    } else if constexpr (std::is_same_v<T, double>) {
      return {.kind = Kind::number};
    } else if constexpr (std::is_same_v<T, std::string>) {
      return {.kind = Kind::string};
    } else if constexpr (std::is_enum_v<T>) {
      return enumeration(
          boost::mp11::mp_rename<boost::describe::describe_enumerators<T>, boost::mp11::mp_list>{});
    } else if constexpr (Text<T>) {
      return {.kind = Kind::text,
              .read_text = [](void* object, std::string_view text) -> Result<void> {
                auto value = T::parse(text);
                if (!value)
                  return fail(value.error());
                *static_cast<T*>(object) = *value;
                return {};
              },
              .write_text =
                  [](const void* object) { return static_cast<const T*>(object)->to_string(); }};
    } else {
      return structure(boost::mp11::mp_rename<
                       boost::describe::describe_members<T, boost::describe::mod_any_access>,
                       boost::mp11::mp_list>{});
    }
  }

 private:
  template <class... D>
  static TypeDesc enumeration(boost::mp11::mp_list<D...>) {
    static const std::vector<Enumerator> enumerators = [] {
      std::vector<Enumerator> all{{D::name, static_cast<std::int64_t>(D::value)}...};
      for (auto& enumerator : all)
        for (char& c : enumerator.name)
          c = c == '_' ? '-' : c;
      return all;
    }();
    return {.kind = Kind::enumeration,
            .name = unqualified_name<T>(),
            .size = sizeof(T),
            .enumerators = enumerators};
  }

  template <class... D>
  static TypeDesc structure(boost::mp11::mp_list<D...>) {
    static const T probe{};
    static const auto offset = [](const void* member) {
      return static_cast<std::size_t>(static_cast<const char*>(member) -
                                      reinterpret_cast<const char*>(&probe));
    };
    static const std::vector<Member> members = {
        {D::name, offset(&(probe.*D::pointer)),
         &type_of<std::remove_cvref_t<decltype(probe.*D::pointer)>>, &field<D::pointer>}...};
    return {.kind = Kind::object,
            .name = unqualified_name<T>(),
            .members = members,
            .create = []() -> void* { return new T(); },
            .destroy = [](void* object) { delete static_cast<T*>(object); }};
  }
};

template <class T>
struct Describe<std::optional<T>> {
  using Optional = std::optional<T>;
  static TypeDesc make() {
    return {.kind = Kind::optional,
            .element = &type_of<T>,
            .emplace = [](void* at, std::string_view) -> void* {
              return &static_cast<Optional*>(at)->emplace();
            },
            .clear = [](void* at) { static_cast<Optional*>(at)->reset(); },
            .each =
                [](const void* at, void* context, Visitor visit) {
                  if (const auto& value = *static_cast<const Optional*>(at))
                    visit(context, {}, &*value);
                }};
  }
};

template <class T>
struct Describe<std::vector<T>> {
  using List = std::vector<T>;
  static TypeDesc make() {
    return {.kind = Kind::list,
            .element = &type_of<T>,
            .emplace = [](void* at, std::string_view) -> void* {
              return &static_cast<List*>(at)->emplace_back();
            },
            .clear = [](void* at) { static_cast<List*>(at)->clear(); },
            .each =
                [](const void* at, void* context, Visitor visit) {
                  for (const auto& value : *static_cast<const List*>(at))
                    visit(context, {}, &value);
                }};
  }
};

template <class T>
struct Describe<std::map<std::string, T>> {
  using Dict = std::map<std::string, T>;
  static TypeDesc make() {
    return {.kind = Kind::dict,
            .element = &type_of<T>,
            .emplace = [](void* at, std::string_view name) -> void* {
              return &(*static_cast<Dict*>(at))[std::string(name)];
            },
            .clear = [](void* at) { static_cast<Dict*>(at)->clear(); },
            .each =
                [](const void* at, void* context, Visitor visit) {
                  for (const auto& [name, value] : *static_cast<const Dict*>(at))
                    visit(context, name, &value);
                }};
  }
};

}  // namespace detail

/// The description of a type, made once.
template <class T>
const TypeDesc& type_of() {
  static const TypeDesc description = detail::Describe<T>::make();
  return description;
}

}  // namespace sluice::codec
