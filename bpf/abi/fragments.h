/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What became of the first fragment of a datagram. */
#ifndef SLUICE_ABI_FRAGMENTS_H
#define SLUICE_ABI_FRAGMENTS_H

#include "sizes.h"

/*
 * key    a hash of what the datagram's fragments have in common
 * value  backend id << 48 | SL_FRAGMENT_LIVE | service id << 32 | bits 16 to 31 of the flow's hash | epoch (16 bits);
 *        backend 0: it went to the kernel. 0: free. SL_FRAGMENT_CLAIMED: being written.
 */
#define SL_FRAGMENT_BITS 13 /* lines: 512 KiB, 32,768 datagrams */
#define SL_FRAGMENT_WAYS 4
#define SL_FRAGMENT_LIFE 30 /* epochs that the others may come after the first */
#define SL_FRAGMENT_LIVE (1ULL << 47)
#define SL_FRAGMENT_CLAIMED (1ULL << 46)

struct sl_fragment_line {
	__u64 key[SL_FRAGMENT_WAYS];
	__u64 value[SL_FRAGMENT_WAYS];
};

SL_ASSERT(sizeof(struct sl_fragment_line) == 64, "sl_fragment_line");

#endif
