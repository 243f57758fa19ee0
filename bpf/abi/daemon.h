/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* The daemon's words: settings that packets read, and labels for whoever comes after it. */
#ifndef SLUICE_ABI_DAEMON_H
#define SLUICE_ABI_DAEMON_H

#include "sizes.h"

struct sl_control {
	__u32 active; /* which front counts */
	__u32 epoch;  /* seconds of the monotonic clock; moved by the daemon, and by new flows while there is none */
	__u32 interfaces[SL_MAX_INTERFACES]; /* the ifindex behind each place in the devmap; 0: free */
	__u64 flow_multiplier; /* odd and random, made with the maps: which line a flow's key hashes to */
	__u64 uncounted; /* packets aborted on CPUs that have no entry in xdp_stats_map */
};

/* Labels: what the ids in the tables mean. Never read by packets; a new daemon adopts the running state from them. */
struct sl_backend_label {
	char pool[SL_NAME_LENGTH]; /* empty: free */
	__u8 address[16];          /* IPv4 mapped */
	__u16 port;                /* host order; 0: the service's */
	__u16 weight;
	__u32 ifindex;             /* of the way out; 0: unresolved */
};

struct sl_service_label {
	char name[SL_NAME_LENGTH]; /* empty: free */
	char pool[SL_NAME_LENGTH];
	__u8 address[16];          /* IPv4 mapped */
	__u16 port;                /* host order; 0: every port */
	__u8 protocol;             /* 6 or 17 */
	__u8 pad;
	__u16 port_end;            /* the last of a range; 0: one port */
	__u8 pad2[2];
};

struct sl_table_label {
	char pool[SL_NAME_LENGTH]; /* empty: free */
	__u32 base, slots;         /* its range in the arena */
	__u32 hash_functions;
	__u32 holders;             /* its slots' holders; SL_NO_SLOT: no slot is in transition */
	__u32 flags;               /* SL_SERVICE_*: what its services have from it */
	__u32 pad;
};

/* What a loaded program is: the kernel keeps its tag, but no version. */
struct sl_program_label {
	__u32 program; /* its id in the kernel; 0: free */
	char version[SL_NAME_LENGTH];
};
#define SL_PROGRAM_LABELS (4 * SL_MAX_INTERFACES) /* the running one and the one before, and as many while they change */

/* What an object says of itself before it is loaded, in a section of its own. The one struct here that may never change:
 * it is how a daemon knows an object of another layout. */
struct sl_identity {
	__u32 abi; /* SL_ABI_VERSION of its sources */
	char version[SL_NAME_LENGTH];
};
#define SL_IDENTITY_SECTION ".rodata.identity"

SL_ASSERT(sizeof(struct sl_control) == 152, "sl_control");
SL_ASSERT(sizeof(struct sl_backend_label) == 88, "sl_backend_label");
SL_ASSERT(sizeof(struct sl_service_label) == 152, "sl_service_label");
SL_ASSERT(sizeof(struct sl_table_label) == 88, "sl_table_label");
SL_ASSERT(sizeof(struct sl_program_label) == 68, "sl_program_label");
SL_ASSERT(sizeof(struct sl_identity) == 68, "sl_identity");

#endif
