/* SPDX-License-Identifier: MIT */
/*
 * NV12 to JPEG 4:2:0, once per frame however many watch. What it gives is in memory of its
 * own, which is overwritten by the next frame and never shared.
 */
#ifndef VOLET_CAM_ENCODER_H
#define VOLET_CAM_ENCODER_H

#include <glib.h>

struct encoder;

/* Both sizes are even. `quality` is 1 to 100. */
struct encoder *encoder_new(guint width, guint height, int quality, GError **error);
void encoder_free(struct encoder *enc);	/* also right for NULL */

/* `uv` is the plane of alternating U and V. `*jpeg` stays the encoder's. */
gboolean encoder_nv12(struct encoder *enc, const guint8 *y, const guint8 *uv, gsize stride,
		      const guint8 **jpeg, gsize *size, GError **error);

/* Split `n` pairs of U and V. */
void encoder_split_chroma(const guint8 *restrict uv, guint8 *restrict u, guint8 *restrict v,
			  gsize n);

#endif
