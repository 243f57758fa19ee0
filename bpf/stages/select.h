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
		return BUG;
	__u32 slot = slots[at];

	*id = slot & SL_SLOT_BACKEND;
	if (likely(!(slot & SL_SLOT_TRANSITION)))
		return GO_ON;
	at += packet->holders - packet->base;
	opaque(at);
	if (unlikely(at > SL_NO_SLOT))
		return BUG;
	*id = follow_record(packet->hash, *id, slots[at], kind_of(packet));
	return GO_ON;
}

/* Is there such a backend, and may it have flows? */
stage int is_in_use(const struct sl_backend *backend)
{
	return (backend->flags & (SL_BACKEND_PRESENT | SL_BACKEND_DISABLED)) == SL_BACKEND_PRESENT;
}

/* Why nothing of this length can be sent to the backend. */
static __noinline int refusal(const struct sl_backend *backend)
{
	if (!backend || !is_in_use(backend))
		return DROP(NO_BACKEND);
	return backend->flags & SL_BACKEND_RESOLVED ? DROP(TOO_BIG) : DROP(UNRESOLVED);
}

/* GO_ON if a packet of this length can leave towards the backend. */
stage int admit(const struct sl_backend *backend, __u32 ip_length)
{
	return likely(ip_length <= backend->room) ? GO_ON : refusal(backend);
}

#endif
