/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Choose: which backend gets a new flow of a pool that remembers its flows. By the flow's hash (Maglev), by turns, or by how
 * many flows each one has; a client that stays with its backend goes there first; and nobody gets more flows than it may have.
 * Before all that comes the backend whose QUIC server id the packet has: it is no new connection that knows one.
 */
#ifndef SLUICE_CHOOSE_H
#define SLUICE_CHOOSE_H

#define OFFERS 4 /* backends that the algorithm names, before all are asked who may have the flow */
#define CANDIDATES (OFFERS + SL_EXACT_MEMBERS)

/* A backend has one flow more, unless it has as many as it may. The number is exact for all CPUs together. Returns whether. */
stage int enter(__u32 backend)
{
	struct sl_load *load = load_of(backend);
	__u32 before = __sync_fetch_and_add(&load->active, 1);

	if (likely(!load->limit || (__s32)before < (__s32)load->limit))
		return 1;
	leave(backend);
	return 0;
}

stage __u32 owner_of(__u64 hash, const struct packet *packet)
{
	__u64 at = sl_slot_of(hash, packet->slots) + packet->base;

	opaque(at);
	return at > SL_NO_SLOT ? 0 : slots[at] & SL_SLOT_BACKEND;
}

/* The table of a pool that goes by turns holds each backend as often as its weight says, well mixed. */
stage __u32 next_in_turn(const struct packet *packet)
{
	__u32 turn = __sync_fetch_and_add(&loads.cursor[packet->service & (SL_MAX_SERVICES - 1)], 1);
	__u64 at = packet->slots ? turn % packet->slots + packet->base : SL_NO_SLOT;

	opaque(at);
	return at > SL_NO_SLOT ? 0 : slots[at] & SL_SLOT_BACKEND;
}

/* Has `a` fewer flows for its weight than `b`? */
separate int is_less_loaded(__u32 a, __u32 b)
{
	struct sl_load *left = load_of(a), *right = load_of(b);

	if (!is_alive(a) || !is_alive(b))
		return is_alive(a);
	return ((__u64)left->active + 1) * right->weight < ((__u64)right->active + 1) * left->weight;
}

separate int is_full(__u32 backend)
{
	struct sl_load *load = load_of(backend);

	return !backend || (load->limit && (__s32)load->active >= (__s32)load->limit);
}

/* The better one of two, if it may have another flow. */
separate __u32 better(__u32 a, __u32 b)
{
	if (is_full(b))
		return a;
	return is_full(a) || is_less_loaded(b, a) ? b : a;
}

/* Many backends: the better one of two that are drawn by their weights (Mitzenmacher, The Power of Two Choices, 2001). */
stage __u32 better_of_two(const struct packet *packet)
{
	return better(owner_of((__u64)bpf_get_prandom_u32() << 32, packet), owner_of((__u64)bpf_get_prandom_u32() << 32, packet));
}

/* Few: all are looked at, beginning with another one each time, so that equals take turns. */
separate __u32 least_loaded(__u32 service)
{
	struct sl_members *members = &active_front()->members[service & (SL_MAX_SERVICES - 1)];
	__u32 turn = __sync_fetch_and_add(&loads.cursor[service & (SL_MAX_SERVICES - 1)], 1), best = 0;

	rolled
	for (__u32 i = 0; i < SL_EXACT_MEMBERS; i++)
		best = better(best, members->id[(turn + i) & (SL_EXACT_MEMBERS - 1)]);
	return best;
}

/* Where the client's flows went that were here before; 0: nowhere, or it cannot have another. */
separate __u32 backend_of_client(struct packet *packet)
{
	struct entry client = {};
	__u32 id;

	if (!packet || !find_flow(client_key(packet, 0) | SL_CLIENT_SIDE, &client) || is_flow_over(client.value))
		return 0;
	id = backend_of(&client);
	return is_alive(id) && load_of(id)->weight && !is_full(id) ? id : 0;
}

/* A client whose flow goes on is remembered; only then, so that a flood of SYNs makes nothing stay. */
separate int remember_client(struct packet *packet, __u32 backend)
{
	struct entry client = {};
	__u64 key;

	if (!packet)
		return 0;
	key = client_key(packet, 0) | SL_CLIENT_SIDE;
	if (find_flow(key, &client)) {
		if (backend_of(&client) == backend && !age_of(client.value))
			return 0;
		swap_value(client.place, client.value,
			   forward_value(backend, 0, SL_FLOW4_LIVE | SL_FLOW4_CLIENT));
		return 0;
	}
	client.key = key;
	client.value = forward_value(backend, 0, SL_FLOW4_LIVE | SL_FLOW4_CLIENT);
	client.more = 0;
	insert(&client, 0);
	return 0;
}

/* One of all backends, if they are few: each is among SL_EXACT_MEMBERS numbers that follow each other. 0: they are many. */
separate __u32 member(__u32 service, __u32 number)
{
	return active_front()->members[service & (SL_MAX_SERVICES - 1)].id[number & (SL_EXACT_MEMBERS - 1)];
}

/* The n-th backend that a new flow may go to. */
stage __u32 candidate(struct packet *packet, __u32 n)
{
	if (!packet)
		return 0;
	if (n >= OFFERS) {
		__u32 id = member(packet->service, (__u32)packet->hash + n);

		if (id)
			return id;
	}
	if (packet->flags & SL_SERVICE_AFFINE && !n) {
		__u32 id = backend_of_client(packet);

		if (id)
			return id;
	}
	if (packet->flags & SL_SERVICE_ROUND_ROBIN)
		return next_in_turn(packet);
	if (packet->flags & SL_SERVICE_LEAST_CONNECTIONS) {
		__u32 id = least_loaded(packet->service);

		return id ? id : better_of_two(packet);
	}
	return owner_of(n ? sl_mix(packet->hash + n) : packet->hash, packet);
}

/* Do flows of this packet's service count for their backends? Those of nat_flows may be thrown out by the kernel unseen. */
stage int counts_flows(const struct packet *packet)
{
	return packet->flags & (SL_SERVICE_NAT4 | SL_SERVICE_TRACKED);
}

/* The backend of a new flow. GO_ON with *chosen, which has one flow more if the service's flows count; or an end. A backend
 * that nothing can be sent to is given only where there is no other. */
stage int choose_backend(struct packet *packet, __u32 *chosen)
{
	__u32 id = 0, full = 0;

	if (!packet || !chosen)
		return BUG;
	*chosen = 0;
	if ((__u64)packet->base + packet->slots > SL_NO_SLOT + 1)
		return ABORT(TABLE_BOUND);
	if (packet->named) {
		if (counts_flows(packet))
			__sync_fetch_and_add(&load_of(packet->named)->active, 1);
		*chosen = packet->named;
		return GO_ON;
	}
	if (!counts_flows(packet)) {
		*chosen = packet->flags & SL_SERVICE_ROUND_ROBIN ? next_in_turn(packet) : owner_of(packet->hash, packet);
		return GO_ON;
	}
	rolled
	for (__u32 n = 0; n < CANDIDATES; n++) {
		id = candidate(packet, n);
		/* The hash decides, whatever it meets; turns and loads can go past a backend that is just dying. */
		if (!is_alive(id) && (full || n + 1 < CANDIDATES) && (n || packet->flags & (SL_SERVICE_ROUND_ROBIN | SL_SERVICE_LEAST_CONNECTIONS)))
			continue;
		if (enter(id)) {
			*chosen = id;
			return GO_ON;
		}
		full = 1;
	}
	return full ? DROP(CONNECTION_LIMIT) : BUG;
}

#endif
