// SPDX-License-Identifier: MIT
/* See stream.h. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "stream.h"

static int request(int fd, unsigned int *count)
{
	struct v4l2_requestbuffers req = {
		.count = *count,
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = V4L2_MEMORY_MMAP,
	};

	if (ioctl(fd, VIDIOC_REQBUFS, &req))
		return -errno;
	*count = req.count;
	return 0;
}

static void fill(struct v4l2_buffer *buffer, unsigned int index)
{
	memset(buffer, 0, sizeof(*buffer));
	buffer->index = index;
	buffer->type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
	buffer->memory = V4L2_MEMORY_MMAP;
}

int stream_open(struct stream *stream, int fd)
{
	unsigned int count = STREAM_BUFFERS;
	struct v4l2_buffer buffer;
	int ret;

	memset(stream, 0, sizeof(*stream));
	stream->fd = fd;
	ret = request(fd, &count);
	if (ret)
		return ret;
	if (count > STREAM_BUFFERS)
		count = STREAM_BUFFERS;

	for (; stream->num < count; stream->num++) {
		unsigned int i = stream->num;
		void *data;

		fill(&buffer, i);
		if (ioctl(fd, VIDIOC_QUERYBUF, &buffer)) {
			ret = -errno;
			break;
		}
		data = mmap(NULL, buffer.length, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			    buffer.m.offset);
		if (data == MAP_FAILED) {
			ret = -errno;
			break;
		}
		stream->buffers[i].data = data;
		stream->buffers[i].size = buffer.length;
	}
	if (ret)
		stream_close(stream);
	return ret;
}

void stream_close(struct stream *stream)
{
	unsigned int none = 0;

	while (stream->num) {
		stream->num--;
		munmap(stream->buffers[stream->num].data, stream->buffers[stream->num].size);
	}
	request(stream->fd, &none);
}

int stream_return(struct stream *stream, struct v4l2_buffer *buffer)
{
	return ioctl(stream->fd, VIDIOC_QBUF, buffer) ? -errno : 0;
}

int stream_start(struct stream *stream)
{
	int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
	struct v4l2_buffer buffer;
	int ret;

	for (unsigned int i = 0; i < stream->num; i++) {
		fill(&buffer, i);
		if (ioctl(stream->fd, VIDIOC_QUERYBUF, &buffer))
			return -errno;
		/* After a start that failed they are still queued. */
		if (buffer.flags & V4L2_BUF_FLAG_QUEUED)
			continue;
		ret = stream_return(stream, &buffer);
		if (ret)
			return ret;
	}
	return ioctl(stream->fd, VIDIOC_STREAMON, &type) ? -errno : 0;
}

int stream_stop(struct stream *stream)
{
	int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;

	return ioctl(stream->fd, VIDIOC_STREAMOFF, &type) ? -errno : 0;
}

int stream_next(struct stream *stream, struct v4l2_buffer *buffer, int timeout_ms)
{
	struct pollfd poll_fd = { .fd = stream->fd, .events = POLLIN };
	int ret;

	ret = poll(&poll_fd, 1, timeout_ms);
	if (ret < 0)
		return -errno;
	if (!ret)
		return -ETIMEDOUT;
	fill(buffer, 0);
	return ioctl(stream->fd, VIDIOC_DQBUF, buffer) ? -errno : 0;
}
