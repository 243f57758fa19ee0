// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * For backends of dsr-ipip: takes the outer header off packets that carry IPv4 or IPv6 (protocols 4 and 41) and hands the
 * inner packet to the kernel. It stands in for the kernel's ipip, sit, ip6tnl devices. Everything else passes untouched.
 * It does not look at the outer addresses: attach it where only the balancer can reach, as with any tunnel without keys.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#define AT(pointer, offset, T) (*(T *)((void *)(pointer) + (offset)))
#define ETHERNET 14

/* Length of the outer header and the ethertype of what it carries; 0: not encapsulated. */
static __always_inline int outer_length(void *data, void *end, __be16 *inner_type)
{
	__be16 type = AT(data, 12, __be16);
	__u8 protocol;
	int length;

	if (type == bpf_htons(0x0800)) {
		/* Options or fragments are never of our making. */
		if (data + ETHERNET + 20 > end || AT(data, ETHERNET, __u8) != 0x45 ||
		    (AT(data, ETHERNET + 6, __be16) & bpf_htons(0x3fff)))
			return 0;
		protocol = AT(data, ETHERNET + 9, __u8);
		length = 20;
	} else if (type == bpf_htons(0x86dd)) {
		if (data + ETHERNET + 40 > end)
			return 0;
		protocol = AT(data, ETHERNET + 6, __u8);
		length = 40;
	} else {
		return 0;
	}
	if (protocol != 4 && protocol != 41)
		return 0;
	*inner_type = protocol == 4 ? bpf_htons(0x0800) : bpf_htons(0x86dd);
	return length;
}

static __always_inline int decap(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__be16 inner_type = 0;

	if (data + ETHERNET > end)
		return XDP_PASS;
	int length = outer_length(data, end, &inner_type);

	if (!length)
		return XDP_PASS;
	__u64 addresses = AT(data, 0, __u64);
	__u32 rest = AT(data, 8, __u32);

	if (bpf_xdp_adjust_head(ctx, length))
		return XDP_ABORTED;
	data = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if (data + ETHERNET > end)
		return XDP_ABORTED;
	AT(data, 0, __u64) = addresses;
	AT(data, 8, __u32) = rest;
	AT(data, 12, __be16) = inner_type;
	return XDP_PASS;
}

SEC("xdp")
int backend_decap(struct xdp_md *ctx)
{
	return decap(ctx);
}

/* The same for links of a large MTU, whose frames come in several buffers: the headers are in the first. */
SEC("xdp.frags")
int decap_frags(struct xdp_md *ctx)
{
	return decap(ctx);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
