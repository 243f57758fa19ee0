/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Access: which clients may reach the VIPs at all. The longest prefix that holds the source decides. Nobody asks while there
 * is no list: services of a front with lists carry SL_SERVICE_GUARDED, and the fast paths look at a service's flags anyway.
 */
#ifndef SLUICE_ACCESS_H
#define SLUICE_ACCESS_H

#define ACCESS_LIST(family, number)                                        \
	struct {                                                           \
		__uint(type, BPF_MAP_TYPE_LPM_TRIE);                       \
		__uint(max_entries, SL_MAX_ACCESS_ENTRIES);                \
		__uint(map_flags, BPF_F_NO_PREALLOC);                      \
		__type(key, struct sl_prefix##family);                     \
		__type(value, __u32);                                      \
	} access##family##_##number SEC(".maps")

/* Two of each family: the front says which one counts, the other one is being filled or is empty. */
ACCESS_LIST(4, 0);
ACCESS_LIST(4, 1);
ACCESS_LIST(6, 0);
ACCESS_LIST(6, 1);

stage int denies(const struct sl_front *front, const __u32 *action)
{
	return (action ? *action : front->access.otherwise) == SL_ACCESS_DENY;
}

separate int is_denied4(__u32 source)
{
	struct sl_front *front = active_front();
	struct sl_prefix4 key = {32, source};

	return denies(front, front->access.list & 1 ? bpf_map_lookup_elem(&access4_1, &key) :
						      bpf_map_lookup_elem(&access4_0, &key));
}

separate int is_denied6(__u64 high, __u64 low)
{
	struct sl_front *front = active_front();
	struct sl_prefix6 key = {.length = 128};

	__builtin_memcpy(key.address, &high, 8);
	__builtin_memcpy(key.address + 2, &low, 8);
	return denies(front, front->access.list & 1 ? bpf_map_lookup_elem(&access6_1, &key) :
						      bpf_map_lookup_elem(&access6_0, &key));
}

/* GO_ON for a packet of the fast paths whose source may reach a service, or its end. */
separate int check_source(struct xdp_md *ctx, int ipv6)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	int denied;

	if (ipv6) {
		if (data + ETHERNET + 40 > end)
			return BUG;
		denied = is_denied6(AT(data, ETHERNET + 8, __u64), AT(data, ETHERNET + 16, __u64));
	} else {
		if (data + ETHERNET + 20 > end)
			return BUG;
		denied = is_denied4(AT(data, ETHERNET + 12, __u32));
	}
	return denied ? DROP(DENIED) : GO_ON;
}

#endif
