// The configuration's limits are those of the data plane's tables.
#include "model/limits.hpp"

#include <gtest/gtest.h>

#include "abi.h"

namespace sluice::model {
namespace {

TEST(Limits, AreThoseOfTheTables) {
  EXPECT_EQ(max_backends, std::size_t{SL_MAX_BACKENDS - 1}) << "id 0 is never used";
  EXPECT_EQ(max_quic_server_id, std::size_t{SL_QUIC_ID_MOST});
  EXPECT_EQ(max_services, std::size_t{SL_MAX_SERVICES - 1});
  EXPECT_EQ(max_pools, std::size_t{SL_MAX_POOLS});
  EXPECT_EQ(max_ways_out, std::size_t{SL_MAX_INTERFACES});
  EXPECT_LT(max_interfaces, max_ways_out) << "ways out that are not attached need places too";
  EXPECT_EQ(max_slots, std::uint64_t{SL_SLOT_ARENA / 2})
      << "every table is built beside the running one";
  EXPECT_EQ(max_access_entries, std::size_t{SL_MAX_ACCESS_ENTRIES});
  EXPECT_EQ(max_name_length, std::size_t{SL_NAME_LENGTH - 1});
  EXPECT_LE(std::uint64_t{max_burst},
            (std::uint64_t{1} << 63) / (1'000'000'000ull << SL_LIMIT_SHIFT))
      << "at one packet a second the bucket's time is one that the packet path can compare";
  EXPECT_GE(1'000'000'000ull << SL_LIMIT_SHIFT, std::uint64_t{max_packets_per_second})
      << "there is time between two packets";
  EXPECT_LT(max_addresses, std::size_t{1} << SL_ADDRESS_BITS)
      << "half full, so that a perfect hash is found";
}

}  // namespace
}  // namespace sluice::model
