// SPDX-License-Identifier: MIT
/*
 * The sensor's driver is bound and unbound many times, every tenth time the whole board with it.
 * CYCLES in the environment is how often (100 without). What leaks is for kmemleak to say.
 */
#include "kselftest_harness.h"

#include "../gc2053/common.h"

#define BOARD		"/sys/bus/platform/drivers/camsim/"
/* Cycles */
#define BOARD_EVERY	10

static unsigned int cycles(void)
{
	const char *text = getenv("CYCLES");

	return text ? (unsigned int)atoi(text) : 100;
}

/* For its time alone */
FIXTURE(cycles) {
};

FIXTURE_SETUP(cycles)
{
}

FIXTURE_TEARDOWN(cycles)
{
}

TEST_F_TIMEOUT(cycles, comes_and_goes, 1800)
{
	unsigned int num = cycles();
	struct v4l2_buffer buffer;
	struct stream stream;
	long usage;
	int fd;

	ASSERT_EQ(0, sensor_reset());
	usage = sensor_usage();
	for (unsigned int i = 0; i < num; i++) {
		ASSERT_EQ(0, board_sensor_unbind(CAMERA)) TH_LOG("cycle %u", i);
		if (i % BOARD_EVERY == BOARD_EVERY - 1) {
			ASSERT_EQ(0, board_write_file(BOARD "unbind", "camsim-0"));
			ASSERT_EQ(0, board_write_file(BOARD "bind", "camsim-0"));
			if (!board_sensor_is_bound(CAMERA))
				board_sensor_bind(CAMERA);
			ASSERT_EQ(0, board_sensor_wait_probed(CAMERA)) TH_LOG("cycle %u", i);
			continue;
		}
		ASSERT_EQ(0, board_sensor_bind(CAMERA)) TH_LOG("cycle %u", i);
	}
	ASSERT_EQ(0, board_sensor_wait_suspended(CAMERA, SUSPEND_TIMEOUT));
	TH_LOG("%u cycles", num);
	EXPECT_EQ(usage, sensor_usage());
	fd = board_open_node(CAMERA, "camsim%u-raw");
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, stream_open(&stream, fd));
	EXPECT_EQ(0, stream_start(&stream));
	EXPECT_EQ(0, stream_next(&stream, &buffer, 10000));
	EXPECT_EQ(0, stream_stop(&stream));
	stream_close(&stream);
	close(fd);
}

TEST_HARNESS_MAIN
