// SPDX-License-Identifier: MIT
/*
 * Virtual board: each fault that can be asked for is seen, and gone when it is taken back. Those of
 * the receiver's frames first, then of power and clock, then those that are controls with vivid's
 * names. payload.c has short and damaged frames, the driver's tests have NACK and the wrong ID.
 */
#include "kselftest_harness.h"

#include <poll.h>

#include "common.h"
#include "trace.h"

#define BOARD_SYSFS	"/sys/bus/platform/drivers/camsim/"
#define BOARD_DEVICE	"camsim-0"

static const char * const frame_faults[] = {
	"fault_truncate", "fault_lost_start", "fault_lost_end", "fault_no_signal",
};

FIXTURE(frames) {
	struct bench bench;
	struct stream stream;
	struct v4l2_buffer buffer;
	size_t size, line;
};

FIXTURE_VARIANT(frames) {
	bool nv12;
};

FIXTURE_VARIANT_ADD(frames, raw) { .nv12 = false };
FIXTURE_VARIANT_ADD(frames, nv12) { .nv12 = true };

FIXTURE_SETUP(frames)
{
	ASSERT_EQ(0, bench_open(&self->bench));
	self->size = variant->nv12 ? NV12_SIZE : RAW_SIZE;
	self->line = variant->nv12 ? WIDTH : RAW_LINE;
	ASSERT_EQ(0, stream_open(&self->stream,
				 variant->nv12 ? self->bench.nv12 : self->bench.raw));
	ASSERT_EQ(0, stream_start(&self->stream));
}

FIXTURE_TEARDOWN(frames)
{
	for (size_t i = 0; i < sizeof(frame_faults) / sizeof(frame_faults[0]); i++)
		board_debugfs_write(CAMERA, frame_faults[i], "N");
	board_debugfs_write_number(CAMERA, "fault_long_lines", 0);
	EXPECT_EQ(0, stream_stop(&self->stream));
	stream_close(&self->stream);
	bench_close(&self->bench);
}

/* Frames go back until one is, or is not, marked as bad. */
static int next_that_is(struct stream *stream, struct v4l2_buffer *buffer, bool bad)
{
	for (int i = 0; i < 8; i++) {
		int ret = stream_next(stream, buffer, TIMEOUT);

		if (ret || !!(buffer->flags & V4L2_BUF_FLAG_ERROR) == bad)
			return ret;
		ret = stream_return(stream, buffer);
		if (ret)
			return ret;
	}
	return -ETIMEDOUT;
}

static bool is_zero(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (data[i])
			return false;
	return true;
}

TEST_F(frames, a_long_one_is_bad_and_whole)
{
	ASSERT_EQ(0, next_that_is(&self->stream, &self->buffer, false));
	ASSERT_EQ(0, stream_return(&self->stream, &self->buffer));
	ASSERT_EQ(0, board_debugfs_write_number(CAMERA, "fault_long_lines", 1));
	ASSERT_EQ(0, next_that_is(&self->stream, &self->buffer, true));
	EXPECT_EQ(self->size, self->buffer.bytesused);
	EXPECT_LE(1, board_errors(CAMERA, "frame-too-long"));
	ASSERT_EQ(0, stream_return(&self->stream, &self->buffer));
	ASSERT_EQ(0, board_debugfs_write_number(CAMERA, "fault_long_lines", 0));
	EXPECT_EQ(0, next_that_is(&self->stream, &self->buffer, false));
}

TEST_F(frames, a_truncated_one_ends_in_a_line)
{
	size_t came = variant->nv12 ? 1078 * WIDTH : 1079 * RAW_LINE + RAW_LINE / 2;
	/* Black is 64 in raw and 0 in NV12, where the moving bars have some of it in each line. */
	size_t last = variant->nv12 ? WIDTH : 16;
	const uint8_t *data;

	ASSERT_EQ(0, board_debugfs_write(CAMERA, "fault_truncate", "Y"));
	ASSERT_EQ(0, next_that_is(&self->stream, &self->buffer, true));
	data = self->stream.buffers[self->buffer.index].data;
	EXPECT_EQ(came, self->buffer.bytesused);
	EXPECT_FALSE(is_zero(data + came - last, last));
	EXPECT_TRUE(is_zero(data + came, self->size - came));
	EXPECT_LE(1, board_errors(CAMERA, "line-truncated"));
	EXPECT_EQ(0, board_errors(CAMERA, "frame-short"));
	ASSERT_EQ(0, stream_return(&self->stream, &self->buffer));
	ASSERT_EQ(0, board_debugfs_write(CAMERA, "fault_truncate", "N"));
	EXPECT_EQ(0, next_that_is(&self->stream, &self->buffer, false));
}

