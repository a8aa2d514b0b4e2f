// SPDX-License-Identifier: MIT
/*
 * IMX219 on the virtual board: the board's supplies, clock, line and bus as mainline's driver uses
 * them, and what it makes of faults. Where that driver does what its binding or this project's
 * rules don't allow, the test says so and pins it. It is never unbound here: it frees its state
 * then, whether its node is open or not.
 */
#include "kselftest_harness.h"

#include "common.h"

#define SUSPEND_TIMEOUT	5000

FIXTURE(sensor) {
	struct camera camera;
	struct stream stream;
	struct trace trace;
	long usage;
};

static long sensor_usage(void)
{
	char *text = board_sensor_read(CAMERA, "power/runtime_usage");
	long usage = text ? atol(text) : -1;

	free(text);
	return usage;
}

FIXTURE_SETUP(sensor)
{
	if (!camera_exists())
		SKIP(return, "this board has no third camera, with an IMX219");
	ASSERT_EQ(0, camera_open(&self->camera));
	ASSERT_EQ(0, board_sensor_wait_suspended(CAMERA, SUSPEND_TIMEOUT));
	ASSERT_EQ(0, trace_clear(CAMERA));
	self->usage = sensor_usage();
}

FIXTURE_TEARDOWN(sensor)
{
	EXPECT_EQ(self->usage, sensor_usage());
	board_debugfs_write_number(CAMERA, "fault_nack", 0);
	camera_close(&self->camera);
	board_debugfs_write(CAMERA, "errors", "0");
}

static const char * const supplies[] = { "iovdd", "avdd", "dvdd" };

/* Supplies in any order, then the clock, then the line, then at least 6.2 ms till the first word */
static void check_power_up(struct __test_metadata *_metadata, const struct trace *trace)
{
	size_t line = trace_find_pin(trace, "reset", true, 0), word = 0;
	size_t clock = trace_find_pin(trace, "xclk", true, 0);

	for (size_t i = 0; i < 3; i++)
		EXPECT_GT(clock, trace_find_pin(trace, supplies[i], true, 0));
	ASSERT_GT(line, clock);
	ASSERT_LT(line, trace->num);
	while (word < trace->num && trace->events[word].kind == TRACE_PIN)
		word++;
	ASSERT_LT(word, trace->num);
	EXPECT_LT(6.2e-3, trace->events[word].time - trace->events[line].time);
}

static void check_power_down(struct __test_metadata *_metadata, const struct trace *trace)
{
	size_t line = trace_find_pin(trace, "reset", false, 0);

	ASSERT_LT(line, trace->num);
	for (size_t i = 0; i < 3; i++)
		EXPECT_LT(line, trace_find_pin(trace, supplies[i], false, 0));
	/* Not the reverse of power-on: supplies go before the clock. */
	EXPECT_EQ(trace->num - 1, trace_find_pin(trace, "xclk", false, 0));
}

TEST_F(sensor, streams_in_order_and_without_a_mistake)
{
	struct v4l2_buffer buffer;
	size_t mode;

	ASSERT_EQ(0, stream_open(&self->stream, self->camera.raw));
	ASSERT_EQ(0, stream_start(&self->stream));
	EXPECT_EQ(self->usage + 1, sensor_usage());
	EXPECT_EQ(0, stream_next(&self->stream, &buffer, TIMEOUT));
	ASSERT_EQ(0, stream_stop(&self->stream));
	stream_close(&self->stream);
	ASSERT_EQ(0, board_sensor_wait_suspended(CAMERA, SUSPEND_TIMEOUT));
	ASSERT_EQ(0, trace_get(CAMERA, &self->trace));
	check_power_up(_metadata, &self->trace);
	check_power_down(_metadata, &self->trace);

	/* Numbers of 16 bits in one transfer, the upper byte first */
	EXPECT_EQ(1000, trace_last_write16(&self->trace, TRACE_SYSTEM, 0x015a));
	EXPECT_EQ(1080 + get_control(self->camera.sensor, V4L2_CID_VBLANK),
		  trace_last_write16(&self->trace, TRACE_SYSTEM, 0x0160));
	EXPECT_EQ(0, trace_last_write(&self->trace, TRACE_SYSTEM, 0x0100, &mode));
	EXPECT_GT(trace_find_pin(&self->trace, "reset", false, 0), mode);
	trace_free(&self->trace);
	EXPECT_EQ(0, board_errors(CAMERA, NULL));
}

/* As for the gc2053: a start fails at each message in turn, and leaves nothing behind. */
TEST_F_TIMEOUT(sensor, each_lost_message_fails_the_start, 120)
{
	struct v4l2_buffer buffer;
	unsigned int message;
	char *left;

	ASSERT_EQ(0, stream_open(&self->stream, self->camera.raw));
	for (message = 1; message < 200; message++) {
		ASSERT_EQ(0, board_debugfs_write_number(CAMERA, "fault_nack", message));
		if (!stream_start(&self->stream))
			break;
		EXPECT_EQ(self->usage, sensor_usage());
		ASSERT_EQ(0, board_sensor_wait_suspended(CAMERA, SUSPEND_TIMEOUT));
	}
	left = board_debugfs_read(CAMERA, "fault_nack");
	ASSERT_NE(NULL, left);
	EXPECT_EQ(1, atoi(left)) TH_LOG("%s left of %u", left, message);
	free(left);
	TH_LOG("a start is %u messages", message - 1);
	EXPECT_LT(50, message);
	ASSERT_EQ(0, board_debugfs_write_number(CAMERA, "fault_nack", 0));
	EXPECT_EQ(0, stream_next(&self->stream, &buffer, TIMEOUT));
	EXPECT_EQ(0, stream_stop(&self->stream));
	stream_close(&self->stream);
}

TEST_HARNESS_MAIN
