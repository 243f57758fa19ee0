// Addresses, endpoints and descriptors: the values that everything else is written with.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstring>

#include "base/address.hpp"
#include "base/fd.hpp"
#include "base/text.hpp"

namespace sluice {
namespace {

std::string canonical(std::string_view text) {
  auto address = IpAddress::parse(text);
  return address ? address->to_string() : "refused";
}

TEST(IpAddress, IsWrittenInCanonicalForm) {
  EXPECT_EQ(canonical("10.0.1.11"), "10.0.1.11");
  EXPECT_EQ(canonical("FD00:0001:0:0:0:0:0:0011"), "fd00:1::11");
  EXPECT_EQ(canonical("::"), "::");
  EXPECT_EQ(canonical("::ffff:10.0.1.11"), "10.0.1.11") << "the mapped form is the IPv4 address";
}

TEST(IpAddress, WhatIsNoAddressIsRefusedByName) {
  for (const std::string_view text :
       {"", "10.0.1", "10.0.1.256", "10.0.1.11 ", "010.0.0.1", "10.0.1.11/24", "fd00::1%eth0",
        "[fd00::1]", "fd00:::1", "example.org"})
    EXPECT_EQ(canonical(text), "refused") << text;
  using namespace std::string_literals;
  EXPECT_EQ(canonical("10.0.1.11\0.evil"s), "refused") << "nothing hides behind a zero byte";
  const auto refused = IpAddress::parse("10.0.1.256");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("'10.0.1.256'"), std::string::npos);
}

TEST(IpAddress, KindsOfAddressAreToldApart) {
  const auto at = [](const char* text) { return IpAddress::parse(text).value(); };
  EXPECT_TRUE(at("10.0.0.1").is_v4());
  EXPECT_FALSE(at("::10.0.0.1").is_v4()) << "the old compatible form is IPv6";
  EXPECT_TRUE(at("0.0.0.0").is_unspecified() && at("::").is_unspecified());
  EXPECT_TRUE(at("127.8.8.8").is_loopback() && at("::1").is_loopback());
  EXPECT_FALSE(at("::2").is_loopback());
  EXPECT_TRUE(at("224.0.0.1").is_multicast() && at("ff02::1").is_multicast());
  EXPECT_TRUE(at("255.255.255.255").is_multicast());
  EXPECT_TRUE(at("169.254.1.1").is_link_local() && at("febf::1").is_link_local());
  EXPECT_FALSE(at("fec0::1").is_link_local());
}

TEST(IpAddress, WordsAreWhatThePacketPathCompares) {
  const std::uint8_t four[] = {10, 0, 1, 11};
  const auto v4 = IpAddress::from_v4(four);
  const auto words = v4.words();
  EXPECT_EQ(std::memcmp(words.data(), four, 4), 0) << "network order, first word";
  EXPECT_EQ(words[1] | words[2] | words[3], 0u);
  const auto v6 = IpAddress::parse("fd00:1::11").value();
  EXPECT_EQ(std::memcmp(v6.words().data(), v6.bytes().data(), 16), 0);
}

TEST(MacAddress, IsReadAndWritten) {
  const auto mac = MacAddress::parse("02:00:0a:FF:00:01");
  ASSERT_TRUE(mac);
  EXPECT_EQ(mac->to_string(), "02:00:0a:ff:00:01");
  for (const char* text : {"", "02:00:00:00:00", "02-00-00-00-00-01", "02:00:00:00:00:0g",
                           "02:00:00:00:00:01:02", "2:0:0:0:0:1"})
    EXPECT_FALSE(MacAddress::parse(text)) << text;
}

TEST(Endpoint, NamesABackendTheSameWayInAndOut) {
  for (const char* text : {"10.0.1.11", "10.0.1.11:80", "fd00::1", "[fd00::1]:65535"}) {
    const auto endpoint = parse_endpoint(text);
    ASSERT_TRUE(endpoint) << text;
    EXPECT_EQ(endpoint_to_string(endpoint->address, endpoint->port), text);
  }
  EXPECT_EQ(parse_endpoint("[fd00::1]")->port, 0);
}

TEST(Endpoint, BadPortsAndBracketsAreRefused) {
  for (const char* text :
       {"10.0.1.11:", "10.0.1.11:0", "10.0.1.11:65536", "10.0.1.11:80x", "10.0.1.11:-1",
        "[fd00::1]80", "[fd00::1]:", "[fd00::1", "[fd00::1]:0", ":80", ""})
    EXPECT_FALSE(parse_endpoint(text)) << text;
}

TEST(Fd, ClosesWhatItHoldsAndGivesAwayWhatIsReleased) {
  const auto is_open = [](int fd) { return fcntl(fd, F_GETFD) != -1; };
  const int first = open("/dev/null", O_RDONLY), second = open("/dev/null", O_RDONLY);
  {
    Fd a(first);
    Fd b(second);
    b = std::move(a);
    EXPECT_FALSE(is_open(second)) << "assigning closes what was held";
    EXPECT_TRUE(is_open(first));
    EXPECT_FALSE(a);  // NOLINT: a moved-from Fd holds nothing, which is what this shows
    Fd c(std::move(b));
    EXPECT_EQ(c.get(), first);
  }
  EXPECT_FALSE(is_open(first));
  Fd d(open("/dev/null", O_RDONLY));
  const int kept = d.release();
  EXPECT_TRUE(is_open(kept));
  close(kept);
}

TEST(Text, CountsAgreeWithTheirNoun) {
  EXPECT_EQ(counted(0, "fault"), "0 faults");
  EXPECT_EQ(counted(1, "fault"), "1 fault");
  EXPECT_EQ(counted(2, "fault"), "2 faults");
}

}  // namespace
}  // namespace sluice
