// SPDX-License-Identifier: MIT
/* What a service manager hears and gives. Each test is a process, because that is said once. */
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "notify.h"

/* A manager's socket at a path, or with '@' by an abstract name. */
static int manager(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	g_strlcpy(address.sun_path, name, sizeof(address.sun_path));
	if (*name == '@')
		address.sun_path[0] = '\0';
	g_assert_no_errno(bind(fd, (struct sockaddr *)&address,
			       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))));
	g_setenv("NOTIFY_SOCKET", name, TRUE);
	return fd;
}

static void set_number(const char *name, long number)
{
	g_autofree char *text = g_strdup_printf("%ld", number);

	g_setenv(name, text, TRUE);
}

static void assert_hears(int fd, const char *text)
{
	char heard[256] = "";

	g_assert_cmpint(recv(fd, heard, sizeof(heard) - 1, MSG_DONTWAIT), >, 0);
	g_assert_cmpstr(heard, ==, text);
}

static void in_process(GTestFunc function)
{
	if (g_test_subprocess()) {
		function();
		return;
	}
	g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
	g_test_trap_assert_passed();
}

static void without(void)
{
	notify_init();
	notify_say("READY=1");
	g_assert_cmpuint(notify_watchdog_us(), ==, 0);
	g_assert_cmpint(notify_listener(false), ==, -1);
	g_assert_cmpint(notify_listener(true), ==, -1);
}

static void by_path(void)
{
	g_autofree char *directory = g_dir_make_tmp("volet-notify-XXXXXX", NULL);
	g_autofree char *path = g_build_filename(directory, "notify", NULL);
	int fd = manager(path), i;

	set_number("WATCHDOG_USEC", 5000000);
	set_number("WATCHDOG_PID", getpid());
	notify_init();
	g_assert_null(g_getenv("NOTIFY_SOCKET"));
	g_assert_null(g_getenv("WATCHDOG_USEC"));
	notify_say("READY=1");
	assert_hears(fd, "READY=1");
	g_assert_cmpuint(notify_watchdog_us(), ==, 5000000);
	/* A manager that doesn't read isn't waited for. */
	for (i = 0; i < 100000; i++)
		notify_say("WATCHDOG=1");
	close(fd);
	notify_say("WATCHDOG=1");
	g_unlink(path);
	g_rmdir(directory);
}

static void abstract(void)
{
	g_autofree char *name = g_strdup_printf("@volet-test-%d", getpid());
	int fd = manager(name);

	set_number("WATCHDOG_USEC", 1000000);
	set_number("WATCHDOG_PID", getpid() + 1);
	notify_init();
	notify_say("READY=1\nSTATUS=x");
	assert_hears(fd, "READY=1\nSTATUS=x");
	g_assert_cmpuint(notify_watchdog_us(), ==, 0);
}

/* Sockets from descriptor 3 on, where a manager puts them, and their names. */
static void place_listeners(long pid, int count, const char *names)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), i;

	g_assert_no_errno(listen(fd, 1));
	for (i = 3; i < 3 + count; i++)
		if (fd != i)
			g_assert_no_errno(dup2(fd, i));
	set_number("LISTEN_PID", pid);
	set_number("LISTEN_FDS", count);
	if (names)
		g_setenv("LISTEN_FDNAMES", names, TRUE);
	notify_init();
}

static void listener(void)
{
	place_listeners(getpid(), 1, NULL);
	g_assert_cmpint(notify_listener(false), ==, 3);
	g_assert_cmpint(notify_listener(true), ==, -1);
	g_assert_cmpint(fcntl(3, F_GETFD) & FD_CLOEXEC, !=, 0);
	g_assert_cmpint(fcntl(3, F_GETFL) & O_NONBLOCK, !=, 0);
	g_assert_null(g_getenv("LISTEN_FDS"));
}

static void listener_of_another(void)
{
	place_listeners(getpid() + 1, 1, NULL);
	g_assert_cmpint(notify_listener(false), ==, -1);
}

static void listener_names(void)
{
	static const struct {
		const char *names;
		int count, rtsp, rtsps;
	} cases[] = {
		{ "rtsps:rtsp", 2, 4, 3 }, { "rtsp:rtsps", 2, 3, 4 }, { "rtsps", 1, -1, 3 },
		{ "voletd.socket", 1, 3, -1 }, { "rtsps2", 1, 3, -1 }, { "", 1, 3, -1 },
		{ "rtsps:rtsps", 2, -1, -2 }, { "a:b", 2, -2, -1 }, { NULL, 2, -2, -1 },
		{ "rtsps", 2, 4, 3 },
	};
	unsigned int i;

	for (i = 0; i < G_N_ELEMENTS(cases); i++) {
		place_listeners(getpid(), cases[i].count, cases[i].names);
		g_assert_cmpint(notify_listener(false), ==, cases[i].rtsp);
		g_assert_cmpint(notify_listener(true), ==, cases[i].rtsps);
	}
}

static void bad_names(void)
{
	g_autofree char *longer = g_strnfill(200, '/');
	const char *const names[] = { "", "/", "relative", longer, "/nowhere/at/all" };
	unsigned int i;

	for (i = 0; i < G_N_ELEMENTS(names); i++) {
		g_setenv("NOTIFY_SOCKET", names[i], TRUE);
		notify_init();
		notify_say("READY=1");
	}
}

static void run(gconstpointer function)
{
	in_process((GTestFunc)function);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_data_func("/notify/without", without, run);
	g_test_add_data_func("/notify/path", by_path, run);
	g_test_add_data_func("/notify/abstract", abstract, run);
	g_test_add_data_func("/notify/listener", listener, run);
	g_test_add_data_func("/notify/listener-of-another", listener_of_another, run);
	g_test_add_data_func("/notify/listener-names", listener_names, run);
	g_test_add_data_func("/notify/bad-names", bad_names, run);
	return g_test_run();
}
