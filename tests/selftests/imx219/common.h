/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the IMX219 on the virtual board share: the third camera, which mainline's
 * driver is bound to, its controls as the driver starts with, faults off, trace and errors empty.
 */
#ifndef VOLET_SELFTESTS_IMX219_COMMON_H
#define VOLET_SELFTESTS_IMX219_COMMON_H

#include "board.h"

#define CAMERA		BOARD_IMX219
#include "play.h"
#include "tagcode.h"
#include "trace.h"

/* The driver's, for two lanes */
#define LINE_LENGTH	3448
#define PIXEL_RATE	182400000LL

struct camera {
	int raw, nv12, csi, isp, sensor, scene;
	unsigned int width, height;
	bool wide;		/* 10 bits in 16 */
};

static inline int get_control(int fd, unsigned int id)
{
	struct v4l2_control control = { .id = id };

	return ioctl(fd, VIDIOC_G_CTRL, &control) ? -errno : control.value;
}

static inline void camera_close(struct camera *c)
{
	close(c->raw);
	close(c->nv12);
	close(c->csi);
	close(c->isp);
	if (c->sensor >= 0)
		close(c->sensor);
	close(c->scene);
}

static inline int set_pad(int fd, uint32_t code, unsigned int width, unsigned int height)
{
	struct v4l2_subdev_format format = {
		.which = V4L2_SUBDEV_FORMAT_ACTIVE,
		.format = { .code = code, .width = width, .height = height },
	};

	if (ioctl(fd, VIDIOC_SUBDEV_S_FMT, &format))
		return -errno;
	return format.format.code == code && format.format.width == width &&
	       format.format.height == height ? 0 : -EINVAL;
}

static inline int set_node(int fd, uint32_t fourcc, unsigned int width, unsigned int height)
{
	struct v4l2_format format = {
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.fmt.pix = { .width = width, .height = height, .pixelformat = fourcc },
	};

	if (ioctl(fd, VIDIOC_S_FMT, &format))
		return -errno;
	return format.fmt.pix.pixelformat == fourcc && format.fmt.pix.width == width &&
	       format.fmt.pix.height == height ? 0 : -EINVAL;
}

/* The formats for these flips (1: horizontal, 2: vertical), in the order of the driver's table */
static const struct {
	uint32_t code10, fourcc10, code8, fourcc8;
} orders[] = {
	{ MEDIA_BUS_FMT_SRGGB10_1X10, V4L2_PIX_FMT_SRGGB10,
	  MEDIA_BUS_FMT_SRGGB8_1X8, V4L2_PIX_FMT_SRGGB8 },
	{ MEDIA_BUS_FMT_SGRBG10_1X10, V4L2_PIX_FMT_SGRBG10,
	  MEDIA_BUS_FMT_SGRBG8_1X8, V4L2_PIX_FMT_SGRBG8 },
	{ MEDIA_BUS_FMT_SGBRG10_1X10, V4L2_PIX_FMT_SGBRG10,
	  MEDIA_BUS_FMT_SGBRG8_1X8, V4L2_PIX_FMT_SGBRG8 },
	{ MEDIA_BUS_FMT_SBGGR10_1X10, V4L2_PIX_FMT_SBGGR10,
	  MEDIA_BUS_FMT_SBGGR8_1X8, V4L2_PIX_FMT_SBGGR8 },
};

/* Flips and format of the whole pipeline */
static inline int set_mode(struct camera *c, unsigned int width, unsigned int height, bool wide,
			   unsigned int flips)
{
	uint32_t code = wide ? orders[flips].code10 : orders[flips].code8;
	int ret;

	c->width = width;
	c->height = height;
	c->wide = wide;
	ret = set_control(c->sensor, V4L2_CID_HFLIP, flips & 1);
	if (!ret)
		ret = set_control(c->sensor, V4L2_CID_VFLIP, flips >> 1);
	if (!ret)
		ret = set_pad(c->sensor, code, width, height);
	if (!ret)
		ret = set_pad(c->csi, code, width, height);
	if (!ret)
		ret = set_pad(c->isp, code, width, height);
	if (!ret)
		ret = set_node(c->raw, wide ? orders[flips].fourcc10 : orders[flips].fourcc8,
			       width, height);
	return ret ? ret : set_node(c->nv12, V4L2_PIX_FMT_NV12, width, height);
}

