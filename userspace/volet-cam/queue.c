// SPDX-License-Identifier: MIT
/* Format and ring of the capture queue; see queue.h and capture.h. */
#include "queue.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "error.h"

static gboolean multi(const struct capture *c)
{
	return V4L2_TYPE_IS_MULTIPLANAR(c->type);
}

/* Memory of our own, which the queue imports */
static gboolean own(const struct capture *c)
{
	return c->memory == VOLET_MEMORY_UDMABUF || c->memory == VOLET_MEMORY_HEAP;
}

void queue_buffer_init(const struct capture *c, struct queue_buffer *b, guint index)
{
	memset(b, 0, sizeof(*b));
	b->v4l2.type = c->type;
	b->v4l2.memory = own(c) ? V4L2_MEMORY_DMABUF : V4L2_MEMORY_MMAP;
	b->v4l2.index = index;
	if (multi(c)) {
		b->v4l2.m.planes = b->planes;
		b->v4l2.length = c->planes;
	}
}

gsize queue_offset(const struct capture *c, const struct queue_buffer *b, guint plane)
{
	return multi(c) ? b->planes[plane].data_offset : 0;
}

/* Bytes received; no more than there are, whatever the driver says. */
gsize queue_payload(const struct capture *c, const struct queue_buffer *b, guint plane)
{
	gsize used = multi(c) ? b->planes[plane].bytesused : b->v4l2.bytesused;
	gsize offset = queue_offset(c, b, plane);

#ifdef VOLET_FAULT_LOOSE	/* a build for tests only: what was received is not asked */
	used = c->buffers[b->v4l2.index].planes[plane].size;
#endif
	used = MIN(used, c->buffers[b->v4l2.index].planes[plane].size);
	return used > offset ? used - offset : 0;
}

gboolean queue_put(struct capture *c, guint index, GError **error)
{
	struct capture_plane *planes = c->buffers[index].planes;
	struct queue_buffer b;
	guint i;

	queue_buffer_init(c, &b, index);
	for (i = 0; own(c) && multi(c) && i < c->planes; i++) {
		b.planes[i].m.fd = planes[i].dmabuf;
		b.planes[i].length = (guint32)planes[i].size;
	}
	if (own(c) && !multi(c)) {
		b.v4l2.m.fd = planes[0].dmabuf;
		b.v4l2.length = (guint32)planes[0].size;
	}
	if (ioctl(c->fd, VIDIOC_QBUF, &b.v4l2) < 0)
		return cam_error(error, errno, "queueing a buffer to \"%s\"", c->entity);
	return TRUE;
}

static gboolean request(struct capture *c, guint count, guint32 *given, GError **error)
{
	struct v4l2_requestbuffers req = {
		.count = count, .type = c->type,
		.memory = own(c) ? V4L2_MEMORY_DMABUF : V4L2_MEMORY_MMAP,
	};

	if (ioctl(c->fd, VIDIOC_REQBUFS, &req) < 0)
		return cam_error(error, errno, "asking \"%s\" for %u buffers%s", c->entity, count,
				 errno == EBUSY ? CAM_BUSY : "");
	*given = MIN(req.count, CAPTURE_BUFFERS);
	if (count && req.count < 2)
		return cam_error(error, 0,
				 "\"%s\" gives %u buffers of the 2 that are needed at least",
				 c->entity, req.count);
	return TRUE;
}

static void unmap(struct capture *c, guint index)
{
	guint i;

	for (i = 0; i < c->planes; i++) {
		struct capture_plane *plane = &c->buffers[index].planes[i];

		if (c->memory == VOLET_MEMORY_MMAP && plane->map)
			munmap(plane->map, plane->size);
	}
}

void queue_free(struct capture *c)
{
	guint32 none;
	guint i, j;

	if (!c->memory)
		return;
	for (i = 0; i < c->n_buffers; i++)
		unmap(c, i);
	/* The queue lets go of our memory before we do; a device that is gone has done so. */
	request(c, 0, &none, NULL);
	for (i = 0; i < c->n_buffers; i++) {
		for (j = 0; own(c) && j < c->planes; j++)
			memory_free(&c->buffers[i].planes[j].memory);
		memset(&c->buffers[i], 0, sizeof(c->buffers[i]));
	}
	c->n_buffers = 0;
	c->memory = 0;
}

/* A frame's age is known only from a stamp of the clock that it is compared with. */
static gboolean check_clock(const struct capture *c, const struct queue_buffer *b, GError **error)
{
	if ((b->v4l2.flags & V4L2_BUF_FLAG_TIMESTAMP_MASK) == V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC)
		return TRUE;
	return cam_error(error, 0,
			 "\"%s\" doesn't stamp its frames with CLOCK_MONOTONIC: their age would "
			 "be unknown, so it can't be used",
			 c->entity);
}

