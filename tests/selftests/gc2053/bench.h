/* SPDX-License-Identifier: MIT */
/*
 * What tests that stream begin and end with: the sensor's node and the capture node open, the
 * controls as the driver starts with, and at the end no reference on runtime PM more or less than
 * before. For files that have kselftest_harness.h.
 */
#ifndef VOLET_SELFTESTS_GC2053_BENCH_H
#define VOLET_SELFTESTS_GC2053_BENCH_H

#include "common.h"

struct bench {
	int subdev, video, log;
	long usage;
	struct stream stream;
};

static inline void bench_open(struct __test_metadata *_metadata, struct bench *bench)
{
	ASSERT_EQ(0, sensor_reset());
	bench->log = board_log_open();
	ASSERT_LE(0, bench->log);
	bench->subdev = board_open_node(CAMERA, "gc2053 %u-0037");
	ASSERT_LE(0, bench->subdev);
	ASSERT_EQ(0, reset_controls(bench->subdev));
	bench->video = board_open_node(CAMERA, "camsim%u-raw");
	ASSERT_LE(0, bench->video);
	ASSERT_EQ(0, stream_open(&bench->stream, bench->video));
	bench->usage = sensor_usage();
}

static inline void bench_close(struct __test_metadata *_metadata, struct bench *bench)
{
	board_debugfs_write_number(CAMERA, "fault_nack", 0);
	stream_stop(&bench->stream);
	stream_close(&bench->stream);
	close(bench->video);
	EXPECT_EQ(0, reset_controls(bench->subdev));
	close(bench->subdev);
	EXPECT_EQ(bench->usage, sensor_usage());
	EXPECT_FALSE(board_log_has(bench->log, "underflow"));
	close(bench->log);
}

#endif
