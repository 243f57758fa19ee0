// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* The packet path of Sluice: what happens to a packet between the interface and everything else. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#include "abi.h"

#include "stages/packet.h"
#include "stages/maps.h"
#include "stages/account.h"
#include "stages/timing.h"
#include "stages/service.h"
#include "stages/access.h"
#include "stages/parse.h"
#include "stages/backend.h"
#include "stages/transition.h"
#include "stages/select.h"
#include "stages/quic.h"
#include "stages/flow_table.h"
#include "stages/choose.h"
#include "stages/track.h"
#include "stages/forward.h"
#include "stages/flow_lru.h"
#include "stages/nat.h"
#include "stages/ways.h"
#include "stages/nat4.h"
#include "stages/answer.h"
#include "stages/too_big.h"
#include "stages/icmp.h"
#include "stages/limit.h"
#include "stages/nat_error.h"
#include "stages/fragment.h"

/* A packet of a service, or a reply: to its backend or client. Returns the packet's end; PARSE_SLOWLY for what the fast paths
 * leave over. */
stage int deliver(struct xdp_md *ctx, struct packet *packet, struct sl_stats *stats)
{
	if (unlikely(!packet->service))
		return packet->reply4 ? nat4_reply(ctx, packet, stats) : PARSE_SLOWLY;
	if (likely(!(packet->flags & SL_SERVICE_NAT)))
		return forward_dsr(ctx, packet, stats);
	return packet->flags & SL_SERVICE_NAT4 ? nat4_forward(ctx, packet, stats) : PARSE_SLOWLY;
}

/* What the fast paths found. */
stage int deliver_fast(struct xdp_md *ctx, struct packet *packet, struct sl_stats *stats)
{
	int end = GO_ON;

	if (packet->service && packet->flags & (SL_SERVICE_GUARDED | SL_SERVICE_LIMITED))
		end = check_client(ctx, packet->flags, packet->service, packet->ipv6);
	return likely(end == GO_ON) ? deliver(ctx, packet, stats) : end;
}

/* What the fast paths leave over, from the start; parse_slow asks for access itself. Returns the packet's end. Not separate:
 * the calls below it go as deep as the stack of 512 bytes allows, of which Linux 6.1 counts 32 for the smallest function. */
stage int deliver_slow(struct xdp_md *ctx, struct sl_stats *stats)
{
	struct packet *packet = (struct packet *)stats->slow;
	int end, quotes = 0; /* an error that is about a service's flow */

	*packet = (struct packet){.bytes = frame_length(ctx)};
	end = parse_slow(ctx, packet);
	if (packet->fragment)
		return deliver_fragment(ctx, packet, end);
	if (end == FOR_ICMP) {
		end = icmp(ctx, packet);
		quotes = end == GO_ON;
	}
	if (end == GO_ON && packet->flags & SL_SERVICE_LIMITED)
		end = admit(ctx, packet->service);
	if (end == GO_ON)
		end = quotes && is_of_nat(packet) ? nat_error(ctx, packet) : deliver(ctx, packet, stats);
	if (end == PARSE_SLOWLY)
		end = packet->service ? nat_forward(ctx, packet) : nat_reply(ctx, packet);
	return quotes ? end_of_error(end) : end;
}

SEC("xdp")
int xdp_lb(struct xdp_md *ctx)
{
	struct sl_stats *stats = my_stats();

	if (unlikely(!stats)) {
		__sync_fetch_and_add(&control.uncounted, 1);
		return XDP_ABORTED;
	}
	if (unlikely(stats->clock.started))
		start_clock();
	struct packet packet = {.bytes = frame_length(ctx)};
	void *data = (void *)(long)ctx->data;
	int end = PARSE_SLOWLY;

	if (likely(data + 54 <= (void *)(long)ctx->data_end)) {
		__u32 word = AT(data, 12, __u32);

		if (likely((word & 0xffffff) == (0x450000 | ETH_IPV4))) {
			end = parse_ipv4(&packet, active_front(), data);
			if (likely(end == GO_ON))
				end = deliver_fast(ctx, &packet, stats);
		} else if (likely((word & 0xf0ffff) == (0x600000 | ETH_IPV6) &&
				  data + 74 <= (void *)(long)ctx->data_end)) {
			end = parse_ipv6(&packet, active_front(), data);
			if (likely(end == GO_ON))
				end = deliver_fast(ctx, &packet, stats);
		}
	}
	if (unlikely(end == PARSE_SLOWLY))
		end = deliver_slow(ctx, stats);
	__u64 packets = count_verdict(stats, end, packet.bytes);

	if (unlikely(!(packets & (SL_TIMED_EVERY - 1)) || stats->clock.started))
		stop_clock(packets);
	return end >> 8;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
