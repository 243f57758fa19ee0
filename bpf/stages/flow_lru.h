/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Flow LRU: what nat remembers of IPv6, of services with many ports, and of backends that see the client's address. A flow
 * has two entries in nat_flows, each found by the addresses and ports with which a packet arrives: the client's packet by
 * (client, VIP), the backend's by (backend, our source). The reply's entry is inserted first and only if there is none:
 * owning it is owning the source port.
 *
 * Linux 6.1 takes keys and values for a map from the stack or out of another map, and not out of memory that came as an
 * argument: the separate functions here copy such a key, or find draft and key for themselves.
 */
#ifndef SLUICE_FLOW_LRU_H
#define SLUICE_FLOW_LRU_H

#define PORT_TRIES 32
#define EEXIST 17

stage __u32 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u32)((sum & 0xffff) + (sum >> 16));
}

stage void copy_address(__u32 *to, const __u32 *from)
{
	to[0] = from[0];
	to[1] = from[1];
	to[2] = from[2];
	to[3] = from[3];
}

stage int same_address(const __u32 *a, const __u32 *b)
{
	return !((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3]));
}

stage __u64 address_sum(const __u32 *words)
{
	return (__u64)words[0] + words[1] + words[2] + words[3];
}

stage __u64 inverted_address_sum(const __u32 *words)
{
	return (__u64)(__u32)~words[0] + (__u32)~words[1] + (__u32)~words[2] + (__u32)~words[3];
}

/* What rewriting a packet of `key` as `flow` says adds to its checksums (RFC 1624, equation 3). */
stage void set_sums(struct sl_flow *flow, const struct sl_flow_key *key)
{
	__u64 sum = inverted_address_sum(key->source) + inverted_address_sum(key->destination) +
		    address_sum(flow->source) + address_sum(flow->destination);

	flow->ip_sum = fold(sum);
	flow->l4_sum = fold(sum + (__u16)~key->source_port + (__u16)~key->destination_port + flow->source_port +
			    flow->destination_port);
}

/* The key with which packets of the other direction arrive. */
stage void opposite_key(struct sl_flow_key *key, const struct sl_flow *flow, __u8 protocol, __u8 ipv6)
{
	copy_address(key->source, flow->destination);
	copy_address(key->destination, flow->source);
	key->source_port = flow->destination_port;
	key->destination_port = flow->source_port;
	key->protocol = protocol;
	key->ipv6 = ipv6;
	key->pad = 0;
}

/* Reads a packet's key. GO_ON, or an end. */
stage int read_key(struct xdp_md *ctx, const struct packet *packet, struct sl_flow_key *key)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	void *ip = data + packet->l3;

	__builtin_memset(key, 0, sizeof(*key));
	if (packet->ipv6) {
		if (ip + 40 > end)
			return BUG;
		__builtin_memcpy(key->source, ip + 8, 16);
		__builtin_memcpy(key->destination, ip + 24, 16);
	} else {
		if (ip + 20 > end)
			return BUG;
		key->source[0] = AT(ip, 12, __u32);
		key->destination[0] = AT(ip, 16, __u32);
	}
	key->source_port = (__be16)packet->ports;
	key->destination_port = (__be16)(packet->ports >> 16);
	key->protocol = packet->protocol;
	key->ipv6 = packet->ipv6;
	return GO_ON;
}

/* May this flow's port be given to another? */
stage int is_over(const struct sl_flow *flow, __u8 protocol)
{
	__s32 age = control.epoch - flow->seen;
	struct sl_idle *idle = &active_front()->idle;

	if (protocol == UDP)
		return age >= (__s32)idle->udp;
	if (flow->closing == SL_CLOSING_BOTH)
		return age >= (__s32)idle->closing;
	return age >= (__s32)(flow->flags & SL_FLOW_ESTABLISHED ? idle->tcp : idle->opening);
}

/* The entry of the other direction, if it still belongs to this one: an entry may have been thrown out, and its place
 * taken by another flow. */
stage struct sl_flow *other_direction(const struct sl_flow_key *key, const struct sl_flow *flow)
{
	struct sl_flow_key other;

	opposite_key(&other, flow, key->protocol, key->ipv6);
	struct sl_flow *opposite = bpf_map_lookup_elem(&nat_flows, &other);

	if (!opposite || opposite->destination_port != key->source_port ||
	    !same_address(opposite->destination, key->source) || opposite->source_port != key->destination_port ||
	    !same_address(opposite->source, key->destination))
		return 0;
	return opposite;
}

/* Adds an entry where there is none. An int, for Linux 6.1 sets only the lower half of what the helper returns: compared as a
 * long no error is the one it is. */
stage int add_flow(const struct sl_flow_key *key, const struct sl_flow *flow)
{
	return bpf_map_update_elem(&nat_flows, key, flow, BPF_NOEXIST);
}

