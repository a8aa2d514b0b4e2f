/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the GC2053 driver share: camera 0 with its sensor bound, powered down, the
 * board's faults off and its trace and errors empty.
 */
#ifndef VOLET_SELFTESTS_GC2053_COMMON_H
#define VOLET_SELFTESTS_GC2053_COMMON_H

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

#include <linux/v4l2-subdev.h>
#include <linux/videodev2.h>

#include "board.h"
#include "stream.h"
#include "trace.h"

#define CAMERA		0

/* More than the driver's autosuspend delay of one second */
#define SUSPEND_TIMEOUT	5000

#define WIDTH		1920
#define HEIGHT		1080
#define MBUS_CODE	MEDIA_BUS_FMT_SRGGB10_1X10

static inline int sensor_reset(void)
{
	int ret;

	board_debugfs_write_number(CAMERA, "fault_nack", 0);
	board_debugfs_write_number(CAMERA, "fault_slow_ms", 0);
	board_debugfs_write_number(CAMERA, "fault_power", 0);
	board_debugfs_write(CAMERA, "fault_refuse", "N");
	board_debugfs_write(CAMERA, "fault_wrong_id", "N");
	if (!board_sensor_is_bound(CAMERA)) {
		ret = board_sensor_bind(CAMERA);
		if (ret)
			return ret;
	}
	ret = board_sensor_wait_suspended(CAMERA, SUSPEND_TIMEOUT);
	if (ret)
		return ret;
	ret = board_debugfs_write(CAMERA, "errors", "0");
	if (ret)
		return ret;
	return trace_clear(CAMERA);
}

static inline long sensor_usage(void)
{
	char *text = board_sensor_read(CAMERA, "power/runtime_usage");
	long usage = text ? atol(text) : -1;

	free(text);
	return usage;
}

static inline int set_control(int fd, unsigned int id, int value)
{
	struct v4l2_control control = { .id = id, .value = value };

	return ioctl(fd, VIDIOC_S_CTRL, &control) ? -errno : 0;
}

static inline int get_control(int fd, unsigned int id)
{
	struct v4l2_control control = { .id = id };

	return ioctl(fd, VIDIOC_G_CTRL, &control) ? -errno : control.value;
}

static inline int query_control(int fd, unsigned int id, struct v4l2_query_ext_ctrl *query)
{
	memset(query, 0, sizeof(*query));
	query->id = id;
	return ioctl(fd, VIDIOC_QUERY_EXT_CTRL, query) ? -errno : 0;
}

/* Controls outlive a test: back to the values that the driver starts with. */
static inline int reset_controls(int fd)
{
	static const unsigned int ids[] = {
		V4L2_CID_VBLANK, V4L2_CID_EXPOSURE, V4L2_CID_ANALOGUE_GAIN, V4L2_CID_DIGITAL_GAIN,
		V4L2_CID_HFLIP, V4L2_CID_VFLIP,
	};
	struct v4l2_query_ext_ctrl query;
	int ret;

	for (unsigned int i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		ret = query_control(fd, ids[i], &query);
		if (!ret)
			ret = set_control(fd, ids[i], query.default_value);
		if (ret)
			return ret;
	}
	return 0;
}

#endif
