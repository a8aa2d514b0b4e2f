// SPDX-License-Identifier: MIT
/*
 * The capture queue of a made-up camera (this program is linked with --wrap=ioctl). One that gives
 * H.264: frames are taken in their turn, and after one that was lost, broken or late none before the
 * next key frame. And whose memory a queue gets that takes one kind or another.
 */
#include <errno.h>
#include <glib.h>
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>
#include <linux/videodev2.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "capture.h"
#include "h264.h"

#define WIDTH	320
#define HEIGHT	192
#define SIZE	65536
#define MS	G_GUINT64_CONSTANT(1000000)

int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, void *arg);

/* The made-up node: its buffers, and what lies in them next. */
static struct {
	int fd;
	guint8 *map;
	gboolean queued[CAPTURE_BUFFERS];
	struct v4l2_buffer ready[CAPTURE_BUFFERS];
	guint n_ready, asked;
	guint32 sequence;
	guint refuses;		/* memory of these kinds, as bits */
	gboolean heap_is_empty, machine_is_full;
	guint32 memory;		/* V4L2_MEMORY_ of what is queued */
} node;

/* Descriptors that stand for /dev/udmabuf and a heap, and the last memory made of each */
static int udmabuf = -1, heap = -1, last_made[VOLET_MEMORY_HEAP + 1];

static int make_dmabuf(guint kind, gsize size)
{
	int fd = memfd_create("dmabuf", MFD_CLOEXEC);
	guint i;

	g_assert_cmpint(ftruncate(fd, (off_t)size), ==, 0);
	/* Numbers are used again. */
	for (i = 0; i < G_N_ELEMENTS(last_made); i++)
		last_made[i] = last_made[i] == fd ? -1 : last_made[i];
	last_made[kind] = fd;
	return fd;
}

static int allocate(struct dma_heap_allocation_data *data)
{
	if (node.heap_is_empty)
		return errno = ENOMEM, -1;
	data->fd = (guint32)make_dmabuf(VOLET_MEMORY_HEAP, data->len);
	return 0;
}

static int queue(const struct v4l2_buffer *b)
{
	guint kind;

	node.memory = b->memory;
	for (kind = 1; b->memory == V4L2_MEMORY_DMABUF && kind < G_N_ELEMENTS(last_made); kind++)
		if (b->m.fd == last_made[kind] && node.refuses & 1u << kind)
			return errno = EFAULT, -1;
	node.queued[b->index] = TRUE;
	return 0;
}

static int dequeue(struct v4l2_buffer *b)
{
	if (!node.n_ready)
		return errno = EAGAIN, -1;
	*b = node.ready[0];
	node.queued[b->index] = FALSE;
	memmove(node.ready, node.ready + 1, --node.n_ready * sizeof(node.ready[0]));
	return 0;
}

int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	struct v4l2_buffer *b = arg;

	if (fd == udmabuf && request == UDMABUF_CREATE && node.machine_is_full)
		return errno = ENOMEM, -1;
	if (fd == udmabuf && request == UDMABUF_CREATE)
		return make_dmabuf(VOLET_MEMORY_UDMABUF, ((struct udmabuf_create *)arg)->size);
	if (fd == heap && request == DMA_HEAP_IOCTL_ALLOC)
		return allocate(arg);
	if (fd != node.fd)
		return __real_ioctl(fd, request, arg);
	switch (request) {
	case VIDIOC_QUERYCAP:
		((struct v4l2_capability *)arg)->capabilities =
			V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
		return 0;
	case VIDIOC_S_FMT:
		((struct v4l2_format *)arg)->fmt.pix.sizeimage = SIZE;
		return 0;
	case VIDIOC_QUERYBUF:
		b->flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
		b->length = SIZE;
		b->m.offset = b->index * SIZE;
		return 0;
	case VIDIOC_QBUF:
		return queue(b);
	case VIDIOC_DQBUF:
		return dequeue(b);
	case VIDIOC_S_CTRL:
		node.asked += ((struct v4l2_control *)arg)->id == V4L2_CID_MPEG_VIDEO_FORCE_KEY_FRAME;
		return 0;
	default:
		return 0;
	}
}

