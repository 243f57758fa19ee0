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
#include "stages/parse.h"
#include "stages/select.h"
#include "stages/forward.h"
#include "stages/flow.h"
#include "stages/nat.h"

SEC("xdp")
int xdp_lb(struct xdp_md *ctx)
{
	__u64 bytes = ctx->data_end - ctx->data;
	struct packet packet = {};
	int end = parse(ctx, &packet);

	if (end == GO_ON) {
		if (!packet.service) {
			struct packet reply = packet;

			end = nat_reply(ctx, &reply);
		} else if (packet.service->flags & SL_SERVICE_NAT) {
			struct packet forward = packet;

			end = nat_forward(ctx, &forward);
		} else {
			end = forward_dsr(ctx, &packet, bytes);
		}
	}
	count_verdict(end, bytes);
	return end >> 8;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