/* Forgets both directions, given the key and the entry of one. */
separate int forget_flow(struct sl_flow_key *key, struct sl_flow *flow)
{
	struct sl_flow_key other;

	if (!key || !flow)
		return 0;
	if (other_direction(key, flow)) {
		opposite_key(&other, flow, key->protocol, key->ipv6);
		bpf_map_delete_elem(&nat_flows, &other);
	}
	other = *key;
	bpf_map_delete_elem(&nat_flows, &other);
	return 0;
}

/* Once a second and flow, and until it is established: both directions live and die together. A flow whose reply has lost
 * its entry is over: its port may be another's. Returns whether it goes on. */
separate int keep_together(struct sl_flow_key *key, struct sl_flow *flow, __u8 tcp_flags)
{
	struct sl_flow *reply;

	if (!key || !flow)
		return 0;
	reply = other_direction(key, flow);
	if (!reply)
		return 0;
	flow->seen = control.epoch;
	reply->seen = control.epoch;
	if ((flow->flags & SL_FLOW_ESTABLISHED) ||
	    ((reply->flags & SL_FLOW_ANSWERED) && key->protocol == TCP && !(tcp_flags & TCP_SYN))) {
		flow->flags |= SL_FLOW_ESTABLISHED;
		reply->flags |= SL_FLOW_ESTABLISHED;
	}
	return 1;
}

/* Marks the other direction of a flow like this one. */
separate int tell_other_direction(struct sl_flow_key *key, struct sl_flow *flow)
{
	struct sl_flow *opposite;

	if (!key || !flow)
		return 0;
	opposite = other_direction(key, flow);
	if (!opposite)
		return 0;
	opposite->closing = flow->closing;
	if (flow->flags & SL_FLOW_REPLY)
		return 0;
	/* The client's frames come another way now: answer where they come from. */
	AT(opposite->ethernet, 0, __u32) = AT(flow->ethernet, 6, __u32);
	AT(opposite->ethernet, 4, __u16) = AT(flow->ethernet, 10, __u16);
	AT(opposite->ethernet, 6, __u32) = AT(flow->ethernet, 0, __u32);
	AT(opposite->ethernet, 10, __u16) = AT(flow->ethernet, 4, __u16);
	opposite->interface = flow->interface;
	return 0;
}

/* Is the port of ours one of a flow in the other table? */
separate int is_claimed_in_table(struct sl_flow_key *key)
{
	struct entry reply = {};

	return key && find_flow(reply_key(key->source[0], key->source_port, key->protocol == TCP,
					  bpf_ntohs(key->destination_port)), &reply);
}

/* How far it is from one port that a flow tries to the next: coprime to how many there are (2^5 * 3 * 5^3), so that no port is
 * tried twice. */
stage __u32 port_step(__u64 hash)
{
	_Static_assert(SL_NAT_LAST_PORT - SL_NAT_FIRST_PORT + 1 == 12000, "30 holds all prime factors of the number of ports");
	return (__u32)(hash >> 32) % (12000 / 30) * 30 + 7;
}

/* What a new flow is made of, one for each CPU: the stack has no room for it. */
struct draft {
	struct sl_flow_key reply_key;
	struct sl_flow entry; /* first the reply's, then the client's */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct draft);
} drafts SEC(".maps");

#define GONE 0xffffffffu

/* Somebody has the drafted port. Returns GONE, now at least, if his flow is over; or for how long it has been half open, in
 * seconds and one; 0: it is not, or it is none of TCP. */
separate __u32 look_at_owner(void)
{
	__u32 zero = 0;
	struct draft *draft = bpf_map_lookup_elem(&drafts, &zero);

	if (!draft)
		return 0;
	struct sl_flow *owner = bpf_map_lookup_elem(&nat_flows, &draft->reply_key);

	if (!owner)
		return 0;
	if (is_over(owner, draft->reply_key.protocol)) {
		forget_flow(&draft->reply_key, owner);
		return GONE;
	}
	if (draft->reply_key.protocol != TCP || owner->flags & SL_FLOW_ESTABLISHED)
		return 0;
	return (control.epoch - owner->seen + 1) & 0xffff;
}

/* All ports that were tried are taken: that of the flow that has been half open longest is given away, as in nat4.h. GO_ON, or
 * an end. */
separate int take_port(__u32 port)
{
	__u32 zero = 0;
	struct draft *draft = bpf_map_lookup_elem(&drafts, &zero);

	if (!draft)
		return BUG;
	draft->reply_key.destination_port = port;
	struct sl_flow *owner = bpf_map_lookup_elem(&nat_flows, &draft->reply_key);

	if (!owner || owner->flags & SL_FLOW_ESTABLISHED)
		return DROP(NO_PORT);
	forget_flow(&draft->reply_key, owner);
	set_sums(&draft->entry, &draft->reply_key);
	return add_flow(&draft->reply_key, &draft->entry) ? DROP(NO_PORT) : GO_ON;
}

