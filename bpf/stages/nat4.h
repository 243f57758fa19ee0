/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Nat of IPv4, both addresses rewritten: the way to the backend and the way back. A flow that is established costs one line
 * of the flow table in each direction; all that happens once or seldom in a flow's life is in functions of its own.
 */
#ifndef SLUICE_NAT4_H
#define SLUICE_NAT4_H

#define PORT_TRIES4 24

stage __u16 port_of(const struct entry *forward)
{
	return (__u16)(forward->value >> 32);
}

stage __be16 backend_port(const struct sl_backend *backend, __be16 service_port)
{
	return backend->port ? backend->port : service_port;
}

/* The key of the reply that belongs to a flow. 0 where its backend has gone. */
separate __u64 reply_key_of(const struct entry *forward)
{
	__u32 id;

	if (!forward)
		return 0;
	id = backend_of(forward);
	struct sl_backend *backend = bpf_map_lookup_elem(&backend_pool, &id);
	struct sl_vip *vip = &vips[forward->key & (SL_MAX_SERVICES - 1)];

	if (!backend || !(backend->flags & SL_BACKEND_PRESENT))
		return 0;
	return reply_key(backend->address[0], backend_port(backend, vip->port), !(forward->value & SL_FLOW4_UDP),
			 port_of(forward));
}

/* Removes a flow, both directions, if it still is what it was. */
separate int forget4(struct entry *forward)
{
	struct entry reply = {};
	__u64 key;

	if (!forward || !swap_flow(forward, 0))
		return 0;
	key = reply_key_of(forward);
	if (key && find_flow(key, &reply) && reply.value == forward->key)
		swap_value(reply.place, reply.value, 0);
	return 1;
}

/* The client's frames come another way now: answer where they come from. */
separate int change_way(struct xdp_md *ctx, struct entry *forward)
{
	struct entry reply = {};
	__u32 index = way_of(ctx);
	__u64 key;

	if (!forward || index == forward->more)
		return 0;
	swap_more(forward, index);
	key = reply_key_of(forward);
	if (key && find_flow(key, &reply) && reply.value == forward->key)
		swap_more(&reply, (reply.more & ~0xff00u) | index << 8);
	return 0;
}

/* ---- once in a flow's life ---- */

/* Do replies with this key belong to a flow in nat_flows? */
separate int is_claimed_there(struct entry *reply)
{
	__u32 zero = 0, id;
	struct draft *draft = bpf_map_lookup_elem(&drafts, &zero);

	if (!draft || !reply)
		return 0;
	id = reply->more >> 16;
	struct sl_backend *backend = bpf_map_lookup_elem(&backend_pool, &id);

	if (!backend)
		return 0;
	__builtin_memset(&draft->reply_key, 0, sizeof(draft->reply_key));
	draft->reply_key.source[0] = reply->key >> 32;
	draft->reply_key.source_port = reply->key >> 16;
	draft->reply_key.destination[0] = backend->source[0];
	draft->reply_key.destination_port = bpf_htons(SL_NAT_FIRST_PORT + ((__u32)reply->key & 0x3fff));
	draft->reply_key.protocol = reply->key & SL_REPLY_TCP ? TCP : UDP;
	return bpf_map_lookup_elem(&nat_flows, &draft->reply_key) != 0;
}

/* For how long the flow of a reply's entry has been half open, in seconds and one; 0: it is not, or it is none of TCP. */
separate __u32 half_open(__u64 value)
{
	struct entry forward = {};

	if (!find_flow(value, &forward) || forward.value & (SL_FLOW4_ESTABLISHED | SL_FLOW4_UDP))
		return 0;
	return age_of(forward.value) + 1;
}

/* All ports that were tried are taken: the one of the flow that has been half open longest is given away, so that a flood of
 * SYNs keeps nobody out. The flow's forward entry finds that out by itself (attend4). Returns whether it is free now. */
separate int free_port4(struct entry *reply, __u32 place)
{
	struct entry other = {};

	return reply && read_place(place, reply->key, &other) && half_open(other.value) && swap_value(place, other.value, 0);
}

