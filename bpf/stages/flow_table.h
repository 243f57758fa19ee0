/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Flow table: the tables of nat of IPv4 and of what else is tracked, which all CPUs read and write at once without locks.
 * Layout: abi.h.
 *
 * Writing an entry: claim its place by compare-and-swap of the value, write the rest, publish the value. Reading one: key,
 * value, rest, and the key again. Changing one: compare-and-swap of its value or of the rest, so that what was given away
 * meanwhile is not written over. Of two entries with the same key, made by two CPUs at once, the one that is met first in its
 * group counts; the other's maker looks after publishing, and takes it back.
 *
 * Who ends a flow, by closing it or by taking its last entry away, takes it off its backend's load: the compare-and-swap says
 * who that is. A flow whose entry moves to the other table stays counted.
 */
#ifndef SLUICE_FLOW_TABLE_H
#define SLUICE_FLOW_TABLE_H

struct sl_flow_line flows[1 << SL_FLOW_BITS] SEC(".bss.flows");
struct sl_flow_line opening[1 << SL_OPENING_BITS] SEC(".bss.opening");
struct sl_vip vips[SL_MAX_SERVICES] SEC(".bss.vips");
struct sl_loads loads SEC(".bss.loads");

/* A place in one of the tables: IN_OPENING | line << 2 | way. */
#define IN_OPENING 0x80000000u
#define NOWHERE 0xffffffffu
#define TAKEN 0x40000000u /* of what insert() returns: this key has that place already */

/* A copy of an entry and where it stands. */
struct entry {
	__u64 key, value;
	__u32 more;
	__u32 place;
};

stage struct sl_flow_line *line_at(__u32 place)
{
	if (place & IN_OPENING)
		return &opening[(place >> 2) & ((1 << SL_OPENING_BITS) - 1)];
	return &flows[(place >> 2) & ((1 << SL_FLOW_BITS) - 1)];
}

stage __u32 home_of(__u64 key, __u32 table)
{
	return table | (__u32)sl_flow_home(key, control.flow_multiplier,
					   table ? SL_OPENING_BITS : SL_FLOW_BITS) << 2;
}

/* Reads one way of a line if it has this key. Returns whether it has. */
stage int read_way(struct sl_flow_line *line, __u32 way, __u64 key, struct entry *found)
{
	if (READ(line->key[way]) != key)
		return 0;
	__u64 value = READ(line->value[way]);
	__u32 more = READ(line->more[way]);

	if (!(__u32)value || READ(line->key[way]) != key)
		return 0;
	found->key = key;
	found->value = value;
	found->more = more;
	return 1;
}

/* Where a key stands in the group of a line; NOWHERE if it does not. */
separate __u32 find_in_group(__u64 key, __u32 home)
{
	rolled
	for (__u32 i = 0; i < SL_FLOW_GROUP; i++) {
		struct sl_flow_line *line = line_at(home ^ i << 2);

		rolled
		for (__u32 way = 0; way < SL_FLOW_WAYS; way++)
			if (READ(line->key[way]) == key && (__u32)READ(line->value[way]))
				return (home ^ i << 2) | way;
	}
	return NOWHERE;
}

/* Reads the entry at a place if it still has this key. Returns whether it has. */
stage int read_place(__u32 place, __u64 key, struct entry *found)
{
	__u32 way = place & 3;

	if (place == NOWHERE || way >= SL_FLOW_WAYS || !read_way(line_at(place), way, key, found))
		return 0;
	found->place = place;
	return 1;
}

/* Reads the entry of a key, established or opening. Returns whether there is one. A flow that moves is in the table of
 * established ones before it leaves the other: who finds it in neither looks once more, for it may have moved meanwhile. */
stage int find_flow(__u64 key, struct entry *found)
{
	rolled
	for (int look = 0; look < 3; look++)
		if (read_place(find_in_group(key, home_of(key, look == 1 ? IN_OPENING : 0)), key, found))
			return 1;
	return 0;
}

