/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Forward: the two ways of direct server return, and the last step of all ways: out of the right interface. */
#ifndef SLUICE_FORWARD_H
#define SLUICE_FORWARD_H

/* Destination and source MAC, twelve bytes in two stores. */
stage void write_ethernet(void *data, const void *ethernet)
{
	AT(data, 0, __u64) = AT(ethernet, 0, __u64);
	AT(data, 8, __u32) = AT(ethernet, 8, __u32);
}

/* Sends the packet out of an interface. Returns the packet's end: DROP(MISSING_INTERFACE) where there is no such interface. */
stage int send(__u32 interface, __u32 reason)
{
	if (likely(interface == interface_slot))
		return END(XDP_TX, reason);
	return likely(bpf_redirect_map(&tx_ports, interface, XDP_DROP) == XDP_REDIRECT) ? END(XDP_REDIRECT, reason) :
											 DROP(MISSING_INTERFACE);
}

/* The outer IPv4 header (RFC 2003): no options, DF set, the source's varying bits from the flow. */
stage void write_outer4(void *ip, const struct sl_backend *backend, __u32 inner_length, __u32 protocol, __u64 hash)
{
	__u32 vary = (__u32)hash & backend->source_mask;
	__u32 length = bpf_htons(inner_length + 20);
	__u32 sum = backend->outer_sum + length + (protocol << 8) + (vary & 0xffff) + (vary >> 16);

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	AT(ip, 0, __u32) = 0x0045 | length << 16;
	AT(ip, 4, __u32) = 0x00400000;
	AT(ip, 8, __u32) = SL_OUTER_TTL | protocol << 8 | (__u32)(__u16)~sum << 16;
	AT(ip, 12, __u32) = backend->source[0] | vary;
	AT(ip, 16, __u32) = backend->address[0];
}

/* The outer IPv6 header (RFC 2473), likewise. */
stage void write_outer6(void *ip, const struct sl_backend *backend, __u32 inner_length, __u32 protocol, __u64 hash)
{
	AT(ip, 0, __u32) = 0x60;
	AT(ip, 4, __u32) = bpf_htons(inner_length) | (protocol | SL_OUTER_TTL << 8) << 16;
	AT(ip, 8, __u32) = backend->source[0];
	AT(ip, 12, __u32) = backend->source[1];
	AT(ip, 16, __u32) = backend->source[2];
	AT(ip, 20, __u32) = backend->source[3] | ((__u32)hash & backend->source_mask);
	AT(ip, 24, __u32) = backend->address[0];
	AT(ip, 28, __u32) = backend->address[1];
	AT(ip, 32, __u32) = backend->address[2];
	AT(ip, 36, __u32) = backend->address[3];
}

/* Makes room for an outer header between Ethernet, with its tags, and the packet. GO_ON, or an end. The fast paths know that
 * there are no tags and pay nothing for them. */
stage int grow(struct xdp_md *ctx, __u32 l3, int by)
{
	void *data = (void *)(long)ctx->data;
	__u64 tags = 0;

	if (l3 != ETHERNET) {
		if (data + 22 > (void *)(long)ctx->data_end)
			return BUG;
		tags = AT(data, 12, __u64);
	}
	if (unlikely(bpf_xdp_adjust_head(ctx, -by)))
		return DROP(NO_HEADROOM);
	if (l3 != ETHERNET) {
		data = (void *)(long)ctx->data;
		if (data + 22 > (void *)(long)ctx->data_end)
			return BUG;
		AT(data, 12, __u64) = tags;
	}
	return GO_ON;
}

/* Puts an outer IPv4 header before the packet. GO_ON, or an end. */
stage int encapsulate4(struct xdp_md *ctx, const struct packet *packet, const struct sl_backend *backend)
{
	int end = grow(ctx, packet->l3, 20);

	if (unlikely(end != GO_ON))
		return end;
	void *data = (void *)(long)ctx->data, *ip = ip_header(data, (void *)(long)ctx->data_end, packet->l3, 20);

	if (unlikely(!ip))
		return BUG;
	write_outer4(ip, backend, packet->ip_length, packet->ipv6 ? 41 : 4, packet->hash);
	AT(ip, -2, __u16) = backend->ethertype;
	write_ethernet(data, backend->ethernet);
	return GO_ON;
}

/* Puts an outer IPv6 header before the packet. GO_ON, or an end. */
stage int encapsulate6(struct xdp_md *ctx, const struct packet *packet, const struct sl_backend *backend)
{
	int end = grow(ctx, packet->l3, 40);

	if (unlikely(end != GO_ON))
		return end;
	void *data = (void *)(long)ctx->data, *ip = ip_header(data, (void *)(long)ctx->data_end, packet->l3, 40);

	if (unlikely(!ip))
		return BUG;
	write_outer6(ip, backend, packet->ip_length, packet->ipv6 ? 41 : 4, packet->hash);
	AT(ip, -2, __u16) = backend->ethertype;
	write_ethernet(data, backend->ethernet);
	return GO_ON;
}

