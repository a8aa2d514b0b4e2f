// SPDX-License-Identifier: MIT
/* Formats, buffers and memory of an encoder's two queues; see m2m.h and m2m-queue.h. */
#include "m2m-queue.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "error.h"

static gboolean multi(const struct m2m_queue *q)
{
	return V4L2_TYPE_IS_MULTIPLANAR(q->type);
}

static guint32 memory_of(const struct m2m_queue *q)
{
	return q->kind == VOLET_MEMORY_UDMABUF ? V4L2_MEMORY_DMABUF : V4L2_MEMORY_MMAP;
}

void m2m_queue_describe(const struct m2m_queue *q, struct m2m_v4l2 *b, guint index)
{
	memset(b, 0, sizeof(*b));
	b->v4l2.type = q->type;
	b->v4l2.memory = memory_of(q);
	b->v4l2.index = index;
	if (multi(q)) {
		b->v4l2.m.planes = b->planes;
		b->v4l2.length = q->planes;
	}
}

void m2m_queue_fd(const struct m2m_queue *q, struct m2m_v4l2 *b, guint plane, int dmabuf,
		  gsize size)
{
	if (q->kind != VOLET_MEMORY_UDMABUF)
		return;
	if (multi(q)) {
		b->planes[plane].m.fd = dmabuf;
		b->planes[plane].length = (guint32)size;
	} else {
		b->v4l2.m.fd = dmabuf;
		b->v4l2.length = (guint32)size;
	}
}

void m2m_queue_used(const struct m2m_queue *q, struct m2m_v4l2 *b, guint plane, gsize used)
{
	if (multi(q))
		b->planes[plane].bytesused = (guint32)used;
	else
		b->v4l2.bytesused = (guint32)used;
}

gsize m2m_queue_offset(const struct m2m_queue *q, const struct m2m_v4l2 *b)
{
	return multi(q) ? b->planes[0].data_offset : 0;
}

gsize m2m_queue_payload(const struct m2m_queue *q, const struct m2m_v4l2 *b)
{
	return multi(q) ? b->planes[0].bytesused : b->v4l2.bytesused;
}

/* A queue that needs contiguous memory says EFAULT, one without DMABUF EINVAL. */
gboolean m2m_queue_refused(int errnum)
{
	return errnum == EFAULT || errnum == EINVAL;
}

static gboolean request(struct m2m *m, struct m2m_queue *q, guint count, GError **error)
{
	struct v4l2_requestbuffers req = {
		.count = count, .type = q->type, .memory = memory_of(q),
	};

	if (ioctl(m->fd, VIDIOC_REQBUFS, &req) < 0)
		return cam_error(error, errno, "%s: asking for %u buffers", m->name, count);
	q->n = MIN(req.count, M2M_BUFFERS_MAX);
	return !count || q->n || cam_error(error, 0, "%s: it gives no buffers", m->name);
}

static gboolean map_driver(struct m2m *m, struct m2m_queue *q, guint index, GError **error)
{
	struct m2m_v4l2 b;
	guint i;

	m2m_queue_describe(q, &b, index);
	if (ioctl(m->fd, VIDIOC_QUERYBUF, &b.v4l2) < 0)
		return cam_error(error, errno, "%s: asking about a buffer", m->name);
	for (i = 0; i < q->planes; i++) {
		struct m2m_plane *plane = &q->buffers[index].planes[i];
		off_t offset = multi(q) ? b.planes[i].m.mem_offset : b.v4l2.m.offset;

		plane->memory = (struct memory)MEMORY_NONE;
		plane->size = multi(q) ? b.planes[i].length : b.v4l2.length;
		if (plane->size < q->size[i])
			return cam_error(error, 0, "%s: its buffers are smaller than it said",
					 m->name);
		plane->map = mmap(NULL, plane->size, PROT_READ | (q->writes ? PROT_WRITE : 0),
				  MAP_SHARED, m->fd, offset);
		if (plane->map == MAP_FAILED) {
			plane->map = NULL;
			return cam_error(error, errno, "%s: mapping a buffer", m->name);
		}
	}
	return TRUE;
}

