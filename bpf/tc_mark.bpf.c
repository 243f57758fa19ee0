// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Gives a packet that passes beyond a rate limit its mark: XDP wrote it before the packet, where skb->mark is out of reach. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#include "abi.h"

SEC("tc")
int tc_mark(struct __sk_buff *skb)
{
	struct sl_mark *mark = (struct sl_mark *)(long)skb->data_meta;

	if ((void *)(mark + 1) <= (void *)(long)skb->data && mark->magic == SL_MARK_MAGIC)
		skb->mark = mark->mark;
	return TC_ACT_UNSPEC; /* whatever else is attached here goes on */
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
