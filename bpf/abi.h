/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * The layouts that the BPF programs and the C++ loader share. This is their one definition: both sides include this
 * file and both assert the sizes. Whoever changes a layout raises SL_ABI_VERSION, which is part of the pin path,
 * so that a daemon never reads maps of another shape.
 *
 * Addresses are 16 bytes in network order; IPv4 is written as the mapped form ::ffff:a.b.c.d in labels, and as
 * {a, 0, 0, 0} (one network-order word first) where the packet path compares words. Each field says which.
 */
#ifndef SLUICE_ABI_H
#define SLUICE_ABI_H

#include <linux/types.h>

#define SL_ABI_VERSION 5

#include "abi/backends.h"
#include "abi/daemon.h"
#include "abi/flows.h"
#include "abi/fragments.h"
#include "abi/front.h"
#include "abi/hash.h"
#include "abi/limits.h"
#include "abi/sizes.h"
#include "abi/stats.h"
#include "abi/transition.h"

#endif
