// SPDX-License-Identifier: MIT
/* How a line of the log is written. Each test is a process with a stderr of its own. */
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"

/* Each write to it is a message. */
static unsigned int writes(size_t length, gboolean by_line)
{
	g_autofree char *text = g_strnfill(length, 'x'), *whole = g_strdup_printf("log: %s\n", text);
	g_autoptr(GString) read = g_string_new(NULL);
	unsigned int n = 0;
	char part[8192];
	int pair[2], status;
	ssize_t size;
	pid_t pid;

	g_assert_no_errno(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
	pid = fork();
	g_assert_no_errno(pid);
	if (!pid) {
		dup2(pair[1], STDERR_FILENO);
		if (by_line)
			log_by_line();
		fprintf(stderr, "log: %s\n", text);
		_exit(0);
	}
	close(pair[1]);
	for (; (size = recv(pair[0], part, sizeof(part), 0)) > 0; n++)
		g_string_append_len(read, part, size);
	close(pair[0]);
	g_assert_no_errno(waitpid(pid, &status, 0));
	g_assert_cmpint(status, ==, 0);
	g_assert_cmpstr(read->str, ==, whole);
	return n;
}

/* What happens without: another process may write in between, a reader sees half of it. */
static void torn(void)
{
	g_assert_cmpuint(writes(200, FALSE), >, 1);
}

static void whole(void)
{
	static const size_t lengths[] = { 0, 1, 100, 122, 123, 200, 1000, 4090 };
	unsigned int i;

	for (i = 0; i < G_N_ELEMENTS(lengths); i++)
		g_assert_cmpuint(writes(lengths[i], TRUE), ==, 1);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/log/torn-without", torn);
	g_test_add_func("/log/whole", whole);
	return g_test_run();
}
