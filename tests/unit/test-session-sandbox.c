// SPDX-License-Identifier: MIT
/*
 * What the sandbox forbids: each call is first made without it and works, then with it
 * by a child, which it kills. And what a session needs still works.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <grp.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <netinet/in.h>
#include <unistd.h>

#include "sandbox.h"

static pid_t victim;	/* a process of the same user, to be signalled and looked into */
static struct sockaddr_in listening;

/* Each returns 0 when the call did what it should. They run in a child of their own. */
static int try_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) < 0;
}

static int try_udp(void)
{
	return socket(AF_INET, SOCK_DGRAM, 0) < 0;
}

static int inherited_socket = -1;

static int try_connect(void)
{
	return connect(inherited_socket, (struct sockaddr *)&listening, sizeof(listening));
}

static int try_bind(void)
{
	struct sockaddr_in any = { .sin_family = AF_INET };

	return bind(inherited_socket, (struct sockaddr *)&any, sizeof(any));
}

static int try_listen(void)
{
	return listen(inherited_socket, 1);
}

static int try_sendto(void)
{
	struct sockaddr_in addr = listening;
	int fd = inherited_socket;

	/* TCP looks at the address last: that it is looked at at all is what matters. */
	return sendto(fd, "", 0, MSG_NOSIGNAL, (struct sockaddr *)&addr, sizeof(addr)) < 0 &&
	       errno != EPIPE;
}

static int try_open(void)
{
	return open("/proc/version", O_RDONLY) < 0;
}

static int try_creat(void)
{
	char path[] = "/tmp/volet-sandbox-XXXXXX";
	int fd = mkstemp(path);

	return fd < 0 || unlink(path);
}

static int try_execve(void)
{
	execl("/bin/true", "true", NULL);
	return 1;
}

static int try_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid < 0 || waitpid(pid, NULL, 0) != pid;
}

static int try_clone_process(void)
{
	/* what fork() is below libc */
	long pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return pid < 0 || waitpid((pid_t)pid, NULL, 0) != pid;
}

static int try_ptrace(void)
{
	if (ptrace(PTRACE_SEIZE, victim, 0, 0) < 0)
		return 1;
	return ptrace(PTRACE_INTERRUPT, victim, 0, 0) < 0;
}

static int secret = 42;

static int try_vm_readv(void)
{
	int got = 0;
	struct iovec here = { &got, sizeof(got) }, there = { &secret, sizeof(secret) };

	return process_vm_readv(victim, &here, 1, &there, 1, 0) != sizeof(got) || got != 42;
}

static int try_kill(void)
{
	return kill(victim, SIGCONT);
}

static int try_tgkill(void)
{
	return (int)syscall(SYS_tgkill, victim, victim, SIGCONT);
}

static int try_exec_map(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
}

static int try_exec_protect(void)
{
	void *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mprotect(p, 4096, PROT_READ | PROT_EXEC);
}

static int try_inet_pair(void)
{
	int pair[2];

	return socketpair(AF_INET, SOCK_STREAM, 0, pair) < 0 && errno != EOPNOTSUPP;
}

