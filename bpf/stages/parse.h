/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Parse: from a frame to a service's flow, or to the reason why it is none of ours. Two fast paths with constant offsets
 * take nearly everything; what they cannot take (tags, options, extension headers, short frames, ports without a service)
 * goes to parse_slow, which starts anew. Nothing is refused here that is not for an address of ours.
 */
#ifndef SLUICE_PARSE_H
#define SLUICE_PARSE_H

#define PARSE_SLOWLY (-2)
#define FOR_ICMP (-3)       /* an ICMP message for a VIP or an address from which nat sends */
#define LATER_FRAGMENT (-4) /* of what parse_slow returns: a fragment without ports that is to be followed */
#define IPV6_EXTENSIONS 6 /* headers that are followed */

/* A frame's length. Of one in several buffers the stages read and write the first, which ends at data_end and where the driver
 * puts the headers; what lies behind is never looked at. */
stage __u32 frame_length(struct xdp_md *ctx)
{
	if (multi_buffer)
		return bpf_xdp_get_buff_len(ctx);
	return ctx->data_end - ctx->data;
}

/* Is this address one that services have, and not one that packets come back to or from? */
stage int is_vip(__u32 address_id)
{
	return address_id && !(address_id & (SL_ADDRESS_NAT_SOURCE | SL_ADDRESS_PRESERVING_BACKEND));
}

/* Is this destination port one that nat gives to flows? */
stage int is_nat_port(__u32 ports)
{
	__u16 port = bpf_ntohs(ports >> 16);

	return port >= SL_NAT_FIRST_PORT && port <= SL_NAT_LAST_PORT;
}

stage void take_service(struct packet *packet, const struct sl_service *service)
{
	packet->hash = service->seed; /* until the flow's hash is known */
	packet->service = service->id;
	packet->flags = service->flags;
	packet->base = service->base;
	packet->slots = service->slots;
	packet->holders = service->holders;
	packet->ports_mask = service->ports_mask;
}

/* The service of an address on the fast paths. The packet's protocol is part of the key: what is neither TCP nor UDP has no
 * service. */
stage int classify(struct packet *packet, struct sl_front *front, const struct sl_services *services)
{
	__u32 key = SL_PORT_KEY(packet->protocol, packet->ports >> 16);
	struct sl_service *service = service_place(front, services, key);

	if (likely((__u32)service->key == key)) {
		take_service(packet, service);
		return GO_ON;
	}
	packet->service = 0;
	packet->reply4 = !packet->ipv6;
	if (service->key == SL_REPLY_KEY && is_nat_port(packet->ports) &&
	    (packet->protocol == TCP || packet->protocol == UDP))
		return GO_ON;
	if (services->flags & SL_SERVICES_DISPLACED) /* the port may yet have a service of its own */
		return PARSE_SLOWLY;
	service = find_rest(front, services, packet->protocol, packet->ports);
	if (!service)
		return PARSE_SLOWLY;
	take_service(packet, service);
	return GO_ON;
}

/* IPv4 without options, behind Ethernet without tags; 54 bytes are there. */
stage int parse_ipv4(struct packet *packet, struct sl_front *front, void *data)
{
	__u32 destination = AT(data, 30, __u32);
	struct sl_address4 *address = place4(front, destination);

	if (address->address != destination)
		return front->flags ? PARSE_SLOWLY : PASS(NOT_OURS);
	packet->ip_length = bpf_ntohs(AT(data, 16, __be16));
	if (unlikely((AT(data, 20, __be16) & bpf_htons(0x3fff)) || packet->ip_length + ETHERNET > packet->bytes ||
		     packet->ip_length < 40))
		return PARSE_SLOWLY;
	packet->l3 = ETHERNET;
	packet->l4 = ETHERNET + 20;
	packet->ipv6 = 0;
	packet->protocol = AT(data, 23, __u8);
	packet->ports = AT(data, 34, __u32);
	packet->tcp_flags = packet->protocol == TCP ? AT(data, 47, __u8) : 0;
	int end = classify(packet, front, &address->services);

	if (likely(end == GO_ON && packet->service))
		packet->hash = sl_flow_hash4(AT(data, 26, __u32), packet->ports & packet->ports_mask, packet->hash);
	return end;
}

/* IPv6 without extension headers, behind Ethernet without tags; 74 bytes are there. */
stage int parse_ipv6(struct packet *packet, struct sl_front *front, void *data)
{
	__u64 high = AT(data, 38, __u64), low = AT(data, 46, __u64);
	struct sl_address6 *address = place6(front, high, low);

	if (address->high != high || address->low != low)
		return front->flags ? PARSE_SLOWLY : PASS(NOT_OURS);
	packet->ip_length = bpf_ntohs(AT(data, 18, __be16)) + 40u;
	if (unlikely(packet->ip_length + ETHERNET > packet->bytes || packet->ip_length < 60 ||
		     packet->ip_length > 0xffff))
		return PARSE_SLOWLY;
	packet->l3 = ETHERNET;
	packet->l4 = ETHERNET + 40;
	packet->ipv6 = 1;
	packet->protocol = AT(data, 20, __u8);
	packet->ports = AT(data, 54, __u32);
	packet->tcp_flags = packet->protocol == TCP ? AT(data, 67, __u8) : 0;
	int end = classify(packet, front, &address->services);

	if (likely(end == GO_ON && packet->service))
		packet->hash = sl_flow_hash6(AT(data, 22, __u64), AT(data, 30, __u64), packet->ports & packet->ports_mask,
					     packet->hash);
	return end;
}

