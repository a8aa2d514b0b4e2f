// SPDX-License-Identifier: MIT
/*
 * RTP over UDP of a session: the weaker class, where the owner has switched it on. voletd makes
 * both sockets, connects them to the address that the viewer's TCP connection comes from, and
 * gives them to volet-udp, which can neither connect them anew nor name an address. The session
 * program, which reads the network, gets no such socket but a channel for packets.
 */
#include "daemon.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEND_BUFFER	(32 * 1024)	/* what is in it can't be taken back: keep that little */
#define RECEIVE_BUFFER	(8 * 1024)	/* a few reports */
#define TRIES		16		/* pairs that another program may have */

enum { RTP, RTCP, SOCKETS };

struct udp {
	struct aide aide;		/* volet-udp */
	int sockets[SOCKETS];		/* duplicates of volet-udp's, to end them by */
	unsigned int port, client_port;
	int packets;			/* the session program's end, until it has it */
};

/* ---- sockets ---------------------------------------------------------------------------- */

static void set_port(struct sockaddr_storage *address, unsigned int port)
{
	if (address->ss_family == AF_INET6)
		((struct sockaddr_in6 *)address)->sin6_port = htons((uint16_t)port);
	else
		((struct sockaddr_in *)address)->sin_port = htons((uint16_t)port);
}

/* From the connection's own two addresses, with other ports. -1 when it can't be, with errno. */
static int make_socket(int tcp, unsigned int server_port, unsigned int client_port)
{
	const int send_buffer = SEND_BUFFER, receive_buffer = RECEIVE_BUFFER;
	struct sockaddr_storage here = { 0 }, there = { 0 };
	socklen_t size = sizeof(here), there_size = sizeof(there);
	g_autofd int fd = -1;

	if (getsockname(tcp, (struct sockaddr *)&here, &size) < 0 ||
	    getpeername(tcp, (struct sockaddr *)&there, &there_size) < 0)
		return -1;
	set_port(&here, server_port);
	set_port(&there, client_port);
	fd = socket(here.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&here, size) < 0 ||
	    connect(fd, (struct sockaddr *)&there, there_size) < 0)
		return -1;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof(send_buffer));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
	/* Between bind() and connect() anyone's datagram got in; now the kernel takes the peer's alone. */
	while (recv(fd, NULL, 0, MSG_DONTWAIT | MSG_TRUNC) >= 0)
		;
	return g_steal_fd(&fd);
}

static void close_sockets(struct udp *udp)
{
	unsigned int i;

	for (i = 0; i < SOCKETS; i++) {
		if (udp->sockets[i] >= 0)
			close(udp->sockets[i]);
		udp->sockets[i] = -1;
	}
}

/* False when there is no pair, and the reason is in the log. */
static bool open_sockets(struct udp *udp)
{
	struct daemon *daemon = udp->aide.session->daemon;
	const struct volet_config *config = daemon->config;
	int tcp = udp->aide.session->tcp, error = 0;
	unsigned int i;

	for (i = 0; i < TRIES; i++) {
		udp->port = ports_take(daemon->ports, config->udp_first, config->udp_last,
				       daemon_now_ns());
		if (!udp->port) {
			say("%s: denied: no free pair in udp-ports", udp->aide.session->peer);
			return false;
		}
		udp->sockets[RTP] = make_socket(tcp, udp->port, udp->client_port);
		if (udp->sockets[RTP] >= 0)
			udp->sockets[RTCP] = make_socket(tcp, udp->port + 1, udp->client_port + 1);
		if (udp->sockets[RTCP] >= 0)
			return true;
		error = errno;
		close_sockets(udp);
		ports_give_back(daemon->ports, udp->port, daemon_now_ns());
		udp->port = 0;
		if (error != EADDRINUSE)
			break;
	}
	say("%s: no UDP sockets: %s%s", udp->aide.session->peer, g_strerror(error),
	    error == EAFNOSUPPORT || error == EADDRNOTAVAIL ?
	    "; voletd's unit must let it have a network (operation.rst)" : "");
	return false;
}

/* ---- volet-udp -------------------------------------------------------------------------- */

