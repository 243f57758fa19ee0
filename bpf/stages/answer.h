/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Answer: what all answers have in common that are made from the packet they answer and go back the way it came. */
#ifndef SLUICE_ANSWER_H
#define SLUICE_ANSWER_H

/* May the sender of this packet be answered? Only if it is one host that spoke to us alone (RFC 1122 section 3.2.2, RFC 4443
 * section 2.4): neither a group, nor an address that means "none" or "this host". 20 bytes are there of IPv4, 40 of IPv6. */
stage int may_answer(const void *data, const void *ip, int ipv6)
{
	if (AT(data, 0, __u8) & 1)
		return 0;
	if (ipv6)
		return AT(ip, 8, __u8) != 0xff && AT(ip, 8, __u64);
	__u8 first = AT(ip, 12, __u8);

	return first && first != 127 && first < 224;
}

/* A frame's addresses turned round: `first` and `rest` are its first eight bytes and the four behind them. */
stage void write_turned(void *data, __u64 first, __u64 rest)
{
	AT(data, 0, __u64) = first >> 48 | rest << 16 | first << 48;
	AT(data, 8, __u32) = first >> 16;
}

#endif
