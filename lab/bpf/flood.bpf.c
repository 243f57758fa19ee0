// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* A flood of numbered packets, and the other end of it, which writes down every number that comes. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#include "flood.h"

struct flood flood SEC(".bss.flood");
struct flood_arrived arrived SEC(".bss.arrived");
__u64 seen[FLOOD_NUMBERS / 64] SEC(".bss.seen");

#define AT(pointer, offset, T) (*(T *)((void *)(pointer) + (offset)))
#define READ(word) (*(volatile typeof(word) *)&(word))

/* Live frames come back as they were left: the whole frame is written anew. While the window is full no frame leaves, so
 * that what is lost is lost by a program and not by a full queue. */
SEC("xdp")
int flood_send(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	__u64 sent = flood.sent;

	if (sent >= flood.last)
		return XDP_DROP;
	if (sent - READ(arrived.packets) >= flood.window) {
		flood.held++;
		return XDP_DROP;
	}
	if (data + 64 > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	for (int i = 0; i < 64; i += 8)
		AT(data, i, __u64) = AT(flood.frame, i, __u64);
	/* Two services by turns, at ports next to each other, and 4,096 flows. */
	AT(data, 34, __be16) = bpf_htons(16384 + ((sent >> 1) & 0xfff));
	AT(data, 36, __be16) = bpf_htons(bpf_ntohs(AT(flood.frame, 36, __be16)) + (sent & 1));
	AT(data, FLOOD_NUMBER_AT, __u32) = (__u32)sent;
	flood.sent = sent + 1;
	return (int)bpf_redirect(flood.interface, 0);
}

/* The flood's packets end here, with or without an outer header; the rest goes to the kernel. */
SEC("xdp")
int flood_receive(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (data + FLOOD_FRAME > end || AT(data, 12, __be16) != bpf_htons(0x0800))
		return XDP_PASS;
	if (AT(data, 23, __u8) == 4) {
		data += 20;
		if (data + FLOOD_FRAME > end)
			return XDP_PASS;
	}
	if (AT(data, 23, __u8) != 17)
		return XDP_PASS;
	__u32 number = AT(data, FLOOD_NUMBER_AT, __u32);

	if (number >= FLOOD_NUMBERS || number >= READ(flood.sent)) {
		__sync_fetch_and_add(&arrived.strange, 1);
		return XDP_DROP;
	}
	__u64 bit = 1ull << (number & 63);

	if (__sync_fetch_and_or(&seen[(number / 64) & (FLOOD_NUMBERS / 64 - 1)], bit) & bit)
		__sync_fetch_and_add(&arrived.again, 1);
	else
		__sync_fetch_and_add(&arrived.packets, 1);
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