/* Gives a new flow a port of ours, by inserting the reply's entry; reply->key is set but for the port. With `shared` the port
 * must not be one of a flow in nat_flows either: both look after their own entry stands (flow_lru.h), so that of two at once at
 * least one sees the other's. Returns the port; 0 if none is free. */
separate __u32 claim_port4(struct entry *reply, __u64 hash, int shared)
{
	__u32 ports = SL_NAT_LAST_PORT - SL_NAT_FIRST_PORT + 1;
	__u32 offset = (__u32)hash % ports, step = port_step(hash);
	__u32 longest = 0, yields = 0, place_of_it = NOWHERE;
	struct entry other = {};

	if (!reply)
		return 0;
	for (int i = 0; i < PORT_TRIES4; i++) {
		__u32 place;

		reply->key = (reply->key & ~0x3fffULL) | offset;
		offset = (offset + step) % ports;
		place = insert(reply, IN_OPENING);
		if (place & TAKEN && place != NOWHERE) { /* somebody has this port; is he still there? */
			if (!read_place(place & ~TAKEN, reply->key, &other))
				continue;
			if (!is_entry_over(other.key, other.value)) {
				__u32 since = half_open(other.value);

				if (since > longest) {
					longest = since;
					yields = (__u32)reply->key & 0x3fff;
					place_of_it = other.place;
				}
				continue;
			}
			if (!swap_value(other.place, other.value, 0))
				continue;
			place = insert(reply, IN_OPENING);
		}
		if (place & TAKEN) /* NOWHERE too */
			continue;
		/* Established flows are looked at after the own entry stands: one that is just being promoted has an
		 * entry there before it leaves this table. */
		if (read_place(find_in_group(reply->key, home_of(reply->key, 0)), reply->key, &other)) {
			if (is_entry_over(other.key, other.value))
				swap_value(other.place, other.value, 0);
		} else if (!shared || !is_claimed_there(reply)) {
			reply->place = place;
			return SL_NAT_FIRST_PORT + (__u32)(reply->key & 0x3fff);
		}
		swap_value(place, reply->value, 0);
	}
	reply->key = (reply->key & ~0x3fffULL) | yields;
	if (!free_port4(reply, place_of_it))
		return 0;
	reply->place = insert(reply, IN_OPENING);
	return reply->place & TAKEN ? 0 : SL_NAT_FIRST_PORT + yields;
}

/* Makes a flow: both entries, in the table of opening flows. GO_ON with errand->flow, or an end; *chosen is the backend in
 * either case, 0 if none was. */
stage int open_flow4(struct xdp_md *ctx, struct errand *errand, __u32 *chosen)
{
	struct entry reply = {};
	__u32 id, port, place, way;
	int end = know_client(ctx, &errand->packet);

	if (end == GO_ON)
		end = choose_nat_backend(ctx, &errand->packet, chosen);

	if (end != GO_ON)
		return end;
	id = *chosen;
	struct sl_backend *backend = bpf_map_lookup_elem(&backend_pool, &id);

	if (!backend)
		return ABORT(MISSING_BACKEND);
	move_epoch();
	way = way_of(ctx);
	reply.key = reply_key(backend->address[0], backend_port(backend, (__be16)(errand->packet.ports >> 16)),
			      errand->packet.protocol == TCP, SL_NAT_FIRST_PORT);
	reply.value = errand->flow.key;
	reply.more = id << 16 | way << 8;
	/* Flows of one client may share their hash, but should not look for ports in the same places. */
	port = claim_port4(&reply, sl_mix(errand->packet.hash ^ errand->packet.ports),
			   errand->packet.flags & SL_SERVICE_SHARES_PORTS);
	if (!port) {
		leave(id);
		return DROP(NO_PORT);
	}
	errand->flow.value =
		forward_value(id, (__u16)port, SL_FLOW4_LIVE | (errand->packet.protocol == UDP ? SL_FLOW4_UDP : 0));
	errand->flow.more = way;
	place = insert(&errand->flow, IN_OPENING);
	if (!(place & TAKEN)) {
		errand->flow.place = place;
		return GO_ON;
	}
	swap_value(reply.place, reply.value, 0);
	leave(id);
	/* Another CPU was first with this flow, and its entry counts. */
	if (place != NOWHERE && read_place(place & ~TAKEN, errand->flow.key, &errand->flow))
		return GO_ON;
	return DROP(FLOW_TABLE_FULL);
}

