// SPDX-License-Identifier: MIT
/*
 * How fast an end is: a hundred sessions whose programs write to their viewers all the time,
 * ended one by one by the real voletctl while every viewer reads. Measured is the time from
 * its start to the last byte that reaches the viewer, and what comes after it has returned.
 */
#include <errno.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "control.h"
#include "local.h"

#define SESSIONS	100
#define PIECE		1400	/* each 5 ms and session: 280 kB/s, as a camera gives */
#define LIMIT_US	500000	/* far over what it takes, for a machine that does other things */

static struct viewer viewers[SESSIONS];
static gint64 last_us[SESSIONS];	/* of the newest bytes, by the reader */
static gint stopping;

/* The session programs: all of them go on until their sockets are dead. */
static gpointer write_all(gpointer data)
{
	static const char piece[PIECE];
	int i;

	while (!g_atomic_int_get(&stopping)) {
		for (i = 0; i < SESSIONS; i++)
			(void)!send(viewers[i].handed, piece, sizeof(piece), MSG_DONTWAIT | MSG_NOSIGNAL);
		g_usleep(5000);
	}
	return data;
}

static gpointer read_all(gpointer data)
{
	static char piece[65536];
	struct pollfd fds[SESSIONS];
	int i;

	for (i = 0; i < SESSIONS; i++)
		fds[i] = (struct pollfd){ viewers[i].tcp, POLLIN, 0 };
	while (!g_atomic_int_get(&stopping)) {
		poll(fds, SESSIONS, 20);
		for (i = 0; i < SESSIONS; i++) {
			ssize_t n;

			if (!fds[i].revents)
				continue;
			n = recv(fds[i].fd, piece, sizeof(piece), MSG_DONTWAIT);
			if (n > 0)
				__atomic_store_n(&last_us[i], g_get_monotonic_time(), __ATOMIC_RELAXED);
			else if (n == 0 || errno != EAGAIN)
				fds[i].fd = -1;		/* its end */
		}
	}
	return data;
}

static void on_done(GObject *source, GAsyncResult *result, gpointer data)
{
	g_autoptr(GError) error = NULL;

	g_assert_true(g_subprocess_wait_check_finish(G_SUBPROCESS(source), result, &error));
	g_assert_no_error(error);
	*(gboolean *)data = TRUE;
}

static void end_session(const char *path, const struct viewer *viewer)
{
	const char *program = g_getenv("VOLETCTL") ? g_getenv("VOLETCTL") : "/usr/bin/voletctl";
	g_autoptr(GSubprocess) process = NULL;
	g_autoptr(GError) error = NULL;
	gboolean done = FALSE;
	char id[33];

	report_id(id, &viewer->session);
	process = g_subprocess_new(G_SUBPROCESS_FLAGS_STDOUT_SILENCE, &error, program, "--control",
				   path, "end", id, NULL);
	g_assert_no_error(error);
	g_subprocess_wait_check_async(process, NULL, on_done, &done);
	while (!done)
		g_main_context_iteration(NULL, TRUE);
}

static int compare(gconstpointer a, gconstpointer b)
{
	gint64 x = *(const gint64 *)a, y = *(const gint64 *)b;

	return (x > y) - (x < y);
}

/* What voletd said to volet-spawn and the cameras so far, so that their channels have room. */
static void drain(struct bench *bench)
{
	int fds[MSG_FDS_MAX];

	while (bench_spawn(bench, fds).type)
		msg_close_fds(fds);
	while (bench_bus(bench, 0, NULL).type)
		;
}

static void end_all(struct bench *bench, const char *path)
{
	gint64 took[SESSIONS], calls[SESSIONS];
	int i, late = 0;

	for (i = 0; i < SESSIONS; i++) {
		gint64 began = g_get_monotonic_time(), returned;

		end_session(path, &viewers[i]);
		returned = g_get_monotonic_time();
		calls[i] = returned - began;
		g_usleep(50000);
		took[i] = MAX(__atomic_load_n(&last_us[i], __ATOMIC_RELAXED) - began, 0);
		late += took[i] > calls[i];
		drain(bench);
	}
	qsort(took, SESSIONS, sizeof(took[0]), compare);
	qsort(calls, SESSIONS, sizeof(calls[0]), compare);
	g_test_message("%d sessions, from the start of voletctl to the last byte: p50 %.1f ms, p99 %.1f ms,"
		       " worst %.1f ms; voletctl itself p50 %.1f ms, p99 %.1f ms; bytes after it"
		       " returned: %d of %d", SESSIONS, (double)took[SESSIONS / 2] / 1000,
		       (double)took[SESSIONS * 99 / 100 - 1] / 1000, (double)took[SESSIONS - 1] / 1000,
		       (double)calls[SESSIONS / 2] / 1000,
		       (double)calls[SESSIONS * 99 / 100 - 1] / 1000, late, SESSIONS);
	g_assert_cmpint(took[SESSIONS * 99 / 100 - 1], <, LIMIT_US);
}

static void test_end(void)
{
	g_autofree char *directory = g_dir_make_tmp("volet-end-XXXXXX", NULL);
	g_autofree char *path = g_build_filename(directory, "control.sock", NULL);
	struct bench *bench = bench_new();
	g_autoptr(GError) error = NULL;
	GThread *writer, *reader;
	int i;

	bench->config->max_sessions = SESSIONS;
	for (guint n = 0; n < bench->config->cameras->len; n++)
		((struct volet_camera_config *)bench->config->cameras->pdata[n])->max_sessions = SESSIONS;
	bench->config->age_limit_ms = 15000;	/* nobody is to be cut by a slow machine */
	bench->daemon->control = control_open(bench->daemon, path, LOCAL_NO_GROUP, &error);
	g_assert_no_error(error);
	for (i = 0; i < SESSIONS; i++) {
		viewers[i] = bench_granted(bench);
		setsockopt(viewers[i].tcp, SOL_SOCKET, SO_RCVBUF, &(int){ 262144 }, sizeof(int));
	}
	/* The bench's cameras say nothing by themselves, and a hundred voletctl can take 15 s. */
	for (guint n = 0; n < bench->daemon->cameras->len; n++)
		g_clear_handle_id(&((struct camera *)bench->daemon->cameras->pdata[n])->timer,
				  g_source_remove);
	writer = g_thread_new("programs", write_all, NULL);
	reader = g_thread_new("viewers", read_all, NULL);
	end_all(bench, path);
	g_atomic_int_set(&stopping, 1);
	g_thread_join(writer);
	g_thread_join(reader);
	for (i = 0; i < SESSIONS; i++)
		viewer_close(&viewers[i]);
	bench_free(bench);
	g_unlink(path);
	g_rmdir(directory);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/end/hundred-sessions", test_end);
	return g_test_run();
}
