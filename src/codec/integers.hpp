// Integers and enumerators of any width, read and written by their description.
#pragma once

#include <cstdint>
#include <cstring>

#include "codec/reflect.hpp"

namespace sluice::codec {

inline std::int64_t load_integer(const TypeDesc& type, const void* object) {
  std::int64_t value = 0;
  std::memcpy(&value, object, type.size);
  const auto unused_bits = static_cast<int>(64 - type.size * 8);
  const bool is_signed = type.lowest < 0 || type.kind == Kind::enumeration;
  // Little-endian: the low bytes are in place, the sign is spread from the highest of them.
  return is_signed && unused_bits > 0 ? (value << unused_bits) >> unused_bits : value;
}

inline void store_integer(const TypeDesc& type, void* object, std::int64_t value) {
  std::memcpy(object, &value, type.size);
}

}  // namespace sluice::codec