/* A flow that was answered and goes on moves to the large table, its reply first. */
separate int promote4(struct entry *forward)
{
	struct entry reply = {};
	__u64 key;

	if (!forward)
		return 0;
	key = reply_key_of(forward);
	if (!key || !find_flow(key, &reply) || !(reply.place & IN_OPENING))
		return 0;
	return establish(&reply) && establish(forward);
}

/* A client's packet that may change its flow. Returns whether the flow goes on; *closed is set by what closes it. */
separate int attend4(struct entry *forward, __u32 tcp_flags, __u32 protocol, __u32 *closed)
{
	struct entry reply = {};
	__u64 value, key;
	__u32 id;

	if (!forward || !closed)
		return 0;
	id = backend_of(forward);
	value = forward->value;
	struct sl_backend *backend = bpf_map_lookup_elem(&backend_pool, &id);
	int opens_anew = opens(tcp_flags);

	if (!backend || !is_in_use(backend) || backend->forwarding != SL_FORWARDING_NAT)
		return 0;
	/* What begins anew goes where it can. */
	if (!(backend->flags & SL_BACKEND_RESOLVED) && (opens_anew || protocol == UDP))
		return 0;
	if (is_flow_over(value) || (opens_anew && (value & SL_FLOW4_CLOSED) == SL_FLOW4_CLOSED))
		return 0;
	/* Both directions live and die together: without the reply's entry the port may be another's. */
	key = reply_key_of(forward);
	if (!key || !find_flow(key, &reply) || reply.value != forward->key)
		return 0;
	value = touched(value);
	if (tcp_flags & TCP_RST)
		value |= SL_FLOW4_CLOSED;
	else if (tcp_flags & TCP_FIN)
		value |= SL_FLOW4_CLIENT_CLOSED;
	if (value & SL_FLOW4_ANSWERED && !(tcp_flags & TCP_SYN))
		value |= SL_FLOW4_ESTABLISHED;
	if (value != forward->value && swap_flow(forward, value)) {
		*closed = value & ~forward->value & SL_FLOW4_CLIENT_CLOSED;
		forward->value = value;
		if (value & SL_FLOW4_ESTABLISHED && forward->place & IN_OPENING)
			promote4(forward);
	}
	return 1;
}

/* The packet is of no established flow, or may change its flow. GO_ON with errand->flow, or an end. */
separate int follow_flow4(struct xdp_md *ctx, struct errand *errand)
{
	__u32 opened = 0, closed = 0, id = 0;
	int end;

	if (!errand)
		return BUG;
	if (errand->flow.place == NOWHERE)
		find_flow(errand->flow.key, &errand->flow);
	if (errand->flow.place != NOWHERE && !attend4(&errand->flow, errand->packet.tcp_flags, errand->packet.protocol, &closed)) {
		forget4(&errand->flow);
		errand->flow.place = NOWHERE;
	}
	if (errand->flow.place == NOWHERE) {
		end = open_flow4(ctx, errand, &id);
		if (end != GO_ON)
			return count_dropped(errand->packet.service, id, end);
		opened = errand->packet.protocol == UDP || opens(errand->packet.tcp_flags);
		attend4(&errand->flow, errand->packet.tcp_flags, errand->packet.protocol, &closed);
	}
	if (errand->packet.flags & SL_SERVICE_AFFINE && errand->flow.value & SL_FLOW4_ESTABLISHED &&
	    know_client(ctx, &errand->packet) == GO_ON)
		remember_client(&errand->packet, backend_of(&errand->flow));
	if (opened | closed)
		count_edges(errand->packet.service, backend_of(&errand->flow), opened, !!closed);
	return GO_ON;
}

