// Bytes of packets: numbers in network order, and the Internet checksum (RFC 1071), always computed
// over all that it covers.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace sluice::reference {

using Bytes = std::span<const std::uint8_t>;

inline std::uint16_t get16(const std::uint8_t* at) {
  return static_cast<std::uint16_t>(at[0] << 8 | at[1]);
}
inline std::uint32_t get32(const std::uint8_t* at) {
  return std::uint32_t{get16(at)} << 16 | get16(at + 2);
}
inline void put16(std::uint8_t* at, std::size_t value) {
  at[0] = static_cast<std::uint8_t>(value >> 8);
  at[1] = static_cast<std::uint8_t>(value);
}
inline void put32(std::uint8_t* at, std::uint32_t value) {
  put16(at, value >> 16);
  put16(at + 2, value & 0xffff);
}

/// The sum of 16-bit words; an odd last byte is followed by zero. Of the same value modulo 0xffff
/// as the ones' complement sum.
inline std::uint64_t sum_of(Bytes bytes) {
  std::uint64_t sum = 0;
  std::size_t i = 0;
  for (; i + 1 < bytes.size(); i += 2)
    sum += get16(&bytes[i]);
  if (i < bytes.size())
    sum += std::uint64_t{bytes[i]} << 8;
  return sum;
}

/// What goes into the checksum's field, for words of this sum.
inline std::uint16_t checksum(std::uint64_t sum) {
  while (sum >> 16)
    sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

/// The checksum that makes changed words as right as the old ones were: the whole sum, checksum
/// included, stays. `before`: of the old words with their checksum; `after`: of the new ones
/// without.
inline std::uint16_t carried_checksum(std::uint64_t before, std::uint64_t after) {
  const auto rest = (before % 0xffff + 0xffff - after % 0xffff) % 0xffff;
  return static_cast<std::uint16_t>(rest);
}

/// The sum of the pseudo-header (RFC 9293, RFC 8200 section 8.1).
inline std::uint64_t pseudo_sum(Bytes source, Bytes destination, std::uint8_t protocol,
                                std::size_t length) {
  return sum_of(source) + sum_of(destination) + protocol + length;
}

}  // namespace sluice::reference
