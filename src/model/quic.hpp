// Server ids of QUIC connection ids, as the configuration writes them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::model {

/// Reads `0a000115`; nothing if it is not one to `max_quic_server_id` bytes in hex digits.
std::optional<std::vector<std::uint8_t>> parse_server_id(std::string_view text);

std::string server_id_to_string(std::span<const std::uint8_t> id);

}  // namespace sluice::model
