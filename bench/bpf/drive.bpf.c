// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Drives another XDP program packet by packet. BPF_PROG_TEST_RUN does not restore the packet between repeats, so a program
 * that encapsulates would be timed on its own output: the driver restores length and bytes, stamps the next flow, and
 * tail-calls the program under test. With no program there it returns XDP_TX: that run is the driver's own cost.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#include "drive.h"

struct drive drive SEC(".bss.drive");
struct drive_flow listed[DRIVE_LISTED] SEC(".bss.listed");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} under_test SEC(".maps");

#define AT(pointer, offset, T) (*(T *)((void *)(pointer) + (offset)))

/* The number of the next flow. The walk (a linear congruential generator of full period) meets every flow once before any
 * one twice, in an order that no prefetcher follows. */
static __always_inline __u32 next_flow(void)
{
	__u32 walk = drive.walk * 1664525u + 1013904223u;

	drive.walk = walk;
	return (walk >> 4) & drive.flow_mask;
}

/* The next flow: a client of 10.64.0.0/10, or one of the list. */
static __always_inline struct drive_flow next_flow_words(__u32 ports, const int from_list)
{
	__u32 flow = next_flow();

	if (from_list)
		return listed[flow & (DRIVE_LISTED - 1)];
	return (struct drive_flow){
		.source = bpf_htonl(0x0a400000u + (flow >> 14)),
		.ports = (ports & 0xffff0000) | bpf_htons(1024 + (flow & 0x3fff)),
	};
}

/* Brings the frame to its length and says where it starts; NULL if that cannot be done. */
static __always_inline void *resize(struct xdp_md *ctx, const int length)
{
	if (bpf_xdp_adjust_head(ctx, (int)((long)ctx->data_end - (long)ctx->data) - length))
		return 0;
	void *data = (void *)(long)ctx->data;

	return data + length <= (void *)(long)ctx->data_end ? data : 0;
}

#define COPY(T, at) (AT(data, at, T) = AT(drive.frame, at, T))

/* The frame is written field by field: a load that reaches over two stores that are still on their way would wait for them,
 * which no packet from a card does. */
static __always_inline int restore_ipv4(struct xdp_md *ctx, const int from_list)
{
	void *data = resize(ctx, 64);

	if (!data)
		return -1;
	struct drive_flow flow = next_flow_words(AT(drive.frame, 34, __u32), from_list);

	COPY(__u64, 0);
	COPY(__u32, 8);
	COPY(__u32, 12); /* ethertype, version, TOS */
	COPY(__u16, 16);
	COPY(__u16, 18);
	COPY(__u16, 20);
	COPY(__u16, 22); /* TTL, protocol */
	COPY(__u16, 24);
	AT(data, 26, __u32) = flow.source;
	COPY(__u32, 30);
	AT(data, 34, __u32) = flow.ports;
	COPY(__u64, 38);
	COPY(__u16, 46);
	COPY(__u64, 48);
	COPY(__u64, 56);
	return 0;
}

static __always_inline int restore_ipv6(struct xdp_md *ctx, const int from_list)
{
	void *data = resize(ctx, 80);

	if (!data)
		return -1;
	struct drive_flow flow = next_flow_words(AT(drive.frame, 54, __u32), from_list);

	COPY(__u64, 0);
	COPY(__u32, 8);
	COPY(__u32, 12);
	COPY(__u16, 16);
	COPY(__u16, 18);
	COPY(__u16, 20); /* next header, hop limit */
	COPY(__u64, 22);
	AT(data, 30, __u64) = AT(drive.frame, 30, __u32) | (__u64)flow.source << 32;
	COPY(__u64, 38);
	COPY(__u64, 46);
	AT(data, 54, __u32) = flow.ports;
	COPY(__u64, 58);
	COPY(__u16, 66);
	COPY(__u64, 68);
	COPY(__u32, 76);
	return 0;
}

#define DRIVER(name, restore, from_list)                                                                               \
	SEC("xdp")                                                                                                     \
	int name(struct xdp_md *ctx)                                                                                   \
	{                                                                                                              \
		if (restore(ctx, from_list))                                                                           \
			return XDP_ABORTED;                                                                            \
		bpf_tail_call(ctx, &under_test, 0);                                                                    \
		return XDP_TX;                                                                                         \
	}

DRIVER(drive_ipv4, restore_ipv4, 0)
DRIVER(drive_ipv6, restore_ipv6, 0)
DRIVER(drive_listed_ipv4, restore_ipv4, 1)
DRIVER(drive_listed_ipv6, restore_ipv6, 1)

/* Waits until the next burst is due. Who comes more than a millisecond late does not catch up: a burst at full speed would fill
 * queues that the wanted rate does not. */
static __always_inline void pace(void)
{
	__u64 now = bpf_ktime_get_ns();

	if (drive.due && now < drive.due + 1000000) {
		for (int i = 0; i < 4096 && now < drive.due; i++)
			now = bpf_ktime_get_ns();
	} else {
		drive.due = now;
	}
	drive.due += (__u64)drive.interval * DRIVE_BURST;
	drive.burst = DRIVE_BURST - 1;
}

/* Live frames (BPF_F_TEST_XDP_LIVE_FRAMES) come back with what was done to them: the whole frame is written anew and sent
 * out of an interface. */
SEC("xdp")
int generate(struct xdp_md *ctx)
{
	if (restore_ipv4(ctx, 0))
		return XDP_ABORTED;
	if (drive.interval) {
		if (drive.burst)
			drive.burst--;
		else
			pace();
	}
	return (int)bpf_redirect(drive.interface, 0);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
