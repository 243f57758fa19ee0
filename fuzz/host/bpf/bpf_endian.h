/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Stands in for libbpf's header when the packet path is compiled for the host. */
#ifndef SLUICE_HOST_BPF_ENDIAN_H
#define SLUICE_HOST_BPF_ENDIAN_H

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the packet path reads words of a little-endian machine");

#define bpf_htons(x) ((__be16)__builtin_bswap16(x))
#define bpf_ntohs(x) ((__u16)__builtin_bswap16(x))
#define bpf_htonl(x) ((__be32)__builtin_bswap32(x))
#define bpf_ntohl(x) ((__u32)__builtin_bswap32(x))

#endif
