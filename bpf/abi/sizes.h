/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* How much of everything there can be. */
#ifndef SLUICE_ABI_SIZES_H
#define SLUICE_ABI_SIZES_H

#include <linux/types.h>

#define SL_MAX_BACKENDS 4096   /* backend id 0 is never used: an empty slot names it */
#define SL_MAX_SERVICES 512    /* service id 0 is never used */
#define SL_MAX_POOLS 64
#define SL_MAX_INTERFACES 32   /* attached and way-out interfaces together; also the size of the devmap */
#define SL_MAX_FLOWS 262144    /* directions of nat flows */
#define SL_SLOT_ARENA (6u * 1024 * 1024) /* u32 slots: 24 MiB */
#define SL_NAME_LENGTH 64      /* of a pool's or service's name, with the closing zero */

#define SL_MAX_ACCESS_ENTRIES 100000 /* prefixes of clients that may or may not reach the VIPs */

#define SL_NAT_FIRST_PORT 20000
#define SL_NAT_LAST_PORT 31999

#ifdef __cplusplus
#define SL_ASSERT static_assert
#else
#define SL_ASSERT _Static_assert
#endif

#endif
