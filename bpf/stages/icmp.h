/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * ICMP for a VIP, or for an address from which nat sends. An error goes where the flow that it is about goes: it quotes a
 * packet that the service sent, so the quoted source is the service and the quoted destination the client; or one that nat
 * sent to a backend (nat_error.h). An echo request is answered here if the VIP is to answer. All else is the kernel's.
 * Checksums are not verified: whoever gets the packet does that.
 */
#ifndef SLUICE_ICMP_H
#define SLUICE_ICMP_H

#define QUOTED_L4 8 /* what RFC 792 makes every error quote of the L4 header; the ports are in it */

/* The types that say that a packet did not arrive. Redirects and the like are for a router, not for a flow. */
stage int is_icmp_error(const struct packet *packet, __u8 type)
{
	return packet->ipv6 ? type >= 1 && type <= 4 : type == 3 || type == 11 || type == 12;
}

/* The end of an error that was sent to the backend of its flow: it is not a packet of the flow. */
stage int end_of_error(int end)
{
	return end >> 8 == XDP_TX || end >> 8 == XDP_REDIRECT ? END(end >> 8, SL_REASON_ICMP_ERROR) : end;
}

/* The quoted packet's ports, turned round: as the client sends them. GO_ON, or an end. */
stage int quoted_ports(void *data, void *end, struct packet *packet, __u32 quoted)
{
	if (quoted + QUOTED_L4 > (__u32)packet->l3 + packet->ip_length)
		return PASS(TRUNCATED);
	quoted &= 0x1ff;
	void *header = data + quoted;

	if (header + QUOTED_L4 > end)
		return PASS(TRUNCATED);
	__u32 ports = AT(header, 0, __u32);

	packet->ports = ports << 16 | ports >> 16;
	packet->quoted = quoted;
	return GO_ON;
}

/* GO_ON with the service that sent the quoted packet, or without one if nat may have sent it; otherwise an end. */
stage int quoted_service(struct packet *packet, struct sl_front *front, __u32 address_id, const struct sl_services *services,
			 __u8 protocol)
{
	packet->quoted_protocol = protocol;
	if (address_id & SL_ADDRESS_NAT_SOURCE)
		return is_nat_port(packet->ports) && (protocol == TCP || protocol == UDP) ? GO_ON : PASS(ICMP);
	struct sl_service *service = find_service(front, address_id, services, protocol, packet->ports);

	opaque(service); /* clang 14 would compare the key again instead, which the verifier does not understand */
	if (!service)
		return PASS(ICMP);
	take_service(packet, service);
	return GO_ON;
}

/* Is the packet that an error quotes one of nat? */
stage int is_of_nat(const struct packet *packet)
{
	return !packet->service || packet->flags & SL_SERVICE_NAT;
}

/* The service that sent the quoted packet. GO_ON with the flow's hash and its client, or an end. */
separate int icmp_error4(struct xdp_md *ctx, struct packet *packet)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct sl_front *front = active_front();

	if (!packet)
		return BUG;
	__u32 at = packet->l4 + ICMP_HEADER;
	void *ip = data + packet->l3, *inner = data + at;

	if (at + 20 > (__u32)packet->l3 + packet->ip_length)
		return PASS(TRUNCATED);
	if (ip + 20 > end || inner + 20 > end)
		return PASS(TRUNCATED);
	__u32 vip = AT(ip, 16, __u32), header = (AT(inner, 0, __u8) & 15) * 4;

	if (AT(inner, 0, __u8) >> 4 != 4 || header < 20)
		return PASS(MALFORMED);
	/* Not sent by the VIP; or a later fragment, which names no ports. */
	if (AT(inner, 12, __u32) != vip || AT(inner, 6, __be16) & bpf_htons(0x1fff))
		return PASS(ICMP);
	__u32 client = AT(inner, 16, __u32);
	__u8 protocol = AT(inner, 9, __u8);
	struct sl_address4 *address = find_address4(front, vip);

	if (!address)
		return PASS(ICMP);
	int outcome = quoted_ports(data, end, packet, at + header);

	if (outcome != GO_ON)
		return outcome;
	outcome = quoted_service(packet, front, address->id, &address->services, protocol);
	if (outcome != GO_ON)
		return outcome;
	packet->hash = sl_flow_hash4(client, packet->ports & packet->ports_mask, packet->hash);
	packet->client = client;
	return GO_ON;
}

