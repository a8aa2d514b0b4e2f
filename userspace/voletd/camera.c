// SPDX-License-Identifier: MIT
/*
 * A volet-cam's life: started with its own section of the configuration and nothing of
 * another camera, granted sessions while it is ready, and started again when it failed.
 */
#include "daemon.h"

#include <errno.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BACKOFF_MIN_MS	250
#define BACKOFF_MAX_MS	5000
#define STABLE_NS	(10 * 1000000000LL)	/* ready so long: another failure is a new one */
#define START_MS	30000			/* to set up a device */
#define SILENT_MS	15000			/* figures come once a second */
#define MESSAGES_MAX	600			/* in a second; or, when that is more: */
#define MESSAGES_OWN	88			/* its own, and two for each session */

static gboolean on_restart(gpointer data)
{
	struct camera *camera = data;

	camera->timer = 0;
	camera_start(camera);
	return G_SOURCE_REMOVE;
}

static void set_timer(struct camera *camera, unsigned int ms, GSourceFunc function)
{
	g_clear_handle_id(&camera->timer, g_source_remove);
	camera->timer = g_timeout_add(ms, function, camera);
}

static void wait_to_restart(struct camera *camera)
{
	if (camera->ready_ns && daemon_now_ns() - camera->ready_ns > STABLE_NS)
		camera->backoff_ms = BACKOFF_MIN_MS;
	camera->ready_ns = 0;
	camera->state = CAMERA_DOWN;
	set_timer(camera, camera->backoff_ms, on_restart);
	camera->backoff_ms = MIN(camera->backoff_ms * 2, BACKOFF_MAX_MS);
}

static void hang_up(struct camera *camera)
{
	g_clear_handle_id(&camera->watch, g_source_remove);
	g_clear_handle_id(&camera->timer, g_source_remove);
	close(camera->bus);
	camera->bus = -1;
	memset(&camera->stats, 0, sizeof(camera->stats));
	camera->state = CAMERA_ENDING;
}

/* It failed, or is to be treated as if it had. */
static void give_up(struct camera *camera, const char *why)
{
	say("%s: %s; it will be started again", camera->config->name, why);
	camera->failures++;
	hang_up(camera);
	sessions_end_of_camera(camera, VOLET_REASON_CAMERA_GONE);
	if (camera->child)
		starter_kill(camera->daemon, camera->child);
	else
		wait_to_restart(camera);
}

static gboolean on_silent(gpointer data)
{
	struct camera *camera = data;

	camera->timer = 0;
	give_up(camera, camera->state == CAMERA_STARTING ? "volet-cam isn't ready after 30 s" :
							   "volet-cam has said nothing for 15 s");
	return G_SOURCE_REMOVE;
}

static const char *take_ready(struct camera *camera, const struct volet_bus *msg)
{
	if (!msg_text_ok(msg->ready.camera, sizeof(msg->ready.camera)) ||
	    strcmp(msg->ready.camera, camera->config->name))
		return "volet-cam says it is another camera";
	camera->state = CAMERA_READY;
	camera->ready_ns = daemon_now_ns();
	say("%s: ready, %ux%u", camera->config->name, msg->ready.width, msg->ready.height);
	return NULL;
}

static const char *take_stats(struct camera *camera, const struct volet_bus *msg)
{
	camera->stats = msg->stats;
	return NULL;
}

static const char *take_signal(struct camera *camera, const struct volet_bus *msg)
{
	g_autofree char *text = NULL;

	if (!msg_text_ok(msg->signal.text, sizeof(msg->signal.text)) ||
	    msg->signal.signal >= VOLET_SIGNAL_COUNT)
		return "volet-cam sent what is not in the protocol";
	camera->stats.signal = msg->signal.signal;
	text = g_strescape(msg->signal.text, "\"\\");
	if (msg->signal.signal > VOLET_SIGNAL_LIVE)
		say("%s: no signal: %s", camera->config->name, text);
	return NULL;
}

