/* SPDX-License-Identifier: MIT */
/* See bits.h. */
#include <linux/bits.h>
