/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Hashes that packets, the daemon and other nodes must agree on. */
#ifndef SLUICE_ABI_HASH_H
#define SLUICE_ABI_HASH_H

#include "sizes.h"

#define SL_DISPLACEMENT_BITS 9 /* buckets of the displacement tables */
#define SL_DISPLACEMENT_MULTIPLIER 0xc2b2ae3d27d4eb4fULL

static inline __attribute__((always_inline)) __u64 sl_fold6(__u64 high, __u64 low)
{
	__u64 h = high * 0x9e3779b97f4a7c15ULL;

	h ^= h >> 32;
	h = (h ^ low) * 0xc2b2ae3d27d4eb4fULL;
	return h ^ (h >> 32);
}

/* The finaliser of MurmurHash3 (64 bit): the flow hash is sl_mix of client address, ports and the service's seed. */
static inline __attribute__((always_inline)) __u64 sl_mix(__u64 h)
{
	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdULL;
	h ^= h >> 33;
	h *= 0xc4ceb9fe1a85ec53ULL;
	return h ^ (h >> 33);
}

/* IPv4: source is the network-order word; ports: source port in the low half, destination port in the high half,
 * as the first four bytes of the L4 header are loaded on a little-endian machine. */
static inline __attribute__((always_inline)) __u64 sl_flow_hash4(__u32 source, __u32 ports, __u64 seed)
{
	return sl_mix((((__u64)source << 32) | ports) ^ seed);
}

/* The line that a key belongs to, of 1 << bits. Addresses and ports that count up are what keys are made of: one multiplication
 * spreads them so unevenly for some multipliers that a table two thirds full refuses a tenth of them; with two it is 0.7 %. */
static inline __attribute__((always_inline)) __u64 sl_flow_home(__u64 key, __u64 multiplier, int bits)
{
	key *= multiplier;
	return ((key ^ key >> 32) * 0x9e3779b97f4a7c15ULL) >> (64 - bits);
}

static inline __attribute__((always_inline)) __u64 sl_flow_hash6(__u64 high, __u64 low, __u32 ports, __u64 seed)
{
	return sl_mix(sl_fold6(high ^ seed, low) ^ ports);
}

/* The slot of a flow in a range of `slots`: the upper half of the hash, scaled. */
static inline __attribute__((always_inline)) __u64 sl_slot_of(__u64 hash, __u64 slots)
{
	return ((hash >> 32) * slots) >> 32;
}

#endif
