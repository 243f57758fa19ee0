// Small words for people.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sluice {

/// "1 fault", "3 faults": a count with its noun.
inline std::string counted(std::size_t count, std::string_view noun) {
  return std::to_string(count) + " " + std::string(noun) + (count == 1 ? "" : "s");
}

}  // namespace sluice
