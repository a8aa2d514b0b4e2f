// SPDX-License-Identifier: MIT
/* The RTSP and RTSPS ports: connections are let in, prepared and handed on, or refused; none is read. */
#include "daemon.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "notify.h"

#define BACKLOG		64
#define ACCEPTS		16	/* in one turn of the main loop */
#define PAUSE_MS	1000	/* when the kernel has no room for another */
#define SEND_BUFFER	(64 * 1024)
#define UNACKED_MS	10000	/* unacknowledged for so long: the connection is dead */

static void option(int fd, int level, int name, int value)
{
	/* None of them is needed for safety: the age limit is watched besides. */
	setsockopt(fd, level, name, &value, sizeof(value));
}

/* What waits in the socket is what can't be taken back by closing it: keep that little. */
static void prepare(int fd)
{
	option(fd, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER);
	option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 10);
	option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 5);
	option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
	option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, UNACKED_MS);
	option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

static void name_peer(char name[80], const struct sockaddr_storage *address)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)address;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
	char text[INET6_ADDRSTRLEN] = "?";

	if (address->ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
		g_snprintf(name, 80, "[%s]:%u", text, ntohs(in6->sin6_port));
	} else {
		inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
		g_snprintf(name, 80, "%s:%u", text, ntohs(in->sin_port));
	}
}

/* Closed so that nothing of it stays in the kernel, and its peer knows at once. */
static void refuse(int fd, const char *peer, const char *why)
{
	const struct linger reset = { .l_onoff = 1 };

	say("%s: refused: %s", peer, why);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
}

static void let_in(const struct listener *listener, int fd, const struct sockaddr_storage *address)
{
	struct daemon *daemon = listener->daemon;
	struct source *source = NULL;
	const char *why;
	uint32_t random;
	char peer[80];

	name_peer(peer, address);
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		why = "no random numbers";
	else
		why = sources_admit(&daemon->sources, daemon->config,
				    (const struct sockaddr *)address, random, daemon_now_ns(),
				    &source);
	if (why) {
		daemon->totals.refused++;
		refuse(fd, peer, why);
		return;
	}
	daemon->totals.admitted++;
	prepare(fd);
	if (listener->tls)
		session_new_tls(daemon, fd, peer, source);
	else
		session_new(daemon, fd, peer, source);
}

static gboolean on_connection(int fd, GIOCondition condition, gpointer data);

static gboolean on_pause_over(gpointer data)
{
	struct listener *listener = data;

	listener->pause = 0;
	listener->watch = g_unix_fd_add(listener->fd, G_IO_IN, on_connection, listener);
	return G_SOURCE_REMOVE;
}

static gboolean on_connection(int fd, G_GNUC_UNUSED GIOCondition condition, gpointer data)
{
	struct listener *listener = data;
	struct sockaddr_storage address = { 0 };
	unsigned int i;

	for (i = 0; i < ACCEPTS && listener->daemon->spawn >= 0; i++) {
		socklen_t size = sizeof(address);
		int tcp = accept4(fd, (struct sockaddr *)&address, &size,
				  SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (tcp >= 0) {
			let_in(listener, tcp, &address);
			continue;
		}
		if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM)
			return G_SOURCE_CONTINUE;
		say("connections wait: %s", g_strerror(errno));
		listener->watch = 0;
		listener->pause = g_timeout_add(PAUSE_MS, on_pause_over, listener);
		return G_SOURCE_REMOVE;
	}
	return G_SOURCE_CONTINUE;
}

static socklen_t listen_address(const struct volet_config *config, unsigned int port,
				struct sockaddr_storage *address)
{
	struct sockaddr_in *in = (struct sockaddr_in *)address;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)address;

	if (inet_pton(AF_INET, config->rtsp_address, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)port);
		return sizeof(*in);
	}
	inet_pton(AF_INET6, config->rtsp_address, &in6->sin6_addr);
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons((uint16_t)port);
	return sizeof(*in6);
}

