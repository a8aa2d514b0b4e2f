// SPDX-License-Identifier: MIT
/*
 * A program beside a session's own, for what the session program must not have itself: volet-tls
 * has the viewer's connection, volet-udp the sockets of RTP over UDP. It has one channel to voletd,
 * on which all that it says is checked as anything else is; when it is gone, so is the session.
 */
#include "daemon.h"

#include <errno.h>
#include <glib-unix.h>
#include <sys/wait.h>
#include <unistd.h>

/* One message; false when there was none, or the session ended and the aide with it. */
static bool serve(struct aide *aide)
{
	enum volet_reason reason;
	union aide_message msg;
	int fds[MSG_FDS_MAX], ret;
	unsigned int n_fds;

	ret = msg_recv(aide->channel, &msg, aide->message_size, fds, &n_fds);
	if (ret == -EAGAIN)
		return false;
	msg_close_fds(fds);
	if (ret == -EPIPE)
		reason = VOLET_REASON_PROGRAM_EXIT;
	else if (ret < 0 || n_fds)
		reason = VOLET_REASON_PROTOCOL;
	else
		reason = aide->take(aide, &msg);
	if (reason != VOLET_REASON_NONE)
		session_end(aide->session, reason);
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
	struct aide *aide = owner;
	struct session *session = aide->session;
	struct daemon *daemon = session->daemon;

	aide->child = 0;
	if (WIFSIGNALED(status))
		say("%s: %s ended by signal %d", session->peer, aide->name, WTERMSIG(status));
	/* What it said last may say why. */
	while (serve(aide))
		;
	if (g_hash_table_contains(daemon->sessions, session))
		session_end(session, VOLET_REASON_PROGRAM_EXIT);
}

bool aide_start(struct aide *aide, const void *first, const int first_fds[2], int extra)
{
	int pair[2];

	if (msg_pair(pair) < 0)
		return false;
	aide->channel = pair[0];
	if (msg_send(aide->channel, first, aide->message_size, first_fds, 2) == 0)
		aide->child = starter_start(aide->session->daemon, aide->program, 0,
					    (const int[]){ pair[1], extra }, on_exited, aide);
	close(pair[1]);
	if (aide->child)
		aide->watch = g_unix_fd_add(aide->channel, G_IO_IN, on_message, aide);
	return aide->child != 0;
}

void aide_end(struct aide *aide)
{
	g_clear_handle_id(&aide->watch, g_source_remove);
	if (aide->child) {
		starter_kill(aide->session->daemon, aide->child);
		starter_forget(aide->session->daemon, aide->child);
	}
	aide->child = 0;
	if (aide->channel >= 0)
		close(aide->channel);
	aide->channel = -1;
}