/* The device has a frame, of `age_ms` ago. */
static void give(GBytes *frame, guint32 flags, guint age_ms)
{
	/* A board may have been started just now. */
	guint64 now = capture_now() / 1000, when = now > age_ms * 1000 ? now - age_ms * 1000 : 1;
	struct v4l2_buffer *b = &node.ready[node.n_ready];
	gsize size;
	const guint8 *data = g_bytes_get_data(frame, &size);
	guint i;

	for (i = 0; i < CAPTURE_BUFFERS && !node.queued[i]; i++)
		;
	g_assert_cmpuint(i, <, CAPTURE_BUFFERS);
	node.queued[i] = FALSE;
	memcpy(node.map + i * SIZE, data, size);
	*b = (struct v4l2_buffer){
		.index = i, .bytesused = (guint32)size, .flags = flags, .sequence = node.sequence++,
		.timestamp = { (time_t)(when / 1000000), (suseconds_t)(when % 1000000) },
	};
	node.n_ready++;
}

static void open_node(struct capture *c, struct convert *convert, guint32 fourcc)
{
	const struct capture_config config = {
		.camera = "cam0", .entity = "made up", .convert = convert, .width = WIDTH,
		.height = HEIGHT, .udmabuf = -1, .heap = -1, .node = memfd_create("node", MFD_CLOEXEC),
	};

	memset(&node, 0, sizeof(node));
	node.fd = config.node;
	g_assert_cmpint(ftruncate(node.fd, CAPTURE_BUFFERS * SIZE), ==, 0);
	node.map = mmap(NULL, CAPTURE_BUFFERS * SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, node.fd, 0);
	g_assert_true(convert_open(convert, convert_find(fourcc), WIDTH, HEIGHT, NULL));
	*c = (struct capture){ .fd = -1 };
	g_assert_true(capture_open(c, &config, NULL));
	g_assert_true(capture_start(c, NULL));
}

static void close_node(struct capture *c, struct convert *convert)
{
	capture_close(c);
	convert_close(convert);
	munmap(node.map, CAPTURE_BUFFERS * SIZE);
}

static GBytes *key_frame, *difference;

static void make_frames(void)
{
	const struct h264_config config = { .width = WIDTH, .height = HEIGHT, .bitrate_kbit = 500 };
	g_autofree guint8 *pic = g_malloc0(WIDTH * HEIGHT * 3 / 2);
	struct h264 *h = h264_new(&config, NULL);
	guint i;

	for (i = 0; i < 2; i++) {
		gboolean key = !i;
		const guint8 *data;
		gsize length;

		pic[i] = 255;
		g_assert_true(h264_nv12(h, pic, pic + WIDTH * HEIGHT, WIDTH, i * 40 * MS, &key,
					&data, &length, NULL));
		*(i ? &difference : &key_frame) = g_bytes_new(data, length);
	}
	h264_free(h);
}

/* What is given out until there is no more: 'K' and 'd' each, in a text. */
static char *taken(struct capture *c)
{
	GString *text = g_string_new(NULL);
	struct capture_frame frame;
	guint i;

	while (capture_take(c, 2000 * MS, &frame, NULL) > 0) {
		g_assert_nonnull(frame.coded);
		g_string_append_c(text, frame.key ? 'K' : 'd');
		g_assert_true(capture_return(c, &frame, NULL));
	}
	/* And every buffer is back. */
	for (i = 0; i < CAPTURE_BUFFERS; i++)
		g_assert_true(node.queued[i]);
	return g_string_free(text, FALSE);
}

#define assert_taken(c, text) do { \
	g_autofree char *got = taken(c); \
	g_assert_cmpstr(got, ==, text); \
} while (0)

static void test_turn(void)
{
	struct convert convert;
	struct capture c;

	open_node(&c, &convert, V4L2_PIX_FMT_H264);
	give(difference, 0, 0);
	assert_taken(&c, "");			/* before the first key frame */
	give(key_frame, 0, 0);
	give(difference, 0, 0);
	give(difference, 0, 0);
	assert_taken(&c, "Kdd");		/* each in its turn */
	node.sequence += 2;			/* the driver had no buffer for two */
	give(difference, 0, 0);
	give(difference, 0, 0);
	assert_taken(&c, "");
	give(key_frame, 0, 0);
	give(difference, V4L2_BUF_FLAG_ERROR, 0);
	give(difference, 0, 0);
	assert_taken(&c, "K");			/* broken */
	g_assert_cmpuint(c.errors, ==, 1);
	give(key_frame, 0, 0);
	give(difference, 0, 10000);
	give(difference, 0, 0);
	assert_taken(&c, "K");			/* late */
	g_assert_cmpuint(c.late, ==, 1);
	give(key_frame, 0, 0);
	convert_lost(&convert);			/* a no-signal picture was shown */
	assert_taken(&c, "K");
	convert_lost(&convert);
	give(difference, 0, 0);
	assert_taken(&c, "");
	g_assert_true(capture_force_key(&c));
	g_assert_cmpuint(node.asked, ==, 1);
	close_node(&c, &convert);
}

