// SPDX-License-Identifier: MIT
/*
 * Virtual board: a buffer never shows what was in it before. What did not come is not counted
 * as payload, is zero, and the frame is marked as bad. First that the check finds old bytes.
 */
#include "kselftest_harness.h"

#include <poll.h>

#include "i2c.h"

#define CANARY	0xa5

FIXTURE(payload) {
	struct bench bench;
	struct stream stream;
	struct v4l2_buffer buffer;
	size_t size, line;
};

FIXTURE_VARIANT(payload) {
	bool nv12;
};

FIXTURE_VARIANT_ADD(payload, raw) { .nv12 = false };
FIXTURE_VARIANT_ADD(payload, nv12) { .nv12 = true };

FIXTURE_SETUP(payload)
{
	ASSERT_EQ(0, bench_open(&self->bench));
	ASSERT_EQ(0, stream_open(&self->stream,
				 variant->nv12 ? self->bench.nv12 : self->bench.raw));
	self->size = variant->nv12 ? NV12_SIZE : RAW_SIZE;
	self->line = variant->nv12 ? WIDTH : RAW_LINE;
	for (unsigned int i = 0; i < self->stream.num; i++)
		memset(self->stream.buffers[i].data, CANARY, self->size);
}

FIXTURE_TEARDOWN(payload)
{
	stream_close(&self->stream);
	bench_close(&self->bench);
}

static bool all_are(const uint8_t *data, size_t size, uint8_t value)
{
	for (size_t i = 0; i < size; i++)
		if (data[i] != value)
			return false;
	return true;
}

/* Neither old bytes in what counts as received nor anything after it */
static bool is_honest(const uint8_t *data, size_t payload, size_t size)
{
	for (size_t i = 0; i + 64 <= payload; i++)
		if (data[i] == CANARY && all_are(data + i, 64, CANARY))
			return false;
	return all_are(data + payload, size - payload, 0);
}

static bool is_bad(const struct v4l2_buffer *buffer)
{
	return buffer->flags & V4L2_BUF_FLAG_ERROR;
}

/* What a receiver that does not clear, or counts all as received, would hand over */
TEST_F(payload, the_check_finds_old_bytes)
{
	uint8_t *copy;

	ASSERT_EQ(0, stream_start(&self->stream));
	ASSERT_EQ(0, stream_next(&self->stream, &self->buffer, TIMEOUT));
	EXPECT_FALSE(is_bad(&self->buffer));
	copy = malloc(self->size);
	ASSERT_NE(NULL, copy);

	memset(copy, CANARY, self->size);
	memcpy(copy, self->stream.buffers[self->buffer.index].data, self->size / 2);
	EXPECT_FALSE(is_honest(copy, self->size / 2, self->size));
	EXPECT_FALSE(is_honest(copy, self->size, self->size));
	memset(copy + self->size / 2, 0, self->size - self->size / 2);
	copy[self->size - 1] = 1;
	EXPECT_FALSE(is_honest(copy, self->size / 2, self->size));
	copy[self->size - 1] = 0;
	EXPECT_TRUE(is_honest(copy, self->size / 2, self->size));
	free(copy);
	EXPECT_EQ(0, stream_stop(&self->stream));
}

TEST_F(payload, short_frame_is_bad_counts_what_came_and_ends_in_zeros)
{
	static const unsigned int lines[] = { 1079, 540, 2 };
	const uint8_t *data;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		size_t came = variant->nv12 ? lines[i] / 2 * 2 : lines[i];

		ASSERT_EQ(0, board_debugfs_write_number(CAMERA, "fault_short_lines", lines[i]));
		ASSERT_EQ(0, stream_start(&self->stream));
		ASSERT_EQ(0, stream_next(&self->stream, &self->buffer, TIMEOUT));
		EXPECT_TRUE(is_bad(&self->buffer));
		EXPECT_EQ(came * self->line, self->buffer.bytesused);
		data = self->stream.buffers[self->buffer.index].data;
		EXPECT_TRUE(is_honest(data, self->buffer.bytesused, self->size));
		EXPECT_FALSE(all_are(data, self->buffer.bytesused, 0));
		EXPECT_EQ(0, stream_stop(&self->stream));
		memset(self->stream.buffers[self->buffer.index].data, CANARY, self->size);
	}
	EXPECT_LE(3, board_errors(CAMERA, "frame-short"));
}

