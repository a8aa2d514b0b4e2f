// SPDX-License-Identifier: MIT
/*
 * Virtual board: sensor or board is unbound while frames run and DMA-bufs live: the node's own
 * that were exported, a second camera captures into them, and others that were imported. Whoever
 * holds memory keeps it, nothing is written to it once the device is gone, and closing everything
 * is safe in any order. Works with either allocator; DMA-bufs of the test's own are what the
 * allocator takes: a udmabuf, or the CMA heap's.
 */
#include "kselftest_harness.h"

#include <poll.h>
#include <pthread.h>

#include <linux/dma-heap.h>

#include "../camsim/common.h"
#include "../camsim/udmabuf.h"

#define BOARD_SYSFS	"/sys/bus/platform/drivers/camsim/"
#define BOARD_DEVICE	"camsim-0"
#define CMA_HEAP	"/dev/dma_heap/reserved"
#define OTHER		1
#define CANARY		0xa5

struct exported {
	int fd;
	uint8_t *data;
	size_t size;
};

FIXTURE(buffers) {
	struct bench bench;
	int log;
};

/* What goes, and in which order the rest is closed */
FIXTURE_VARIANT(buffers) {
	bool board, node_first;
};

FIXTURE_VARIANT_ADD(buffers, sensor_then_node) { .board = false, .node_first = true };
FIXTURE_VARIANT_ADD(buffers, sensor_then_memory) { .board = false, .node_first = false };
FIXTURE_VARIANT_ADD(buffers, board_then_node) { .board = true, .node_first = true };
FIXTURE_VARIANT_ADD(buffers, board_then_memory) { .board = true, .node_first = false };

FIXTURE_SETUP(buffers)
{
	self->log = board_log_open();
	ASSERT_LE(0, self->log);
	ASSERT_EQ(0, bench_open(&self->bench));
	close(self->bench.sensor);
}

static int gone(bool board)
{
	return board ? board_write_file(BOARD_SYSFS "unbind", BOARD_DEVICE) : board_sensor_unbind(CAMERA);
}

static int back(bool board)
{
	if (board)
		board_write_file(BOARD_SYSFS "bind", BOARD_DEVICE);
	for (int i = 0; i < 200; i++) {
		int fd = board_sensor_is_bound(CAMERA) ? board_open_node(CAMERA, "camsim%u-nv12") : -1;

		if (fd >= 0) {
			close(fd);
			return 0;
		}
		if (!board_sensor_is_bound(CAMERA))
			board_sensor_bind(CAMERA);
		sleep_ms(100);
	}
	return -ETIMEDOUT;
}

FIXTURE_TEARDOWN(buffers)
{
	const char *said;
	struct v4l2_buffer buffer;
	void *frame;

	close(self->bench.raw);
	close(self->bench.csi);
	close(self->bench.scene);
	/* All is as it was before. */
	EXPECT_EQ(0, back(variant->board));
	ASSERT_EQ(0, bench_open(&self->bench));
	frame = grab(self->bench.nv12, 0, &buffer);
	EXPECT_NE(NULL, frame);
	free(frame);
	bench_close(&self->bench);
	said = board_log_complaint(self->log);
	EXPECT_EQ(NULL, said) TH_LOG("the kernel's log has %s", said ? said : "");
	close(self->log);
}

static int export(int node, unsigned int index, struct exported *e)
{
	struct v4l2_exportbuffer export = {
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .index = index, .flags = O_RDWR | O_CLOEXEC,
	};

	if (ioctl(node, VIDIOC_EXPBUF, &export))
		return -errno;
	e->fd = export.fd;
	e->size = lseek(e->fd, 0, SEEK_END);
	e->data = mmap(NULL, e->size, PROT_READ | PROT_WRITE, MAP_SHARED, e->fd, 0);
	return e->data == MAP_FAILED ? -errno : 0;
}

static void drop(struct exported *e)
{
	munmap(e->data, e->size);
	close(e->fd);
}

