/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What became of packets: verdicts, reasons, and what services and backends got. */
#ifndef SLUICE_ABI_STATS_H
#define SLUICE_ABI_STATS_H

#include "limits.h"
#include "sizes.h"
#include "transition.h"

/* Verdicts are the kernel's XDP actions: 0 aborted, 1 drop, 2 pass, 3 tx, 4 redirect. */
#define SL_VERDICTS 8
#define SL_REASONS 64

enum sl_reason {
	/* pass: not for us, or for the kernel to judge */
	SL_REASON_NOT_IP,               /* neither IPv4 nor IPv6 */
	SL_REASON_NOT_OURS,             /* no service and no nat source has this address */
	SL_REASON_NO_SERVICE,           /* the VIP is ours, the port or protocol is not */
	SL_REASON_FRAGMENT,             /* a fragment for a VIP; dropped where the configuration says so */
	SL_REASON_ICMP,                 /* ICMP or ICMPv6 for a VIP */
	SL_REASON_OTHER_PROTOCOL,       /* a VIP's, but neither TCP, UDP nor ICMP */
	SL_REASON_TRUNCATED,            /* shorter than its headers say */
	SL_REASON_MALFORMED,            /* header fields that contradict each other */
	SL_REASON_UNKNOWN_REPLY,        /* for a nat source, but of no flow that we know */
	/* drop */
	SL_REASON_NO_BACKEND,           /* the service's pool has no usable backend */
	SL_REASON_UNRESOLVED,           /* the backend's next hop has no known MAC address */
	SL_REASON_TOO_BIG,              /* does not fit the way out's MTU, and its sender was not told */
	SL_REASON_NO_PORT,              /* nat: no free source port */
	SL_REASON_FLOW_TABLE_FULL,      /* nat: the flow could not be stored */
	SL_REASON_NO_HEADROOM,          /* no room before the packet for an outer header */
	SL_REASON_EXTENSION_CHAIN,      /* more IPv6 extension headers than are followed */
	SL_REASON_FAMILY_MISMATCH,      /* nat cannot carry this address family to that backend */
	SL_REASON_FRAGMENT_EARLY,       /* a fragment that came before its datagram's first, or long after it */
	SL_REASON_DENIED,               /* the access lists keep its source from the VIPs */
	SL_REASON_CONNECTION_LIMIT,     /* a new flow, and no backend may have another */
	SL_REASON_RATE_LIMITED,         /* beyond a limit; passed with a mark where the configuration says so */
	SL_REASON_MISSING_INTERFACE,    /* tx_ports has no entry for the interface that it was to leave by */
	/* tx, redirect */
	SL_REASON_NAT,
	SL_REASON_NAT_REPLY,
	SL_REASON_DSR_L2,
	SL_REASON_DSR_IPIP4,            /* outer header is IPv4 */
	SL_REASON_DSR_IPIP6,            /* outer header is IPv6 */
	SL_REASON_ICMP_ERROR,           /* an ICMP error, to the backend of the flow that it quotes */
	SL_REASON_ECHO,                 /* tx: an echo request to a VIP, answered */
	SL_REASON_TOO_BIG_TOLD,         /* tx: does not fit the way out's MTU; the sender was told what does */
	/* aborted */
	SL_REASON_MISSING_BACKEND,      /* backend_pool has no entry with the id that a slot or a flow names */
	SL_REASON_TABLE_BOUND,          /* the table of the service's pool lies outside of the slots */
	SL_REASON_BUG,                  /* a bound that holds by the program's own doing did not hold */
	SL_REASON_COUNT
};

struct sl_counter {
	__u64 packets, bytes; /* bytes: the frame as it came in */
};

/* What a service or a backend got: one cache line. */
struct sl_traffic {
	__u64 packets, bytes;             /* from clients */
	__u64 reply_packets, reply_bytes; /* nat only: from backends */
	__u64 opened, closed;             /* TCP: SYNs and FIN/RSTs from clients; UDP over nat: new flows */
	__u64 dropped;                    /* packets for it that did not go on, whatever the reason; TOO_BIG_TOLD too */
	__u64 unresolved;                 /* of these: for want of the next hop's MAC address */
};

/* How long the program takes. Buckets by powers of two: the first holds 0 and 1 ns, bucket n those below 2^(n+1), the last all
 * that is longer. Their sum is the number of packets that were timed. */
#define SL_TIMING_BUCKETS 32

struct sl_timing {
	__u64 bucket[SL_TIMING_BUCKETS];
	__u64 nanoseconds; /* of all of them */
	__u64 pad[7];
};

/* The packet that is being timed. */
struct sl_clock {
	__u64 started; /* ns; SL_CLOCK_ARMED: the next packet is to be timed; 0: none is */
	__u64 reading; /* what reading the clock took, ns */
};

#define SL_CLOCK_ARMED 1
#define SL_TIMED_EVERY 1024 /* a counter that reaches a multiple of it has this CPU's next packet timed */

/* An entry of xdp_stats_map, one for each CPU: only that CPU writes to it, and the daemon reads it through mmap. */
struct sl_stats {
	struct sl_counter verdict[SL_MAX_INTERFACES][SL_VERDICTS][SL_REASONS];
	struct sl_traffic service[SL_MAX_SERVICES];
	struct sl_traffic backend[SL_MAX_BACKENDS];
	struct sl_timing timing[SL_MAX_INTERFACES];
	struct sl_learning learning;
	__u64 scratch[16]; /* what the packet path has no room for on its stack */
	__u64 slow[16];    /* likewise, a packet that is looked at slowly */
	__u32 told_epoch, told; /* how many senders were told in this epoch that a packet is too big */
	struct sl_allowance allowance;
	struct sl_clock clock;
	__u64 pad[4];
};

/* Answers that a packet is too big, per CPU and second: more would help nobody but who sends in another's name. */
#define SL_TOLD_A_SECOND 1000

SL_ASSERT(sizeof(struct sl_counter) == 16, "sl_counter");
SL_ASSERT(sizeof(struct sl_traffic) == 64, "sl_traffic");
SL_ASSERT(sizeof(struct sl_timing) % 64 == 0, "sl_timing");
SL_ASSERT((SL_TIMED_EVERY & (SL_TIMED_EVERY - 1)) == 0, "packets are chosen by a mask");
SL_ASSERT(sizeof(struct sl_stats) % 64 == 0, "sl_stats");

SL_ASSERT((int)SL_REASON_COUNT <= SL_REASONS, "reasons fit their row");

#endif
