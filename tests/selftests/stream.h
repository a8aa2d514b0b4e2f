/* SPDX-License-Identifier: MIT */
/* Streaming from a capture node of the board, with a few buffers of its own memory. */
#ifndef VOLET_SELFTESTS_STREAM_H
#define VOLET_SELFTESTS_STREAM_H

#include <stddef.h>

#include <linux/videodev2.h>

#define STREAM_BUFFERS	3

struct stream {
	int fd;
	unsigned int num;
	struct {
		void *data;
		size_t size;
	} buffers[STREAM_BUFFERS];
};

/* Allocate, queue and map the buffers of the node `fd`, which stays the caller's. */
int stream_open(struct stream *stream, int fd);
void stream_close(struct stream *stream);

/* Queue all buffers and STREAMON; STREAMOFF. May be repeated. */
int stream_start(struct stream *stream);
int stream_stop(struct stream *stream);

/* The next frame, or -ETIMEDOUT; stream_return() queues its buffer again. */
int stream_next(struct stream *stream, struct v4l2_buffer *buffer, int timeout_ms);
int stream_return(struct stream *stream, struct v4l2_buffer *buffer);

#endif
