// SPDX-License-Identifier: MIT
/*
 * m2m-opener: tries to see the pictures and the coded frames of another process's encoder.
 *
 *   m2m-opener open NODE		a second open of the node: what any program in its group can do
 *   m2m-opener steal PID NODE	a duplicate of the very descriptor, taken with pidfd_getfd(): what
 *				root can do, or a process that was handed the descriptor
 *
 * Each buffer of both queues is asked for (VIDIOC_QUERYBUF), mapped, exported (VIDIOC_EXPBUF)
 * and, when it is mapped, watched for changes. Exits with 0 when something live was seen, 1 when
 * not, 2 for wrong use.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BUFFERS_MAX	16
#define SECONDS		3
#define LOOKS		50	/* at least, however late the first is */

struct view {
	const unsigned char *map;
	size_t size;
	unsigned long sum;
};

struct result {
	unsigned int known, mapped, exported, live;
};

static unsigned long checksum(const struct view *view)
{
	unsigned long sum = 0;
	size_t i;

	for (i = 0; i < view->size; i += 61)
		sum = sum * 31 + view->map[i];
	return sum;
}

static bool export_buffer(int fd, unsigned int type, unsigned int index)
{
	struct v4l2_exportbuffer export = { .type = type, .index = index, .flags = O_CLOEXEC };

	if (ioctl(fd, VIDIOC_EXPBUF, &export) < 0)
		return false;
	close(export.fd);
	return true;
}

/* Where the answer says, and where the kernel puts the buffers of an MMAP queue anyhow. */
static bool map_buffer(int fd, unsigned int type, unsigned int index, struct result *result,
		       struct view *view)
{
	struct v4l2_plane planes[VIDEO_MAX_PLANES] = { { 0 } };
	struct v4l2_buffer b = { .type = type, .index = index };
	bool mp = V4L2_TYPE_IS_MULTIPLANAR(type);
	/* An OUTPUT queue is mapped to be written, or not at all. */
	int prot = PROT_READ | (V4L2_TYPE_IS_OUTPUT(type) ? PROT_WRITE : 0);
	off_t offset;

	if (mp) {
		b.m.planes = planes;
		b.length = VIDEO_MAX_PLANES;
	}
	if (ioctl(fd, VIDIOC_QUERYBUF, &b) < 0)
		return false;
	result->known++;
	result->exported += export_buffer(fd, type, index);
	view->size = mp ? planes[0].length : b.length;
	offset = mp ? planes[0].m.mem_offset : b.m.offset;
	view->map = mmap(NULL, view->size, prot, MAP_SHARED, fd, offset);
	if (view->map == MAP_FAILED)
		view->map = mmap(NULL, view->size, prot, MAP_SHARED, fd, (off_t)index << 15);
	printf("type %u buffer %u, memory %u: %s\n", type, index, b.memory,
	       view->map == MAP_FAILED ? strerror(errno) : "mapped");
	if (view->map == MAP_FAILED)
		view->map = NULL;
	result->mapped += view->map != NULL;
	return true;
}

static void watch(struct view *views, unsigned int n, struct result *result)
{
	struct timespec tick = { .tv_nsec = 20000000 };
	time_t end = time(NULL) + SECONDS;
	unsigned int looks, i;

	for (i = 0; i < n; i++)
		views[i].sum = views[i].map ? checksum(&views[i]) : 0;
	for (looks = 0; looks < LOOKS || time(NULL) < end; looks++) {
		nanosleep(&tick, NULL);
		for (i = 0; i < n; i++) {
			unsigned long sum = views[i].map ? checksum(&views[i]) : 0;

			result->live += sum != views[i].sum;
			views[i].sum = sum;
		}
	}
}

static int look(int fd)
{
	static const unsigned int types[] = {
		V4L2_BUF_TYPE_VIDEO_CAPTURE, V4L2_BUF_TYPE_VIDEO_OUTPUT,
		V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE, V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE,
	};
	struct view views[4 * BUFFERS_MAX] = { { 0 } };
	struct result result = { 0 };
	unsigned int t, i, n = 0;

	for (t = 0; t < 4; t++)
		for (i = 0; i < BUFFERS_MAX &&
		     map_buffer(fd, types[t], i, &result, &views[n]); i++)
			n++;
	if (result.mapped)
		watch(views, n, &result);
	printf("known %u mapped %u exported %u live %u\n", result.known, result.mapped,
	       result.exported, result.live);
	return result.live ? 0 : 1;
}

/* Its descriptor of that node, duplicated; -1 when it has none, or it can't be had. */
static int steal(pid_t pid, const char *node)
{
	char path[300], link[64];
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), fd = -1;
	struct dirent *entry;
	ssize_t n;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	while (dir && fd < 0 && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%s", pid, entry->d_name);
		n = readlink(path, link, sizeof(link) - 1);
		if (n <= 0)
			continue;
		link[n] = '\0';
		if (!strcmp(link, node))
			fd = (int)syscall(SYS_pidfd_getfd, pidfd, atoi(entry->d_name), 0);
	}
	if (dir)
		closedir(dir);
	return fd;
}

int main(int argc, char **argv)
{
	int fd;

	if (argc == 3 && !strcmp(argv[1], "open")) {
		fd = open(argv[2], O_RDWR | O_CLOEXEC);
	} else if (argc == 4 && !strcmp(argv[1], "steal")) {
		fd = steal(atoi(argv[2]), argv[3]);
	} else {
		fprintf(stderr, "usage: m2m-opener open NODE | steal PID NODE\n");
		return 2;
	}
	if (fd < 0) {
		fprintf(stderr, "m2m-opener: no descriptor: %s\n", strerror(errno));
		return 2;
	}
	return look(fd);
}
