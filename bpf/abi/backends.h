/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Where packets go, and how many flows are there. */
#ifndef SLUICE_ABI_BACKENDS_H
#define SLUICE_ABI_BACKENDS_H

#include "sizes.h"

enum sl_forwarding {
	SL_FORWARDING_NAT,
	SL_FORWARDING_DSR_L2,
	SL_FORWARDING_DSR_IPIP,
};

#define SL_BACKEND_PRESENT 1u         /* there is a backend with this id */
#define SL_BACKEND_RESOLVED 2u        /* the MAC addresses of its next hop are known */
#define SL_BACKEND_PRESERVE_CLIENT 4u /* nat: only the destination is rewritten */
#define SL_BACKEND_IPV6 8u            /* `address` and `source` are IPv6 */
#define SL_BACKEND_DISABLED 16u       /* its flows go to others at once */
#define SL_BACKEND_LIMITED 32u        /* it has a limit of its own; `room` is then 0: see sl_room */

/* One cache line. The first word holds the next hop's MAC whole, so that a changed neighbour is one store. */
struct sl_backend {
	__u8 ethernet[12];  /* destination MAC, source MAC */
	__be16 ethertype;   /* of the outer header (dsr-ipip) */
	__u16 room;         /* largest client's IP packet that goes there without a second look; 0: none */
	__u8 forwarding;    /* enum sl_forwarding */
	__u8 flags;         /* SL_BACKEND_* */
	__u8 outer;         /* bytes of the outer header: 20, 40, or 0 for none */
	__u8 interface;     /* place in the devmap and in the counters */
	__be16 port;        /* nat: the backend's port; 0: the service's */
	__u16 mtu;          /* of the way there */
	__u32 address[4];   /* network order; IPv4 in address[0] */
	__u32 source[4];    /* nat: the source we use; dsr-ipip: outer source, its low 16 bits are ORed with the flow */
	__u32 outer_sum;    /* dsr-ipip, IPv4: sl_outer_sum(address[0], source[0]) */
	__u32 source_mask;  /* bits of the outer source's last word that vary with the flow, network order; 0: fixed */
};

/* The largest client's IP packet that fits the way there; 0: nothing can be sent. */
static inline __attribute__((always_inline)) __u32 sl_room(const struct sl_backend *backend)
{
	if (backend->flags & SL_BACKEND_DISABLED || backend->mtu <= backend->outer)
		return 0;
	return backend->mtu - (__u32)backend->outer;
}

#define SL_OUTER_TTL 64

/* The sum of the 16-bit words of an outer IPv4 header (RFC 2003) that are the same for all packets to a backend:
 * version, IHL and TOS; the DF bit; TTL (the protocol is added per packet); both addresses. */
static inline __attribute__((always_inline)) __u32 sl_outer_sum(__u32 address, __u32 source)
{
	return 0x0045 + 0x0040 + SL_OUTER_TTL + (address & 0xffff) + (address >> 16) + (source & 0xffff) +
	       (source >> 16);
}

/* By backend id. A flow counts from its first packet until it has closed, or is forgotten. */
struct sl_load {
	__u32 active;
	__u32 limit;  /* flows that it may have; 0: any number */
	__u32 weight; /* 0: it gets no new flow */
	__u32 pad;
};

struct sl_loads {
	struct sl_load backend[SL_MAX_BACKENDS];
	__u32 cursor[SL_MAX_SERVICES]; /* whose turn it is, by service id */
};

SL_ASSERT(sizeof(struct sl_backend) == 64, "sl_backend");
SL_ASSERT(sizeof(struct sl_load) == 16, "sl_load");

#endif
