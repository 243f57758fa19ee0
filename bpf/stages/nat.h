/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Nat: rewrites a packet as its flow says, on the way to the backend and on the way back. */
#ifndef SLUICE_NAT_H
#define SLUICE_NAT_H

stage void update_sum(__u16 *sum, __u32 delta)
{
	*sum = ~fold((__u64)(__u16)~*sum + delta);
}

/* Addresses, ports and checksums. GO_ON, or an end. */
stage int rewrite(struct xdp_md *ctx, const struct packet *packet, const struct sl_flow *flow)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	void *ip = data + packet->l3, *l4 = data + packet->l4;

	if (packet->ipv6) {
		if (ip + 40 > end)
			return BUG;
		__builtin_memcpy(ip + 8, flow->source, 16);
		__builtin_memcpy(ip + 24, flow->destination, 16);
	} else {
		if (ip + 20 > end)
			return BUG;
		update_sum(ip + 10, flow->ip_sum);
		AT(ip, 12, __u32) = flow->source[0];
		AT(ip, 16, __u32) = flow->destination[0];
	}
	if (packet->protocol == TCP) {
		if (l4 + 20 > end)
			return BUG;
		update_sum(l4 + 16, flow->l4_sum);
	} else {
		if (l4 + 8 > end)
			return BUG;
		/* UDP: zero means that no checksum was computed (RFC 768), so it stays, and is never the result of one. */
		if (AT(l4, 6, __u16)) {
			update_sum(l4 + 6, flow->l4_sum);
			if (!AT(l4, 6, __u16))
				AT(l4, 6, __u16) = 0xffff;
		}
	}
	AT(l4, 0, __be16) = flow->source_port;
	AT(l4, 2, __be16) = flow->destination_port;
	return GO_ON;
}

/* Notes FIN and RST. Returns what this packet closes for the first time. */
stage __u32 touch(struct sl_flow_key *key, struct sl_flow *flow, __u8 tcp_flags, __u8 side)
{
	__u32 closes = tcp_flags & TCP_RST ? SL_CLOSING_BOTH : tcp_flags & TCP_FIN ? side : 0;
	__u32 fresh = closes & ~flow->closing;

	if (unlikely(fresh)) {
		flow->closing |= closes;
		tell_other_direction(key, flow);
	}
	return fresh;
}

/* Is this packet of the flow that its addresses and ports were used for last? Not if that was closed or has been silent for
 * too long, nor if the backend's entry has gone or serves another address. Where the backend cannot be reached, what
 * begins anew goes to another. */
stage int goes_on(struct sl_flow_key *key, struct sl_flow *flow, __u8 tcp_flags)
{
	int opening = opens(tcp_flags);
	__u32 id = flow->backend;
	struct sl_backend *backend = bpf_map_lookup_elem(&backend_pool, &id);

	if (!backend || !is_in_use(backend) || backend->forwarding != SL_FORWARDING_NAT ||
	    !same_address(backend->address, flow->destination))
		return 0;
	if (opening && flow->closing == SL_CLOSING_BOTH)
		return 0;
	if (unlikely(!(backend->flags & SL_BACKEND_RESOLVED)) && (opening || key->protocol == UDP))
		return 0;
	if (flow->seen != control.epoch || (key->protocol == TCP && !(flow->flags & SL_FLOW_ESTABLISHED))) {
		if (key->protocol == UDP && is_over(flow, UDP))
			return 0;
		return keep_together(key, flow, tcp_flags);
	}
	return 1;
}