TEST_F(payload, damaged_frame_is_bad_and_whole)
{
	ASSERT_EQ(0, board_debugfs_write(CAMERA, "fault_crc", "Y"));
	ASSERT_EQ(0, stream_start(&self->stream));
	ASSERT_EQ(0, stream_next(&self->stream, &self->buffer, TIMEOUT));
	EXPECT_TRUE(is_bad(&self->buffer));
	EXPECT_EQ(self->size, self->buffer.bytesused);
	EXPECT_TRUE(is_honest(self->stream.buffers[self->buffer.index].data, self->size,
			      self->size));
	EXPECT_LE(1, board_errors(CAMERA, "crc"));

	/* And the next are good again. */
	ASSERT_EQ(0, board_debugfs_write(CAMERA, "fault_crc", "N"));
	for (int i = 0; i < 4 && is_bad(&self->buffer); i++) {
		ASSERT_EQ(0, stream_return(&self->stream, &self->buffer));
		ASSERT_EQ(0, stream_next(&self->stream, &self->buffer, TIMEOUT));
	}
	EXPECT_FALSE(is_bad(&self->buffer));
	EXPECT_EQ(0, stream_stop(&self->stream));
}

/*
 * Of one line the ISP, which takes two, makes nothing: its buffer waits for the next frame, and
 * a number is left out. To memory it is a frame.
 */
TEST_F(payload, a_frame_of_one_line)
{
	uint32_t sequence;
	long began;

	if (!variant->nv12) {
		ASSERT_EQ(0, board_debugfs_write_number(CAMERA, "fault_short_lines", 1));
		ASSERT_EQ(0, stream_start(&self->stream));
		ASSERT_EQ(0, stream_next(&self->stream, &self->buffer, TIMEOUT));
		EXPECT_TRUE(is_bad(&self->buffer));
		EXPECT_EQ(RAW_LINE, self->buffer.bytesused);
		EXPECT_TRUE(is_honest(self->stream.buffers[self->buffer.index].data, RAW_LINE,
				      self->size));
		EXPECT_EQ(0, stream_stop(&self->stream));
		return;
	}
	ASSERT_EQ(0, stream_start(&self->stream));
	ASSERT_EQ(0, stream_next(&self->stream, &self->buffer, TIMEOUT));
	sequence = self->buffer.sequence;
	ASSERT_EQ(0, board_debugfs_write_number(CAMERA, "fault_short_lines", 1));
	/* Those that started before are through when the first of one line has. */
	while (!board_errors(CAMERA, "frame-short"))
		sleep_ms(20);
	while (!stream_next(&self->stream, &self->buffer, 0)) {
		sequence = self->buffer.sequence;
		ASSERT_EQ(0, stream_return(&self->stream, &self->buffer));
	}
	/* After two more starts one of one line has come and gone. */
	began = board_errors(CAMERA, "frame-short");
	while (board_errors(CAMERA, "frame-short") < began + 2)
		sleep_ms(20);
	ASSERT_EQ(0, board_debugfs_write_number(CAMERA, "fault_short_lines", 0));
	ASSERT_EQ(0, stream_next(&self->stream, &self->buffer, TIMEOUT));
	EXPECT_FALSE(is_bad(&self->buffer));
	EXPECT_LT(sequence + 1, self->buffer.sequence);
	EXPECT_EQ(0, stream_stop(&self->stream));
}

/*
 * Registers behind the driver's back: what the sensor then sends is not what it is said to send.
 * Page 1 holds the window: y, x, height and width, two bytes each from 0x91 on.
 */
