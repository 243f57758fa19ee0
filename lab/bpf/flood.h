/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What the flood's programs and the tool that runs them share. */
#ifndef SLUICE_LAB_FLOOD_H
#define SLUICE_LAB_FLOOD_H

#include <linux/types.h>

#define FLOOD_NUMBERS (1u << 27) /* most packets of one flood: a bit each */
#define FLOOD_FRAME 60           /* Ethernet, IPv4, UDP, and the number at byte 44 */
#define FLOOD_NUMBER_AT 44

struct flood {
	__u8 frame[64];
	__u32 interface; /* where the frames go out */
	__u32 window;    /* at most so many are under way: fewer than a queue of veth holds */
	__u32 last;      /* no number from here on is sent */
	__u32 pad;
	__u64 sent;
	__u64 held; /* times that the window was full */
};

/* A cache line of its own: the other end writes it. */
struct flood_arrived {
	__u64 packets; /* with a number, each for the first time */
	__u64 again;   /* with a number that had come before */
	__u64 strange; /* with no number that was sent */
	__u64 pad[5];
};

#endif
