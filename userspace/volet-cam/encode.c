// SPDX-License-Identifier: MIT
/* One profile's encode; see encode.h. */
#include "encode.h"

#include <string.h>

#include "encoder.h"
#include "h264.h"
#include "scale.h"
#include "xrgb.h"

#define SECOND_NS	G_GUINT64_CONSTANT(1000000000)
#define KEY_NS		SECOND_NS	/* between key frames */

struct encode {
	const struct volet_profile_config *profile;
	struct scaler *scaler;		/* NULL when the size is the camera's */
	struct encoder *jpeg;		/* one of these three */
	struct h264 *h264;
	guint8 *xrgb;			/* the picture as a display takes it */
	gboolean used;			/* has seen a picture since encode_forget() */
	guint64 due_ns;			/* no picture before this */
	guint64 key_ns;			/* of the newest key frame */
};

gsize encode_raw_size(const struct volet_profile_config *profile)
{
	return config_profile_is_raw(profile) ? (gsize)profile->width * profile->height * 4 : 0;
}

struct encode *encode_new(const struct volet_profile_config *profile, guint width, guint height,
			  GError **error)
{
	const struct h264_config h264 = {
		.width = profile->width, .height = profile->height, .rate = profile->rate,
		.bitrate_kbit = profile->bitrate_kbit,
	};
	struct encode *e = g_new0(struct encode, 1);

	e->profile = profile;
	if (profile->codec == VOLET_CODEC_JPEG)
		e->jpeg = encoder_new(profile->width, profile->height, (int)profile->quality, error);
	else if (profile->codec == VOLET_CODEC_H264)
		e->h264 = h264_new(&h264, error);
	else
		e->xrgb = g_malloc0(encode_raw_size(profile));
	if (!e->jpeg && !e->h264 && !e->xrgb) {
		g_prefix_error(error, "profile %s: ", profile->name);
		encode_free(e);
		return NULL;
	}
	if (profile->width != width || profile->height != height)
		e->scaler = scaler_new(width, height, profile->width, profile->height);
	return e;
}

void encode_free(struct encode *e)
{
	if (!e)
		return;
	encoder_free(e->jpeg);
	h264_free(e->h264);
	scaler_free(e->scaler);
	g_free(e->xrgb);
	g_free(e);
}

guint encode_parameters(struct encode *e, guint8 *out)
{
	return e->h264 ? h264_parameters(e->h264, out, VOLET_PARAMETERS_MAX) : 0;
}

/* A camera's pace wavers: what is early by less than an eighth of the time is let through. */
gboolean encode_due(const struct encode *e, guint64 captured_ns)
{
	return !e->profile->rate || captured_ns + SECOND_NS / e->profile->rate / 8 >= e->due_ns;
}

gboolean encode_key_due(const struct encode *e, guint64 captured_ns)
{
	return !e->h264 || !e->key_ns || captured_ns >= e->key_ns + KEY_NS;
}

gboolean encode_nv12(struct encode *e, const guint8 *y, const guint8 *uv, gsize stride,
		     guint64 captured_ns, gboolean *key, const guint8 **data, gsize *length,
		     GError **error)
{
	if (e->profile->rate) {
		/* In step with the pictures before, unless those are long ago. */
		if (captured_ns > e->due_ns + SECOND_NS / e->profile->rate)
			e->due_ns = captured_ns;
		e->due_ns += SECOND_NS / e->profile->rate;
	}
	if (e->scaler) {
		scaler_nv12(e->scaler, y, uv, stride, &y, &uv);
		stride = e->profile->width;
	}
	e->used = TRUE;
	*key = encode_key_due(e, captured_ns);
	if (e->jpeg)
		return encoder_nv12(e->jpeg, y, uv, stride, data, length, error);
	if (e->xrgb) {
		xrgb_nv12(e->xrgb, y, uv, stride, e->profile->width, e->profile->height);
		*data = e->xrgb;
		*length = encode_raw_size(e->profile);
		return TRUE;
	}
	if (!h264_nv12(e->h264, y, uv, stride, captured_ns, key, data, length, error))
		return FALSE;
	if (*key)
		e->key_ns = captured_ns;
	return TRUE;
}

void encode_forget(struct encode *e)
{
	if (!e->used)
		return;
	e->used = FALSE;
	if (e->h264)
		h264_forget(e->h264);
	if (e->scaler)
		scaler_forget(e->scaler);
	if (e->xrgb)
		memset(e->xrgb, 0, encode_raw_size(e->profile));
}