/* A stream that begins anew has nothing of the one before. */
static void test_restart(void)
{
	struct convert convert;
	struct capture c;

	open_node(&c, &convert, V4L2_PIX_FMT_H264);
	give(key_frame, 0, 0);
	assert_taken(&c, "K");
	capture_stop(&c);
	memset(node.queued, 0, sizeof(node.queued));
	node.sequence = 0;
	g_assert_true(capture_start(&c, NULL));
	give(difference, 0, 0);
	assert_taken(&c, "");
	close_node(&c, &convert);
}

/* In each kind of memory that is there and that the queue takes, the weaker one last. */
static void test_memory(void)
{
	enum { UDMABUF = 1u << VOLET_MEMORY_UDMABUF, HEAP = 1u << VOLET_MEMORY_HEAP };
	static const struct {
		guint there, refuses;
		gboolean heap_is_empty;
		guint32 memory;
	} cases[] = {
		{ UDMABUF | HEAP, 0, FALSE, VOLET_MEMORY_UDMABUF },
		{ UDMABUF | HEAP, UDMABUF, FALSE, VOLET_MEMORY_HEAP },
		{ HEAP, 0, FALSE, VOLET_MEMORY_HEAP },
		{ UDMABUF | HEAP, UDMABUF | HEAP, FALSE, VOLET_MEMORY_MMAP },
		{ UDMABUF | HEAP, UDMABUF, TRUE, VOLET_MEMORY_MMAP },
		{ UDMABUF, UDMABUF, FALSE, VOLET_MEMORY_MMAP },
		{ 0, 0, FALSE, VOLET_MEMORY_MMAP },
	};
	guint i;

	udmabuf = memfd_create("udmabuf", MFD_CLOEXEC);
	heap = memfd_create("heap", MFD_CLOEXEC);
	for (i = 0; i < G_N_ELEMENTS(cases); i++) {
		struct convert convert;
		struct capture c;

		open_node(&c, &convert, V4L2_PIX_FMT_H264);
		capture_stop(&c);
		node.refuses = cases[i].refuses;
		node.heap_is_empty = cases[i].heap_is_empty;
		c.udmabuf = cases[i].there & UDMABUF ? udmabuf : -1;
		c.heap = cases[i].there & HEAP ? heap : -1;
		g_assert_true(capture_start(&c, NULL));
		g_assert_cmpuint(c.memory, ==, cases[i].memory);
		g_assert_cmpuint(node.memory, ==, c.memory == VOLET_MEMORY_MMAP ? V4L2_MEMORY_MMAP :
									  V4L2_MEMORY_DMABUF);
		close_node(&c, &convert);
	}
	close(udmabuf);
	close(heap);
	udmabuf = -1;
	heap = -1;
}

/* Who eats the machine's memory doesn't get the camera to use buffers that others can map. */
static void test_memory_runs_out(void)
{
	g_autoptr(GError) error = NULL;
	struct convert convert;
	struct capture c;

	udmabuf = memfd_create("udmabuf", MFD_CLOEXEC);
	open_node(&c, &convert, V4L2_PIX_FMT_H264);
	capture_stop(&c);
	node.machine_is_full = TRUE;
	node.memory = 0;
	c.udmabuf = udmabuf;
	g_assert_false(capture_start(&c, &error));
	g_assert_cmpint(error->code, ==, ENOMEM);
	g_assert_cmpuint(node.memory, ==, 0);
	node.machine_is_full = FALSE;
	close_node(&c, &convert);
	close(udmabuf);
	udmabuf = -1;
}

int main(int argc, char **argv)
{
	int ret;

	g_test_init(&argc, &argv, NULL);
	make_frames();
	g_test_add_func("/capture/turn", test_turn);
	g_test_add_func("/capture/restart", test_restart);
	g_test_add_func("/capture/memory", test_memory);
	g_test_add_func("/capture/memory-runs-out", test_memory_runs_out);
	ret = g_test_run();
	g_bytes_unref(key_frame);
	g_bytes_unref(difference);
	return ret;
}
