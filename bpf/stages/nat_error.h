/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Nat errors: an ICMP error about a flow of nat. It quotes a packet as it left here, which its sender knows by other addresses
 * and ports: the quote is turned back into what was sent, and the error goes to who sent it, from the client's side to the
 * backend and from the backend's side to the client (RFC 3022, section 4.3; RFC 5508, section 4.2). It changes nothing that
 * is remembered of the flow. What quotes no flow of ours is the kernel's.
 */
#ifndef SLUICE_NAT_ERROR_H
#define SLUICE_NAT_ERROR_H

/* The quoted packet as its sender sent it, and the way to there. */
struct original {
	__u32 source[4], destination[4]; /* network order; IPv4 in [0] */
	__u32 ports;                     /* source in the low half */
	__u32 backend;                   /* id */
	__u32 service;                   /* id */
	__u32 interface;
	__u8 ethernet[12];
	__u32 ask_kernel; /* for the way: it is not remembered */
};
_Static_assert(sizeof(struct original) <= sizeof(((struct sl_stats *)0)->scratch), "originals fit the scratch");

/* Sent by a backend: what the error does not fit, or goes beyond the backend's limit, is refused. GO_ON, or an end. */
stage int towards_backend(struct xdp_md *ctx, const struct packet *packet, struct original *original, __u32 id)
{
	struct sl_backend *backend = bpf_map_lookup_elem(&backend_pool, &id);

	if (!backend)
		return ABORT(MISSING_BACKEND);
	original->backend = id;
	original->service = packet->service;
	original->interface = backend->interface;
	write_ethernet(original->ethernet, backend->ethernet);
	original->ask_kernel = 0;
	return packet->ip_length <= backend->room ? GO_ON : look_again(ctx, id, packet->l3, packet->protocol, packet->ip_length);
}

/* A flow of the table of IPv4 flows, by the client's side. Returns whether there is one, with its backend's id. */
separate __u32 sent_by_backend4(struct packet *packet, struct original *original)
{
	struct entry forward = {};
	__u32 id;

	if (!packet || !original || !find_flow(SL_FORWARD_KEY(packet->client, packet->ports, packet->service), &forward))
		return 0;
	id = backend_of(&forward);
	struct sl_backend *backend = bpf_map_lookup_elem(&backend_pool, &id);

	if (!backend || !is_in_use(backend) || backend->forwarding != SL_FORWARDING_NAT)
		return 0;
	original->source[0] = backend->address[0];
	original->destination[0] = backend->source[0];
	original->ports = backend_port(backend, (__be16)(packet->ports >> 16)) | (__u32)bpf_htons(port_of(&forward)) << 16;
	return id;
}

/* And by the backend's side. Returns whether there is one. */
separate int sent_by_client4(struct packet *packet, struct original *original)
{
	struct entry reply = {}, forward = {};
	struct sl_vip *vip;
	struct sl_way *way;

	if (!packet || !original)
		return 0;
	if (!find_flow(reply_key((__u32)packet->client, (__be16)packet->ports, packet->quoted_protocol == TCP,
				 bpf_ntohs(packet->ports >> 16)), &reply) ||
	    !find_flow(reply.value, &forward))
		return 0;
	original->service = (__u32)reply.value & (SL_MAX_SERVICES - 1);
	vip = &vips[original->service];
	way = &ways[(reply.more >> 8) & (SL_WAYS - 1)];
	original->source[0] = reply.value >> 32;
	original->destination[0] = vip->address;
	original->ports = ((__u32)reply.value >> 16) | (__u32)vip->port << 16;
	original->backend = reply.more >> 16;
	original->interface = way->interface;
	original->ask_kernel = !(reply.more & 0xff00);
	write_turned(original->ethernet, AT(way->ethernet, 0, __u64), AT(way->ethernet, 8, __u32));
	return 1;
}

/* A flow of nat_flows, by either side: the quoted packet's reply has its key. Returns its backend's id; 0 if there is none. */
separate __u32 sender_of(struct xdp_md *ctx, struct packet *packet, struct original *original)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct sl_flow_key key = {};

	if (!packet || !original)
		return 0;
	void *inner = data + packet->l4 + ICMP_HEADER;

	if (packet->ipv6) {
		if (inner + 40 > end)
			return 0;
		__builtin_memcpy(key.source, inner + 24, 16);
		__builtin_memcpy(key.destination, inner + 8, 16);
	} else {
		if (inner + 20 > end)
			return 0;
		key.source[0] = AT(inner, 16, __u32);
		key.destination[0] = AT(inner, 12, __u32);
	}
	key.source_port = (__be16)packet->ports;
	key.destination_port = (__be16)(packet->ports >> 16);
	key.protocol = packet->quoted_protocol;
	key.ipv6 = packet->ipv6;
	struct sl_flow *flow = bpf_map_lookup_elem(&nat_flows, &key);

	if (!flow || !(flow->flags & SL_FLOW_REPLY) != !!packet->service)
		return 0;
	copy_address(original->source, flow->destination);
	copy_address(original->destination, flow->source);
	original->ports = flow->destination_port | (__u32)flow->source_port << 16;
	original->service = flow->service;
	original->backend = flow->backend;
	original->interface = flow->interface;
	write_ethernet(original->ethernet, flow->ethernet);
	original->ask_kernel = 0;
	return flow->backend;
}

/* A word of a header becomes another; *sum gets what that adds to a checksum (RFC 1624, equation 3). */
stage void replace_word(void *at, __u32 new, __u64 *sum)
{
	*sum += (__u64)(__u32)~AT(at, 0, __u32) + new;
	AT(at, 0, __u32) = new;
}