/* It has shut itself in: the session program may send. */
static enum volet_reason take_ready(struct udp *udp)
{
	const struct volet_ctl answer = {
		.type = VOLET_CTL_UDP_OPEN,
		.udp = { .client_port = (uint16_t)udp->client_port, .server_port = (uint16_t)udp->port },
	};
	bool ok;

	if (udp->packets < 0)
		return VOLET_REASON_PROTOCOL;
	ok = session_answer(udp->aide.session, &answer, &udp->packets);
	close(udp->packets);
	udp->packets = -1;
	say("%s: RTP over UDP, the weaker class, from port %u to its port %u", udp->aide.session->peer,
	    udp->port, udp->client_port);
	return ok ? VOLET_REASON_NONE : VOLET_REASON_PROTOCOL;
}

static enum volet_reason take(struct aide *aide, const union aide_message *message)
{
	struct udp *udp = (struct udp *)aide;
	const struct volet_udp *msg = &message->udp;

	if (msg->type == VOLET_UDP_READY)
		return take_ready(udp);
	if (msg->type == VOLET_UDP_LEAVE &&
	    (msg->end.reason == VOLET_REASON_UDP || msg->end.reason == VOLET_REASON_INTERNAL))
		return msg->end.reason;
	return VOLET_REASON_PROTOCOL;
}

static bool start_program(struct udp *udp)
{
	const struct volet_udp first = { .type = VOLET_UDP_START };
	int packets[2];
	bool ok;

	if (msg_pair(packets) < 0)
		return false;
	udp->packets = packets[0];
	ok = aide_start(&udp->aide, &first, udp->sockets, packets[1]);
	close(packets[1]);
	return ok;
}

/* ---- a session's request ---------------------------------------------------------------- */

static enum volet_reason deny(struct session *session, const char *why)
{
	const struct volet_ctl answer = {
		.type = VOLET_CTL_DENIED, .denied.why = VOLET_DENIED_TRANSPORT,
	};

	if (why)
		say("%s: RTP over UDP denied: %s", session->peer, why);
	session->daemon->totals.denied[VOLET_DENIED_TRANSPORT]++;
	return session_answer(session, &answer, NULL) ? VOLET_REASON_NONE : VOLET_REASON_PROTOCOL;
}

enum volet_reason udp_ask(struct session *session, const struct volet_ctl *msg)
{
	unsigned int client_port = msg->udp.client_port;
	struct udp *udp;

	if (session->udp || client_port < 1024 || client_port % 2)
		return VOLET_REASON_PROTOCOL;
	/* Who came by TLS is not sent anything that isn't. */
	if (session->tls)
		return deny(session, "the connection is encrypted, and UDP would not be");
	if (!session->daemon->config->udp || !session->viewer->udp)
		return deny(session, "not switched on in the configuration");
	udp = g_new0(struct udp, 1);
	*udp = (struct udp){
		.aide = { .session = session, .program = VOLET_PROGRAM_UDP, .name = "volet-udp",
			  .message_size = sizeof(struct volet_udp), .take = take, .channel = -1 },
		.sockets = { -1, -1 }, .packets = -1, .client_port = client_port,
	};
	if (!open_sockets(udp) || !start_program(udp)) {
		udp_free(udp);
		return deny(session, NULL);
	}
	session->udp = udp;
	return VOLET_REASON_NONE;
}

void udp_free(struct udp *udp)
{
	const struct sockaddr nowhere = { .sa_family = AF_UNSPEC };
	struct daemon *daemon = udp->aide.session->daemon;
	unsigned int i;

	/* Without a peer, volet-udp's own descriptors have nobody to send to, whatever still waits. */
	for (i = 0; i < SOCKETS; i++) {
		if (udp->sockets[i] >= 0 && connect(udp->sockets[i], &nowhere, sizeof(nowhere)) < 0)
			say("%s: the UDP socket can't be disconnected: %s", udp->aide.session->peer,
			    g_strerror(errno));
	}
	aide_end(&udp->aide);
	close_sockets(udp);
	if (udp->port)
		ports_give_back(daemon->ports, udp->port, daemon_now_ns());
	if (udp->packets >= 0)
		close(udp->packets);
	g_free(udp);
}