/* Takes the frames that have started by now: they are through when the sensor counts another. */
static int take_started(struct stream *stream)
{
	unsigned long start = board_sensed(CAMERA);
	struct v4l2_buffer buffer;
	int ret;

	while (board_sensed(CAMERA) == start)
		sleep_ms(20);
	do {
		ret = stream_next(stream, &buffer, 0);
		if (!ret)
			ret = stream_return(stream, &buffer);
	} while (!ret);
	return ret == -ETIMEDOUT ? 0 : ret;
}

/*
 * Nothing comes while the sensor goes on, and the receiver counts none of what it doesn't see. Those
 * that a slow machine left out are not counted as the error either, which is NULL if there is none.
 */
static void check_nothing_comes(struct __test_metadata *_metadata, struct stream *stream,
				const char *fault, const char *error)
{
	struct v4l2_buffer buffer;
	unsigned long start;

	ASSERT_EQ(0, board_debugfs_write(CAMERA, fault, "Y"));
	ASSERT_EQ(0, take_started(stream));
	start = board_sensed(CAMERA);
	while (board_sensed(CAMERA) < start + 3 || (error && board_errors(CAMERA, error) < 3))
		sleep_ms(20);
	EXPECT_EQ(-ETIMEDOUT, stream_next(stream, &buffer, 0));
	ASSERT_EQ(0, board_debugfs_write(CAMERA, fault, "N"));
	ASSERT_EQ(0, stream_next(stream, &buffer, TIMEOUT));
	EXPECT_FALSE(buffer.flags & V4L2_BUF_FLAG_ERROR);
}

TEST_F(frames, without_their_start_are_passed_over)
{
	struct v4l2_buffer buffer;
	unsigned long before = board_sensed(CAMERA);
	uint32_t counted;

	/* Before the ways to the two nodes part */
	if (variant->nv12)
		return;
	ASSERT_EQ(0, stream_next(&self->stream, &buffer, TIMEOUT));
	ASSERT_EQ(0, stream_return(&self->stream, &buffer));
	check_nothing_comes(_metadata, &self->stream, "fault_lost_start", "frame-start-lost");
	ASSERT_EQ(0, stream_next(&self->stream, &self->buffer, TIMEOUT));
	counted = self->buffer.sequence - buffer.sequence;
	EXPECT_GE(board_sensed(CAMERA) - before, counted + 3);
}

TEST_F(frames, without_signal_do_not_come)
{
	struct v4l2_event_subscription sub = { .type = V4L2_EVENT_FRAME_SYNC };
	struct pollfd poll_fd = { .fd = self->bench.csi, .events = POLLPRI };
	struct v4l2_event event;
	unsigned long start;

	if (variant->nv12)
		return;
	check_nothing_comes(_metadata, &self->stream, "fault_no_signal", NULL);
	EXPECT_EQ(0, board_errors(CAMERA, NULL));

	/* Nor does the receiver see a frame start. */
	ASSERT_EQ(0, board_debugfs_write(CAMERA, "fault_no_signal", "Y"));
	start = board_sensed(CAMERA);
	while (board_sensed(CAMERA) < start + 1)
		sleep_ms(20);
	ASSERT_EQ(0, ioctl(self->bench.csi, VIDIOC_SUBSCRIBE_EVENT, &sub));
	while (board_sensed(CAMERA) < start + 4)
		sleep_ms(20);
	EXPECT_EQ(0, poll(&poll_fd, 1, 0));
	ASSERT_EQ(0, board_debugfs_write(CAMERA, "fault_no_signal", "N"));
	EXPECT_EQ(1, poll(&poll_fd, 1, TIMEOUT));
	EXPECT_EQ(0, ioctl(self->bench.csi, VIDIOC_DQEVENT, &event));
	EXPECT_EQ(0, ioctl(self->bench.csi, VIDIOC_UNSUBSCRIBE_EVENT, &sub));
}

