// JSON to described values: strict, and with every fault at once.
#include <algorithm>
#include <cmath>

#include "codec/codec.hpp"
#include "codec/integers.hpp"
#include "codec/nearest.hpp"

namespace sluice::codec {

namespace json = boost::json;

namespace {

constexpr std::size_t longest_string = 65536;
/// Of types with a text form, such as addresses.
constexpr std::size_t longest_text = 256;
/// Nobody reads more, and a hostile document must not be answered with one many times its size.
constexpr std::size_t most_faults = 1000;

std::string kind_of(const json::value& value) {
  switch (value.kind()) {
  case json::kind::null:
    return "null";
  case json::kind::bool_:
    return "true or false";
  case json::kind::int64:
  case json::kind::uint64:
    return "an integer";
  case json::kind::double_:
    return "a number that is no integer";
  case json::kind::string:
    return "a string";
  case json::kind::array:
    return "a list";
  case json::kind::object:
    return "an object";
  }
  return "something else";
}

/// The value as it would be written, cut where it is long.
std::string excerpt(const json::value& value) {
  constexpr std::size_t longest = 80;
  if (value.is_string() && value.get_string().size() > longest)
    return "a string of " + std::to_string(value.get_string().size()) + " bytes";
  return json::serialize(value);
}

std::string join(const std::vector<std::string>& words) {
  std::string joined;
  for (const auto& word : words)
    joined += (joined.empty() ? "" : ", ") + word;
  return joined;
}

/// An integer of any sign, whichever way Boost.JSON keeps it. 7.0 is an integer, as in JSON schema.
struct Integer {
  bool negative = false;
  std::uint64_t bits = 0;  ///< two's complement
};

std::optional<Integer> integer_in(const json::value& value) {
  if (value.is_uint64())
    return Integer{false, value.get_uint64()};
  if (value.is_int64())
    return Integer{value.get_int64() < 0, static_cast<std::uint64_t>(value.get_int64())};
  constexpr double exact = 9007199254740992.0;  // beyond 2^53 doubles skip integers
  if (value.is_double() && std::trunc(value.get_double()) == value.get_double() &&
      std::abs(value.get_double()) <= exact) {
    const auto whole = static_cast<std::int64_t>(value.get_double());
    return Integer{whole < 0, static_cast<std::uint64_t>(whole)};
  }
  return std::nullopt;
}

class Decoder {
 public:
  explicit Decoder(std::string at) : at_(std::move(at)) {}

  std::vector<Fault> take_faults() { return std::move(faults_); }

  void decode(const TypeDesc& type, const json::value& value, void* object, const Field& field) {
    if (faults_.size() >= most_faults)
      return;
    switch (type.kind) {
    case Kind::boolean:
      if (!value.is_bool())
        return wrong_type("true or false", value);
      *static_cast<bool*>(object) = value.get_bool();
      return;
    case Kind::integer:
      return decode_integer(type, value, object, field);
    case Kind::number:
      return decode_number(value, object, field);
    case Kind::string:
      return decode_string(value, object, field);
    case Kind::text:
      return decode_text(type, value, object, field);
    case Kind::enumeration:
      return decode_enumeration(type, value, object);
    case Kind::optional:
      if (value.is_null())
        return type.clear(object);
      return decode(type.element(), value, type.emplace(object, {}), field);
    case Kind::list:
      return decode_list(type, value, object, field);
    case Kind::dict:
      return decode_dict(type, value, object, field);
    case Kind::object:
      return decode_object(type, value, object);
    }
  }

 private:
  void fault(std::string message, std::string suggestion) {
    if (faults_.size() < most_faults)
      faults_.push_back({at_, std::move(message), std::move(suggestion)});
    if (faults_.size() == most_faults)
      faults_.back() = {"", "has more faults than are listed", "mend these first"};
  }

  void wrong_type(const std::string& expected, const json::value& found) {
    fault("expected " + expected + ", found " + kind_of(found), "give " + expected);
  }

  void out_of_range(const json::value& value, const std::string& lowest,
                    const std::string& highest) {
    fault("must be between " + lowest + " and " + highest + ", not " + excerpt(value),
          "give a value from " + lowest + " to " + highest);
  }

  /// Goes one step down for the time of a call.
  template <class Call>
  void below(std::string_view name, Call&& call) {
    const auto length = at_.size();
    at_ += '/';
    at_ += escape_pointer(name);
    call();
    at_.resize(length);
  }

  /// What a list's annotation says of its elements.
  static Field of_elements(const Field& field) {
    return {.min = field.min,
            .max = field.max,
            .one_of = field.one_of,
            .max_length = field.max_length,
            .format = field.format};
  }

  void decode_integer(const TypeDesc& type, const json::value& value, void* object,
                      const Field& field) {
    const auto lowest = field.min.value_or(type.lowest);
    const auto highest = field.max ? static_cast<std::uint64_t>(*field.max) : type.highest;
    const auto integer = integer_in(value);
    // An integer beyond 64 bits reaches us as a number without a fraction.
    if (!integer && value.is_double() && std::trunc(value.get_double()) == value.get_double())
      return out_of_range(value, std::to_string(lowest), std::to_string(highest));
    if (!integer)
      return wrong_type("an integer", value);
    const auto number = static_cast<std::int64_t>(integer->bits);
    if (!field.one_of.empty()) {
      const bool fits = integer->negative == (number < 0);
      if (fits && std::ranges::find(field.one_of, number) != field.one_of.end())
        return store_integer(type, object, number);
      std::vector<std::string> allowed;
      for (const auto one : field.one_of)
        allowed.push_back(std::to_string(one));
      return fault("must be one of " + join(allowed) + ", not " + excerpt(value),
                   "use one of " + join(allowed));
    }
    const bool in_range =
        integer->negative
            ? number >= lowest
            : integer->bits <= highest &&
                  (lowest <= 0 || integer->bits >= static_cast<std::uint64_t>(lowest));
    if (!in_range)
      return out_of_range(value, std::to_string(lowest), std::to_string(highest));
    store_integer(type, object, number);
  }

