// SPDX-License-Identifier: MIT
/* A stateful encoder's context while it runs: pictures in, frames out, drain; see m2m.h. */
#include "m2m.h"

#include <errno.h>
#include <linux/dma-buf.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>

#include "capture.h"
#include "error.h"
#include "m2m-queue.h"

/* For a drain when the frames are wanted no more: taking the queues down ends it as well. */
#define STOP_NS		(200 * G_GUINT64_CONSTANT(1000000))

/* The device's view of memory that the CPU has written, and the CPU's of what a device has. */
static gboolean sync_cpu(int dmabuf, guint64 flags, GError **error)
{
	struct dma_buf_sync sync = { .flags = flags };
	int ret;

	if (dmabuf < 0)
		return TRUE;
	do {
		ret = ioctl(dmabuf, DMA_BUF_IOCTL_SYNC, &sync);
	} while (ret < 0 && (errno == EINTR || errno == EAGAIN));
	return ret == 0 || cam_error(error, errno, "DMA_BUF_IOCTL_SYNC");
}

static void copy_rows(guint8 *to, gsize to_stride, const guint8 *from, gsize stride, gsize bytes,
		      guint rows)
{
	guint row;

	for (row = 0; row < rows; row++)
		memcpy(to + row * to_stride, from + row * stride, bytes);
}

static gboolean copy_picture(struct m2m *m, struct m2m_buffer *b, const struct raw_picture *p,
			     GError **error)
{
	gsize stride = m->stride;
	guint8 *uv = m->raw.planes == 1 ? b->planes[0].map + stride * m->lines : b->planes[1].map;
	guint i;

	for (i = 0; i < m->raw.planes; i++)
		if (!sync_cpu(b->planes[i].memory.dmabuf, DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE,
			      error))
			return FALSE;
	copy_rows(b->planes[0].map, stride, p->y, p->stride, m->width, m->height);
	copy_rows(uv, stride, p->uv, p->stride, m->width, m->height / 2);
	for (i = 0; i < m->raw.planes; i++)
		if (!sync_cpu(b->planes[i].memory.dmabuf, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE,
			      error))
			return FALSE;
	m->copied++;
	return TRUE;
}

/* Lies the picture in a device's memory just as the encoder would have it? */
static gboolean importable(const struct m2m *m, const struct raw_picture *p)
{
	return p->dmabuf >= 0 && !m->no_import && m->raw.kind == VOLET_MEMORY_UDMABUF &&
	       m->raw.planes == 1 && p->stride == m->stride && m->lines == m->height &&
	       p->uv == p->y + p->stride * m->height && p->dmabuf_size >= m->raw.size[0];
}

static void stamp(struct v4l2_buffer *v, guint64 captured_ns)
{
	v->timestamp.tv_sec = (time_t)(captured_ns / 1000000000);
	v->timestamp.tv_usec = (suseconds_t)(captured_ns / 1000 % 1000000);
	v->field = V4L2_FIELD_NONE;
}

static gboolean put_import(struct m2m *m, guint index, const struct raw_picture *p)
{
	struct m2m_v4l2 b;

	m2m_queue_describe(&m->raw, &b, index);
	m2m_queue_fd(&m->raw, &b, 0, p->dmabuf, p->dmabuf_size);
	m2m_queue_used(&m->raw, &b, 0, m->payload[0]);
	stamp(&b.v4l2, p->captured_ns);
	if (ioctl(m->fd, VIDIOC_QBUF, &b.v4l2) < 0)
		return FALSE;
	m->imported++;
	return TRUE;
}

static gboolean put_copy(struct m2m *m, guint index, const struct raw_picture *p, GError **error)
{
	struct m2m_buffer *own = &m->raw.buffers[index];
	struct m2m_v4l2 b;
	guint i;

	if (!m2m_queue_back(m, &m->raw, index, error) || !copy_picture(m, own, p, error))
		return FALSE;
	m2m_queue_describe(&m->raw, &b, index);
	for (i = 0; i < m->raw.planes; i++) {
		m2m_queue_fd(&m->raw, &b, i, own->planes[i].memory.dmabuf, own->planes[i].size);
		m2m_queue_used(&m->raw, &b, i, m->payload[i]);
	}
	stamp(&b.v4l2, p->captured_ns);
	return ioctl(m->fd, VIDIOC_QBUF, &b.v4l2) == 0 ||
	       cam_error(error, errno, "%s: queueing a picture", m->name);
}

