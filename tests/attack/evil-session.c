// SPDX-License-Identifier: MIT
/*
 * evil-session: stands where volet-rtsp does. volet-spawn starts it with the real handles;
 * a connection that begins with "EVIL" leads it (see evil.h), any other gets the real
 * program, so that an honest viewer can play at the same time.
 *
 * With arguments, `evil-session ATTEMPT NUMBER`, it makes the same attempt in no sandbox, on
 * memory without seals and a connection of its own: what would work if nothing prevented it.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "evil.h"
#include "protocol.h"
#include "sandbox.h"

#define REAL	"/usr/libexec/volet/volet-rtsp"
#define MAGIC	"EVIL\n"

static const char *shut(void)
{
	static char text[SANDBOX_WHY_MAX + 8];
	char why[SANDBOX_WHY_MAX];

	if (sandbox_apply(why))
		return "ok";
	snprintf(text, sizeof(text), "failed %s", why);
	return text;
}

static int own_memory(size_t size)
{
	int fd = memfd_create("evil", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	return fd >= 0 && ftruncate(fd, (off_t)size) == 0 ? fd : -1;
}

/* A connection to a listener of its own; the peer's end stays open. */
static int own_connection(void)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t size = sizeof(any);

	if (bind(listener, (struct sockaddr *)&any, size) < 0 || listen(listener, 1) < 0 ||
	    getsockname(listener, (struct sockaddr *)&any, &size) < 0 ||
	    connect(fd, (struct sockaddr *)&any, size) < 0)
		return -1;
	return fd;
}

static int alone(const char *name, long number)
{
	struct evil evil = { .lead = -1, .size = 65536, .memfd = own_memory(65536) };
	long count = 0;
	int error;

	evil.viewer = !strcmp(name, "bind") ? socket(AF_INET, SOCK_STREAM, 0) :
		      !strcmp(name, "sendto") ? socket(AF_INET, SOCK_DGRAM, 0) : own_connection();
	evil.map = mmap(NULL, evil.size, PROT_READ, MAP_SHARED, evil.memfd, 0);
	if (!strcmp(name, "remove"))
		evil.map = mmap(NULL, evil.size, PROT_READ | PROT_WRITE, MAP_SHARED, evil.memfd, 0);
	if (!strcmp(name, "udmabuf"))
		fcntl(evil.memfd, F_ADD_SEALS, F_SEAL_SHRINK);
	if (evil.memfd < 0 || evil.map == MAP_FAILED || evil.viewer < 0) {
		perror("evil-session");
		return 2;
	}
	error = evil_try(&evil, name, number, &count);
	printf("%s: %s (%ld)\n", name, error ? strerror(error) : "worked", count);
	return error ? 1 : 0;
}

int main(int argc, char **argv)
{
	static char *const nothing[] = { NULL };
	static char *const real[] = { REAL, NULL };
	struct evil evil = { .lead = VOLET_FD_EXTRA, .control = VOLET_FD_CONTROL,
			     .viewer = VOLET_FD_EXTRA, .frames = -1, .memfd = -1, .shut = shut };
	struct pollfd pfd = { .fd = VOLET_FD_EXTRA, .events = POLLIN };
	char start[sizeof(MAGIC)] = "";

	if (argc > 1)
		return alone(argv[1], argc > 2 ? atol(argv[2]) : 0);
	poll(&pfd, 1, -1);
	if (recv(evil.lead, start, sizeof(MAGIC) - 1, MSG_PEEK | MSG_DONTWAIT) !=
	    sizeof(MAGIC) - 1 || strcmp(start, MAGIC)) {
		execve(REAL, real, nothing);
		return EXIT_FAILURE;
	}
	recv(evil.lead, start, sizeof(MAGIC) - 1, 0);
	evil_serve(&evil);
	for (;;)
		pause();
}
