/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The packet path compiled for the host, and behind it the kernel that it needs: maps with the kernel's semantics, helpers,
 * and a frame with nothing readable behind its end.
 */
#define _GNU_SOURCE
#include <linux/types.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "xdp_lb.bpf.c"

#include "program.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#endif
#endif
#ifndef ASAN_POISON_MEMORY_REGION
#define ASAN_POISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#endif

#define PAGE 4096ul

/* ---- maps ---- */

static struct sl_backend backends[SL_MAX_BACKENDS];
static struct sl_stats stats_of_cpu;
static struct draft the_draft;
static unsigned char ports_present[SL_MAX_INTERFACES];

/* A list of prefixes, looked through from end to end: there are few. */
struct prefix {
	__u32 length;
	__u8 address[16];
	__u32 action;
};
struct prefixes {
	struct prefix at[64];
	unsigned count;
};
static struct prefixes access4, access6;

static int holds(const struct prefix *prefix, const __u8 *address)
{
	__u32 whole = prefix->length / 8, rest = prefix->length % 8;

	if (memcmp(prefix->address, address, whole))
		return 0;
	return !rest || !((prefix->address[whole] ^ address[whole]) & (0xff00 >> rest));
}

static void *longest_prefix(struct prefixes *prefixes, const __u8 *address)
{
	struct prefix *best = NULL;

	for (unsigned i = 0; i < prefixes->count; i++)
		if (holds(&prefixes->at[i], address) && (!best || prefixes->at[i].length > best->length))
			best = &prefixes->at[i];
	return best ? &best->action : NULL;
}

/*
 * nat_flows. As long as it is not full the kernel's LRU hash throws nothing out, and is a hash; whoever drives this must not
 * fill it. Deleted entries are not used again before host_forget, as RCU keeps readers from seeing them used.
 */
struct node {
	struct sl_flow_key key;
	struct sl_flow value;
	__u32 next;
};
#define BUCKETS (1u << 16)
static struct node nodes[SL_MAX_FLOWS + 1];
static __u32 buckets[BUCKETS], used_nodes;

static __u32 bucket_of_key(const struct sl_flow_key *key)
{
	__u64 h = 0, word;

	for (unsigned i = 0; i < sizeof(*key); i += 8) {
		memcpy(&word, (const char *)key + i, 8);
		h = (h ^ word) * 0x9e3779b97f4a7c15ULL;
		h ^= h >> 29;
	}
	return h >> 48;
}

/* The index that leads to a key's node; what it points to is 0 where there is none. */
static __u32 *find_node(const struct sl_flow_key *key)
{
	__u32 *at = &buckets[bucket_of_key(key)];

	while (*at && memcmp(&nodes[*at].key, key, sizeof(*key)))
		at = &nodes[*at].next;
	return at;
}

static inline void *bpf_map_lookup_elem(void *map, const void *key)
{
	if (map == &backend_pool)
		return *(const __u32 *)key < SL_MAX_BACKENDS ? &backends[*(const __u32 *)key] : NULL;
	if (map == &xdp_stats_map)
		return *(const __u32 *)key == 0 ? &stats_of_cpu : NULL;
	if (map == &drafts)
		return *(const __u32 *)key == 0 ? &the_draft : NULL;
	if (map == &nat_flows) {
		__u32 at = *find_node(key);

		return at ? &nodes[at].value : NULL;
	}
	if (map == &access4_0 || map == &access4_1)
		return longest_prefix(&access4, (const __u8 *)key + 4);
	if (map == &access6_0 || map == &access6_1)
		return longest_prefix(&access6, (const __u8 *)key + 4);
	abort();
}

static long bpf_map_update_elem(void *map, const void *key, const void *value, __u64 flags)
{
	if (map != &nat_flows || flags != BPF_NOEXIST)
		abort();
	__u32 *at = find_node(key);

	if (*at)
		return -EEXIST;
	if (used_nodes == SL_MAX_FLOWS)
		abort(); /* see above */
	*at = ++used_nodes;
	memcpy(&nodes[*at].key, key, sizeof(nodes->key));
	memcpy(&nodes[*at].value, value, sizeof(nodes->value));
	nodes[*at].next = 0;
	return 0;
}

static long bpf_map_delete_elem(void *map, const void *key)
{
	if (map != &nat_flows)
		abort();
	__u32 *at = find_node(key);

	if (!*at)
		return -2; /* ENOENT */
	*at = nodes[*at].next;
	return 0;
}

static long bpf_redirect_map(void *map, __u64 key, __u64 flags)
{
	if (map != &tx_ports)
		abort();
	return key < SL_MAX_INTERFACES && ports_present[key] ? XDP_REDIRECT : (long)(flags & 3);
}

