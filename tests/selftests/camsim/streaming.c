// SPDX-License-Identifier: MIT
/*
 * Virtual board: both capture nodes stream, alone and together, into their own memory and into
 * imported memory, at the rate that the sensor's registers say.
 */
#include "kselftest_harness.h"

#include <poll.h>

#include "i2c.h"
#include "udmabuf.h"

#define CANARY		0xa5
#define REG_STREAM	0x3e
#define STREAM_ON	0x91

FIXTURE(streaming) {
	struct bench bench;
	int node;
	size_t size;
};

FIXTURE_VARIANT(streaming) {
	bool nv12;
};

FIXTURE_VARIANT_ADD(streaming, raw) { .nv12 = false };
FIXTURE_VARIANT_ADD(streaming, nv12) { .nv12 = true };

FIXTURE_SETUP(streaming)
{
	ASSERT_EQ(0, bench_open(&self->bench));
	self->node = variant->nv12 ? self->bench.nv12 : self->bench.raw;
	self->size = variant->nv12 ? NV12_SIZE : RAW_SIZE;
}

FIXTURE_TEARDOWN(streaming)
{
	EXPECT_EQ(0, board_errors(CAMERA, NULL));
	bench_close(&self->bench);
}

/* Nowhere in a frame is a run of the canary: all of it was written. */
static bool has_canary(const uint8_t *data, size_t size)
{
	unsigned int run = 0;

	for (size_t i = 0; i < size; i++) {
		run = data[i] == CANARY ? run + 1 : 0;
		if (run == 64)
			return true;
	}
	return false;
}

static int frame_is_whole(const struct v4l2_buffer *buffer, size_t size)
{
	return buffer->bytesused == size && !(buffer->flags & V4L2_BUF_FLAG_ERROR) &&
	       buffer->field == V4L2_FIELD_NONE &&
	       (buffer->flags & V4L2_BUF_FLAG_TIMESTAMP_MASK) == V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
}

TEST_F(streaming, mmap_frames_are_whole_and_in_order)
{
	int64_t start = now_ns() / 1000, last = 0;
	struct v4l2_buffer buffer;
	struct stream stream;
	uint32_t sequence = 0;

	ASSERT_EQ(0, stream_open(&stream, self->node));
	for (unsigned int i = 0; i < stream.num; i++)
		memset(stream.buffers[i].data, CANARY, stream.buffers[i].size);
	EXPECT_TRUE(has_canary(stream.buffers[0].data, self->size));
	ASSERT_EQ(0, stream_start(&stream));
	for (int i = 0; i < 6; i++) {
		ASSERT_EQ(0, stream_next(&stream, &buffer, TIMEOUT));
		EXPECT_TRUE(frame_is_whole(&buffer, self->size));
		EXPECT_FALSE(has_canary(stream.buffers[buffer.index].data, self->size));
		EXPECT_LT(start, buffer_us(&buffer));
		EXPECT_GT(now_ns() / 1000, buffer_us(&buffer));
		if (i) {
			EXPECT_LT(sequence, buffer.sequence);
			EXPECT_LT(last, buffer_us(&buffer));
		} else {
			EXPECT_EQ(0, buffer.sequence);
		}
		last = buffer_us(&buffer);
		sequence = buffer.sequence;
		memset(stream.buffers[buffer.index].data, CANARY, self->size);
		ASSERT_EQ(0, stream_return(&stream, &buffer));
	}
	EXPECT_EQ(0, stream_stop(&stream));
	stream_close(&stream);
}

TEST_F(streaming, imported_memory_is_filled)
{
	struct v4l2_buffer buffer = {
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = V4L2_MEMORY_DMABUF,
	};
	struct pollfd poll_fd = { .fd = self->node, .events = POLLIN };
	int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
	struct udmabuf memory[3];

	ASSERT_EQ(0, dmabuf_request(self->node, 3));
	for (unsigned int i = 0; i < 3; i++) {
		ASSERT_EQ(0, udmabuf_open(&memory[i], self->size));
		memset(memory[i].data, CANARY, memory[i].size);
		ASSERT_EQ(0, dmabuf_queue(self->node, i, memory[i].fd, memory[i].size));
	}
	ASSERT_EQ(0, ioctl(self->node, VIDIOC_STREAMON, &type));
	for (unsigned int i = 0; i < 5; i++) {
		ASSERT_EQ(1, poll(&poll_fd, 1, TIMEOUT));
		ASSERT_EQ(0, ioctl(self->node, VIDIOC_DQBUF, &buffer));
		EXPECT_TRUE(frame_is_whole(&buffer, self->size));
		EXPECT_FALSE(has_canary(memory[buffer.index].data, self->size));
		memset(memory[buffer.index].data, CANARY, memory[buffer.index].size);
		ASSERT_EQ(0, dmabuf_queue(self->node, buffer.index, memory[buffer.index].fd,
					  memory[buffer.index].size));
	}
	EXPECT_EQ(0, ioctl(self->node, VIDIOC_STREAMOFF, &type));
	EXPECT_EQ(0, dmabuf_request(self->node, 0));
	for (unsigned int i = 0; i < 3; i++)
		udmabuf_close(&memory[i]);
}