/* Only the start of the next frame says that one is over: it comes a whole frame time late. */
TEST_F(frames, without_their_end_come_late_and_bad)
{
	bool early = false;

	if (variant->nv12)
		return;
	for (int i = 0; i < 50 && !early; i++) {
		ASSERT_EQ(0, stream_next(&self->stream, &self->buffer, TIMEOUT));
		early = now_ns() / 1000 - buffer_us(&self->buffer) < FRAME_US;
		ASSERT_EQ(0, stream_return(&self->stream, &self->buffer));
	}
	EXPECT_TRUE(early);
	ASSERT_EQ(0, board_debugfs_write(CAMERA, "fault_lost_end", "Y"));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, next_that_is(&self->stream, &self->buffer, true));
		EXPECT_LE(FRAME_US, now_ns() / 1000 - buffer_us(&self->buffer));
		EXPECT_EQ(self->size, self->buffer.bytesused);
		ASSERT_EQ(0, stream_return(&self->stream, &self->buffer));
	}
	EXPECT_LE(2, board_errors(CAMERA, "frame-end-lost"));
	ASSERT_EQ(0, board_debugfs_write(CAMERA, "fault_lost_end", "N"));
	EXPECT_EQ(0, next_that_is(&self->stream, &self->buffer, false));
}

FIXTURE(power) {
	struct trace trace;
};

FIXTURE_SETUP(power)
{
	if (!board_sensor_is_bound(CAMERA)) {
		ASSERT_EQ(0, board_sensor_bind(CAMERA));
	}
	ASSERT_EQ(0, board_sensor_unbind(CAMERA));
	ASSERT_EQ(0, trace_clear(CAMERA));
	ASSERT_EQ(0, board_debugfs_write(CAMERA, "errors", "0"));
}

FIXTURE_TEARDOWN(power)
{
	board_debugfs_write_number(CAMERA, "fault_missing_rail", 0);
	board_debugfs_write_number(CAMERA, "fault_late_clock_ms", 0);
	EXPECT_EQ(0, board_sensor_bind(CAMERA));
	board_sensor_wait_suspended(CAMERA, 5000);
	board_debugfs_write(CAMERA, "errors", "0");
}

/* The driver is told that the rail is on: that the chip is silent is all there is to see. */
TEST_F(power, a_rail_is_missing)
{
	static const char * const rails[] = { "iovdd", "avdd", "dvdd" };

	for (unsigned int rail = 0; rail < 3; rail++) {
		ASSERT_EQ(0, trace_clear(CAMERA));
		ASSERT_EQ(0, board_debugfs_write_number(CAMERA, "fault_missing_rail", rail + 1));
		EXPECT_NE(0, board_sensor_bind(CAMERA));
		ASSERT_EQ(0, trace_get(CAMERA, &self->trace));
		for (unsigned int i = 0; i < 3; i++) {
			bool on = trace_find_pin(&self->trace, rails[i], true, 0) < self->trace.num;

			EXPECT_EQ(i != rail, on);
		}
		EXPECT_LE(1, trace_count(&self->trace, TRACE_NACK));
		EXPECT_EQ(0, trace_count(&self->trace, TRACE_READ));
		trace_free(&self->trace);
	}
	EXPECT_LE(3, board_errors(CAMERA, "i2c-unpowered"));
	EXPECT_LE(3, board_errors(CAMERA, "line-released-unpowered"));
}

TEST_F(power, the_clock_is_late)
{
	/* Much later than the driver waits: it is off again before it came. */
	ASSERT_EQ(0, board_debugfs_write_number(CAMERA, "fault_late_clock_ms", 2000));
	EXPECT_NE(0, board_sensor_bind(CAMERA));
	ASSERT_EQ(0, trace_get(CAMERA, &self->trace));
	EXPECT_EQ(self->trace.num, trace_find_pin(&self->trace, "xclk", true, 0));
	EXPECT_LE(1, trace_count(&self->trace, TRACE_NACK));
	trace_free(&self->trace);
	EXPECT_LE(1, board_errors(CAMERA, "i2c-unpowered"));

	/* A little, on a slow bus: it runs after the lines have gone up, and the chip answers. */
	ASSERT_EQ(0, trace_clear(CAMERA));
	ASSERT_EQ(0, board_debugfs_write_number(CAMERA, "fault_late_clock_ms", 20));
	ASSERT_EQ(0, board_debugfs_write_number(CAMERA, "fault_slow_ms", 600));
	EXPECT_EQ(0, board_sensor_bind(CAMERA));
	ASSERT_EQ(0, board_debugfs_write_number(CAMERA, "fault_slow_ms", 0));
	ASSERT_EQ(0, trace_get(CAMERA, &self->trace));
	EXPECT_LT(trace_find_pin(&self->trace, "reset", true, 0),
		  trace_find_pin(&self->trace, "xclk", true, 0));
	EXPECT_GT(self->trace.num, trace_find_pin(&self->trace, "xclk", true, 0));
	EXPECT_EQ(2, trace_count(&self->trace, TRACE_READ));
	trace_free(&self->trace);
	ASSERT_EQ(0, board_sensor_unbind(CAMERA));
}