/* ---- the frame: below 4 GiB, for struct xdp_md has room for no more; at its end a page that nobody may touch ---- */

static __u8 *frame_end; /* the guard page */
static __u8 *hard_start;

static long bpf_xdp_adjust_head(struct xdp_md *ctx, int delta)
{
	__u8 *data = (__u8 *)(long)ctx->data + delta;

	if (data < hard_start || data > (__u8 *)(long)ctx->data_end - ETHERNET)
		return -22; /* EINVAL */
	ASAN_POISON_MEMORY_REGION(frame_end - 2 * PAGE, data - (frame_end - 2 * PAGE));
	ASAN_UNPOISON_MEMORY_REGION(data, (__u8 *)(long)ctx->data_end - data);
	ctx->data = (__u32)(long)data;
	return 0;
}

static long bpf_xdp_adjust_tail(struct xdp_md *ctx, int delta)
{
	__u8 *end = (__u8 *)(long)ctx->data_end + delta;

	if (end > frame_end || end < (__u8 *)(long)ctx->data + ETHERNET)
		return -22;
	ASAN_POISON_MEMORY_REGION(end, frame_end - end);
	ctx->data_end = (__u32)(long)end;
	return 0;
}

/* Every frame here is in one buffer. */
static __u64 bpf_xdp_get_buff_len(struct xdp_md *ctx)
{
	return ctx->data_end - ctx->data;
}

/* The kernel gives at most 255 bytes, in words, and none once there is an outer header. */
static long bpf_xdp_adjust_meta(struct xdp_md *ctx, int delta)
{
	__u8 *meta = (__u8 *)(long)ctx->data_meta + delta, *data = (__u8 *)(long)ctx->data;

	if (meta < hard_start || meta > data)
		return -22;
	if ((data - meta) % 4 || data - meta > 252)
		return -13; /* EACCES */
	ASAN_UNPOISON_MEMORY_REGION(meta, data - meta);
	ctx->data_meta = (__u32)(long)meta;
	return 0;
}

static long bpf_xdp_load_bytes(struct xdp_md *ctx, __u32 offset, void *to, __u32 length)
{
	if (offset > 0xffff || length > 0xffff)
		return -14; /* EFAULT */
	if (offset + length > ctx->data_end - ctx->data)
		return -22;
	memcpy(to, (__u8 *)(long)ctx->data + offset, length);
	return 0;
}

/* ---- other helpers ---- */

static struct host_kernel_route route;

static long bpf_fib_lookup(void *ctx, struct bpf_fib_lookup *params, int size, __u32 flags)
{
	(void)ctx, (void)size, (void)flags;
	if (route.result == BPF_FIB_LKUP_RET_SUCCESS) {
		params->ifindex = route.ifindex;
		memcpy(params->dmac, route.destination, 6);
		memcpy(params->smac, route.source, 6);
	}
	return route.result;
}

