/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Backend: can it have packets, can it have new flows, and if not, why. */
#ifndef SLUICE_BACKEND_H
#define SLUICE_BACKEND_H

/* Can packets be sent there now? */
stage int is_alive(__u32 id)
{
	struct sl_backend *backend = bpf_map_lookup_elem(&backend_pool, &id);

	return backend && sl_room(backend);
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

#endif
