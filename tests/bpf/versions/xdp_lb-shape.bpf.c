// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* A version whose layout has the same number and is another one all the same: somebody forgot to raise it. */
#include "abi.h"
#undef SL_MAX_FLOWS
#define SL_MAX_FLOWS 4096
#include "xdp_lb.bpf.c"
