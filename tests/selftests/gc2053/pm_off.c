// SPDX-License-Identifier: MIT
/*
 * GC2053 driver: a kernel without runtime PM. The pm_runtime_get_if_ functions then return an
 * error, which means neither that the sensor is off nor that a reference was taken.
 */
#include <libgen.h>
#include <limits.h>
#include <sys/syscall.h>

#include "kselftest_harness.h"

#include "bench.h"

#define MODULE	"no_runtime_pm"

/* Load the module that lies beside this program. */
static int load_module(void)
{
	char self[PATH_MAX], path[PATH_MAX + sizeof(MODULE)];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	int fd, ret;

	if (n < 0)
		return -errno;
	self[n] = '\0';
	snprintf(path, sizeof(path), "%s/" MODULE ".ko", dirname(self));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;
	close(fd);
	return ret;
}

FIXTURE(pm_off) {
	struct bench bench;
	bool loaded;
	long usage;		/* with the module's reference */
};

FIXTURE_SETUP(pm_off)
{
	int ret;

	bench_open(_metadata, &self->bench);
	ret = load_module();
	if (ret == -ENOENT)
		SKIP(return, MODULE ".ko was not built: say KDIR=<kernel> when building");
	ASSERT_EQ(0, ret);
	self->loaded = true;
	self->usage = sensor_usage();
}

FIXTURE_TEARDOWN(pm_off)
{
	stream_stop(&self->bench.stream);
	if (self->loaded) {
		EXPECT_EQ(self->usage, sensor_usage());
		EXPECT_EQ(0, syscall(SYS_delete_module, MODULE, O_NONBLOCK));
	}
	bench_close(_metadata, &self->bench);
	EXPECT_EQ(0, sensor_reset());
}

TEST_F(pm_off, streams_and_sets_controls)
{
	struct v4l2_buffer buffer;
	struct trace trace;
	long usage;

	for (int round = 0; round < 2; round++) {
		ASSERT_EQ(0, stream_start(&self->bench.stream));
		EXPECT_EQ(0, stream_next(&self->bench.stream, &buffer, 5000));
		usage = sensor_usage();
		ASSERT_EQ(0, trace_clear(CAMERA));
		EXPECT_EQ(0, set_control(self->bench.subdev, V4L2_CID_EXPOSURE, 500 + round));
		EXPECT_EQ(0, set_control(self->bench.subdev, V4L2_CID_ANALOGUE_GAIN, 100 + round));
		EXPECT_EQ(0, set_control(self->bench.subdev, V4L2_CID_VBLANK, 100 + round));
		EXPECT_EQ(0, set_control(self->bench.subdev, V4L2_CID_HFLIP, !round));
		EXPECT_EQ(usage, sensor_usage());

		/* The sensor is on, so each of them reached it. */
		ASSERT_EQ(0, trace_get(CAMERA, &trace));
		EXPECT_EQ(500 + round, trace_last_write16(&trace, 0, 0x03));
		EXPECT_EQ(0x1b, trace_last_write(&trace, 0, 0xb9, NULL));
		EXPECT_EQ(HEIGHT + 100 + round, trace_last_write16(&trace, 0, 0x41));
		EXPECT_EQ(!round, trace_last_write(&trace, 0, 0x17, NULL));
		trace_free(&trace);

		EXPECT_EQ(0, stream_stop(&self->bench.stream));
		EXPECT_EQ(self->usage, sensor_usage());
	}
	EXPECT_EQ(0, board_errors(CAMERA, NULL));
}

TEST_F(pm_off, a_failed_start_is_repeatable)
{
	struct v4l2_buffer buffer;

	ASSERT_EQ(0, board_debugfs_write_number(CAMERA, "fault_nack", 50));
	EXPECT_GT(0, stream_start(&self->bench.stream));
	EXPECT_EQ(self->usage, sensor_usage());
	ASSERT_EQ(0, stream_start(&self->bench.stream));
	EXPECT_EQ(0, stream_next(&self->bench.stream, &buffer, 5000));
	EXPECT_EQ(0, stream_stop(&self->bench.stream));
}

TEST_HARNESS_MAIN
