// Suggestions for mistyped words, and pointers to where they stand.
#include "codec/nearest.hpp"

#include <algorithm>
#include <numeric>

namespace sluice::codec {

namespace {

/// No name that we know is longer; the distance to a longer word would cost time and help nobody.
constexpr std::size_t longest_word = 128;

std::size_t distance(std::string_view from, std::string_view to) {
  std::vector<std::size_t> before_last(to.size() + 1), last(to.size() + 1), row(to.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= from.size(); i++) {
    row[0] = i;
    for (std::size_t j = 1; j <= to.size(); j++) {
      const std::size_t change = from[i - 1] == to[j - 1] ? 0 : 1;
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + change});
      if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1])
        row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
    std::swap(before_last, last);
    std::swap(last, row);
  }
  return last.back();
}

}  // namespace

std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& known) {
  if (word.size() > longest_word)
    return std::nullopt;
  std::optional<std::string> best;
  std::size_t best_distance = (word.size() + 2) / 3 + 1;
  for (const auto& candidate : known)
    if (const auto length = distance(word, candidate); length < best_distance) {
      best_distance = length;
      best = candidate;
    }
  return best;
}

std::string escape_pointer(std::string_view name) {
  std::string escaped;
  for (const char c : name) {
    if (c == '~')
      escaped += "~0";
    else if (c == '/')
      escaped += "~1";
    else
      escaped += c;
  }
  return escaped;
}

}  // namespace sluice::codec