/* Changes a value if it is still what it was. Returns whether it was. */
stage int swap_value(__u32 place, __u64 was, __u64 becomes)
{
	__u32 way = place & 3;

	return way < SL_FLOW_WAYS && __sync_val_compare_and_swap(&line_at(place)->value[way], was, becomes) == was;
}

/* Likewise the rest of an entry, and of its copy. */
stage void swap_more(struct entry *entry, __u32 becomes)
{
	__u32 way = entry->place & 3;

	if (way < SL_FLOW_WAYS)
		__sync_val_compare_and_swap(&line_at(entry->place)->more[way], entry->more, becomes);
	entry->more = becomes;
}

stage __u32 age_of(__u64 value)
{
	return (control.epoch - (__u32)(value >> 8)) & 0xffffff;
}

stage int is_flow_over(__u64 value)
{
	return sl_flow_over(value, control.epoch, &active_front()->idle);
}

stage __u32 backend_of(const struct entry *forward)
{
	return (__u32)(forward->value >> 48);
}

stage __u64 forward_value(__u32 backend, __u16 port, __u32 flags)
{
	return (__u64)backend << 48 | (__u64)port << 32 | (control.epoch & 0xffffff) << 8 | flags;
}

/* The value of a flow that has just spoken. */
stage __u64 touched(__u64 value)
{
	return (value & ~0xffffff00ULL) | (control.epoch & 0xffffff) << 8;
}

stage struct sl_load *load_of(__u32 backend)
{
	return &loads.backend[backend & (SL_MAX_BACKENDS - 1)];
}

/* A backend has one flow less. */
stage void leave(__u32 backend)
{
	__sync_fetch_and_add(&load_of(backend)->active, -1);
}


stage int is_reply_key(__u64 key)
{
	return key & SL_REPLY_SIDE;
}

/* An entry was taken away that nobody has moved elsewhere. */
stage void end_entry(__u64 key, __u64 value)
{
	if (!is_reply_key(key) && sl_flow_counts(value))
		leave(value >> 48);
}

/* Changes the value of a flow's entry. Returns whether it still was what it was. */
stage int swap_flow(struct entry *forward, __u64 becomes)
{
	if (!swap_value(forward->place, forward->value, becomes))
		return 0;
	if (sl_flow_counts(forward->value) && !sl_flow_counts(becomes))
		leave(backend_of(forward));
	return 1;
}

/* May this entry's place be given away? A reply's lives as long as its flow. */
separate int is_entry_over(__u64 key, __u64 value)
{
	struct entry forward = {};

	if (!is_reply_key(key))
		return is_flow_over(value);
	return !find_flow(value, &forward) || is_flow_over(forward.value);
}

/* Writes an entry into a place whose value is `was`. Returns whether it was. */
stage int write_entry(__u32 place, __u64 was, const struct entry *entry)
{
	struct sl_flow_line *line = line_at(place);
	__u32 way = place & 3;

	if (way >= SL_FLOW_WAYS || !swap_value(place, was, SL_FLOW_CLAIMED))
		return 0;
	end_entry(READ(line->key[way]), was);
	*(volatile __u64 *)&line->key[way] = entry->key;
	*(volatile __u32 *)&line->more[way] = entry->more;
	__sync_lock_test_and_set(&line->value[way], entry->value);
	return 1;
}

/* A place for an entry in the group of its line: one that is free, one of a flow that is over, and among opening flows at
 * last one that has been silent longest. Of several of the same second the key says which, so that a flood does not throw out
 * whoever came last before it. NOWHERE if there is none; *was is the value that the place has. */
