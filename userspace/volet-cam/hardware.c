// SPDX-License-Identifier: MIT
/* The machine's own encoder; see hardware.h. */
#include "hardware.h"

#include <errno.h>
#include <linux/videodev2.h>
#include <string.h>

#include "annexb.h"
#include "capture.h"
#include "error.h"
#include "fwht.h"
#include "jpeg.h"
#include "m2m-find.h"

/* Frames lost one after the other: then it is the encoder. */
#define LOST_MAX	10
/* Between key frames of an encoder that can't be asked for one, where nobody says a rate. */
#define GOP_UNKNOWN	10

struct hardware {
	struct hardware_config config;
	char *name;
	struct m2m *m2m;
	struct annexb *annexb;		/* of H.264 */
	gboolean forces_key;
	struct m2m_coded held;		/* what the caller still reads */
	gboolean holds;
	guint lost;
	const char *wrong;		/* with the last that was lost */
};

static guint32 fourcc_of(enum volet_codec codec)
{
	switch (codec) {
	case VOLET_CODEC_JPEG:
		return V4L2_PIX_FMT_JPEG;
	case VOLET_CODEC_H264:
		return V4L2_PIX_FMT_H264;
	case VOLET_CODEC_FWHT:
		return V4L2_PIX_FMT_FWHT;
	case VOLET_CODEC_XRGB:		/* neither is encoded, and config-profile.c asks for no encoder */
	case VOLET_CODEC_XRGB_HANDED:
		break;
	}
	return 0;
}

static void say_missing(const struct hardware *h, gboolean there, const char *what)
{
	if (!there)
		cam_log(h->name, "it has no control for %s", what);
}

/* Ten ways to say the same: what an encoder doesn't have it is not asked for. */
static void set_h264(struct hardware *h)
{
	struct m2m *m = h->m2m;

	if (!m2m_control(m, V4L2_CID_MPEG_VIDEO_H264_PROFILE,
			 V4L2_MPEG_VIDEO_H264_PROFILE_CONSTRAINED_BASELINE))
		m2m_control(m, V4L2_CID_MPEG_VIDEO_H264_PROFILE,
			    V4L2_MPEG_VIDEO_H264_PROFILE_BASELINE);
	m2m_control(m, V4L2_CID_MPEG_VIDEO_B_FRAMES, 0);
	m2m_control(m, V4L2_CID_MPEG_VIDEO_HEADER_MODE,
		    V4L2_MPEG_VIDEO_HEADER_MODE_JOINED_WITH_1ST_FRAME);
	m2m_control(m, V4L2_CID_MPEG_VIDEO_FRAME_RC_ENABLE, 1);
	m2m_control(m, V4L2_CID_MPEG_VIDEO_BITRATE_MODE, V4L2_MPEG_VIDEO_BITRATE_MODE_CBR);
	say_missing(h, m2m_control(m, V4L2_CID_MPEG_VIDEO_BITRATE,
				   (gint64)h->config.bitrate_kbit * 1000),
		    "the bitrate: bitrate-kbit is not kept");
}

static void set_controls(struct hardware *h)
{
	if (h->config.codec == VOLET_CODEC_JPEG) {
		say_missing(h, m2m_control(h->m2m, V4L2_CID_JPEG_COMPRESSION_QUALITY,
					   h->config.quality),
			    "the quality: quality is not kept");
		return;
	}
	if (h->config.codec == VOLET_CODEC_H264)
		set_h264(h);
	h->forces_key = m2m_control(h->m2m, V4L2_CID_MPEG_VIDEO_FORCE_KEY_FRAME, 1);
	if (h->forces_key)
		return;
	say_missing(h, m2m_control(h->m2m, V4L2_CID_MPEG_VIDEO_GOP_SIZE,
				   h->config.rate ? h->config.rate : GOP_UNKNOWN),
		    "key frames at all: who joins waits for the next that it makes by itself");
}

/* FALSE when it is no frame for anybody; `h->wrong` says why, or is NULL: nothing is wrong. */
static gboolean look_at(struct hardware *h, const struct m2m_coded *coded, gboolean *key,
			const guint8 **data, gsize *length)
{
	struct annexb_frame frame;

	*data = coded->data;
	*length = coded->length;
	h->wrong = coded->error ? "marked as an error" : coded->length ? NULL : "empty";
	if (h->wrong)
		return FALSE;
	if (h->config.codec == VOLET_CODEC_JPEG) {
		*key = TRUE;
		h->wrong = jpeg_check(coded->data, coded->length, h->config.width,
				      h->config.height, length);
	} else if (h->config.codec == VOLET_CODEC_H264) {
		h->wrong = annexb_check(h->annexb, coded->data, coded->length, &frame);
		*data = frame.data;
		*length = frame.length;
		*key = frame.key;
		return !h->wrong && frame.length;
	} else {
		h->wrong = fwht_check(coded->data, coded->length, h->config.width, h->config.height,
				      key);
	}
	return !h->wrong;
}

static gboolean release(struct hardware *h, GError **error)
{
	if (!h->holds)
		return TRUE;
	h->holds = FALSE;
	return m2m_return(h->m2m, &h->held, error);
}

/* The frame of this picture and no other; older ones are nobody's any more. */
static gboolean take(struct hardware *h, guint64 captured_us, guint64 deadline, GError **error)
{
	enum m2m_result result;

	for (;;) {
		result = m2m_take(h->m2m, deadline, &h->held, error);
		if (result == M2M_FAILED)
			return FALSE;
		if (result == M2M_NONE)
			return cam_error(error, ETIMEDOUT, "%s: no frame for a picture in %u ms: it "
					 "hangs, or holds frames back; encoder = software does without it",
					 h->name, HARDWARE_MS);
		if (result == M2M_LAST)
			return cam_error(error, EIO, "%s: it has stopped by itself", h->name);
		h->holds = TRUE;
		if (h->held.captured_us == captured_us)
			return TRUE;
		if (!release(h, error))
			return FALSE;
	}
}

