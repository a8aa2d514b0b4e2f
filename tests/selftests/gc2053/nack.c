// SPDX-License-Identifier: MIT
/*
 * GC2053 driver: a bus that fails. Each transfer of a stream's start goes unanswered in turn:
 * the start has to fail each time, leave no reference on runtime PM and no power on the
 * sensor, and the next start has to work.
 */
#include "kselftest_harness.h"

#include "bench.h"

/* More than a start has: the loop must end by success before. */
#define MAX_MESSAGES	1000

FIXTURE(stream) {
	struct bench bench;
};

FIXTURE_SETUP(stream)
{
	bench_open(_metadata, &self->bench);
}

FIXTURE_TEARDOWN(stream)
{
	bench_close(_metadata, &self->bench);
}

static bool is_suspended(void)
{
	return !board_sensor_wait_suspended(CAMERA, 0);
}

TEST_F_TIMEOUT(stream, each_lost_message_fails_the_start, 300)
{
	struct v4l2_buffer buffer;
	unsigned int messages;
	struct trace trace;
	char *left;

	for (messages = 1; messages < MAX_MESSAGES; messages++) {
		ASSERT_EQ(0, trace_clear(CAMERA));
		ASSERT_EQ(0, board_debugfs_write_number(CAMERA, "fault_nack", messages));
		if (!stream_start(&self->bench.stream))
			break;

		EXPECT_EQ(self->bench.usage, sensor_usage());
		EXPECT_TRUE(is_suspended());
		ASSERT_EQ(0, trace_get(CAMERA, &trace));
		EXPECT_EQ(1, trace_count(&trace, TRACE_NACK));
		/* Nothing is said to the sensor after it stopped answering. */
		EXPECT_LT(0, trace.num);
		for (size_t i = trace.num; i-- > 0 && trace.events[i].kind != TRACE_NACK;)
			EXPECT_EQ(TRACE_PIN, trace.events[i].kind);
		EXPECT_EQ(trace.num, trace_find_pin(&trace, "iovdd", false, 0) + 1);
		trace_free(&trace);
	}

	/* The start that worked did so because the fault lies beyond its last message. */
	left = board_debugfs_read(CAMERA, "fault_nack");
	ASSERT_NE(NULL, left);
	EXPECT_EQ(1, atoi(left)) TH_LOG("%s messages left of %u", left, messages);
	free(left);
	TH_LOG("a start is %u messages", messages - 1);
	EXPECT_LT(100, messages);

	ASSERT_EQ(0, board_debugfs_write_number(CAMERA, "fault_nack", 0));
	EXPECT_EQ(0, stream_next(&self->bench.stream, &buffer, 5000));
	EXPECT_EQ(0, stream_stop(&self->bench.stream));
	EXPECT_EQ(0, board_errors(CAMERA, NULL));
}

TEST_F(stream, a_lost_stop_takes_the_power)
{
	struct v4l2_buffer buffer;

	ASSERT_EQ(0, stream_start(&self->bench.stream));
	ASSERT_EQ(0, board_debugfs_write_number(CAMERA, "fault_nack", 1));
	EXPECT_EQ(0, stream_stop(&self->bench.stream));
	EXPECT_EQ(self->bench.usage, sensor_usage());
	EXPECT_TRUE(is_suspended());

	ASSERT_EQ(0, stream_start(&self->bench.stream));
	EXPECT_EQ(0, stream_next(&self->bench.stream, &buffer, 5000));
	EXPECT_EQ(0, stream_stop(&self->bench.stream));
}

TEST_F(stream, a_lost_control_says_so)
{
	static const struct {
		unsigned int id;
		int value;
	} controls[] = {
		{ V4L2_CID_EXPOSURE, 500 }, { V4L2_CID_ANALOGUE_GAIN, 1000 },
		{ V4L2_CID_DIGITAL_GAIN, 100 }, { V4L2_CID_HFLIP, 1 }, { V4L2_CID_VFLIP, 1 },
		{ V4L2_CID_VBLANK, 100 },
	};

	ASSERT_EQ(0, stream_start(&self->bench.stream));
	for (size_t i = 0; i < sizeof(controls) / sizeof(controls[0]); i++) {
		int before = get_control(self->bench.subdev, controls[i].id);

		ASSERT_EQ(0, board_debugfs_write_number(CAMERA, "fault_nack", 1));
		EXPECT_GT(0, set_control(self->bench.subdev, controls[i].id, controls[i].value));
		EXPECT_EQ(before, get_control(self->bench.subdev, controls[i].id));
		EXPECT_EQ(0, set_control(self->bench.subdev, controls[i].id, controls[i].value));
		EXPECT_EQ(controls[i].value, get_control(self->bench.subdev, controls[i].id));
	}
	EXPECT_LT(self->bench.usage, sensor_usage());
	EXPECT_EQ(0, stream_stop(&self->bench.stream));
	EXPECT_EQ(self->bench.usage, sensor_usage());
}

/*
 * A shorter frame that cuts the exposure takes two writes, and either may be lost. The exposure
 * fits into the frame at any time; the control that failed keeps its value.
 */
TEST_F(stream, a_lost_cut_of_the_exposure_says_so)
{
	struct trace trace;

	ASSERT_EQ(0, set_control(self->bench.subdev, V4L2_CID_VBLANK, 1000));
	ASSERT_EQ(0, set_control(self->bench.subdev, V4L2_CID_EXPOSURE, 2000));
	ASSERT_EQ(0, stream_start(&self->bench.stream));
	for (unsigned int message = 1; message <= 2; message++) {
		ASSERT_EQ(0, board_debugfs_write_number(CAMERA, "fault_nack", message));
		EXPECT_GT(0, set_control(self->bench.subdev, V4L2_CID_VBLANK, 45));
		EXPECT_EQ(1000, get_control(self->bench.subdev, V4L2_CID_VBLANK));
		ASSERT_EQ(0, trace_get(CAMERA, &trace));
		EXPECT_LE(trace_last_write16(&trace, 0, 0x03) + 16,
			  trace_last_write16(&trace, 0, 0x41));
		trace_free(&trace);
	}
	EXPECT_EQ(0, set_control(self->bench.subdev, V4L2_CID_VBLANK, 45));
	EXPECT_EQ(1125 - 16, get_control(self->bench.subdev, V4L2_CID_EXPOSURE));
	EXPECT_EQ(0, stream_stop(&self->bench.stream));
}

TEST_HARNESS_MAIN
