// JSON text to a value, as people write it: comments and trailing commas, but no key twice.
#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <set>

#include "codec/codec.hpp"

namespace sluice::codec {

namespace json = boost::json;

namespace {

constexpr std::size_t deepest = 32;
constexpr std::size_t largest = 16 * 1024 * 1024;

json::parse_options lenient() {
  json::parse_options options;
  options.max_depth = deepest;
  options.allow_comments = true;
  options.allow_trailing_commas = true;
  return options;
}

/// Listens to the parser's events only to find an object that has the same key twice: Boost.JSON's
/// own value keeps the last one without a word, and a setting would be lost.
struct DuplicateKeys {
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);
  using Error = boost::system::error_code;

  std::vector<std::set<std::string>> open;
  std::string key;
  std::string twice;

  bool on_document_begin(Error&) { return true; }
  bool on_document_end(Error&) { return true; }
  bool on_object_begin(Error&) {
    open.emplace_back();
    return true;
  }
  bool on_object_end(std::size_t, Error&) {
    open.pop_back();
    return true;
  }
  bool on_array_begin(Error&) { return true; }
  bool on_array_end(std::size_t, Error&) { return true; }
  bool on_key_part(json::string_view part, std::size_t, Error&) {
    key += std::string_view(part);
    return true;
  }
  bool on_key(json::string_view part, std::size_t, Error& error) {
    key += std::string_view(part);
    if (!open.back().insert(key).second) {
      twice = key;
      error = json::make_error_code(json::error::syntax);
      return false;
    }
    key.clear();
    return true;
  }
  bool on_string_part(json::string_view, std::size_t, Error&) { return true; }
  bool on_string(json::string_view, std::size_t, Error&) { return true; }
  bool on_number_part(json::string_view, Error&) { return true; }
  bool on_int64(std::int64_t, json::string_view, Error&) { return true; }
  bool on_uint64(std::uint64_t, json::string_view, Error&) { return true; }
  bool on_double(double, json::string_view, Error&) { return true; }
  bool on_bool(bool, Error&) { return true; }
  bool on_null(Error&) { return true; }
  bool on_comment_part(json::string_view, Error&) { return true; }
  bool on_comment(json::string_view, Error&) { return true; }
};

std::string position(std::string_view text, std::size_t offset) {
  const auto before = text.substr(0, offset);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const auto newline = before.rfind('\n');
  const auto in_line = before.substr(newline == before.npos ? 0 : newline + 1);
  // Columns are characters: the bytes that continue one in UTF-8 do not count.
  const auto column = std::ranges::count_if(in_line, [](char c) { return (c & 0xc0) != 0x80; }) + 1;
  return "line " + std::to_string(line) + ", column " + std::to_string(column);
}

}  // namespace

Result<json::value> parse(std::string_view text) {
  if (text.size() > largest)
    return fail(Code::malformed, "the document has " + std::to_string(text.size()) +
                                     " bytes, at most " + std::to_string(largest) +
                                     " are possible");
  json::basic_parser<DuplicateKeys> scan(lenient());
  boost::system::error_code error;
  const auto read = scan.write_some(false, text.data(), text.size(), error);
  if (!scan.handler().twice.empty())
    return fail(Code::malformed, "the key '" + scan.handler().twice +
                                     "' stands twice in one object (" + position(text, read) + ")");
  if (!error && read < text.size())
    error = json::make_error_code(json::error::extra_data);
  if (error)
    return fail(Code::malformed,
                "not valid JSON at " + position(text, read) + ": " + error.message());
  auto value = json::parse(json::string_view(text.data(), text.size()), error, {}, lenient());
  if (error)
    return fail(Code::malformed, "not valid JSON: " + error.message());
  return value;
}

}  // namespace sluice::codec
