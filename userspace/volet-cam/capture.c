// SPDX-License-Identifier: MIT
/* The capture queue: frames in and out while it streams; see capture.h. */
#include "capture.h"

#include <errno.h>
#include <linux/dma-buf.h>
#include <linux/videodev2.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "error.h"
#include "queue.h"

guint64 capture_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (guint64)now.tv_sec * 1000000000 + (guint64)now.tv_nsec;
}

/* The CPU's view of a buffer: without it a cached mapping may show what was there before. */
static gboolean sync_cpu(const struct capture *c, guint index, guint64 step, GError **error)
{
	struct dma_buf_sync sync = { .flags = step | DMA_BUF_SYNC_READ };
	guint i;
	int ret;

	for (i = 0; i < c->planes && c->buffers[index].planes[i].dmabuf >= 0; i++) {
		do {
			ret = ioctl(c->buffers[index].planes[i].dmabuf, DMA_BUF_IOCTL_SYNC, &sync);
		} while (ret < 0 && (errno == EINTR || errno == EAGAIN));
		if (ret < 0)
			return cam_error(error, errno, "DMA_BUF_IOCTL_SYNC");
	}
	return TRUE;
}

/* 1 with a buffer, 0 when there is none, -1 with an error. */
static int dequeue(struct capture *c, struct queue_buffer *b, GError **error)
{
	queue_buffer_init(c, b, 0);
	while (ioctl(c->fd, VIDIOC_DQBUF, &b->v4l2) < 0) {
		if (errno == EINTR)
			continue;
		if (errno == EAGAIN)
			return 0;
		cam_error(error, errno, "taking a frame from \"%s\"", c->entity);
		return -1;
	}
	return 1;
}

/*
 * Only what was received is a frame: what the buffer of any other holds belongs to no known
 * moment. NULL for a whole frame, else what is wrong with it.
 */
static const char *broken(const struct capture *c, const struct queue_buffer *b, guint64 stamp,
			  guint64 now)
{
	guint i;

#ifndef VOLET_FAULT_LOOSE	/* without it, for tests only, whatever the buffer holds is a frame */
	if (b->v4l2.flags & V4L2_BUF_FLAG_ERROR)
		return "marked as errors";
#endif
	for (i = 0; i < c->planes; i++)
		if (queue_payload(c, b, i) < MAX(c->need[i], 1))
			return "shorter than a picture";
	return stamp > now ? "stamped with a time to come" : NULL;
}

static guint64 stamp_of(const struct queue_buffer *b)
{
	return (guint64)b->v4l2.timestamp.tv_sec * 1000000000 +
	       (guint64)b->v4l2.timestamp.tv_usec * 1000;
}

/* NULL, or what is wrong with the picture. */
static const char *look_at(struct capture *c, const struct queue_buffer *b,
			   struct capture_frame *frame)
{
	struct convert_input in = { .stride = c->stride };
	struct convert_output out;
	const char *wrong;
	guint i;

	for (i = 0; i < c->planes; i++) {
		in.data[i] = c->buffers[b->v4l2.index].planes[i].map + queue_offset(c, b, i);
		in.size[i] = queue_payload(c, b, i);
	}
	wrong = convert_frame(c->convert, &in, &out);
	*frame = (struct capture_frame) {
		.captured_ns = stamp_of(b), .sequence = b->v4l2.sequence, .index = b->v4l2.index,
		.y = out.y, .uv = out.uv, .stride = out.stride,
		.coded = out.coded, .coded_size = out.coded_size, .key = out.key, .dmabuf = -1,
	};
	if (out.y && out.y == c->buffers[b->v4l2.index].planes[0].map) {
		frame->dmabuf = c->buffers[b->v4l2.index].planes[0].dmabuf;
		frame->dmabuf_size = c->buffers[b->v4l2.index].planes[0].size;
	}
	memcpy(frame->camera, c->camera, sizeof(frame->camera));
	return wrong;
}

static int show(struct capture *c, struct queue_buffer *b, struct capture_frame *frame,
		GError **error)
{
	const char *wrong;

	/* A copy of the buffer has moved away from its planes. */
	if (b->v4l2.m.planes && V4L2_TYPE_IS_MULTIPLANAR(c->type))
		b->v4l2.m.planes = b->planes;
	if (!sync_cpu(c, b->v4l2.index, DMA_BUF_SYNC_START, error))
		return -1;
	wrong = look_at(c, b, frame);
	if (!wrong)
		return 1;
	c->errors++;
	c->wrong = wrong;
	return capture_return(c, frame, error) ? 0 : -1;
}

