/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Ways: how replies get back to clients. A flow remembers by which router its packets came; the routers are few. */
#ifndef SLUICE_WAYS_H
#define SLUICE_WAYS_H

struct sl_way ways[SL_WAYS] SEC(".bss.ways");

stage int is_way(const struct sl_way *way, const void *data)
{
	return AT(way->ethernet, 0, __u64) == AT(data, 0, __u64) && AT(way->ethernet, 8, __u32) == AT(data, 8, __u32) &&
	       way->interface == interface_slot;
}

/* The index of the way that this frame came by; 0 where there are too many. */
separate __u32 way_of(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	__u32 first;

	if (data + ETHERNET > (void *)(long)ctx->data_end)
		return 0;
	first = (__u32)sl_mix(AT(data, 0, __u64) ^ AT(data, 8, __u32) << 3 ^ interface_slot);
	for (__u32 i = 0; i < 16; i++) {
		__u32 index = (first + i) & (SL_WAYS - 1);
		struct sl_way *way = &ways[index];
		__u32 seen = READ(way->seen), now = control.epoch | 1;

		if (!index)
			continue;
		if (seen && is_way(way, data)) {
			way->seen = now;
			return index;
		}
		/* One that nobody has used for as long as any flow lives is free again. */
		if ((seen && now - seen < SL_WAY_IDLE) || __sync_val_compare_and_swap(&way->seen, seen, now) != seen)
			continue;
		AT(way->ethernet, 0, __u64) = AT(data, 0, __u64);
		AT(way->ethernet, 8, __u32) = AT(data, 8, __u32);
		way->interface = interface_slot;
		return index;
	}
	return 0;
}

/* Where the table of ways was too small: the kernel's route and neighbour. GO_ON, or an end. */
separate int ask_kernel(struct xdp_md *ctx, __be32 client, __u32 *interface)
{
	struct bpf_fib_lookup way = {.family = 2 /* AF_INET */, .ipv4_dst = client, .ifindex = ctx->ingress_ifindex};

	if (!interface || bpf_fib_lookup(ctx, &way, sizeof(way), 0) != BPF_FIB_LKUP_RET_SUCCESS)
		return DROP(UNRESOLVED);
	void *data = (void *)(long)ctx->data;

	if (data + ETHERNET > (void *)(long)ctx->data_end)
		return BUG;
	__builtin_memcpy(data, way.dmac, 6);
	__builtin_memcpy(data + 6, way.smac, 6);
	for (__u32 i = 0; i < SL_MAX_INTERFACES; i++)
		if (control.interfaces[i] == way.ifindex) {
			*interface = i;
			return GO_ON;
		}
	return DROP(UNRESOLVED);
}

#endif
