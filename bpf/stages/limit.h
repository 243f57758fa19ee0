/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Limit: how many packets a second go through, to all services together and to single backends. Nobody asks while there is
 * no limit: with one for all, the services of the front carry SL_SERVICE_LIMITED, which the fast paths test together with
 * SL_SERVICE_GUARDED; a backend with one has no `room`, so that its packets take the branch of those that do not fit.
 *
 * A bucket is one word that all CPUs share, `full_at` (the generic cell rate algorithm, ITU-T I.371), and a packet goes
 * through by advancing it with a compare-and-swap. So whatever the CPUs do at once, in any span of t seconds no more than
 * burst + t * rate packets go through; and after a pause, when full_at has passed, exactly the burst goes through at once.
 * Who loses the swap too often is held back: what is in the bucket stays there for the next packet.
 *
 * At high rates the swap would be what limits the CPUs, so that they take `batch` packets from the bucket at once: the daemon
 * chooses it so that the bucket is written to no more than a million times a second, and never more than 1/256 of the burst
 * (below two million packets a second it is one packet, and all of the above holds to the packet). What a CPU has taken and
 * not used is gone with the second: a pause cannot be saved up in it, and the burst is missed by less than a batch for each
 * CPU. Backends' buckets have no batches.
 *
 * The clock is bpf_ktime_get_ns. The coarse one is cheaper but stands still for 1 to 4 ms, in which a bucket that is smaller
 * than that many packets would overflow: a limit of 100,000 packets with a burst of 100 would let a quarter of them through.
 */
#ifndef SLUICE_LIMIT_H
#define SLUICE_LIMIT_H

#define SWAP_TRIES 16
#define LEFT_OVER (100000000LL << SL_LIMIT_SHIFT) /* 100 ms */

/* Takes up to `most` packets out of a bucket. Returns how many there were. */
stage __u32 take(__u64 *full_at, const struct sl_rate *rate, __u32 most)
{
	__u64 now = bpf_ktime_get_ns() << SL_LIMIT_SHIFT, was = READ(*full_at), interval = rate->interval;
	__s64 depth = rate->depth;

	rolled
	for (int i = 0; i < SWAP_TRIES; i++) {
		__s64 ahead = was - now;
		__u64 packets = 1, seen;

		if (ahead < 0)
			ahead = 0;
		/* Left over from a slower limit: the bucket of this one is empty. Not so where another CPU has a later time: to
		 * put the bucket back to an earlier one would give packets away. */
		if (unlikely(ahead > depth + LEFT_OVER)) {
			__sync_val_compare_and_swap(full_at, was, now + depth);
			return 0;
		}
		if (depth - ahead < (__s64)interval)
			return 0;
		if (unlikely(most > 1)) {
			packets = (__u64)(depth - ahead) / interval;
			if (packets > most)
				packets = most;
		}
		seen = __sync_val_compare_and_swap(full_at, was, now + ahead + packets * interval);
		if (likely(seen == was))
			return packets;
		was = seen;
	}
	return 0;
}

/* A packet beyond a limit. Returns its end. One that cannot be marked is dropped: the kernel could not tell it from others. */
stage int excess(struct xdp_md *ctx)
{
	struct sl_front *front = active_front();

	if (front->excess != SL_EXCESS_PASS || bpf_xdp_adjust_meta(ctx, -(int)sizeof(struct sl_mark)))
		return DROP(RATE_LIMITED);
	struct sl_mark *mark = (struct sl_mark *)(long)ctx->data_meta;

	if ((void *)(mark + 1) > (void *)(long)ctx->data)
		return BUG;
	mark->magic = SL_MARK_MAGIC;
	mark->mark = front->mark;
	return PASS(RATE_LIMITED);
}

/* A client's packet for a service, where there is a limit for all of them. GO_ON, or its end. */
separate int admit(struct xdp_md *ctx, __u32 service)
{
	struct sl_front *front = active_front();
	struct sl_stats *stats = my_stats();

	if (!stats)
		return BUG;
	struct sl_allowance *allowance = &stats->allowance;

	if (allowance->packets && allowance->epoch == control.epoch) {
		allowance->packets--;
		return GO_ON;
	}
	__u32 taken = take(&limits[0].full_at, &front->limit, front->batch);

	if (!taken)
		return count_dropped(service, 0, excess(ctx));
	allowance->packets = taken - 1;
	allowance->epoch = control.epoch;
	return GO_ON;
}

/* A client's packet on the fast paths, of a service that asks for something. GO_ON, or its end. What `deliver` leaves to
 * deliver_slow is counted there. */
separate int check_client(struct xdp_md *ctx, __u32 flags, __u32 service, int ipv6)
{
	if (flags & SL_SERVICE_GUARDED) {
		int end = check_source(ctx, ipv6);

		if (end != GO_ON)
			return end;
	}
	if (!(flags & SL_SERVICE_LIMITED) || (flags & (SL_SERVICE_NAT | SL_SERVICE_NAT4)) == SL_SERVICE_NAT)
		return GO_ON;
	return admit(ctx, service);
}

separate int look_again(struct xdp_md *ctx, __u32 backend_id, __u32 l3, __u32 protocol, __u32 ip_length)
{
	struct sl_backend *backend = bpf_map_lookup_elem(&backend_pool, &backend_id);

	if (!backend || ip_length > sl_room(backend))
		return refuse(ctx, backend_id, l3, protocol);
	struct sl_limit *limit = &limits[backend_id & (SL_MAX_BACKENDS - 1)];

	if (!(backend->flags & SL_BACKEND_LIMITED) || take(&limit->full_at, &limit->rate, 1))
		return GO_ON;
	return excess(ctx);
}

#endif
