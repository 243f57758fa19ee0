// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* The packet path of Sluice: what happens to a packet between the interface and everything else. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#include "abi.h"

#include "stages/packet.h"
#include "stages/maps.h"
#include "stages/account.h"
#include "stages/service.h"
#include "stages/access.h"
#include "stages/parse.h"
#include "stages/select.h"
#include "stages/forward.h"
#include "stages/flow.h"
#include "stages/nat.h"
#include "stages/fragment.h"

/* A packet of a service, or a reply: to its backend or client. Returns the packet's end. */
stage int deliver(struct xdp_md *ctx, const struct packet *packet)
{
	if (likely(packet->service && !(packet->service->flags & SL_SERVICE_NAT)))
		return forward_dsr(ctx, packet);
	struct packet copy = *packet; /* so that the packet of the fast paths stays in registers */

	return copy.service ? nat_forward(ctx, &copy) : nat_reply(ctx, &copy);
}

/* What the fast paths leave over, from the start. */
static __noinline int deliver_slow(struct xdp_md *ctx, struct sl_stats *stats)
{
	struct packet packet = {.stats = stats, .bytes = ctx->data_end - ctx->data};
	int end = parse_slow(ctx, &packet);

	if (packet.fragment)
		return deliver_fragment(ctx, &packet, end);
	return end == GO_ON ? deliver(ctx, &packet) : end;
}

/* What the fast paths found, if it is of a service that they can finish. Returns the packet's end. */
stage int deliver_fast(struct xdp_md *ctx, const struct packet *packet)
{
	if (unlikely(!packet->service))
		return PARSE_SLOWLY;
	if (unlikely(packet->service->flags)) {
		int end = packet->service->flags == SL_SERVICE_GUARDED ? check_source(ctx, packet->ipv6) : PARSE_SLOWLY;

		if (end != GO_ON)
			return end;
	}
	return forward_dsr(ctx, packet);
}

SEC("xdp")
int xdp_lb(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	struct sl_stats *stats = my_stats();
	struct packet packet = {.stats = stats, .bytes = (__u64)ctx->data_end - (__u64)ctx->data};
	int end = PARSE_SLOWLY;

	if (unlikely(!stats))
		return XDP_ABORTED;
	if (likely(data + 54 <= (void *)(long)ctx->data_end)) {
		__u32 word = AT(data, 12, __u32);

		if (likely((word & 0xffffff) == (0x450000 | ETH_IPV4))) {
			end = parse_ipv4(&packet, active_front(), data);
			if (likely(end == GO_ON))
				end = deliver_fast(ctx, &packet);
		} else if (likely((word & 0xf0ffff) == (0x600000 | ETH_IPV6) &&
				  data + 74 <= (void *)(long)ctx->data_end)) {
			end = parse_ipv6(&packet, active_front(), data);
			if (likely(end == GO_ON))
				end = deliver_fast(ctx, &packet);
		}
	}
	if (unlikely(end == PARSE_SLOWLY))
		end = deliver_slow(ctx, stats);
	count_verdict(stats, end, packet.bytes);
	return end >> 8;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
