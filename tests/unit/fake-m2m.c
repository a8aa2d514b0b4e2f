// SPDX-License-Identifier: MIT
/* Stateful encoders that aren't there; see fake-m2m.h. */
#include "fake-m2m.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <linux/dma-buf.h>
#include <linux/udmabuf.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "encoder.h"
#include "h264.h"

#define BUFFERS		2
#define PLANE_SIZE	(4u << 20)
#define CODED_SIZE	(1u << 20)

int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, void *arg);
int __real_poll(struct pollfd *fds, nfds_t n, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout);

struct fake_node fake_nodes[FAKE_NODES];

/* A queue's buffers in the order in which they were queued, and those that are done. */
struct queue {
	gboolean on;
	guint32 memory, n;
	guint queued[BUFFERS], n_queued;
	struct v4l2_buffer done[BUFFERS];
	guint used[BUFFERS], n_done;
	guint8 *map[BUFFERS][2];
	struct timeval stamp[BUFFERS];
};

static struct state {
	guint width, height;
	struct queue raw, coded;
	struct h264 *h264;
	struct encoder *jpeg;
	gboolean force, draining, said_sets;
	GBytes *kept;			/* a frame that is held back */
	struct timeval kept_stamp;
	guint8 *file;
} states[FAKE_NODES];

/* Memory of UDMABUF_CREATE, by inode: mapped while it can still be written. */
static struct { ino_t inode; guint8 *map; gsize size; } dmabufs[512];
static guint n_dmabufs;

static int node_of(int fd)
{
	g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", fd);
	char path[256];
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	const char *name;

	if (n <= 0)
		return -1;
	path[n] = '\0';
	name = strrchr(path, '/');
	return name && g_str_has_prefix(name, "/video") ? name[6] - '0' : -1;
}

