/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The packet path (bpf/xdp_lb.bpf.c), compiled for the host as it stands: its memory, and how a frame is run through it. It
 * behaves as on CPU 0 of a kernel whose loader has made the maps. There is one of it; not for several threads.
 */
#ifndef SLUICE_HOST_PROGRAM_H
#define SLUICE_HOST_PROGRAM_H

#include "abi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define HOST_HEADROOM 216   /* bytes that an outer header may grow into: 256 without the kernel's struct xdp_frame */
#define HOST_FRAME_MAX 4096 /* bytes of a frame */

/* What the kernel's routes say of every address; result: BPF_FIB_LKUP_RET_*. */
struct host_kernel_route {
	int result;
	__u32 ifindex;
	__u8 destination[6], source[6];
};

struct host_outcome {
	__u32 action; /* what the program returned */
	const __u8 *data;
	__u32 size; /* the frame as it left; stays until the next one */
};

/* The program's memory, as the loader maps it. */
struct sl_front *host_front(void); /* of the active front */
__u32 *host_slots(void);
struct sl_control *host_control(void);
struct sl_backend *host_backends(void);
struct sl_vip *host_vips(void);
struct sl_stats *host_stats(void);
struct sl_loads *host_loads(void);
struct sl_limit *host_limits(void);
struct host_kernel_route *host_route(void);

/* Memory that packets write to, to be compared with another program's. */
struct host_memory {
	const char *map; /* name of the kernel's map */
	void *at;
	__u64 size;
};
/* The memory of that number; map is NULL where there are no more. */
struct host_memory host_state(unsigned number);

/* Before anything else. */
void host_start(void);
/* Forgets everything but the counters: flows, records, fragments, ways, and what may be told in this second. */
void host_forget(void);
/* The interface that packets arrive at: its place in the devmap. */
void host_set_interface(__u32 slot);
/* Whether there is an interface at this place. */
void host_set_port(__u32 slot, int present);
/* Empties the list of a family (4 or 6); adds a prefix. The address is in network order. */
void host_clear_access(int family);
void host_add_access(int family, __u32 length, const void *address, __u32 action);
/* Runs a frame of at most HOST_FRAME_MAX bytes with so much room before it. Any access outside of it ends the process. */
struct host_outcome host_run(const void *frame, __u32 size, __u32 headroom);
/* Entries of nat_flows. */
__u32 host_lru_entries(void);

#ifdef __cplusplus
}
#endif
#endif
