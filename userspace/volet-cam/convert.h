/* SPDX-License-Identifier: MIT */
/*
 * From what a capture node gives to what the encoders take: NV12, or a JPEG that is passed
 * on as it is. NV12 itself is not copied; all else is converted into memory of its own, which
 * the next frame overwrites.
 *
 * Raw Bayer goes through libv4lconvert, which makes colours of it without balancing them:
 * no white balance, no gamma, no lens shading. It is a picture to point a camera by.
 */
#ifndef VOLET_CAM_CONVERT_H
#define VOLET_CAM_CONVERT_H

#include <glib.h>

#define CONVERT_PLANES	3

struct convert_format {
	guint32 fourcc;
	guint planes;		/* pieces of memory: several where the format's name ends in M */
	guint kind;		/* of convert.c */
	guint32 bayer;		/* the same order with 8 bits */
};

struct convert {
	const struct convert_format *format;
	guint width, height;
	guint8 *y, *uv;		/* NULL where nothing is converted */
	guint8 *raw, *planar;	/* 8-bit Bayer, and YUV 4:2:0 of it */
	void *v4l;		/* struct v4lconvert_data */
};

/* A frame as it came: each plane with its size, lines of `stride` in the first. */
struct convert_input {
	const guint8 *data[CONVERT_PLANES];
	gsize size[CONVERT_PLANES];
	gsize stride;
};

/* What the encoders get: NV12, or a JPEG of `jpeg_size` bytes. */
struct convert_output {
	const guint8 *y, *uv;
	gsize stride;
	const guint8 *jpeg;
	gsize jpeg_size;
};

/* NULL when there is no way from that format. */
const struct convert_format *convert_find(guint32 fourcc);
gboolean convert_is_jpeg(const struct convert_format *format);
gboolean convert_is_bayer(const struct convert_format *format);
/* Those that there are, for an error's text. */
char *convert_names(void);

/* Before the sandbox. */
gboolean convert_open(struct convert *c, const struct convert_format *format, guint width,
		      guint height, GError **error);
void convert_close(struct convert *c);

/* Bytes that a whole picture has at least in that plane; 0 for a JPEG or an impossible stride. */
gsize convert_need(const struct convert *c, guint plane, gsize stride);

/* NULL, or what is wrong with the frame. */
const char *convert_frame(struct convert *c, const struct convert_input *in,
			  struct convert_output *out);

#endif
