// SPDX-License-Identifier: MIT
/*
 * Prometheus' text format as an HTTP/1.0 answer, to whoever may open the socket. What is asked
 * isn't looked at: there is one answer. Few clients at once, each for two seconds, and an
 * answer that isn't taken is thrown away, so that none can hold voletd up or make it grow.
 */
#include "metrics.h"

#include <errno.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon.h"
#include "local.h"

#define CLIENTS_MAX	4
#define CLIENT_MS	2000
#define REQUEST_MAX	4096

struct metrics {
	struct daemon *daemon;
	int fd;
	guint watch;
	GPtrArray *clients;		/* struct client * */
};

struct client {
	struct metrics *metrics;
	int fd;
	guint watch, deadline;
	char request[REQUEST_MAX];
	gsize len;
	GString *answer;		/* NULL until the request is whole */
	gsize sent;
};

/* ---- the text ----------------------------------------------------------------------- */

static void head(GString *out, const char *name, const char *type, const char *help)
{
	g_string_append_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static const char *denied_text(unsigned int why)
{
	static const char *const text[] = {
		[VOLET_DENIED_CREDENTIALS] = "credentials", [VOLET_DENIED_STALE] = "stale_nonce",
		[VOLET_DENIED_NO_CAMERA] = "no_camera", [VOLET_DENIED_CAMERA_DOWN] = "camera_down",
		[VOLET_DENIED_LIMIT] = "limit", [VOLET_DENIED_TRANSPORT] = "transport",
	};

	G_STATIC_ASSERT(G_N_ELEMENTS(text) == VOLET_DENIED_COUNT);
	return text[why];
}

/* One family: a value of each camera. */
static void of_cameras(GString *out, const struct daemon *daemon, const char *name, const char *type,
		       const char *help, uint64_t (*value)(const struct camera *camera))
{
	unsigned int i;

	head(out, name, type, help);
	for (i = 0; i < daemon->cameras->len; i++) {
		const struct camera *camera = daemon->cameras->pdata[i];

		g_string_append_printf(out, "%s{camera=\"%s\"} %" G_GUINT64_FORMAT "\n", name,
				       camera->config->name, value(camera));
	}
}

static uint64_t ready(const struct camera *camera)
{
	return camera->state == CAMERA_READY;
}

static uint64_t weak(const struct camera *camera)
{
	return camera->stats.memory == VOLET_MEMORY_MMAP;
}

static uint64_t captured(const struct camera *camera)
{
	return camera->stats.captured;
}

static uint64_t encoded(const struct camera *camera)
{
	return camera->stats.encoded;
}

static uint64_t errors(const struct camera *camera)
{
	return camera->stats.errors;
}

static uint64_t late(const struct camera *camera)
{
	return camera->stats.late;
}

static uint64_t sessions(const struct camera *camera)
{
	return camera->stats.sessions;
}

static uint64_t sent(const struct camera *camera)
{
	uint64_t age_ns;

	return report_frames_sent(camera, &age_ns);
}

static uint64_t failures(const struct camera *camera)
{
	return camera->failures;
}

static void cameras_text(GString *out, const struct daemon *daemon)
{
	of_cameras(out, daemon, "volet_camera_ready", "gauge", "1 when the camera can be watched.",
		   ready);
	of_cameras(out, daemon, "volet_camera_memory_weak", "gauge",
		   "1 while frames are in MMAP buffers that other openers of the node can map.", weak);
	of_cameras(out, daemon, "volet_camera_captured_frames_total", "counter",
		   "Frames captured, since volet-cam started.", captured);
	of_cameras(out, daemon, "volet_camera_encoded_frames_total", "counter",
		   "Frames encoded, since volet-cam started.", encoded);
	of_cameras(out, daemon, "volet_camera_error_frames_total", "counter",
		   "Frames dropped because the device said they are damaged.", errors);
	of_cameras(out, daemon, "volet_camera_late_frames_total", "counter",
		   "Frames dropped because they were past the age limit.", late);
	of_cameras(out, daemon, "volet_camera_sent_frames_total", "counter",
		   "Frames handed to viewers' sockets, by all sessions.", sent);
	of_cameras(out, daemon, "volet_camera_sessions", "gauge", "Sessions that watch.", sessions);
	of_cameras(out, daemon, "volet_camera_failures_total", "counter",
		   "Times that volet-cam was given up and started again.", failures);
}

static void number(GString *out, const char *name, const char *type, const char *help, uint64_t value)
{
	head(out, name, type, help);
	g_string_append_printf(out, "%s %" G_GUINT64_FORMAT "\n", name, value);
}

static void totals_text(GString *out, const struct daemon *daemon)
{
	const struct totals *totals = &daemon->totals;
	unsigned int i;

	number(out, "volet_sessions", "gauge", "Granted sessions.", daemon->granted);
	number(out, "volet_connections_unauthenticated", "gauge", "Connections not granted yet.",
	       daemon->sources.unauthenticated);
	number(out, "volet_connections_total", "counter", "Connections let in.", totals->admitted);
	number(out, "volet_connections_refused_total", "counter",
	       "Connections refused before a byte was read.", totals->refused);
	number(out, "volet_sessions_granted_total", "counter", "Sessions granted.", totals->granted);
	head(out, "volet_denials_total", "counter", "Requests denied, by reason.");
	for (i = 1; i < VOLET_DENIED_COUNT; i++)
		g_string_append_printf(out, "volet_denials_total{reason=\"%s\"} %" G_GUINT64_FORMAT
				       "\n", denied_text(i), totals->denied[i]);
	head(out, "volet_sessions_ended_total", "counter", "Granted sessions ended, by reason.");
	for (i = 1; i < VOLET_REASON_COUNT; i++)
		g_string_append_printf(out, "volet_sessions_ended_total{reason=\"%s\"} %"
				       G_GUINT64_FORMAT "\n", volet_reason_text(i), totals->ended[i]);
}

static GString *answer_text(const struct daemon *daemon)
{
	g_autoptr(GString) body = g_string_new(NULL);
	GString *out = g_string_new(NULL);

	totals_text(body, daemon);
	cameras_text(body, daemon);
	g_string_printf(out, "HTTP/1.0 200 OK\r\n"
			"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
			"Content-Length: %" G_GSIZE_FORMAT "\r\nConnection: close\r\n\r\n%s", body->len,
			body->str);
	return out;
}

/* ---- clients ------------------------------------------------------------------------ */

static void client_free(struct client *client)
{
	g_clear_handle_id(&client->watch, g_source_remove);
	g_clear_handle_id(&client->deadline, g_source_remove);
	close(client->fd);
	if (client->answer)
		g_string_free(client->answer, TRUE);
	g_free(client);
}

static gboolean on_deadline(gpointer data)
{
	struct client *client = data;

	client->deadline = 0;
	g_ptr_array_remove_fast(client->metrics->clients, client);
	return G_SOURCE_REMOVE;
}

/* False when the client is done with, one way or the other. */
static bool write_more(struct client *client)
{
	ssize_t n = send(client->fd, client->answer->str + client->sent,
			 client->answer->len - client->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n > 0)
		client->sent += (gsize)n;
	return n < 0 ? errno == EAGAIN : client->sent < client->answer->len;
}

/* True once the request is whole: a line, or with HTTP lines up to an empty one. */
static bool whole(const struct client *client)
{
	return memmem(client->request, client->len, "\r\n\r\n", 4) ||
	       memmem(client->request, client->len, "\n\n", 2);
}

static gboolean on_writable(int fd, GIOCondition condition, gpointer data);

static bool read_more(struct client *client)
{
	ssize_t n = recv(client->fd, client->request + client->len, REQUEST_MAX - client->len,
			 MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return true;
	if (n <= 0)
		return false;
	client->len += (gsize)n;
	if (!whole(client))
		return client->len < REQUEST_MAX;
	client->answer = answer_text(client->metrics->daemon);
	g_source_remove(client->watch);
	client->watch = g_unix_fd_add(client->fd, G_IO_OUT, on_writable, client);
	return true;
}

static gboolean on_writable(G_GNUC_UNUSED int fd, G_GNUC_UNUSED GIOCondition condition,
			    gpointer data)
{
	struct client *client = data;

	if (!write_more(client))
		g_ptr_array_remove_fast(client->metrics->clients, client);
	return G_SOURCE_CONTINUE;
}

static gboolean on_readable(G_GNUC_UNUSED int fd, G_GNUC_UNUSED GIOCondition condition,
			    gpointer data)
{
	struct client *client = data;

	if (!read_more(client))
		g_ptr_array_remove_fast(client->metrics->clients, client);
	return G_SOURCE_CONTINUE;
}

static gboolean on_connection(int fd, G_GNUC_UNUSED GIOCondition condition, gpointer data)
{
	struct metrics *metrics = data;
	g_autofd int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *client;

	if (peer < 0 || metrics->clients->len >= CLIENTS_MAX)
		return G_SOURCE_CONTINUE;
	client = g_new0(struct client, 1);
	client->metrics = metrics;
	client->fd = g_steal_fd(&peer);
	client->watch = g_unix_fd_add(client->fd, G_IO_IN, on_readable, client);
	client->deadline = g_timeout_add(CLIENT_MS, on_deadline, client);
	g_ptr_array_add(metrics->clients, client);
	return G_SOURCE_CONTINUE;
}

struct metrics *metrics_open(struct daemon *daemon, const char *path, GError **error)
{
	int fd = local_listen(path, getgid(), error);
	struct metrics *metrics;

	if (fd < 0)
		return NULL;
	metrics = g_new0(struct metrics, 1);
	metrics->daemon = daemon;
	metrics->fd = fd;
	metrics->clients = g_ptr_array_new_with_free_func((GDestroyNotify)client_free);
	metrics->watch = g_unix_fd_add(fd, G_IO_IN, on_connection, metrics);
	return metrics;
}

void metrics_close(struct metrics *metrics)
{
	if (!metrics)
		return;
	g_clear_handle_id(&metrics->watch, g_source_remove);
	close(metrics->fd);
	g_ptr_array_unref(metrics->clients);
	g_free(metrics);
}