/* The one the service manager opened: its unit says where, the configuration doesn't. */
static bool take_listener(struct listener *listener, int fd, GError **error)
{
	const char *key = listener->tls ? "rtsps-port" : "rtsp-port";
	const char *unit = listener->tls ? "voletd-rtsps.socket" : "voletd.socket";
	struct sockaddr_storage address = { 0 };
	socklen_t size = sizeof(address);
	int listens = 0;
	char name[80];

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) < 0)
		listens = 0;
	size = sizeof(address);
	if (!listens || getsockname(fd, (struct sockaddr *)&address, &size) < 0 ||
	    (address.ss_family != AF_INET && address.ss_family != AF_INET6)) {
		g_set_error(error, VOLET_CONFIG_ERROR, 0,
			    "the service manager gave no listening TCP socket, or more than one;"
			    " write one ListenStream=ADDRESS:PORT into %s", unit);
		return false;
	}
	name_peer(name, &address);
	/* An owner who wants no plain RTSP must not get it from a unit's default. */
	if (!listener->port) {
		g_set_error(error, VOLET_CONFIG_ERROR, 0,
			    "[volet] %s is 0, but %s opened %s: set %s, or run `systemctl mask --now %s`",
			    key, unit, name, key, unit);
		return false;
	}
	say("listening on %s%s, which the service manager opened; rtsp-address and %s don't count",
	    name, listener->tls ? ", with TLS" : "", key);
	listener->fd = fd;
	listener->watch = g_unix_fd_add(fd, G_IO_IN, on_connection, listener);
	return true;
}

static bool make_listener(struct listener *listener, GError **error)
{
	const struct volet_config *config = listener->daemon->config;
	const char *key = listener->tls ? "rtsps-port" : "rtsp-port";
	struct sockaddr_storage address = { 0 };
	socklen_t size = listen_address(config, listener->port, &address);
	g_autofd int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0)
		option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, BACKLOG) < 0) {
		const char *instead = errno == EADDRINUSE ? "another port, or stop what uses it" :
				      errno == EACCES ? "a port from 1024 on" :
				      /* systemd's units have no network of their own. */
				      errno == EAFNOSUPPORT ? "voletd-rtsps.socket to open it" :
				      "an rtsp-address of this machine";

		g_set_error(error, VOLET_CONFIG_ERROR, 0,
			    "[volet] rtsp-address, %s: %s %u: %s; choose %s", key,
			    config->rtsp_address, listener->port, g_strerror(errno), instead);
		return false;
	}
	listener->fd = g_steal_fd(&fd);
	listener->watch = g_unix_fd_add(listener->fd, G_IO_IN, on_connection, listener);
	say("listening on %s port %u%s", config->rtsp_address, listener->port,
	    listener->tls ? ", with TLS" : "");
	return true;
}

void listener_init(struct daemon *daemon)
{
	unsigned int i;

	for (i = 0; i < LISTENERS; i++)
		daemon->listeners[i] = (struct listener){ .daemon = daemon, .fd = -1 };
}

bool listener_open(struct daemon *daemon, GError **error)
{
	unsigned int i;

	daemon->listeners[LISTENER_RTSP].port = daemon->config->rtsp_port;
	daemon->listeners[LISTENER_RTSPS].port = daemon->config->rtsps_port;
	daemon->listeners[LISTENER_RTSPS].tls = true;
	for (i = 0; i < LISTENERS; i++) {
		struct listener *listener = &daemon->listeners[i];
		int fd = notify_listener(listener->tls);

		if (fd != -1 ? !take_listener(listener, fd, error) :
			       listener->port && !make_listener(listener, error))
			return false;
	}
	return true;
}

void listener_close(struct daemon *daemon)
{
	unsigned int i;

	for (i = 0; i < LISTENERS; i++) {
		struct listener *listener = &daemon->listeners[i];

		g_clear_handle_id(&listener->watch, g_source_remove);
		g_clear_handle_id(&listener->pause, g_source_remove);
		if (listener->fd >= 0)
			close(listener->fd);
		listener->fd = -1;
	}
}
