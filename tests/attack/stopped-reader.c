// SPDX-License-Identifier: MIT
/*
 * stopped-reader BUS-INFO ENTITY: a program that trusts its memory. It captures into one buffer of
 * its own (udmabuf), stops the stream in the middle of a frame, and takes what the buffer holds
 * for a picture, although the kernel has given it none.
 *
 * The first frame comes whole. Then it says "whole" on standard error and waits for a line of
 * standard input, so that from then on only a part of each frame comes; when that part is there,
 * and the frame isn't over, it stops. The luma that is there goes to standard output. Exits with 1
 * when no frame could be caught under way, with 2 when the trial itself was impossible.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "media.h"
#include "memory.h"

#define TRIES	200
#define TOP	64	/* lines: more than the tag has */

static struct memory memory;
static struct v4l2_format format = { .type = V4L2_BUF_TYPE_VIDEO_CAPTURE };
static int node;

static void ask(unsigned long request, void *data, const char *what)
{
	if (ioctl(node, request, data) == 0)
		return;
	fprintf(stderr, "stopped-reader: %s: %s\n", what, strerror(errno));
	exit(2);
}

static struct v4l2_buffer buffer(void)
{
	struct v4l2_buffer b = {
		.type = format.type, .memory = V4L2_MEMORY_DMABUF, .m.fd = memory.dmabuf,
		.length = (guint32)memory.size,
	};

	return b;
}

static void queue(void)
{
	struct v4l2_buffer b = buffer();

	ask(VIDIOC_QBUF, &b, "QBUF");
}

static void dequeue(void)
{
	struct pollfd p = { node, POLLIN, 0 };
	struct v4l2_buffer b = buffer();

	if (poll(&p, 1, 20000) <= 0) {
		fprintf(stderr, "stopped-reader: no frame came\n");
		exit(2);
	}
	ask(VIDIOC_DQBUF, &b, "DQBUF");
}

static gboolean is_done(void)
{
	struct v4l2_buffer b = buffer();

	ask(VIDIOC_QUERYBUF, &b, "QUERYBUF");
	return b.flags & V4L2_BUF_FLAG_DONE;
}

static void start(const char *bus_info, const char *entity)
{
	struct v4l2_requestbuffers request = {
		.count = 1, .type = format.type, .memory = V4L2_MEMORY_DMABUF,
	};
	int udmabuf = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	g_autoptr(GError) error = NULL;
	struct media *media = media_open(bus_info, &error);
	g_autofree char *path = media ? media_node(media, entity, &error) : NULL;

	media_close(media);
	node = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	ask(VIDIOC_G_FMT, &format, "the node's format");
	ask(VIDIOC_REQBUFS, &request, "REQBUFS");
	if (!memory_new(&memory, "frame", format.fmt.pix.sizeimage, udmabuf, &error)) {
		fprintf(stderr, "stopped-reader: %s\n", error->message);
		exit(2);
	}
	queue();
	ask(VIDIOC_STREAMON, &format.type, "STREAMON");
}

/* Wait until the top of the picture is another one. TRUE when the frame was not over by then. */
static gboolean next_begins(gsize top)
{
	g_autofree void *before = g_memdup2(memory.map, top);
	gint64 end = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;

	while (!memcmp(memory.map, before, top) && g_get_monotonic_time() < end)
		g_usleep(200);
	return !is_done();
}

int main(int argc, char **argv)
{
	gsize top, luma;
	gint tries;
	char go[8];

	if (argc != 3) {
		fprintf(stderr, "usage: stopped-reader BUS-INFO ENTITY\n");
		return 2;
	}
	start(argv[1], argv[2]);
	top = (gsize)format.fmt.pix.bytesperline * TOP;
	luma = (gsize)format.fmt.pix.bytesperline * format.fmt.pix.height;
	dequeue();
	fprintf(stderr, "whole\n");
	if (!fgets(go, sizeof(go), stdin))
		return 2;
	for (tries = 0; tries < TRIES; tries++) {
		queue();
		if (next_begins(top)) {
			ask(VIDIOC_STREAMOFF, &format.type, "STREAMOFF");
			fwrite(memory.map, 1, luma, stdout);
			return 0;
		}
		dequeue();
	}
	return 1;
}
