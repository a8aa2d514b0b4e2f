/* SPDX-License-Identifier: MIT */
/*
 * NV12 made smaller: each pixel is the mean of the box of pixels that it stands for. Exact for
 * ratios that are integers; for others the boxes differ by a pixel in size.
 */
#ifndef VOLET_CAM_SCALE_H
#define VOLET_CAM_SCALE_H

#include <glib.h>

struct scaler;

/* All sizes are even, and the result is no larger. */
struct scaler *scaler_new(guint from_width, guint from_height, guint width, guint height);
void scaler_free(struct scaler *scaler);	/* also right for NULL */

/* `*out_y` and `*out_uv` stay the scaler's; their lines are `width` bytes. */
void scaler_nv12(struct scaler *scaler, const guint8 *y, const guint8 *uv, gsize stride,
		 const guint8 **out_y, const guint8 **out_uv);

/* Nothing of a picture is left in it. */
void scaler_forget(struct scaler *scaler);

#endif
