/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Account: one verdict counter for every packet, and what services and backends got. */
#ifndef SLUICE_ACCOUNT_H
#define SLUICE_ACCOUNT_H

/* Counters are indexed by CPU and not of a per-CPU map type, so that the daemon can read them through mmap; a CPU writes
 * only its own. */
stage struct sl_stats *my_stats(void)
{
	__u32 cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&xdp_stats_map, &cpu);
}

/* Debug builds say of every packet what became of it: cat /sys/kernel/tracing/trace_pipe */
stage void explain(int end, __u64 bytes)
{
	char format[] = "sluice: verdict %d, reason %d, %d bytes";

	if (SLUICE_EXPLAIN)
		bpf_trace_printk(format, sizeof(format), end >> 8, end & 0xff, (int)bytes);
}

/* Returns how many packets had this end. */
stage __u64 count_verdict(struct sl_stats *stats, int end, __u64 bytes)
{
	explain(end, bytes);
	struct sl_counter *counter = &stats->verdict[interface_slot & (SL_MAX_INTERFACES - 1)]
						    [(end >> 8) & (SL_VERDICTS - 1)][end & (SL_REASONS - 1)];

	counter->bytes += bytes;
	return ++counter->packets;
}

stage void count_traffic(struct sl_traffic *traffic, __u64 bytes)
{
	traffic->packets++;
	traffic->bytes += bytes;
}

/* A client's packet that goes to a backend. */
stage void count_forwarded(struct sl_stats *stats, __u32 service, __u32 backend, __u32 bytes)
{
	count_traffic(&stats->service[service & (SL_MAX_SERVICES - 1)], bytes);
	count_traffic(&stats->backend[backend & (SL_MAX_BACKENDS - 1)], bytes);
}

/* And one that opens or closes a connection. */
separate int count_edges(__u32 service, __u32 backend, __u32 opened, __u32 closed)
{
	struct sl_stats *stats = my_stats();

	if (!stats)
		return 0;
	struct sl_traffic *of_service = &stats->service[service & (SL_MAX_SERVICES - 1)];
	struct sl_traffic *of_backend = &stats->backend[backend & (SL_MAX_BACKENDS - 1)];

	of_service->opened += opened;
	of_backend->opened += opened;
	of_service->closed += closed;
	of_backend->closed += closed;
	return 0;
}

stage void count_reply_of(struct sl_traffic *traffic, __u64 bytes)
{
	traffic->reply_packets++;
	traffic->reply_bytes += bytes;
}

stage void count_reply(struct sl_stats *stats, __u32 service, __u32 backend, __u32 bytes)
{
	count_reply_of(&stats->service[service & (SL_MAX_SERVICES - 1)], bytes);
	count_reply_of(&stats->backend[backend & (SL_MAX_BACKENDS - 1)], bytes);
}

stage void count_dropped_of(struct sl_traffic *traffic, int end)
{
	traffic->dropped++;
	if (end == DROP(UNRESOLVED))
		traffic->unresolved++;
}

/* A packet for a service that was dropped; backend 0, or one that cannot be: none was chosen. Hands `end` on. */
separate int count_dropped(__u32 service, __u32 backend, int end)
{
	struct sl_stats *stats = my_stats();

	if (!stats)
		return end;
	count_dropped_of(&stats->service[service & (SL_MAX_SERVICES - 1)], end);
	if (backend && backend < SL_MAX_BACKENDS) {
		/* The compiler tests `backend - 1` and leaves the mask out, which Linux 6.1 does not follow. */
		opaque(backend);
		count_dropped_of(&stats->backend[backend & (SL_MAX_BACKENDS - 1)], end);
	}
	return end;
}

#endif
