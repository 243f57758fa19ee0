// Text for people: numbers with units, shares, durations, aligned tables, colour.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::cli {

/// A whole number, shortened above 99,999: `842`, `12,345`, `1.23M`, `45.6G`.
std::string format_count(std::uint64_t value);
/// Bytes in powers of 1024: `842 B`, `1.21 KiB`, `3.40 GiB`.
std::string format_bytes(std::uint64_t value);
/// A rate in powers of 1000, `unit` after it: `0 bit/s`, `950 bit/s`, `1.25 Gbit/s`.
std::string format_rate(double per_second, std::string_view unit);
/// Nanoseconds, or the unit above of which there is at least one: `87 ns`, `1.02 us`, `3.40 ms`.
std::string format_nanoseconds(double value);
/// `part` of `whole` in percent: `33.3%`; `<0.1%` and `>99.9%` where rounding would lie; `-` of
/// nothing.
std::string format_share(double part, double whole);
/// The two largest units: `850 ms`, `42 s`, `3 min 5 s`, `2 h 10 min`, `12 d 4 h`.
std::string format_duration(std::uint64_t milliseconds);
/// Local date and time of milliseconds since the epoch: `2026-01-31 17:04:05`.
std::string format_time(std::int64_t milliseconds);

/// `1 step`, `3 steps`.
std::string plural(std::uint64_t number, std::string_view noun);

/// The text with every control character replaced by '?', so that nothing that comes from a
/// configuration steers the terminal. Line breaks are replaced too.
std::string printable(std::string_view text);

/// What a piece of text means; becomes a colour where colour is wanted.
enum class Tone { plain, heading, good, warning, bad, faint };
/// The text, coloured if `colour`. Does not make the text printable.
std::string paint(std::string_view text, Tone tone, bool colour);

struct Cell {
  std::string text;
  Tone tone = Tone::plain;
  Cell(std::string content, Tone meaning = Tone::plain) : text(std::move(content)), tone(meaning) {}
  Cell(const char* content) : text(content) {}
};

/// Columns under headings, as wide as their widest cell, two blanks apart.
class Table {
 public:
  /// A heading that starts with '>' makes its column flush right (the sign is not shown).
  Table(std::initializer_list<std::string_view> headings);
  /// Missing cells stay empty. Cells are made printable.
  void add(std::vector<Cell> row);
  bool empty() const { return rows_.empty(); }
  /// Lines end with '\n' and have no blanks at their end.
  std::string render(bool colour) const;

 private:
  struct Column {
    std::string heading;
    bool right = false;
  };
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace sluice::cli
