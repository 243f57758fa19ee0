/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Flows: the exact-key tables of IPv4 flows, which all CPUs read and write at once without locks. Layout: abi.h.
 *
 * Writing an entry: claim its place by compare-and-swap of the value, write the rest, publish the value. Reading one: key,
 * value, rest, and the key again. Changing one: compare-and-swap of the value, so that what was given away meanwhile is not
 * written over. Of two entries with the same key, made by two CPUs at once, the one that is met first in its group counts;
 * the other's maker looks after publishing, and takes it back.
 */
#ifndef SLUICE_FLOWS_H
#define SLUICE_FLOWS_H

struct sl_flow_line flows[1 << SL_FLOW_BITS] SEC(".bss.flows");
struct sl_flow_line opening[1 << SL_OPENING_BITS] SEC(".bss.opening");
struct sl_way ways[SL_WAYS] SEC(".bss.ways");
struct sl_vip vips[SL_MAX_SERVICES] SEC(".bss.vips");

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

/* Reads the entry of a key, established or opening. Returns whether there is one. */
stage int find_flow(__u64 key, struct entry *found)
{
	return read_place(find_in_group(key, home_of(key, 0)), key, found) ||
	       read_place(find_in_group(key, home_of(key, IN_OPENING)), key, found);
}

/* Changes a value if it is still what it was. Returns whether it was. */
stage int swap_value(__u32 place, __u64 was, __u64 becomes)
{
	__u32 way = place & 3;

	return way < SL_FLOW_WAYS && __sync_val_compare_and_swap(&line_at(place)->value[way], was, becomes) == was;
}

stage __u32 age_of(__u64 value)
{
	return (control.epoch - (__u32)(value >> 8)) & 0xffffff;
}

stage int is_flow_over(__u64 value)
{
	return sl_flow_over(value, control.epoch);
}

stage int is_reply_key(__u64 key)
{
	return key & SL_REPLY_SIDE;
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
	*(volatile __u64 *)&line->key[way] = entry->key;
	*(volatile __u32 *)&line->more[way] = entry->more;
	__sync_lock_test_and_set(&line->value[way], entry->value);
	return 1;
}

/* A place for an entry in the group of its line: one that is free, one of a flow that is over, and among opening flows at
 * last the one that has been silent longest. NOWHERE if there is none; *was is the value that the place has. */
stage __u32 choose_place(__u32 home, __u64 *was)
{
	__u32 best = NOWHERE, longest = 0;

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
			__u64 key = READ(line->key[way]), value = READ(line->value[way]);

			if (value == SL_FLOW_CLAIMED)
				continue;
			if (is_entry_over(key, value)) {
				*was = value;
				return place;
			}
			if (home & IN_OPENING && !is_reply_key(key) && age_of(value) >= longest) {
				longest = age_of(value);
				*was = value;
				best = place;
			}
		}
	return best;
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
					swap_value(place, entry->value, 0);
					return other | TAKEN;
				}
				swap_value(other, value, 0);
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
		__u32 place = choose_place(home, &was);

		if (place == NOWHERE)
			return NOWHERE;
		if (write_entry(place, was, entry))
			return settle(entry, place, home);
	}
	return NOWHERE;
}

#endif
