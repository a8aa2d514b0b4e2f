// SPDX-License-Identifier: MIT
/* Sending and receiving one fixed-size message with its descriptors; see msg.h. */
#include "msg.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int msg_pair(int fds[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return -errno;
	return 0;
}

int msg_send(int sock, const void *msg, size_t size, const int *fds, unsigned int n_fds)
{
	union {
		char buf[CMSG_SPACE(sizeof(int) * MSG_FDS_MAX)];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)msg, .iov_len = size };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (n_fds > MSG_FDS_MAX)
		return -EINVAL;
	if (n_fds) {
		struct cmsghdr *cmsg;

		mh.msg_control = control.buf;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		cmsg = CMSG_FIRSTHDR(&mh);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * n_fds);
	}
	do {
		n = sendmsg(sock, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	return (size_t)n == size ? 0 : -EPROTO;
}

/* Take the descriptors out of a received message; false when there were more than fit. */
static bool take_fds(struct msghdr *mh, int fds[MSG_FDS_MAX], unsigned int *n_fds)
{
	struct cmsghdr *cmsg;
	bool ok = !(mh->msg_flags & MSG_CTRUNC);

	for (cmsg = CMSG_FIRSTHDR(mh); cmsg; cmsg = CMSG_NXTHDR(mh, cmsg)) {
		size_t i, n;

		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		n = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(fd));
			if (*n_fds < MSG_FDS_MAX) {
				fds[(*n_fds)++] = fd;
			} else {
				close(fd);
				ok = false;
			}
		}
	}
	return ok;
}

/* Nothing was read: is that the end, or a message without a byte? */
static bool hung_up(int sock)
{
	struct pollfd pfd = { .fd = sock, .events = POLLRDHUP };

	return poll(&pfd, 1, 0) > 0;
}

int msg_recv(int sock, void *msg, size_t size, int fds[MSG_FDS_MAX], unsigned int *n_fds)
{
	union {
		char buf[CMSG_SPACE(sizeof(int) * MSG_FDS_MAX)];
		struct cmsghdr align;
	} control;
	struct iovec iov = { .iov_base = msg, .iov_len = size };
	struct msghdr mh = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.buf, .msg_controllen = sizeof(control.buf),
	};
	unsigned int i, taken = 0, resets = 0;
	ssize_t n;

	for (i = 0; i < MSG_FDS_MAX; i++)
		fds[i] = -1;
	*n_fds = 0;
	/* A peer that closed with messages unread resets, once; what it said before is still here. */
	do {
		n = recvmsg(sock, &mh, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	} while (n < 0 && (errno == EINTR || (errno == ECONNRESET && !resets++)));
	if (n < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : errno == ECONNRESET ? -EPIPE : -errno;
	if (!take_fds(&mh, fds, &taken) || (n > 0 && ((size_t)n != size || (mh.msg_flags & MSG_TRUNC)))) {
		msg_close_fds(fds);
		return -EPROTO;
	}
	if (n == 0) {
		msg_close_fds(fds);
		return hung_up(sock) ? -EPIPE : -EPROTO;
	}
	*n_fds = taken;
	return 0;
}

int msg_recv_wait(int sock, void *msg, size_t size, int fds[MSG_FDS_MAX], unsigned int *n_fds,
		  int timeout_ms)
{
	struct timespec now;
	int64_t end, left = timeout_ms;
	int ret;

	clock_gettime(CLOCK_MONOTONIC, &now);
	end = now.tv_sec * 1000LL + now.tv_nsec / 1000000 + timeout_ms;
	for (;;) {
		struct pollfd pfd = { .fd = sock, .events = POLLIN };

		ret = msg_recv(sock, msg, size, fds, n_fds);
		if (ret != -EAGAIN)
			return ret;
		if (left <= 0)
			return -ETIMEDOUT;
		if (poll(&pfd, 1, (int)left) < 0 && errno != EINTR)
			return -errno;
		clock_gettime(CLOCK_MONOTONIC, &now);
		left = end - (now.tv_sec * 1000LL + now.tv_nsec / 1000000);
	}
}

void msg_close_fds(int fds[MSG_FDS_MAX])
{
	unsigned int i;

	for (i = 0; i < MSG_FDS_MAX; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

bool msg_text_ok(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

bool msg_name_ok(const char *name)
{
	size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");

	return n > 0 && n < VOLET_NAME_MAX && name[n] == '\0';
}

const char *volet_reason_text(unsigned int reason)
{
	static const char *const text[VOLET_REASON_COUNT] = {
		[VOLET_REASON_NONE] = "none",
		[VOLET_REASON_CLIENT_GONE] = "client gone",
		[VOLET_REASON_CREDENTIALS] = "wrong credentials",
		[VOLET_REASON_AUTH_TIMEOUT] = "not authenticated in time",
		[VOLET_REASON_PROTOCOL] = "protocol error",
		[VOLET_REASON_STALE_SLOT] = "stale slot",
		[VOLET_REASON_FOREIGN_FRAME] = "foreign frame",
		[VOLET_REASON_NO_FRAME] = "no frame in time",
		[VOLET_REASON_TOO_OLD] = "unsent bytes too old",
		[VOLET_REASON_REBOUND] = "asked for another viewer or camera or profile",
		[VOLET_REASON_CAMERA_GONE] = "camera gone",
		[VOLET_REASON_PROGRAM_EXIT] = "session program exited",
		[VOLET_REASON_OWNER] = "ended by the owner",
		[VOLET_REASON_SHUTDOWN] = "shutting down",
		[VOLET_REASON_INTERNAL] = "internal error",
		[VOLET_REASON_TLS] = "no TLS handshake",
		[VOLET_REASON_UDP] = "nobody at the viewer's UDP port",
	};

	return reason < VOLET_REASON_COUNT ? text[reason] : "unknown";
}
