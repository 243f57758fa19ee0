// What a request and a reply are to everything behind the HTTP server.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace sluice::api {

struct Request {
  std::string method;                        ///< "GET", …
  std::string path;                          ///< as sent, still percent-encoded, without the query
  std::map<std::string, std::string> query;  ///< decoded
  std::map<std::string, std::string> headers;  ///< names in lower case
  std::string body;
  std::string id;     ///< X-Request-Id: the caller's, or made here
  std::string actor;  ///< who asks, for the history

  std::optional<std::string> header(const std::string& lower_case_name) const;
};

struct Response {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
};

/// Decodes %XX; nothing if the escapes are broken.
std::optional<std::string> percent_decode(std::string_view text);

/// Valid UTF-8 without control characters.
bool is_text(std::string_view text);

/// Splits a request target into path and decoded query.
void set_target(Request& request, std::string_view target);

}  // namespace sluice::api