stage __u32 choose_place(__u64 key, __u32 home, __u64 *was)
{
	__u32 best = NOWHERE, longest = 0, rank = (__u32)(sl_mix(key) >> 32);

	rolled
	for (__u32 i = 0; i < SL_FLOW_GROUP; i++)
		rolled
		for (__u32 way = 0; way < SL_FLOW_WAYS; way++)
			if (!READ(line_at(home ^ i << 2)->value[way])) {
				*was = 0;
				return (home ^ i << 2) | way;
			}
	/* Full. Two lines are looked at closely: that is enough where the daemon sweeps. */
	rolled
	for (__u32 i = 0; i < 2; i++)
		rolled
		for (__u32 way = 0; way < SL_FLOW_WAYS; way++) {
			__u32 place = (home ^ i << 2) | way;
			struct sl_flow_line *line = line_at(place);
			__u64 other = READ(line->key[way]), value = READ(line->value[way]);
			__u32 silent = age_of(value) << 3 | rank++ % (2 * SL_FLOW_WAYS);

			if (value == SL_FLOW_CLAIMED)
				continue;
			if (is_entry_over(other, value)) {
				*was = value;
				return place;
			}
			if (home & IN_OPENING && !is_reply_key(other) && silent >= longest) {
				longest = silent;
				*was = value;
				best = place;
			}
		}
	return best;
}

/* Takes the own entry back that was published at a place; one that another CPU has removed, and counted as ended, is given back
 * to its backend, for whoever asked for it counts it as ended as well. */
separate int take_back(struct entry *entry, __u32 place)
{
	__u32 way = place & 3;

	if (!entry || way >= SL_FLOW_WAYS)
		return 0;
	rolled
	for (int i = 0; i < 4; i++) { /* a packet may be changing it */
		__u64 value = READ(line_at(place)->value[way]);

		if (READ(line_at(place)->key[way]) != entry->key || !(__u32)value)
			break;
		if (swap_value(place, value, 0))
			return 1;
	}
	if (place & IN_OPENING && !is_reply_key(entry->key) && sl_flow_counts(entry->value))
		__sync_fetch_and_add(&load_of(backend_of(entry))->active, 1);
	return 0;
}

/* After an entry was published: two CPUs may have had the same thought. The entry that is met first counts. Returns its
 * place, and removes the other. */
separate __u32 settle(struct entry *entry, __u32 place, __u32 home)
{
	int own_met = 0;

	if (!entry)
		return NOWHERE;
	rolled
	for (__u32 i = 0; i < SL_FLOW_GROUP; i++)
		rolled
		for (__u32 way = 0; way < SL_FLOW_WAYS; way++) {
			__u32 other = (home ^ i << 2) | way;
			struct sl_flow_line *line = line_at(other);
			__u64 value = READ(line->value[way]);

			if (other == place) {
				own_met = 1;
			} else if (READ(line->key[way]) == entry->key && (__u32)value) {
				if (!own_met) {
					take_back(entry, place);
					return other | TAKEN;
				}
				/* Two CPUs that moved one flow here count it once. */
				if (swap_value(other, value, 0) && home & IN_OPENING)
					end_entry(entry->key, value);
			}
		}
	return place;
}

/* Puts an entry into a table. Returns its place; TAKEN and the place of another entry with this key; or NOWHERE. */
separate __u32 insert(struct entry *entry, __u32 table)
{
	__u32 home, there;
	__u64 was = 0;

	if (!entry)
		return NOWHERE;
	home = home_of(entry->key, table);
	there = find_in_group(entry->key, home);
	if (there != NOWHERE)
		return there | TAKEN;
	rolled
	for (int i = 0; i < 4; i++) { /* another CPU may be quicker */
		__u32 place = choose_place(entry->key, home, &was);

		if (place == NOWHERE)
			return NOWHERE;
		if (write_entry(place, was, entry))
			return settle(entry, place, home);
	}
	return NOWHERE;
}

/* Removes an entry whose flow has moved to another place; a packet that changes it meanwhile is not lost on the flow, which
 * has its new entry by then. One that was thrown out before took the flow off its backend's load: it comes back. */
