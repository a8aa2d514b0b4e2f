// SPDX-License-Identifier: MIT
/* The relay; see relay.h. */
#include "relay.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECORD		(16 * 1024)	/* the most that one TLS record carries */
#define UP		4096		/* a viewer sends requests, and RTCP */
#define MARKS		64
#define WATCH_MS	5		/* how often acknowledgements are looked for */

/* All bytes of the connection up to `wire` acknowledged: `plain` more may be taken out. */
struct mark {
	uint64_t wire;
	uint32_t plain;
};

struct relay {
	SSL *ssl;
	int tcp, plain;
	char down[RECORD], up[UP];
	size_t down_length, up_length;	/* looked at and not yet encrypted; decrypted and not yet given */
	struct mark marks[MARKS];
	unsigned int n_marks;
	bool want_write;		/* the viewer's socket is full */
	bool down_over;			/* the session program has said all */
};

bool relay_prepare(int plain)
{
	const int start = 0;

	/* Each look goes on where the last one ended. */
	return setsockopt(plain, SOL_SOCKET, SO_PEEK_OFF, &start, sizeof(start)) == 0;
}

/* Take out what the viewer has acknowledged. */
static void take_acknowledged(struct relay *r)
{
	static char nowhere[RECORD];
	uint64_t acknowledged = BIO_number_written(SSL_get_wbio(r->ssl));
	unsigned int i = 0;
	int waiting;

	if (!r->n_marks || ioctl(r->tcp, TIOCOUTQ, &waiting) < 0)
		return;
	acknowledged -= (unsigned int)waiting;
	for (; i < r->n_marks && r->marks[i].wire <= acknowledged; i++) {
		if (recv(r->plain, nowhere, r->marks[i].plain, MSG_DONTWAIT) < 0)
			break;
	}
	r->n_marks -= i;
	memmove(r->marks, r->marks + i, r->n_marks * sizeof(r->marks[0]));
}

/* Was it only that the socket isn't ready? */
static bool try_again(struct relay *r, int ret)
{
	int error = SSL_get_error(r->ssl, ret);

	r->want_write = error == SSL_ERROR_WANT_WRITE;
	return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

/* To the viewer, as much as goes now; false when the connection is over. */
static bool serve_down(struct relay *r)
{
	ssize_t n;
	int ret;

	r->want_write = false;
	while (r->n_marks < MARKS && !r->down_over) {
		if (!r->down_length) {
			n = recv(r->plain, r->down, sizeof(r->down), MSG_PEEK | MSG_DONTWAIT);
			if (n < 0)
				return errno == EAGAIN || errno == EINTR;
			r->down_length = (size_t)n;
			r->down_over = n == 0;
			if (n == 0)
				break;
		}
		ret = SSL_write(r->ssl, r->down, (int)r->down_length);
		if (ret <= 0)
			return try_again(r, ret);
		r->marks[r->n_marks++] = (struct mark){
			.wire = BIO_number_written(SSL_get_wbio(r->ssl)), .plain = (uint32_t)ret,
		};
		r->down_length -= (size_t)ret;
		memmove(r->down, r->down + ret, r->down_length);
	}
	return true;
}

/* To the session program; false when either is over. */
static bool serve_up(struct relay *r)
{
	ssize_t n;
	int ret;

	for (;;) {
		if (!r->up_length) {
			bool full = r->want_write;

			ret = SSL_read(r->ssl, r->up, sizeof(r->up));
			if (ret <= 0) {
				bool again = try_again(r, ret);

				r->want_write |= full;
				return again;
			}
			r->up_length = (size_t)ret;
		}
		n = send(r->plain, r->up, r->up_length, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		r->up_length -= (size_t)n;
		memmove(r->up, r->up + n, r->up_length);
	}
}

bool relay_run(SSL *ssl, int tcp, int plain, int control)
{
	static struct relay relay;
	struct relay *r = &relay;

	*r = (struct relay){ .ssl = ssl, .tcp = tcp, .plain = plain };
	while (serve_up(r) && serve_down(r)) {
		/* What is under way stands in the stream's queue, so that being readable says nothing. */
		bool under_way = r->n_marks || r->down_length;
		struct pollfd fds[] = {
			{ .fd = tcp, .events = (short)((r->up_length ? 0 : POLLIN) |
						       (r->want_write ? POLLOUT : 0)) },
			{ .fd = r->down_over || (under_way && !r->up_length) ? -1 : plain,
			  .events = (short)((under_way ? 0 : POLLIN) | (r->up_length ? POLLOUT : 0)) },
			{ .fd = control, .events = POLLIN },
		};

		if (r->down_over && !r->n_marks)
			return true;
		if (poll(fds, 3, r->n_marks ? WATCH_MS : -1) < 0 && errno != EINTR)
			break;
		if (fds[2].revents || (fds[0].revents & (POLLERR | POLLHUP)))
			break;
		take_acknowledged(r);
	}
	return r->down_over;
}