#define PRESERVE 1 /* the client's port is the source port */
#define SHARED 2   /* ports are given by nat4.h as well: see claim_port4 */

/* Claims a source port by inserting the reply's entry, which is drafted but for the port. GO_ON, or an end. */
separate int claim_port(__u64 hash, int how)
{
	__u32 ports = SL_NAT_LAST_PORT - SL_NAT_FIRST_PORT + 1;
	__u32 start = (__u32)hash % ports, step = port_step(hash), zero = 0;
	__u32 longest = 0, yields = 0;
	struct draft *draft = bpf_map_lookup_elem(&drafts, &zero);

	if (!draft)
		return BUG;
	struct sl_flow_key *reply_key = &draft->reply_key;
	struct sl_flow *reply = &draft->entry;

	for (int i = 0; i < PORT_TRIES; i++, start = (start + step) % ports) {
		if (!(how & PRESERVE))
			reply_key->destination_port = bpf_htons(SL_NAT_FIRST_PORT + start);
		set_sums(reply, reply_key);
		int refused = add_flow(reply_key, reply);

		if (refused == -EEXIST) { /* somebody has this port; is he still there? */
			__u32 since = look_at_owner();

			if (since == GONE) {
				refused = add_flow(reply_key, reply);
			} else if (since > longest) {
				longest = since;
				yields = reply_key->destination_port;
			}
		}
		if (!refused) {
			if (!(how & SHARED) || !is_claimed_in_table(reply_key))
				return GO_ON;
			bpf_map_delete_elem(&nat_flows, reply_key);
			continue;
		}
		if (refused != -EEXIST)
			return DROP(FLOW_TABLE_FULL);
		if (how & PRESERVE)
			return DROP(NO_PORT);
	}
	return longest ? take_port(yields) : DROP(NO_PORT);
}

/* Makes both entries of a new flow, whose key is in this CPU's scratch. GO_ON, or an end; *chosen is the backend in either
 * case, 0 if none was. */
separate int new_flow(struct xdp_md *ctx, struct packet *packet, __u32 *chosen)
{
	__u32 id = 0;
	struct draft *draft = bpf_map_lookup_elem(&drafts, &id);
	struct sl_stats *stats = my_stats();

	if (!draft || !stats || !packet || !chosen)
		return BUG;
	struct sl_flow_key *key = (struct sl_flow_key *)stats->scratch;

	__builtin_memset(draft, 0, sizeof(*draft));
	int end = choose_nat_backend(ctx, packet, chosen);

	if (end != GO_ON)
		return end;
	id = *chosen;
	struct sl_backend *backend = bpf_map_lookup_elem(&backend_pool, &id);

	if (!backend)
		return ABORT(MISSING_BACKEND);
	void *data = (void *)(long)ctx->data;

	if (data + ETHERNET > (void *)(long)ctx->data_end)
		return BUG;
	int preserve = backend->flags & SL_BACKEND_PRESERVE_CLIENT;

	copy_address(draft->reply_key.source, backend->address);
	copy_address(draft->reply_key.destination, preserve ? key->source : backend->source);
	draft->reply_key.source_port = backend->port ? backend->port : key->destination_port;
	draft->reply_key.destination_port = key->source_port;
	draft->reply_key.protocol = key->protocol;
	draft->reply_key.ipv6 = key->ipv6;

	move_epoch();
	draft->entry.backend = id;
	draft->entry.service = packet->service;
	draft->entry.interface = interface_slot;
	draft->entry.seen = control.epoch;
	draft->entry.flags = SL_FLOW_REPLY;
	copy_address(draft->entry.source, key->destination);
	copy_address(draft->entry.destination, key->source);
	draft->entry.source_port = key->destination_port;
	draft->entry.destination_port = key->source_port;
	__builtin_memcpy(draft->entry.ethernet, data + 6, 6);
	__builtin_memcpy(draft->entry.ethernet + 6, data, 6);
	/* Flows of one client may share their hash, but should not look for ports in the same places. */
	end = claim_port(sl_mix(packet->hash ^ packet->ports),
			 preserve ? PRESERVE : packet->flags & SL_SERVICE_SHARES_PORTS ? SHARED : 0);
	if (end != GO_ON)
		return end;

	draft->entry.flags = 0;
	copy_address(draft->entry.source, draft->reply_key.destination);
	copy_address(draft->entry.destination, draft->reply_key.source);
	draft->entry.source_port = draft->reply_key.destination_port;
	draft->entry.destination_port = draft->reply_key.source_port;
	write_ethernet(draft->entry.ethernet, data);
	set_sums(&draft->entry, key);
	int refused = add_flow(key, &draft->entry);

	if (!refused)
		return GO_ON;
	bpf_map_delete_elem(&nat_flows, &draft->reply_key);
	/* EEXIST: another CPU was first with this flow, and its entry counts. */
	return refused == -EEXIST ? GO_ON : DROP(FLOW_TABLE_FULL);
}

#endif