separate int leave_place(struct entry *forward, __u32 place)
{
	__u32 way = place & 3;

	if (!forward || way >= SL_FLOW_WAYS)
		return 0;
	rolled
	for (int i = 0; i < 4; i++) {
		__u64 value = READ(line_at(place)->value[way]);

		if (READ(line_at(place)->key[way]) != forward->key || !(__u32)value) {
			if (sl_flow_counts(forward->value))
				__sync_fetch_and_add(&load_of(backend_of(forward))->active, 1);
			return 0;
		}
		if (swap_value(place, value, 0))
			return 1;
	}
	return 0;
}

/* A flow that goes on moves to the large table. Where that has no room it stays, and may yield to a flood. Returns whether it
 * has moved. */
stage int establish(struct entry *flow)
{
	__u32 from = flow->place, place = insert(flow, 0);

	if (place & TAKEN)
		return 0;
	leave_place(flow, from);
	flow->place = place;
	return 1;
}

/* Finds the entry of an established flow in the line where it should be. Returns whether it is there. */
stage int find_at_home(struct entry *entry)
{
	__u32 home = home_of(entry->key, 0);
	struct sl_flow_line *line = line_at(home);

	for (__u32 way = 0; way < SL_FLOW_WAYS; way++)
		if (read_way(line, way, entry->key, entry)) {
			entry->place = home | way;
			return 1;
		}
	return 0;
}

/* Is there nothing to note about this packet of a client? */
stage int is_plain_sailing(const struct entry *forward, __u8 tcp_flags)
{
	return forward->value & SL_FLOW4_ESTABLISHED && !age_of(forward->value) &&
	       !(tcp_flags & (TCP_SYN | TCP_FIN | TCP_RST));
}

/* A client's packet whose flow is not simply followed. */
struct errand {
	struct entry flow; /* its key is set; NOWHERE: not found yet */
	struct packet packet;
};
_Static_assert(sizeof(struct errand) <= sizeof(((struct sl_stats *)0)->scratch), "errands fit the scratch");
_Static_assert(sizeof(struct packet) <= sizeof(((struct sl_stats *)0)->slow), "packets fit their place");

/* The key of the replies to a port of ours. */
stage __u64 reply_key(__be32 address, __be16 port, int tcp, __u16 our_port)
{
	return (__u64)address << 32 | (__u32)port << 16 | SL_REPLY_SIDE | (tcp ? SL_REPLY_TCP : 0) |
	       ((our_port - SL_NAT_FIRST_PORT) & 0x3fff);
}

/* ---- clients and their keys ---- */

/* What stands for an IPv6 client: nobody outside knows what it is mixed with. */
stage __u64 client6(__u64 high, __u64 low)
{
	return sl_fold6(high ^ control.flow_multiplier, low);
}

/* Sets what stands for the packet's client in keys. GO_ON, or an end. */
stage int know_client(struct xdp_md *ctx, struct packet *packet)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end, *ip;

	if (is_icmp(packet->protocol)) /* its sender need not be the client: icmp() has read the quoted packet */
		return GO_ON;
	if (packet->ipv6) {
		ip = ip_header(data, end, packet->l3, 40);
		if (unlikely(!ip))
			return BUG;
		packet->client = client6(AT(ip, 8, __u64), AT(ip, 16, __u64));
	} else {
		ip = ip_header(data, end, packet->l3, 20);
		if (unlikely(!ip))
			return BUG;
		packet->client = AT(ip, 12, __u32);
	}
	return GO_ON;
}

/* The key of a flow of this client. */
stage __u64 client_key(const struct packet *packet, __u32 ports)
{
	if (packet->flags & SL_SERVICE_HASHED_KEY)
		return (sl_mix((packet->client << 32 | packet->client >> 32) ^ ports ^ control.flow_multiplier) & ~0xffffULL) |
		       SL_HASHED_SIDE | packet->service;
	return SL_FORWARD_KEY(packet->client, ports, packet->service);
}

#endif
