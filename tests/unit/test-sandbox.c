// SPDX-License-Identifier: MIT
/*
 * What volet-cam can't do once it has shut itself in. Each is done in a child of its own,
 * first without the sandbox, where it must work, and then within.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <linux/videodev2.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "encoder.h"
#include "memory.h"
#include "sandbox.h"

/* A child's answer: 0 it worked, else 1; the parent sees a signal by itself. */
typedef int (*deed)(void);

static gboolean bare(GError **error)
{
	(void)error;
	return TRUE;
}

static gboolean files_only(GError **error)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && sandbox_files(error);
}

static int status_of(deed what, gboolean (*enter)(GError **error))
{
	pid_t child = fork();
	int status;

	if (!child)
		_exit(enter(NULL) ? what() : 99);
	g_assert_cmpint(waitpid(child, &status, 0), ==, child);
	return status;
}

static gboolean can_run(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_UNDEFINED__)
	g_test_skip("the sanitizers make system calls of their own; the board's build has none");
	return FALSE;
#endif
	if (WEXITSTATUS(status_of(getppid, files_only)) != 99)
		return TRUE;
	g_test_skip("this kernel has no Landlock; the board's has");
	return FALSE;
}

static void assert_works(deed what, gboolean (*enter)(GError **error))
{
	int status = status_of(what, enter);

	g_assert_true(WIFEXITED(status));
	g_assert_cmpint(WEXITSTATUS(status), ==, 0);
}

static void assert_refused(deed what, gboolean (*enter)(GError **error))
{
	int status = status_of(what, enter);

	g_assert_true(WIFEXITED(status));
	g_assert_cmpint(WEXITSTATUS(status), ==, 1);
}

static void assert_killed(deed what)
{
	int status = status_of(what, sandbox_enter);

	g_assert_true(WIFSIGNALED(status));
	g_assert_cmpint(WTERMSIG(status), ==, SIGSYS);
}

static int open_file(void)
{
	return open("/proc/self/status", O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES;
}

static int make_file(void)
{
	return open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600) < 0 && errno == EACCES;
}

/* A device that is opened only then is one that was not there at the start. */
static int open_device(void)
{
	return open("/dev/null", O_RDWR | O_CLOEXEC) < 0 && errno == EACCES;
}

static int bind_port(void)
{
	struct sockaddr_in any = { .sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return bind(sock, (struct sockaddr *)&any, sizeof(any)) < 0 && errno == EACCES;
}

static void test_files(void)
{
	static const deed deeds[] = { open_file, make_file, open_device };
	guint i;

	if (!can_run())
		return;
	for (i = 0; i < G_N_ELEMENTS(deeds); i++) {
		assert_works(deeds[i], bare);
		assert_refused(deeds[i], files_only);
		assert_refused(deeds[i], sandbox_calls);
		assert_refused(deeds[i], sandbox_enter);
	}
	assert_works(bind_port, bare);
	assert_refused(bind_port, files_only);
}

static int make_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0;
}

static int start_process(void)
{
	pid_t child = fork();

	if (!child)
		_exit(0);
	return child < 0;
}

static int run_program(void)
{
	execl("/bin/true", "true", NULL);
	return 1;
}

static int map_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	       MAP_FAILED;
}

static int make_code(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mprotect(page, 4096, PROT_READ | PROT_EXEC) < 0;
}

/* Of an ioctl it is enough that it comes back: on nothing it is EBADF. */
static int export_buffer(void)
{
	struct v4l2_exportbuffer export = { 0 };

	return ioctl(-1, VIDIOC_EXPBUF, &export) == 0 || errno != EBADF;
}

static int set_control(void)
{
	struct v4l2_control control = { 0 };

	return ioctl(-1, VIDIOC_S_CTRL, &control) == 0 || errno != EBADF;
}

static int drain_encoder(void)
{
	struct v4l2_encoder_cmd cmd = { .cmd = V4L2_ENC_CMD_STOP };

	return ioctl(-1, VIDIOC_ENCODER_CMD, &cmd) == 0 || errno != EBADF;
}

static int trace(void)
{
	return kill(getppid(), 0) < 0;
}

static void test_calls(void)
{
	static const deed deeds[] = {
		make_socket, start_process, run_program, map_code,
		make_code,   export_buffer, set_control, drain_encoder, trace,
	};
	guint i;

	if (!can_run())
		return;
	for (i = 0; i < G_N_ELEMENTS(deeds); i++) {
		assert_works(deeds[i], bare);
		assert_killed(deeds[i]);
	}
}

/* Where devices code: two calls more, and none of the others. */
static void test_codecs(void)
{
	int status;

	if (!can_run())
		return;
	assert_works(set_control, sandbox_enter_codecs);
	assert_works(drain_encoder, sandbox_enter_codecs);
	status = status_of(export_buffer, sandbox_enter_codecs);
	g_assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	assert_refused(open_device, sandbox_enter_codecs);
}

/* And what it is there for still works: memory, sealing, encoding, its own ioctls, time. */
static int work(void)
{
	static guint8 picture[64 * 64 * 3 / 2];
	struct v4l2_buffer buffer = { 0 };
	struct encoder *enc = encoder_new(64, 64, 75, NULL);
	struct memory memory;
	const guint8 *jpeg;
	gsize size;

	if (!enc || !encoder_nv12(enc, picture, picture + 64 * 64, 64, &jpeg, &size, NULL))
		return 1;
	encoder_free(enc);
	if (!memory_new(&memory, "test", 8 << 20, -1, NULL))
		return 2;
	memory_free(&memory);
	g_free(g_malloc(32 << 20));
	if (g_get_monotonic_time() == 0)
		return 3;
	return ioctl(-1, VIDIOC_DQBUF, &buffer) == 0 || errno != EBADF;
}

/* Seen from outside, for the child itself may no longer look. */
static void test_status(void)
{
	g_autofree char *path = NULL, *text = NULL;
	int pair[2], status;
	pid_t child;
	char c;

	if (!can_run())
		return;
	g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), ==, 0);
	child = fork();
	if (!child) {
		gboolean in = sandbox_enter(NULL);

		_exit(!in || write(pair[1], "x", 1) != 1 || read(pair[1], &c, 1) != 1);
	}
	g_assert_cmpint(read(pair[0], &c, 1), ==, 1);
	path = g_strdup_printf("/proc/%d/status", child);
	g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
	g_assert_nonnull(strstr(text, "NoNewPrivs:\t1\n"));
	g_assert_nonnull(strstr(text, "Seccomp:\t2\n"));
	g_assert_cmpint(write(pair[0], "x", 1), ==, 1);
	g_assert_cmpint(waitpid(child, &status, 0), ==, child);
	g_assert_cmpint(status, ==, 0);
	close(pair[0]);
	close(pair[1]);
}

static void test_works(void)
{
	if (!can_run())
		return;
	assert_works(work, bare);
	assert_works(work, sandbox_enter);
	assert_works(work, sandbox_enter_codecs);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/sandbox/files", test_files);
	g_test_add_func("/sandbox/calls", test_calls);
	g_test_add_func("/sandbox/codecs", test_codecs);
	g_test_add_func("/sandbox/status", test_status);
	g_test_add_func("/sandbox/works", test_works);
	return g_test_run();
}