gboolean m2m_queue_back(struct m2m *m, struct m2m_queue *q, guint index, GError **error)
{
	guint i;

	for (i = 0; i < q->planes && q->kind == VOLET_MEMORY_UDMABUF; i++) {
		struct m2m_plane *plane = &q->buffers[index].planes[i];

		if (plane->map)
			continue;
		if (!memory_new(&plane->memory, "volet-encoder", q->size[i], m->udmabuf, error))
			return FALSE;
		memory_close_memfd(&plane->memory);
		plane->map = plane->memory.map;
		plane->size = plane->memory.size;
	}
	return TRUE;
}

gboolean m2m_queue_put_coded(struct m2m *m, guint index, GError **error)
{
	struct m2m_buffer *own = &m->coded.buffers[index];
	struct m2m_v4l2 b;

	m2m_queue_describe(&m->coded, &b, index);
	m2m_queue_fd(&m->coded, &b, 0, own->planes[0].memory.dmabuf, own->planes[0].size);
	if (ioctl(m->fd, VIDIOC_QBUF, &b.v4l2) < 0)
		return cam_error(error, errno, "%s: queueing memory for a frame", m->name);
	own->queued = TRUE;
	return TRUE;
}

static gboolean make(struct m2m *m, struct m2m_queue *q, GError **error)
{
	guint i, j;

	if (!request(m, q, M2M_BUFFERS, error))
		return FALSE;
	for (i = 0; i < q->n; i++)
		for (j = 0; j < q->planes; j++)
			q->buffers[i].planes[j].memory = (struct memory)MEMORY_NONE;
	for (i = 0; i < q->n; i++) {
		if (q->kind == VOLET_MEMORY_MMAP && !map_driver(m, q, i, error))
			return FALSE;
		/* Pictures may come in memory that they lie in: theirs is made when it is needed. */
		if (q == &m->coded && (!m2m_queue_back(m, q, i, error) ||
				       !m2m_queue_put_coded(m, i, error)))
			return FALSE;
	}
	return TRUE;
}

void m2m_queue_free(struct m2m *m, struct m2m_queue *q)
{
	guint i, j, n = q->n;

	for (i = 0; i < n; i++)
		for (j = 0; q->kind == VOLET_MEMORY_MMAP && j < q->planes; j++)
			if (q->buffers[i].planes[j].map)
				munmap(q->buffers[i].planes[j].map, q->buffers[i].planes[j].size);
	/* The queue lets go of our memory before we do. */
	if (n)
		request(m, q, 0, NULL);
	for (i = 0; i < n; i++) {
		for (j = 0; q->kind == VOLET_MEMORY_UDMABUF && j < q->planes; j++)
			memory_free(&q->buffers[i].planes[j].memory);
		memset(&q->buffers[i], 0, sizeof(q->buffers[i]));
	}
	q->n = 0;
}

gboolean m2m_queue_weaken(struct m2m *m, struct m2m_queue *q, const char *why, GError **error)
{
	m2m_queue_free(m, q);
	q->kind = VOLET_MEMORY_MMAP;
	cam_log(m->name,
		"%s: the driver's own buffers (MMAP), which is WEAKER: whoever gets hold of this very "
		"descriptor can map them. Own memory was not possible: %s",
		q == &m->coded ? "coded frames" : "pictures to encode", why);
	return make(m, q, error);
}

gboolean m2m_queue_make(struct m2m *m, struct m2m_queue *q, GError **error)
{
	g_autoptr(GError) why = NULL;

	if (!q->kind && m->udmabuf < 0)
		return m2m_queue_weaken(m, q, "no /dev/udmabuf that this process may open", error);
	if (!q->kind)
		q->kind = VOLET_MEMORY_UDMABUF;
	if (make(m, q, &why))
		return TRUE;
	if (q->kind == VOLET_MEMORY_UDMABUF && m2m_queue_refused(why->code))
		return m2m_queue_weaken(m, q, why->message, error);
	g_propagate_error(error, g_steal_pointer(&why));
	return FALSE;
}