static gboolean put_any(struct m2m *m, guint index, const struct raw_picture *p, GError **error)
{
	if (importable(m, p)) {
		if (put_import(m, index, p))
			return TRUE;
		m->no_import = TRUE;
	}
	return put_copy(m, index, p, error);
}

/* The first picture shows whether the encoder can read our memory: before anything streams. */
static gboolean put_first(struct m2m *m, const struct raw_picture *p, GError **error)
{
	g_autoptr(GError) why = NULL;
	int raw = (int)m->raw.type, coded = (int)m->coded.type;

	if (!m2m_queue_make(m, &m->coded, error) || !m2m_queue_make(m, &m->raw, error))
		return FALSE;
	if (!put_any(m, 0, p, &why)) {
		if (m->raw.kind != VOLET_MEMORY_UDMABUF || !m2m_queue_refused(why->code)) {
			g_propagate_error(error, g_steal_pointer(&why));
			return FALSE;
		}
		if (!m2m_queue_weaken(m, &m->raw, why->message, error) ||
		    !put_any(m, 0, p, error))
			return FALSE;
	}
	m->raw.buffers[0].queued = TRUE;
	if (ioctl(m->fd, VIDIOC_STREAMON, &raw) < 0 || ioctl(m->fd, VIDIOC_STREAMON, &coded) < 0)
		return cam_error(error, errno, "%s: starting", m->name);
	m->started = TRUE;
	return TRUE;
}

/* TRUE with a buffer or without one (`*index` -1). */
static gboolean reap_raw(struct m2m *m, int *index, GError **error)
{
	struct m2m_v4l2 b;

	*index = -1;
	m2m_queue_describe(&m->raw, &b, 0);
	while (ioctl(m->fd, VIDIOC_DQBUF, &b.v4l2) < 0) {
		if (errno == EINTR)
			continue;
		return errno == EAGAIN || cam_error(error, errno, "%s: taking a picture back",
						    m->name);
	}
	if (b.v4l2.index >= m->raw.n)
		return cam_error(error, 0, "%s: gives buffer %u of %u back", m->name, b.v4l2.index,
				 m->raw.n);
	m->raw.buffers[b.v4l2.index].queued = FALSE;
	*index = (int)b.v4l2.index;
	return TRUE;
}

static int free_raw(const struct m2m *m)
{
	guint i;

	for (i = 0; i < m->raw.n; i++)
		if (!m->raw.buffers[i].queued)
			return (int)i;
	return -1;
}

gboolean m2m_put(struct m2m *m, const struct raw_picture *p, GError **error)
{
	int index;

	if (!m->started) {
		if (put_first(m, p, error))
			return TRUE;
		m2m_stop(m);
		return FALSE;
	}
	do {
		if (!reap_raw(m, &index, error))
			return FALSE;
	} while (index >= 0);
	index = free_raw(m);
	if (index < 0)
		return cam_error(error, EBUSY, "%s: it still reads all %u pictures that it was given",
				 m->name, m->raw.n);
	if (!put_any(m, (guint)index, p, error))
		return FALSE;
	m->raw.buffers[index].queued = TRUE;
	return TRUE;
}

/* FALSE when the time is over, or when the queues will never have anything. */
static gboolean wait_for(const struct m2m *m, short events, guint64 deadline_ns)
{
	struct pollfd pfd = { .fd = m->fd, .events = events };
	guint64 now = capture_now();

	if (now >= deadline_ns)
		return FALSE;
	poll(&pfd, 1, (int)((deadline_ns - now) / 1000000) + 1);
	return !(pfd.revents & (POLLERR | POLLHUP | POLLNVAL)) || pfd.revents & events;
}

gboolean m2m_wait_read(struct m2m *m, guint64 deadline_ns, GError **error)
{
	guint i, left;
	int index;

	for (;;) {
		do {
			if (!reap_raw(m, &index, error))
				return FALSE;
		} while (index >= 0);
		for (i = 0, left = 0; i < m->raw.n; i++)
			left += m->raw.buffers[i].queued;
		if (!left)
			return TRUE;
		if (!wait_for(m, POLLOUT, deadline_ns))
			return cam_error(error, ETIMEDOUT, "%s: it doesn't let go of a picture",
					 m->name);
	}
}

