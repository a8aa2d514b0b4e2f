// SPDX-License-Identifier: MIT
/*
 * second-opener BUS-INFO ENTITY [SECONDS]: opens a capture node that another program streams
 * from, asks for each buffer's place, maps it, and looks for pictures that change.
 *
 * Against a program with MMAP buffers it watches live; against one that captures into memory
 * of its own there is nothing to map. Says `mapped N of M, live frames K`. Exits with 0 when
 * it saw frames, 1 when it could map none (or all that it mapped stood still), 2 when the
 * trial itself was impossible, which is no defence.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "media.h"

#define BUFFERS_MAX	32
#define SAMPLES		16384
#define LOOKS		50	/* at least, however late the first is */

struct view {
	const volatile guint8 *map;
	gsize size;
	guint64 sum;
};

/* FALSE for an index beyond the last, and for a queue of another type. */
static gboolean query(int fd, guint32 type, guint index, struct v4l2_buffer *b,
		      struct v4l2_plane *plane)
{
	*b = (struct v4l2_buffer) { .type = type, .index = index };
	*plane = (struct v4l2_plane) { 0 };
	if (V4L2_TYPE_IS_MULTIPLANAR(type)) {
		b->m.planes = plane;
		b->length = 1;
	}
	return ioctl(fd, VIDIOC_QUERYBUF, b) == 0;
}

static gboolean try_map_at(int fd, const struct v4l2_buffer *b, off_t offset, struct view *view)
{
	void *map = mmap(NULL, view->size, PROT_READ, MAP_SHARED, fd, offset);

	printf("buffer %u: memory %u, %zu bytes at 0x%lx: %s\n", b->index, b->memory, view->size,
	       (long)offset, map == MAP_FAILED ? strerror(errno) : "mapped");
	view->map = map == MAP_FAILED ? NULL : map;
	return view->map != NULL;
}

/* Where the answer says, and where the kernel puts the buffers of an MMAP queue anyhow. */
static gboolean try_map(int fd, guint32 type, const struct v4l2_buffer *b,
			const struct v4l2_plane *plane, struct view *view)
{
	gboolean mp = V4L2_TYPE_IS_MULTIPLANAR(type);

	view->size = mp ? plane->length : b->length;
	return try_map_at(fd, b, mp ? plane->m.mem_offset : b->m.offset, view) ||
	       try_map_at(fd, b, (off_t)b->index << 15, view);
}

static guint64 checksum(const struct view *view)
{
	gsize step = MAX(view->size / SAMPLES, 1), i;
	guint64 sum = 0;

	for (i = 0; i < view->size; i += step)
		sum = sum * 31 + view->map[i];
	return sum;
}

static guint watch(struct view *views, guint n, guint seconds)
{
	struct timespec tick = { .tv_nsec = 20000000 };
	time_t end = time(NULL) + seconds;
	guint live = 0, looks, i;

	for (i = 0; i < n; i++)
		if (views[i].map)
			views[i].sum = checksum(&views[i]);
	for (looks = 0; looks < LOOKS || time(NULL) < end; looks++) {
		nanosleep(&tick, NULL);
		for (i = 0; i < n; i++) {
			guint64 sum = views[i].map ? checksum(&views[i]) : 0;

			live += views[i].map && sum != views[i].sum;
			views[i].sum = sum;
		}
	}
	return live;
}

static char *find_node(const char *bus_info, const char *entity)
{
	g_autoptr(GError) error = NULL;
	struct media *media = media_open(bus_info, &error);
	char *node = media ? media_node(media, entity, &error) : NULL;

	media_close(media);
	if (!node)
		fprintf(stderr, "second-opener: %s\n", error->message);
	return node;
}

int main(int argc, char **argv)
{
	struct view views[BUFFERS_MAX] = { 0 };
	guint32 type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
	g_autofree char *node = NULL;
	guint n, mapped = 0, live;
	struct v4l2_plane plane;
	struct v4l2_buffer b;
	int fd;

	if (argc < 3 || argc > 4) {
		fprintf(stderr, "usage: second-opener BUS-INFO ENTITY [SECONDS]\n");
		return 2;
	}
	node = find_node(argv[1], argv[2]);
	if (!node)
		return 2;
	fd = open(node, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		fprintf(stderr, "second-opener: %s: %s\n", node, strerror(errno));
		return 2;
	}
	if (!query(fd, type, 0, &b, &plane))
		type = V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE;
	for (n = 0; n < BUFFERS_MAX && query(fd, type, n, &b, &plane); n++)
		mapped += try_map(fd, type, &b, &plane, &views[n]);
	if (!n) {
		fprintf(stderr, "second-opener: %s has no buffers: nobody streams from it\n", node);
		return 2;
	}
	live = mapped ? watch(views, n, argc > 3 ? (guint)atoi(argv[3]) : 3) : 0;
	printf("mapped %u of %u, live frames %u\n", mapped, n, live);
	return live ? 0 : 1;
}
