/* SPDX-License-Identifier: MIT */
/*
 * The head of an FWHT frame, the codec of the kernel's vicodec: in tests alone. Its encoder
 * doesn't flag key frames, the head does.
 */
#ifndef VOLET_CAM_FWHT_H
#define VOLET_CAM_FWHT_H

#include <glib.h>

/* NULL when it is a whole frame of that size; else what it is, to follow "a frame that is". */
const char *fwht_check(const guint8 *data, gsize size, guint width, guint height, gboolean *key);

#endif
