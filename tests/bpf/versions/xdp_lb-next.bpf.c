// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* Another version of the packet path: other instructions, so another tag, and the same behaviour. The compiler is not told
 * which branch is the likely one. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#include "abi.h"

#include "stages/packet.h"
#undef likely
#undef unlikely
#define likely(x) (x)
#define unlikely(x) (x)
#include "xdp_lb.bpf.c"
