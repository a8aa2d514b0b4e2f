// SPDX-License-Identifier: MIT
/*
 * A connection's life: its session program is started, asks, is granted a camera or not,
 * and is ended. What it may ask in which state is the table below.
 */
#include "daemon.h"

#include <errno.h>
#include <glib-unix.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* A viewer needs a handful; more is a program that does something else. */
#define MESSAGES_PER_TICK 100
#define REFUSED_MS 1000

#define LOCAL (SESSION_DISPLAY | SESSION_CONSUMER)

/* A granted volet-kms tells its figures once a second. One that is stuck can't blank its screen. */
#define SILENT_NS (5 * 1000000000LL)

static enum volet_reason take_sent(struct session *session, const struct volet_ctl *msg)
{
	session->sent = msg->sent;
	return VOLET_REASON_NONE;
}

static enum volet_reason leave(G_GNUC_UNUSED struct session *session, const struct volet_ctl *msg)
{
	if (msg->end.reason == VOLET_REASON_NONE || msg->end.reason >= VOLET_REASON_COUNT)
		return VOLET_REASON_PROTOCOL;
	return msg->end.reason;
}

static const struct {
	uint32_t type;
	unsigned int states, kinds;
	enum volet_reason (*handle)(struct session *session, const struct volet_ctl *msg);
} requests[] = {
	{ VOLET_CTL_GET_NONCE, SESSION_ASKING | SESSION_GRANTED, SESSION_REMOTE, grant_give_nonce },
	{ VOLET_CTL_AUTH, SESSION_ASKING | SESSION_GRANTED, SESSION_REMOTE, grant_authenticate },
	{ VOLET_CTL_LOCAL, SESSION_ASKING, LOCAL, grant_local },
	{ VOLET_CTL_SENT, SESSION_GRANTED, SESSION_REMOTE | LOCAL, take_sent },
	{ VOLET_CTL_LEAVE, SESSION_ASKING | SESSION_REFUSED | SESSION_GRANTED,
	  SESSION_REMOTE | LOCAL, leave },
	{ VOLET_CTL_UDP, SESSION_GRANTED, SESSION_REMOTE, udp_ask },
};

static enum volet_reason handle(struct session *session, const struct volet_ctl *msg)
{
	unsigned int i;

	session->heard_ns = daemon_now_ns();
	if (++session->messages > MESSAGES_PER_TICK)
		return VOLET_REASON_PROTOCOL;
	for (i = 0; i < G_N_ELEMENTS(requests); i++) {
		if (requests[i].type == msg->type && (requests[i].states & session->state) &&
		    (requests[i].kinds & session->kind))
			return requests[i].handle(session, msg);
	}
	return VOLET_REASON_PROTOCOL;
}

/* One message of the program; false when there was none, or the session ended. */
static bool serve(struct session *session)
{
	enum volet_reason reason;
	struct volet_ctl msg;
	int fds[MSG_FDS_MAX], ret;
	unsigned int n_fds;

	ret = msg_recv(session->control, &msg, sizeof(msg), fds, &n_fds);
	if (ret == -EAGAIN)
		return false;
	msg_close_fds(fds);
	if (ret == -EPIPE)
		reason = VOLET_REASON_PROGRAM_EXIT;
	else if (ret < 0 || n_fds)
		reason = VOLET_REASON_PROTOCOL;
	else
		reason = handle(session, &msg);
	explicit_bzero(&msg, sizeof(msg));
	if (reason != VOLET_REASON_NONE)
		session_end(session, reason);
	return reason == VOLET_REASON_NONE;
}

static gboolean on_message(G_GNUC_UNUSED int fd, G_GNUC_UNUSED GIOCondition condition,
			   gpointer data)
{
	serve(data);
	return G_SOURCE_CONTINUE;
}

void session_gone(struct session *session, enum volet_reason reason)
{
	struct daemon *daemon = session->daemon;

	while (serve(session))
		;
	if (g_hash_table_contains(daemon->sessions, session))
		session_end(session, reason);
}

