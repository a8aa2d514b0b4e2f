// SPDX-License-Identifier: MIT
/* The test's lines and what is done with them; see evil.h. */
#include "evil.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "protocol.h"

#define LINE_MAX_BYTES 8192
#define FDS_MAX 16

/* By sendmsg(), which every sandbox allows. */
static int send_message(int sock, const void *data, size_t size, const int *fds, unsigned int n)
{
	char control[CMSG_SPACE(sizeof(int) * FDS_MAX)] = { 0 };
	struct iovec iov = { .iov_base = (void *)data, .iov_len = size };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n) {
		struct cmsghdr *cmsg;

		mh.msg_control = control;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * n);
		cmsg = CMSG_FIRSTHDR(&mh);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * n);
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * n);
	}
	return sendmsg(sock, &mh, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? errno : 0;
}

static void answer(const struct evil *evil, const char *text)
{
	char line[LINE_MAX_BYTES];
	int n = snprintf(line, sizeof(line), "%s\n", text);

	if (send_message(evil->lead, line, (size_t)n, NULL, 0))
		_exit(EXIT_FAILURE);
}

static void answer_status(const struct evil *evil, int error)
{
	char text[32];

	snprintf(text, sizeof(text), "errno %d", error);
	answer(evil, error ? text : "ok");
}

static bool next_line(const struct evil *evil, char line[LINE_MAX_BYTES])
{
	size_t n = 0;

	while (n < LINE_MAX_BYTES - 1) {
		struct pollfd pfd = { .fd = evil->lead, .events = POLLIN };
		ssize_t got = read(evil->lead, line + n, 1);

		if (got < 0 && errno == EAGAIN) {
			poll(&pfd, 1, -1);
			continue;
		}
		if (got <= 0)
			return false;
		if (line[n] == '\n')
			break;
		n++;
	}
	line[n] = '\0';
	return true;
}

static void answer_sizes(const struct evil *evil)
{
	char text[64];

	snprintf(text, sizeof(text), "%zu %zu %zu", sizeof(struct volet_ctl),
		 sizeof(struct volet_frame), sizeof(struct volet_bus));
	answer(evil, text);
}

static int channel(const struct evil *evil, int which)
{
	return which ? evil->frames : evil->control;
}

static void send_line(const struct evil *evil, const char *arguments)
{
	unsigned char data[LINE_MAX_BYTES / 2];
	int which, fds[FDS_MAX], start = 0;
	unsigned int n, i, byte;
	size_t size = 0;

	if (sscanf(arguments, "%d %u %n", &which, &n, &start) < 2 || n > FDS_MAX) {
		answer(evil, "send what?");
		return;
	}
	while (sscanf(arguments + start + 2 * size, "%2x", &byte) == 1)
		data[size++] = (unsigned char)byte;
	for (i = 0; i < n; i++)
		fds[i] = evil->viewer;
	answer_status(evil, send_message(channel(evil, which), data, size, fds, n));
}

/* What came on control is the frames channel, and what came on that the memfd. */
static unsigned int keep_fds(struct evil *evil, int which, struct msghdr *mh)
{
	struct cmsghdr *cmsg;
	unsigned int n = 0;
	struct stat st;
	int fd;

	for (cmsg = CMSG_FIRSTHDR(mh); cmsg; cmsg = CMSG_NXTHDR(mh, cmsg)) {
		memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
		n += (unsigned int)((cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		if (!which) {
			evil->frames = fd;
		} else if (fstat(fd, &st) == 0) {
			evil->memfd = fd;
			evil->size = (size_t)st.st_size;
			evil->map = mmap(NULL, evil->size, PROT_READ, MAP_SHARED, fd, 0);
		}
	}
	return n;
}

static void recv_line(struct evil *evil, const char *arguments)
{
	unsigned char data[2048];
	char control[CMSG_SPACE(sizeof(int) * FDS_MAX)], text[2 * sizeof(data) + 32];
	struct iovec iov = { .iov_base = data, .iov_len = sizeof(data) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			     .msg_controllen = sizeof(control) };
	struct pollfd pfd = { .events = POLLIN };
	int which, ms;
	ssize_t n, i;

	if (sscanf(arguments, "%d %d", &which, &ms) != 2) {
		answer(evil, "recv what?");
		return;
	}
	pfd.fd = channel(evil, which);
	if (poll(&pfd, 1, ms) == 0) {
		answer(evil, "none");
		return;
	}
	n = recvmsg(pfd.fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n <= 0) {
		answer(evil, "end");
		return;
	}
	for (i = 0; i < n; i++)
		snprintf(text + 2 * i, 3, "%02x", data[i]);
	snprintf(text + 2 * n, 32, " %u", keep_fds(evil, which, &mh));
	answer(evil, text);
}

static void try_line(struct evil *evil, const char *arguments)
{
	long number = 0, count = 0;
	char name[64], text[64];
	int error;

	if (sscanf(arguments, "%63s %ld", name, &number) < 1) {
		answer(evil, "try what?");
		return;
	}
	error = evil_try(evil, name, number, &count);
	snprintf(text, sizeof(text), error ? "errno %ld" : "worked %ld", error ? error : count);
	answer(evil, text);
}

int evil_connect(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "%s", name);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, size) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static void give(const struct evil *evil, const char *name)
{
	const int fds[] = { evil->control, evil->viewer, evil->frames, evil->memfd };
	int to = evil_connect(name);

	answer_status(evil, to < 0 ? errno : send_message(to, "x", 1, fds, 4));
}

/* What a session is given: a memfd that it can only read, if `sealed`, and the way to write to it. */
static void make_memory(struct evil *evil, const char *arguments)
{
	unsigned int sealed = 1;
	size_t size = 0;

	sscanf(arguments, "%zu %u", &size, &sealed);
	evil->memfd = evil->viewer = memfd_create("evil", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	evil->size = size;
	if (evil->memfd < 0 || ftruncate(evil->memfd, (off_t)size) < 0) {
		answer_status(evil, errno);
		return;
	}
	evil->map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, evil->memfd, 0);
	if (evil->map == MAP_FAILED || fcntl(evil->memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0 ||
	    (sealed && fcntl(evil->memfd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0))
		answer_status(evil, errno);
	else
		answer(evil, "ok");
}

static void poke(const struct evil *evil, const char *arguments)
{
	unsigned int byte;
	size_t at = 0;
	int start = 0;

	sscanf(arguments, "%zu %n", &at, &start);
	for (; at < evil->size && sscanf(arguments + start, "%2x", &byte) == 1; start += 2)
		((unsigned char *)evil->map)[at++] = (unsigned char)byte;
	answer(evil, "ok");
}

void evil_serve(struct evil *evil)
{
	static char line[LINE_MAX_BYTES];

	while (next_line(evil, line)) {
		if (!strcmp(line, "shut"))
			answer(evil, evil->shut());
		else if (!strcmp(line, "sizes"))
			answer_sizes(evil);
		else if (!strncmp(line, "send ", 5))
			send_line(evil, line + 5);
		else if (!strncmp(line, "recv ", 5))
			recv_line(evil, line + 5);
		else if (!strncmp(line, "try ", 4))
			try_line(evil, line + 4);
		else if (!strncmp(line, "memory ", 7))
			make_memory(evil, line + 7);
		else if (!strncmp(line, "poke ", 5))
			poke(evil, line + 5);
		else if (!strncmp(line, "give ", 5))
			give(evil, line + 5);
		else if (!strncmp(line, "drop ", 5))
			answer_status(evil, close(channel(evil, line[5] == '1')) ? errno : 0);
		else
			answer(evil, "what?");
	}
}
