// SPDX-License-Identifier: MIT
/*
 * GC2053 driver: what it needs fails, one thing after the other: each supply, the clock, the
 * registration with the receiver. Whatever was on goes off again in reverse, nothing is kept,
 * and the next attempt works. (A chip that doesn't answer, or another one, is in power.c; what
 * firmware can say wrong is in the KUnit tests.)
 */
#include "kselftest_harness.h"

#include "common.h"

static const char * const switched[] = { "iovdd", "dvdd", "avdd", "xclk" };

#define NUM_SWITCHED	(sizeof(switched) / sizeof(switched[0]))

FIXTURE(probe) {
	int log;
	long usage, references;
};

FIXTURE_SETUP(probe)
{
	ASSERT_EQ(0, sensor_reset());
	self->log = board_log_open();
	ASSERT_LE(0, self->log);
	self->usage = sensor_usage();
	self->references = board_module_references("gc2053");
}

FIXTURE_TEARDOWN(probe)
{
	struct v4l2_buffer buffer;
	struct stream stream;
	int fd;

	/* All is as it was before. */
	EXPECT_EQ(0, sensor_reset());
	EXPECT_EQ(self->usage, sensor_usage());
	EXPECT_EQ(self->references, board_module_references_fall("gc2053", self->references));
	fd = board_open_node(CAMERA, "camsim%u-raw");
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, stream_open(&stream, fd));
	EXPECT_EQ(0, stream_start(&stream));
	EXPECT_EQ(0, stream_next(&stream, &buffer, 5000));
	EXPECT_EQ(0, stream_stop(&stream));
	stream_close(&stream);
	close(fd);
	EXPECT_EQ(0, board_errors(CAMERA, NULL));
	EXPECT_FALSE(board_log_has(self->log, "underflow"));
	close(self->log);
}

/* The first `num` were switched on in their order and off in reverse, and that is all. */
static void check_undone(struct __test_metadata *_metadata, unsigned int num)
{
	struct trace trace;

	ASSERT_EQ(0, trace_get(CAMERA, &trace));
	ASSERT_EQ(2 * num, trace.num);
	for (unsigned int i = 0; i < num; i++) {
		EXPECT_STREQ(switched[i], trace.events[i].pin);
		EXPECT_TRUE(trace.events[i].on);
		EXPECT_STREQ(switched[num - 1 - i], trace.events[num + i].pin);
		EXPECT_FALSE(trace.events[num + i].on);
	}
	trace_free(&trace);
}

TEST_F(probe, power_that_fails_leaves_nothing_on)
{
	for (unsigned int i = 0; i < NUM_SWITCHED; i++) {
		ASSERT_EQ(0, board_sensor_unbind(CAMERA));
		ASSERT_EQ(0, trace_clear(CAMERA));
		ASSERT_EQ(0, board_debugfs_write_number(CAMERA, "fault_power", i + 1));
		EXPECT_EQ(-EIO, board_sensor_bind(CAMERA));
		EXPECT_FALSE(board_sensor_is_bound(CAMERA));
		check_undone(_metadata, i);
		ASSERT_EQ(0, board_sensor_bind(CAMERA));
	}
}

TEST_F(probe, power_that_fails_at_a_start)
{
	struct stream stream;

	for (unsigned int i = 0; i < NUM_SWITCHED; i++) {
		int fd = board_open_node(CAMERA, "camsim%u-raw");

		ASSERT_LE(0, fd);
		ASSERT_EQ(0, stream_open(&stream, fd));
		ASSERT_EQ(0, trace_clear(CAMERA));
		ASSERT_EQ(0, board_debugfs_write_number(CAMERA, "fault_power", i + 1));
		EXPECT_EQ(-EIO, stream_start(&stream));
		EXPECT_EQ(self->usage, sensor_usage());
		check_undone(_metadata, i);
		stream_close(&stream);
		close(fd);
		/* The kernel's runtime PM takes such a device for broken until it is bound anew. */
		ASSERT_EQ(0, board_sensor_unbind(CAMERA));
		ASSERT_EQ(0, board_sensor_bind(CAMERA));
		ASSERT_EQ(0, board_sensor_wait_suspended(CAMERA, SUSPEND_TIMEOUT));
	}
}

TEST_F(probe, a_receiver_that_refuses)
{
	struct trace trace;

	ASSERT_EQ(0, board_sensor_unbind(CAMERA));
	ASSERT_EQ(0, trace_clear(CAMERA));
	ASSERT_EQ(0, board_debugfs_write(CAMERA, "fault_refuse", "Y"));
	EXPECT_EQ(-EIO, board_sensor_bind(CAMERA));
	EXPECT_FALSE(board_sensor_is_bound(CAMERA));
	EXPECT_TRUE(board_log_has(self->log, "failed to register the subdev"));

	/* It was powered to be identified, and isn't any more. */
	ASSERT_EQ(0, trace_get(CAMERA, &trace));
	EXPECT_EQ(trace.num, trace_find_pin(&trace, "iovdd", false, 0) + 1);
	trace_free(&trace);

	ASSERT_EQ(0, board_debugfs_write(CAMERA, "fault_refuse", "N"));
	ASSERT_EQ(0, board_sensor_bind(CAMERA));
}

TEST_HARNESS_MAIN