static void on_exited(void *owner, int status)
{
	struct session *session = owner;

	session->child = 0;
	if (WIFSIGNALED(status))
		say("%s: %s ended by signal %d", session->peer,
		    session->kind == SESSION_DISPLAY ? "volet-kms" : "volet-rtsp", WTERMSIG(status));
	session_gone(session, VOLET_REASON_PROGRAM_EXIT);
}

static gboolean on_deadline(gpointer data)
{
	struct session *session = data;

	session->deadline = 0;
	session_end(session, session->state == SESSION_REFUSED ? VOLET_REASON_CREDENTIALS :
								 VOLET_REASON_AUTH_TIMEOUT);
	return G_SOURCE_REMOVE;
}

/* True when what waits in the viewer's socket is past the age limit, or nobody knows. */
static bool too_old(struct session *session)
{
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info);
	int waiting = 0;

	if (getsockopt(session->tcp, IPPROTO_TCP, TCP_INFO, &info, &size) < 0 ||
	    ioctl(session->tcp, SIOCOUTQ, &waiting) < 0)
		return true;
	return outq_age(&session->outq, daemon_now_ns(), info.tcpi_bytes_acked, (uint32_t)waiting) >
	       session->age_limit_ms * 1000000LL;
}

static gboolean on_tick(gpointer data)
{
	struct session *session = data;

	session->messages = 0;
	if (session->kind == SESSION_DISPLAY && session->state == SESSION_GRANTED &&
	    daemon_now_ns() - session->heard_ns > SILENT_NS) {
		say("%s: volet-kms has said nothing for 5 s", session->peer);
		session_end(session, VOLET_REASON_TOO_OLD);
		return G_SOURCE_CONTINUE;
	}
	if (session->kind == SESSION_REMOTE && too_old(session) && session->state == SESSION_GRANTED)
		session_end(session, VOLET_REASON_TOO_OLD);
	return G_SOURCE_CONTINUE;
}

static struct session *make(struct daemon *daemon, int tcp, const char *peer, struct source *source)
{
	struct session *session = g_new0(struct session, 1);

	session->daemon = daemon;
	session->kind = SESSION_REMOTE;
	session->state = SESSION_ASKING;
	session->tcp = tcp;
	session->control = -1;
	session->source = source;
	g_strlcpy(session->peer, peer, sizeof(session->peer));
	g_hash_table_add(daemon->sessions, session);
	if (tcp >= 0)
		too_old(session);	/* the first sample, before anything was sent */
	session->tick = g_timeout_add(OUTQ_SAMPLE_MS, on_tick, session);
	session->deadline = g_timeout_add(daemon->config->authentication_timeout_s * 1000,
					  on_deadline, session);
	return session;
}

bool session_start_program(struct session *session, int stream)
{
	int pair[2];

	if (msg_pair(pair) < 0)
		return false;
	session->control = pair[0];
	session->child = starter_start(session->daemon, VOLET_PROGRAM_RTSP, 0,
				       (const int[]){ pair[1], stream }, on_exited, session);
	close(pair[1]);
	session->watch = g_unix_fd_add(session->control, G_IO_IN, on_message, session);
	return session->child != 0;
}

void session_new(struct daemon *daemon, int tcp, const char *peer, struct source *source)
{
	struct session *session = make(daemon, tcp, peer, source);

	if (!session_start_program(session, tcp))
		session_end(session, VOLET_REASON_INTERNAL);
}

struct session *session_new_local(struct daemon *daemon, enum session_kind kind, int control,
				  const struct volet_local_config *local, const char *peer)
{
	struct session *session = make(daemon, -1, peer, NULL);

	session->kind = kind;
	session->viewer = &local->viewer;
	session->control = control;
	session->watch = g_unix_fd_add(control, G_IO_IN, on_message, session);
	return session;
}

bool session_start_display(struct session *session, unsigned int index, int channel, int section)
{
	session->child = starter_start(session->daemon, VOLET_PROGRAM_KMS, index,
				       (const int[]){ channel, section }, on_exited, session);
	return session->child != 0;
}

void session_new_tls(struct daemon *daemon, int tcp, const char *peer, struct source *source)
{
	struct session *session = make(daemon, tcp, peer, source);

	session->tls = tls_new(session);
	if (!session->tls)
		session_end(session, VOLET_REASON_INTERNAL);
}