stage void replace_address(void *at, const __u32 *new, int ipv6, __u64 *sum)
{
	replace_word(at, new[0], sum);
	if (ipv6) {
		replace_word(at + 4, new[1], sum);
		replace_word(at + 8, new[2], sum);
		replace_word(at + 12, new[3], sum);
	}
}

/* A checksum follows what changed under it. Returns what that adds to a sum over the checksum itself. */
stage __u64 carry_sum(void *at, __u64 sum, int udp)
{
	__u16 old = AT(at, 0, __u16), new = ~fold((__u16)~old + sum);

	if (udp && !old) /* none was computed (RFC 768) */
		return 0;
	if (udp && !new)
		new = 0xffff;
	AT(at, 0, __u16) = new;
	return (__u64)(__u16)~old + new;
}

/* The quoted packet becomes the one that was sent, and the error comes from where that one's answer would. GO_ON, or an end. */
stage int turn_back(struct xdp_md *ctx, struct packet *packet, struct original *original, const int ipv6)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	void *ip = ip_behind_tags(data, packet->l3), *icmp = data + packet->l4, *inner = icmp + ICMP_HEADER;
	const int source = ipv6 ? 8 : 12, destination = ipv6 ? 24 : 16, header = ipv6 ? 40 : 20;
	__u32 quoted = packet->quoted & 0x1ff, sum_at = packet->quoted_protocol == TCP ? 16 : 6;
	void *ports = data + quoted;
	__u64 outer = 0, addresses = 0, l4, all;
	int hides; /* does the backend see no address but ours? */

	opaque(ports);
	if (ip + header > end || inner + header > end || ports + QUOTED_L4 > end)
		return BUG;
	hides = AT(inner, destination, __u32) != original->destination[0];
	if (ipv6)
		hides |= AT(inner, destination + 4, __u32) != original->destination[1] ||
			 AT(inner, destination + 8, __u32) != original->destination[2] ||
			 AT(inner, destination + 12, __u32) != original->destination[3];
	replace_address(ip + destination, original->source, ipv6, &outer);
	if (hides)
		replace_address(ip + source, original->destination, ipv6, &outer);
	replace_address(inner + source, original->source, ipv6, &addresses);
	replace_address(inner + destination, original->destination, ipv6, &addresses);
	l4 = addresses;
	replace_word(ports, original->ports, &l4);
	all = l4;
	if (!ipv6) {
		carry_sum(ip + 10, outer, 0);
		all += carry_sum(inner + 10, addresses, 0);
	} else { /* its checksum covers both addresses */
		all += outer;
	}
	/* TCP's checksum is quoted by those only who quote more than they must. */
	if (quoted + sum_at + 2 <= (__u32)packet->l3 + packet->ip_length) {
		void *sum = ports + sum_at;

		opaque(sum);
		if (sum + 2 > end)
			return BUG;
		all += carry_sum(sum, l4, packet->quoted_protocol == UDP);
	}
	carry_sum(icmp + 2, all, 0);
	return GO_ON;
}

separate int turn_back4(struct xdp_md *ctx, struct packet *packet, struct original *original)
{
	return packet && original ? turn_back(ctx, packet, original, 0) : BUG;
}

separate int turn_back6(struct xdp_md *ctx, struct packet *packet, struct original *original)
{
	return packet && original ? turn_back(ctx, packet, original, 1) : BUG;
}

/* Who sent the quoted packet? GO_ON with *original, or the error's end. */
stage int find_original(struct xdp_md *ctx, struct packet *packet, struct original *original)
{
	__u32 id = 0;

	if (packet->service) {
		if (packet->flags & SL_SERVICE_NAT4)
			id = sent_by_backend4(packet, original);
		if (!id)
			id = sender_of(ctx, packet, original);
		return id ? towards_backend(ctx, packet, original, id) : PASS(ICMP);
	}
	if (!packet->ipv6 && sent_by_client4(packet, original))
		return GO_ON;
	return sender_of(ctx, packet, original) ? GO_ON : PASS(ICMP);
}

/* An ICMP error whose quoted packet a nat service or one of its backends' addresses of ours has sent. Returns its end. */
separate int nat_error(struct xdp_md *ctx, struct packet *packet)
{
	struct sl_stats *stats = my_stats();
	int end;

	if (!packet || !stats)
		return BUG;
	struct original *original = (struct original *)stats->scratch;

	end = find_original(ctx, packet, original);
	if (end == GO_ON)
		end = packet->ipv6 ? turn_back6(ctx, packet, original) : turn_back4(ctx, packet, original);
	if (end != GO_ON)
		return packet->service && end != PASS(ICMP) ? count_dropped(packet->service, original->backend, end) : end;
	__u32 interface = original->interface;
	void *data = (void *)(long)ctx->data;

	if (data + ETHERNET > (void *)(long)ctx->data_end)
		return BUG;
	if (original->ask_kernel) {
		end = ask_kernel(ctx, original->source[0], &interface);
		if (end != GO_ON)
			return end;
	} else {
		write_ethernet(data, original->ethernet);
	}
	end = send(interface, SL_REASON_ICMP_ERROR);
	if (end == DROP(MISSING_INTERFACE))
		return count_dropped(original->service, original->backend, end);
	if (packet->service)
		count_forwarded(stats, original->service, original->backend, packet->bytes);
	else
		count_reply(stats, original->service, original->backend, packet->bytes);
	return end;
}

#endif
