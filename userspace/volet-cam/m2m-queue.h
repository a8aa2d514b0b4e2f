/* SPDX-License-Identifier: MIT */
/* The two queues of a stateful encoder's context and their memory: inside m2m.h. */
#ifndef VOLET_CAM_M2M_QUEUE_H
#define VOLET_CAM_M2M_QUEUE_H

#include <linux/videodev2.h>

#include "m2m.h"
#include "protocol.h"

#define M2M_PLANES	2	/* NV12 in two pieces */
#define M2M_BUFFERS	2	/* asked for; the driver may want more */
#define M2M_BUFFERS_MAX	8

struct m2m_plane {
	struct memory memory;	/* with VOLET_MEMORY_UDMABUF */
	guint8 *map;
	gsize size;
};

struct m2m_buffer {
	struct m2m_plane planes[M2M_PLANES];
	gboolean queued;
};

struct m2m_queue {
	guint32 type;
	gboolean writes;	/* the CPU does */
	guint planes;
	gsize size[M2M_PLANES];
	enum volet_memory kind;	/* once it was made; stays */
	guint n;		/* 0: there are no buffers */
	struct m2m_buffer buffers[M2M_BUFFERS_MAX];
};

struct m2m {
	int fd, udmabuf;
	char *name;
	guint width, height;
	struct m2m_queue raw, coded;
	gsize stride;		/* of a picture as the encoder has it */
	guint lines;		/* from Y to UV; more than `height` where it pads */
	gsize payload[M2M_PLANES];
	gboolean started, no_import;
	guint64 imported, copied;
};

/* A buffer and, with the multi-planar API, the planes that `v4l2` points to. */
struct m2m_v4l2 {
	struct v4l2_buffer v4l2;
	struct v4l2_plane planes[M2M_PLANES];
};

void m2m_queue_describe(const struct m2m_queue *q, struct m2m_v4l2 *b, guint index);
void m2m_queue_fd(const struct m2m_queue *q, struct m2m_v4l2 *b, guint plane, int dmabuf,
		  gsize size);
void m2m_queue_used(const struct m2m_queue *q, struct m2m_v4l2 *b, guint plane, gsize used);
gsize m2m_queue_offset(const struct m2m_queue *q, const struct m2m_v4l2 *b);
gsize m2m_queue_payload(const struct m2m_queue *q, const struct m2m_v4l2 *b);

/* Buffers of the queue's kind; those for coded frames are queued. */
gboolean m2m_queue_make(struct m2m *m, struct m2m_queue *q, GError **error);
void m2m_queue_free(struct m2m *m, struct m2m_queue *q);

/* Memory of one's own for that buffer, where it hasn't any yet. */
gboolean m2m_queue_back(struct m2m *m, struct m2m_queue *q, guint index, GError **error);
gboolean m2m_queue_put_coded(struct m2m *m, guint index, GError **error);

/* Is that errno what a queue says to memory that it can't take? Then: the driver's own. */
gboolean m2m_queue_refused(int errnum);
gboolean m2m_queue_weaken(struct m2m *m, struct m2m_queue *q, const char *why, GError **error);

#endif
