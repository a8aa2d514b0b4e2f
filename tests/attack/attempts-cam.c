// SPDX-License-Identifier: MIT
/* What a compromised volet-cam tries besides; as in attempts.c each works where nothing prevents it. */
#include "attempts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "protocol.h"

#define MIB	(1L << 20)

/* Another's handles, one after the other, until one is had. */
int attempt_steal(struct evil *evil, long pid, long *count)
{
	int pidfd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0), fd, got = -1;

	(void)evil;
	if (pidfd < 0)
		return errno;
	for (fd = 0; fd < 64 && got < 0; fd++)
		got = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	*count = fd;
	return got < 0 ? errno : 0;
}

int attempt_pair(struct evil *evil, long number, long *count)
{
	int pair[2];

	(void)evil;
	(void)number;
	(void)count;
	return socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0 ? errno : 0;
}

/* A file of this process's own, where the user may make one. */
int attempt_create(struct evil *evil, long number, long *count)
{
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	(void)evil;
	(void)number;
	(void)count;
	return fd < 0 || write(fd, "evil", 4) != 4 ? errno : 0;
}

int attempt_zero(struct evil *evil, long number, long *count)
{
	(void)evil;
	(void)number;
	(void)count;
	return open("/dev/null", O_RDWR | O_CLOEXEC) < 0 ? errno : 0;
}

/* One memfd of so many bytes, touched; unmapped again unless it is to stay mapped. */
static int take_memfd(size_t size, bool stay)
{
	int fd = memfd_create("evil", MFD_CLOEXEC), error = 0;
	volatile char *map;
	size_t at;

	if (fd < 0)
		return errno;
	map = ftruncate(fd, (off_t)size) < 0 ? MAP_FAILED :
	      mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		error = errno;
		close(fd);
		return error;
	}
	for (at = 0; at < size; at += 4096)
		map[at] = 1;
	if (stay)
		close(fd);
	else
		munmap((void *)map, size);
	return 0;
}

/* 1 MiB each, up to `number` MiB; all at once are held. */
static int take(long number, bool stay, long *count)
{
	int error = 0;

	while (*count < number && !(error = take_memfd(MIB, stay)))
		++*count;
	return *count < number ? error : 0;
}

int attempt_memfds(struct evil *evil, long number, long *count)
{
	(void)evil;
	return take(number, false, count);
}

int attempt_mapped_memfds(struct evil *evil, long number, long *count)
{
	(void)evil;
	return take(number, true, count);
}

/* Right messages, as many as there is room for, for `number` seconds. */
int attempt_flood_bus(struct evil *evil, long number, long *count)
{
	const struct volet_bus msg = { .type = VOLET_BUS_STATS };
	time_t end = time(NULL) + number;

	while (time(NULL) <= end) {
		struct iovec iov = { (void *)&msg, sizeof(msg) };
		const struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

		if (sendmsg(evil->control, &mh, MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
			++*count;
		else if (errno != EAGAIN)
			return errno;
	}
	return 0;
}

int attempt_large_memfd(struct evil *evil, long number, long *count)
{
	(void)evil;
	*count = number;
	return take_memfd((size_t)number * MIB, false);
}
