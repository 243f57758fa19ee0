// Reads address prefixes.
#include "model/prefix.hpp"

#include <charconv>

namespace sluice::model {

Result<Prefix> parse_prefix(std::string_view text) {
  const auto slash = text.find('/');
  const auto bad = [&] {
    return fail(Code::invalid, "'" + std::string(text) +
                                   "' is not a prefix such as 172.16.0.0/16 or fd00:e::/112");
  };
  if (slash == std::string_view::npos)
    return bad();
  const auto address = IpAddress::parse(text.substr(0, slash));
  Prefix prefix;
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data() + slash + 1, end, prefix.length);
  if (!address || read.ec != std::errc() || read.ptr != end ||
      prefix.length > (address->is_v4() ? 32u : 128u))
    return bad();
  prefix.address = *address;
  return prefix;
}

Result<Prefix> parse_source(std::string_view text) {
  if (text.find('/') != std::string_view::npos)
    return parse_prefix(text);
  const auto address = IpAddress::parse(text);
  if (!address)
    return fail(address.error());
  return Prefix{*address, address->is_v4() ? 32u : 128u};
}

bool has_no_host_bits(const Prefix& prefix) {
  const unsigned first = prefix.length + (prefix.address.is_v4() ? 96 : 0);
  for (unsigned bit = first; bit < 128; bit++)
    if (prefix.address.bytes()[bit / 8] & (0x80u >> (bit % 8)))
      return false;
  return true;
}

}  // namespace sluice::model
