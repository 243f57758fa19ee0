/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Which packets are ours, and what their service wants: found by address first, then by port, in perfect hashes that the daemon
 * makes. No two keys meet. */
#ifndef SLUICE_ABI_FRONT_H
#define SLUICE_ABI_FRONT_H

#include "flows.h"
#include "hash.h"
#include "limits.h"
#include "quic.h"
#include "sizes.h"

#define SL_ADDRESS_BITS 10     /* places for addresses of one family */
#define SL_SERVICE_BITS 11     /* places for services; the upper half is for displaced ones */

/* Of sl_address4/6.id: set where the address is a source that nat uses, not a VIP. */
#define SL_ADDRESS_NAT_SOURCE 0x80000000u
/* Of sl_address4/6.id: set where the address is a backend whose replies keep the client's address
 * (preserveClientAddress); looked up by the packet's source, only while SL_FRONT_REPLY_BY_SOURCE is set. */
#define SL_ADDRESS_PRESERVING_BACKEND 0x40000000u
/* Of sl_address4/6.id: set where the address is a VIP that answers echo requests, because one of its services says so. */
#define SL_ADDRESS_ANSWERS_ECHO 0x20000000u

/* Where the services of an address are: each address has a perfect hash of its own over them, see sl_service_place. */
struct sl_services {
	__u32 multiplier;
	__u16 base;
	__u8 shift;
	__u8 flags; /* SL_SERVICES_* */
};

/* There are too many for one multiplier: they are found among all the front's services, as sl_displaced_place says. */
#define SL_SERVICES_DISPLACED 1u
/* There are services for ranges of ports, or for every port: see sl_rest_place. */
#define SL_SERVICES_REST 2u

/* A place without an address has one that belongs to another place, so that no packet's address equals it. */
struct sl_address4 {
	__be32 address;
	__u32 id; /* 0: this place is empty */
	struct sl_services services;
};

struct sl_address6 {
	__u64 high, low; /* the 16 bytes as they stand in the packet, loaded as two words */
	__u32 id;        /* 0: this place is empty */
	__u32 pad;
	struct sl_services services;
};

#define SL_PORT_KEY(protocol, port_be) (((__u32)(protocol) << 16) | (__u32)(port_be))
#define SL_SERVICE_KEY(address_id, protocol, port_be) \
	(((__u64)(address_id) << 32) | SL_PORT_KEY(protocol, port_be))
/* No packet has these: the key of a place without a service, and of what an address has that nat sends from. */
#define SL_EMPTY_KEY 0xfffffffeu
#define SL_REPLY_KEY 0xffffffffu
/* Nor these: of a place that only ranges lead to, and of the service for every port of a protocol. */
#define SL_RANGES_KEY 0xfffffffdu
#define SL_REST_KEY(protocol) (0x01000000u | (__u32)(protocol) << 16)

struct sl_service {
	__u64 key;  /* SL_SERVICE_KEY */
	__u64 seed; /* of the flow hash; follows from address, port and protocol, so every node agrees */
	__u32 base, slots; /* its pool's table in the arena; without a backend: the one slot SL_NO_SLOT */
	__u32 holders;     /* where in the arena the holders of its slots begin; read for slots in transition only */
	__u32 id;
	__u32 flags;
	__u32 first_range, ranges; /* of a place that sl_rest_place gives: the address's ranges for this protocol */
	__u32 settings; /* SL_SETTING_*: no packet reads them here; they are for a new daemon */
	__u32 ports_mask; /* what of the ports counts for the flow's hash: all, or none where a client stays with its backend */
	__u32 pad[3];
};

/* A service for several ports, in host order. Those of an address and protocol stand together, the lowest first. */
struct sl_range {
	__u16 first, last;
	__u16 service; /* its place */
	__u16 pad;
};

/* Of sl_service.flags: its pool's forwarding is nat, so its flows are looked up before a slot is. */
#define SL_SERVICE_NAT 1u
/* There are access lists: the packet's source is looked up before anything is done for it. */
#define SL_SERVICE_GUARDED 0x100u
/* And these are IPv4 and rewritten in both addresses: their flows fit the narrow table. */
#define SL_SERVICE_NAT4 2u
/* The front has nat services of IPv4 of both kinds: their flows are in two tables and share the ports of ours. */
#define SL_SERVICE_SHARES_PORTS 0x80u
/* Direct return, but every flow is remembered. */
#define SL_SERVICE_TRACKED 4u
/* A flow's key is a hash: the client's address is IPv6, or the service has more than one port. */
#define SL_SERVICE_HASHED_KEY 8u
/* How a new flow's backend is chosen; neither: by the flow's hash. */
#define SL_SERVICE_ROUND_ROBIN 0x10u
#define SL_SERVICE_LEAST_CONNECTIONS 0x20u
/* A client's flows go to one backend. */
#define SL_SERVICE_AFFINE 0x40u
/* There is a limit for all services together: sl_front.limit. */
#define SL_SERVICE_LIMITED 0x200u

/* The rest is for UDP services of pools with QUIC, see quic.h. How many bytes a server's id has; 0: it is no QUIC. */
#define SL_SERVICE_QUIC 0x000f0000u
#define SL_QUIC_LENGTH(flags) ((flags) >> 16 & 15)
/* Which connection ids have such an id in them: their first three bits. */
#define SL_SERVICE_QUIC_ROTATION 0x00700000u
#define SL_QUIC_ROTATION(flags) ((flags) >> 20 & 7)
#define SL_QUIC_FLAGS(length, rotation) ((__u32)(length) << 16 | (__u32)(rotation) << 20)
/* Whose servers they name: the pool's number among those of the front with QUIC. */
#define SL_QUIC_POOL_SHIFT 24
#define SL_QUIC_POOL(flags) ((flags) >> SL_QUIC_POOL_SHIFT & 127)

