// SPDX-License-Identifier: MIT
/*
 * The TLS of a connection to the RTSPS port. volet-tls alone gets the connection itself; a
 * session program is started when the handshake is done, with one end of a byte stream of
 * which volet-tls has the other. Plain text on that port never reaches a session program.
 */
#include "daemon.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct tls {
	struct session *session;
	int channel, stream;		/* stream: the session program's, until it is started */
	uint32_t child;
	guint watch;
};

static enum volet_reason take_open(struct tls *tls, const struct volet_tls *msg)
{
	bool ok;

	if (tls->stream < 0 || !msg_text_ok(msg->open.version, sizeof(msg->open.version)) ||
	    !msg_text_ok(msg->open.cipher, sizeof(msg->open.cipher)) ||
	    strspn(msg->open.cipher, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
	    != strlen(msg->open.cipher) || strspn(msg->open.version, "TLSv1.23") !=
	    strlen(msg->open.version))
		return VOLET_REASON_PROTOCOL;
	say("%s: %s, %s", tls->session->peer, msg->open.version, msg->open.cipher);
	ok = session_start_program(tls->session, tls->stream);
	close(tls->stream);
	tls->stream = -1;
	return ok ? VOLET_REASON_NONE : VOLET_REASON_INTERNAL;
}

static enum volet_reason take(struct tls *tls, const struct volet_tls *msg)
{
	if (msg->type == VOLET_TLS_OPEN)
		return take_open(tls, msg);
	if (msg->type == VOLET_TLS_LEAVE &&
	    (msg->end.reason == VOLET_REASON_TLS || msg->end.reason == VOLET_REASON_CLIENT_GONE ||
	     msg->end.reason == VOLET_REASON_INTERNAL))
		return msg->end.reason;
	return VOLET_REASON_PROTOCOL;
}

/* One message of volet-tls; false when there was none, or the session ended and `tls` with it. */
static bool serve(struct tls *tls)
{
	enum volet_reason reason;
	struct volet_tls msg;
	int fds[MSG_FDS_MAX], ret;
	unsigned int n_fds;

	ret = msg_recv(tls->channel, &msg, sizeof(msg), fds, &n_fds);
	if (ret == -EAGAIN)
		return false;
	msg_close_fds(fds);
	if (ret == -EPIPE)
		reason = VOLET_REASON_PROGRAM_EXIT;
	else if (ret < 0 || n_fds)
		reason = VOLET_REASON_PROTOCOL;
	else
		reason = take(tls, &msg);
	if (reason != VOLET_REASON_NONE)
		session_end(tls->session, reason);
	return reason == VOLET_REASON_NONE;
}

static gboolean on_message(G_GNUC_UNUSED int fd, G_GNUC_UNUSED GIOCondition condition,
			   gpointer data)
{
	serve(data);
	return G_SOURCE_CONTINUE;
}

static void on_exited(void *owner, int status)
{
	struct session *session = owner;
	struct daemon *daemon = session->daemon;

	session->tls->child = 0;
	if (WIFSIGNALED(status))
		say("%s: volet-tls ended by signal %d", session->peer, WTERMSIG(status));
	/* What it said last may say why. */
	while (serve(session->tls))
		;
	if (g_hash_table_contains(daemon->sessions, session))
		session_end(session, VOLET_REASON_PROGRAM_EXIT);
}

/* Both of its channels: the signer's from the signer, the stream from us. */
static bool connect_it(struct tls *tls)
{
	const struct volet_tls start = { .type = VOLET_TLS_START };
	int signature[2], stream[2];
	bool ok;

	if (msg_pair(signature) < 0)
		return false;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, stream) < 0) {
		close(signature[0]);
		close(signature[1]);
		return false;
	}
	ok = signer_connect(tls->session->daemon, signature[0]) &&
	     msg_send(tls->channel, &start, sizeof(start), (const int[]){ signature[1], stream[0] },
		      2) == 0;
	close(signature[0]);
	close(signature[1]);
	close(stream[0]);
	tls->stream = stream[1];
	return ok;
}

struct tls *tls_new(struct session *session)
{
	struct tls *tls = g_new0(struct tls, 1);
	int pair[2];

	tls->session = session;
	tls->channel = tls->stream = -1;
	if (msg_pair(pair) == 0) {
		tls->channel = pair[0];
		if (connect_it(tls))
			tls->child = starter_start(session->daemon, VOLET_PROGRAM_TLS, 0,
						   (const int[]){ pair[1], session->tcp },
						   on_exited, session);
		close(pair[1]);
	}
	if (tls->child) {
		tls->watch = g_unix_fd_add(tls->channel, G_IO_IN, on_message, tls);
		return tls;
	}
	tls_free(tls);
	return NULL;
}

void tls_free(struct tls *tls)
{
	g_clear_handle_id(&tls->watch, g_source_remove);
	if (tls->child) {
		starter_kill(tls->session->daemon, tls->child);
		starter_forget(tls->session->daemon, tls->child);
	}
	if (tls->channel >= 0)
		close(tls->channel);
	if (tls->stream >= 0)
		close(tls->stream);
	g_free(tls);
}
