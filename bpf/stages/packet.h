/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* What the stages tell each other about a packet, and how one of them ends its way. */
#ifndef SLUICE_PACKET_H
#define SLUICE_PACKET_H

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define stage static __always_inline

/* A function that the verifier checks once, for whatever it may be given, and not anew for each call: of those that have
 * loops. It may not rely on what its caller knows. */
#define separate __attribute__((noinline))

/* Before a loop: as it stands, for its copies would fill the stack. */
#define rolled _Pragma("clang loop unroll(disable)")

/* Hides a value's origin from the compiler, so that it does not move a bound check away from the use that the verifier
 * wants it beside. */
#define opaque(x) asm volatile("" : "+r"(x))

/* A load or store of type T at an offset: packets and cache lines are read in words of the best size. */
#define AT(pointer, offset, T) (*(T *)((void *)(pointer) + (offset)))

/* A word that another CPU may be writing: the compiler must not read it twice or somewhere else. */
#define READ(word) (*(volatile typeof(word) *)&(word))

#define TCP 6
#define UDP 17
#define ICMP 1
#define ICMPV6 58

#define ICMP_HEADER 8
#define ICMP_UNREACHABLE 3 /* types, and a code */
#define ICMP_FRAGMENTATION_NEEDED 4
#define ICMP_ECHO_REPLY 0
#define ICMP_ECHO_REQUEST 8
#define ICMPV6_TOO_BIG 2
#define ICMPV6_ECHO_REQUEST 128
#define ICMPV6_ECHO_REPLY 129

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#define ETHERNET 14
#define ETH_IPV4 0x0008 /* ethertypes as they are loaded on a little-endian machine */
#define ETH_IPV6 0xdd86
#define ETH_VLAN 0x0081
#define ETH_QINQ 0xa888

/* Where a packet's way ends: the XDP action and the reason for it, in one word. */
#define END(action, reason) (((action) << 8) | (reason))
#define GO_ON (-1)
#define PASS(reason) END(XDP_PASS, SL_REASON_##reason)
#define DROP(reason) END(XDP_DROP, SL_REASON_##reason)
#define ABORT(reason) END(XDP_ABORTED, SL_REASON_##reason)
#define BUG ABORT(BUG)

stage int is_icmp(__u8 protocol)
{
	return protocol == ICMP || protocol == ICMPV6;
}

/* A client's first packet: SYN without ACK. */
stage int opens(__u8 tcp_flags)
{
	return (tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

/* Numbers only: a function that is checked by itself may be given it. */
struct packet {
	__u64 hash;        /* of the flow; for a client's packet only */
	__u64 client;      /* what stands for the client in keys; unless it is an ICMP error's, known only to those who track flows */
	__u32 service;     /* id; 0: a backend's reply */
	__u32 flags;       /* SL_SERVICE_* */
	__u32 base, slots; /* the table of the service's pool */
	__u32 holders;
	__u32 ports_mask;  /* of the ports, what counts for the hash */
	__u32 ports;       /* source in the low half, destination in the high half, as loaded */
	__u32 ip_length;   /* of the IP packet, header included */
	__u32 bytes;       /* of the frame as it came in */
	__u32 named;       /* backend that its QUIC server id names, where a new flow is to have one; 0: none */
	__u8 l3, l4;       /* offsets in the frame */
	__u8 protocol;
	__u8 ipv6;
	__u8 tcp_flags; /* 0 for UDP */
	__u8 fragment;  /* offset of the header that says it is one, where fragments are followed; 0: it is whole */
	__u8 reply4;    /* a reply whose flow is in the table of IPv4 flows */
	__u8 quoted_protocol; /* of the packet that an ICMP error is about */
	__u16 quoted;         /* and where its ports are */
};

/* The IP header of a frame where it is not known how many tags there are. The verifier sees that it does not start before
 * Ethernet ends; a bound of it says nothing about `data`. */
stage void *ip_behind_tags(void *data, __u32 l3)
{
	__u32 tags = l3 - ETHERNET;

	opaque(tags);
	void *ip = data + ETHERNET + (tags & 12);

	opaque(ip);
	return ip;
}

/* Where the IP header starts: behind none, one or two tags; and so that it has this length before the end. NULL if not. */
stage void *ip_header(void *data, void *end, __u32 l3, int length)
{
	if (l3 == ETHERNET)
		return data + ETHERNET + length > end ? 0 : data + ETHERNET;
	if (data + ETHERNET + 8 > end)
		return 0;
	void *ip = ip_behind_tags(data, l3);

	return ip + length > end ? 0 : ip;
}

#endif