static int try_dumpable(void)
{
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static int try_dupfd(void)
{
	return fcntl(0, F_DUPFD, 30) < 0;
}

static int try_terminal(void)
{
	char c = '\n';

	/* types into the terminal that the log may be */
	return ioctl(0, TIOCSTI, &c) < 0 && errno != ENOTTY && errno != EIO && errno != EPERM;
}

static int try_memfd(void)
{
	return memfd_create("x", 0) < 0;
}

static int try_unshare(void)
{
	return unshare(CLONE_FILES);
}

static int try_uid(void)
{
	return setuid(getuid());
}

static const struct {
	const char *name;
	int (*call)(void);
} forbidden[] = {
	{ "socket", try_socket }, { "socket-udp", try_udp }, { "connect", try_connect },
	{ "bind", try_bind }, { "listen", try_listen }, { "sendto-address", try_sendto },
	{ "open", try_open }, { "create-file", try_creat }, { "execve", try_execve },
	{ "fork", try_fork }, { "clone-process", try_clone_process }, { "ptrace", try_ptrace },
	{ "process_vm_readv", try_vm_readv }, { "kill", try_kill }, { "tgkill", try_tgkill },
	{ "mmap-exec", try_exec_map }, { "mprotect-exec", try_exec_protect },
	{ "socketpair-inet", try_inet_pair }, { "prctl-dumpable", try_dumpable },
	{ "fcntl-dupfd", try_dupfd }, { "ioctl-tiocsti", try_terminal },
	{ "memfd_create", try_memfd }, { "unshare", try_unshare }, { "setuid", try_uid },
};

/* A user without rights, as a session is; root stays root only in what the test itself does. */
static void become_nobody(void)
{
	if (getuid() != 0)
		return;
	if (setgroups(0, NULL) < 0 || setresgid(61999, 61999, 61999) < 0 ||
	    setresuid(61999, 61999, 61999) < 0)
		_exit(99);
	/* A change of user hides a process from others of its user; the victim must be open. */
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

enum mode { OPEN, SHUT, SHUT_BUT_ONE, ONLY_LANDLOCK, ONLY_PRIVILEGES };

/* As volet-kms has one of its device; this one every socket answers. */
static const uint32_t one_more[] = { FIONREAD };

static int try_one_more(void)
{
	int n;

	return ioctl(inherited_socket, FIONREAD, &n) < 0 && errno != EINVAL;
}

static int try_another(void)
{
	int one = 1;

	return ioctl(inherited_socket, FIONBIO, &one) < 0;
}

static int run(int (*call)(void), enum mode mode)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		char why[SANDBOX_WHY_MAX];

		become_nobody();
		inherited_socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if ((mode == SHUT && !sandbox_apply(why)) ||
		    (mode == SHUT_BUT_ONE && !sandbox_apply_with(one_more, 1, why)) ||
		    (mode == ONLY_PRIVILEGES && !sandbox_privileges(why)) ||
		    (mode == ONLY_LANDLOCK && (!sandbox_privileges(why) || !sandbox_landlock(why)))) {
			fprintf(stderr, "# %s\n", why);
			_exit(98);
		}
		_exit(call() ? 1 : 0);
	}
	g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
	return status;
}

static bool killed(int status)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

static void test_forbidden(gconstpointer data)
{
	size_t i = GPOINTER_TO_SIZE(data);
	int status = run(forbidden[i].call, OPEN);

	g_assert_true(killed(run(forbidden[i].call, SHUT)));
	if (status == 1 << 8)
		g_test_skip("killed, but this machine forbids it without the sandbox as well");
	else
		g_assert_cmpint(status, ==, 0);
}

/* The second wall alone: without any call list, paths, ports and signals are refused. */
static void test_landlock(void)
{
	struct {
		const char *name;
		int (*call)(void);
	} calls[] = { { "open", try_open }, { "creat", try_creat }, { "execve", try_execve },
		      { "connect", try_connect }, { "bind", try_bind }, { "kill", try_kill } };
	size_t i;
	long abi = syscall(444, NULL, 0, 1);

	for (i = 0; i < G_N_ELEMENTS(calls); i++) {
		/* TCP came with ABI 4, signals with 6 */
		if ((i == 3 || i == 4) ? abi < 4 : i == 5 && abi < 6) {
			g_test_message("%s: Landlock ABI %ld can't", calls[i].name, abi);
			continue;
		}
		g_assert_cmpint(run(calls[i].call, OPEN), ==, 0);
		g_assert_cmpint(run(calls[i].call, ONLY_PRIVILEGES), ==, 0);
		g_assert_cmpint(run(calls[i].call, ONLY_LANDLOCK), ==, 1 << 8);
	}
}

static void *add_one(void *data)
{
	++*(int *)data;
	return data;
}

