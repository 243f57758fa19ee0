/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Which server a QUIC connection id names (draft-ietf-quic-load-balancers, without encryption): first octet, server id, nonce. */
#ifndef SLUICE_ABI_QUIC_H
#define SLUICE_ABI_QUIC_H

#include "hash.h"
#include "sizes.h"

#define SL_QUIC_ID_MOST 15 /* bytes of a server id: 20 of a connection id, but for the first octet and four of nonce */
#define SL_QUIC_ROTATIONS 7 /* of configurations; the last of eight codepoints says that an id names nobody */

/* The first octet of a connection id; what stands behind these bits is the server's affair. */
#define SL_QUIC_ROTATION_OF(first_octet) ((first_octet) >> 5)

#define SL_QUIC_BITS 13 /* places for server ids: twice as many as there can be */

/* A server id as its place has it, and as a packet asks for it: the number of its pool, in place of the first octet, the id, zeros. */
struct sl_quic_id {
	union {
		__u8 bytes[1 + SL_QUIC_ID_MOST];
		__u64 words[2];
	};
};

struct sl_quic_server {
	struct sl_quic_id id; /* pool 0: there is none here */
	__u16 backend;
	__u16 length; /* bytes of the id; no packet reads it here */
	__u32 pad;
};

/* All server ids of a front, without collision: one probe. */
struct sl_quic_servers {
	__u64 multiplier;
	__u64 pad[7];
	__u16 displacement[1 << SL_DISPLACEMENT_BITS];
	struct sl_quic_server server[1 << SL_QUIC_BITS];
};

/* What sl_displaced_place takes for a server id. */
static inline __attribute__((always_inline)) __u64 sl_quic_key(const struct sl_quic_id *id)
{
	return sl_fold6(id->words[0], id->words[1]);
}

SL_ASSERT(sizeof(struct sl_quic_id) == 16, "sl_quic_id");
SL_ASSERT(sizeof(struct sl_quic_server) == 24, "sl_quic_server");
SL_ASSERT(sizeof(struct sl_quic_servers) % 64 == 0, "sl_quic_servers");

#endif
