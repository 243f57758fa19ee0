// What the data plane's fixed tables can hold, as limits of the configuration. Checked against
// bpf/abi.h by a test.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice::model {

inline constexpr std::size_t max_backends = 4095;  ///< over all pools; id 0 is never used
inline constexpr std::size_t max_services = 511;
inline constexpr std::size_t max_pools = 64;
/// Addresses of one family that packets are looked up by: VIPs, nat sources, and backends of pools
/// that preserve the client's address.
inline constexpr std::size_t max_addresses = 512;
/// Attached ones; ways out that are not attached need places of the same table.
inline constexpr std::size_t max_interfaces = 16;
inline constexpr std::size_t max_ways_out = 32;
inline constexpr std::size_t max_access_entries = 100000;  ///< deny and allow list together
inline constexpr std::uint32_t max_packets_per_second = 1'000'000'000;
/// With one packet a second a bucket of that many is full after three years: what a word can hold.
inline constexpr std::uint32_t max_burst = 100'000'000;
/// Bytes. A connection id has 20 in QUIC version 1: one goes before, four of nonce behind.
inline constexpr std::size_t max_quic_server_id = 15;
inline constexpr std::size_t max_interface_name_length = 15;
inline constexpr std::size_t max_name_length = 63;
/// Slots of all tables together: half of the arena, so that every table can be built anew beside
/// the running one.
inline constexpr std::uint64_t max_slots = 3 * 1024 * 1024;

}  // namespace sluice::model
