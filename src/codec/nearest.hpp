// Finds the known word that a mistyped one most likely stands for.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::codec {

/// The known word with the smallest edit distance (Levenshtein), if it is near enough to be worth
/// suggesting.
std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& known);

/// A name as one token of a JSON pointer (RFC 6901, section 3).
std::string escape_pointer(std::string_view name);

}  // namespace sluice::codec