/* Of sl_service.settings: its address answers echo requests on its behalf. */
#define SL_SETTING_ANSWERS_ECHO 1u

/* Of sl_front.flags: what else there is to do with a packet whose address was not found at once. */
#define SL_FRONT_REPLY_BY_SOURCE 1u
#define SL_FRONT_DISPLACED4 2u /* the IPv4 addresses are too many for one multiplier */
#define SL_FRONT_DISPLACED6 4u

/* Of sl_front.fragments: what becomes of fragments for a VIP. */
enum sl_fragments {
	SL_FRAGMENTS_PASS,
	SL_FRAGMENTS_DROP,
	SL_FRAGMENTS_REASSEMBLE,
};

/* Which clients may reach the VIPs. */
enum sl_access_action {
	SL_ACCESS_ALLOW,
	SL_ACCESS_DENY,
};

/* Keys of the access lists: bits of the prefix that count, and the address in network order. */
struct sl_prefix4 {
	__u32 length;
	__be32 address;
};

struct sl_prefix6 {
	__u32 length;
	__u32 address[4];
};

struct sl_access {
	__u32 on;        /* 0: nobody is asked for */
	__u32 list;      /* which of the two tables of a family counts */
	__u32 otherwise; /* enum sl_access_action: for clients that no entry holds */
	__u32 entries;   /* both families together */
	__u64 digest;    /* of the entries, for the daemon to know them again */
};

/* Among how many backends the least loaded, or one that may have another flow, is found by looking at all of them. */
#define SL_EXACT_MEMBERS 16 /* a power of two */

/* The backends of a service whose flows count, over and over; zeros where they are too many. */
struct sl_members {
	__u16 id[SL_EXACT_MEMBERS];
};

/* Everything that says which packets are ours. Two of them exist; the idle one is filled, then `active` changes. */
struct sl_front {
	__u64 multiplier4, multiplier6;
	__u64 flags;
	__u64 displaced_multiplier4, displaced_multiplier6, displaced_service_multiplier;
	__u16 displacement4[1 << SL_DISPLACEMENT_BITS];
	__u16 displacement6[1 << SL_DISPLACEMENT_BITS];
	__u16 service_displacement[1 << SL_DISPLACEMENT_BITS];
	__u64 fragments; /* enum sl_fragments */
	struct sl_access access;
	struct sl_rate limit; /* of all services together */
	__u32 batch;          /* packets that a CPU takes from the bucket at once */
	__u32 excess;         /* enum sl_excess; of backends' limits too */
	__u32 mark;
	__u32 pad2;
	__u64 pad;
	struct sl_idle idle;
	struct sl_address4 address4[1 << SL_ADDRESS_BITS];
	struct sl_address6 address6[1 << SL_ADDRESS_BITS];
	struct sl_service service[1 << SL_SERVICE_BITS];
	struct sl_range range[SL_MAX_SERVICES];
	struct sl_members members[SL_MAX_SERVICES]; /* by service id */
	struct sl_quic_servers quic;
};

/* One multiplier is enough for few keys, and cheapest: with key = the IPv4 word, or sl_fold6(high, low). */
static inline __attribute__((always_inline)) __u64 sl_place(__u64 key, __u64 multiplier, int bits)
{
	return (key * multiplier) >> (64 - bits);
}

/* Hash and displace takes as many keys as there are places for: key likewise, or the service key. */
static inline __attribute__((always_inline)) __u64 sl_displaced_place(__u64 key, __u64 multiplier,
								      const __u16 *displacement, int bits)
{
	__u64 x = key * multiplier;

	x = (x ^ displacement[x >> (64 - SL_DISPLACEMENT_BITS)]) * SL_DISPLACEMENT_MULTIPLIER;
	return x >> (64 - bits);
}

/* The place of a displaced service. */
static inline __attribute__((always_inline)) __u64 sl_displaced_service(__u64 key, __u64 multiplier,
									const __u16 *displacement)
{
	return (1 << (SL_SERVICE_BITS - 1)) |
	       sl_displaced_place(key, multiplier, displacement, SL_SERVICE_BITS - 1);
}

/* The place of the service with this SL_PORT_KEY. */
static inline __attribute__((always_inline)) __u64 sl_service_place(__u32 port_key, const struct sl_services *services)
{
	return services->base + ((__u64)(__u32)(port_key * services->multiplier) >> (services->shift & 63));
}

/* What an address has for the ports without a service of their own: two places before its others, for TCP and UDP. */
static inline __attribute__((always_inline)) __u64 sl_rest_place(__u8 protocol, const struct sl_services *services)
{
	return services->base - (protocol == 17 ? 2 : 1);
}

SL_ASSERT(sizeof(struct sl_address4) == 16, "sl_address4");
SL_ASSERT(sizeof(struct sl_address6) == 32, "sl_address6");
SL_ASSERT(sizeof(struct sl_service) == 64, "sl_service");

SL_ASSERT(sizeof(struct sl_front) % 64 == 0, "sl_front");

SL_ASSERT(__builtin_offsetof(struct sl_front, service) % 64 == 0, "services start on a cache line");

#endif
