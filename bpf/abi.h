/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The layouts that the BPF programs and the C++ loader share. This is their one definition: both sides include this
 * file and both assert the sizes below. Whoever changes a layout raises SL_ABI_VERSION, which is part of the pin path,
 * so that a daemon never reads maps of another shape.
 *
 * Addresses are 16 bytes in network order; IPv4 is written as the mapped form ::ffff:a.b.c.d in labels, and as
 * {a, 0, 0, 0} (one network-order word first) where the packet path compares words. Each field says which.
 */
#ifndef SLUICE_ABI_H
#define SLUICE_ABI_H

#include <linux/types.h>

#define SL_ABI_VERSION 4

#define SL_MAX_BACKENDS 4096   /* backend id 0 is never used: an empty slot names it */
#define SL_MAX_SERVICES 512    /* service id 0 is never used */
#define SL_MAX_POOLS 64
#define SL_MAX_INTERFACES 32   /* attached and way-out interfaces together; also the size of the devmap */
#define SL_MAX_FLOWS 262144    /* directions of nat flows */
#define SL_SLOT_ARENA (6u * 1024 * 1024) /* u32 slots: 24 MiB */
#define SL_NAME_LENGTH 64      /* of a pool's or service's name, with the closing zero */

#define SL_MAX_ACCESS_ENTRIES 100000 /* prefixes of clients that may or may not reach the VIPs */

#define SL_NAT_FIRST_PORT 20000
#define SL_NAT_LAST_PORT 31999

/* ---- which packets are ours: found by address first, then by port; perfect hashes made by the daemon, no collisions ---- */

#define SL_ADDRESS_BITS 10     /* places for addresses of one family */
#define SL_SERVICE_BITS 11     /* places for services; the upper half is for displaced ones */
#define SL_DISPLACEMENT_BITS 9 /* buckets of the displacement tables */
#define SL_DISPLACEMENT_MULTIPLIER 0xc2b2ae3d27d4eb4fULL

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

/* Between how many backends the least loaded is found by looking at all of them. */
#define SL_EXACT_MEMBERS 16 /* a power of two */

/* The backends of a service that goes by connections, over and over; zeros where they are too many. */
struct sl_members {
	__u16 id[SL_EXACT_MEMBERS];
};