TEST_F(payload, registers_against_the_format)
{
	static const struct {
		uint8_t reg, values[2];
		const char *error;
	} cases[] = {
		{ 0x95, { 0x04, 0x20 }, "frame-short" },
		{ 0x95, { 0x04, 0x40 }, "frame-too-long" },
		{ 0x97, { 0x05, 0x00 }, "line-length-not-format" },
		{ 0x93, { 0x00, 0x02 }, "bayer-order-not-format" },
	};
	int bus = open_bus();
	const uint8_t *data = self->stream.buffers[0].data;
	bool nothing;

	if (bus < 0)
		SKIP(return, "no /dev/i2c-%u: i2c-dev is not loaded and can't be", CAMERA);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ASSERT_EQ(0, stream_start(&self->stream));
		ASSERT_EQ(0, write_reg(bus, REG_PAGE, 1));
		ASSERT_EQ(0, write_regs(bus, cases[i].reg, cases[i].values, 2));
		ASSERT_EQ(0, write_reg(bus, REG_PAGE, 0));
		/* The ISP makes nothing of lines of another length: there is no frame to wait for. */
		nothing = variant->nv12 && cases[i].reg == 0x97;
		while (nothing && board_errors(CAMERA, cases[i].error) < 2)
			sleep_ms(20);
		do {
			int ret = stream_next(&self->stream, &self->buffer, nothing ? 0 : TIMEOUT);

			if (ret) {
				EXPECT_EQ(-ETIMEDOUT, ret);
				EXPECT_TRUE(nothing);
				break;
			}
			EXPECT_FALSE(nothing && is_bad(&self->buffer));
			data = self->stream.buffers[self->buffer.index].data;
			EXPECT_TRUE(is_honest(data, self->buffer.bytesused, self->size));
			if (!is_bad(&self->buffer)) {
				ASSERT_EQ(0, stream_return(&self->stream, &self->buffer));
			}
		} while (!is_bad(&self->buffer));
		EXPECT_LE(1, board_errors(CAMERA, cases[i].error));
		/* Lines of 1280 in memory for 1920: what is between them is clear. */
		if (!variant->nv12 && cases[i].reg == 0x97) {
			EXPECT_TRUE(all_are(data + 1280 * 2, 640 * 2, 0));
		}
		EXPECT_EQ(0, stream_stop(&self->stream));
		for (unsigned int b = 0; b < self->stream.num; b++)
			memset(self->stream.buffers[b].data, CANARY, self->size);
	}
	close(bus);
}

/* Waits for the start of a frame, as the receiver's event says. */
static int wait_frame_start(int csi)
{
	struct v4l2_event_subscription sub = { .type = V4L2_EVENT_FRAME_SYNC };
	struct pollfd poll_fd = { .fd = csi, .events = POLLPRI };
	struct v4l2_event event;
	int ret;

	if (ioctl(csi, VIDIOC_SUBSCRIBE_EVENT, &sub))
		return -errno;
	ret = poll(&poll_fd, 1, TIMEOUT) == 1 && !ioctl(csi, VIDIOC_DQEVENT, &event) ? 0 : -EIO;
	ioctl(csi, VIDIOC_UNSUBSCRIBE_EVENT, &sub);
	return ret;
}

/*
 * A stream that ends in the middle of a frame: each buffer is as its owner left it, or all
 * zero, or was finished before. Repeated until one was hit in the middle.
 */
TEST_F(payload, stop_in_a_frame_leaves_nothing_of_it)
{
	unsigned int emptied = 0, kept = 0, tries;

	for (tries = 0; tries < 20 && (!emptied || !kept); tries++) {
		ASSERT_EQ(0, stream_start(&self->stream));
		ASSERT_EQ(0, wait_frame_start(self->bench.csi));
		ASSERT_EQ(0, stream_stop(&self->stream));
		for (unsigned int i = 0; i < self->stream.num; i++) {
			uint8_t *data = self->stream.buffers[i].data;

			if (all_are(data, self->size, 0)) {
				emptied++;
			} else if (all_are(data, self->size, CANARY)) {
				kept++;
			} else {
				EXPECT_TRUE(is_honest(data, self->size, self->size));
			}
			memset(data, CANARY, self->size);
		}
	}
	EXPECT_LT(0, emptied) TH_LOG("no frame was hit in %u tries", tries);
	EXPECT_LT(0, kept);
	EXPECT_EQ(0, board_errors(CAMERA, NULL));
}

TEST_HARNESS_MAIN