static int create_udmabuf(const struct udmabuf_create *create)
{
	int fd = dup((int)create->memfd);
	struct stat st;

	g_assert_cmpint(fstat(fd, &st), ==, 0);
	g_assert_cmpuint(n_dmabufs, <, G_N_ELEMENTS(dmabufs));
	dmabufs[n_dmabufs].inode = st.st_ino;
	dmabufs[n_dmabufs].size = create->size;
	dmabufs[n_dmabufs].map = mmap(NULL, create->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	g_assert_true(dmabufs[n_dmabufs].map != MAP_FAILED);
	n_dmabufs++;
	return fd;
}

static guint8 *dmabuf_map(int fd)
{
	struct stat st;
	guint i;

	if (fstat(fd, &st) == 0)
		for (i = n_dmabufs; i-- > 0;)
			if (dmabufs[i].inode == st.st_ino)
				return dmabufs[i].map;
	return NULL;
}

static gboolean is_raw(guint32 type)
{
	return type == V4L2_BUF_TYPE_VIDEO_OUTPUT || type == V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE;
}

static guint pieces(const struct fake_node *node, gboolean raw)
{
	return raw && node->two_pieces ? 2 : 1;
}

static int query_cap(const struct fake_node *node, struct v4l2_capability *cap)
{
	memset(cap, 0, sizeof(*cap));
	strcpy((char *)cap->driver, "fake");
	cap->capabilities = V4L2_CAP_DEVICE_CAPS;
	cap->device_caps = V4L2_CAP_STREAMING |
		(node->kind == FAKE_CAMERA ? V4L2_CAP_VIDEO_CAPTURE :
		 node->mplane ? V4L2_CAP_VIDEO_M2M_MPLANE : V4L2_CAP_VIDEO_M2M);
	return 0;
}

static int enum_fmt(const struct fake_node *node, struct v4l2_fmtdesc *f)
{
	gboolean raw = is_raw(f->type) != (node->kind == FAKE_DECODER);

	if (f->index || V4L2_TYPE_IS_MULTIPLANAR(f->type) != node->mplane)
		return errno = EINVAL, -1;
	f->pixelformat = !raw ? node->coded : node->two_pieces ? V4L2_PIX_FMT_NV12M :
								  V4L2_PIX_FMT_NV12;
	return 0;
}

static void raw_sizes(const struct fake_node *node, const struct state *s, guint *stride,
		      guint *lines)
{
	*stride = s->width + node->pad_stride;
	*lines = s->height + node->pad_lines;
}

static int set_fmt(const struct fake_node *node, struct state *s, struct v4l2_format *f)
{
	gboolean raw = is_raw(f->type);
	guint stride, lines, size;

	if (raw) {
		s->width = node->mplane ? f->fmt.pix_mp.width : f->fmt.pix.width;
		s->height = node->mplane ? f->fmt.pix_mp.height : f->fmt.pix.height;
	}
	raw_sizes(node, s, &stride, &lines);
	size = raw ? stride * lines : CODED_SIZE;
	if (node->mplane) {
		struct v4l2_pix_format_mplane *mp = &f->fmt.pix_mp;

		mp->pixelformat = !raw ? node->coded :
			node->two_pieces ? V4L2_PIX_FMT_NV12M : V4L2_PIX_FMT_NV12;
		mp->num_planes = (guint8)pieces(node, raw);
		mp->width = stride;
		mp->height = lines;
		mp->plane_fmt[0].bytesperline = raw ? stride : 0;
		mp->plane_fmt[0].sizeimage = raw && mp->num_planes == 1 ? size * 3 / 2 : size;
		mp->plane_fmt[1].sizeimage = size / 2;
	} else {
		f->fmt.pix.pixelformat = raw ? V4L2_PIX_FMT_NV12 : node->coded;
		f->fmt.pix.width = stride;
		f->fmt.pix.height = lines;
		f->fmt.pix.bytesperline = raw ? stride : 0;
		f->fmt.pix.sizeimage = raw ? size * 3 / 2 : size;
	}
	return 0;
}

static gint32 *control(struct fake_node *node, guint32 id)
{
	switch (id) {
	case V4L2_CID_MPEG_VIDEO_BITRATE:
		return &node->bitrate;
	case V4L2_CID_JPEG_COMPRESSION_QUALITY:
		return &node->quality;
	case V4L2_CID_MPEG_VIDEO_GOP_SIZE:
		return node->has_gop ? &node->gop : NULL;
	default:
		return NULL;
	}
}

static int controls(struct fake_node *node, struct state *s, unsigned long request, void *arg)
{
	struct v4l2_queryctrl *query = arg;
	struct v4l2_control *set = arg;
	guint32 id = request == VIDIOC_QUERYCTRL ? query->id : set->id;
	gboolean force = id == V4L2_CID_MPEG_VIDEO_FORCE_KEY_FRAME && node->can_force;

	if (!force && !control(node, id))
		return errno = EINVAL, -1;
	if (request == VIDIOC_QUERYCTRL) {
		query->minimum = 1;
		query->maximum = 3000000;
	} else if (force) {
		s->force = TRUE;
		node->forced++;
	} else {
		*control(node, id) = set->value;
	}
	return 0;
}

static int request_buffers(struct fake_node *node, struct state *s, struct v4l2_requestbuffers *req)
{
	struct queue *q = is_raw(req->type) ? &s->raw : &s->coded;

	if (req->memory == V4L2_MEMORY_DMABUF && node->no_dmabuf)
		return errno = EINVAL, -1;
	if (q->on)
		return errno = EBUSY, -1;
	node->open_buffers -= q->n;
	memset(q, 0, sizeof(*q));
	q->memory = req->memory;
	req->count = q->n = req->count ? BUFFERS : 0;
	node->open_buffers += q->n;
	return 0;
}

static guint offset_of(gboolean raw, guint index, guint plane)
{
	return ((raw ? 0 : 2 * BUFFERS) + 2 * index + plane) * PLANE_SIZE;
}

static int query_buffer(const struct fake_node *node, struct state *s, struct v4l2_buffer *b)
{
	gboolean raw = is_raw(b->type);
	guint i;

	(void)s;
	for (i = 0; i < pieces(node, raw); i++) {
		if (node->mplane) {
			b->m.planes[i].length = PLANE_SIZE;
			b->m.planes[i].m.mem_offset = offset_of(raw, b->index, i);
		} else {
			b->length = PLANE_SIZE;
			b->m.offset = offset_of(raw, b->index, i);
		}
	}
	return 0;
}

static void put_done(struct queue *q, guint index, struct timeval stamp, guint used, guint32 flags)
{
	struct v4l2_buffer *b = &q->done[q->n_done];

	*b = (struct v4l2_buffer){ .index = index, .flags = flags, .timestamp = stamp };
	q->used[q->n_done++] = used;
}

static guint pop(struct queue *q)
{
	guint index = q->queued[0];

	memmove(q->queued, q->queued + 1, --q->n_queued * sizeof(q->queued[0]));
	return index;
}

static GBytes *code(struct fake_node *node, struct state *s, guint index, gboolean *key)
{
	const guint8 *y = s->raw.map[index][0], *uv = s->raw.map[index][1];
	g_autoptr(GError) error = NULL;
	const guint8 *data;
	guint stride, lines;
	gsize length;

	raw_sizes(node, s, &stride, &lines);
	uv = node->two_pieces ? uv : y + stride * lines;
	node->read_at = y;
	if (node->coded == V4L2_PIX_FMT_JPEG) {
		if (!s->jpeg)
			s->jpeg = encoder_new(s->width, s->height, 80, NULL);
		g_assert_true(encoder_nv12(s->jpeg, y, uv, stride, &data, &length, &error));
		*key = TRUE;
	} else {
		const struct h264_config config = {
			.width = s->width, .height = s->height, .bitrate_kbit = 1000,
		};

		if (!s->h264)
			s->h264 = h264_new(&config, NULL);
		*key = s->force || (node->gop && node->frames % (guint)node->gop == 0);
		s->force = FALSE;
		g_assert_true(h264_nv12(s->h264, y, uv, stride,
					(guint64)s->raw.stamp[index].tv_sec * 1000000000 +
					(guint64)s->raw.stamp[index].tv_usec * 1000, key, &data,
					&length, &error));
	}
	g_assert_no_error(error);
	return g_bytes_new(data, length);
}

static void give(struct fake_node *node, struct state *s, GBytes *frame, struct timeval stamp,
		 guint32 flags)
{
	guint to = pop(&s->coded);
	gsize length;
	const guint8 *data = g_bytes_get_data(frame, &length);

	memcpy(s->coded.map[to][0], data, length);
	if (node->garbage_at && node->frames >= node->garbage_at)
		memset(s->coded.map[to][0], 0x55, length);
	if (node->error_at && node->frames >= node->error_at &&
	    node->frames < node->error_at + node->error_count)
		flags |= V4L2_BUF_FLAG_ERROR;
	if (node->stale_at == node->frames)
		stamp.tv_sec--;
	put_done(&s->coded, to, stamp, (guint)length, flags);
}

/* SPS and PPS of the frame as a frame of their own; what is left of it is returned. */
static GBytes *split(struct fake_node *node, struct state *s, GBytes *frame, struct timeval stamp)
{
	gsize length, i;
	const guint8 *data = g_bytes_get_data(frame, &length);
	g_autoptr(GBytes) sets = NULL;

	for (i = 0; data[i] || data[i + 1] || data[i + 2] != 1 || (data[i + 3] & 31) != 5; i++)
		;
	sets = g_bytes_new(data, i);
	if (!s->said_sets)
		give(node, s, sets, stamp, 0);
	s->said_sets = TRUE;
	return g_bytes_new(data + i, length - i);
}

static void work(struct fake_node *node, struct state *s)
{
	while (s->raw.on && s->coded.on && s->raw.n_queued && s->coded.n_queued &&
	       !(node->hang_at && node->frames + 1 >= node->hang_at)) {
		guint from = pop(&s->raw);
		struct timeval stamp = s->raw.stamp[from];
		gboolean key = FALSE;
		GBytes *frame = code(node, s, from, &key), *rest;

		node->frames++;
		put_done(&s->raw, from, stamp, 0, 0);
		if (node->apart && key) {
			rest = split(node, s, frame, stamp);
			g_bytes_unref(frame);
			frame = rest;
		}
		if (node->holds_back && !s->kept) {
			s->kept = frame;
			s->kept_stamp = stamp;
			continue;
		}
		give(node, s, frame, stamp, key ? V4L2_BUF_FLAG_KEYFRAME : 0);
		g_bytes_unref(frame);
	}
	if (s->draining && s->coded.n_queued && !s->raw.n_queued) {
		if (s->kept) {
			give(node, s, s->kept, s->kept_stamp, V4L2_BUF_FLAG_LAST);
			g_clear_pointer(&s->kept, g_bytes_unref);
		} else {
			put_done(&s->coded, pop(&s->coded), (struct timeval){ 0 }, 0,
				 V4L2_BUF_FLAG_LAST);
		}
		s->draining = FALSE;
	}
}

static int queue_buffer(struct fake_node *node, struct state *s, const struct v4l2_buffer *b)
{
	struct queue *q = is_raw(b->type) ? &s->raw : &s->coded;
	guint i;

	if (b->memory != q->memory || b->index >= q->n)
		return errno = EINVAL, -1;
	for (i = 0; i < pieces(node, q == &s->raw); i++) {
		int fd = node->mplane ? b->m.planes[i].m.fd : b->m.fd;

		if (b->memory == V4L2_MEMORY_DMABUF && node->contiguous)
			return errno = EFAULT, -1;
		q->map[b->index][i] = b->memory == V4L2_MEMORY_DMABUF ? dmabuf_map(fd) :
			s->file + offset_of(q == &s->raw, b->index, i);
		if (!q->map[b->index][i])
			return errno = EINVAL, -1;
	}
	node->queued_dmabuf += b->memory == V4L2_MEMORY_DMABUF;
	node->queued_mmap += b->memory == V4L2_MEMORY_MMAP;
	q->stamp[b->index] = b->timestamp;
	q->queued[q->n_queued++] = b->index;
	work(node, s);
	return 0;
}

static int dequeue_buffer(const struct fake_node *node, struct state *s, struct v4l2_buffer *b)
{
	struct queue *q = is_raw(b->type) ? &s->raw : &s->coded;

	if (!q->n_done)
		return errno = EAGAIN, -1;
	b->index = q->done[0].index;
	b->flags = q->done[0].flags;
	b->timestamp = q->done[0].timestamp;
	if (node->mplane)
		b->m.planes[0].bytesused = q->used[0];
	else
		b->bytesused = q->used[0];
	q->n_done--;
	memmove(q->done, q->done + 1, q->n_done * sizeof(q->done[0]));
	memmove(q->used, q->used + 1, q->n_done * sizeof(q->used[0]));
	return 0;
}

static int stream(struct fake_node *node, struct state *s, guint32 type, gboolean on)
{
	struct queue *q = is_raw(type) ? &s->raw : &s->coded;

	if (!on) {
		q->n_queued = q->n_done = 0;
		g_clear_pointer(&s->kept, g_bytes_unref);
		s->draining = FALSE;
		/* The next stream begins with a key frame. */
		if (s->h264)
			h264_forget(s->h264);
	}
	q->on = on;
	node->streams += on;
	work(node, s);
	return 0;
}

int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	int number = node_of(fd);
	struct fake_node *node = number < 0 ? NULL : &fake_nodes[number];
	struct state *s = number < 0 ? NULL : &states[number];

	if (request == UDMABUF_CREATE)
		return create_udmabuf(arg);
	if (request == DMA_BUF_IOCTL_SYNC && dmabuf_map(fd))
		return 0;
	if (!node)
		return __real_ioctl(fd, request, arg);
	switch (request) {
	case VIDIOC_QUERYCAP:
		return query_cap(node, arg);
	case VIDIOC_ENUM_FMT:
		return enum_fmt(node, arg);
	case VIDIOC_S_FMT:
	case VIDIOC_G_FMT:
		return set_fmt(node, s, arg);
	case VIDIOC_S_PARM:
	case VIDIOC_S_SELECTION:
		return 0;
	case VIDIOC_QUERYCTRL:
	case VIDIOC_S_CTRL:
		return controls(node, s, request, arg);
	case VIDIOC_REQBUFS:
		return request_buffers(node, s, arg);
	case VIDIOC_QUERYBUF:
		return query_buffer(node, s, arg);
	case VIDIOC_QBUF:
		return queue_buffer(node, s, arg);
	case VIDIOC_DQBUF:
		return dequeue_buffer(node, s, arg);
	case VIDIOC_STREAMON:
	case VIDIOC_STREAMOFF:
		return stream(node, s, *(guint32 *)arg, request == VIDIOC_STREAMON);
	case VIDIOC_ENCODER_CMD:
		node->drains++;
		s->draining = TRUE;
		work(node, s);
		return 0;
	default:
		return errno = ENOTTY, -1;
	}
}

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout)
{
	int number = n == 1 ? node_of(fds[0].fd) : -1;
	const struct state *s = number < 0 ? NULL : &states[number];

	if (!s)
		return __real_poll(fds, n, timeout);
	fds[0].revents = (short)((s->coded.n_done ? POLLIN : 0) | (s->raw.n_done ? POLLOUT : 0));
	fds[0].revents &= fds[0].events;
	if (!fds[0].revents)
		g_usleep((gulong)MIN(timeout, 50) * 1000);
	return fds[0].revents != 0;
}

