// Small words for people.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice {

/// "fault" for one, "faults" for any other number.
inline std::string noun_for(std::uint64_t count, std::string_view noun) {
  return std::string(noun) + (count == 1 ? "" : "s");
}

/// "1 fault", "3 faults": a count with its noun.
inline std::string counted(std::uint64_t count, std::string_view noun) {
  return std::to_string(count) + " " + noun_for(count, noun);
}

}  // namespace sluice
