// SPDX-License-Identifier: MIT
/*
 * GC2053 driver: the system sleeps. A stream is stopped by the receiver, goes on afterwards and
 * has its controls; the sensor has no power meanwhile, whether it streamed or only lingered
 * before its autosuspend; one that was off is left alone.
 *
 * The kernel's own test of sleeping is used: it goes through all phases for the devices and
 * wakes by itself. Not everything on a machine lives through that, so this isn't among the
 * tests that are run everywhere.
 */
#include "kselftest_harness.h"

#include "bench.h"

#define PM_TEST		"/sys/power/pm_test"
#define PM_TEST_DELAY	"/sys/module/suspend/parameters/pm_test_delay"
#define SLEEP_SECONDS	1

FIXTURE(sleeping) {
	struct bench bench;
};

FIXTURE_SETUP(sleeping)
{
	bench_open(_metadata, &self->bench);
	/* Nothing but the sleep takes the power while a test runs. */
	ASSERT_EQ(0, board_sensor_write(CAMERA, "power/autosuspend_delay_ms", "60000"));
}

FIXTURE_TEARDOWN(sleeping)
{
	EXPECT_EQ(0, board_sensor_write(CAMERA, "power/autosuspend_delay_ms", "1000"));
	bench_close(_metadata, &self->bench);
	EXPECT_EQ(0, sensor_reset());
}

static int fall_asleep(void)
{
	char seconds[8];
	int ret;

	snprintf(seconds, sizeof(seconds), "%d", SLEEP_SECONDS);
	ret = board_write_file(PM_TEST_DELAY, seconds);
	if (!ret)
		ret = board_write_file(PM_TEST, "platform");
	if (!ret)
		ret = board_write_file("/sys/power/state", "freeze");
	board_write_file(PM_TEST, "none");
	return ret;
}

TEST_F(sleeping, a_stream_goes_on)
{
	struct v4l2_buffer buffer;
	size_t standby, off, on;
	struct trace trace;
	uint32_t before;

	ASSERT_EQ(0, set_control(self->bench.subdev, V4L2_CID_EXPOSURE, 321));
	ASSERT_EQ(0, stream_start(&self->bench.stream));
	ASSERT_EQ(0, stream_next(&self->bench.stream, &buffer, 5000));
	before = buffer.sequence;
	ASSERT_EQ(0, stream_return(&self->bench.stream, &buffer));
	ASSERT_EQ(0, trace_clear(CAMERA));

	ASSERT_EQ(0, fall_asleep());
	for (int i = 0; i < 2 * STREAM_BUFFERS; i++) {
		ASSERT_EQ(0, stream_next(&self->bench.stream, &buffer, 10000));
		EXPECT_LT(before, buffer.sequence);
		before = buffer.sequence;
		ASSERT_EQ(0, stream_return(&self->bench.stream, &buffer));
	}

	/* Standby, then no power for as long as it slept, then all of a start. */
	ASSERT_EQ(0, trace_get(CAMERA, &trace));
	for (standby = 0; standby < trace.num; standby++)
		if (trace.events[standby].kind == TRACE_WRITE &&
		    trace.events[standby].page == 0 && trace.events[standby].reg == 0x3e)
			break;
	off = trace_find_pin(&trace, "iovdd", false, 0);
	on = trace_find_pin(&trace, "iovdd", true, off);
	ASSERT_GT(trace.num, on);
	EXPECT_GT(off, standby);
	EXPECT_EQ(0, trace.events[standby].val & 0x80);
	EXPECT_LT(SLEEP_SECONDS * 0.9, trace.events[on].time - trace.events[off].time);
	EXPECT_EQ(off + 1, on);
	EXPECT_EQ(0x91, trace_last_write(&trace, 0, 0x3e, NULL));
	EXPECT_EQ(321, trace_last_write16(&trace, 0, 0x03));
	EXPECT_EQ(0, trace_count(&trace, TRACE_NACK));
	EXPECT_LT(100, trace_count(&trace, TRACE_WRITE));
	trace_free(&trace);

	EXPECT_EQ(0, stream_stop(&self->bench.stream));
	/* The frame in which it fell asleep was cut short. */
	EXPECT_EQ(board_errors(CAMERA, "frame-short"), board_errors(CAMERA, NULL));
	EXPECT_GE(1, board_errors(CAMERA, NULL));
}

TEST_F(sleeping, a_lingering_sensor_loses_its_power)
{
	struct v4l2_buffer buffer;
	struct trace trace;

	ASSERT_EQ(0, stream_start(&self->bench.stream));
	ASSERT_EQ(0, stream_next(&self->bench.stream, &buffer, 5000));
	ASSERT_EQ(0, stream_stop(&self->bench.stream));
	ASSERT_NE(0, board_sensor_wait_suspended(CAMERA, 0));
	ASSERT_EQ(0, trace_clear(CAMERA));

	ASSERT_EQ(0, fall_asleep());
	EXPECT_EQ(0, board_sensor_wait_suspended(CAMERA, 0));
	ASSERT_EQ(0, trace_get(CAMERA, &trace));
	EXPECT_EQ(trace.num, trace_find_pin(&trace, "iovdd", false, 0) + 1);
	trace_free(&trace);

	/* And gets it back with the next stream. */
	ASSERT_EQ(0, stream_start(&self->bench.stream));
	EXPECT_EQ(0, stream_next(&self->bench.stream, &buffer, 5000));
	EXPECT_EQ(0, stream_stop(&self->bench.stream));
	EXPECT_EQ(0, board_errors(CAMERA, NULL));
}

TEST_F(sleeping, a_sensor_without_power_is_left_alone)
{
	struct trace trace;

	ASSERT_EQ(0, fall_asleep());
	ASSERT_EQ(0, trace_get(CAMERA, &trace));
	EXPECT_EQ(0, trace.num);
	trace_free(&trace);
	EXPECT_EQ(0, board_sensor_wait_suspended(CAMERA, 0));
}

TEST_HARNESS_MAIN
