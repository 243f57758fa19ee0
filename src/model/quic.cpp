#include "model/quic.hpp"

#include <charconv>

#include "model/limits.hpp"

namespace sluice::model {

std::optional<std::vector<std::uint8_t>> parse_server_id(std::string_view text) {
  if (text.empty() || text.size() % 2 || text.size() > 2 * max_quic_server_id)
    return std::nullopt;
  std::vector<std::uint8_t> id(text.size() / 2);
  for (std::size_t i = 0; i < id.size(); i++) {
    const auto* first = text.data() + 2 * i;
    if (const auto read = std::from_chars(first, first + 2, id[i], 16); read.ptr != first + 2)
      return std::nullopt;
  }
  return id;
}

std::string server_id_to_string(std::span<const std::uint8_t> id) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (const auto byte : id) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

}  // namespace sluice::model
