/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The tables that packets meet and the counters that they leave. Layouts and index rules: abi.h. */
#ifndef SLUICE_MAPS_H
#define SLUICE_MAPS_H

#ifndef SLUICE_VERSION
#define SLUICE_VERSION "unknown"
#endif

/* This program instance's place in tx_ports and xdp_stats_map: one instance for each interface. */
const volatile __u32 interface_slot = 0;

/* Is this the variant for frames in several buffers, as drivers make them at a large MTU? Each variant is checked with its own
 * value, so that the other's code is gone. */
const volatile __u32 multi_buffer = 0;

/* For daemons that have only the object's file; no packet reads it. */
const volatile struct sl_identity identity SEC(SL_IDENTITY_SECTION) = {.abi = SL_ABI_VERSION, .version = SLUICE_VERSION};

struct sl_front fronts[2] SEC(".bss.front");
__u32 slots[SL_SLOT_ARENA + 2] SEC(".bss.slots");
struct sl_control control SEC(".bss.control");
struct sl_limit limits[SL_MAX_BACKENDS] SEC(".bss.limits");

/* Moves the clock where no daemon does: a new flow is rare enough to ask for the time. */
stage void move_epoch(void)
{
	__u32 now = bpf_ktime_get_coarse_ns() / 1000000000;

	if ((__s32)(now - control.epoch) > 0)
		control.epoch = now;
}

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SL_MAX_BACKENDS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct sl_backend);
} backend_pool SEC(".maps");

/* Declared for one CPU; the loader makes an entry for each possible one. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct sl_stats);
} xdp_stats_map SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SL_MAX_FLOWS);
	__type(key, struct sl_flow_key);
	__type(value, struct sl_flow);
} nat_flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, SL_MAX_INTERFACES);
	__type(key, __u32);
	__type(value, __u32);
} tx_ports SEC(".maps");

/* The same for the multi-buffer variant, which the loader gives it in the place of tx_ports: the kernel lets no devmap serve
 * programs of both kinds. No code names it. By it the daemon knows which variant a program is. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, SL_MAX_INTERFACES);
	__type(key, __u32);
	__type(value, __u32);
} tx_ports_frags SEC(".maps");

/* The daemon's labels: no packet reads them; they stand here so that they are pinned beside what they explain. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SL_MAX_BACKENDS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct sl_backend_label);
} backend_labels SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SL_MAX_SERVICES);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct sl_service_label);
} service_labels SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SL_MAX_POOLS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct sl_table_label);
} table_labels SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SL_PROGRAM_LABELS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct sl_program_label);
} program_labels SEC(".maps");

#endif
