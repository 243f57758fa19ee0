/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What is remembered of flows: of all of them, where a pool asks for that. */
#ifndef SLUICE_ABI_FLOWS_H
#define SLUICE_ABI_FLOWS_H

#include "sizes.h"

/* Seconds without a packet after which what is remembered of a flow is over, and its port, if nat gave it one, may be another's.
 * A flow that was never established holds its place for moments only, so that a flood of SYNs does not use the places up. */
struct sl_idle {
	__u32 opening;
	__u32 tcp;               /* established */
	__u32 closing;           /* closed by both sides, or by a RST */
	__u32 closing_one_sided; /* closed by the client, where the backend's packets are not seen */
	__u32 udp;
	__u32 affinity;          /* a client without flows */
	__u32 pad[10];
};
#define SL_IDLE_OPENING 10

/* ---- flows: one table for both directions of nat of IPv4, and for what else is tracked ----
 *
 * A line is one cache line of three entries. An entry may stand in any line of its group; the line that its key hashes to
 * comes first, so nearly all are found there. Two tables of this kind: one for flows that are established, and a small one
 * for those that are still opening, so that a flood fills only the latter.
 *
 * key    forward: client address << 32 | client port << 16 | service id
 *        reply:   backend address << 32 | backend port << 16 | SL_REPLY_SIDE | SL_REPLY_TCP | port of ours - SL_NAT_FIRST_PORT
 * value  forward: backend id << 48 | port of ours << 32 | epoch << 8 (24 bits) | SL_FLOW4_*
 *        reply:   the key of the forward entry
 *        0: free. SL_FLOW_CLAIMED: being written. All others have something in their low half.
 * more   forward: the way back (index of sl_way)
 *        reply:   backend id << 16 | the way back << 8 | SL_REPLY_*
 * Addresses and ports in network order as they are loaded, ours in host order.
 *
 * By direct return there is no reply and no port of ours, and `more` is the upper half of the flow's hash. Where the client's
 * address and port do not fit, or the service has many ports:
 * key    48 bits of a hash of client and ports that the outside cannot know | SL_HASHED_SIDE | service id
 * A client that stays with its backend has an entry too: its key is that of a flow whose ports are 0, and SL_CLIENT_SIDE.
 */
#define SL_FLOW_BITS 20    /* lines: 64 MiB */
#define SL_OPENING_BITS 16 /* lines: 4 MiB */
#define SL_FLOW_WAYS 3
#define SL_FLOW_GROUP 8 /* lines */

struct sl_flow_line {
	__u64 key[SL_FLOW_WAYS];
	__u64 value[SL_FLOW_WAYS];
	__u32 more[SL_FLOW_WAYS];
	__u32 pad;
};

#define SL_FLOW_CLAIMED (1ULL << 32)
#define SL_FORWARD_KEY(client, ports, service) (((__u64)(client) << 32) | ((__u32)(ports) << 16) | (service))
#define SL_REPLY_SIDE 0x8000u
#define SL_REPLY_TCP 0x4000u
#define SL_HASHED_SIDE 0x4000u /* without SL_REPLY_SIDE */
#define SL_CLIENT_SIDE 0x2000u /* likewise */

#define SL_FLOW4_LIVE 1u
#define SL_FLOW4_ANSWERED 2u    /* the backend has sent something */
#define SL_FLOW4_ESTABLISHED 4u /* and the client has gone on */
#define SL_FLOW4_CLIENT_CLOSED 8u
#define SL_FLOW4_BACKEND_CLOSED 16u /* a RST closes both */
#define SL_FLOW4_CLOSED (SL_FLOW4_CLIENT_CLOSED | SL_FLOW4_BACKEND_CLOSED)
#define SL_FLOW4_UDP 32u
#define SL_FLOW4_ONE_SIDED 64u /* direct return: the backend's packets are not seen */
#define SL_FLOW4_CLIENT 128u   /* no flow, but where a client's next one goes */

