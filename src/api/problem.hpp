// Errors on the wire: RFC 9457 problem documents.
#pragma once

#include "api/http.hpp"
#include "base/result.hpp"

namespace sluice::api {

/// The HTTP status of an error. The whole mapping stands in the .cpp as one table.
unsigned status_of(Code code);

/// `application/problem+json` with type, title, status, detail, requestId and every fault.
boost::json::object problem(const Error& error, const std::string& request_id);
Response problem_response(const Error& error, const std::string& request_id);
/// For what HTTP itself refuses: 404, 405, 413, …
Response problem_response(unsigned status, const std::string& detail,
                          const std::string& request_id);

}  // namespace sluice::api