  void decode_number(const json::value& value, void* object, const Field& field) {
    if (!value.is_number())
      return wrong_type("a number", value);
    const auto number = value.to_number<double>();
    if ((field.min && number < static_cast<double>(*field.min)) ||
        (field.max && number > static_cast<double>(*field.max)))
      return out_of_range(value, field.min ? std::to_string(*field.min) : "any",
                          field.max ? std::to_string(*field.max) : "any");
    *static_cast<double*>(object) = number;
  }

  void decode_string(const json::value& value, void* object, const Field& field) {
    if (!value.is_string())
      return wrong_type("a string", value);
    if (is_short(value, field.max_length ? field.max_length : longest_string))
      *static_cast<std::string*>(object) = std::string(value.get_string());
  }

  void decode_text(const TypeDesc& type, const json::value& value, void* object,
                   const Field& field) {
    if (!value.is_string())
      return wrong_type("a string", value);
    if (!is_short(value, field.max_length ? field.max_length : longest_text))
      return;
    if (auto read = type.read_text(object, std::string_view(value.get_string())); !read)
      fault(read.error().message, field.example.empty()
                                      ? "check the spelling"
                                      : "write it as in " + std::string(field.example));
  }

  bool is_short(const json::value& value, std::size_t limit) {
    const auto size = value.get_string().size();
    if (size > limit)
      fault("has " + std::to_string(size) + " bytes, at most " + std::to_string(limit) +
                " are possible",
            "shorten it");
    return size <= limit;
  }

  void decode_enumeration(const TypeDesc& type, const json::value& value, void* object) {
    std::vector<std::string> names;
    for (const auto& enumerator : type.enumerators) {
      if (value.is_string() && value.get_string() == enumerator.name)
        return store_integer(type, object, enumerator.value);
      names.push_back(enumerator.name);
    }
    fault("must be one of " + join(names) + ", not " +
              (value.is_string() ? excerpt(value) : kind_of(value)),
          "use one of " + join(names));
  }

  bool has_room(std::size_t size, const Field& field) {
    const bool fits = field.max_items == 0 || size <= field.max_items;
    if (!fits)
      fault("has " + std::to_string(size) + " entries, at most " + std::to_string(field.max_items) +
                " are possible",
            "remove " + std::to_string(size - field.max_items));
    return fits;
  }

  void decode_list(const TypeDesc& type, const json::value& value, void* object,
                   const Field& field) {
    if (!value.is_array())
      return wrong_type("a list", value);
    const auto& items = value.get_array();
    if (!has_room(items.size(), field))
      return;
    type.clear(object);
    std::size_t index = 0;
    for (const auto& item : items)
      below(std::to_string(index++),
            [&] { decode(type.element(), item, type.emplace(object, {}), of_elements(field)); });
  }

  void decode_dict(const TypeDesc& type, const json::value& value, void* object,
                   const Field& field) {
    if (!value.is_object())
      return wrong_type("an object", value);
    if (!has_room(value.get_object().size(), field))
      return;
    type.clear(object);
    for (const auto& [name, item] : value.get_object())
      below(name,
            [&] { decode(type.element(), item, type.emplace(object, name), of_elements(field)); });
  }

  void decode_object(const TypeDesc& type, const json::value& value, void* object) {
    if (!value.is_object())
      return wrong_type("an object", value);
    const auto& members = value.get_object();
    std::vector<std::string> names;
    for (const auto& member : type.members) {
      names.emplace_back(member.name);
      const auto* found = members.if_contains(member.name);
      if (found || member.field->required)
        below(member.name,
              [&] { decode_member(member, found, static_cast<char*>(object) + member.offset); });
    }
    for (const auto& [name, item] : members)
      if (std::ranges::find(names, std::string_view(name)) == names.end())
        below(name, [&] {
          const auto near = nearest(name, names);
          fault("is not a known field",
                near ? "did you mean '" + *near + "'?" : "known fields are " + join(names));
        });
  }

  void decode_member(const Member& member, const json::value* found, void* object) {
    const auto& field = *member.field;
    if (!found)
      fault("is missing", field.example.empty() ? "add it"
                                                : "add it, such as \"" + std::string(member.name) +
                                                      "\": " + std::string(field.example));
    else if (field.read_only)
      fault("cannot be set, it comes from the daemon", "leave it out");
    else
      decode(member.type(), *found, object, field);
  }

  std::string at_;
  std::vector<Fault> faults_;
};

}  // namespace

std::vector<Fault> decode(const TypeDesc& type, const json::value& value, void* object,
                          std::string at) {
  Decoder decoder(std::move(at));
  decoder.decode(type, value, object, {});
  return decoder.take_faults();
}

}  // namespace sluice::codec
