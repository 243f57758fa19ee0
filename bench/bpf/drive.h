/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What the driver and the benchmarks share: how a stream of packets over many flows is described. */
#ifndef SLUICE_BENCH_DRIVE_H
#define SLUICE_BENCH_DRIVE_H

#include <linux/types.h>

#define DRIVE_FRAME 128      /* room for a frame */
#define DRIVE_LISTED (1 << 20) /* most flows of a list */
#define DRIVE_BURST 16         /* live frames that share a look at the clock */

/* A flow of a list, as the words that are stamped into the frame. */
struct drive_flow {
	__u32 source; /* last word of the source address, as it stands in the packet */
	__u32 ports;  /* source and destination port, as they stand in the packet */
};

struct drive {
	__u32 length;    /* of the frame; a multiple of 8 */
	__u32 flow_mask; /* number of flows - 1; a power of two less one */
	__u32 walk;      /* state of the walk over them */
	__u32 interface; /* live frames: where they are sent to */
	__u32 interval;  /* live frames: ns from one to the next; 0: as fast as it goes */
	__u32 burst;     /* frames of this burst that are still to come */
	__u64 due;       /* when the next burst may start; 0: with the next frame */
	__u8 frame[DRIVE_FRAME];
};

#endif