/* Addresses, ports and checksums (RFC 1624, equation 3). GO_ON, or an end. */
stage int rewrite4(struct xdp_md *ctx, const struct packet *packet, __be32 source, __be32 destination, __u32 ports)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	void *ip = data + packet->l3, *l4 = data + packet->l4;

	if (unlikely(ip + 20 > end))
		return BUG;
	__u64 sum = (__u64)(__u32)~AT(ip, 12, __u32) + (__u32)~AT(ip, 16, __u32) + source + destination;

	AT(ip, 10, __u16) = ~fold((__u16)~AT(ip, 10, __u16) + sum);
	AT(ip, 12, __u32) = source;
	AT(ip, 16, __u32) = destination;
	sum += (__u64)(__u32)~packet->ports + ports;
	if (likely(packet->protocol == TCP)) {
		if (unlikely(l4 + 20 > end))
			return BUG;
		AT(l4, 16, __u16) = ~fold((__u16)~AT(l4, 16, __u16) + sum);
	} else {
		if (unlikely(l4 + 8 > end))
			return BUG;
		/* UDP: zero means that no checksum was computed (RFC 768), so it stays, and is never the result of one. */
		if (AT(l4, 6, __u16)) {
			__u16 check = ~fold((__u16)~AT(l4, 6, __u16) + sum);

			AT(l4, 6, __u16) = check ? check : 0xffff;
		}
	}
	AT(l4, 0, __u32) = ports;
	return GO_ON;
}

/* A client's packet to a nat service. Returns the packet's end. */
stage int nat4_forward(struct xdp_md *ctx, const struct packet *packet, struct sl_stats *stats)
{
	void *data = (void *)(long)ctx->data;
	struct entry forward = {.place = NOWHERE};
	__u32 id;
	int end;

	void *ip = ip_header(data, (void *)(long)ctx->data_end, packet->l3, 20);

	if (unlikely(!ip))
		return BUG;
	forward.key = SL_FORWARD_KEY(AT(ip, 12, __u32), packet->ports, packet->service);
	if (unlikely(!find_at_home(&forward) || !is_plain_sailing(&forward, packet->tcp_flags) ||
		     !is_way(&ways[forward.more & (SL_WAYS - 1)], data))) {
		struct errand *errand = (struct errand *)stats->scratch;

		errand->flow = forward;
		errand->packet = *packet;
		end = follow_flow4(ctx, errand);
		if (end != GO_ON)
			return end;
		change_way(ctx, &errand->flow);
		forward = errand->flow;
	}
	id = backend_of(&forward);
	struct sl_backend *backend = bpf_map_lookup_elem(&backend_pool, &id);

	if (unlikely(!backend))
		return count_dropped(packet->service, 0, ABORT(MISSING_BACKEND));
	if (unlikely(packet->ip_length > backend->room)) {
		end = look_again(ctx, id, packet->l3, packet->protocol, packet->ip_length);
		if (end != GO_ON)
			return count_dropped(packet->service, id, end);
	}
	end = rewrite4(ctx, packet, backend->source[0], backend->address[0],
		       bpf_htons(port_of(&forward)) | (__u32)backend_port(backend, (__be16)(packet->ports >> 16)) << 16);
	if (unlikely(end != GO_ON))
		return end;
	end = address_frame(ctx, backend);
	if (unlikely(end != GO_ON))
		return end;
	end = send(backend->interface, SL_REASON_NAT);
	if (unlikely(end == DROP(MISSING_INTERFACE)))
		return count_dropped(packet->service, id, end);
	count_forwarded(stats, packet->service, id, packet->bytes);
	return end;
}

/* When a flow was told last that replies go on: the interval of four seconds, as far as six bits tell. Fewer would not do: a
 * backend that speaks every eight seconds would never be noted. */
#define REPLY_INTERVAL (63 * SL_REPLY_TICK)

stage __u32 reply_interval(void)
{
	return (control.epoch >> 2) * SL_REPLY_TICK & REPLY_INTERVAL;
}

