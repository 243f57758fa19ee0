/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Account: one verdict counter for every packet, and what services and backends got. */
#ifndef SLUICE_ACCOUNT_H
#define SLUICE_ACCOUNT_H

/* Counters are indexed by CPU and not of a per-CPU map type, so that the daemon can read them through mmap; a CPU writes
 * only its own. */
stage struct sl_traffic *service_traffic(__u32 id)
{
	__u32 at = bpf_get_smp_processor_id() * SL_MAX_SERVICES + id;

	return bpf_map_lookup_elem(&service_stats_map, &at);
}

stage struct sl_traffic *backend_traffic(__u32 id)
{
	__u32 at = bpf_get_smp_processor_id() * SL_MAX_BACKENDS + id;

	return bpf_map_lookup_elem(&backend_stats_map, &at);
}

/* Debug builds say of every packet what became of it: cat /sys/kernel/tracing/trace_pipe */
stage void explain(int end, __u64 bytes)
{
	char format[] = "sluice: verdict %d, reason %d, %d bytes";

	if (SLUICE_EXPLAIN)
		bpf_trace_printk(format, sizeof(format), end >> 8, end & 0xff, (int)bytes);
}

stage void count_verdict(int end, __u64 bytes)
{
	explain(end, bytes);
	__u32 row = bpf_get_smp_processor_id() * SL_MAX_INTERFACES + interface_slot;
	__u32 at = row * (SL_VERDICTS * SL_REASONS) + ((__u32)end >> 8) * SL_REASONS + ((__u32)end & 0xff);
	struct sl_counter *counter = bpf_map_lookup_elem(&xdp_stats_map, &at);

	if (likely(counter)) {
		counter->packets++;
		counter->bytes += bytes;
	}
}

stage void count_one(struct sl_traffic *traffic, __u64 bytes, __u32 opened, __u32 closed)
{
	if (unlikely(!traffic))
		return;
	traffic->packets++;
	traffic->bytes += bytes;
	if (opened)
		traffic->opened++;
	if (closed)
		traffic->closed++;
}

stage void count_forwarded(__u32 service, __u32 backend, __u64 bytes, __u32 opened, __u32 closed)
{
	count_one(service_traffic(service), bytes, opened, closed);
	count_one(backend_traffic(backend), bytes, opened, closed);
}

stage void count_reply_of(struct sl_traffic *traffic, __u64 bytes)
{
	if (unlikely(!traffic))
		return;
	traffic->reply_packets++;
	traffic->reply_bytes += bytes;
}

stage void count_reply(__u32 service, __u32 backend, __u64 bytes)
{
	count_reply_of(service_traffic(service), bytes);
	count_reply_of(backend_traffic(backend), bytes);
}

stage void count_dropped_of(struct sl_traffic *traffic, int end)
{
	if (unlikely(!traffic))
		return;
	traffic->dropped++;
	if (end == DROP(UNRESOLVED))
		traffic->unresolved++;
}

/* A packet for a service that was dropped; backend 0: none was chosen. Hands `end` on. */
static __noinline int count_dropped(__u32 service, __u32 backend, int end)
{
	count_dropped_of(service_traffic(service), end);
	if (backend)
		count_dropped_of(backend_traffic(backend), end);
	return end;
}

#endif
