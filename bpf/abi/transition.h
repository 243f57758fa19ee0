/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Slots of the lookup tables, and what is remembered while their owners change. */
#ifndef SLUICE_ABI_TRANSITION_H
#define SLUICE_ABI_TRANSITION_H

#include "sizes.h"

#define SL_NO_SLOT SL_SLOT_ARENA       /* a slot behind the arena that never has a backend */
#define SL_SLOT_BACKEND 0x0000ffffu    /* the backend's id */
#define SL_SLOT_TRANSITION 0x80000000u /* flows of this slot may have records: look at its holder */

/*
 * Transitions: while a table changes hands, the flows of a slot may belong to more backends than its owner. Beside the
 * table stands one of holders, with a word for each slot in transition: while learning the holder, whose flows have no
 * record, and since when; or pinned, when nothing is learned any more. What has a record goes where that says.
 */
#define SL_HOLDER_BACKEND 0x0000ffffu
#define SL_HOLDER_SINCE_SHIFT 16 /* 15 bits: the epoch, divided by SL_SINCE_UNIT, when learning began */
#define SL_HOLDER_SINCE_MASK 0x7fffu
#define SL_SINCE_UNIT 4
#define SL_HOLDER_PINNED 0x80000000u

/* A record: signature 40 bits (the upper bits of the flow's hash, where they stand there) | backend 16 | kind 2 | epoch 6 */
#define SL_RECORD_BITS 18 /* buckets of eight records, a cache line each: 16 MiB */
#define SL_RECORD_WAYS 8
#define SL_RECORD_SIGNATURE 0xffffffffff000000ULL
#define SL_RECORD_EMBRYO 1u /* its SYN was seen, nothing after that yet */
#define SL_RECORD_NEW 2u    /* opened since learning began */
#define SL_RECORD_OLD 3u    /* older than that: found when it spoke */
#define SL_RECORD_EPOCH 16  /* seconds */
#define SL_RECORD_IDLE 60   /* epochs after which a record is forgotten */
#define SL_RECORD_EMBRYO_IDLE 3
#define SL_RECORD_CLOSING_AGE 58 /* a flow that closes is as old as this at once */
#define SL_RECORDS_PER_EPOCH 1000000 /* inserts, by CPU */

struct sl_bucket {
	__u64 record[SL_RECORD_WAYS];
};

/* What a CPU has learned: one cache line. */
struct sl_learning {
	__u32 epoch, left;  /* the budget of inserts */
	__u64 looked_up;    /* packets of slots in transition */
	__u64 made, refused;
	__u32 last_refused; /* epoch, in seconds; 0: never */
	__u32 pad;
	__u64 untracked;    /* new flows that found no place in the flow table */
	__u32 pad2[4];
};

SL_ASSERT(sizeof(struct sl_learning) == 64, "sl_learning");

#endif