/* Only the frame's addresses change. GO_ON, or an end. */
stage int address_frame(struct xdp_md *ctx, const struct sl_backend *backend)
{
	void *data = (void *)(long)ctx->data;

	if (unlikely(data + ETHERNET > (void *)(long)ctx->data_end))
		return BUG;
	write_ethernet(data, backend->ethernet);
	return GO_ON;
}

/* Why nothing of this length can be sent to the backend; its sender may be told (too_big.h). Returns the packet's end. */
separate int refuse(struct xdp_md *ctx, __u32 backend_id, __u32 l3, __u32 protocol);

/* A second look at a packet that is larger than its backend's `room`: it does not fit, or the backend has a limit (limit.h).
 * GO_ON if it is to be sent, or its end. */
separate int look_again(struct xdp_md *ctx, __u32 backend_id, __u32 l3, __u32 protocol, __u32 ip_length);

/* Can a new nat flow go to this backend? GO_ON, or an end. */
stage int check_nat_backend(struct xdp_md *ctx, const struct packet *packet, __u32 id)
{
	struct sl_backend *backend = bpf_map_lookup_elem(&backend_pool, &id);

	if (!backend)
		return ABORT(MISSING_BACKEND);
	if (backend->forwarding != SL_FORWARDING_NAT) /* the pool is just being changed */
		return DROP(NO_BACKEND);
	if (backend->flags & SL_BACKEND_PRESENT && packet->ipv6 != !!(backend->flags & SL_BACKEND_IPV6))
		return DROP(FAMILY_MISMATCH);
	/* A limit is asked when the packet is sent. */
	return packet->ip_length <= sl_room(backend) ? GO_ON : refuse(ctx, id, packet->l3, packet->protocol);
}

/* The backend of a new nat flow. GO_ON if the packet can be sent there, or an end; *chosen is set in either case, to 0 if none
 * was chosen. */
separate int choose_nat_backend(struct xdp_md *ctx, struct packet *packet, __u32 *chosen)
{
	int end;

	if (!packet || !chosen)
		return BUG;
	packet->named = named_backend(ctx, packet);
	end = choose_backend(packet, chosen);
	if (end != GO_ON)
		return end;
	end = check_nat_backend(ctx, packet, *chosen);
	if (end != GO_ON && counts_flows(packet))
		leave(*chosen);
	return end;
}

/* To a backend by direct return. Returns the packet's end. */
stage int forward_to(struct xdp_md *ctx, const struct packet *packet, struct sl_stats *stats, __u32 id)
{
	__u32 reason;
	int end;
	struct sl_backend *backend = bpf_map_lookup_elem(&backend_pool, &id);

	if (unlikely(!backend))
		return count_dropped(packet->service, 0, ABORT(MISSING_BACKEND));
	if (unlikely(packet->ip_length > backend->room)) {
		end = look_again(ctx, id, packet->l3, packet->protocol, packet->ip_length);
		if (end != GO_ON)
			return count_dropped(packet->service, id, end);
	}
	if (backend->outer == 20) {
		end = encapsulate4(ctx, packet, backend);
		reason = SL_REASON_DSR_IPIP4;
	} else if (backend->outer) {
		end = encapsulate6(ctx, packet, backend);
		reason = SL_REASON_DSR_IPIP6;
	} else {
		end = address_frame(ctx, backend);
		reason = SL_REASON_DSR_L2;
	}
	if (unlikely(end != GO_ON))
		return count_dropped(packet->service, id, end);
	end = send(backend->interface, reason);
	if (unlikely(end == DROP(MISSING_INTERFACE)))
		return count_dropped(packet->service, id, end);
	count_forwarded(stats, packet->service, id, packet->bytes);
	if (unlikely(packet->tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST)) && !(packet->flags & SL_SERVICE_TRACKED))
		count_edges(packet->service, id, opens(packet->tcp_flags),
			    !!(packet->tcp_flags & (TCP_FIN | TCP_RST)));
	return end;
}

/* The backend of a packet by direct return: the slot decides, unless the pool remembers its flows or the packet says itself
 * whose it is. GO_ON with *id, or the packet's end. */
stage int dsr_backend(struct xdp_md *ctx, struct packet *packet, struct sl_stats *stats, __u32 *id)
{
	if (unlikely(packet->flags & (SL_SERVICE_TRACKED | SL_SERVICE_QUIC))) {
		if (packet->flags & SL_SERVICE_TRACKED)
			return tracked_backend(ctx, packet, stats, id);
		*id = named_backend(ctx, packet);
		if (*id)
			return GO_ON;
	}
	int end = select_backend(packet, id);

	return likely(end == GO_ON) ? end : count_dropped(packet->service, 0, end);
}

/* dsr-l2 and dsr-ipip. Returns the packet's end. */
stage int forward_dsr(struct xdp_md *ctx, struct packet *packet, struct sl_stats *stats)
{
	__u32 id = 0;
	int end = dsr_backend(ctx, packet, stats, &id);

	return likely(end == GO_ON) ? forward_to(ctx, packet, stats, id) : end;
}

#endif