/* ---- how many packets go through ----
 *
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
};

static inline __attribute__((always_inline)) __u64 sl_fold6(__u64 high, __u64 low)
{
	__u64 h = high * 0x9e3779b97f4a7c15ULL;

	h ^= h >> 32;
	h = (h ^ low) * 0xc2b2ae3d27d4eb4fULL;
	return h ^ (h >> 32);
}

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

/* The line that a key belongs to, of 1 << bits. */
static inline __attribute__((always_inline)) __u64 sl_flow_home(__u64 key, __u64 multiplier, int bits)
{
	return (key * multiplier) >> (64 - bits);
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

/* ---- where packets go ---- */

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

/* ---- how busy backends are ---- */

/* By backend id. A flow counts from its first packet until it has closed, or is forgotten. */
struct sl_load {
	__u32 active;
	__u32 limit;  /* flows that it may have; 0: any number */
	__u32 weight; /* never 0 where there is a backend */
	__u32 pad;
};

struct sl_loads {
	struct sl_load backend[SL_MAX_BACKENDS];
	__u32 cursor[SL_MAX_SERVICES]; /* whose turn it is, by service id */
};

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


/* ---- fragments: what became of the first one of a datagram ----
 *
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

/* ---- what became of packets ---- */

/* Verdicts are the kernel's XDP actions: 0 aborted, 1 drop, 2 pass, 3 tx, 4 redirect. */
#define SL_VERDICTS 8
#define SL_REASONS 32

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
	SL_REASON_BUG,                  /* a bound that the loader guarantees did not hold */
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

/* An entry of xdp_stats_map, one for each CPU: only that CPU writes to it, and the daemon reads it through mmap. */
struct sl_stats {
	struct sl_counter verdict[SL_MAX_INTERFACES][SL_VERDICTS][SL_REASONS];
	struct sl_traffic service[SL_MAX_SERVICES];
	struct sl_traffic backend[SL_MAX_BACKENDS];
	struct sl_learning learning;
	__u64 scratch[16]; /* what the packet path has no room for on its stack */
	__u64 slow[16];    /* likewise, a packet that is looked at slowly */
	__u32 told_epoch, told; /* how many senders were told in this epoch that a packet is too big */
	struct sl_allowance allowance;
	__u64 pad[6];
};

/* Answers that a packet is too big, per CPU and second: more would help nobody but who sends in another's name. */
#define SL_TOLD_A_SECOND 1000

/* ---- the daemon's words ---- */

struct sl_control {
	__u32 active; /* which front counts */
	__u32 epoch;  /* seconds of the monotonic clock; moved by the daemon, and by new flows while there is none */
	__u32 interfaces[SL_MAX_INTERFACES]; /* the ifindex behind each place in the devmap; 0: free */
	__u64 flow_multiplier; /* odd and random, made with the maps: which line a flow's key hashes to */
};

/* Labels: what the ids in the tables mean. Never read by packets; a new daemon adopts the running state from them. */
struct sl_backend_label {
	char pool[SL_NAME_LENGTH]; /* empty: free */
	__u8 address[16];          /* IPv4 mapped */
	__u16 port;                /* host order; 0: the service's */
	__u16 weight;
	__u32 ifindex;             /* of the way out; 0: unresolved */
};

struct sl_service_label {
	char name[SL_NAME_LENGTH]; /* empty: free */
	char pool[SL_NAME_LENGTH];
	__u8 address[16];          /* IPv4 mapped */
	__u16 port;                /* host order; 0: every port */
	__u8 protocol;             /* 6 or 17 */
	__u8 pad;
	__u16 port_end;            /* the last of a range; 0: one port */
	__u8 pad2[2];
};

struct sl_table_label {
	char pool[SL_NAME_LENGTH]; /* empty: free */
	__u32 base, slots;         /* its range in the arena */
	__u32 hash_functions;
	__u32 holders;             /* its slots' holders; SL_NO_SLOT: no slot is in transition */
	__u32 flags;               /* SL_SERVICE_*: what its services have from it */
	__u32 pad;
};

/* What a loaded program is: the kernel keeps its tag, but no version. */
struct sl_program_label {
	__u32 program; /* its id in the kernel; 0: free */
	char version[SL_NAME_LENGTH];
};
#define SL_PROGRAM_LABELS (4 * SL_MAX_INTERFACES) /* the running one and the one before, and as many while they change */

/* What an object says of itself before it is loaded, in a section of its own. The one struct here that may never change:
 * it is how a daemon knows an object of another layout. */
struct sl_identity {
	__u32 abi; /* SL_ABI_VERSION of its sources */
	char version[SL_NAME_LENGTH];
};
#define SL_IDENTITY_SECTION ".rodata.identity"

#ifdef __cplusplus
#define SL_ASSERT static_assert
#else
#define SL_ASSERT _Static_assert
#endif
SL_ASSERT(sizeof(struct sl_address4) == 16, "sl_address4");
SL_ASSERT(sizeof(struct sl_address6) == 32, "sl_address6");
SL_ASSERT(sizeof(struct sl_service) == 64, "sl_service");
SL_ASSERT(sizeof(struct sl_backend) == 64, "sl_backend");
SL_ASSERT(sizeof(struct sl_flow_key) == 40, "sl_flow_key");
SL_ASSERT(sizeof(struct sl_flow) == 64, "sl_flow");
SL_ASSERT(sizeof(struct sl_rate) == 24, "sl_rate");
SL_ASSERT(sizeof(struct sl_limit) == 64, "sl_limit");
SL_ASSERT(sizeof(struct sl_fragment_line) == 64, "sl_fragment_line");
SL_ASSERT(sizeof(struct sl_learning) == 64, "sl_learning");
SL_ASSERT(sizeof(struct sl_flow_line) == 64, "sl_flow_line");
SL_ASSERT(sizeof(struct sl_way) == 32, "sl_way");
SL_ASSERT(sizeof(struct sl_counter) == 16, "sl_counter");
SL_ASSERT(sizeof(struct sl_traffic) == 64, "sl_traffic");
SL_ASSERT(sizeof(struct sl_stats) % 64 == 0, "sl_stats");
SL_ASSERT(sizeof(struct sl_control) == 144, "sl_control");
SL_ASSERT(sizeof(struct sl_backend_label) == 88, "sl_backend_label");
SL_ASSERT(sizeof(struct sl_service_label) == 152, "sl_service_label");
SL_ASSERT(sizeof(struct sl_table_label) == 88, "sl_table_label");
SL_ASSERT(sizeof(struct sl_idle) == 64, "sl_idle");
SL_ASSERT(sizeof(struct sl_load) == 16, "sl_load");
SL_ASSERT(sizeof(struct sl_program_label) == 68, "sl_program_label");
SL_ASSERT(sizeof(struct sl_identity) == 68, "sl_identity");
SL_ASSERT(sizeof(struct sl_front) % 64 == 0, "sl_front");
SL_ASSERT(__builtin_offsetof(struct sl_front, service) % 64 == 0, "services start on a cache line");
SL_ASSERT((int)SL_REASON_COUNT <= SL_REASONS, "reasons fit their row");

#endif