static gboolean query(struct capture *c, guint index, struct queue_buffer *b, GError **error)
{
	queue_buffer_init(c, b, index);
	if (ioctl(c->fd, VIDIOC_QUERYBUF, &b->v4l2) < 0)
		return cam_error(error, errno, "asking \"%s\" about a buffer", c->entity);
	return check_clock(c, b, error);
}

static gboolean add_private(struct capture *c, guint index, GError **error)
{
	struct queue_buffer b;
	guint i;

	for (i = 0; i < c->planes; i++)
		c->buffers[index].planes[i].memory = (struct memory)MEMORY_NONE;
	if (!query(c, index, &b, error))
		return FALSE;
	for (i = 0; i < c->planes; i++) {
		struct capture_plane *plane = &c->buffers[index].planes[i];

		if (!(c->memory == VOLET_MEMORY_HEAP ?
			      memory_new_heap(&plane->memory, c->size[i], c->heap, error) :
			      memory_new(&plane->memory, "volet-capture", c->size[i], c->udmabuf, error)))
			return FALSE;
		memory_close_memfd(&plane->memory);
		plane->map = plane->memory.map;
		plane->size = plane->memory.size;
		plane->dmabuf = plane->memory.dmabuf;
	}
	return TRUE;
}

static gboolean add_mapped(struct capture *c, guint index, GError **error)
{
	struct queue_buffer b;
	guint i;

	if (!query(c, index, &b, error))
		return FALSE;
	for (i = 0; i < c->planes; i++) {
		struct capture_plane *plane = &c->buffers[index].planes[i];
		off_t offset = multi(c) ? b.planes[i].m.mem_offset : b.v4l2.m.offset;

		plane->dmabuf = -1;
		plane->size = multi(c) ? b.planes[i].length : b.v4l2.length;
		plane->map = mmap(NULL, plane->size, PROT_READ, MAP_SHARED, c->fd, offset);
		if (plane->map == MAP_FAILED) {
			plane->map = NULL;
			return cam_error(error, errno, "mapping a buffer of \"%s\"", c->entity);
		}
	}
	return TRUE;
}

static gboolean make(struct capture *c, guint32 memory, GError **error)
{
	guint32 n = 0;
	guint i;

	c->memory = memory;
	if (!request(c, CAPTURE_BUFFERS, &n, error))
		goto fail;
	for (i = 0; i < n; i++) {
		c->n_buffers = i + 1;
		if (!(own(c) ? add_private : add_mapped)(c, i, error) ||
		    !queue_put(c, i, error))
			goto fail;
	}
	return TRUE;
fail:
	queue_free(c);
	return FALSE;
}

static void say_weak(struct capture *c, const char *why)
{
	if (!c->said_weak)
		cam_log(c->camera,
			"capture memory: the node's own buffers (MMAP), which is WEAKER: whoever "
			"may open the node of \"%s\" can map them and watch. Keep that node to "
			"volet-cam's group alone. Own memory was not possible: %s",
			c->entity, why);
	c->said_weak = TRUE;
}

/*
 * A queue that needs contiguous memory says EFAULT to other pages, one without DMABUF EINVAL; a heap
 * that is used up ENOMEM. That the machine has no memory is no reason for a weaker kind.
 */
static gboolean is_refusal(guint32 memory, int code)
{
	return code == EFAULT || code == EINVAL || (code == ENOMEM && memory == VOLET_MEMORY_HEAP);
}

static gboolean set_format(struct capture *c, GError **error);

gboolean queue_make(struct capture *c, GError **error)
{
	const struct {
		guint32 memory;
		int device;
		const char *missing;
	} kinds[] = {
		{ VOLET_MEMORY_UDMABUF, c->udmabuf,
		  "there is no /dev/udmabuf that this process may open (kernel option CONFIG_UDMABUF)" },
		{ VOLET_MEMORY_HEAP, c->heap,
		  "there is no DMA-heap of contiguous memory that this process may open (kernel "
		  "option CONFIG_DMABUF_HEAPS_CMA)" },
	};
	g_autoptr(GString) weak = g_string_new(NULL);
	guint i;

	if (!set_format(c, error))
		return FALSE;
	for (i = 0; i < G_N_ELEMENTS(kinds); i++) {
		g_autoptr(GError) why = NULL;

		if (kinds[i].device >= 0 && make(c, kinds[i].memory, &why))
			return TRUE;
		if (why && !is_refusal(kinds[i].memory, why->code)) {
			g_propagate_error(error, g_steal_pointer(&why));
			return FALSE;
		}
		g_string_append_printf(weak, "%s%s", i ? "; " : "", why ? why->message : kinds[i].missing);
	}
	say_weak(c, weak->str);
	return make(c, VOLET_MEMORY_MMAP, error);
}

static void fourcc_text(guint32 fourcc, char text[5])
{
	guint i;

	for (i = 0; i < 4; i++)
		text[i] = (char)(fourcc >> 8 * i);
	text[4] = '\0';
}

