/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the virtual board share: camera 0 with all nodes open, controls as the
 * driver starts with, faults off, no tag, and trace and errors empty.
 */
#ifndef VOLET_SELFTESTS_CAMSIM_COMMON_H
#define VOLET_SELFTESTS_CAMSIM_COMMON_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <linux/v4l2-subdev.h>
#include <linux/videodev2.h>

#include "board.h"
#include "stream.h"

#ifndef CAMERA
#define CAMERA		0
#endif
#define WIDTH		1920
#define HEIGHT		1080
#define RAW_LINE	(WIDTH * 2)
#define RAW_SIZE	(RAW_LINE * HEIGHT)
#define NV12_SIZE	(WIDTH * HEIGHT * 3 / 2)
#define BLACK		64
#define WHITE		1023

/* Blanking for 10 frames a second: an emulated board keeps up with that. */
#define VBLANK_10FPS	2295
#define FRAME_US	(2200LL * (1080 + VBLANK_10FPS) * 1000 / 74250)
#define TIMEOUT		10000

struct bench {
	int raw, nv12, csi, sensor, scene;
};

static inline int64_t buffer_us(const struct v4l2_buffer *buffer)
{
	return buffer->timestamp.tv_sec * 1000000LL + buffer->timestamp.tv_usec;
}

static inline void sleep_ms(unsigned int ms)
{
	const struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

static inline int set_control(int fd, unsigned int id, int value)
{
	struct v4l2_control control = { .id = id, .value = value };

	return ioctl(fd, VIDIOC_S_CTRL, &control) ? -errno : 0;
}

/* The board's own control has no number in the kernel's headers: it is found by name. */
static inline int set_pixel_tag(int csi, bool on)
{
	struct v4l2_query_ext_ctrl query = { .id = V4L2_CTRL_FLAG_NEXT_CTRL };

	while (!ioctl(csi, VIDIOC_QUERY_EXT_CTRL, &query)) {
		if (!strcmp(query.name, "Pixel Tag"))
			return set_control(csi, query.id, on);
		query.id |= V4L2_CTRL_FLAG_NEXT_CTRL;
	}
	return -ENOENT;
}

static inline int bench_reset(struct bench *b)
{
	static const struct {
		unsigned int id;
		int value;
	} controls[] = {
		{ V4L2_CID_VBLANK, VBLANK_10FPS }, { V4L2_CID_EXPOSURE, 1000 },
		{ V4L2_CID_ANALOGUE_GAIN, 64 }, { V4L2_CID_DIGITAL_GAIN, 64 },
		{ V4L2_CID_HFLIP, 0 }, { V4L2_CID_VFLIP, 0 },
	};
	int ret = 0;

	for (size_t i = 0; i < sizeof(controls) / sizeof(controls[0]) && !ret; i++)
		ret = set_control(b->sensor, controls[i].id, controls[i].value);
	if (!ret)
		ret = set_pixel_tag(b->csi, false);
	board_debugfs_write_number(CAMERA, "fault_short_lines", 0);
	board_debugfs_write_number(CAMERA, "fault_nack", 0);
	board_debugfs_write(CAMERA, "fault_crc", "N");
	board_debugfs_write(CAMERA, "fault_wrong_id", "N");
	board_debugfs_write(CAMERA, "trace", "0");
	board_debugfs_write(CAMERA, "errors", "0");
	return ret;
}

static inline int bench_open(struct bench *b)
{
	int ret;

	if (!board_sensor_is_bound(CAMERA)) {
		ret = board_sensor_bind(CAMERA);
		if (ret)
			return ret;
	}
	b->raw = board_open_node(CAMERA, "camsim%u-raw");
	b->nv12 = board_open_node(CAMERA, "camsim%u-nv12");
	b->csi = board_open_node(CAMERA, "camsim%u-csi");
	b->sensor = board_open_node(CAMERA, "gc2053 %u-0037");
	b->scene = board_open_node(CAMERA, "camsim%u-scene");
	if (b->raw < 0 || b->nv12 < 0 || b->csi < 0 || b->sensor < 0 || b->scene < 0)
		return -ENODEV;
	return bench_reset(b);
}

static inline void bench_close(struct bench *b)
{
	bench_reset(b);
	close(b->raw);
	close(b->nv12);
	close(b->csi);
	close(b->sensor);
	close(b->scene);
}

/*
 * The frame that comes `skip` frames after the next one, copied: controls take two frames. NULL
 * if it doesn't come, is marked bad or is not whole.
 */
static inline void *grab(int fd, unsigned int skip, struct v4l2_buffer *buffer)
{
	struct stream stream;
	void *copy = NULL;
	int ret;

	if (stream_open(&stream, fd))
		return NULL;
	ret = stream_start(&stream);
	for (unsigned int i = 0; !ret && i <= skip; i++) {
		if (i)
			ret = stream_return(&stream, buffer);
		if (!ret)
			ret = stream_next(&stream, buffer, TIMEOUT);
	}
	if (!ret && !(buffer->flags & V4L2_BUF_FLAG_ERROR) && buffer->bytesused == buffer->length) {
		copy = malloc(buffer->bytesused);
		if (copy)
			memcpy(copy, stream.buffers[buffer->index].data, buffer->bytesused);
	}
	stream_stop(&stream);
	stream_close(&stream);
	return copy;
}

/* A value of a Bayer frame */
static inline int raw_at(const void *frame, unsigned int x, unsigned int y)
{
	return ((const uint16_t *)frame)[y * WIDTH + x];
}

static inline int luma_at(const void *frame, unsigned int x, unsigned int y)
{
	return ((const uint8_t *)frame)[y * WIDTH + x];
}

static inline int chroma_at(const void *frame, unsigned int x, unsigned int y, bool v)
{
	return ((const uint8_t *)frame)[WIDTH * HEIGHT + y / 2 * WIDTH + x / 2 * 2 + v];
}

static inline bool near(int value, int expected, int tolerance)
{
	return abs(value - expected) <= tolerance;
}

#endif
