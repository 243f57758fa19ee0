/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Too big: a packet that does not fit the way to its backend. Its sender is told what fits, so that he sends less (path MTU
 * discovery: RFC 1191, RFC 8201). The answer is made from the packet itself, comes from the VIP and goes back the way that
 * the packet came.
 */
#ifndef SLUICE_TOO_BIG_H
#define SLUICE_TOO_BIG_H

#define IPV6_LEAST_MTU 1280 /* RFC 8200, section 5 */

/* How much of the packet is quoted: as much as leaves an answer of 576 bytes (RFC 1812, section 4.3.2.3), or of 1280 (RFC 4443,
 * section 2.4). Lengths are constants, so that the verifier and the sum need no loop over a length. Of an IPv4 packet that is
 * shorter, or of which a driver has put less into the first of several buffers, the longest header and the eight bytes behind
 * it. */
#define QUOTE4 (576 - 28)
#define QUOTE4_SHORT (60 + 8)
#define QUOTE6 (IPV6_LEAST_MTU - 48)

#define DONT_FRAGMENT bpf_htons(0x4000)
#define IPV4_OFFSET bpf_htons(0x1fff)

/* The sum of `size` bytes, a constant and a multiple of four. bpf_csum_diff takes no more than 512 at once on Linux 6.1. */
stage __u32 add_bytes(void *at, __u32 size, __u32 sum)
{
#pragma unroll
	for (__u32 done = 0; done < size; done += 512)
		sum = bpf_csum_diff(0, 0, at + done, size - done < 512 ? size - done : 512, sum);
	return sum;
}

/* Is there something left of what this CPU may say in a second? */
stage int may_tell(struct sl_stats *stats)
{
	move_epoch();
	if (stats->told_epoch != control.epoch) {
		stats->told_epoch = control.epoch;
		stats->told = 0;
	}
	if (stats->told >= SL_TOLD_A_SECOND)
		return 0;
	stats->told++;
	return 1;
}

/* Leaves `quote` bytes of the packet and puts `by` bytes between them and Ethernet, which is turned round. GO_ON, or an end. */
stage int make_answer(struct xdp_md *ctx, __u32 l3, __u32 by, __u32 quote)
{
	void *data = (void *)(long)ctx->data;

	if (data + ETHERNET > (void *)(long)ctx->data_end)
		return BUG;
	__u64 first = AT(data, 0, __u64);
	__u32 rest = AT(data, 8, __u32);
	int end = grow(ctx, l3, by);

	if (end != GO_ON)
		return end;
	if (bpf_xdp_adjust_tail(ctx, (int)(l3 + by + quote - bpf_xdp_get_buff_len(ctx))))
		return BUG;
	data = (void *)(long)ctx->data;
	if (data + ETHERNET > (void *)(long)ctx->data_end)
		return BUG;
	write_turned(data, first, rest);
	return GO_ON;
}

/* "Fragmentation needed" (RFC 792 and 1191) with this much quoted. Returns the packet's end. */
stage int answer4(struct xdp_md *ctx, __u32 l3, __u32 source, __u32 destination, __u32 room, __u32 quote)
{
	int end = make_answer(ctx, l3, 28, quote);

	if (end != GO_ON)
		return end;
	void *ip = ip_behind_tags((void *)(long)ctx->data, l3), *icmp = ip + 20;

	if (icmp + ICMP_HEADER + quote > (void *)(long)ctx->data_end)
		return BUG;
	AT(ip, -2, __u16) = ETH_IPV4;
	AT(ip, 0, __u32) = 0xc045 | bpf_htons(28 + quote) << 16; /* precedence of what keeps the net going (RFC 1812) */
	AT(ip, 4, __u32) = 0x00400000;
	AT(ip, 8, __u32) = SL_OUTER_TTL | ICMP << 8;
	AT(ip, 12, __u32) = destination;
	AT(ip, 16, __u32) = source;
	AT(ip, 10, __u16) = ~fold(add_bytes(ip, 20, 0));
	AT(icmp, 0, __u32) = ICMP_UNREACHABLE | ICMP_FRAGMENTATION_NEEDED << 8;
	AT(icmp, 4, __u32) = (__u32)bpf_htons(room) << 16;
	AT(icmp, 2, __u16) = ~fold(add_bytes(icmp, ICMP_HEADER + quote, 0));
	return END(XDP_TX, SL_REASON_TOO_BIG_TOLD);
}

/* Only who forbade us to cut it up hears of it; we cut nothing up. Never of a later fragment: nobody there would know whose
 * it is. Returns the packet's end. */