/* A client's packet to a nat service. Returns the packet's end. */
separate int nat_forward(struct xdp_md *ctx, struct packet *packet)
{
	struct sl_stats *stats = my_stats();
	__u32 service, id = 0;
	int opened = 0, end;

	if (!packet || !stats)
		return BUG;
	struct sl_flow_key *key = (struct sl_flow_key *)stats->scratch;

	service = packet->service;
	end = read_key(ctx, packet, key);

	if (end != GO_ON)
		return end;
	struct sl_flow *flow = bpf_map_lookup_elem(&nat_flows, key);

	if (flow && !goes_on(key, flow, packet->tcp_flags)) {
		forget_flow(key, flow);
		flow = 0;
	}
	if (!flow) {
		end = new_flow(ctx, packet, &id);
		if (end != GO_ON)
			return count_dropped(service, id, end);
		opened = packet->protocol == UDP || opens(packet->tcp_flags);
		flow = bpf_map_lookup_elem(&nat_flows, key);
		if (!flow)
			return count_dropped(service, id, DROP(FLOW_TABLE_FULL));
	}
	id = flow->backend;
	struct sl_backend *backend = bpf_map_lookup_elem(&backend_pool, &id);

	if (!backend)
		return count_dropped(service, 0, ABORT(MISSING_BACKEND));
	if (packet->ip_length > backend->room) {
		end = look_again(ctx, id, packet->l3, packet->protocol, packet->ip_length);
		if (end != GO_ON)
			return count_dropped(service, id, end);
	}
	void *data = (void *)(long)ctx->data;

	if (data + ETHERNET > (void *)(long)ctx->data_end)
		return BUG;
	if (unlikely(AT(flow->ethernet, 0, __u32) != AT(data, 0, __u32) ||
		     AT(flow->ethernet, 4, __u32) != AT(data, 4, __u32) ||
		     AT(flow->ethernet, 8, __u32) != AT(data, 8, __u32) || flow->interface != interface_slot)) {
		AT(flow->ethernet, 0, __u32) = AT(data, 0, __u32);
		AT(flow->ethernet, 4, __u32) = AT(data, 4, __u32);
		AT(flow->ethernet, 8, __u32) = AT(data, 8, __u32);
		flow->interface = interface_slot;
		tell_other_direction(key, flow);
	}
	int closed = touch(key, flow, packet->tcp_flags, SL_CLOSING_CLIENT) & SL_CLOSING_CLIENT;

	end = rewrite(ctx, packet, flow);
	if (end != GO_ON)
		return end;
	data = (void *)(long)ctx->data;
	if (data + ETHERNET > (void *)(long)ctx->data_end)
		return BUG;
	write_ethernet(data, backend->ethernet);
	end = send(backend->interface, SL_REASON_NAT);
	if (end == DROP(MISSING_INTERFACE))
		return count_dropped(service, id, end);
	count_forwarded(stats, service, id, packet->bytes);
	if (opened | closed)
		count_edges(service, id, opened, !!closed);
	return end;
}

/* A backend's packet. It goes where the client's packets come from. Returns the packet's end. */
separate int nat_reply(struct xdp_md *ctx, struct packet *packet)
{
	struct sl_stats *stats = my_stats();
	struct sl_flow_key key;
	int end;

	if (!packet || !stats)
		return BUG;
	end = read_key(ctx, packet, &key);

	if (end != GO_ON)
		return end;
	struct sl_flow *flow = bpf_map_lookup_elem(&nat_flows, &key);

	if (!flow || !(flow->flags & SL_FLOW_REPLY))
		return PASS(UNKNOWN_REPLY);
	if (flow->seen != control.epoch || !(flow->flags & SL_FLOW_ANSWERED)) {
		flow->seen = control.epoch;
		flow->flags |= SL_FLOW_ANSWERED;
	}
	touch(&key, flow, packet->tcp_flags, SL_CLOSING_BACKEND);
	end = rewrite(ctx, packet, flow);
	if (end != GO_ON)
		return end;
	void *data = (void *)(long)ctx->data;

	if (data + ETHERNET > (void *)(long)ctx->data_end)
		return BUG;
	write_ethernet(data, flow->ethernet);
	end = send(flow->interface, SL_REASON_NAT_REPLY);
	if (end == DROP(MISSING_INTERFACE))
		return count_dropped(flow->service, flow->backend, end);
	count_reply(stats, flow->service, flow->backend, packet->bytes);
	return end;
}

#endif
