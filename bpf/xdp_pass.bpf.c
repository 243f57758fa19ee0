// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Passes everything. A veth's peer needs some XDP program before frames sent by XDP_TX arrive; the lab uses this one. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int xdp_pass(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

/* The same for links of a large MTU, whose frames come in several buffers. */
SEC("xdp.frags")
int xdp_pass_frags(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
