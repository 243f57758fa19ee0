// JSON to described values: strict, and with every fault at once.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "codec/codec.hpp"
#include "codec/integers.hpp"
#include "codec/nearest.hpp"

namespace sluice::codec {

namespace json = boost::json;

std::string escape_pointer(std::string_view name) {
  std::string escaped;
  for (const char c : name) {
    if (c == '~')
      escaped += "~0";
    else if (c == '/')
      escaped += "~1";
    else
      escaped += c;
  }
  return escaped;
}

namespace {

constexpr std::size_t longest_string = 65536;

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
    return "a number with a fraction";
  case json::kind::string:
    return "a string";
  case json::kind::array:
    return "a list";
  case json::kind::object:
    return "an object";
  }
  return "something else";
}

std::string join(const std::vector<std::string>& words) {
  std::string joined;
  for (const auto& word : words)
    joined += (joined.empty() ? "" : ", ") + word;
  return joined;
}

class Decoder {
 public:
  explicit Decoder(std::string at) : at_(std::move(at)) {}

  std::vector<Fault> take_faults() { return std::move(faults_); }

  void decode(const TypeDesc& type, const json::value& value, void* object, const Field& field) {
    switch (type.kind) {
    case Kind::boolean:
      if (!value.is_bool())
        return wrong_type("true or false", value);
      *static_cast<bool*>(object) = value.get_bool();
      return;
    case Kind::integer:
      return decode_integer(type, value, object, field);
    case Kind::number:
      if (!value.is_number())
        return wrong_type("a number", value);
      *static_cast<double*>(object) = value.to_number<double>();
      return;
    case Kind::string:
      return decode_string(value, object, field);
    case Kind::text:
      return decode_text(type, value, object);
    case Kind::enumeration:
      return decode_enumeration(type, value, object);
    case Kind::optional:
      if (value.is_null())
        return type.clear(object);
      return decode(type.element(), value, type.emplace(object, {}), field);
    case Kind::list:
      return decode_list(type, value, object, field);
    case Kind::dict:
      return decode_dict(type, value, object);
    case Kind::object:
      return decode_object(type, value, object);
    }
  }

 private:
  void fault(std::string message, std::string suggestion) {
    faults_.push_back({at_, std::move(message), std::move(suggestion)});
  }

  void wrong_type(const std::string& expected, const json::value& found) {
    fault("expected " + expected + ", found " + kind_of(found), "give " + expected);
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

  void decode_integer(const TypeDesc& type, const json::value& value, void* object,
                      const Field& field) {
    if (!value.is_int64() && !value.is_uint64())
      return wrong_type("an integer", value);
    const std::int64_t lowest = field.min.value_or(type.lowest);
    const std::uint64_t highest = field.max ? static_cast<std::uint64_t>(*field.max) : type.highest;
    const bool negative = value.is_int64() && value.get_int64() < 0;
    const std::uint64_t magnitude =
        value.is_int64() ? static_cast<std::uint64_t>(value.get_int64()) : value.get_uint64();
    const bool in_range =
        negative ? value.get_int64() >= lowest
                 : magnitude <= highest &&
                       (lowest <= 0 || magnitude >= static_cast<std::uint64_t>(lowest));
    const bool listed =
        field.one_of.empty() ||
        (in_range && std::ranges::find(field.one_of, static_cast<std::int64_t>(magnitude)) !=
                         field.one_of.end());
    if (!listed) {
      std::vector<std::string> allowed;
      for (const auto number : field.one_of)
        allowed.push_back(std::to_string(number));
      return fault(json::serialize(value) + " is not allowed", "use one of " + join(allowed));
    }
    if (!in_range) {
      const auto range = std::to_string(lowest) + " to " + std::to_string(highest);
      return fault(json::serialize(value) + " is out of range, " + range,
                   "give a value from " + range);
    }
    store_integer(type, object, static_cast<std::int64_t>(magnitude));
  }

  void decode_string(const json::value& value, void* object, const Field& field) {
    if (!value.is_string())
      return wrong_type("a string", value);
    const auto limit = field.max_length ? field.max_length : longest_string;
    if (value.get_string().size() > limit)
      return fault("is longer than " + std::to_string(limit) + " bytes", "shorten it");
    *static_cast<std::string*>(object) = std::string(value.get_string());
  }

  void decode_text(const TypeDesc& type, const json::value& value, void* object) {
    if (!value.is_string())
      return wrong_type("a string", value);
    if (auto read = type.read_text(object, value.get_string()); !read)
      fault(read.error().message, "check the spelling");
  }

  void decode_enumeration(const TypeDesc& type, const json::value& value, void* object) {
    std::vector<std::string> names;
    for (const auto& enumerator : type.enumerators) {
      if (value.is_string() && value.get_string() == enumerator.name)
        return store_integer(type, object, enumerator.value);
      names.push_back(enumerator.name);
    }
    fault(json::serialize(value) + " is not allowed", "use one of " + join(names));
  }

  void decode_list(const TypeDesc& type, const json::value& value, void* object,
                   const Field& field) {
    if (!value.is_array())
      return wrong_type("a list", value);
    const auto& items = value.get_array();
    if (field.max_items && items.size() > field.max_items)
      return fault("has " + std::to_string(items.size()) + " entries, at most " +
                       std::to_string(field.max_items) + " are possible",
                   "remove entries");
    type.clear(object);
    std::size_t index = 0;
    for (const auto& item : items)
      below(std::to_string(index++),
            [&] { decode(type.element(), item, type.emplace(object, {}), {}); });
  }

  void decode_dict(const TypeDesc& type, const json::value& value, void* object) {
    if (!value.is_object())
      return wrong_type("an object", value);
    type.clear(object);
    for (const auto& [name, item] : value.get_object())
      below(name, [&] { decode(type.element(), item, type.emplace(object, name), {}); });
  }

  void decode_object(const TypeDesc& type, const json::value& value, void* object) {
    if (!value.is_object())
      return wrong_type("an object", value);
    const auto& members = value.get_object();
    std::vector<std::string> names;
    for (const auto& member : type.members) {
      names.emplace_back(member.name);
      const auto* found = members.if_contains(member.name);
      if (found && member.field->read_only)
        below(member.name,
              [&] { fault("cannot be set, it comes from the daemon", "leave it out"); });
      else if (found)
        below(member.name, [&] {
          decode(member.type(), *found, static_cast<char*>(object) + member.offset, *member.field);
        });
      else if (member.field->required)
        below(member.name, [&] { fault("is missing", "add it"); });
    }
    for (const auto& [name, item] : members)
      if (std::ranges::find(names, name) == names.end())
        below(name, [&] {
          const auto near = nearest(name, names);
          fault("is not a known field",
                near ? "did you mean '" + *near + "'?" : "known fields are " + join(names));
        });
  }

  std::string at_;
  std::vector<Fault> faults_;
};

}  // namespace

std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& known) {
  std::optional<std::string> best;
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const auto& candidate : known) {
    std::vector<std::size_t> row(candidate.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= word.size(); i++) {
      std::size_t diagonal = std::exchange(row[0], i);
      for (std::size_t j = 1; j <= candidate.size(); j++) {
        const std::size_t substituted = diagonal + (word[i - 1] == candidate[j - 1] ? 0 : 1);
        diagonal = row[j];
        row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

std::vector<Fault> decode(const TypeDesc& type, const json::value& value, void* object,
                          std::string at) {
  Decoder decoder(std::move(at));
  decoder.decode(type, value, object, {});
  return decoder.take_faults();
}

}  // namespace sluice::codec
