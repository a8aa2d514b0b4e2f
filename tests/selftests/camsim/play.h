/* SPDX-License-Identifier: MIT */
/* Playing still pictures into the scene node with write(). */
#ifndef VOLET_SELFTESTS_CAMSIM_PLAY_H
#define VOLET_SELFTESTS_CAMSIM_PLAY_H

#include "common.h"

struct picture {
	uint32_t fourcc;
	unsigned int width, height;
	size_t size;
	uint8_t *data;
};

static inline int picture_alloc(struct picture *p, uint32_t fourcc, unsigned int width,
				unsigned int height)
{
	p->fourcc = fourcc;
	p->width = width;
	p->height = height;
	p->size = width * height * 3 / 2;
	p->data = malloc(p->size);
	return p->data ? 0 : -ENOMEM;
}

/* A rectangle of one colour, even in position and size */
static inline void picture_fill(struct picture *p, unsigned int x, unsigned int y, unsigned int w,
				unsigned int h, uint8_t luma, uint8_t u, uint8_t v)
{
	uint8_t *chroma = p->data + p->width * p->height;
	unsigned int quarter = p->width * p->height / 4;

	for (unsigned int row = y; row < y + h; row++)
		memset(p->data + row * p->width + x, luma, w);
	for (unsigned int row = y / 2; row < (y + h) / 2; row++) {
		for (unsigned int column = x / 2; column < (x + w) / 2; column++) {
			if (p->fourcc == V4L2_PIX_FMT_NV12) {
				chroma[row * p->width + column * 2] = u;
				chroma[row * p->width + column * 2 + 1] = v;
			} else {
				chroma[row * p->width / 2 + column] = u;
				chroma[quarter + row * p->width / 2 + column] = v;
			}
		}
	}
}

/* `full` for full-range values, else what video has */
static inline int play_start(int scene, const struct picture *p, bool full)
{
	struct v4l2_format format = {
		.type = V4L2_BUF_TYPE_VIDEO_OUTPUT,
		.fmt.pix = {
			.width = p->width, .height = p->height, .pixelformat = p->fourcc,
			/* Without these two the kernel ignores the range. */
			.priv = V4L2_PIX_FMT_PRIV_MAGIC,
			.colorspace = V4L2_COLORSPACE_SRGB,
			.quantization = full ? V4L2_QUANTIZATION_FULL_RANGE
					     : V4L2_QUANTIZATION_DEFAULT,
		},
	};

	if (ioctl(scene, VIDIOC_S_FMT, &format))
		return -errno;
	if (format.fmt.pix.sizeimage != p->size || format.fmt.pix.pixelformat != p->fourcc)
		return -EINVAL;
	return 0;
}

/* The node is non-blocking. */
static inline int play(int scene, const struct picture *p)
{
	ssize_t n;

	for (unsigned int i = 0; i < TIMEOUT / 10; i++) {
		n = write(scene, p->data, p->size);
		if (n == (ssize_t)p->size)
			return 0;
		if (n >= 0 || errno != EAGAIN)
			return n < 0 ? -errno : -EIO;
		sleep_ms(10);
	}
	return -ETIMEDOUT;
}

/* What is written stays until the file is closed; this is how the sensor is sure to see it. */
static inline int show(int scene, const struct picture *p, bool full)
{
	int ret = play_start(scene, p, full);

	if (!ret)
		ret = play(scene, p);
	sleep_ms(100);
	return ret;
}

#endif