char *fake_m2m_directory(guint n)
{
	char *directory = g_dir_make_tmp("volet-m2m-XXXXXX", NULL);
	guint i;

	memset(fake_nodes, 0, sizeof(fake_nodes));
	memset(states, 0, sizeof(states));
	for (i = 0; i < n; i++) {
		g_autofree char *path = g_strdup_printf("%s/video%u", directory, i);
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

		g_assert_cmpint(ftruncate(fd, 4 * BUFFERS * PLANE_SIZE), ==, 0);
		states[i].file = mmap(NULL, 4 * BUFFERS * PLANE_SIZE, PROT_READ | PROT_WRITE,
				      MAP_SHARED, fd, 0);
		close(fd);
	}
	return directory;
}

void fake_m2m_end(char *directory)
{
	guint i;

	for (i = 0; i < FAKE_NODES; i++) {
		g_autofree char *path = g_strdup_printf("%s/video%u", directory, i);

		if (states[i].file)
			munmap(states[i].file, 4 * BUFFERS * PLANE_SIZE);
		h264_free(states[i].h264);
		encoder_free(states[i].jpeg);
		g_clear_pointer(&states[i].kept, g_bytes_unref);
		g_unlink(path);
	}
	for (i = 0; i < n_dmabufs; i++)
		munmap(dmabufs[i].map, dmabufs[i].size);
	n_dmabufs = 0;
	g_rmdir(directory);
	g_free(directory);
}