static void log_end(const struct session *session, enum volet_reason reason)
{
	char id[33];

	if (session->state != SESSION_GRANTED) {
		say("%s: ended before a grant: %s", session->peer, volet_reason_text(reason));
		return;
	}
	report_id(id, &session->id);
	say("%s: session %s of %s on %s ended: %s; it sent %" G_GUINT64_FORMAT " frames, %"
	    G_GUINT64_FORMAT " bytes, and dropped %" G_GUINT64_FORMAT, session->peer, id,
	    session->viewer->name, session->camera_name, volet_reason_text(reason),
	    session->sent.frames, session->sent.bytes, session->sent.dropped);
}

/* The kernel would deliver the queue even after the program's death. */
static void cut_connection(const struct session *session)
{
	const struct sockaddr nowhere = { .sa_family = AF_UNSPEC };

	if (connect(session->tcp, &nowhere, sizeof(nowhere)) < 0)
		say("%s: the connection's queue can't be dropped: %s", session->peer,
		    g_strerror(errno));
	close(session->tcp);
}

/* It has no program that voletd could kill: it is told, and loses the channel. */
static void tell_consumer(struct session *session, enum volet_reason reason)
{
	const struct volet_ctl msg = { .type = VOLET_CTL_END, .end.reason = reason };

	(void)session_answer(session, &msg, NULL);
}

/*
 * The order is the point: no more frames, then what is queued for the viewer is thrown
 * away and the connection reset, then the program goes.
 */
void session_end(struct session *session, enum volet_reason reason)
{
	struct daemon *daemon = session->daemon;

	g_hash_table_remove(daemon->sessions, session);
	if (session->state == SESSION_GRANTED) {
		daemon->granted--;
		session->camera->granted--;
		daemon->totals.ended[reason]++;
		session->camera->sent_frames += session->sent.frames;
		camera_end_session(session->camera, &session->id, reason);
	}
	if (session->tcp >= 0)
		cut_connection(session);
	if (session->kind == SESSION_CONSUMER)
		tell_consumer(session, reason);
	g_clear_pointer(&session->udp, udp_free);
	g_clear_pointer(&session->tls, tls_free);
	if (session->child) {
		starter_kill(daemon, session->child);
		starter_forget(daemon, session->child);
	}
	g_clear_handle_id(&session->watch, g_source_remove);
	g_clear_handle_id(&session->tick, g_source_remove);
	g_clear_handle_id(&session->deadline, g_source_remove);
	if (session->control >= 0)
		close(session->control);
	if (session->source)
		sources_release(&daemon->sources, session->source);
	log_end(session, reason);
	if (session->display)
		display_ended(session->display);
	explicit_bzero(&session->nonce, sizeof(session->nonce));
	g_free(session);
}

struct session *session_find(struct daemon *daemon, const struct volet_id *id)
{
	GHashTableIter iter;
	gpointer key;

	g_hash_table_iter_init(&iter, daemon->sessions);
	while (g_hash_table_iter_next(&iter, &key, NULL)) {
		struct session *session = key;

		if (session->state == SESSION_GRANTED && !memcmp(&session->id, id, sizeof(*id)))
			return session;
	}
	return NULL;
}

static struct session *any_of_camera(struct camera *camera)
{
	GHashTableIter iter;
	gpointer key;

	g_hash_table_iter_init(&iter, camera->daemon->sessions);
	while (g_hash_table_iter_next(&iter, &key, NULL)) {
		struct session *session = key;

		if (session->camera == camera)
			return session;
	}
	return NULL;
}

void sessions_end_of_camera(struct camera *camera, enum volet_reason reason)
{
	struct session *session;

	while ((session = any_of_camera(camera)))
		session_end(session, reason);
}

void session_refuse(struct session *session)
{
	session->state = SESSION_REFUSED;
	g_clear_handle_id(&session->deadline, g_source_remove);
	session->deadline = g_timeout_add(REFUSED_MS, on_deadline, session);
}

bool session_answer(struct session *session, const struct volet_ctl *msg, const int *fd)
{
	return msg_send(session->control, msg, sizeof(*msg), fd, fd ? 1 : 0) == 0;
}