FIXTURE(controls) {
	struct bench bench;
	struct stream stream;
	struct v4l2_buffer buffer;
};

/* As vivid's buttons and numbers are found: by name */
static int set_fault(int csi, const char *name, int value)
{
	struct v4l2_query_ext_ctrl query = { .id = V4L2_CTRL_FLAG_NEXT_CTRL };

	while (!ioctl(csi, VIDIOC_QUERY_EXT_CTRL, &query)) {
		if (!strcmp(query.name, name))
			return set_control(csi, query.id, value);
		query.id |= V4L2_CTRL_FLAG_NEXT_CTRL;
	}
	return -ENOENT;
}

FIXTURE_SETUP(controls)
{
	ASSERT_EQ(0, bench_open(&self->bench));
	if (set_fault(self->bench.csi, "Percentage of Dropped Buffers", 0))
		SKIP(return, "camsim was loaded without faults=1");
	ASSERT_EQ(0, stream_open(&self->stream, self->bench.nv12));
}

FIXTURE_TEARDOWN(controls)
{
	set_fault(self->bench.csi, "Percentage of Dropped Buffers", 0);
	EXPECT_EQ(0, board_errors(CAMERA, NULL));
	stream_close(&self->stream);
	bench_close(&self->bench);
}

TEST_F(controls, inject_a_bad_buffer)
{
	ASSERT_EQ(0, stream_start(&self->stream));
	ASSERT_EQ(0, next_that_is(&self->stream, &self->buffer, false));
	ASSERT_EQ(0, stream_return(&self->stream, &self->buffer));
	ASSERT_EQ(0, set_fault(self->bench.csi, "Inject V4L2_BUF_FLAG_ERROR", 1));
	ASSERT_EQ(0, next_that_is(&self->stream, &self->buffer, true));
	ASSERT_EQ(0, stream_return(&self->stream, &self->buffer));
	/* One only */
	ASSERT_EQ(0, stream_next(&self->stream, &self->buffer, TIMEOUT));
	EXPECT_FALSE(self->buffer.flags & V4L2_BUF_FLAG_ERROR);
	EXPECT_EQ(0, stream_stop(&self->stream));
}

TEST_F(controls, drop_a_percentage)
{
	unsigned long start;
	uint32_t last;

	ASSERT_EQ(0, set_fault(self->bench.csi, "Percentage of Dropped Buffers", 67));
	ASSERT_EQ(0, stream_start(&self->stream));
	ASSERT_EQ(0, stream_next(&self->stream, &self->buffer, TIMEOUT));
	for (int i = 0; i < 2; i++) {
		last = self->buffer.sequence;
		ASSERT_EQ(0, stream_return(&self->stream, &self->buffer));
		ASSERT_EQ(0, stream_next(&self->stream, &self->buffer, TIMEOUT));
		EXPECT_LE(last + 3, self->buffer.sequence);
	}
	ASSERT_EQ(0, set_fault(self->bench.csi, "Percentage of Dropped Buffers", 100));
	ASSERT_EQ(0, stream_return(&self->stream, &self->buffer));
	ASSERT_EQ(0, take_started(&self->stream));
	start = board_sensed(CAMERA);
	while (board_sensed(CAMERA) < start + 3)
		sleep_ms(20);
	EXPECT_EQ(-ETIMEDOUT, stream_next(&self->stream, &self->buffer, 1));
	ASSERT_EQ(0, set_fault(self->bench.csi, "Percentage of Dropped Buffers", 0));
	EXPECT_EQ(0, stream_next(&self->stream, &self->buffer, TIMEOUT));
	EXPECT_EQ(0, stream_stop(&self->stream));
}

