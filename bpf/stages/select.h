/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Select: from a flow's hash to the backend that owns its slot. */
#ifndef SLUICE_SELECT_H
#define SLUICE_SELECT_H

/* GO_ON with *id, or the packet's end. */
stage int select_backend(struct sl_service *service, __u64 hash, __u32 *id)
{
	__u64 range = service->range; /* one word: base and size always belong together */
	__u64 size = range >> 32;
	__u64 at = sl_slot_of(hash, size) + (__u32)range;

	if (unlikely(!size))
		return DROP(NO_BACKEND);
	opaque(at);
	if (unlikely(at >= SL_SLOT_ARENA))
		return BUG;
	*id = slots[at] & SL_SLOT_BACKEND;
	return GO_ON;
}

/* GO_ON if a packet of this length (outer header included) can leave towards the backend. */
stage int admit(const struct sl_backend *backend, __u32 ip_length)
{
	if (unlikely(ip_length > backend->mtu))
		return backend->mtu ? DROP(TOO_BIG) : DROP(NO_BACKEND);
	if (unlikely(!(backend->flags & SL_BACKEND_RESOLVED)))
		return DROP(UNRESOLVED);
	return GO_ON;
}

#endif
