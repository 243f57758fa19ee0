// The frozen values that other nodes and the user interface count on.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <fstream>
#include <sstream>
#include <string>

#include "maglev/maglev.hpp"
#include "maglev_reference.hpp"

namespace sluice {
namespace {

using maglev::Member;

const boost::json::object& vectors() {
  static const boost::json::object document = [] {
    std::ifstream file(MAGLEV_VECTORS);
    std::stringstream text;
    text << file.rdbuf();
    return boost::json::parse(text.str()).as_object();
  }();
  return document;
}

template <class T = std::uint32_t>
T number(const boost::json::value& of, std::string_view name) {
  return of.at(name).to_number<T>();
}

std::vector<std::uint8_t> bytes_of(const boost::json::value& hex) {
  const std::string text(hex.as_string());
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2)
    bytes.push_back(static_cast<std::uint8_t>(std::stoul(text.substr(i, 2), nullptr, 16)));
  return bytes;
}

Member member_of(const boost::json::value& json) {
  Member member{};
  std::ranges::copy(bytes_of(json.at("address")), member.address.begin());
  member.port = number<std::uint16_t>(json, "port");
  if (json.as_object().contains("weight")) {
    member.weight = number<std::uint16_t>(json, "weight");
    member.value = number<std::uint16_t>(json, "value");
  }
  return member;
}

TEST(MaglevVectors, HashIsMurmur3) {
  for (const auto& vector : vectors().at("murmur3").as_array())
    EXPECT_EQ(maglev::murmur3_32(bytes_of(vector.at("bytes")), number(vector, "seed")),
              number(vector, "hash"))
        << vector;
}

TEST(MaglevVectors, WalksStartAndStepWhereTheyAlwaysDid) {
  for (const auto& vector : vectors().at("walks").as_array()) {
    const auto walk =
        maglev::walk_of(member_of(vector), number(vector, "k"), number(vector, "size"));
    EXPECT_EQ(walk.start, number(vector, "start")) << vector;
    EXPECT_EQ(walk.step, number(vector, "step")) << vector;
  }
}

TEST(MaglevVectors, SmallTablesAreSlotForSlotTheSame) {
  for (const auto& vector : vectors().at("tables").as_array()) {
    std::vector<Member> members;
    for (const auto& member : vector.at("members").as_array())
      members.push_back(member_of(member));
    const auto size = number(vector, "size");
    const auto k = number(vector, "hashFunctions");
    std::vector<std::uint16_t> slots;
    for (const auto& slot : vector.at("slots").as_array())
      slots.push_back(slot.to_number<std::uint16_t>());
    EXPECT_EQ(maglev::build(members, size, k), slots) << vector;
    EXPECT_EQ(test::reference_build(members, size, k), slots) << "the reference, " << vector;
  }
}

TEST(MaglevVectors, TablesOfTheSizesInUseAreTheSame) {
  for (const auto& vector : vectors().at("bigTables").as_array()) {
    std::vector<Member> members;
    for (std::uint32_t i = 0; i < number(vector, "count"); i++)
      members.push_back(
          {.address = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 1,
                       static_cast<std::uint8_t>(i / 256), static_cast<std::uint8_t>(i % 256)},
           .port = 0,
           .weight = static_cast<std::uint16_t>(1 + i % number(vector, "spread")),
           .value = static_cast<std::uint16_t>(i + 1)});
    const auto table =
        maglev::build(members, number(vector, "size"), number(vector, "hashFunctions"));
    std::vector<std::uint8_t> bytes;
    for (const auto slot : table) {
      bytes.push_back(static_cast<std::uint8_t>(slot));
      bytes.push_back(static_cast<std::uint8_t>(slot >> 8));
    }
    EXPECT_EQ(maglev::murmur3_32(bytes, 0), number(vector, "hash")) << vector;
  }
}

// Table 1 and 2 of the paper: M = 7, B0 (offset 3, skip 4), B1 (0, 2), B2 (3, 1), and without B1.
TEST(MaglevVectors, ReferenceGivesTheExampleOfThePaper) {
  const auto member = [](std::uint32_t offset, std::uint32_t skip, std::uint16_t value) {
    return test::ReferenceMember{
        .permutations = {test::permutation({offset, skip}, 7)}, .weight = 1, .value = value};
  };
  enum : std::uint16_t { b0 = 10, b1 = 11, b2 = 12 };
  EXPECT_EQ(test::reference_fill({member(3, 4, b0), member(0, 2, b1), member(3, 1, b2)}, 7),
            (std::vector<std::uint16_t>{b1, b0, b1, b0, b2, b2, b0}));
  EXPECT_EQ(test::reference_fill({member(3, 4, b0), member(3, 1, b2)}, 7),
            (std::vector<std::uint16_t>{b0, b0, b0, b0, b2, b2, b2}));
}

}  // namespace
}  // namespace sluice