TEST_F(controls, refuse_an_ioctl_once)
{
	struct v4l2_requestbuffers request = {
		.count = 2, .type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_MMAP,
	};
	struct v4l2_buffer buffer = {
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_MMAP,
	};

	ASSERT_EQ(0, set_fault(self->bench.csi, "Inject VIDIOC_STREAMON Error", 1));
	EXPECT_EQ(-EINVAL, stream_start(&self->stream));
	EXPECT_EQ(0, stream_stop(&self->stream));
	EXPECT_EQ(0, stream_start(&self->stream));
	EXPECT_EQ(0, stream_stop(&self->stream));

	ASSERT_EQ(0, set_fault(self->bench.csi, "Inject VIDIOC_QBUF Error", 1));
	EXPECT_EQ(-1, ioctl(self->bench.nv12, VIDIOC_QBUF, &buffer));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, ioctl(self->bench.nv12, VIDIOC_QBUF, &buffer));

	ASSERT_EQ(0, set_fault(self->bench.csi, "Inject VIDIOC_REQBUFS Error", 1));
	EXPECT_EQ(-1, ioctl(self->bench.raw, VIDIOC_REQBUFS, &request));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, ioctl(self->bench.raw, VIDIOC_REQBUFS, &request));
	request.count = 0;
	EXPECT_EQ(0, ioctl(self->bench.raw, VIDIOC_REQBUFS, &request));
}

TEST_F(controls, inject_a_fatal_error)
{
	struct v4l2_buffer buffer = {
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_MMAP,
	};

	/* To a node that doesn't stream it is nothing. */
	ASSERT_EQ(0, set_fault(self->bench.csi, "Inject Fatal Streaming Error", 1));
	ASSERT_EQ(0, stream_start(&self->stream));
	ASSERT_EQ(0, stream_next(&self->stream, &self->buffer, TIMEOUT));
	ASSERT_EQ(0, set_fault(self->bench.csi, "Inject Fatal Streaming Error", 1));
	EXPECT_EQ(-1, ioctl(self->bench.nv12, VIDIOC_DQBUF, &buffer));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(0, stream_stop(&self->stream));
	ASSERT_EQ(0, stream_start(&self->stream));
	EXPECT_EQ(0, stream_next(&self->stream, &self->buffer, TIMEOUT));
	EXPECT_EQ(0, stream_stop(&self->stream));
}

/* A reader who waits while the camera is pulled out is told, and it can be plugged in again. */
TEST_F(controls, disconnect_while_it_streams)
{
	/* For no frame: one that came before would end the wait too early. */
	struct pollfd poll_fd = { .fd = self->bench.nv12 };
	struct v4l2_capability cap;

	ASSERT_EQ(0, stream_start(&self->stream));
	ASSERT_EQ(0, stream_next(&self->stream, &self->buffer, TIMEOUT));
	ASSERT_EQ(0, set_fault(self->bench.csi, "Disconnect", 1));
	while (!access(BOARD_SYSFS BOARD_DEVICE, F_OK))
		sleep_ms(20);
	EXPECT_EQ(1, poll(&poll_fd, 1, TIMEOUT));
	EXPECT_TRUE(poll_fd.revents & (POLLERR | POLLHUP));
	EXPECT_EQ(-1, ioctl(self->bench.nv12, VIDIOC_QUERYCAP, &cap));
	EXPECT_EQ(ENODEV, errno);
	stream_close(&self->stream);
	close(self->bench.raw);
	close(self->bench.nv12);
	close(self->bench.csi);
	close(self->bench.sensor);
	close(self->bench.scene);

	ASSERT_EQ(0, board_write_file(BOARD_SYSFS "bind", BOARD_DEVICE));
	ASSERT_EQ(0, board_sensor_wait_probed(CAMERA));
	ASSERT_EQ(0, bench_open(&self->bench));
	ASSERT_EQ(0, stream_open(&self->stream, self->bench.nv12));
	ASSERT_EQ(0, stream_start(&self->stream));
	EXPECT_EQ(0, next_that_is(&self->stream, &self->buffer, false));
	EXPECT_EQ(0, stream_stop(&self->stream));
}

TEST_HARNESS_MAIN