/* Is the flow of this forward value over, so that its place and port may be another's? */
static inline __attribute__((always_inline)) int sl_flow_over(__u64 value, __u32 epoch, const struct sl_idle *idle)
{
	__u32 age = (epoch - (__u32)(value >> 8)) & 0xffffff;

	if (value & SL_FLOW4_UDP)
		return age >= idle->udp;
	if (value & SL_FLOW4_CLIENT)
		return age >= idle->affinity;
	if ((value & SL_FLOW4_CLOSED) == SL_FLOW4_CLOSED)
		return age >= (value & SL_FLOW4_ONE_SIDED ? idle->closing_one_sided : idle->closing);
	return age >= (value & SL_FLOW4_ESTABLISHED ? idle->tcp : idle->opening);
}

/* Does the flow of this forward value count as one that its backend has? */
static inline __attribute__((always_inline)) int sl_flow_counts(__u64 value)
{
	return value & SL_FLOW4_LIVE && !(value & SL_FLOW4_CLIENT) && (value & SL_FLOW4_CLOSED) != SL_FLOW4_CLOSED;
}

#define SL_REPLY_ANSWERED 1u /* the forward entry knows that the backend answered */
#define SL_REPLY_TICK 2u     /* from here on six bits: the epoch / 4 when the forward entry was told last that replies go on */

/* The ways back to clients: the frames' addresses and the interface, of each router that packets come from. */
#define SL_WAY_IDLE 90000 /* seconds; longer than any flow may be silent */
#define SL_WAYS 256 /* the first is none: where there are too many, the kernel's routes are asked */

struct sl_way {
	__u8 ethernet[12]; /* of the client's frames as they come: destination, source */
	__u16 interface;
	__u16 pad;
	__u32 seen; /* epoch; 0: free */
	__u32 pad2[3];
};

/* By service id: what replies are sent from. */
struct sl_vip {
	__be32 address;
	__be16 port;
	__u16 pad;
};

/* ---- nat flows of IPv6, and of backends that see the client's address: what a packet is rewritten to ---- */

struct sl_flow_key {
	__u32 source[4], destination[4]; /* network order; IPv4 in [0], the rest zero */
	__be16 source_port, destination_port;
	__u8 protocol;
	__u8 ipv6;
	__u16 pad;
};

#define SL_FLOW_REPLY 1u       /* from backend to client */
#define SL_FLOW_ANSWERED 2u    /* the backend has sent something */
#define SL_FLOW_ESTABLISHED 4u /* TCP: and the client has acknowledged it */

struct sl_flow {
	__u32 source[4], destination[4]; /* the packet's new addresses */
	__be16 source_port, destination_port;
	__u16 ip_sum;  /* what the rewriting adds to the IPv4 header's checksum, folded */
	__u16 l4_sum;  /* what it adds to the TCP or UDP checksum, folded */
	__u16 backend, service;
	__u16 interface; /* reply: the way out towards the client */
	__u8 flags;      /* SL_FLOW_* */
	__u8 closing;    /* SL_CLOSING_*: who has sent a FIN; a RST closes both */
	__u8 ethernet[12]; /* forward: the client's frame as it came (destination, source); reply: the frame to send */
	__u32 seen;      /* epoch of the last packet */
};

#define SL_CLOSING_CLIENT 1u
#define SL_CLOSING_BACKEND 2u
#define SL_CLOSING_BOTH 3u

SL_ASSERT(sizeof(struct sl_idle) == 64, "sl_idle");
SL_ASSERT(sizeof(struct sl_flow_line) == 64, "sl_flow_line");
SL_ASSERT(sizeof(struct sl_way) == 32, "sl_way");
SL_ASSERT(sizeof(struct sl_flow_key) == 40, "sl_flow_key");
SL_ASSERT(sizeof(struct sl_flow) == 64, "sl_flow");

#endif
