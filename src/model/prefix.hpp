// Address prefixes in CIDR notation.
#pragma once

#include <string_view>

#include "base/address.hpp"

namespace sluice::model {

struct Prefix {
  IpAddress address;
  unsigned length = 0;  ///< bits: 0 to 32 for IPv4, 0 to 128 for IPv6
};

/// Reads `172.16.0.0/16` or `fd00:e::/112`.
Result<Prefix> parse_prefix(std::string_view text);

/// The same, and an address alone is the prefix that holds just this one.
Result<Prefix> parse_source(std::string_view text);

/// True if no bit after the prefix is set.
bool has_no_host_bits(const Prefix& prefix);

}  // namespace sluice::model
