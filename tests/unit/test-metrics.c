// SPDX-License-Identifier: MIT
/* The metrics: right, without names, and with clients that ask slowly, too much or never read. */
#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"
#include "metrics.h"

static char *directory, *path;

static struct bench *new_bench(void)
{
	struct bench *bench = bench_new();
	g_autoptr(GError) error = NULL;

	bench->daemon->metrics = metrics_open(bench->daemon, path, &error);
	g_assert_no_error(error);
	return bench;
}

static int client(void)
{
	int fd = bench_call(path);

	bench_settle();
	return fd;
}

static void ask(int fd, const char *text)
{
	g_assert_cmpint(send(fd, text, strlen(text), MSG_NOSIGNAL), ==, (ssize_t)strlen(text));
	bench_settle();
}

/* Everything until the end, and closes. */
static char *answer(int fd)
{
	GString *text = g_string_new(NULL);
	char part[4096];
	ssize_t n;

	for (;;) {
		bench_settle();
		n = recv(fd, part, sizeof(part), MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			break;
		if (n > 0)
			g_string_append_len(text, part, n);
	}
	close(fd);
	return g_string_free(text, FALSE);
}

static char *get(void)
{
	int fd = client();

	ask(fd, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
	return answer(fd);
}

static void test_values(void)
{
	struct bench *bench = new_bench();
	struct viewer viewer = bench_granted(bench), wrong = bench_connect(bench, "127.0.0.1");
	const struct volet_ctl sent = { .type = VOLET_CTL_SENT, .sent = { 7, 7000, 2, 31000000 } };
	const struct volet_bus stats = {
		.type = VOLET_BUS_STATS, .stats = { .captured = 11, .memory = VOLET_MEMORY_MMAP },
	};
	g_autofree char *text = NULL, *length = NULL;

	viewer_say(&viewer, &sent);
	bench_bus_say(bench, 0, &stats);
	viewer_nonce(&wrong);
	viewer_auth(&wrong, "alice", "guess", "cam0");
	session_end(session_find(bench->daemon, &viewer.session), VOLET_REASON_TOO_OLD);
	text = get();
	bench_assert_has(text, "HTTP/1.0 200 OK\r\n");
	length = g_strdup_printf("Content-Length: %zu\r\n",
				 strlen(strstr(text, "\r\n\r\n") + 4));
	bench_assert_has(text, length);
	bench_assert_has(text, "\nvolet_camera_captured_frames_total{camera=\"cam0\"} 11\n");
	bench_assert_has(text, "\nvolet_camera_sent_frames_total{camera=\"cam0\"} 7\n");
	bench_assert_has(text, "\nvolet_camera_memory_weak{camera=\"cam0\"} 1\n");
	bench_assert_has(text, "\nvolet_camera_ready{camera=\"cam1\"} 1\n");
	bench_assert_has(text, "\nvolet_denials_total{reason=\"credentials\"} 1\n");
	bench_assert_has(text, "\nvolet_sessions_granted_total 1\n");
	bench_assert_has(text, "\nvolet_sessions_ended_total{reason=\"unsent bytes too old\"} 1\n");
	g_assert_null(strstr(text, "alice"));
	g_assert_null(strstr(text, "127.0.0.1"));
	viewer_close(&viewer);
	viewer_close(&wrong);
	bench_free(bench);
}

static void test_format(void)
{
	struct bench *bench = new_bench();
	g_autofree char *text = get();
	g_auto(GStrv) lines = g_strsplit(strstr(text, "\r\n\r\n") + 4, "\n", -1);
	unsigned int i;

	for (i = 0; lines[i + 1]; i++) {
		if (!g_str_has_prefix(lines[i], "# "))
			g_assert_true(g_regex_match_simple("^volet_[a-z_]+(\\{[a-z]+=\"[^\"\\\\]*\"\\})? "
							   "[0-9]+$", lines[i], 0, 0));
	}
	g_assert_cmpstr(lines[i], ==, "");
	bench_free(bench);
}

static void test_pieces(void)
{
	struct bench *bench = new_bench();
	const char *request = "GET / HTTP/1.0\r\n\r\n";
	g_autofree char *text = NULL;
	int fd = client();

	for (; *request; request++)
		ask(fd, (const char[]){ *request, '\0' });
	text = answer(fd);
	bench_assert_has(text, "volet_sessions 0");
	bench_free(bench);
}

/* Neither a request without end nor clients that say nothing keep others out for long. */
static void test_hostile(void)
{
	struct bench *bench = new_bench();
	g_autofree char *noise = g_strnfill(5000, 'x');
	g_autofree char *none = NULL, *refused = NULL, *text = NULL;
	int fd = client(), fds[4], i;
	gint64 began;

	ask(fd, noise);
	none = answer(fd);
	g_assert_cmpstr(none, ==, "");
	for (i = 0; i < 4; i++)
		fds[i] = client();
	fd = client();
	refused = answer(fd);
	g_assert_cmpstr(refused, ==, "");
	began = g_get_monotonic_time();
	while (g_get_monotonic_time() - began < 2500000) {
		bench_settle();
		g_usleep(10000);
	}
	/* Their time is over, but voletd would see the next one first. */
	bench_settle();
	text = get();
	bench_assert_has(text, "200 OK");
	for (i = 0; i < 4; i++)
		close(fds[i]);
	bench_free(bench);
}

static void test_mode(void)
{
	struct bench *bench = new_bench();
	struct stat st;

	g_assert_no_errno(stat(path, &st));
	g_assert_cmpuint(st.st_mode & 0777, ==, 0660);
	bench_free(bench);
}

int main(int argc, char **argv)
{
	int status;

	g_test_init(&argc, &argv, NULL);
	directory = g_dir_make_tmp("volet-metrics-XXXXXX", NULL);
	path = g_build_filename(directory, "metrics.sock", NULL);
	g_test_add_func("/metrics/values", test_values);
	g_test_add_func("/metrics/format", test_format);
	g_test_add_func("/metrics/pieces", test_pieces);
	g_test_add_func("/metrics/hostile", test_hostile);
	g_test_add_func("/metrics/mode", test_mode);
	status = g_test_run();
	g_unlink(path);
	g_rmdir(directory);
	g_free(path);
	g_free(directory);
	return status;
}