/* The camera's word on what a session was given; the session's own is in its end line. */
static const char *take_session(struct camera *camera, const struct volet_bus *msg)
{
	const struct volet_bus_session *report = &msg->session;
	struct session *session;
	char id[33];

	if (report->ended == VOLET_REASON_NONE)
		return NULL;
	report_id(id, &report->session);
	say("%s: session %s was given %" G_GUINT64_FORMAT " frames captured from %" G_GUINT64_FORMAT
	    " to %" G_GUINT64_FORMAT " ns, %" G_GUINT64_FORMAT " bytes, and lost %" G_GUINT64_FORMAT
	    ": %s", camera->config->name, id, report->frames, report->first_captured_ns,
	    report->last_captured_ns, report->bytes, report->lost,
	    volet_reason_text(report->ended));
	session = session_find(camera->daemon, &report->session);
	/* The program's LEAVE may be on its way, sent before it closed the frames channel. */
	if (session && session->camera == camera)
		session_gone(session, MIN(report->ended, VOLET_REASON_INTERNAL));
	return NULL;
}

static const char *take_failed(struct camera *camera, const struct volet_bus *msg)
{
	g_autofree char *text = NULL;

	if (!msg_text_ok(msg->failed.text, sizeof(msg->failed.text)))
		return "volet-cam sent what is not in the protocol";
	text = g_strescape(msg->failed.text, "\"\\");
	say("%s: volet-cam: %s", camera->config->name, text);
	return "volet-cam can't go on";
}

static const struct {
	uint32_t type;
	unsigned int states;
	/* NULL, or why the camera can't go on. */
	const char *(*take)(struct camera *camera, const struct volet_bus *msg);
} reports[] = {
	{ VOLET_BUS_READY, CAMERA_STARTING, take_ready },
	{ VOLET_BUS_STATS, CAMERA_STARTING | CAMERA_READY, take_stats },
	{ VOLET_BUS_SESSION, CAMERA_READY, take_session },
	{ VOLET_BUS_SIGNAL, CAMERA_STARTING | CAMERA_READY, take_signal },
	{ VOLET_BUS_FAILED, CAMERA_STARTING | CAMERA_READY, take_failed },
};

static const char *take(struct camera *camera, const struct volet_bus *msg)
{
	unsigned int i;

	for (i = 0; i < G_N_ELEMENTS(reports); i++) {
		if (reports[i].type == msg->type && (reports[i].states & camera->state))
			return reports[i].take(camera, msg);
	}
	return "volet-cam sent what is not in the protocol";
}

/* Each message costs voletd time, and some a line of the log. */
static bool too_many(struct camera *camera)
{
	int64_t now = daemon_now_ns();

	if (now - camera->second_ns > 1000000000LL) {
		camera->second_ns = now;
		camera->messages = 0;
	}
	return ++camera->messages >
	       MAX(MESSAGES_MAX, MESSAGES_OWN + 2 * camera->daemon->config->max_sessions);
}

/* One message of the camera; false when there was none, or it is given up. */
static bool serve(struct camera *camera)
{
	const char *why;
	struct volet_bus msg;
	int fds[MSG_FDS_MAX], ret;
	unsigned int n_fds;

	ret = msg_recv(camera->bus, &msg, sizeof(msg), fds, &n_fds);
	if (ret == -EAGAIN)
		return false;
	msg_close_fds(fds);
	if (ret == -EPIPE)
		why = "volet-cam is gone";
	else if (ret < 0 || n_fds)
		why = "volet-cam sent what is not in the protocol";
	else
		why = too_many(camera) ? "volet-cam floods its channel" : take(camera, &msg);
	/* Ending a session may have found out that the camera doesn't listen. */
	if (camera->bus < 0)
		return false;
	if (why)
		give_up(camera, why);
	else if (camera->state == CAMERA_READY)
		set_timer(camera, SILENT_MS, on_silent);
	return !why;
}