separate int icmp_error6(struct xdp_md *ctx, struct packet *packet)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct sl_front *front = active_front();

	if (!packet)
		return BUG;
	__u32 at = packet->l4 + ICMP_HEADER, quoted = at + 40;
	void *ip = data + packet->l3, *inner = data + at;

	if (quoted > (__u32)packet->l3 + packet->ip_length)
		return PASS(TRUNCATED);
	if (ip + 40 > end || inner + 40 > end)
		return PASS(TRUNCATED);
	__u64 high = AT(ip, 24, __u64), low = AT(ip, 32, __u64);

	if (AT(inner, 0, __u8) >> 4 != 6)
		return PASS(MALFORMED);
	if (AT(inner, 8, __u64) != high || AT(inner, 16, __u64) != low)
		return PASS(ICMP);
	__u64 client_high = AT(inner, 24, __u64), client_low = AT(inner, 32, __u64);
	__u8 fragment = 0;
	int protocol = skip_extensions(data, end, AT(inner, 6, __u8), &quoted, &fragment);

	if (protocol < 0 || protocol > 0xff) /* a later fragment, or more headers than are followed: no service can be told */
		return protocol == PASS(TRUNCATED) ? protocol : PASS(ICMP);
	struct sl_address6 *address = find_address6(front, high, low);

	if (!address)
		return PASS(ICMP);
	int outcome = quoted_ports(data, end, packet, quoted);

	if (outcome != GO_ON)
		return outcome;
	outcome = quoted_service(packet, front, address->id, &address->services, protocol);
	if (outcome != GO_ON)
		return outcome;
	packet->hash = sl_flow_hash6(client_high, client_low, packet->ports & packet->ports_mask, packet->hash);
	packet->client = client6(client_high, client_low);
	return GO_ON;
}

/* Turns a word of a checksummed header into another. */
stage void replace(void *word, __u16 new, void *sum)
{
	__u16 old = AT(word, 0, __u16);

	AT(word, 0, __u16) = new;
	update_sum(sum, (__u32)(__u16)~old + new);
}

/* An echo request becomes its reply, in place. The kernel keeps those that need more thought: with options or extension
 * headers, which a reply must not simply repeat, and from or to a group. Returns the packet's end. */
separate int answer_echo4(struct xdp_md *ctx, struct packet *packet)
{
	if (!packet)
		return BUG;
	void *data = (void *)(long)ctx->data, *ip = ip_behind_tags(data, packet->l3), *icmp = ip + 20;

	if (packet->l4 != packet->l3 + 20 || data + ETHERNET > (void *)(long)ctx->data_end || icmp + ICMP_HEADER > (void *)(long)ctx->data_end || !may_answer(data, ip, 0))
		return PASS(ICMP);
	__u32 source = AT(ip, 12, __u32), vip = AT(ip, 16, __u32);
	struct sl_address4 *address = find_address4(active_front(), vip);

	if (!address || !(address->id & SL_ADDRESS_ANSWERS_ECHO))
		return PASS(ICMP);
	AT(ip, 12, __u32) = vip;
	AT(ip, 16, __u32) = source;
	replace(ip + 8, SL_OUTER_TTL | ICMP << 8, ip + 10);
	replace(icmp, ICMP_ECHO_REPLY, icmp + 2);
	write_turned(data, AT(data, 0, __u64), AT(data, 8, __u32));
	return END(XDP_TX, SL_REASON_ECHO);
}

separate int answer_echo6(struct xdp_md *ctx, struct packet *packet)
{
	if (!packet)
		return BUG;
	void *data = (void *)(long)ctx->data, *ip = ip_behind_tags(data, packet->l3), *icmp = ip + 40;

	if (packet->l4 != packet->l3 + 40 || data + ETHERNET > (void *)(long)ctx->data_end || icmp + ICMP_HEADER > (void *)(long)ctx->data_end || !may_answer(data, ip, 1))
		return PASS(ICMP);
	__u64 high = AT(ip, 24, __u64), low = AT(ip, 32, __u64);
	struct sl_address6 *address = find_address6(active_front(), high, low);

	if (!address || !(address->id & SL_ADDRESS_ANSWERS_ECHO))
		return PASS(ICMP);
	AT(ip, 24, __u64) = AT(ip, 8, __u64);
	AT(ip, 32, __u64) = AT(ip, 16, __u64);
	AT(ip, 8, __u64) = high;
	AT(ip, 16, __u64) = low;
	AT(ip, 7, __u8) = SL_OUTER_TTL;
	replace(icmp, ICMPV6_ECHO_REPLY, icmp + 2); /* the sum over both addresses stays as they change places */
	write_turned(data, AT(data, 0, __u64), AT(data, 8, __u32));
	return END(XDP_TX, SL_REASON_ECHO);
}

/* An ICMP message for a VIP, or for an address from which nat sends. GO_ON with the service and the hash of the flow that an error is about, or an end. */
separate int icmp(struct xdp_md *ctx, struct packet *packet)
{
	if (!packet)
		return BUG;
	void *data = (void *)(long)ctx->data, *header = data + packet->l4;

	if (packet->l4 + ICMP_HEADER > packet->l3 + packet->ip_length ||
	    header + ICMP_HEADER > (void *)(long)ctx->data_end)
		return PASS(TRUNCATED);
	if (is_icmp_error(packet, AT(header, 0, __u8)))
		return packet->ipv6 ? icmp_error6(ctx, packet) : icmp_error4(ctx, packet);
	if (AT(header, 0, __u16) == (packet->ipv6 ? ICMPV6_ECHO_REQUEST : ICMP_ECHO_REQUEST))
		return packet->ipv6 ? answer_echo6(ctx, packet) : answer_echo4(ctx, packet);
	return PASS(ICMP);
}

#endif
