/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* How many packets go through: rates, and the buckets that keep to them. */
#ifndef SLUICE_ABI_LIMITS_H
#define SLUICE_ABI_LIMITS_H

#include "sizes.h"

/*
 * A bucket is one word: the time at which it is full again. A packet that goes through puts that off by `interval`; none goes
 * through that would put it off beyond `depth` from now. Times are in units of 1/64 ns of the monotonic clock.
 */
#define SL_LIMIT_SHIFT 6

struct sl_rate {
	__u64 interval; /* between two packets of the steady rate; 0: no limit */
	__u64 depth;    /* burst * interval */
	__u32 packets_per_second, burst; /* the same, as the configuration has it */
};

/* By backend id; the bucket of id 0 is that of all services together, whose rate is in the front. */
struct sl_limit {
	struct sl_rate rate;
	__u64 full_at;
	__u64 pad[4];
};

/* Of sl_front.excess: what becomes of packets beyond a limit. */
enum sl_excess {
	SL_EXCESS_DROP,
	SL_EXCESS_PASS, /* to the kernel, with sl_front.mark */
};

/* Before a packet that passes in excess: XDP cannot set skb->mark, tc_mark does it from this. */
struct sl_mark {
	__u32 magic;
	__u32 mark;
};

#define SL_MARK_MAGIC 0x6b6d6c73u

/* Packets that a CPU has taken from the bucket of all services beforehand, for the rest of the epoch. */
struct sl_allowance {
	__u32 packets, epoch;
};

SL_ASSERT(sizeof(struct sl_rate) == 24, "sl_rate");
SL_ASSERT(sizeof(struct sl_limit) == 64, "sl_limit");

#endif