TEST_F_TIMEOUT(buffers, exported, 120)
{
	struct exported memory[STREAM_BUFFERS];
	struct v4l2_buffer buffer;
	struct stream stream;
	uint8_t *copy;

	ASSERT_EQ(0, stream_open(&stream, self->bench.nv12));
	for (unsigned int i = 0; i < stream.num; i++)
		ASSERT_EQ(0, export(self->bench.nv12, i, &memory[i]));
	ASSERT_EQ(0, stream_start(&stream));
	ASSERT_EQ(0, stream_next(&stream, &buffer, TIMEOUT));
	copy = malloc(buffer.bytesused);
	ASSERT_NE(NULL, copy);
	memcpy(copy, memory[buffer.index].data, buffer.bytesused);
	EXPECT_EQ(0, memcmp(copy, stream.buffers[buffer.index].data, buffer.bytesused));

	ASSERT_EQ(0, gone(variant->board));
	/* The frame is still there, by either mapping, and the others can be written to. */
	EXPECT_EQ(0, memcmp(copy, memory[buffer.index].data, buffer.bytesused));
	for (unsigned int i = 0; i < stream.num; i++)
		memset(memory[i].data, CANARY, memory[i].size);
	if (variant->node_first) {
		stream_close(&stream);
		close(self->bench.nv12);
	}
	sleep_ms(300);
	for (unsigned int i = 0; i < STREAM_BUFFERS; i++) {
		size_t wrong = 0;

		for (size_t j = 0; j < memory[i].size; j++)
			wrong += memory[i].data[j] != CANARY;
		EXPECT_EQ(0, wrong) TH_LOG("bytes written to buffer %u after the device was gone", i);
		drop(&memory[i]);
	}
	if (!variant->node_first) {
		stream_close(&stream);
		close(self->bench.nv12);
	}
	free(copy);
}

/* Memory that the queue takes: scattered pages, or where it wants others, the heap's */
static int own_memory(int node, struct udmabuf *u)
{
	struct dma_heap_allocation_data data = { .len = NV12_SIZE, .fd_flags = O_RDWR | O_CLOEXEC };
	int ret = udmabuf_open(u, NV12_SIZE), heap;

	if (!ret)
		ret = dmabuf_queue(node, 0, u->fd, u->size);
	if (ret != -EFAULT)
		return ret;
	udmabuf_close(u);
	heap = open(CMA_HEAP, O_RDONLY | O_CLOEXEC);
	if (heap < 0)
		return -errno;
	ret = ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &data) ? -errno : 0;
	close(heap);
	if (ret)
		return ret;
	u->fd = data.fd;
	u->size = lseek(u->fd, 0, SEEK_END);
	u->data = mmap(NULL, u->size, PROT_READ | PROT_WRITE, MAP_SHARED, u->fd, 0);
	if (u->data == MAP_FAILED)
		return -errno;
	return dmabuf_queue(node, 0, u->fd, u->size);
}

/* One that was filled once and is queued again when the device goes */
TEST_F_TIMEOUT(buffers, imported, 120)
{
	struct v4l2_buffer buffer = {
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_DMABUF,
	};
	struct pollfd poll_fd = { .fd = self->bench.nv12, .events = POLLIN };
	int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
	struct udmabuf memory;
	size_t wrong = 0;
	int ret;

	ASSERT_EQ(0, dmabuf_request(self->bench.nv12, 1));
	ret = own_memory(self->bench.nv12, &memory);
	if (ret == -ENOENT)
		SKIP(goto none, "no memory that the queue takes: it wants contiguous pages, and there is no " CMA_HEAP);
	ASSERT_EQ(0, ret);
	memset(memory.data, CANARY, memory.size);
	ASSERT_EQ(0, ioctl(self->bench.nv12, VIDIOC_STREAMON, &type));
	ASSERT_EQ(1, poll(&poll_fd, 1, TIMEOUT));
	ASSERT_EQ(0, ioctl(self->bench.nv12, VIDIOC_DQBUF, &buffer));
	EXPECT_EQ(NV12_SIZE, buffer.bytesused);
	EXPECT_NE(0, memcmp(memory.data, (uint8_t *)memory.data + NV12_SIZE / 2, NV12_SIZE / 4));
	ASSERT_EQ(0, dmabuf_queue(self->bench.nv12, 0, memory.fd, memory.size));

	ASSERT_EQ(0, gone(variant->board));
	memset(memory.data, CANARY, memory.size);
	if (variant->node_first)
		close(self->bench.nv12);
	sleep_ms(300);
	for (size_t i = 0; i < memory.size; i++)
		wrong += ((const uint8_t *)memory.data)[i] != CANARY;
	EXPECT_EQ(0, wrong) TH_LOG("bytes written after the device was gone");
	udmabuf_close(&memory);
	if (!variant->node_first)
		close(self->bench.nv12);
	return;
none:
	close(self->bench.nv12);
	ASSERT_EQ(0, gone(variant->board));
}

