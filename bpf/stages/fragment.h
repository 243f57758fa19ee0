/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Fragment: only the first fragment of a datagram has the ports. Where fragments are to be followed (xdp.fragments:
 * "reassemble"), a table remembers what became of it, and the later ones go the same way as whole packets; putting them
 * together is left to the backend. One that comes before its first fragment has nothing to follow and is dropped.
 *
 * The table is an array of lines of four, not an LRU hash map: it takes no lock, allocates nothing, and a flood of first
 * fragments can push out only what shares a line with it, the oldest first.
 */
#ifndef SLUICE_FRAGMENT_H
#define SLUICE_FRAGMENT_H

struct sl_fragment_line fragments[1 << SL_FRAGMENT_BITS] SEC(".bss.fragments");

/* What the fragments of a datagram have in common (RFC 791, RFC 8200 section 4.5), in one word; 0 where the packet is too
 * short. IPv6 knows no protocol here: only the first fragment's is said to count. */
stage __u64 fragment_key(struct xdp_md *ctx, const struct packet *packet)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	void *ip = data + packet->l3, *header = data + packet->fragment;
	__u64 key;

	if (packet->ipv6) {
		if (ip + 40 > end || header + 8 > end)
			return 0;
		key = sl_mix(sl_fold6(AT(ip, 8, __u64), AT(ip, 16, __u64)) ^ AT(header, 4, __u32));
		key = sl_mix(key ^ sl_fold6(AT(ip, 24, __u64), AT(ip, 32, __u64)));
	} else {
		if (ip + 20 > end)
			return 0;
		key = sl_mix((__u64)AT(ip, 12, __u32) << 32 | (__u32)AT(ip, 4, __u16) << 16 | packet->protocol);
		key = sl_mix(key ^ AT(ip, 16, __u32));
	}
	return key ? key : 1;
}

stage struct sl_fragment_line *fragment_line(__u64 key)
{
	return &fragments[key >> (64 - SL_FRAGMENT_BITS)];
}

stage __u32 fragment_age(__u64 value)
{
	return (control.epoch - (__u32)value) & 0xffff;
}

/* What is remembered of a datagram; 0: nothing. */
separate __u64 find_fragment(__u64 key)
{
	struct sl_fragment_line *line = fragment_line(key);

	for (int way = 0; way < SL_FRAGMENT_WAYS; way++) {
		if (READ(line->key[way]) != key)
			continue;
		__u64 value = READ(line->value[way]);

		if (value & SL_FRAGMENT_LIVE && fragment_age(value) <= SL_FRAGMENT_LIFE &&
		    READ(line->key[way]) == key)
			return value;
	}
	return 0;
}

/* Over what is known of the same datagram, into a free place, or over the oldest. Where another CPU takes the place at this
 * moment nothing is remembered: the later fragments are then dropped. */
separate int remember_fragment(__u64 key, __u64 value)
{
	struct sl_fragment_line *line = fragment_line(key);
	__u32 best = 0, longest = 0;
	__u64 was = SL_FRAGMENT_CLAIMED;

	for (__u32 way = 0; way < SL_FRAGMENT_WAYS; way++) {
		__u64 there = READ(line->value[way]);
		__u32 age = there ? fragment_age(there) : 0x10000;

		if (there == SL_FRAGMENT_CLAIMED)
			continue;
		if (there && READ(line->key[way]) == key)
			age = 0x20000;
		if (age >= longest) {
			longest = age;
			was = there;
			best = way;
		}
	}
	best &= SL_FRAGMENT_WAYS - 1;
	if (was == SL_FRAGMENT_CLAIMED ||
	    __sync_val_compare_and_swap(&line->value[best], was, SL_FRAGMENT_CLAIMED) != was)
		return 0;
	*(volatile __u64 *)&line->key[best] = key;
	__sync_lock_test_and_set(&line->value[best], value);
	return 1;
}

/* Has the kernel all fragments of this protocol, whatever is known of the first? */
stage int is_kernels(const struct packet *packet)
{
	if (packet->ipv6 && (packet->protocol == 0 || packet->protocol == 43 || packet->protocol == 60))
		return 0; /* more headers follow, in the first fragment */
	return packet->protocol != TCP && packet->protocol != UDP;
}

/* A datagram for a nat service: its later fragments would need the flow's addresses and the first one's checksum the sum over
 * all of them, so nat leaves fragments to the kernel. */
stage int nat_fragment(void)
{
	return PASS(FRAGMENT);
}

/* A fragment with the ports; `end`: what parse_slow found. GO_ON with *id, or its end. */
stage int own_first_fragment(struct xdp_md *ctx, struct packet *packet, __u64 key, int end, __u32 *id)
{
	struct sl_stats *stats = my_stats();
	__u64 value = SL_FRAGMENT_LIVE; /* backend 0: the kernel's */

	if (!packet || !id || !stats)
		return BUG;
	if (end == FOR_ICMP)
		end = PASS(ICMP); /* a ping that is answered here is one packet */
	if (end == GO_ON && (!packet->service || packet->flags & SL_SERVICE_NAT))
		end = nat_fragment();
	if (end == GO_ON) {
		end = dsr_backend(ctx, packet, stats, id);
		if (end != GO_ON)
			return end;
		if (!*id) /* it is dropped, and so are the others */
			return GO_ON;
		value |= (__u64)*id << 48 | (__u64)(packet->service & (SL_MAX_SERVICES - 1)) << 32 |
			 (packet->hash & 0xffff0000);
	} else if (end >> 8 != XDP_PASS) {
		return end;
	}
	move_epoch();
	remember_fragment(key, value | (control.epoch & 0xffff));
	return end;
}

/* One without: where the first one went. GO_ON with *id, or its end. */
separate int own_later_fragment(struct packet *packet, __u64 key, __u32 *id)
{
	__u64 value;

	if (!packet || !id)
		return BUG;
	if (is_kernels(packet))
		return PASS(FRAGMENT);
	value = find_fragment(key);
	if (!value)
		return DROP(FRAGMENT_EARLY);
	if (!(value >> 48))
		return PASS(FRAGMENT);
	packet->hash = value & 0xffff0000; /* what the outer source varies with */
	packet->service = (value >> 32) & (SL_MAX_SERVICES - 1);
	*id = value >> 48;
	return GO_ON;
}

/* By itself, since what deliver_fragment calls goes deep: its own stack is to be small. Returns the packet's end. */
separate int forward_fragment(struct xdp_md *ctx, struct packet *packet, __u32 id)
{
	struct sl_stats *stats = my_stats();

	if (!packet || !stats)
		return BUG;
	return forward_to(ctx, packet, stats, id);
}

/* A fragment that is to be followed. Returns the packet's end. */
separate int deliver_fragment(struct xdp_md *ctx, struct packet *packet, int end)
{
	__u32 id = 0;
	__u64 key;

	if (!packet)
		return BUG;
	key = fragment_key(ctx, packet);
	if (!key)
		return BUG;
	end = end == LATER_FRAGMENT ? own_later_fragment(packet, key, &id) :
				      own_first_fragment(ctx, packet, key, end, &id);
	if (end == GO_ON && active_front()->limit.interval) /* a later one's service has told no flags */
		end = admit(ctx, packet->service);
	return end == GO_ON ? forward_fragment(ctx, packet, id) : end;
}

#endif
