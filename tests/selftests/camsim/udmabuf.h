/* SPDX-License-Identifier: MIT */
/* Memory of the test's own as a DMA-buf that a capture queue can import. */
#ifndef VOLET_SELFTESTS_CAMSIM_UDMABUF_H
#define VOLET_SELFTESTS_CAMSIM_UDMABUF_H

#include <sys/mman.h>

#include <linux/udmabuf.h>

#include "common.h"

struct udmabuf {
	int fd;
	void *data;
	size_t size;
};

static inline int udmabuf_open(struct udmabuf *u, size_t size)
{
	struct udmabuf_create create = { .flags = UDMABUF_FLAGS_CLOEXEC };
	long page = sysconf(_SC_PAGESIZE);
	int device, memfd;

	u->size = (size + page - 1) / page * page;
	u->fd = -1;
	device = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	memfd = memfd_create("frame", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (device >= 0 && memfd >= 0 && !ftruncate(memfd, u->size) &&
	    !fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK)) {
		create.memfd = memfd;
		create.size = u->size;
		u->fd = ioctl(device, UDMABUF_CREATE, &create);
	}
	u->data = mmap(NULL, u->size, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	close(memfd);
	close(device);
	return u->fd < 0 || u->data == MAP_FAILED ? -errno : 0;
}

static inline void udmabuf_close(struct udmabuf *u)
{
	munmap(u->data, u->size);
	close(u->fd);
}

static inline int dmabuf_request(int node, unsigned int count)
{
	struct v4l2_requestbuffers req = {
		.count = count,
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = V4L2_MEMORY_DMABUF,
	};

	return ioctl(node, VIDIOC_REQBUFS, &req) ? -errno : 0;
}

static inline int dmabuf_queue(int node, unsigned int index, int fd, size_t size)
{
	struct v4l2_buffer buffer = {
		.index = index,
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = V4L2_MEMORY_DMABUF,
		.length = size,
		.m.fd = fd,
	};

	return ioctl(node, VIDIOC_QBUF, &buffer) ? -errno : 0;
}

#endif
