// Reading JSON: nothing is taken that was not meant, and every fault is told at once.
#include "codec_types.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "codec/nearest.hpp"

namespace sluice {
namespace {

using codec::from_json;
using codec::parse;
using codec::to_json;
using test::Whole;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Result<Whole> read(const std::string& text) {
  auto value = parse(text);
  return value ? from_json<Whole>(*value) : fail(value.error());
}
std::vector<std::string> pointers(const std::string& text) {
  std::vector<std::string> found;
  if (auto whole = read(text); !whole)
    for (const auto& fault : whole.error().faults)
      found.push_back(fault.pointer);
  return found;
}
Fault only_fault(const std::string& text) {
  auto whole = read(text);
  EXPECT_FALSE(whole) << text;
  if (whole || whole.error().faults.size() != 1)
    return {"not exactly one fault", "", ""};
  return whole.error().faults[0];
}

TEST(Codec, WhatIsWrittenIsReadBack) {
  Whole whole;
  whole.on = false;
  whole.large = 18446744073709551615u;
  whole.negative = -2147483648;
  whole.colour = test::Colour::light_blue;
  whole.address = IpAddress::parse("fd00::1").value();
  whole.port = 80;
  whole.parts = {{"bolt", 3}, {"nut", 1}};
  whole.by_name["a/b"] = {"x", 2};
  auto json = to_json(whole);
  EXPECT_EQ(json.at("colour"), "light-blue") << "enumerators have '-' on the wire";
  json.as_object().erase("made");
  auto again = from_json<Whole>(parse(boost::json::serialize(json)).value());
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(*again, whole);
}

TEST(Codec, AbsentFieldsKeepTheirDefaultAndAbsentOptionalsAreNotWritten) {
  auto whole = read("{}");
  ASSERT_TRUE(whole);
  EXPECT_EQ(*whole, Whole{});
  EXPECT_FALSE(to_json(*whole).as_object().contains("port"));
}

TEST(Codec, NullClearsAnOptionalAndNothingElse) {
  Whole whole;
  whole.port = 80;
  EXPECT_TRUE(
      codec::decode(codec::type_of<Whole>(), parse(R"({"port": null})").value(), &whole).empty());
  EXPECT_FALSE(whole.port);
  EXPECT_EQ(only_fault(R"({"small": null})").pointer, "/small");
}

TEST(Codec, NumbersAreNeverBentToFit) {
  EXPECT_EQ(only_fault(R"({"small": 500})").pointer, "/small") << "not 244";
  EXPECT_EQ(only_fault(R"({"small": -1})").pointer, "/small");
  EXPECT_EQ(only_fault(R"({"small": 1.5})").pointer, "/small");
  EXPECT_EQ(only_fault(R"({"small": "5"})").pointer, "/small");
  EXPECT_EQ(only_fault(R"({"small": true})").pointer, "/small");
  EXPECT_EQ(only_fault(R"({"negative": -2147483649})").pointer, "/negative");
  EXPECT_EQ(only_fault(R"({"large": 18446744073709551616})").pointer, "/large");
  EXPECT_EQ(only_fault(R"({"large": -1})").pointer, "/large");
  EXPECT_EQ(read(R"({"small": 7.0})")->small, 7) << "an integer in JSON schema's sense";
  EXPECT_EQ(read(R"({"ratio": 1})")->ratio, 1.0);
}

TEST(Codec, RangesAreSaidWithTheCure) {
  const auto fault = only_fault(R"({"parts": [{"name": "a", "count": 101}]})");
  EXPECT_EQ(fault.pointer, "/parts/0/count");
  EXPECT_THAT(fault.message, HasSubstr("between 1 and 100"));
  EXPECT_THAT(fault.message, HasSubstr("101"));
  EXPECT_THAT(fault.suggestion, HasSubstr("from 1 to 100"));
  EXPECT_EQ(only_fault(R"({"port": 0})").pointer, "/port");
  EXPECT_EQ(only_fault(R"({"port": 65536})").pointer, "/port");
  EXPECT_EQ(only_fault(R"({"ratio": 1.01})").pointer, "/ratio");
  EXPECT_THAT(only_fault(R"({"size": 15})").message, HasSubstr("one of 10, 20"));
}

TEST(Codec, TextsAreBoundedAndAddressesReadWhole) {
  EXPECT_EQ(only_fault(R"({"parts": [{"name": "123456789"}]})").pointer, "/parts/0/name");
  EXPECT_THAT(only_fault(R"({"address": "10.0.0.300"})").suggestion, HasSubstr("10.0.0.1"));
  EXPECT_EQ(only_fault(R"({"address": 10})").pointer, "/address");
  EXPECT_THAT(only_fault(R"({"colour": "light_blue"})").message, HasSubstr("red, light-blue"));
}

TEST(Codec, ListsAreReplacedWholeAndBounded) {
  Whole whole;
  whole.parts = {{"old", 1}};
  ASSERT_TRUE(codec::decode(codec::type_of<Whole>(),
                            parse(R"({"parts": [{"name": "new"}]})").value(), &whole)
                  .empty());
  ASSERT_EQ(whole.parts.size(), 1u);
  EXPECT_EQ(whole.parts[0].name, "new");
  EXPECT_EQ(
      only_fault(R"({"parts": [{"name":"a"},{"name":"b"},{"name":"c"},{"name":"d"}]})").pointer,
      "/parts");
}

TEST(Codec, UnknownAndMissingAndReadOnlyFieldsAreFaults) {
  const auto unknown = only_fault(R"({"colur": "red"})");
  EXPECT_EQ(unknown.pointer, "/colur");
  EXPECT_THAT(unknown.suggestion, HasSubstr("'colour'"));
  EXPECT_THAT(only_fault(R"({"qqqqqq": 1})").suggestion, HasSubstr("known fields are"));
  const auto missing = only_fault(R"({"parts": [{}]})");
  EXPECT_EQ(missing.pointer, "/parts/0/name");
  EXPECT_THAT(missing.suggestion, HasSubstr(R"("name": "bolt")"));
  EXPECT_EQ(only_fault(R"({"made": 1})").pointer, "/made");
}

TEST(Codec, AllFaultsAreToldAtOnceInTheOrderOfTheFields) {
  EXPECT_THAT(
      pointers(
          R"({"small": -1, "parts": [{"name": 1, "count": 0}, 5], "by_name": {"a/b": {}, "c~d": 1},
                           "nope": 1})"),
      ElementsAre("/small", "/parts/0/name", "/parts/0/count", "/parts/1", "/by_name/a~1b/name",
                  "/by_name/c~0d", "/nope"));
}

TEST(Codec, AHostileDocumentIsNotAnsweredWithOneManyTimesItsSize) {
  std::string text = "{";
  for (int i = 0; i < 5000; i++)
    text += "\"u" + std::to_string(i) + "\": 1,";
  EXPECT_LE(pointers(text + "\"on\": true}").size(), 1000u);
}

TEST(Codec, FaultsAreCounted) {
  EXPECT_EQ(read(R"({"small": -1, "nope": 1})").error().message, "the document has 2 faults");
}

TEST(CodecParse, PeopleMayCommentAndEndListsWithAComma) {
  EXPECT_TRUE(read("// why\n{ \"small\": 3, /* here */ \"parts\": [ { \"name\": \"a\", }, ], }"));
}

TEST(CodecParse, ASyntaxErrorNamesLineAndColumn) {
  const auto error = parse("{\n  \"a\": 1,\n  \"é\": ]\n}");
  ASSERT_FALSE(error);
  EXPECT_EQ(error.error().code, Code::malformed);
  EXPECT_THAT(error.error().message, HasSubstr("line 3"));
  EXPECT_THAT(error.error().message, HasSubstr("column 8")) << "characters, not bytes";
}

TEST(CodecParse, AKeyThatStandsTwiceIsNotLostWithoutAWord) {
  const auto error = parse(R"({"a": {"b": 1, "c": 2, "b": 3}})");
  ASSERT_FALSE(error);
  EXPECT_THAT(error.error().message, HasSubstr("'b'"));
  EXPECT_TRUE(parse(R"({"a": {"b": 1}, "c": {"b": 3}})")) << "in another object it is another key";
}

TEST(CodecParse, DepthIsBounded) {
  EXPECT_FALSE(parse(std::string(100, '[') + std::string(100, ']')));
  EXPECT_TRUE(parse(std::string(20, '[') + std::string(20, ']')));
  for (const char* text : {"", " ", "{", "{}x", "{\"a\"}", "nul", "'a'", "{a: 1}", "\xff"})
    EXPECT_FALSE(parse(text)) << text;
}

TEST(Nearest, SuggestsWhatWasProbablyMeant) {
  const std::vector<std::string> known{"services", "pools", "l4_backends", "xdp"};
  EXPECT_EQ(codec::nearest("servces", known), "services");
  EXPECT_EQ(codec::nearest("polos", known), "pools") << "two letters swapped";
  EXPECT_EQ(codec::nearest("zzzzzz", known), std::nullopt);
  EXPECT_EQ(codec::nearest(std::string(100000, 's'), known), std::nullopt);
}

}  // namespace
}  // namespace sluice
