// SPDX-License-Identifier: MIT
/* The control bus with the real voletctl, and with callers who mean no good. */
#include <errno.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "control-bus.h"
#include "control.h"
#include "local.h"

#define NOBODY 65534

static char *directory, *path;

static struct bench *new_bench(void)
{
	struct bench *bench = bench_new();
	g_autoptr(GError) error = NULL;

	bench->daemon->control = control_open(bench->daemon, path, LOCAL_NO_GROUP, &error);
	g_assert_no_error(error);
	return bench;
}

static void on_done(GObject *source, GAsyncResult *result, gpointer data)
{
	(void)source;
	*(GAsyncResult **)data = g_object_ref(result);
}

/* Its exit status, and in *text what it printed, errors too. */
static int voletctl(char **text, const char *word, const char *what)
{
	const char *program = g_getenv("VOLETCTL") ? g_getenv("VOLETCTL") : "/usr/bin/voletctl";
	g_autoptr(GAsyncResult) result = NULL;
	g_autoptr(GSubprocess) process = NULL;
	g_autoptr(GError) error = NULL;

	process = g_subprocess_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_MERGE,
				   &error, program, "--control", path, word, what, NULL);
	g_assert_no_error(error);
	g_subprocess_communicate_utf8_async(process, NULL, NULL, on_done, &result);
	while (!result)
		g_main_context_iteration(NULL, TRUE);
	g_assert_true(g_subprocess_communicate_utf8_finish(process, result, text, NULL, &error));
	return g_subprocess_get_exit_status(process);
}

static void test_status(void)
{
	struct bench *bench = new_bench();
	struct viewer viewer = bench_granted(bench);
	const struct volet_ctl sent = { .type = VOLET_CTL_SENT, .sent = { 7, 7000, 2, 31000000 } };
	struct volet_bus stats = {
		.type = VOLET_BUS_STATS,
		.stats = { .captured = 11, .encoded = 9, .errors = 1, .late = 3, .sessions = 1,
			   .memory = VOLET_MEMORY_MMAP, .streaming = 1 },
	};
	g_autofree char *table = NULL, *json = NULL;

	stats.stats.last_captured_ns = (uint64_t)daemon_now_ns();
	viewer_say(&viewer, &sent);
	bench_bus_say(bench, 0, &stats);
	g_assert_cmpint(voletctl(&table, "status", NULL), ==, 0);
	bench_assert_has(table, "streaming  64     64      11        9        1       3");
	bench_assert_has(table, "WEAKER");
	bench_assert_has(table, "alice");
	bench_assert_has(table, "31 ms");
	bench_assert_has(table, "sessions 1 of 3");
	g_assert_cmpint(voletctl(&json, "--json", "status"), ==, 0);
	bench_assert_has(json, "\"viewer\": \"alice\", \"camera\": \"cam0\", \"profile\": \"large\", \"source\": \"127.0.0.1\"");
	bench_assert_has(json, "\"frames\": 7, \"bytes\": 7000, \"dropped\": 2, \"age-ms\": 31}");
	g_assert_null(strstr(json, "4066155dd9b9a6415faff411dda03cae"));
	viewer_close(&viewer);
	bench_free(bench);
}

/* Each way to name alice's session; bob's goes on. */
static void test_end(void)
{
	static const char *const ways[] = { "alice", "viewer:alice", "cam0", "camera:cam0", "", "session:" };
	struct bench *bench = new_bench();
	struct viewer bob = bench_connect(bench, "127.0.0.1");
	unsigned int i;

	viewer_nonce(&bob);
	g_assert_cmpuint(viewer_auth(&bob, "bob", "secret", "cam1").type, ==, VOLET_CTL_GRANTED);
	for (i = 0; i < G_N_ELEMENTS(ways); i++) {
		struct viewer viewer = bench_granted(bench);
		g_autofree char *text = NULL, *what = NULL;
		char id[33];

		report_id(id, &viewer.session);
		what = i < 4 ? g_strdup(ways[i]) : g_strdup_printf("%s%.*s", ways[i], i * 2, id);
		g_assert_cmpint(voletctl(&text, "end", what), ==, 0);
		bench_assert_has(text, "ended session ");
		bench_assert_has(text, id);
		bench_assert_has(text, "of alice on cam0, 127.0.0.1");
		viewer_assert_ended(&viewer, VOLET_REASON_OWNER);
	}
	viewer_assert_alive(&bob);
	viewer_close(&bob);
	bench_free(bench);
}

static void test_end_several(void)
{
	struct bench *bench = new_bench();
	struct viewer viewer[2] = { bench_granted(bench), bench_granted(bench) };
	g_autofree char *text = NULL;
	char byte;
	int i;

	g_assert_cmpint(voletctl(&text, "end", "alice"), ==, 0);
	g_assert_cmpuint(g_hash_table_size(bench->daemon->sessions), ==, 0);
	for (i = 0; i < 2; i++) {
		g_assert_cmpint(recv(viewer[i].tcp, &byte, 1, MSG_DONTWAIT), ==, -1);
		g_assert_cmpint(errno, ==, ECONNRESET);
		viewer_close(&viewer[i]);
	}
	bench_free(bench);
}

static void test_no_match(void)
{
	static const char *const wrong[] = {
		"nobody", "cam1", "bob", "viewer:cam0", "camera:alice", "session:alice", "", "viewer:",
		"session:", "ffffffffffffffffffffffffffffffff", "a\n\x1b[2J"
	};
	struct bench *bench = new_bench();
	struct viewer viewer = bench_granted(bench);
	unsigned int i;

	for (i = 0; i < G_N_ELEMENTS(wrong); i++) {
		g_autofree char *text = NULL;

		g_assert_cmpint(voletctl(&text, "end", wrong[i]), ==, 1);
		bench_assert_has(text, "no session matches");
	}
	viewer_assert_alive(&viewer);
	viewer_close(&viewer);
	bench_free(bench);
}