static gboolean on_message(G_GNUC_UNUSED int fd, G_GNUC_UNUSED GIOCondition condition,
			   gpointer data)
{
	serve(data);
	return G_SOURCE_CONTINUE;
}

static void on_exited(void *owner, int status)
{
	struct camera *camera = owner;

	camera->child = 0;
	/* What it said last may say why. */
	while (camera->bus >= 0 && serve(camera))
		;
	if (WIFSIGNALED(status))
		say("%s: volet-cam ended by signal %d", camera->config->name, WTERMSIG(status));
	else
		say("%s: volet-cam exited with %d", camera->config->name, WEXITSTATUS(status));
	if (camera->bus >= 0)
		give_up(camera, "volet-cam is gone");
	else if (camera->state == CAMERA_ENDING)
		wait_to_restart(camera);
}

void camera_start(struct camera *camera)
{
	g_autofree char *text = config_camera_text(camera->config);
	g_autofd int section = daemon_section("camera", text);
	int pair[2];

	if (section < 0 || msg_pair(pair) < 0) {
		say("%s: can't be started: %s", camera->config->name, g_strerror(errno));
		wait_to_restart(camera);
		return;
	}
	camera->child = starter_start(camera->daemon, VOLET_PROGRAM_CAM, camera->index,
				      (const int[]){ pair[1], section }, on_exited, camera);
	close(pair[1]);
	if (!camera->child) {
		/* The daemon is about to end. */
		close(pair[0]);
		return;
	}
	camera->bus = pair[0];
	camera->state = CAMERA_STARTING;
	camera->watch = g_unix_fd_add(camera->bus, G_IO_IN, on_message, camera);
	set_timer(camera, START_MS, on_silent);
}

struct camera *camera_new(struct daemon *daemon, const struct volet_camera_config *config,
			  unsigned int index)
{
	struct camera *camera = g_new0(struct camera, 1);

	camera->daemon = daemon;
	camera->config = config;
	camera->index = index;
	camera->state = CAMERA_DOWN;
	camera->bus = -1;
	camera->backoff_ms = BACKOFF_MIN_MS;
	return camera;
}

void camera_change(struct camera *camera, const struct volet_camera_config *config)
{
	camera->config = config;
	camera->backoff_ms = BACKOFF_MIN_MS;
	if (camera->state == CAMERA_DOWN) {
		g_clear_handle_id(&camera->timer, g_source_remove);
		camera_start(camera);
	} else if (camera->bus >= 0) {
		hang_up(camera);
		starter_kill(camera->daemon, camera->child);
	}
}

void camera_free(struct camera *camera)
{
	g_clear_handle_id(&camera->watch, g_source_remove);
	g_clear_handle_id(&camera->timer, g_source_remove);
	if (camera->bus >= 0)
		close(camera->bus);
	if (camera->child) {
		starter_kill(camera->daemon, camera->child);
		starter_forget(camera->daemon, camera->child);
	}
	g_free(camera);
}

static bool send_to(struct camera *camera, const struct volet_bus *msg, const int *fd)
{
	int ret;

	if (camera->bus < 0)
		return false;
	ret = msg_send(camera->bus, msg, sizeof(*msg), fd, fd ? 1 : 0);
	if (ret < 0)
		give_up(camera, ret == -EAGAIN ? "volet-cam does not read its channel" :
						 "volet-cam is gone");
	return ret == 0;
}

bool camera_grant(struct camera *camera, const struct volet_bus_grant *grant, int frames)
{
	const struct volet_bus msg = { .type = VOLET_BUS_GRANT, .grant = *grant };

	return camera->state == CAMERA_READY && send_to(camera, &msg, &frames);
}

void camera_end_session(struct camera *camera, const struct volet_id *session, uint32_t reason)
{
	const struct volet_bus msg = {
		.type = VOLET_BUS_END,
		.end = { .session = *session, .reason = reason },
	};

	send_to(camera, &msg, NULL);
}