/* A backend's packet that tells its flow something. Returns whether there is such a flow. */
separate int follow_reply4(struct entry *reply, __u32 tcp_flags)
{
	struct entry forward = {};
	__u64 value;

	if (!reply)
		return 0;
	/* Nor is it of a flow that was thrown out and that its client has opened anew, on another port. */
	if (!find_flow(reply->value, &forward) || is_flow_over(forward.value) ||
	    port_of(&forward) != SL_NAT_FIRST_PORT + ((__u32)reply->key & 0x3fff) ||
	    backend_of(&forward) != reply->more >> 16) {
		swap_value(reply->place, reply->value, 0);
		return 0;
	}
	value = touched(forward.value) | SL_FLOW4_ANSWERED;
	if (tcp_flags & TCP_RST)
		value |= SL_FLOW4_CLOSED;
	else if (tcp_flags & TCP_FIN)
		value |= SL_FLOW4_BACKEND_CLOSED;
	if (!swap_flow(&forward, value))
		return 1; /* the client's packet was quicker; the next reply says it again */
	swap_more(reply, (reply->more & ~0xffu) | SL_REPLY_ANSWERED | reply_interval());
	return 1;
}

/* The reply is not in its first place, or tells its flow something. Returns whether there is such a flow, with *reply. */
separate int find_reply4(struct entry *reply, __u32 tcp_flags)
{
	if (!reply || (reply->place == NOWHERE && !find_flow(reply->key, reply)))
		return 0;
	return follow_reply4(reply, tcp_flags);
}

/* Is there nothing to note about this packet of a backend? */
stage int is_plain_reply(const struct entry *reply, __u8 tcp_flags)
{
	return reply->more & SL_REPLY_ANSWERED && (reply->more & REPLY_INTERVAL) == reply_interval() &&
	       !(tcp_flags & (TCP_FIN | TCP_RST));
}

/* A backend's packet. It goes where the client's packets come from. Returns the packet's end, or PARSE_SLOWLY. */
stage int nat4_reply(struct xdp_md *ctx, const struct packet *packet, struct sl_stats *stats)
{
	void *data = (void *)(long)ctx->data;
	struct entry reply = {.place = NOWHERE};
	int end;

	void *ip = ip_header(data, (void *)(long)ctx->data_end, packet->l3, 20);

	if (unlikely(!ip))
		return BUG;
	reply.key = reply_key(AT(ip, 12, __u32), (__be16)packet->ports, packet->protocol == TCP,
			      bpf_ntohs(packet->ports >> 16));
	if (unlikely(!find_at_home(&reply) || !is_plain_reply(&reply, packet->tcp_flags))) {
		struct entry *found = (struct entry *)stats->scratch;

		*found = reply;
		if (!find_reply4(found, packet->tcp_flags))
			return PARSE_SLOWLY; /* a range's flow, or none: nat_flows knows */
		reply = *found;
	}
	__u32 service = (__u32)reply.value & (SL_MAX_SERVICES - 1);
	struct sl_vip *vip = &vips[service];
	struct sl_way *way = &ways[(reply.more >> 8) & (SL_WAYS - 1)];
	__u32 interface = way->interface;

	end = rewrite4(ctx, packet, vip->address, (__be32)(reply.value >> 32),
		       vip->port | ((__u32)reply.value & 0xffff0000));
	if (unlikely(end != GO_ON))
		return end;
	data = (void *)(long)ctx->data;
	if (unlikely(data + ETHERNET > (void *)(long)ctx->data_end))
		return BUG;
	if (likely(reply.more & 0xff00)) { /* the client's frame turned round */
		AT(data, 0, __u32) = AT(way->ethernet, 6, __u32);
		AT(data, 4, __u16) = AT(way->ethernet, 10, __u16);
		AT(data, 6, __u32) = AT(way->ethernet, 0, __u32);
		AT(data, 10, __u16) = AT(way->ethernet, 4, __u16);
	} else {
		__u32 found = 0;

		end = ask_kernel(ctx, (__be32)(reply.value >> 32), &found);
		if (end != GO_ON)
			return end;
		interface = found;
	}
	end = send(interface, SL_REASON_NAT_REPLY);
	if (unlikely(end == DROP(MISSING_INTERFACE)))
		return count_dropped(service, reply.more >> 16, end);
	count_reply(stats, service, reply.more >> 16, packet->bytes);
	return end;
}

#endif