stage int tell4(struct xdp_md *ctx, struct sl_stats *stats, __u32 l3, __u32 room)
{
	void *data = (void *)(long)ctx->data, *ip = ip_behind_tags(data, l3);

	if (data + ETHERNET > (void *)(long)ctx->data_end || ip + 20 > (void *)(long)ctx->data_end)
		return BUG;
	__u32 source = AT(ip, 12, __u32), destination = AT(ip, 16, __u32), length = bpf_ntohs(AT(ip, 2, __be16));

	if ((AT(ip, 6, __be16) & (DONT_FRAGMENT | IPV4_OFFSET)) != DONT_FRAGMENT || length < QUOTE4_SHORT ||
	    ip + QUOTE4_SHORT > (void *)(long)ctx->data_end || !may_answer(data, ip, 0) || !may_tell(stats))
		return DROP(TOO_BIG);
	if (length < QUOTE4 || ip + QUOTE4 > (void *)(long)ctx->data_end)
		return answer4(ctx, l3, source, destination, room, QUOTE4_SHORT);
	return answer4(ctx, l3, source, destination, room, QUOTE4);
}

/* "Packet too big" (RFC 4443, section 3.2). Nobody sends less than 1280 bytes because of it (RFC 8201, section 4), so less is
 * never said, and nothing to whoever sends no more than that: such a way carries IPv6 only in part. Returns the packet's end. */
stage int tell6(struct xdp_md *ctx, struct sl_stats *stats, __u32 l3, __u32 room)
{
	void *data = (void *)(long)ctx->data, *ip = ip_behind_tags(data, l3);

	if (data + ETHERNET > (void *)(long)ctx->data_end || ip + 40 > (void *)(long)ctx->data_end)
		return BUG;
	if (bpf_ntohs(AT(ip, 4, __be16)) + 40u <= IPV6_LEAST_MTU || ip + QUOTE6 > (void *)(long)ctx->data_end ||
	    !may_answer(data, ip, 1) || !may_tell(stats))
		return DROP(TOO_BIG);
	int end = make_answer(ctx, l3, 48, QUOTE6);

	if (end != GO_ON)
		return end;
	ip = ip_behind_tags((void *)(long)ctx->data, l3);
	void *icmp = ip + 40, *quoted = icmp + ICMP_HEADER;

	if (quoted + QUOTE6 > (void *)(long)ctx->data_end)
		return BUG;
	AT(ip, -2, __u16) = ETH_IPV6;
	AT(ip, 0, __u32) = 0x60;
	AT(ip, 4, __u32) = bpf_htons(ICMP_HEADER + QUOTE6) | (ICMPV6 | SL_OUTER_TTL << 8) << 16;
	AT(ip, 8, __u64) = AT(quoted, 24, __u64);
	AT(ip, 16, __u64) = AT(quoted, 32, __u64);
	AT(ip, 24, __u64) = AT(quoted, 8, __u64);
	AT(ip, 32, __u64) = AT(quoted, 16, __u64);
	AT(icmp, 0, __u32) = ICMPV6_TOO_BIG;
	AT(icmp, 4, __u32) = bpf_htonl(room < IPV6_LEAST_MTU ? IPV6_LEAST_MTU : room);
	/* The pseudo-header: both addresses, which stand before the message, its length and its protocol. */
	AT(icmp, 2, __u16) = ~fold((__u64)add_bytes(ip + 8, 32 + ICMP_HEADER + QUOTE6, 0) +
				   bpf_htons(ICMP_HEADER + QUOTE6) + bpf_htons(ICMPV6));
	return END(XDP_TX, SL_REASON_TOO_BIG_TOLD);
}

separate int refuse(struct xdp_md *ctx, __u32 backend_id, __u32 l3, __u32 protocol)
{
	struct sl_backend *backend = bpf_map_lookup_elem(&backend_pool, &backend_id);
	struct sl_stats *stats = my_stats();
	int end = refusal(backend);

	/* Errors are never answered by errors, or two hosts could keep each other busy (RFC 1122, RFC 4443). */
	if (end != DROP(TOO_BIG) || is_icmp(protocol) || !stats || !backend)
		return end;
	void *ip = ip_behind_tags((void *)(long)ctx->data, l3);

	if (ip + 20 > (void *)(long)ctx->data_end)
		return BUG;
	__u32 room = sl_room(backend);

	return AT(ip, 0, __u8) >> 4 == 6 ? tell6(ctx, stats, l3, room) : tell4(ctx, stats, l3, room);
}

#endif
