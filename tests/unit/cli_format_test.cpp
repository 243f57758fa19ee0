// Numbers and tables on a terminal: readable, and never steered by what a configuration contains.
#include "cli/format.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "cli/client.hpp"
#include "cli/timing.hpp"

namespace sluice::cli {
namespace {

TEST(Format, CountsAreWholeUntilTheyAreLong) {
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(99'999), "99,999");
  EXPECT_EQ(format_count(100'000), "100k");
  EXPECT_EQ(format_count(999'499), "999k");
  EXPECT_EQ(format_count(999'500), "1.00M") << "never 1000k";
  EXPECT_EQ(format_count(1'234'567), "1.23M");
  EXPECT_EQ(format_count(18'446'744'073'709'551'615u), "18.4E");
}

TEST(Format, BytesRatesAndSharesSayTheirUnit) {
  EXPECT_EQ(format_bytes(842), "842 B");
  EXPECT_EQ(format_bytes(1536), "1.50 KiB");
  EXPECT_EQ(format_rate(0, "bit/s"), "0 bit/s");
  EXPECT_EQ(format_rate(1.25e9, "bit/s"), "1.25 Gbit/s");
  EXPECT_EQ(format_rate(-5, "pps"), "0 pps");
  EXPECT_EQ(format_nanoseconds(86.6), "87 ns");
  EXPECT_EQ(format_nanoseconds(1020), "1.02 us");
  EXPECT_EQ(format_nanoseconds(3.4e6), "3.40 ms");
  EXPECT_EQ(format_share(1, 3), "33.3%");
  EXPECT_EQ(format_share(1, 100000), "<0.1%") << "little is not nothing";
  EXPECT_EQ(format_share(99999, 100000), ">99.9%") << "nearly all is not all";
  EXPECT_EQ(format_share(3, 3), "100%");
  EXPECT_EQ(format_share(0, 0), "-");
}

TEST(Format, DurationsHaveTheirTwoLargestUnits) {
  EXPECT_EQ(format_duration(850), "850 ms");
  EXPECT_EQ(format_duration(42'000), "42 s");
  EXPECT_EQ(format_duration(185'000), "3 min 5 s");
  EXPECT_EQ(format_duration(7'800'000), "2 h 10 min");
  EXPECT_EQ(format_duration(3'600'000), "1 h");
}

TEST(Format, NothingFromAConfigurationSteersTheTerminal) {
  EXPECT_EQ(printable("a\x1b[2Jb\r\n\t\x7f"), "a?[2Jb????");
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m"),
            "?31m")
      << "the 8-bit form of the same";
  EXPECT_EQ(printable("größe"), "größe");
  Table table{"NAME", ">N"};
  table.add({"\x1b[31mred", "1"});
  EXPECT_EQ(table.render(false).find('\x1b'), std::string::npos);
}

TEST(Format, ColumnsAreAsWideAsTheirWidestCellAndLinesHaveNoTail) {
  Table table{"NAME", ">COUNT", "NOTE"};
  table.add({"größe", "7", ""});
  table.add({"b", "12,345", "x"});
  EXPECT_EQ(table.render(false), "NAME    COUNT  NOTE\n"
                                 "größe       7\n"
                                 "b      12,345  x\n");
}

TEST(Address, FlagsGoBeforeTheEnvironment) {
  const auto none = [](const char*) { return std::string(); };
  const auto both = [](const char* name) {
    return std::string(std::string(name) == "SLUICE_URL" ? "http://[::1]:8080" : "/tmp/s.sock");
  };
  EXPECT_EQ(choose_address({}, none)->socket, "/run/sluice/default.sock");
  EXPECT_EQ(choose_address({.instance = "blue"}, none)->socket, "/run/sluice/blue.sock");
  EXPECT_EQ(choose_address({.socket = "/a.sock"}, both)->socket, "/a.sock");
  const auto url = choose_address({.url = "http://10.0.0.1:81"}, both);
  ASSERT_TRUE(url);
  EXPECT_EQ(url->host + " " + url->port, "10.0.0.1 81");
  EXPECT_EQ(choose_address({}, both)->host, "::1");
  for (const char* bad : {"ftp://x", "http://", "x:y", "https://10.0.0.1"})
    EXPECT_FALSE(choose_address({.url = bad}, none)) << bad;
  EXPECT_FALSE(choose_address({.instance = "../x"}, none));
}

TEST(Address, SegmentsOfAPathAreEncoded) {
  EXPECT_EQ(percent_encode("[fd00::1]:80"), "%5Bfd00::1%5D:80");
  EXPECT_EQ(percent_encode("a b/ü"), "a%20b%2F%C3%BC");
  EXPECT_EQ(percent_encode("a-Z_0.9~"), "a-Z_0.9~");
}

TEST(Timing, BetweenTwoRepliesOnlyWhatCameInBetweenCounts) {
  // A slow start long ago must not stay in the figures for ever.
  const auto reply = [](int fast, int slow, int nanoseconds) {
    return boost::json::parse(
        R"({"interfaces": [{"interface": "eth0", "timing": {"nanoseconds": )" +
        std::to_string(nanoseconds) + R"(, "buckets": [
          {"fromNs": 16, "belowNs": 32, "samples": )" +
        std::to_string(fast) + R"(}, {"fromNs": 1048576, "samples": )" + std::to_string(slow) +
        "}]}}]}");
  };
  const auto before = reply(100, 50, 90'000'000), after = reply(300, 50, 90'005'000);
  const auto table = timing_table(View(before), View(after)).render(false);
  EXPECT_THAT(table, testing::ContainsRegex("eth0 +200 +25 ns +< 32 ns +< 32 ns\n"));
  EXPECT_TRUE(timing_table(View(after), View(after)).empty()) << "nothing came in between";
  const auto all = timing_table({}, View(before)).render(false);
  EXPECT_THAT(all, testing::ContainsRegex("eth0 +150 +600 us +< 32 ns +>= 1.05 ms\n"));
  const auto anew = reply(1, 0, 20);
  EXPECT_TRUE(timing_table(View(after), View(anew)).empty()) << "counted anew: no difference";
}

}  // namespace
}  // namespace sluice::cli
