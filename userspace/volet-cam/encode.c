// SPDX-License-Identifier: MIT
/* One profile's encode; see encode.h. */
#include "encode.h"

#include <string.h>

#include "encoder.h"
#include "error.h"
#include "h264.h"
#include "hardware.h"
#include "scale.h"
#include "xrgb.h"

#define SECOND_NS	G_GUINT64_CONSTANT(1000000000)
#define KEY_NS		SECOND_NS	/* between key frames */

struct encode {
	const struct volet_profile_config *profile;
	struct scaler *scaler;		/* NULL when the size is the camera's */
	struct encoder *jpeg;		/* one of these four */
	struct h264 *h264;
	struct hardware *hardware;
	guint8 *xrgb;			/* the picture as a display takes it */
	gboolean used;			/* has seen a picture since encode_forget() */
	guint64 due_ns;			/* no picture before this */
	guint64 key_ns;			/* of the newest key frame */
};

gsize encode_raw_size(const struct volet_profile_config *profile)
{
	return config_profile_is_raw(profile) ? (gsize)profile->width * profile->height * 4 : 0;
}

static gboolean open_software(struct encode *e, GError **error)
{
	const struct volet_profile_config *profile = e->profile;
	const struct h264_config h264 = {
		.width = profile->width, .height = profile->height, .rate = profile->rate,
		.bitrate_kbit = profile->bitrate_kbit,
	};

	if (profile->codec == VOLET_CODEC_JPEG)
		e->jpeg = encoder_new(profile->width, profile->height, (int)profile->quality, error);
	else if (profile->codec == VOLET_CODEC_H264)
		e->h264 = h264_new(&h264, error);
	else if (config_profile_is_raw(profile))
		e->xrgb = g_malloc0(encode_raw_size(profile));
	else
		cam_error(error, 0, "there is no software for this codec: write encoder = hardware");
	return e->jpeg || e->h264 || e->xrgb;
}

static gboolean open_codec(struct encode *e, int udmabuf, GError **error)
{
	const struct volet_profile_config *profile = e->profile;
	const struct hardware_config hardware = {
		.directory = "/dev", .codec = profile->codec, .width = profile->width,
		.height = profile->height, .rate = profile->rate, .quality = profile->quality,
		.bitrate_kbit = profile->bitrate_kbit, .udmabuf = udmabuf,
	};
	g_autoptr(GError) why = NULL;

	if (profile->encoder == VOLET_ENCODER_SOFTWARE)
		return open_software(e, error);
	e->hardware = hardware_new(&hardware, &why);
	if (e->hardware)
		return TRUE;
	if (profile->encoder == VOLET_ENCODER_AUTO) {
		cam_log(profile->name, "encoder = auto: software is used. %s", why->message);
		return open_software(e, error);
	}
	g_propagate_error(error, g_steal_pointer(&why));
	return FALSE;
}

struct encode *encode_new(const struct volet_profile_config *profile, guint width, guint height,
			  int udmabuf, GError **error)
{
	struct encode *e = g_new0(struct encode, 1);

	e->profile = profile;
	if (!open_codec(e, udmabuf, error)) {
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
	hardware_free(e->hardware);
	scaler_free(e->scaler);
	g_free(e->xrgb);
	g_free(e);
}

guint encode_parameters(struct encode *e, guint8 *out)
{
	if (e->hardware)
		return hardware_parameters(e->hardware, out, VOLET_PARAMETERS_MAX);
	return e->h264 ? h264_parameters(e->h264, out, VOLET_PARAMETERS_MAX) : 0;
}

/* A camera's pace wavers: what is early by less than an eighth of the time is let through. */
gboolean encode_due(const struct encode *e, guint64 captured_ns)
{
	return !e->profile->rate || captured_ns + SECOND_NS / e->profile->rate / 8 >= e->due_ns;
}

gboolean encode_key_due(const struct encode *e, guint64 captured_ns)
{
	if (e->hardware)
		return !hardware_forces_key(e->hardware) || !e->key_ns ||
		       captured_ns >= e->key_ns + KEY_NS;
	return !e->h264 || !e->key_ns || captured_ns >= e->key_ns + KEY_NS;
}

static void keep_pace(struct encode *e, guint64 captured_ns)
{
	if (!e->profile->rate)
		return;
	/* In step with the pictures before, unless those are long ago. */
	if (captured_ns > e->due_ns + SECOND_NS / e->profile->rate)
		e->due_ns = captured_ns;
	e->due_ns += SECOND_NS / e->profile->rate;
}

static gboolean encode_hardware(struct encode *e, const struct raw_picture *p, gboolean *key,
				const guint8 **data, gsize *length, GError **error)
{
	*key = !e->key_ns || p->captured_ns >= e->key_ns + KEY_NS;
	if (!hardware_nv12(e->hardware, p, key, data, length, error))
		return FALSE;
	/* What follows a lost frame is a difference to it. */
	if (!*length)
		e->key_ns = 0;
	return TRUE;
}

static gboolean encode_software(struct encode *e, const struct raw_picture *p, gboolean *key,
				const guint8 **data, gsize *length, GError **error)
{
	*key = encode_key_due(e, p->captured_ns);
	if (e->jpeg)
		return encoder_nv12(e->jpeg, p->y, p->uv, p->stride, data, length, error);
	if (e->xrgb) {
		xrgb_nv12(e->xrgb, p->y, p->uv, p->stride, e->profile->width, e->profile->height);
		*data = e->xrgb;
		*length = encode_raw_size(e->profile);
		return TRUE;
	}
	return h264_nv12(e->h264, p->y, p->uv, p->stride, p->captured_ns, key, data, length, error);
}

gboolean encode_picture(struct encode *e, const struct raw_picture *picture, gboolean *key,
			const guint8 **data, gsize *length, GError **error)
{
	struct raw_picture p = *picture;

	keep_pace(e, p.captured_ns);
	if (e->scaler) {
		scaler_nv12(e->scaler, p.y, p.uv, p.stride, &p.y, &p.uv);
		p.stride = e->profile->width;
		p.dmabuf = -1;
	}
	e->used = TRUE;
	if (!(e->hardware ? encode_hardware : encode_software)(e, &p, key, data, length, error))
		return FALSE;
	if (*length && *key)
		e->key_ns = p.captured_ns;
	return TRUE;
}

gboolean encode_is_hardware(const struct encode *e)
{
	return e->hardware != NULL;
}

void encode_forget(struct encode *e)
{
	if (!e->used)
		return;
	e->used = FALSE;
	e->key_ns = 0;
	if (e->h264)
		h264_forget(e->h264);
	if (e->hardware)
		hardware_forget(e->hardware);
	if (e->scaler)
		scaler_forget(e->scaler);
	if (e->xrgb)
		memset(e->xrgb, 0, encode_raw_size(e->profile));
}
