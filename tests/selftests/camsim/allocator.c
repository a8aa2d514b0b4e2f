// SPDX-License-Identifier: MIT
/*
 * Virtual board: capture queues in memory as a DMA engine without an IOMMU needs it. Such a queue
 * streams into its own memory and into another queue's, and takes no scattered pages. The module
 * is loaded anew for this and again at the end.
 */
#include "kselftest_harness.h"

#include <poll.h>

#include "udmabuf.h"

#define CAMERAS		2
#define DRIVER		"/sys/bus/platform/drivers/camsim/"

static bool is_loaded(void)
{
	return !access(DRIVER, F_OK);
}

/* The sensors' drivers hold the module: each board goes first, and its sensor with it. */
static int reload(const char *allocator)
{
	char name[32], command[64];

	for (int i = 0; i < CAMERAS; i++) {
		snprintf(name, sizeof(name), "camsim-%d", i);
		board_write_file(DRIVER "unbind", name);
	}
	if (system("modprobe -r --wait=20000 camsim"))
		return -EBUSY;
	snprintf(command, sizeof(command), "modprobe camsim allocator=%s", allocator);
	if (system(command))
		return -ENOENT;
	return board_sensor_wait_probed(CAMERA);
}

FIXTURE(contig) {
	struct bench bench;
};

FIXTURE_SETUP(contig)
{
	if (!is_loaded() || system("modprobe -n -q camsim"))
		SKIP(return, "camsim is not where modprobe finds it, so it can't be loaded anew");
	ASSERT_EQ(0, reload("dma-contig"));
	ASSERT_EQ(0, bench_open(&self->bench));
}

FIXTURE_TEARDOWN(contig)
{
	bench_close(&self->bench);
	EXPECT_EQ(0, reload("vmalloc"));
}

TEST_F(contig, streams_into_its_own_memory)
{
	struct v4l2_buffer buffer;
	void *frame;

	frame = grab(self->bench.nv12, 2, &buffer);
	EXPECT_NE(NULL, frame);
	free(frame);
	frame = grab(self->bench.raw, 2, &buffer);
	EXPECT_NE(NULL, frame);
	free(frame);
	EXPECT_EQ(0, board_errors(CAMERA, NULL));
}

TEST_F(contig, takes_no_scattered_pages)
{
	struct udmabuf memory;

	ASSERT_EQ(0, udmabuf_open(&memory, NV12_SIZE));
	ASSERT_EQ(0, dmabuf_request(self->bench.nv12, 1));
	EXPECT_EQ(-EFAULT, dmabuf_queue(self->bench.nv12, 0, memory.fd, memory.size));
	EXPECT_EQ(0, dmabuf_request(self->bench.nv12, 0));
	udmabuf_close(&memory);
}

/* The raw queue's memory is long enough for NV12. */
TEST_F(contig, takes_another_queues_memory)
{
	struct v4l2_exportbuffer export = {
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.flags = O_RDWR | O_CLOEXEC,
	};
	struct v4l2_buffer buffer = {
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = V4L2_MEMORY_DMABUF,
	};
	struct pollfd poll_fd = { .fd = self->bench.nv12, .events = POLLIN };
	int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
	struct stream other;

	ASSERT_EQ(0, stream_open(&other, self->bench.raw));
	ASSERT_EQ(0, ioctl(self->bench.raw, VIDIOC_EXPBUF, &export));
	ASSERT_EQ(0, dmabuf_request(self->bench.nv12, 1));
	ASSERT_EQ(0, dmabuf_queue(self->bench.nv12, 0, export.fd, other.buffers[0].size));
	ASSERT_EQ(0, ioctl(self->bench.nv12, VIDIOC_STREAMON, &type));
	ASSERT_EQ(1, poll(&poll_fd, 1, TIMEOUT));
	EXPECT_EQ(0, ioctl(self->bench.nv12, VIDIOC_DQBUF, &buffer));
	EXPECT_EQ(NV12_SIZE, buffer.bytesused);
	EXPECT_EQ(0, ioctl(self->bench.nv12, VIDIOC_STREAMOFF, &type));
	EXPECT_EQ(0, dmabuf_request(self->bench.nv12, 0));
	close(export.fd);
	stream_close(&other);
}

/* First unload: a module parameter that makes no sense must not leave the board away. */
TEST(unknown_allocator_is_refused)
{
	if (!is_loaded() || system("modprobe -n -q camsim"))
		SKIP(return, "camsim is not where modprobe finds it, so it can't be loaded anew");
	EXPECT_EQ(-ENOENT, reload("somewhere"));
	EXPECT_EQ(0, system("modprobe camsim"));
	EXPECT_EQ(0, board_sensor_wait_probed(CAMERA));
}

TEST_HARNESS_MAIN
