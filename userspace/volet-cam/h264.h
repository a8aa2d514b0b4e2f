/* SPDX-License-Identifier: MIT */
/*
 * NV12 to H.264 by OpenH264: Constrained Baseline, no frame after a later one, an access unit
 * in Annex B for each picture, its parameter sets in front of each key frame. What a frame
 * refers to is the picture before it and no other.
 */
#ifndef VOLET_CAM_H264_H
#define VOLET_CAM_H264_H

#include <glib.h>

struct h264;

struct h264_config {
	guint width, height;	/* even */
	guint rate;		/* frames a second at most, 0 when it isn't known */
	guint bitrate_kbit;
};

/* An error where Volet was built without OpenH264. */
struct h264 *h264_new(const struct h264_config *config, GError **error);
void h264_free(struct h264 *h264);	/* also right for NULL */

/* SPS and PPS, which all key frames have; into `out`, of `size` bytes. Returns their length, or 0. */
guint h264_parameters(struct h264 *h264, guint8 *out, guint size);

/*
 * `*data` stays the encoder's. `*key` asks for a key frame and says whether it is one. The rate
 * control goes by `captured_ns`.
 */
gboolean h264_nv12(struct h264 *h264, const guint8 *y, const guint8 *uv, gsize stride,
		   guint64 captured_ns, gboolean *key, const guint8 **data, gsize *length,
		   GError **error);

/* Nobody watches: no picture is left in it, and the next is a key frame. */
void h264_forget(struct h264 *h264);

#endif
