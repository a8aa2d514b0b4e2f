// SPDX-License-Identifier: MIT
/* The formats and the ways from each; see convert.h. */
#include "convert.h"

#include <errno.h>
#include <libv4l-plugin.h>
#include <libv4lconvert.h>
#include <linux/videodev2.h>
#include <string.h>

#include "annexb.h"
#include "error.h"
#include "jpeg.h"
#include "protocol.h"

enum kind {
	NV12,
	NV21,
	YU12,
	YUYV,
	UYVY,
	BAYER_8,
	BAYER_10,	/* in 16 bits */
	BAYER_10P,	/* four in five bytes */
	BAYER_16,
	JPEG,
	H264
};

#define BAYER(order) \
	{ V4L2_PIX_FMT_##order##8, 1, BAYER_8, V4L2_PIX_FMT_##order##8 }, \
	{ V4L2_PIX_FMT_##order##10, 1, BAYER_10, V4L2_PIX_FMT_##order##8 }, \
	{ V4L2_PIX_FMT_##order##10P, 1, BAYER_10P, V4L2_PIX_FMT_##order##8 }, \
	{ V4L2_PIX_FMT_##order##16, 1, BAYER_16, V4L2_PIX_FMT_##order##8 }

static const struct convert_format formats[] = {
	{ V4L2_PIX_FMT_NV12, 1, NV12, 0 },	{ V4L2_PIX_FMT_NV12M, 2, NV12, 0 },
	{ V4L2_PIX_FMT_NV21, 1, NV21, 0 },	{ V4L2_PIX_FMT_NV21M, 2, NV21, 0 },
	{ V4L2_PIX_FMT_YUV420, 1, YU12, 0 },	{ V4L2_PIX_FMT_YUV420M, 3, YU12, 0 },
	{ V4L2_PIX_FMT_YUYV, 1, YUYV, 0 },	{ V4L2_PIX_FMT_UYVY, 1, UYVY, 0 },
	{ V4L2_PIX_FMT_MJPEG, 1, JPEG, 0 },	{ V4L2_PIX_FMT_JPEG, 1, JPEG, 0 },
	{ V4L2_PIX_FMT_H264, 1, H264, 0 },
	BAYER(SRGGB), BAYER(SGRBG), BAYER(SGBRG), BAYER(SBGGR),
};

const struct convert_format *convert_find(guint32 fourcc)
{
	gsize i;

	for (i = 0; i < G_N_ELEMENTS(formats); i++)
		if (formats[i].fourcc == fourcc)
			return &formats[i];
	return NULL;
}

guint convert_codec(const struct convert_format *format)
{
	return format->kind == JPEG ? VOLET_CODEC_JPEG : format->kind == H264 ? VOLET_CODEC_H264 : 0;
}

gboolean convert_is_bayer(const struct convert_format *format)
{
	return format->bayer != 0;
}

char *convert_names(void)
{
	g_autoptr(GString) names = g_string_new(NULL);
	gsize i;

	for (i = 0; i < G_N_ELEMENTS(formats); i++)
		g_string_append_printf(names, "%s%.4s", i ? ", " : "",
				       (const char *)&formats[i].fourcc);
	return g_string_free(g_steal_pointer(&names), FALSE);
}

/* libv4lconvert asks the device about itself; there is nothing that it needs to know. */
static int no_ioctl(void *priv, int fd, unsigned long request, void *arg)
{
	(void)priv;
	(void)fd;
	if (request == VIDIOC_QUERYCAP) {
		memset(arg, 0, sizeof(struct v4l2_capability));
		return 0;
	}
	errno = ENOTTY;
	return -1;
}

static gboolean open_bayer(struct convert *c, GError **error)
{
	static const struct libv4l_dev_ops ops = { .ioctl = no_ioctl };
	gsize luma = (gsize)c->width * c->height;

	c->v4l = v4lconvert_create_with_dev_ops(-1, NULL, &ops);
	if (!c->v4l)
		return cam_error(error, 0, "libv4lconvert doesn't start");
	c->raw = g_malloc(luma);
	c->planar = g_malloc(luma + luma / 2);
	return TRUE;
}

gboolean convert_open(struct convert *c, const struct convert_format *format, guint width,
		      guint height, GError **error)
{
	gsize luma = (gsize)width * height;

	*c = (struct convert){ .format = format, .width = width, .height = height };
	if (format->kind == H264) {
		c->annexb = annexb_new(width, height);
		c->gap = TRUE;
	}
	if (format->kind == NV12 || convert_codec(format))
		return TRUE;
	c->y = g_malloc(luma + luma / 2);
	c->uv = c->y + luma;
	return !convert_is_bayer(format) || open_bayer(c, error);
}

void convert_close(struct convert *c)
{
	if (c->v4l)
		v4lconvert_destroy(c->v4l);
	g_free(c->y);
	g_free(c->raw);
	g_free(c->planar);
	annexb_free(c->annexb);
	*c = (struct convert){ 0 };
}

/* Bytes of one line of the first plane without padding. */
static gsize line_bytes(const struct convert *c)
{
	switch ((enum kind)c->format->kind) {
	case YUYV:
	case UYVY:
	case BAYER_10:
	case BAYER_16:
		return 2 * (gsize)c->width;
	case BAYER_10P:
		return (gsize)c->width * 5 / 4;
	default:
		return c->width;
	}
}

gsize convert_need(const struct convert *c, guint plane, gsize stride)
{
	gsize luma = stride * c->height;

	if (convert_codec(c->format))
		return 0;
	if (stride < line_bytes(c) || stride > 8 * (gsize)c->width + 65536)
		return 0;
	switch ((enum kind)c->format->kind) {
	case NV12:
	case NV21:
		return c->format->planes == 1 ? luma + luma / 2 : plane ? luma / 2 : luma;
	case YU12:
		return c->format->planes == 1 ? luma + luma / 2 : plane ? luma / 4 : luma;
	default:
		return luma;
	}
}

static void copy_luma(struct convert *c, const guint8 *y, gsize stride)
{
	guint row;

	for (row = 0; row < c->height; row++)
		memcpy(c->y + (gsize)row * c->width, y + row * stride, c->width);
}

static void swap_chroma(struct convert *c, const guint8 *vu, gsize stride)
{
	guint row, i;

	for (row = 0; row < c->height / 2; row++) {
		const guint8 *from = vu + row * stride;
		guint8 *to = c->uv + (gsize)row * c->width;

		for (i = 0; i + 1 < c->width; i += 2) {
			to[i] = from[i + 1];
			to[i + 1] = from[i];
		}
	}
}

static void weave_chroma(struct convert *c, const guint8 *u, const guint8 *v, gsize stride)
{
	guint row, i;

	for (row = 0; row < c->height / 2; row++) {
		guint8 *to = c->uv + (gsize)row * c->width;

		for (i = 0; i < c->width / 2; i++) {
			to[2 * i] = u[row * stride + i];
			to[2 * i + 1] = v[row * stride + i];
		}
	}
}

/* Chroma of each second line: the encoders work with half of the lines too. */
static void unpack(struct convert *c, const guint8 *data, gsize stride, guint luma)
{
	guint chroma = 1 - luma, row, i;

	for (row = 0; row < c->height; row++) {
		const guint8 *from = data + row * stride;
		guint8 *y = c->y + (gsize)row * c->width;
		guint8 *uv = c->uv + (gsize)(row / 2) * c->width;

		for (i = 0; i < c->width; i++)
			y[i] = from[2 * i + luma];
		for (i = 0; row % 2 == 0 && i < c->width; i++)
			uv[i] = from[2 * i + chroma];
	}
}

/* To 8 bits each, without padding. */
static void reduce_line(enum kind kind, const guint8 *from, guint8 *to, guint width)
{
	guint i;

	for (i = 0; i < width; i++) {
		if (kind == BAYER_8)
			to[i] = from[i];
		else if (kind == BAYER_10P)
			to[i] = from[i / 4 * 5 + i % 4];
		else
			to[i] = (guint8)((from[2 * i] | from[2 * i + 1] << 8) >>
					 (kind == BAYER_16 ? 8 : 2));
	}
}

static const char *develop(struct convert *c, const guint8 *data, gsize stride)
{
	gsize luma = (gsize)c->width * c->height;
	struct v4l2_format from = { .type = V4L2_BUF_TYPE_VIDEO_CAPTURE }, to = from;
	guint row;

	from.fmt.pix = (struct v4l2_pix_format){
		.width = c->width, .height = c->height, .pixelformat = c->format->bayer,
		.field = V4L2_FIELD_NONE, .bytesperline = c->width, .sizeimage = (guint32)luma,
	};
	to.fmt.pix = from.fmt.pix;
	to.fmt.pix.pixelformat = V4L2_PIX_FMT_YUV420;
	to.fmt.pix.sizeimage = (guint32)(luma + luma / 2);
	for (row = 0; row < c->height; row++)
		reduce_line(c->format->kind, data + row * stride, c->raw + (gsize)row * c->width,
			    c->width);
	if (v4lconvert_convert(c->v4l, &from, &to, c->raw, (int)luma, c->planar,
			       (int)(luma + luma / 2)) != (int)(luma + luma / 2))
		return "refused by libv4lconvert";
	memcpy(c->y, c->planar, luma);
	weave_chroma(c, c->planar + luma, c->planar + luma + luma / 4, c->width / 2);
	return NULL;
}

void convert_restart(struct convert *c)
{
	c->gap = TRUE;
	if (c->annexb)
		annexb_restart(c->annexb);
}

void convert_lost(struct convert *c)
{
	c->gap = TRUE;
}

static const char *check_jpeg(const struct convert *c, const struct convert_input *in,
			      struct convert_output *out)
{
	*out = (struct convert_output){ .coded = in->data[0], .key = TRUE };
	return jpeg_check(in->data[0], in->size[0], c->width, c->height, &out->coded_size);
}

/* A difference is good only when nothing is missing since the key frame before it. */
static const char *check_h264(struct convert *c, const struct convert_input *in,
			      struct convert_output *out)
{
	struct annexb_frame frame;
	const char *wrong = annexb_check(c->annexb, in->data[0], in->size[0], &frame);

	*out = (struct convert_output){ 0 };
	if (wrong) {
		c->gap = TRUE;
		return wrong;
	}
	if (!frame.length || (c->gap && !frame.key))
		return NULL;
	c->gap = FALSE;
	*out = (struct convert_output){
		.coded = frame.data, .coded_size = frame.length, .key = frame.key,
	};
	return NULL;
}

const char *convert_frame(struct convert *c, const struct convert_input *in,
			  struct convert_output *out)
{
	gsize stride = in->stride, luma = stride * c->height;
	gboolean one = c->format->planes == 1;
	const guint8 *second = one ? in->data[0] + luma : in->data[1];
	const guint8 *third = one ? second + luma / 4 : in->data[2];
	const char *wrong = NULL;

	*out = (struct convert_output){ .y = c->y, .uv = c->uv, .stride = c->width };
	switch ((enum kind)c->format->kind) {
	case NV12:
		*out = (struct convert_output){ .y = in->data[0], .uv = second, .stride = stride };
		break;
	case NV21:
		copy_luma(c, in->data[0], stride);
		swap_chroma(c, second, stride);
		break;
	case YU12:
		copy_luma(c, in->data[0], stride);
		weave_chroma(c, second, third, stride / 2);
		break;
	case YUYV:
	case UYVY:
		unpack(c, in->data[0], stride, c->format->kind == UYVY);
		break;
	case JPEG:
		wrong = check_jpeg(c, in, out);
		break;
	case H264:
		wrong = check_h264(c, in, out);
		break;
	default:
		wrong = develop(c, in->data[0], stride);
	}
	return wrong;
}
