/* SPDX-License-Identifier: MIT */
/*
 * From what a capture node gives to what the encoders take: NV12, or what the camera has coded
 * itself (JPEG, H.264), which is passed on as it is once its structure was checked. NV12 is not
 * copied; all else is converted into memory of its own, which the next frame overwrites.
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
	struct annexb *annexb;	/* of H.264 */
	gboolean gap;		/* H.264: a frame is missing, no difference is good before a key frame */
};

/* A frame as it came: each plane with its size, lines of `stride` in the first. */
struct convert_input {
	const guint8 *data[CONVERT_PLANES];
	gsize size[CONVERT_PLANES];
	gsize stride;
};

/*
 * What the encoders get: NV12, or a coded frame, which is a JPEG or an H.264 access unit. Neither
 * is right too: nothing that can be shown (parameter sets alone, a difference after a gap).
 */
struct convert_output {
	const guint8 *y, *uv;
	gsize stride;
	const guint8 *coded;
	gsize coded_size;
	gboolean key;		/* of a coded frame */
};

/* NULL when there is no way from that format. */
const struct convert_format *convert_find(guint32 fourcc);
/* What the camera codes itself: 0 (nothing) or an enum volet_codec. */
guint convert_codec(const struct convert_format *format);
gboolean convert_is_bayer(const struct convert_format *format);
/* Those that there are, for an error's text. */
char *convert_names(void);

/* Before the sandbox. */
gboolean convert_open(struct convert *c, const struct convert_format *format, guint width,
		      guint height, GError **error);
void convert_close(struct convert *c);

/* The next frame is a stream's first; a frame was lost before the next. Only H.264 minds. */
void convert_restart(struct convert *c);
void convert_lost(struct convert *c);

/* Bytes that a whole picture has at least in that plane; 0 if coded, or the stride is impossible. */
gsize convert_need(const struct convert *c, guint plane, gsize stride);

/* NULL, or what is wrong with the frame. */
const char *convert_frame(struct convert *c, const struct convert_input *in,
			  struct convert_output *out);

#endif