/* How large the node makes each plane, and whether a picture is in there. */
static gboolean take_sizes(struct capture *c, const struct v4l2_format *f, GError **error)
{
	const struct v4l2_pix_format_mplane *mp = &f->fmt.pix_mp;
	gboolean fits = !multi(c) || mp->num_planes == c->planes;
	guint i;

	c->stride = multi(c) ? mp->plane_fmt[0].bytesperline : f->fmt.pix.bytesperline;
	for (i = 0; fits && i < c->planes; i++) {
		c->size[i] = multi(c) ? mp->plane_fmt[i].sizeimage : f->fmt.pix.sizeimage;
		c->need[i] = convert_need(c->convert, i, c->stride);
		fits = c->size[i] >= MAX(c->need[i], 1) &&
		       (c->need[i] || convert_codec(c->convert->format)) &&
		       (!i || mp->plane_fmt[i].bytesperline * (c->planes - 1) == c->stride);
	}
	return fits || cam_error(error, 0,
				 "\"%s\" says that a frame is %u planes, the first of %" G_GSIZE_FORMAT
				 " bytes in lines of %" G_GSIZE_FORMAT ", which holds no %ux%u picture",
				 c->entity, multi(c) ? mp->num_planes : 1, c->size[0], c->stride,
				 c->width, c->height);
}

/*
 * Set each time the ring is made: between two streams the node belongs to nobody, and
 * someone else may have changed it.
 */
static gboolean set_format(struct capture *c, GError **error)
{
	struct v4l2_format f = { .type = c->type };
	struct v4l2_pix_format *pix = &f.fmt.pix;
	struct v4l2_pix_format_mplane *mp = &f.fmt.pix_mp;
	guint32 fourcc, width, height;
	char asked[5], got[5];

	if (multi(c))
		*mp = (struct v4l2_pix_format_mplane) {
			.pixelformat = c->fourcc,
			.width = c->width,
			.height = c->height,
			.num_planes = (guint8)c->planes,
			.field = V4L2_FIELD_NONE,
		};
	else
		*pix = (struct v4l2_pix_format) {
			.pixelformat = c->fourcc, .width = c->width, .height = c->height,
			.field = V4L2_FIELD_NONE,
		};
	if (ioctl(c->fd, VIDIOC_S_FMT, &f) < 0)
		return cam_error(error, errno, "setting the format of \"%s\"%s", c->entity,
				 errno == EBUSY ? CAM_BUSY : "");
	fourcc = multi(c) ? mp->pixelformat : pix->pixelformat;
	width = multi(c) ? mp->width : pix->width;
	height = multi(c) ? mp->height : pix->height;
	if (fourcc != c->fourcc || width != c->width || height != c->height) {
		fourcc_text(c->fourcc, asked);
		fourcc_text(fourcc, got);
		return cam_error(error, 0,
				 "\"%s\": %s %ux%u was asked for and the node makes it %s %ux%u: "
				 "correct `format` and `size`",
				 c->entity, asked, c->width, c->height, got, width, height);
	}
	return take_sizes(c, &f, error);
}

gboolean capture_open(struct capture *c, const struct capture_config *config, GError **error)
{
	struct v4l2_capability cap = { 0 };
	guint32 caps;

	c->fd = config->node;
	c->udmabuf = config->udmabuf;
	c->heap = config->heap;
	c->convert = config->convert;
	c->fourcc = c->convert->format->fourcc;
	c->planes = c->convert->format->planes;
	c->width = config->width;
	c->height = config->height;
	c->entity = g_strdup(config->entity);
	g_strlcpy(c->camera, config->camera, sizeof(c->camera));
	if (ioctl(c->fd, VIDIOC_QUERYCAP, &cap) < 0 && errno != ENOTTY)
		return cam_error(error, errno, "asking \"%s\" what it is", config->entity);
	caps = cap.capabilities & V4L2_CAP_DEVICE_CAPS ? cap.device_caps : cap.capabilities;
	if (!(caps & (V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_VIDEO_CAPTURE_MPLANE)) ||
	    !(caps & V4L2_CAP_STREAMING))
		return cam_error(error, 0,
				 "\"%s\" captures no video: write another entity in `capture`",
				 config->entity);
	c->type = caps & V4L2_CAP_VIDEO_CAPTURE_MPLANE ? V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE :
							 V4L2_BUF_TYPE_VIDEO_CAPTURE;
	if (c->planes > 1 && !multi(c))
		return cam_error(error, 0,
				 "\"%s\" gives each frame in one piece of memory: write the format "
				 "whose name doesn't end in M", config->entity);
	return TRUE;
}

void capture_close(struct capture *c)
{
	if (c->memory)
		capture_stop(c);
	if (c->fd >= 0)
		close(c->fd);
	g_free(c->entity);
	c->entity = NULL;
	c->fd = -1;
}