static gboolean count_lost(struct hardware *h, GError **error)
{
	const char *why = h->wrong ? h->wrong : "without a picture";

	if (!h->lost++)
		cam_log(h->name, "a frame is lost that is %s", why);
	return h->lost < LOST_MAX ||
	       cam_error(error, EIO, "%s: the last %u frames are all lost; the last is %s", h->name,
			 h->lost, why);
}

gboolean hardware_nv12(struct hardware *h, const struct raw_picture *picture, gboolean *key,
		       const guint8 **data, gsize *length, GError **error)
{
	guint64 deadline = capture_now() + HARDWARE_MS * G_GUINT64_CONSTANT(1000000);
	gboolean wanted = *key, good;

	*length = 0;
	if (!release(h, error))
		return FALSE;
	if (wanted && h->forces_key)
		m2m_press(h->m2m, V4L2_CID_MPEG_VIDEO_FORCE_KEY_FRAME);
	if (!m2m_put(h->m2m, picture, error))
		return FALSE;
	do {
		if (!take(h, picture->captured_ns / 1000, deadline, error))
			return FALSE;
		good = look_at(h, &h->held, key, data, length);
		/* Parameter sets may come apart, before their picture. */
		if (!good && !h->wrong && !release(h, error))
			return FALSE;
	} while (!good && !h->wrong);
	/* The memory that the picture lies in is written again after this. */
	if (!m2m_wait_read(h->m2m, deadline, error))
		return FALSE;
	if (good) {
		h->lost = 0;
		return TRUE;
	}
	*length = 0;
	return release(h, error) && count_lost(h, error);
}

static gboolean try_out(struct hardware *h, GError **error)
{
	gsize luma = (gsize)h->config.width * h->config.height, length;
	g_autofree guint8 *grey = g_malloc(luma + luma / 2);
	const struct raw_picture picture = {
		.y = grey, .uv = grey + luma, .stride = h->config.width,
		.captured_ns = capture_now(), .dmabuf = -1,
	};
	gboolean key = TRUE;
	const guint8 *data;

	memset(grey, 128, luma + luma / 2);
	if (!hardware_nv12(h, &picture, &key, &data, &length, error))
		return FALSE;
	if (!length)
		return cam_error(error, EIO, "%s: its first frame is %s", h->name,
				 h->wrong ? h->wrong : "without a picture");
	if (!key)
		return cam_error(error, EIO, "%s: its first frame is no key frame", h->name);
	hardware_forget(h);
	return TRUE;
}

/* NULL with an error when it is no good for this. */
static struct hardware *try_node(const struct hardware_config *config, struct m2m_node *node,
				 GError **error)
{
	struct hardware *h = g_new0(struct hardware, 1);
	const struct m2m_config m2m = {
		.node = node->fd, .name = node->name, .coded = fourcc_of(config->codec),
		.width = config->width, .height = config->height, .rate = config->rate,
		.udmabuf = config->udmabuf,
	};

	h->config = *config;
	h->name = g_strdup(node->name);
	node->fd = -1;
	if (config->codec == VOLET_CODEC_H264)
		h->annexb = annexb_new(config->width, config->height);
	h->m2m = m2m_new(&m2m, error);
	if (h->m2m) {
		set_controls(h);
		if (try_out(h, error))
			return h;
	}
	hardware_free(h);
	return NULL;
}

struct hardware *hardware_new(const struct hardware_config *config, GError **error)
{
	guint32 fourcc = fourcc_of(config->codec);
	g_autoptr(GPtrArray) nodes = NULL;
	g_autoptr(GError) why = NULL;
	guint i, looked, denied;

	nodes = m2m_find(config->directory, fourcc, &looked, &denied);
	for (i = 0; i < nodes->len; i++) {
		struct hardware *h;

		g_clear_error(&why);
		h = try_node(config, nodes->pdata[i], &why);
		if (h)
			return h;
	}
	if (why)
		cam_error(error, 0, "encoder = hardware: %s", why->message);
	else
		cam_error(error, 0,
			  "encoder = hardware: none of the %u video nodes in %s is an encoder that makes "
			  "%.4s of NV12 (%u of them are not to be opened: give encoders to the group of "
			  "volet-cam); write encoder = software", looked, config->directory,
			  (const char *)&fourcc, denied);
	return NULL;
}

static void say_figures(const struct hardware *h)
{
	guint64 imported, copied;

	m2m_figures(h->m2m, &imported, &copied);
	cam_log(h->name, "it has read %" G_GUINT64_FORMAT " pictures where they were captured and %"
		G_GUINT64_FORMAT " that were copied", imported, copied);
}

void hardware_free(struct hardware *h)
{
	if (!h)
		return;
	if (h->m2m) {
		say_figures(h);
		hardware_forget(h);
	}
	m2m_free(h->m2m);
	annexb_free(h->annexb);
	g_free(h->name);
	g_free(h);
}

guint hardware_parameters(const struct hardware *h, guint8 *out, guint size)
{
	return h->annexb ? annexb_parameters(h->annexb, out, size) : 0;
}

gboolean hardware_forces_key(const struct hardware *h)
{
	return h->forces_key;
}

void hardware_forget(struct hardware *h)
{
	release(h, NULL);
	m2m_stop(h->m2m);
}
