/* SPDX-License-Identifier: MIT */
/* The V4L2 side of the capture queue: format, ring, and one kind of buffer for both APIs. */
#ifndef VOLET_CAM_QUEUE_H
#define VOLET_CAM_QUEUE_H

#include <linux/videodev2.h>

#include "capture.h"

/* A buffer and, with the multi-planar API, the planes that `v4l2` points to. */
struct queue_buffer {
	struct v4l2_buffer v4l2;
	struct v4l2_plane planes[CONVERT_PLANES];
};

void queue_buffer_init(const struct capture *c, struct queue_buffer *b, guint index);
gsize queue_payload(const struct capture *c, const struct queue_buffer *b, guint plane);
gsize queue_offset(const struct capture *c, const struct queue_buffer *b, guint plane);

/* The ring: in private memory where the queue takes it, else in the node's own; all queued. */
gboolean queue_make(struct capture *c, GError **error);
void queue_free(struct capture *c);

gboolean queue_put(struct capture *c, guint index, GError **error);

#endif
