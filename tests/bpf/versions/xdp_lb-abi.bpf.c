// SPDX-License-Identifier: GPL-2.0-only OR MIT
/* A version that says that it keeps its maps in another layout. */
#include "abi.h"
#undef SL_ABI_VERSION
#define SL_ABI_VERSION 999
#include "xdp_lb.bpf.c"
