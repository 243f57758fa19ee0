// Numbers with units, tables and colour, as they appear on a terminal.
#include "cli/format.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <span>

#include "base/text.hpp"

namespace sluice::cli {

namespace {

/// Three significant digits.
std::string three_digits(double value) {
  std::array<char, 32> text{};
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  std::snprintf(text.data(), text.size(), "%.*f", decimals, value);
  return text.data();
}

/// `value` in the largest unit of which there is at least one.
std::string in_units(double value, double base, std::span<const std::string_view> units) {
  std::size_t unit = 0;
  // 999.5 would be shown as 1000: it goes into the next unit.
  while (unit + 1 < units.size() && value >= (base == 1000 ? 999.5 : base)) {
    value /= base;
    ++unit;
  }
  return (unit == 0 ? std::to_string(std::llround(value)) : three_digits(value)) +
         std::string(units[unit]);
}

/// Columns that the text takes, for UTF-8 whose characters are one column wide.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}

std::string with_separators(std::uint64_t value) {
  std::string digits = std::to_string(value);
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<std::size_t>(at), 1, ',');
  return digits;
}

}  // namespace

std::string format_count(std::uint64_t value) {
  static constexpr std::array<std::string_view, 7> units{"", "k", "M", "G", "T", "P", "E"};
  return value < 100'000 ? with_separators(value)
                         : in_units(static_cast<double>(value), 1000, units);
}

std::string format_bytes(std::uint64_t value) {
  static constexpr std::array<std::string_view, 7> units{" B",   " KiB", " MiB", " GiB",
                                                         " TiB", " PiB", " EiB"};
  return in_units(static_cast<double>(value), 1024, units);
}

std::string format_rate(double per_second, std::string_view unit) {
  static constexpr std::array<std::string_view, 6> units{" ", " k", " M", " G", " T", " P"};
  return in_units(std::max(per_second, 0.0), 1000, units) + std::string(unit);
}

std::string format_nanoseconds(double value) {
  static constexpr std::array<std::string_view, 4> units{" ns", " us", " ms", " s"};
  return in_units(std::max(value, 0.0), 1000, units);
}

std::string format_share(double part, double whole) {
  if (whole <= 0)
    return "-";
  const double percent = 100 * part / whole;
  if (percent <= 0)
    return "0%";
  if (percent < 0.1)
    return "<0.1%";
  if (percent > 99.9 && percent < 100)
    return ">99.9%";
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), percent >= 100 ? "%.0f%%" : "%.1f%%", percent);
  return text.data();
}

std::string format_duration(std::uint64_t milliseconds) {
  if (milliseconds < 1000)
    return std::to_string(milliseconds) + " ms";
  struct Unit {
    std::uint64_t seconds;
    std::string_view name;
  };
  static constexpr std::array<Unit, 4> units{
      {{86'400, " d"}, {3'600, " h"}, {60, " min"}, {1, " s"}}};
  const std::uint64_t seconds = milliseconds / 1000;
  const auto* unit = std::ranges::find_if(units, [&](auto& u) { return seconds >= u.seconds; });
  std::string text = std::to_string(seconds / unit->seconds) + std::string(unit->name);
  if (const auto* next = unit + 1; next != units.end())
    if (const auto rest = seconds % unit->seconds / next->seconds; rest != 0)
      text += " " + std::to_string(rest) + std::string(next->name);
  return text;
}

std::string format_time(std::int64_t milliseconds) {
  const std::time_t seconds = milliseconds / 1000;
  std::tm local{};
  std::array<char, 32> text{};
  if (localtime_r(&seconds, &local) == nullptr ||
      std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &local) == 0)
    return std::to_string(milliseconds);
  return text.data();
}

std::string plural(std::uint64_t number, std::string_view noun) {
  return with_separators(number) + " " + noun_for(number, noun);
}

std::string printable(std::string_view text) {
  std::string safe(text);
  for (std::size_t at = 0; at < safe.size(); ++at) {
    const auto c = static_cast<unsigned char>(safe[at]);
    // U+0080 to U+009F (C2 80 to C2 9F) are control characters as well.
    const bool c1 =
        c == 0xc2 && at + 1 < safe.size() && static_cast<unsigned char>(safe[at + 1]) < 0xa0;
    if (c1)
      safe.erase(at, 1);
    if (c1 || c < 0x20 || c == 0x7f)
      safe[at] = '?';
  }
  return safe;
}

std::string paint(std::string_view text, Tone tone, bool colour) {
  if (!colour || tone == Tone::plain || text.empty())
    return std::string(text);
  const char* code = "";
  switch (tone) {
  case Tone::plain:
    break;
  case Tone::heading:
    code = "1";
    break;
  case Tone::good:
    code = "32";
    break;
  case Tone::warning:
    code = "33";
    break;
  case Tone::bad:
    code = "31";
    break;
  case Tone::faint:
    code = "2";
    break;
  }
  return "\x1b[" + std::string(code) + "m" + std::string(text) + "\x1b[0m";
}

Table::Table(std::initializer_list<std::string_view> headings) {
  for (auto heading : headings) {
    const bool right = heading.starts_with('>');
    columns_.push_back({std::string(heading.substr(right ? 1 : 0)), right});
  }
}

void Table::add(std::vector<Cell> row) {
  for (auto& cell : row)
    cell.text = printable(cell.text);
  row.resize(columns_.size(), Cell(""));
  rows_.push_back(std::move(row));
}

std::string Table::render(bool colour) const {
  std::vector<std::size_t> widths;
  for (std::size_t column = 0; column < columns_.size(); ++column) {
    std::size_t widest = width(columns_[column].heading);
    for (const auto& row : rows_)
      widest = std::max(widest, width(row[column].text));
    widths.push_back(widest);
  }

  std::string text;
  const auto line = [&](auto&& cell_of) {
    std::string out;
    std::size_t pending = 0;  // blanks that are written only when something follows
    for (std::size_t column = 0; column < columns_.size(); ++column) {
      const Cell cell = cell_of(column);
      const std::size_t padding = widths[column] - width(cell.text);
      const bool right = columns_[column].right;
      if (!cell.text.empty()) {
        out.append(pending + (right ? padding : 0), ' ');
        out += paint(cell.text, cell.tone, colour);
        pending = right ? 0 : padding;
      } else {
        pending += padding;
      }
      pending += 2;
    }
    text += out + "\n";
  };
  line([&](std::size_t column) { return Cell(columns_[column].heading, Tone::heading); });
  for (const auto& row : rows_)
    line([&](std::size_t column) { return row[column]; });
  return text;
}

}  // namespace sluice::cli
