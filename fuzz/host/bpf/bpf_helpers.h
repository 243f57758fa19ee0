/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Stands in for libbpf's header when the packet path is compiled for the host: how maps are declared, and the helpers that
 * it calls. They are defined in program.c, behind the packet path, where the maps' types are known.
 */
#ifndef SLUICE_HOST_BPF_HELPERS_H
#define SLUICE_HOST_BPF_HELPERS_H

#include <stddef.h>

/* Sections mean something to the loader of BPF objects only. */
#define SEC(name)

#define __uint(name, value) int(*name)[value]
#define __type(name, value) typeof(value) *name
#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#ifndef __noinline
#define __noinline __attribute__((noinline))
#endif

static inline void *bpf_map_lookup_elem(void *map, const void *key);
static long bpf_map_update_elem(void *map, const void *key, const void *value, __u64 flags);
static long bpf_map_delete_elem(void *map, const void *key);
static long bpf_redirect_map(void *map, __u64 key, __u64 flags);
static long bpf_xdp_adjust_head(struct xdp_md *ctx, int delta);
static long bpf_xdp_adjust_tail(struct xdp_md *ctx, int delta);
static __u64 bpf_xdp_get_buff_len(struct xdp_md *ctx);
static long bpf_xdp_adjust_meta(struct xdp_md *ctx, int delta);
static long bpf_xdp_load_bytes(struct xdp_md *ctx, __u32 offset, void *to, __u32 length);
static long bpf_fib_lookup(void *ctx, struct bpf_fib_lookup *params, int size, __u32 flags);
static __s64 bpf_csum_diff(__be32 *from, __u32 from_size, __be32 *to, __u32 to_size, __wsum seed);
static __u64 bpf_ktime_get_coarse_ns(void);
static __u64 bpf_ktime_get_ns(void);
static __u32 bpf_get_prandom_u32(void);
static inline __u32 bpf_get_smp_processor_id(void);
static long bpf_trace_printk(const char *format, __u32 size, ...);

#endif
