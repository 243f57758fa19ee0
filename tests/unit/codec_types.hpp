// One described type of every kind, for the codec's tests.
#pragma once

#include <boost/describe.hpp>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/address.hpp"
#include "codec/codec.hpp"

namespace sluice::test {

enum class Colour { red, light_blue };
BOOST_DESCRIBE_ENUM(Colour, red, light_blue)

struct Part {
  std::string name;
  std::uint8_t count = 1;
  bool operator==(const Part&) const = default;
};
BOOST_DESCRIBE_STRUCT(Part, (), (name, count))

struct Whole {
  bool on = true;
  std::uint8_t small = 7;
  std::int32_t negative = -1;
  std::uint64_t large = 0;
  double ratio = 0.5;
  std::string text = "x";
  Colour colour = Colour::red;
  IpAddress address;
  std::optional<std::uint16_t> port;
  std::vector<Part> parts;
  std::map<std::string, Part> by_name;
  std::uint32_t size = 10;
  std::uint32_t made = 0;
  bool operator==(const Whole&) const = default;
};
BOOST_DESCRIBE_STRUCT(Whole, (),
                      (on, small, negative, large, ratio, text, colour, address, port, parts,
                       by_name, size, made))

}  // namespace sluice::test

namespace sluice::codec {
inline constexpr std::int64_t allowed_sizes[] = {10, 20};
template <>
inline constexpr Field field<&test::Part::name> = {
    .doc = "what it is called", .max_length = 8, .example = R"("bolt")", .required = true};
template <>
inline constexpr Field field<&test::Part::count> = {.min = 1, .max = 100, .unit = "pieces"};
template <>
inline constexpr Field field<&test::Whole::ratio> = {.min = 0, .max = 1};
template <>
inline constexpr Field field<&test::Whole::address> = {.format = "ip", .example = R"("10.0.0.1")"};
template <>
inline constexpr Field field<&test::Whole::port> = {.min = 1};
template <>
inline constexpr Field field<&test::Whole::parts> = {.max_items = 3};
template <>
inline constexpr Field field<&test::Whole::size> = {.one_of = allowed_sizes};
template <>
inline constexpr Field field<&test::Whole::made> = {.read_only = true};
}  // namespace sluice::codec
