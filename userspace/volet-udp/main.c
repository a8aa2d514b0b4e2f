// SPDX-License-Identifier: MIT
/*
 * volet-udp: one session's datagrams. Started by volet-spawn under a uid of its own, it gets
 * two sockets that voletd has connected to the authenticated viewer, and packets from the
 * session program, which has no such socket. It can send to that viewer and to nobody else
 * (filter.c), drops what is past its time, and parses nothing but the first bytes of a report.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "filter.h"
#include "msg.h"

#define WAIT_MS		5000	/* for voletd */
#define SECOND		UINT64_C(1000000000)
#define BATCH		64	/* in one turn of a socket */
#define HEARD_NS	SECOND	/* the session program isn't told more often */
#define REFUSED_NS	SECOND	/* nobody at the port for so long is the end, ... */
#define FORGOTTEN_NS	(5 * SECOND)	/* ... unless it was refused and well in between */

struct relay {
	int rtp, rtcp;
	bool waiting;			/* `packet` is one that the network hasn't taken yet */
	bool session_gone;
	struct volet_packet packet;
	uint64_t heard_ns, refused_ns, first_refused_ns;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * SECOND + now.tv_nsec;
}

/* By send(): the filter allows nothing else. */
static _Noreturn void leave(enum volet_reason reason)
{
	const struct volet_udp msg = { .type = VOLET_UDP_LEAVE, .end.reason = reason };

	(void)send(VOLET_FD_CONTROL, &msg, sizeof(msg), MSG_DONTWAIT | MSG_NOSIGNAL);
	_exit(2);
}

static _Noreturn void refuse(const char *why)
{
	dprintf(STDERR_FILENO, "volet-udp: refused to run: %s\n", why);
	leave(VOLET_REASON_INTERNAL);
}

/* The viewer's machine said that nobody has the port: once may be a moment's matter. */
static void refused(struct relay *r)
{
	uint64_t now = now_ns();

	if (!r->refused_ns || now - r->refused_ns > FORGOTTEN_NS)
		r->first_refused_ns = now;
	r->refused_ns = now;
	if (now - r->first_refused_ns >= REFUSED_NS)
		leave(VOLET_REASON_UDP);
}

/* False when the network takes nothing now, and it is to be tried again. */
static bool send_packet(struct relay *r)
{
	const struct volet_packet *packet = &r->packet;
	bool media = packet->type == VOLET_PACKET_RTP;
	unsigned int tries;

	for (tries = 0; tries < 2 && now_ns() <= packet->expires_ns; tries++) {
		if (send(media ? r->rtp : r->rtcp, packet->data, packet->length,
			 MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			break;
		if (errno == EAGAIN)
			return !media;
		/* It tells of an earlier packet, and this one wasn't sent. Anything else is the network's. */
		if (errno != ECONNREFUSED)
			break;
		if (media)
			refused(r);
	}
	return true;
}

static bool packet_ok(const struct volet_packet *packet, ssize_t n)
{
	return n == sizeof(*packet) && packet->length <= VOLET_PACKET_MAX &&
	       (packet->type == VOLET_PACKET_RTP || packet->type == VOLET_PACKET_RTCP);
}

/* Packets of the session program, as many as the network takes. */
static void serve_session(struct relay *r)
{
	unsigned int i;

	for (i = 0; i < BATCH && !r->waiting; i++) {
		ssize_t n = recv(VOLET_FD_EXTRA, &r->packet, sizeof(r->packet),
				 MSG_DONTWAIT | MSG_TRUNC);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			/* Why is for voletd to know, which ends this process. */
			r->session_gone = true;
			return;
		}
		if (!packet_ok(&r->packet, n))
			leave(VOLET_REASON_INTERNAL);
		r->waiting = !send_packet(r);
	}
}

/* What viewers send to open a way through their router, and nobody needs. */
static void serve_rtp(struct relay *r)
{
	unsigned int i;

	for (i = 0; i < BATCH; i++) {
		if (recv(r->rtp, NULL, 0, MSG_DONTWAIT | MSG_TRUNC) >= 0)
			continue;
		if (errno != ECONNREFUSED)
			return;
		refused(r);
	}
}

/* Does it begin as every compound RTCP packet does: version 2, a sender's or receiver's report? */
static bool is_report(const uint8_t *data, ssize_t n)
{
	return n >= 8 && data[0] >> 6 == 2 && (data[1] == 200 || data[1] == 201) &&
	       4 * ((data[2] << 8 | data[3]) + 1) <= n;
}

static void serve_rtcp(struct relay *r)
{
	const struct volet_packet heard = { .type = VOLET_PACKET_HEARD };
	uint8_t data[VOLET_PACKET_MAX];
	bool any = false;
	unsigned int i;

	for (i = 0; i < BATCH; i++) {
		ssize_t n = recv(r->rtcp, data, sizeof(data), MSG_DONTWAIT);

		if (n < 0 && errno != ECONNREFUSED)
			break;
		any = any || is_report(data, n);
	}
	if (!any || now_ns() - r->heard_ns < HEARD_NS)
		return;
	r->heard_ns = now_ns();
	(void)send(VOLET_FD_EXTRA, &heard, sizeof(heard), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static _Noreturn void run(struct relay *r)
{
	for (;;) {
		struct pollfd fds[] = {
			{ .fd = VOLET_FD_CONTROL, .events = POLLIN },
			{ .fd = r->waiting || r->session_gone ? -1 : VOLET_FD_EXTRA, .events = POLLIN },
			{ .fd = r->rtp, .events = (short)(POLLIN | (r->waiting ? POLLOUT : 0)) },
			{ .fd = r->rtcp, .events = POLLIN },
		};

		if (poll(fds, 4, -1) < 0 && errno != EINTR)
			leave(VOLET_REASON_INTERNAL);
		/* voletd says nothing more, so it is gone. */
		if (fds[0].revents)
			_exit(EXIT_SUCCESS);
		if (fds[2].revents & (POLLIN | POLLERR))
			serve_rtp(r);
		if (fds[3].revents)
			serve_rtcp(r);
		if (r->waiting && fds[2].revents)
			r->waiting = !send_packet(r);
		if (fds[1].revents)
			serve_session(r);
	}
}

/* voletd's one message: the two sockets. */
static void take_start(struct relay *r)
{
	struct volet_udp msg;
	int fds[MSG_FDS_MAX];
	unsigned int n_fds;
	int ret = msg_recv_wait(VOLET_FD_CONTROL, &msg, sizeof(msg), fds, &n_fds, WAIT_MS);

	if (ret < 0 || msg.type != VOLET_UDP_START || n_fds != 2)
		refuse("voletd gave it no sockets");
	r->rtp = fds[0];
	r->rtcp = fds[1];
}

int main(void)
{
	const struct volet_udp ready = { .type = VOLET_UDP_READY };
	static struct relay relay;
	char why[SANDBOX_WHY_MAX];

	clearenv();
	signal(SIGPIPE, SIG_IGN);
	if (!sandbox_check_start(VOLET_FD_EXTRA, why))
		refuse(why);
	take_start(&relay);
	if (!sandbox_privileges(why) || !sandbox_landlock(why) || !filter_load(why))
		refuse(why);
	if (send(VOLET_FD_CONTROL, &ready, sizeof(ready), MSG_NOSIGNAL) < 0)
		_exit(EXIT_FAILURE);
	run(&relay);
}