/* Count a frame that left the queue, and put it back where it is none: then FALSE. */
static gboolean usable(struct capture *c, const struct queue_buffer *b, guint64 age_limit_ns)
{
	guint64 now = capture_now(), stamp = stamp_of(b);
	const char *wrong = broken(c, b, stamp, now);

	c->captured++;
	if (wrong) {
		c->errors++;
		c->wrong = wrong;
		return FALSE;
	}
	c->last_captured_ns = stamp;
	c->last_delay_ns = now - stamp;
	if (now - stamp <= age_limit_ns)
		return TRUE;
	c->late++;
	return FALSE;
}

static int take_newest(struct capture *c, guint64 age_limit_ns, struct capture_frame *frame,
		       GError **error)
{
	struct queue_buffer b, newest;
	gboolean have = FALSE;
	int ret;

	while ((ret = dequeue(c, &b, error)) > 0) {
		if (!usable(c, &b, age_limit_ns)) {
			if (!queue_put(c, b.v4l2.index, error))
				return -1;
			continue;
		}
		if (have && !queue_put(c, newest.v4l2.index, error))
			return -1;
		newest = b;
		have = TRUE;
	}
	if (ret < 0)
		return -1;
	return have ? show(c, &newest, frame, error) : 0;
}

static int take_next(struct capture *c, guint64 age_limit_ns, struct capture_frame *frame,
		     GError **error)
{
	struct queue_buffer b;
	int ret;

	while ((ret = dequeue(c, &b, error)) > 0) {
		if (b.v4l2.sequence != c->next_sequence)
			convert_lost(c->convert);
		c->next_sequence = b.v4l2.sequence + 1;
		if (!usable(c, &b, age_limit_ns)) {
			convert_lost(c->convert);
			if (!queue_put(c, b.v4l2.index, error))
				return -1;
			continue;
		}
		ret = show(c, &b, frame, error);
		if (ret < 0 || (ret > 0 && frame->coded))
			return ret;
		/* Nothing to show, and back already when it was wrong. */
		if (ret > 0 && !capture_return(c, frame, error))
			return -1;
	}
	return ret;
}

int capture_take(struct capture *c, guint64 age_limit_ns, struct capture_frame *frame,
		 GError **error)
{
	return (convert_codec(c->convert->format) == VOLET_CODEC_H264 ? take_next : take_newest)
		(c, age_limit_ns, frame, error);
}

gboolean capture_force_key(const struct capture *c)
{
	struct v4l2_control control = { .id = V4L2_CID_MPEG_VIDEO_FORCE_KEY_FRAME, .value = 1 };

	return ioctl(c->fd, VIDIOC_S_CTRL, &control) == 0;
}

gboolean capture_return(struct capture *c, const struct capture_frame *frame, GError **error)
{
	return sync_cpu(c, frame->index, DMA_BUF_SYNC_END, error) &&
	       queue_put(c, frame->index, error);
}

static const char *start_hint(int errnum)
{
	switch (errnum) {
	case EPIPE:
		return "the formats of two linked pads differ, write them in `formats`";
	case ENOLINK:
		return "no enabled link leads to the sensor, write it in `links`";
	default:
		return "see the kernel's log (dmesg)";
	}
}

gboolean capture_start(struct capture *c, GError **error)
{
	int type = (int)c->type;

	if (!queue_make(c, error))
		return FALSE;
	convert_restart(c->convert);
	c->next_sequence = 0;
	if (ioctl(c->fd, VIDIOC_STREAMON, &type) == 0)
		return TRUE;
	cam_error(error, errno, "starting \"%s\": %s", c->entity, start_hint(errno));
	queue_free(c);
	return FALSE;
}

void capture_stop(struct capture *c)
{
	int type = (int)c->type;

	ioctl(c->fd, VIDIOC_STREAMOFF, &type);
	queue_free(c);
}

gboolean capture_try(struct capture *c, GError **error)
{
	if (!queue_make(c, error))
		return FALSE;
	queue_free(c);
	return TRUE;
}
