/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Track: direct return of pools that remember every flow, because their algorithm, their limits or the operator ask for it.
 * Only the client's packets are seen. A flow opens in the small table; its second packet moves it to the large one. What finds
 * no place is sent by its hash, packet for packet: nothing is refused for want of memory.
 */
#ifndef SLUICE_TRACK_H
#define SLUICE_TRACK_H

/* A packet that may change its flow. Returns whether the flow goes on; *closed is set by what closes it. */
separate int attend(struct entry *flow, __u32 tcp_flags, __u32 protocol, __u32 *closed)
{
	__u64 value;
	__u32 id;

	if (!flow || !closed)
		return 0;
	id = backend_of(flow);
	value = flow->value;
	struct sl_backend *backend = bpf_map_lookup_elem(&backend_pool, &id);

	if (!backend || !is_in_use(backend) || backend->forwarding == SL_FORWARDING_NAT)
		return 0;
	/* What begins anew goes where it can. */
	if (!(backend->flags & SL_BACKEND_RESOLVED) && (opens(tcp_flags) || protocol == UDP))
		return 0;
	if (is_flow_over(value) || (opens(tcp_flags) && value & SL_FLOW4_CLOSED))
		return 0;
	value = touched(value);
	if (tcp_flags & (TCP_FIN | TCP_RST))
		value |= SL_FLOW4_CLOSED;
	if (!(tcp_flags & TCP_SYN))
		value |= SL_FLOW4_ESTABLISHED;
	if (value != flow->value && swap_flow(flow, value)) {
		*closed = value & ~flow->value & SL_FLOW4_CLOSED;
		flow->value = value;
		if (value & SL_FLOW4_ESTABLISHED && flow->place & IN_OPENING)
			establish(flow);
	}
	return 1;
}

/* The flow cannot be remembered: its server id or its hash decides, as it will for its next packet. GO_ON, or an end. */
stage int go_by_hash(struct errand *errand)
{
	struct sl_stats *stats = my_stats();
	__u32 id = errand->packet.named;

	if (!id)
		id = owner_of(errand->packet.hash, &errand->packet);
	if (stats)
		stats->learning.untracked++;
	errand->flow.value = (__u64)id << 48;
	return GO_ON;
}

/* Writes a flow down whose backend has been told of it. GO_ON with errand->flow, or an end. */
stage int write_flow_down(struct errand *errand, __u32 backend)
{
	__u32 place;

	move_epoch();
	errand->flow.value = forward_value(backend, 0, SL_FLOW4_LIVE | SL_FLOW4_ONE_SIDED |
							       (errand->packet.protocol == UDP ? SL_FLOW4_UDP : 0));
	errand->flow.more = errand->packet.hash >> 32;
	place = insert(&errand->flow, IN_OPENING);
	if (!(place & TAKEN)) {
		errand->flow.place = place;
		return GO_ON;
	}
	leave(backend);
	/* Another CPU was first with this flow, and its entry counts. */
	if (place != NOWHERE && read_place(place & ~TAKEN, errand->flow.key, &errand->flow))
		return GO_ON;
	return go_by_hash(errand);
}

/* A flow without an entry. GO_ON with errand->flow, or an end; *opened is set by what opens one. */
stage int open_flow(struct errand *errand, __u32 *opened)
{
	__u32 id = 0;

	if (!errand || !opened)
		return BUG;
	*opened = errand->packet.protocol == UDP || opens(errand->packet.tcp_flags);
	if (*opened) {
		int end = choose_backend(&errand->packet, &id);

		if (end != GO_ON)
			return end;
		if (is_alive(id))
			return write_flow_down(errand, id);
		leave(id);
		*opened = 0;
		errand->flow.value = (__u64)id << 48; /* whoever forwards it says why that is impossible */
		return GO_ON;
	}
	/* In the middle of a connection: whoever sent its first packets by their hash has sent them there. */
	id = owner_of(errand->packet.hash, &errand->packet);
	if (!is_alive(id) || errand->packet.tcp_flags & (TCP_FIN | TCP_RST)) {
		errand->flow.value = (__u64)id << 48; /* nothing to remember, or nothing any more */
		return GO_ON;
	}
	__sync_fetch_and_add(&load_of(id)->active, 1);
	return write_flow_down(errand, id);
}

/* The packet is of no established flow, or may change its flow. GO_ON with errand->flow, or an end. */
separate int follow_flow(struct errand *errand)
{
	__u32 opened = 0, closed = 0;
	int end = GO_ON;

	if (!errand)
		return BUG;
	if (errand->flow.place == NOWHERE)
		find_flow(errand->flow.key, &errand->flow);
	if (is_icmp(errand->packet.protocol)) { /* about a flow, but anyone may have sent it */
		if (errand->flow.place == NOWHERE)
			errand->flow.value = (__u64)owner_of(errand->packet.hash, &errand->packet) << 48;
		return GO_ON;
	}
	if (errand->flow.place != NOWHERE &&
	    !attend(&errand->flow, errand->packet.tcp_flags, errand->packet.protocol, &closed)) {
		swap_flow(&errand->flow, 0);
		errand->flow.place = NOWHERE;
	}
	if (errand->flow.place == NOWHERE)
		end = open_flow(errand, &opened);
	if (end != GO_ON)
		return count_dropped(errand->packet.service, 0, end);
	if (errand->packet.flags & SL_SERVICE_AFFINE && errand->flow.value & SL_FLOW4_ESTABLISHED)
		remember_client(&errand->packet, backend_of(&errand->flow));
	if (opened | closed)
		count_edges(errand->packet.service, backend_of(&errand->flow), opened, !!closed);
	return GO_ON;
}

/* The backend of a flow that is remembered. GO_ON with *id, or the packet's end. */
stage int tracked_backend(struct xdp_md *ctx, struct packet *packet, struct sl_stats *stats, __u32 *id)
{
	struct entry flow = {.place = NOWHERE};
	int end = know_client(ctx, packet);

	if (unlikely(end != GO_ON))
		return end;
	flow.key = client_key(packet, packet->ports);
	if (unlikely(!find_at_home(&flow) || !is_plain_sailing(&flow, packet->tcp_flags) ||
		     !is_alive(backend_of(&flow)) || is_icmp(packet->protocol))) {
		struct errand *errand = (struct errand *)stats->scratch;

		errand->flow = flow;
		errand->packet = *packet;
		errand->packet.named = named_backend(ctx, packet);
		end = follow_flow(errand);
		if (end != GO_ON)
			return end;
		flow.value = errand->flow.value;
	}
	*id = backend_of(&flow);
	return GO_ON;
}

#endif
