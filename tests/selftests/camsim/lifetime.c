// SPDX-License-Identifier: MIT
/*
 * Virtual board: sensor and board go while files are open, a reader waits and frames run, and
 * come back. After each the kernel's log has no complaint.
 */
#include "kselftest_harness.h"

#include <glob.h>
#include <pthread.h>
#include <stdatomic.h>

#include "common.h"

#define BOARD_SYSFS	"/sys/bus/platform/drivers/camsim/"
#define BOARD_DEVICE	"camsim-0"

FIXTURE(lifetime) {
	struct bench bench;
	struct stream stream;
	int log;
};

FIXTURE_SETUP(lifetime)
{
	self->log = board_log_open();
	ASSERT_LE(0, self->log);
	ASSERT_EQ(0, bench_open(&self->bench));
	ASSERT_EQ(0, stream_open(&self->stream, self->bench.nv12));
	/* What the sensor's own node survives is for the tests of its driver. */
	close(self->bench.sensor);
}

FIXTURE_TEARDOWN(lifetime)
{
	struct v4l2_buffer buffer;
	struct bench again;
	void *frame;

	stream_close(&self->stream);
	close(self->bench.raw);
	close(self->bench.nv12);
	close(self->bench.csi);
	close(self->bench.scene);
	/* All is as it was before. */
	ASSERT_EQ(0, bench_open(&again));
	frame = grab(again.nv12, 0, &buffer);
	EXPECT_NE(NULL, frame);
	free(frame);
	EXPECT_EQ(0, board_errors(CAMERA, NULL));
	bench_close(&again);
	EXPECT_EQ(NULL, board_log_complaint(self->log));
	close(self->log);
}

struct reader {
	int fd;
	atomic_int error;
};

/* A blocking DQBUF, without any buffer that could come back */
static void *read_frame(void *data)
{
	struct reader *reader = data;
	struct v4l2_buffer buffer = {
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = V4L2_MEMORY_MMAP,
	};

	while (!ioctl(reader->fd, VIDIOC_DQBUF, &buffer))
		;
	reader->error = errno;
	return NULL;
}

TEST_F(lifetime, sensor_goes_while_it_streams)
{
	struct v4l2_buffer buffer;

	ASSERT_EQ(0, stream_start(&self->stream));
	ASSERT_EQ(0, stream_next(&self->stream, &buffer, TIMEOUT));
	ASSERT_EQ(0, board_sensor_unbind(CAMERA));
	EXPECT_EQ(-1, ioctl(self->bench.nv12, VIDIOC_QBUF, &buffer));
	EXPECT_EQ(ENODEV, errno);
	/* Its capture nodes are gone with it, the scene is not. */
	EXPECT_GT(0, board_open_node(CAMERA, "camsim%u-nv12"));
	ASSERT_EQ(0, board_sensor_bind(CAMERA));
	EXPECT_EQ(0, board_sensor_wait_probed(CAMERA));
}

/* A kernel with slub_debug=FP says now if freed memory was written to; any other has no such file. */
static void look_at_freed_memory(void)
{
	glob_t files;

	if (glob("/sys/kernel/slab/kmalloc-*/validate", 0, NULL, &files))
		return;
	for (size_t i = 0; i < files.gl_pathc; i++)
		board_write_file(files.gl_pathv[i], "1");
	globfree(&files);
}

/* The other node goes at once, and the pipeline that is stopped has its pad. */
TEST_F(lifetime, sensor_goes_while_one_node_is_open)
{
	struct v4l2_buffer buffer;

	close(self->bench.raw);
	self->bench.raw = -1;
	ASSERT_EQ(0, stream_start(&self->stream));
	ASSERT_EQ(0, stream_next(&self->stream, &buffer, TIMEOUT));
	ASSERT_EQ(0, board_sensor_unbind(CAMERA));
	look_at_freed_memory();
	ASSERT_EQ(0, board_sensor_bind(CAMERA));
	EXPECT_EQ(0, board_sensor_wait_probed(CAMERA));
}

TEST_F(lifetime, sensor_goes_while_a_reader_waits)
{
	struct reader reader = { .fd = self->bench.nv12 };
	struct v4l2_buffer buffer;
	pthread_t thread;

	ASSERT_EQ(0, stream_start(&self->stream));
	ASSERT_EQ(0, stream_next(&self->stream, &buffer, TIMEOUT));
	ASSERT_EQ(0, fcntl(self->bench.nv12, F_SETFL, 0));
	ASSERT_EQ(0, pthread_create(&thread, NULL, read_frame, &reader));
	sleep_ms(1000);
	ASSERT_EQ(0, board_sensor_unbind(CAMERA));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_NE(0, reader.error);
	ASSERT_EQ(0, board_sensor_bind(CAMERA));
	EXPECT_EQ(0, board_sensor_wait_probed(CAMERA));
}

TEST_F(lifetime, board_goes_while_it_streams)
{
	struct v4l2_buffer buffer;

	ASSERT_EQ(0, stream_start(&self->stream));
	ASSERT_EQ(0, stream_next(&self->stream, &buffer, TIMEOUT));
	ASSERT_EQ(0, board_write_file(BOARD_SYSFS "unbind", BOARD_DEVICE));
	EXPECT_EQ(-1, ioctl(self->bench.nv12, VIDIOC_QBUF, &buffer));
	EXPECT_EQ(-1, ioctl(self->bench.csi, VIDIOC_QUERYCTRL, &buffer));
	EXPECT_EQ(-1, write(self->bench.scene, &buffer, sizeof(buffer)));
	ASSERT_EQ(0, board_write_file(BOARD_SYSFS "bind", BOARD_DEVICE));
	EXPECT_EQ(0, board_sensor_wait_probed(CAMERA));
}

TEST_F(lifetime, comes_and_goes_often)
{
	for (int i = 0; i < 5; i++) {
		ASSERT_EQ(0, board_sensor_unbind(CAMERA));
		ASSERT_EQ(0, board_sensor_bind(CAMERA));
		ASSERT_EQ(0, board_sensor_wait_probed(CAMERA));
		ASSERT_EQ(0, board_write_file(BOARD_SYSFS "unbind", BOARD_DEVICE));
		ASSERT_EQ(0, board_write_file(BOARD_SYSFS "bind", BOARD_DEVICE));
		ASSERT_EQ(0, board_sensor_wait_probed(CAMERA));
	}
}

TEST_HARNESS_MAIN
