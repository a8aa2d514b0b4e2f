// SPDX-License-Identifier: MIT
/* No core dump: what a program is after it has asked for it. Swap is tested on the board. */
#include <glib.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "secrets.h"

/* In a child, which no other test is then bound by: its exit status, or its signal. */
static int in_child(int (*run)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(run());
	g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
	return status;
}

static int asks(void)
{
	struct rlimit core = { 1, 1 };

	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 1 || !secrets_no_dump())
		return 1;
	getrlimit(RLIMIT_CORE, &core);
	return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 && core.rlim_cur == 0 && core.rlim_max == 0 ? 0 : 2;
}

static void test_no_dump(void)
{
	g_assert_cmpint(in_child(asks), ==, 0);
}

static int crashes(void)
{
	if (!secrets_no_dump())
		return 1;
	raise(SIGABRT);
	return 1;
}

static void test_crash(void)
{
	int status = in_child(crashes);

	g_assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && !WCOREDUMP(status));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/secrets/no-dump", test_no_dump);
	g_test_add_func("/secrets/crash", test_crash);
	return g_test_run();
}