/* What a session does all day. */
static int use_allowed(void)
{
	int pair[2], n = 0;
	char c = 'x';
	GThread *thread = g_thread_new("t", add_one, &n);
	void *big = malloc(4 << 20);

	memset(big, 1, 4 << 20);
	big = realloc(big, 8 << 20);
	free(big);
	g_thread_join(thread);
	if (n != 1 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		return 1;
	if (write(pair[0], &c, 1) != 1 || read(pair[1], &c, 1) != 1)
		return 2;
	g_usleep(0);
	return 0;
}

static void test_allowed(void)
{
	g_assert_cmpint(run(use_allowed, SHUT), ==, 0);
}

/* A program's own ioctl is allowed to it, and no other is. */
static void test_one_more(void)
{
	g_assert_cmpint(run(try_one_more, OPEN), ==, 0);
	g_assert_cmpint(run(try_another, OPEN), ==, 0);
	g_assert_true(killed(run(try_one_more, SHUT)));
	g_assert_cmpint(run(try_one_more, SHUT_BUT_ONE), ==, 0);
	g_assert_true(killed(run(try_another, SHUT_BUT_ONE)));
}

static int look_at_limits(void)
{
	struct rlimit core, files;

	/* allowed only before the call list: that's why this runs without it */
	getrlimit(RLIMIT_CORE, &core);
	getrlimit(RLIMIT_NOFILE, &files);
	return !(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 &&
		 core.rlim_max == 0 && files.rlim_max == 64);
}

static void test_privileges(void)
{
	g_assert_cmpint(run(look_at_limits, ONLY_PRIVILEGES), ==, 0);
}

/* A second thread would stay outside of Landlock: the sandbox refuses to pretend. */
static int apply_late(void)
{
	char why[SANDBOX_WHY_MAX] = "";
	GThread *thread = g_thread_new("t", (GThreadFunc)(void (*)(void))pause, NULL);
	bool applied = sandbox_apply(why);

	(void)thread;
	return applied || strcmp(why, "2 threads run already; the sandbox must be first") != 0;
}

static void test_threads(void)
{
	g_assert_cmpint(run(apply_late, OPEN), ==, 0);
}

/* ---- how it was started ------------------------------------------------------------- */

static const char *expected;

static int check_start(void)
{
	char why[SANDBOX_WHY_MAX] = "";
	bool ok = sandbox_check_start(4, why);

	if (expected ? ok || !g_str_has_prefix(why, expected) : !ok)
		fprintf(stderr, "# %d %s\n", ok, why);
	return expected ? ok || !g_str_has_prefix(why, expected) : !ok;
}

/* In a child with descriptors 0 to `last` and none else. */
static int run_start(int last, bool root)
{
	pid_t pid = fork();
	int i, status;

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		for (i = 3; i <= last; i++)
			if (i != null)
				dup2(null, i);
		close_range((unsigned int)last + 1, ~0u, 0);
		if (!root)
			become_nobody();
		_exit(check_start());
	}
	g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
	return status;
}

static void test_start(void)
{
	expected = NULL;
	g_assert_cmpint(run_start(4, false), ==, 0);
	expected = "started with descriptor 5 open";
	g_assert_cmpint(run_start(5, false), ==, 0);
	expected = "started with 4 descriptors, not 0 to 4";
	g_assert_cmpint(run_start(3, false), ==, 0);
	if (getuid() == 0) {
		expected = "started as root";
		g_assert_cmpint(run_start(4, true), ==, 0);
	} else {
		g_test_message("not root: that root is refused was not tried");
	}
}

static void start_victim(void)
{
	int ready[2];
	char c;

	g_assert_cmpint(pipe2(ready, O_CLOEXEC), ==, 0);
	victim = fork();
	if (victim == 0) {
		become_nobody();
		/* Where Yama lets only parents look in: anyone may. */
		prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		if (write(ready[1], "x", 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	g_assert_cmpint(read(ready[0], &c, 1), ==, 1);
}

int main(int argc, char **argv)
{
	socklen_t size = sizeof(listening);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t i;

	g_test_init(&argc, &argv, NULL);
	listening.sin_family = AF_INET;
	listening.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	g_assert_cmpint(bind(listener, (struct sockaddr *)&listening, size), ==, 0);
	g_assert_cmpint(listen(listener, 64), ==, 0);
	g_assert_cmpint(getsockname(listener, (struct sockaddr *)&listening, &size), ==, 0);
	start_victim();
	for (i = 0; i < G_N_ELEMENTS(forbidden); i++) {
		g_autofree char *path = g_strconcat("/sandbox/forbidden/", forbidden[i].name, NULL);

		g_test_add_data_func(path, GSIZE_TO_POINTER(i), test_forbidden);
	}
	g_test_add_func("/sandbox/landlock", test_landlock);
	g_test_add_func("/sandbox/allowed", test_allowed);
	g_test_add_func("/sandbox/one-more", test_one_more);
	g_test_add_func("/sandbox/privileges", test_privileges);
	g_test_add_func("/sandbox/threads", test_threads);
	g_test_add_func("/sandbox/start", test_start);
	i = (size_t)g_test_run();
	kill(victim, SIGKILL);
	return (int)i;
}
