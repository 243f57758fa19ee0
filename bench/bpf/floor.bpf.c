// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Floors: programs that do a known part of a balancer's work and no more. What Sluice costs is shown beside them. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#define SLOTS 65537
#define TARGETS 4096
#define AT(pointer, offset, T) (*(T *)((void *)(pointer) + (offset)))

struct target {
	__be32 address;
	__u8 mac[8];
};
struct counter {
	__u64 packets, bytes;
};

__u32 table[SLOTS + 1] SEC(".bss.table");
struct target targets[TARGETS] SEC(".bss.targets");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct counter);
	__uint(max_entries, TARGETS);
} counters SEC(".maps");

/* For veth: what has arrived, by CPU. */
__u64 arrived[64][8] SEC(".bss.arrived");

/* For veth: the least that can be done with a packet. It counts, as nothing comes back of it. */
SEC("xdp")
int floor_drop(struct xdp_md *ctx)
{
	(void)ctx;
	arrived[bpf_get_smp_processor_id() & 63][0]++;
	return XDP_DROP;
}

/* Nothing. */
SEC("xdp")
int floor_tx(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_TX;
}

/* The least that can be called forwarding: the MACs change places. */
SEC("xdp")
int floor_swap(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;

	if (data + 54 > (void *)(long)ctx->data_end || AT(data, 12, __be16) != bpf_htons(0x0800) ||
	    AT(data, 23, __u8) != 6)
		return XDP_PASS;
	__u64 first = AT(data, 0, __u64);
	__u32 last = AT(data, 8, __u32);

	AT(data, 0, __u32) = (__u32)(first >> 48) | last << 16;
	AT(data, 4, __u16) = (__u16)(last >> 16);
	AT(data, 6, __u32) = (__u32)first;
	AT(data, 10, __u16) = (__u16)(first >> 32);
	return XDP_TX;
}

/* A balancer without any state: hash of the flow, slot, outer IPv4 header, three counters. It knows one port and IPv4 without
 * options only. */
SEC("xdp")
int floor_stateless(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;

	if (data + 54 > (void *)(long)ctx->data_end)
		return XDP_DROP;
	if (AT(data, 12, __be16) != bpf_htons(0x0800) || AT(data, 14, __u8) != 0x45 ||
	    (AT(data, 20, __be16) & bpf_htons(0x3fff)) || AT(data, 23, __u8) != 6 ||
	    AT(data, 36, __be16) != bpf_htons(80))
		return XDP_PASS;
	__u32 source = AT(data, 26, __u32), ports = AT(data, 34, __u32);
	__u64 h = (__u64)source << 32 | ports;

	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdULL;
	h ^= h >> 33;
	h *= 0xc4ceb9fe1a85ec53ULL;
	h ^= h >> 33;
	__u32 slot = ((h & 0xffffffff) * SLOTS) >> 32;
	__u32 id = table[slot < SLOTS ? slot : 0] & (TARGETS - 1);
	struct target *target = &targets[id];
	__u16 length = bpf_ntohs(AT(data, 16, __be16)) + 20;

#pragma unroll
	for (int i = 0; i < 3; i++) {
		__u32 key = i == 2 ? id : i;
		struct counter *counter = bpf_map_lookup_elem(&counters, &key);

		if (!counter)
			return XDP_DROP;
		counter->packets++;
		counter->bytes += length;
	}
	if (bpf_xdp_adjust_head(ctx, -20))
		return XDP_DROP;
	data = (void *)(long)ctx->data;
	if (data + 54 > (void *)(long)ctx->data_end)
		return XDP_DROP;
	/* Our MAC was the destination of the frame that now stands 20 bytes further on. */
	AT(data, 6, __u32) = AT(data, 20, __u32);
	AT(data, 10, __u16) = AT(data, 24, __u16);
	AT(data, 0, __u32) = AT(target->mac, 0, __u32);
	AT(data, 4, __u16) = AT(target->mac, 4, __u16);
	AT(data, 12, __be16) = bpf_htons(0x0800);
	AT(data, 14, __u16) = 0x0045;
	AT(data, 16, __be16) = bpf_htons(length);
	AT(data, 18, __u32) = 0x00400000;
	AT(data, 22, __u16) = 0x0440;
	AT(data, 24, __u16) = 0;
	AT(data, 26, __u32) = bpf_htonl(0xac100000) | ((source ^ (ports << 16)) & 0xffff0000);
	AT(data, 30, __u32) = target->address;
	__u32 sum = 0;

#pragma unroll
	for (int i = 0; i < 20; i += 2)
		sum += AT(data, 14 + i, __u16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	AT(data, 24, __u16) = (__u16)~sum;
	return XDP_TX;
}

/* For veth: the far end, which counts what comes back. */
SEC("xdp")
int sink(struct xdp_md *ctx)
{
	(void)ctx;
	arrived[bpf_get_smp_processor_id() & 63][0]++;
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