/* The sensor streams, and its driver doesn't know. */
static int start_behind_the_driver(int bus)
{
	int ret = write_reg(bus, REG_PAGE, 0);

	return ret ? ret : write_reg(bus, REG_STREAM, STREAM_ON);
}

/*
 * A sensor may stream before its driver starts it. A start that fails then gives userspace nothing,
 * though a frame has begun in a buffer: vb2 warns of buffers that come back in another way.
 */
TEST_F(streaming, a_start_that_fails_gives_no_frame)
{
	int log = board_log_open(), bus = open_bus();
	struct v4l2_buffer buffer;
	struct stream stream;
	const char *said;

	ASSERT_LE(0, log);
	ASSERT_LE(0, bus);
	/* Its power lingers after a stop, on a slow machine too. */
	ASSERT_EQ(0, board_sensor_write(CAMERA, "power/autosuspend_delay_ms", "10000"));
	ASSERT_EQ(0, stream_open(&stream, self->node));
	/* Not each time is the board quick enough to begin a frame. */
	for (unsigned int i = 0; i < 5 || (i < 40 && !board_errors(CAMERA, "frame-short")); i++) {
		ASSERT_EQ(0, stream_start(&stream));
		ASSERT_EQ(0, stream_next(&stream, &buffer, TIMEOUT));
		EXPECT_EQ(0, buffer.sequence);
		ASSERT_EQ(0, stream_stop(&stream));
		ASSERT_EQ(0, start_behind_the_driver(bus));
		ASSERT_EQ(0, board_debugfs_write_number(CAMERA, "fault_nack", 1));
		ASSERT_GT(0, stream_start(&stream));
	}
	said = board_log_complaint(log);
	EXPECT_EQ(NULL, said) TH_LOG("the kernel's log has %s", said);

	stream_close(&stream);
	EXPECT_EQ(0, board_sensor_write(CAMERA, "power/autosuspend_delay_ms", "1000"));
	close(bus);
	close(log);
	if (!board_errors(CAMERA, "frame-short"))
		SKIP(return, "this machine is too slow: no frame began before a start had failed");
	EXPECT_EQ(0, board_debugfs_write(CAMERA, "errors", "0"));
}

/* Nor is a frame counted that the start, slow enough for one to begin, cuts. */
TEST_F(streaming, a_frame_before_the_start_is_not_counted)
{
	struct v4l2_buffer buffer;
	struct stream stream;
	int bus = open_bus();

	ASSERT_LE(0, bus);
	ASSERT_EQ(0, board_sensor_write(CAMERA, "power/autosuspend_delay_ms", "10000"));
	ASSERT_EQ(0, stream_open(&stream, self->node));
	ASSERT_EQ(0, stream_start(&stream));
	ASSERT_EQ(0, stream_stop(&stream));
	ASSERT_EQ(0, start_behind_the_driver(bus));
	ASSERT_EQ(0, board_debugfs_write_number(CAMERA, "fault_slow_ms", 1));
	EXPECT_EQ(0, stream_start(&stream));
	ASSERT_EQ(0, board_debugfs_write_number(CAMERA, "fault_slow_ms", 0));
	ASSERT_EQ(0, stream_next(&stream, &buffer, TIMEOUT));
	EXPECT_EQ(0, buffer.sequence);
	EXPECT_FALSE(buffer.flags & V4L2_BUF_FLAG_ERROR);
	EXPECT_EQ(0, stream_stop(&stream));
	stream_close(&stream);
	EXPECT_EQ(0, board_sensor_write(CAMERA, "power/autosuspend_delay_ms", "1000"));
	close(bus);
	EXPECT_EQ(board_errors(CAMERA, NULL), board_errors(CAMERA, "frame-short"));
	EXPECT_EQ(0, board_debugfs_write(CAMERA, "errors", "0"));
}

/* 74.25 MHz, lines of 2200: times differ by whole frames, however slow this machine is. */
TEST_F(streaming, rate_follows_vblank)
{
	static const int vblanks[] = { 2295, 5670, 15303 };
	struct v4l2_buffer buffer;
	struct stream stream;

	for (size_t i = 0; i < sizeof(vblanks) / sizeof(vblanks[0]); i++) {
		int64_t frame_us = 2200LL * (1080 + vblanks[i]) * 1000 / 74250;
		int64_t first = 0;
		uint32_t sequence = 0;

		ASSERT_EQ(0, set_control(self->bench.sensor, V4L2_CID_VBLANK, vblanks[i]));
		ASSERT_EQ(0, stream_open(&stream, self->node));
		ASSERT_EQ(0, stream_start(&stream));
		for (int n = 0; n < 4; n++) {
			ASSERT_EQ(0, stream_next(&stream, &buffer, TIMEOUT));
			if (!n) {
				first = buffer_us(&buffer);
				sequence = buffer.sequence;
			}
			EXPECT_TRUE(near(buffer_us(&buffer) - first,
					 frame_us * (buffer.sequence - sequence), 4));
			ASSERT_EQ(0, stream_return(&stream, &buffer));
		}
		EXPECT_EQ(0, stream_stop(&stream));
		stream_close(&stream);
	}
}

