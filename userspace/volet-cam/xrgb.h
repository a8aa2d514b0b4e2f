/* SPDX-License-Identifier: MIT */
/*
 * NV12 to the bytes that a display shows: DRM's XRGB8888, lines of width * 4 bytes. BT.601
 * with the full range of values, as JPEG has it. A loop of our own, because no library that
 * is needed for anything else does just this.
 */
#ifndef VOLET_CAM_XRGB_H
#define VOLET_CAM_XRGB_H

#include <glib.h>

/* Both sizes are even; `uv` is the plane of alternating U and V, its lines `stride` bytes too. */
void xrgb_nv12(guint8 *out, const guint8 *y, const guint8 *uv, gsize stride, guint width,
	       guint height);

#endif
