/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * Timing: what a packet costs in the program, taken of about one in a thousand. Whether this CPU's next packet is timed is
 * decided by the counter that the last one has just raised, which is at hand in a register: packets that are not timed pay
 * two tests. No packet has itself timed, so that each kind is timed as often as it comes.
 *
 * The clock itself costs more than some packets do. It is read twice at the start, and what lies between the two readings is
 * taken off.
 */
#ifndef SLUICE_TIMING_H
#define SLUICE_TIMING_H

/* The place of the highest bit: in which bucket a time belongs. */
stage __u32 timing_bucket(__u64 nanoseconds)
{
	__u32 value = nanoseconds >> 32 ? ~0u : (__u32)nanoseconds, at = 0;

#pragma unroll
	for (__u32 step = 16; step; step /= 2)
		if (value >> step) {
			value >>= step;
			at += step;
		}
	return at;
}

/* Where `stats->clock` is armed, before anything else is done for the packet. */
separate int start_clock(void)
{
	struct sl_stats *stats = my_stats();
	__u64 before;

	if (!stats)
		return 0;
	before = bpf_ktime_get_ns();
	stats->clock.started = bpf_ktime_get_ns();
	stats->clock.reading = stats->clock.started - before;
	return 0;
}

/* After all else: notes the time of a packet that is being timed, and arms the clock for the next one where `packets`, the
 * counter of this packet's end, says so. */
separate int stop_clock(__u64 packets)
{
	__u64 now = bpf_ktime_get_ns(), spent;
	struct sl_stats *stats = my_stats();

	if (!stats)
		return 0;
	if (stats->clock.started > SL_CLOCK_ARMED) {
		struct sl_timing *timing = &stats->timing[interface_slot & (SL_MAX_INTERFACES - 1)];

		spent = now - stats->clock.started;
		spent = spent > stats->clock.reading ? spent - stats->clock.reading : 0;
		timing->bucket[timing_bucket(spent) & (SL_TIMING_BUCKETS - 1)]++;
		timing->nanoseconds += spent;
	}
	stats->clock.started = packets & (SL_TIMED_EVERY - 1) ? 0 : SL_CLOCK_ARMED;
	return 0;
}

#endif