static gboolean fill(struct m2m *m, struct m2m_v4l2 *b, struct m2m_coded *coded, GError **error)
{
	const struct m2m_buffer *own = &m->coded.buffers[b->v4l2.index];
	gsize offset = m2m_queue_offset(&m->coded, b), used = m2m_queue_payload(&m->coded, b);

	*coded = (struct m2m_coded){
		.index = b->v4l2.index,
		.captured_us = (guint64)b->v4l2.timestamp.tv_sec * 1000000 +
			       (guint64)b->v4l2.timestamp.tv_usec,
		.error = (b->v4l2.flags & V4L2_BUF_FLAG_ERROR) != 0,
	};
	/* Never more than there is, whatever the driver says. */
	used = MIN(used, own->planes[0].size);
	coded->data = own->planes[0].map + MIN(offset, used);
	coded->length = used > offset ? used - offset : 0;
	return sync_cpu(own->planes[0].memory.dmabuf, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ, error);
}

enum m2m_result m2m_take(struct m2m *m, guint64 deadline_ns, struct m2m_coded *coded,
			 GError **error)
{
	gboolean waited = TRUE;
	struct m2m_v4l2 b;

	*coded = (struct m2m_coded){ .index = G_MAXUINT };
	if (!m->started)
		return M2M_NONE;
	for (;;) {
		m2m_queue_describe(&m->coded, &b, 0);
		if (ioctl(m->fd, VIDIOC_DQBUF, &b.v4l2) == 0)
			break;
		if (errno == EINTR)
			continue;
		if (errno == EPIPE)
			return M2M_LAST;
		if (errno != EAGAIN) {
			cam_error(error, errno, "%s: taking a frame", m->name);
			return M2M_FAILED;
		}
		if (!waited)
			return M2M_NONE;
		waited = wait_for(m, POLLIN, deadline_ns);
	}
	if (b.v4l2.index >= m->coded.n) {
		cam_error(error, 0, "%s: gives buffer %u of %u", m->name, b.v4l2.index, m->coded.n);
		return M2M_FAILED;
	}
	m->coded.buffers[b.v4l2.index].queued = FALSE;
	if (!fill(m, &b, coded, error))
		return M2M_FAILED;
	return b.v4l2.flags & V4L2_BUF_FLAG_LAST ? M2M_LAST : M2M_CODED;
}

gboolean m2m_return(struct m2m *m, const struct m2m_coded *coded, GError **error)
{
	if (coded->index >= m->coded.n)
		return TRUE;
	return sync_cpu(m->coded.buffers[coded->index].planes[0].memory.dmabuf,
			DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ, error) &&
	       m2m_queue_put_coded(m, coded->index, error);
}

gboolean m2m_drain(struct m2m *m, GError **error)
{
	struct v4l2_encoder_cmd cmd = { .cmd = V4L2_ENC_CMD_STOP };

	return ioctl(m->fd, VIDIOC_ENCODER_CMD, &cmd) == 0 ||
	       cam_error(error, errno, "%s: draining it", m->name);
}

/* What still comes is nobody's. An encoder of single pictures need not know the command. */
static void drain_away(struct m2m *m)
{
	guint64 deadline = capture_now() + STOP_NS;
	enum m2m_result result = m2m_drain(m, NULL) ? M2M_CODED : M2M_LAST;
	struct m2m_coded coded;

	while (result == M2M_CODED) {
		result = m2m_take(m, deadline, &coded, NULL);
		if (result == M2M_CODED && !m2m_return(m, &coded, NULL))
			result = M2M_FAILED;
	}
}

void m2m_stop(struct m2m *m)
{
	int raw = (int)m->raw.type, coded = (int)m->coded.type;

	if (m->started)
		drain_away(m);
	m->started = FALSE;
	ioctl(m->fd, VIDIOC_STREAMOFF, &raw);
	ioctl(m->fd, VIDIOC_STREAMOFF, &coded);
	m2m_queue_free(m, &m->raw);
	m2m_queue_free(m, &m->coded);
}

gboolean m2m_weak(const struct m2m *m)
{
	return m->raw.kind == VOLET_MEMORY_MMAP || m->coded.kind == VOLET_MEMORY_MMAP;
}

void m2m_figures(const struct m2m *m, guint64 *imported, guint64 *copied)
{
	*imported = m->imported;
	*copied = m->copied;
}