static __s64 bpf_csum_diff(__be32 *from, __u32 from_size, __be32 *to, __u32 to_size, __wsum seed)
{
	__u64 sum = seed;

	if (from_size % 4 || to_size % 4)
		return -22;
	for (__u32 i = 0; i < from_size / 4; i++)
		sum += (__u32)~AT(from, 4 * i, __u32);
	for (__u32 i = 0; i < to_size / 4; i++)
		sum += AT(to, 4 * i, __u32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	return (__u32)(sum + (sum >> 32));
}

/* A kernel that has just started: whoever drives this moves the clock by control.epoch. */
static __u64 bpf_ktime_get_coarse_ns(void)
{
	return 1000000000;
}

static __u64 bpf_ktime_get_ns(void)
{
	return 1000000000;
}

/* The same numbers in every run (Marsaglia, Xorshift RNGs, 2003). */
static __u32 bpf_get_prandom_u32(void)
{
	static __u32 x = 2463534242u;

	x ^= x << 13;
	x ^= x >> 17;
	return x ^= x << 5;
}

static inline __u32 bpf_get_smp_processor_id(void)
{
	return 0;
}

static long bpf_trace_printk(const char *format, __u32 size, ...)
{
	(void)format, (void)size;
	return 0;
}

/* ---- the outside ---- */

struct sl_front *host_front(void)
{
	return active_front();
}
__u32 *host_slots(void)
{
	return slots;
}
struct sl_control *host_control(void)
{
	return &control;
}
struct sl_backend *host_backends(void)
{
	return backends;
}
struct sl_vip *host_vips(void)
{
	return vips;
}
struct sl_stats *host_stats(void)
{
	return &stats_of_cpu;
}
struct sl_loads *host_loads(void)
{
	return &loads;
}
struct sl_limit *host_limits(void)
{
	return limits;
}
struct host_kernel_route *host_route(void)
{
	return &route;
}
__u32 host_lru_entries(void)
{
	return used_nodes;
}

struct host_memory host_state(unsigned number)
{
	const struct host_memory all[] = {
		{".bss.flows", flows, sizeof(flows)},
		{".bss.opening", opening, sizeof(opening)},
		{".bss.records", records, sizeof(records)},
		{".bss.fragments", fragments, sizeof(fragments)},
		{".bss.ways", ways, sizeof(ways)},
		{".bss.loads", &loads, sizeof(loads)},
		{NULL, NULL, 0},
	};

	return all[number];
}

void host_start(void)
{
	/* The place of the interface is a constant to the compiler but set by the loader, here as there. */
	__u8 *page = (__u8 *)((unsigned long)&interface_slot & ~(PAGE - 1));
	__u64 room = 2 * PAGE;
	__u8 *at = mmap(NULL, room + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	if (mprotect(page, PAGE, PROT_READ | PROT_WRITE) || at == MAP_FAILED || mprotect(at + room, PAGE, PROT_NONE))
		abort();
	frame_end = at + room;
	for (unsigned i = 0; host_state(i).map; i++)
		madvise((void *)(((unsigned long)host_state(i).at + PAGE - 1) & ~(PAGE - 1)),
			host_state(i).size & ~(PAGE - 1), MADV_NOHUGEPAGE);
}

/* Most of it was never touched: whole pages are given back, which read as zero. */
static void clear(void *at, __u64 size)
{
	unsigned long start = (unsigned long)at, end = start + size;
	unsigned long first = (start + PAGE - 1) & ~(PAGE - 1), last = end & ~(PAGE - 1);

	if (first >= last) {
		memset(at, 0, size);
		return;
	}
	memset(at, 0, first - start);
	memset((void *)last, 0, end - last);
	if (madvise((void *)first, last - first, MADV_DONTNEED))
		abort();
}

void host_forget(void)
{
	for (unsigned i = 0; host_state(i).map; i++)
		clear(host_state(i).at, host_state(i).size);
	for (__u32 i = 1; i <= used_nodes; i++)
		buckets[bucket_of_key(&nodes[i].key)] = 0;
	used_nodes = 0;
	memset(&stats_of_cpu.scratch, 0, sizeof(stats_of_cpu.scratch));
	stats_of_cpu.told = stats_of_cpu.told_epoch = 0;
	stats_of_cpu.learning.epoch = stats_of_cpu.learning.left = 0;
	stats_of_cpu.allowance.packets = stats_of_cpu.allowance.epoch = 0;
	memset(limits, 0, sizeof(limits));
}

void host_set_interface(__u32 slot)
{
	*(volatile __u32 *)(unsigned long)&interface_slot = slot;
}

void host_set_port(__u32 slot, int present)
{
	ports_present[slot] = present;
}

void host_clear_access(int family)
{
	(family == 4 ? &access4 : &access6)->count = 0;
}

void host_add_access(int family, __u32 length, const void *address, __u32 action)
{
	struct prefixes *list = family == 4 ? &access4 : &access6;

	if (list->count == sizeof(list->at) / sizeof(list->at[0]))
		abort();
	struct prefix *prefix = &list->at[list->count++];

	prefix->length = length;
	prefix->action = action;
	memcpy(prefix->address, address, family == 4 ? 4 : 16);
}

struct host_outcome host_run(const void *frame, __u32 size, __u32 headroom)
{
	__u8 *data = frame_end - size;
	struct xdp_md ctx = {.data = (__u32)(long)data, .data_meta = (__u32)(long)data, .data_end = (__u32)(long)frame_end};
	struct host_outcome outcome;

	if (size > HOST_FRAME_MAX || headroom > HOST_HEADROOM)
		abort();
	hard_start = data - headroom;
	ASAN_UNPOISON_MEMORY_REGION(frame_end - 2 * PAGE, 2 * PAGE);
	memset(data - HOST_HEADROOM, 0xa5, HOST_HEADROOM); /* what was there before must not leave with the frame */
	memcpy(data, frame, size);
	ASAN_POISON_MEMORY_REGION(frame_end - 2 * PAGE, 2 * PAGE - size);
	outcome.action = xdp_lb(&ctx);
	ASAN_UNPOISON_MEMORY_REGION(frame_end - 2 * PAGE, 2 * PAGE);
	outcome.data = (const __u8 *)(long)ctx.data;
	outcome.size = ctx.data_end - ctx.data;
	return outcome;
}
