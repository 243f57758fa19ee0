/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Transition: packets of slots that change hands. A flow that has a record goes where that says; of the others exactly one
 * backend, the holder, has those that are older than the change. What is written down, and when, keeps that true: see
 * docs/tracking.md, and tests/unit/transition_reference.hpp for the same in plain C++.
 */
#ifndef SLUICE_TRANSITION_H
#define SLUICE_TRANSITION_H

struct sl_bucket records[1 << SL_RECORD_BITS] SEC(".bss.records");

enum kind { OPENING, CLOSING, ONWARD, DATAGRAM, ERROR };

stage enum kind kind_of(const struct packet *packet)
{
	if (packet->protocol != TCP) /* an error is about a flow, but anyone may have sent it */
		return is_icmp(packet->protocol) ? ERROR : DATAGRAM;
	if (opens(packet->tcp_flags))
		return OPENING;
	/* Where a client's flows share a record, the end of one is not that of the others. */
	return packet->tcp_flags & (TCP_FIN | TCP_RST) && !(packet->flags & SL_SERVICE_AFFINE) ? CLOSING : ONWARD;
}

stage __u32 record_epoch(void)
{
	return control.epoch / SL_RECORD_EPOCH;
}

stage __u64 make_record(__u64 hash, __u32 backend, __u32 kind, __u32 age)
{
	return (hash & SL_RECORD_SIGNATURE) | (__u64)(backend & 0xffff) << 8 | kind << 6 |
	       ((record_epoch() - age) & 63);
}

stage __u32 record_backend(__u64 record)
{
	return record >> 8 & 0xffff;
}

stage __u32 record_kind(__u64 record)
{
	return record >> 6 & 3;
}

stage __u32 record_age(__u64 record)
{
	return (record_epoch() - (__u32)record) & 63;
}

stage int is_forgotten(__u64 record)
{
	__u32 kind = record_kind(record), age = record_age(record);

	return !kind || age >= SL_RECORD_IDLE || (kind == SL_RECORD_EMBRYO && age > SL_RECORD_EMBRYO_IDLE);
}

/* A closing flow's record lives a little beyond its last packet. */
stage int is_closing(__u64 record)
{
	return record_kind(record) != SL_RECORD_EMBRYO && record_age(record) >= SL_RECORD_CLOSING_AGE;
}

stage struct sl_bucket *bucket_of(__u64 hash)
{
	return &records[hash & ((1 << SL_RECORD_BITS) - 1)];
}

/* Writes a flow down: only into a place that is empty or forgotten, so that a flood throws nothing out. Returns whether there
 * was one. */
stage int write_down(__u64 hash, __u32 backend, __u32 kind, __u32 age)
{
	struct sl_bucket *bucket = bucket_of(hash);
	struct sl_stats *stats = my_stats();

	if (!stats)
		return 0;
	struct sl_learning *learning = &stats->learning;

	if (learning->epoch != record_epoch()) {
		learning->epoch = record_epoch();
		learning->left = SL_RECORDS_PER_EPOCH;
	}
	if (learning->left) {
		learning->left--;
		rolled
		for (__u32 way = 0; way < SL_RECORD_WAYS; way++) {
			__u64 was = READ(bucket->record[way]);

			if (is_forgotten(was) && __sync_val_compare_and_swap(&bucket->record[way], was,
									     make_record(hash, backend, kind, age)) == was) {
				learning->made++;
				return 1;
			}
		}
	}
	learning->refused++;
	learning->last_refused = control.epoch;
	return 0;
}

/* The flow has no record. Returns its backend. */
stage __u32 without_record(__u64 hash, __u32 owner, __u32 holder, enum kind kind)
{
	if (holder & SL_HOLDER_PINNED)
		return owner;
	/* The data plane learns of a holder's death a moment before the slot does. */
	__u32 old = holder & SL_HOLDER_BACKEND;

	if (!is_alive(old))
		old = owner;
	if (kind == OPENING) {
		if (!is_alive(owner)) /* nobody to open a flow with */
			return owner;
		/* No record, no move: what cannot be written down stays with those that have none. */
		return write_down(hash, owner, SL_RECORD_EMBRYO, 0) ? owner : old;
	}
	if (kind != ERROR && is_alive(old))
		write_down(hash, old, SL_RECORD_OLD, kind == CLOSING ? SL_RECORD_CLOSING_AGE : 0);
	return old;
}

/* The flow has a record. Returns its backend. */
stage __u32 with_record(__u64 hash, __u64 *place, __u64 record, __u32 owner, __u32 holder, enum kind kind)
{
	__u32 id = record_backend(record), state = record_kind(record);
	__u64 becomes = 0;

	if (kind == ERROR)
		return is_alive(id) ? id : owner;
	if (is_alive(id) && !(kind == OPENING && is_closing(record))) {
		if (kind == OPENING) /* again: an embryo is as young as its last SYN, and nobody ends a flow with one */
			becomes = make_record(hash, id, state, 0);
		else
			becomes = make_record(hash, id, state == SL_RECORD_EMBRYO ? SL_RECORD_NEW : state,
					      kind == CLOSING || is_closing(record) ? SL_RECORD_CLOSING_AGE : 0);
	} else {
		/* Its backend is dead, or it was closed and its ports are used again. */
		id = owner;
		if (!(holder & SL_HOLDER_PINNED)) {
			if (!is_alive(owner))
				return owner;
			becomes = make_record(hash, owner, kind == OPENING ? SL_RECORD_EMBRYO : SL_RECORD_NEW, 0);
		}
	}
	if (becomes != record)
		__sync_val_compare_and_swap(place, record, becomes);
	return id;
}

/* Where a packet of a slot in transition goes. `owner` and `holder` are the slot's words. */
separate __u32 follow_record(__u64 hash, __u32 owner, __u32 holder, __u32 kind)
{
	struct sl_bucket *bucket = bucket_of(hash);
	struct sl_stats *stats = my_stats();

	if (stats)
		stats->learning.looked_up++;
	rolled
	for (__u32 way = 0; way < SL_RECORD_WAYS; way++) {
		__u64 record = READ(bucket->record[way]);

		if ((record & SL_RECORD_SIGNATURE) == (hash & SL_RECORD_SIGNATURE) && record_kind(record))
			return with_record(hash, &bucket->record[way], record, owner, holder, kind);
	}
	return without_record(hash, owner, holder, kind);
}

#endif