/* A packet to no address of ours may be the reply of a backend that keeps the client's address. */
stage int is_reply_by_source4(struct sl_front *front, __u32 source)
{
	struct sl_address4 *place;

	if (!(front->flags & SL_FRONT_REPLY_BY_SOURCE))
		return 0;
	place = find_address4(front, source);
	return place && place->id & SL_ADDRESS_PRESERVING_BACKEND;
}

stage int is_reply_by_source6(struct sl_front *front, __u64 high, __u64 low)
{
	struct sl_address6 *place;

	if (!(front->flags & SL_FRONT_REPLY_BY_SOURCE))
		return 0;
	place = find_address6(front, high, low);
	return place && place->id & SL_ADDRESS_PRESERVING_BACKEND;
}

/* What the address says: a service's packet, a reply, or neither. */
stage int classify_slowly(struct packet *packet, struct sl_front *front, __u32 address_id,
			  const struct sl_services *services)
{
	if (address_id & SL_ADDRESS_NAT_SOURCE) {
		packet->reply4 = !packet->ipv6;
		return is_nat_port(packet->ports) ? GO_ON : PASS(UNKNOWN_REPLY);
	}
	struct sl_service *service =
		find_service(front, address_id, services, packet->protocol, packet->ports);

	opaque(service);
	if (service) {
		take_service(packet, service);
		return GO_ON;
	}
	return address_id & SL_ADDRESS_PRESERVING_BACKEND ? PASS(NOT_OURS) : PASS(NO_SERVICE);
}

/* What becomes of a fragment: an end, or GO_ON where it is followed. */
stage int judge_fragment(const struct sl_front *front, __u32 address_id)
{
	if (!is_vip(address_id) || front->fragments == SL_FRAGMENTS_PASS)
		return PASS(FRAGMENT);
	return front->fragments == SL_FRAGMENTS_REASSEMBLE ? GO_ON : DROP(FRAGMENT);
}

stage int is_extension(__u8 protocol)
{
	return protocol == 0 || protocol == 43 || protocol == 60 || protocol == 44;
}

/* Skips IPv6 extension headers. Returns the protocol behind them and moves *l4, or an end; sets *fragment to the offset of the
 * header of a fragment, behind which there is nothing to skip in a later one. */
stage int skip_extensions(void *data, void *end, __u8 protocol, __u32 *l4, __u8 *fragment)
{
	__u32 at = *l4;

	for (int i = 0; i < IPV6_EXTENSIONS; i++) {
		if (!is_extension(protocol)) {
			*l4 = at;
			return protocol;
		}
		void *header = data + at;

		if (header + 8 > end)
			return PASS(TRUNCATED);
		if (protocol == 44) { /* a fragment header is 8 bytes; one that holds the whole packet is none */
			__be16 part = AT(header, 2, __be16) & bpf_htons(0xfff9);

			if (part)
				*fragment = at;
			if (part & bpf_htons(0xfff8)) {
				*l4 = AT(header, 0, __u8);
				return LATER_FRAGMENT;
			}
			at += 8;
		} else {
			at += (AT(header, 1, __u8) + 1u) * 8;
		}
		protocol = AT(header, 0, __u8);
		if (at > 247) /* an L4 header beyond this is not looked for */
			return DROP(EXTENSION_CHAIN);
	}
	*l4 = at;
	return is_extension(protocol) ? DROP(EXTENSION_CHAIN) : protocol;
}