/* The other node comes and goes: this one sees no gap but of frames that were late. */
TEST_F(streaming, nodes_come_and_go_alone)
{
	int other = variant->nv12 ? self->bench.raw : self->bench.nv12;
	struct stream mine, theirs;
	struct v4l2_buffer a, b;

	ASSERT_EQ(0, stream_open(&mine, self->node));
	ASSERT_EQ(0, stream_open(&theirs, other));
	ASSERT_EQ(0, stream_start(&mine));
	ASSERT_EQ(0, stream_next(&mine, &a, TIMEOUT));
	ASSERT_EQ(0, stream_return(&mine, &a));

	ASSERT_EQ(0, stream_start(&theirs));
	ASSERT_EQ(0, stream_next(&theirs, &b, TIMEOUT));
	ASSERT_EQ(0, stream_next(&mine, &a, TIMEOUT));
	/* One frame of the sensor has one time on both nodes, if both had a buffer for it. */
	for (int i = 0; i < 20 && buffer_us(&a) != buffer_us(&b); i++) {
		bool older = buffer_us(&a) < buffer_us(&b);

		EXPECT_LE(FRAME_US / 2, llabs(buffer_us(&a) - buffer_us(&b)));
		ASSERT_EQ(0, stream_return(older ? &mine : &theirs, older ? &a : &b));
		ASSERT_EQ(0, stream_next(older ? &mine : &theirs, older ? &a : &b, TIMEOUT));
	}
	EXPECT_EQ(buffer_us(&b), buffer_us(&a));
	ASSERT_EQ(0, stream_return(&mine, &a));
	EXPECT_EQ(0, stream_stop(&theirs));

	ASSERT_EQ(0, stream_next(&mine, &a, TIMEOUT));
	EXPECT_FALSE(a.flags & V4L2_BUF_FLAG_ERROR);
	ASSERT_EQ(0, stream_start(&theirs));
	EXPECT_EQ(0, stream_stop(&mine));
	ASSERT_EQ(0, stream_next(&theirs, &b, TIMEOUT));
	EXPECT_FALSE(b.flags & V4L2_BUF_FLAG_ERROR);
	EXPECT_EQ(0, stream_stop(&theirs));
	stream_close(&mine);
	stream_close(&theirs);
}

/* Who gives no buffer gets no frame, and the count shows it. */
TEST_F(streaming, frames_without_a_buffer_are_counted)
{
	struct v4l2_buffer buffers[STREAM_BUFFERS], buffer;
	struct stream stream;
	unsigned long before;

	ASSERT_EQ(0, stream_open(&stream, self->node));
	ASSERT_EQ(0, stream_start(&stream));
	for (unsigned int i = 0; i < stream.num; i++) {
		ASSERT_EQ(0, stream_next(&stream, &buffers[i], TIMEOUT));
	}
	before = board_sensed(CAMERA);
	while (board_sensed(CAMERA) < before + 4)
		sleep_ms(20);
	ASSERT_EQ(0, stream_return(&stream, &buffers[0]));
	ASSERT_EQ(0, stream_next(&stream, &buffer, TIMEOUT));
	EXPECT_LT(buffers[stream.num - 1].sequence + 3, buffer.sequence);
	EXPECT_EQ(0, stream_stop(&stream));
	stream_close(&stream);
}

TEST_F(streaming, a_size_that_the_pads_do_not_have_is_refused)
{
	struct v4l2_format format = {
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.fmt.pix = { .width = 1280, .height = 720 },
	};
	struct stream stream;

	ASSERT_EQ(0, ioctl(self->node, VIDIOC_S_FMT, &format));
	EXPECT_EQ(1280, format.fmt.pix.width);
	ASSERT_EQ(0, stream_open(&stream, self->node));
	EXPECT_EQ(-EPIPE, stream_start(&stream));
	stream_close(&stream);
	format.fmt.pix.width = WIDTH;
	format.fmt.pix.height = HEIGHT;
	ASSERT_EQ(0, ioctl(self->node, VIDIOC_S_FMT, &format));
}

TEST_F(streaming, formats_stay_while_it_streams)
{
	struct v4l2_subdev_format pad = {
		.which = V4L2_SUBDEV_FORMAT_ACTIVE,
		.format = { .width = 640, .height = 480, .code = MEDIA_BUS_FMT_SRGGB10_1X10 },
	};
	struct stream stream;

	ASSERT_EQ(0, stream_open(&stream, self->node));
	ASSERT_EQ(0, stream_start(&stream));
	EXPECT_EQ(-1, ioctl(self->bench.csi, VIDIOC_SUBDEV_S_FMT, &pad));
	EXPECT_EQ(EBUSY, errno);
	EXPECT_EQ(0, stream_stop(&stream));
	stream_close(&stream);
}

TEST_HARNESS_MAIN