/* The other camera's memory is the first's, which goes while both stream. */
TEST_F_TIMEOUT(buffers, lent_to_the_other_camera, 120)
{
	struct v4l2_buffer buffer = {
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_DMABUF,
	};
	int other = board_open_node(OTHER, "camsim%u-nv12"), type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
	struct exported memory[STREAM_BUFFERS];
	struct pollfd poll_fd = { .fd = other, .events = POLLIN };
	struct v4l2_buffer own;
	struct stream stream;

	if (other < 0)
		SKIP(return, "no second camera");
	ASSERT_EQ(0, stream_open(&stream, self->bench.nv12));
	ASSERT_EQ(0, dmabuf_request(other, stream.num));
	for (unsigned int i = 0; i < stream.num; i++) {
		ASSERT_EQ(0, export(self->bench.nv12, i, &memory[i]));
		ASSERT_EQ(0, dmabuf_queue(other, i, memory[i].fd, memory[i].size));
	}
	ASSERT_EQ(0, ioctl(other, VIDIOC_STREAMON, &type));
	ASSERT_EQ(0, stream_start(&stream));
	ASSERT_EQ(0, stream_next(&stream, &own, TIMEOUT));

	ASSERT_EQ(0, gone(variant->board));
	if (variant->node_first) {
		stream_close(&stream);
		close(self->bench.nv12);
	}
	for (unsigned int i = 0; i < 2 * STREAM_BUFFERS; i++) {
		ASSERT_EQ(1, poll(&poll_fd, 1, TIMEOUT));
		ASSERT_EQ(0, ioctl(other, VIDIOC_DQBUF, &buffer));
		EXPECT_EQ(NV12_SIZE, buffer.bytesused);
		ASSERT_EQ(0, dmabuf_queue(other, buffer.index, memory[buffer.index].fd,
					  memory[buffer.index].size));
	}
	for (unsigned int i = 0; i < STREAM_BUFFERS; i++)
		drop(&memory[i]);
	if (!variant->node_first) {
		stream_close(&stream);
		close(self->bench.nv12);
	}
	EXPECT_EQ(0, ioctl(other, VIDIOC_STREAMOFF, &type));
	EXPECT_EQ(0, dmabuf_request(other, 0));
	close(other);
}

struct reader {
	int fd, error;
};

static void *read_frames(void *data)
{
	struct v4l2_buffer buffer = {
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_MMAP,
	};
	struct reader *reader = data;

	while (!ioctl(reader->fd, VIDIOC_DQBUF, &buffer))
		;
	reader->error = errno;
	return NULL;
}

/* Readers of both nodes sleep in DQBUF, with no buffer that could come. */
TEST_F_TIMEOUT(buffers, readers_wait, 120)
{
	struct reader readers[2] = { { .fd = self->bench.nv12 }, { .fd = self->bench.raw } };
	struct stream streams[2];
	struct v4l2_buffer buffer;
	pthread_t threads[2];

	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, stream_open(&streams[i], readers[i].fd));
		ASSERT_EQ(0, stream_start(&streams[i]));
		ASSERT_EQ(0, stream_next(&streams[i], &buffer, TIMEOUT));
		ASSERT_EQ(0, fcntl(readers[i].fd, F_SETFL, 0));
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, read_frames, &readers[i]));
	}
	sleep_ms(1500);
	ASSERT_EQ(0, gone(variant->board));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, pthread_join(threads[i], NULL));
		EXPECT_TRUE(readers[i].error == ENODEV || readers[i].error == EINVAL ||
			    readers[i].error == EIO) TH_LOG("reader %d: %d", i, readers[i].error);
		stream_close(&streams[i]);
	}
	close(self->bench.nv12);
}

TEST_HARNESS_MAIN