static inline bool camera_exists(void)
{
	return !access("/sys/bus/i2c/devices/2-0010", F_OK);
}

static inline int camera_open(struct camera *c)
{
	static const struct {
		unsigned int id;
		int value;
	} controls[] = {
		{ V4L2_CID_EXPOSURE, 1000 }, { V4L2_CID_ANALOGUE_GAIN, 0 },
		{ V4L2_CID_DIGITAL_GAIN, 256 }, { V4L2_CID_TEST_PATTERN, 0 },
	};
	int ret = 0;

	if (!board_sensor_is_bound(CAMERA))
		ret = board_sensor_bind(CAMERA);
	if (ret)
		return ret;
	c->raw = board_open_node(CAMERA, "camsim%u-raw");
	c->nv12 = board_open_node(CAMERA, "camsim%u-nv12");
	c->csi = board_open_node(CAMERA, "camsim%u-csi");
	c->isp = board_open_node(CAMERA, "camsim%u-isp");
	c->sensor = board_open_node(CAMERA, "imx219 %u-0010");
	c->scene = board_open_node(CAMERA, "camsim%u-scene");
	if (c->raw < 0 || c->nv12 < 0 || c->csi < 0 || c->isp < 0 || c->sensor < 0 || c->scene < 0)
		return -ENODEV;
	ret = set_mode(c, 1920, 1080, true, 0);
	for (size_t i = 0; i < sizeof(controls) / sizeof(controls[0]) && !ret; i++)
		ret = set_control(c->sensor, controls[i].id, controls[i].value);
	board_debugfs_write_number(CAMERA, "fault_nack", 0);
	board_debugfs_write(CAMERA, "fault_wrong_id", "N");
	board_debugfs_write(CAMERA, "trace", "0");
	board_debugfs_write(CAMERA, "errors", "0");
	return ret;
}

/* A frame's time with this vertical blanking, in ns */
static inline int64_t frame_ns(unsigned int height, unsigned int vblank)
{
	return (int64_t)LINE_LENGTH * (height + vblank) * 1000000000LL / PIXEL_RATE;
}

/* A value of 10 bits, of a frame of the mode that is set */
static inline int pixel(const struct camera *c, const void *frame, unsigned int x, unsigned int y)
{
	if (c->wide)
		return ((const uint16_t *)frame)[y * c->width + x];
	return ((const uint8_t *)frame)[y * c->width + x] << 2;
}

/* One of the two copies in a raw frame, mirrored by flips as the picture is */
static inline void tag_bytes(const struct camera *c, const void *frame, unsigned int flips,
			     unsigned int top, uint8_t *bytes)
{
	memset(bytes, 0, TAG_BYTES);
	for (unsigned int bit = 0; bit < TAG_BYTES * 8; bit++) {
		unsigned int x = bit % 40 * TAG_CELL + TAG_CELL / 2;
		unsigned int y = top + bit / 40 * TAG_CELL + TAG_CELL / 2;

		if (pixel(c, frame, flips & 1 ? c->width - 1 - x : x,
			  flips & 2 ? c->height - 1 - y : y) > 512)
			bytes[bit / 8] |= 0x80 >> bit % 8;
	}
}

/* The tag if both copies are right and the same */
static inline bool tag_read(const struct camera *c, const void *frame, unsigned int flips,
			    struct tag *tag)
{
	uint8_t one[TAG_BYTES], two[TAG_BYTES];

	tag_bytes(c, frame, flips, 0, one);
	tag_bytes(c, frame, flips, c->height - TAG_ROWS * TAG_CELL, two);
	return tag_parse(one, tag) && !memcmp(one, two, sizeof(one));
}

#endif
