// Files that a command sends: read, checked for syntax, and turned into strict JSON.
#pragma once

#include <boost/json.hpp>
#include <iosfwd>
#include <string>

#include "base/result.hpp"

namespace sluice::cli {

/// Reads JSON (comments and trailing commas accepted) from a file, or from `in` for `-`. The
/// message names the file.
Result<boost::json::value> read_document(const std::string& file, std::istream& in);

/// What `config set` accepts: a configuration, or the reply of `config get --json`, whose
/// configuration is taken out.
boost::json::value configuration_in(boost::json::value document);

}  // namespace sluice::cli
