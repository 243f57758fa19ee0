// The configuration as a JSON document: read strictly, written canonically, merged as RFC 7396
// says.
#pragma once

#include <boost/json.hpp>

#include "base/result.hpp"
#include "model/config.hpp"
#include "model/topology.hpp"

namespace sluice::model {

/// Reads and checks a whole document. Entries of `l4_backends` may be texts (`10.0.1.11`,
/// `10.0.1.11:8080`); those that name another pool are moved there, replacing a backend of the same
/// address and port. On Code::invalid the error has every fault, of the form and of the rules, each
/// with its JSON pointer.
/// @param topology where given, interfaces must exist in it.
Result<Config> read_document(const boost::json::value& document,
                             const Topology* topology = nullptr);

/// Reads one backend as `l4_backends` may hold it; pointers start at `at`.
Result<Backend> read_backend(const boost::json::value& value, const std::string& at = {});

boost::json::value write_document(const Config& config);

/// RFC 7396: objects are merged member by member, null removes, anything else replaces.
boost::json::value merge_patch(boost::json::value target, const boost::json::value& patch);

}  // namespace sluice::model