/* Everything that the fast paths leave over: GO_ON with a filled packet, or its end. */
separate int parse_slow(struct xdp_md *ctx, struct packet *packet)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct sl_front *front = active_front();
	struct sl_services services = {};
	__u32 l3 = ETHERNET, l4, id = 0;
	__u64 high = 0, low = 0;
	__be16 type;
	int protocol;

	if (!packet)
		return BUG;
	if (data + ETHERNET > end)
		return PASS(TRUNCATED);
	type = AT(data, 12, __be16);
	for (int i = 0; i < 2 && (type == ETH_VLAN || type == ETH_QINQ); i++) {
		if (data + l3 + 4 > end)
			return PASS(TRUNCATED);
		type = AT(data, l3 + 2, __be16);
		l3 += 4;
	}
	if (type == ETH_IPV4) {
		void *ip = data + l3;

		if (ip + 20 > end)
			return PASS(TRUNCATED);
		__u32 source = AT(ip, 12, __u32);

		struct sl_address4 *address = find_address4(front, AT(ip, 16, __u32));

		if (address) {
			id = address->id;
			services = address->services;
		} else if (!is_reply_by_source4(front, source)) {
			return PASS(NOT_OURS);
		}
		if (front->access.on && is_vip(id) && is_denied4(source))
			return DROP(DENIED);
		__u32 header = (AT(ip, 0, __u8) & 15) * 4;

		packet->ip_length = bpf_ntohs(AT(ip, 2, __be16));
		if ((AT(ip, 0, __u8) >> 4) != 4 || header < 20 || packet->ip_length < header)
			return PASS(MALFORMED);
		if (l3 + packet->ip_length > packet->bytes)
			return PASS(TRUNCATED);
		__be16 part = AT(ip, 6, __be16) & bpf_htons(0x3fff);

		protocol = AT(ip, 9, __u8);
		packet->ipv6 = 0;
		if (part) {
			int judged = judge_fragment(front, id);

			if (judged != GO_ON)
				return judged;
			packet->fragment = l3;
			packet->l3 = l3; /* what its datagram is known by, whatever else is wrong with it */
			packet->protocol = protocol;
			if (part & bpf_htons(0x1fff))
				return LATER_FRAGMENT;
		}
		l4 = l3 + header;
		high = source;
	} else if (type == ETH_IPV6) {
		void *ip = data + l3;

		if (ip + 40 > end)
			return PASS(TRUNCATED);
		high = AT(ip, 8, __u64);
		low = AT(ip, 16, __u64);
		struct sl_address6 *address = find_address6(front, AT(ip, 24, __u64), AT(ip, 32, __u64));

		if (address) {
			id = address->id;
			services = address->services;
		} else if (!is_reply_by_source6(front, high, low)) {
			return PASS(NOT_OURS);
		}
		if (front->access.on && is_vip(id) && is_denied6(high, low))
			return DROP(DENIED);
		if ((AT(ip, 0, __u8) >> 4) != 6)
			return PASS(MALFORMED);
		__u32 length = bpf_ntohs(AT(ip, 4, __be16)) + 40u;

		if (length > 0xffff || l3 + length > packet->bytes)
			return PASS(TRUNCATED);
		packet->ip_length = length;
		l4 = l3 + 40;
		__u8 fragment = 0;
		packet->ipv6 = 1;
		protocol = skip_extensions(data, end, AT(ip, 6, __u8), &l4, &fragment);
		/* A chain too long is dropped only where it is for a VIP; a backend's is its own affair. */
		if ((fragment || protocol > 0xff) && !is_vip(id))
			return PASS(NOT_OURS);
		if (fragment) {
			int judged = judge_fragment(front, id);

			if (judged != GO_ON)
				return judged;
			packet->fragment = fragment;
			packet->l3 = l3;
			if (protocol == LATER_FRAGMENT) {
				packet->protocol = l4;
				return LATER_FRAGMENT;
			}
		}
		if (protocol > 0xff)
			return protocol;
	} else {
		return PASS(NOT_IP);
	}

	if (is_icmp(protocol)) {
		if (!id || id & SL_ADDRESS_PRESERVING_BACKEND || protocol != (packet->ipv6 ? ICMPV6 : ICMP))
			return PASS(ICMP);
		packet->l3 = l3;
		packet->l4 = l4;
		packet->protocol = protocol;
		return FOR_ICMP;
	}
	if (protocol != TCP && protocol != UDP)
		return PASS(OTHER_PROTOCOL);
	__u32 need = protocol == TCP ? 20 : 8;

	/* The header must lie within the packet that the IP header declares, not only within the frame. */
	if (l4 + need > l3 + packet->ip_length)
		return PASS(TRUNCATED);
	l4 &= 0xff;
	void *header = data + l4;

	if (header + 8 > end)
		return PASS(TRUNCATED);
	packet->ports = AT(header, 0, __u32);
	packet->tcp_flags = 0;
	if (protocol == TCP) {
		if (header + 20 > end)
			return PASS(TRUNCATED);
		packet->tcp_flags = AT(header, 13, __u8);
	}
	packet->l3 = l3;
	packet->l4 = l4;
	packet->protocol = protocol;
	if (!id)
		return GO_ON;
	int outcome = classify_slowly(packet, front, id, &services);

	if (outcome == PASS(NOT_OURS) &&
	    (packet->ipv6 ? is_reply_by_source6(front, high, low) : is_reply_by_source4(front, high)))
		return GO_ON; /* classify_slowly left packet->service empty: a reply */
	if (outcome == GO_ON && packet->service)
		packet->hash = packet->ipv6 ? sl_flow_hash6(high, low, packet->ports & packet->ports_mask, packet->hash) :
					      sl_flow_hash4(high, packet->ports & packet->ports_mask, packet->hash);
	return outcome;
}

#endif
