/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Select: from a flow's hash to the backend that owns its slot, or to the one that its record names. */
#ifndef SLUICE_SELECT_H
#define SLUICE_SELECT_H

/* The owner of the flow's slot. GO_ON with *id, or the packet's end. */
stage int select_backend(const struct packet *packet, __u32 *id)
{
	__u64 at = sl_slot_of(packet->hash, packet->slots) + packet->base;

	opaque(at);
	if (unlikely(at > SL_NO_SLOT))
		return ABORT(TABLE_BOUND);
	__u32 slot = slots[at];

	*id = slot & SL_SLOT_BACKEND;
	if (likely(!(slot & SL_SLOT_TRANSITION)))
		return GO_ON;
	at += packet->holders - packet->base;
	opaque(at);
	if (unlikely(at > SL_NO_SLOT))
		return ABORT(TABLE_BOUND);
	*id = follow_record(packet->hash, *id, slots[at], kind_of(packet));
	return GO_ON;
}

#endif
