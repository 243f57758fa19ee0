#include "api/http.hpp"

#include <algorithm>
#include <charconv>

namespace sluice::api {

std::optional<std::string> Request::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? std::nullopt : std::optional(found->second);
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); i++) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    unsigned char byte = 0;
    const char* digits = text.data() + i + 1;
    if (text.size() - i < 3 || std::from_chars(digits, digits + 2, byte, 16).ptr != digits + 2)
      return std::nullopt;
    decoded += static_cast<char>(byte);
    i += 2;
  }
  return decoded;
}

bool is_text(std::string_view text) {
  const auto is_control = [](char c) { return (c >= 0 && c < ' ') || c == 127; };
  if (std::ranges::any_of(text, is_control))
    return false;
  // Boost.JSON's parser checks UTF-8; quotes and backslashes would end the string early.
  std::string quoted = "\"";
  for (const char c : text)
    quoted += c == '"' || c == '\\' ? '_' : c;
  boost::system::error_code error;
  boost::json::parse(quoted + "\"", error);
  return !error;
}

void set_target(Request& request, std::string_view target) {
  const auto mark = target.find('?');
  request.path = std::string(target.substr(0, mark));
  if (mark == std::string_view::npos)
    return;
  auto rest = target.substr(mark + 1);
  while (!rest.empty()) {
    const auto end = rest.find('&');
    const auto pair = rest.substr(0, end);
    const auto equals = pair.find('=');
    const auto name = percent_decode(pair.substr(0, equals));
    const auto value = percent_decode(equals == pair.npos ? "" : pair.substr(equals + 1));
    if (name && value)
      request.query[*name] = *value;
    if (end == rest.npos)
      return;
    rest.remove_prefix(end + 1);
  }
}

}  // namespace sluice::api