/* A viewer whose name is a camera's: which is meant has to be said. */
static void test_ambiguous(void)
{
	struct bench *bench = new_bench();
	struct viewer viewer = bench_granted(bench);
	struct volet_viewer_config *alice = bench->config->viewers->pdata[0];
	g_autofree char *text = NULL, *done = NULL;

	strcpy(alice->name, "cam0");
	g_assert_cmpint(voletctl(&text, "end", "cam0"), ==, 1);
	bench_assert_has(text, "more than one thing");
	viewer_assert_alive(&viewer);
	g_assert_cmpint(voletctl(&done, "end", "viewer:cam0"), ==, 0);
	viewer_assert_ended(&viewer, VOLET_REASON_OWNER);
	bench_free(bench);
}

/* Another user's process connects and waits for what it is told: nothing, and the end. */
static int as_nobody(void)
{
	pid_t pid = fork();
	int status = -1;
	char byte;

	g_assert_cmpint(pid, >=, 0);
	if (pid == 0) {
		if (setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0)
			_exit(2);
		_exit(recv(bench_call(path), &byte, 1, 0) == 0 ? 0 : 1);
	}
	while (waitpid(pid, &status, WNOHANG) == 0)
		g_main_context_iteration(NULL, FALSE);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_other_user(void)
{
	struct bench *bench;
	struct stat st;

	if (getuid() != 0) {
		g_test_skip("becoming another user needs root");
		return;
	}
	bench = new_bench();
	g_assert_no_errno(stat(path, &st));
	g_assert_cmpuint(st.st_mode & 0777, ==, 0600);
	/* With the file's own guard away, the peer's identity is what is left. */
	g_assert_no_errno(chmod(directory, 0755));
	g_assert_no_errno(chmod(path, 0666));
	g_assert_cmpint(as_nobody(), ==, 0);
	bench_free(bench);
}

/* As many silent connections as there may be: sessions go on, the next is refused, for a while. */
static void test_silent(void)
{
	struct bench *bench = new_bench();
	struct viewer viewer = bench_granted(bench);
	g_autofree char *refused = NULL, *text = NULL;
	gint64 began;
	int fds[8], i;

	for (i = 0; i < 8; i++)
		fds[i] = bench_call(path);
	bench_settle();
	began = g_get_monotonic_time();
	viewer_nonce(&viewer);
	/* Not only when they are thrown out, after 10 s. */
	g_assert_cmpint(g_get_monotonic_time() - began, <, 5 * G_USEC_PER_SEC);
	g_assert_cmpint(voletctl(&refused, "status", NULL), ==, 1);
	while (g_get_monotonic_time() - began < 11 * G_USEC_PER_SEC) {
		bench_settle();
		g_usleep(10000);
	}
	g_assert_cmpint(voletctl(&text, "status", NULL), ==, 0);
	for (i = 0; i < 8; i++)
		close(fds[i]);
	viewer_close(&viewer);
	bench_free(bench);
}

/* Their places are free as soon as they have hung up: long before a silent one's are. */
static void test_garbage(void)
{
	struct bench *bench = new_bench();
	g_autofree char *text = NULL;
	char noise[4096];
	gint64 hung_up;
	int i, fd, status;

	/* GDBus warns of what it can't read. */
	g_log_set_always_fatal(G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL);
	for (i = 0; i < 20; i++) {
		memset(noise, i * 13, sizeof(noise));
		memcpy(noise, "\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\nl\1\0\1", i % 2 ? 34 : 0);
		fd = bench_call(path);
		(void)!send(fd, noise, sizeof(noise), MSG_NOSIGNAL);
		bench_settle();
		close(fd);
		g_usleep(20000);
		bench_settle();
	}
	hung_up = g_get_monotonic_time();
	do {
		g_clear_pointer(&text, g_free);
		status = voletctl(&text, "status", NULL);
	} while (status && g_get_monotonic_time() - hung_up < 5 * G_USEC_PER_SEC);
	g_assert_cmpint(status, ==, 0);
	bench_free(bench);
}

static void test_path(void)
{
	g_autofree char *file = g_build_filename(directory, "file", NULL);
	g_autoptr(GError) taken = NULL, missing = NULL;

	g_assert_true(g_file_set_contents(file, "mine", -1, NULL));
	g_assert_cmpint(local_listen(file, LOCAL_NO_GROUP, &taken), ==, -1);
	bench_assert_has(taken->message, "remove what is there");
	g_assert_true(g_file_test(file, G_FILE_TEST_IS_REGULAR));
	g_assert_cmpint(local_listen("/nowhere/socket", LOCAL_NO_GROUP, &missing), ==, -1);
	bench_assert_has(missing->message, "its directory must exist");
	g_unlink(file);
}

int main(int argc, char **argv)
{
	int status;

	g_test_init(&argc, &argv, NULL);
	directory = g_dir_make_tmp("volet-control-XXXXXX", NULL);
	path = g_build_filename(directory, "control.sock", NULL);
	g_test_add_func("/control/status", test_status);
	g_test_add_func("/control/end", test_end);
	g_test_add_func("/control/end-several", test_end_several);
	g_test_add_func("/control/no-match", test_no_match);
	g_test_add_func("/control/ambiguous", test_ambiguous);
	g_test_add_func("/control/other-user", test_other_user);
	g_test_add_func("/control/silent", test_silent);
	g_test_add_func("/control/garbage", test_garbage);
	g_test_add_func("/control/path", test_path);
	status = g_test_run();
	g_unlink(path);
	g_rmdir(directory);
	g_free(path);
	g_free(directory);
	return status;
}
