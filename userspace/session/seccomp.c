// SPDX-License-Identifier: MIT
/*
 * The system calls a session program may make; every other one kills it. The list was
 * found by running volet-rtsp through its tests on amd64 and arm64; why each call is on it
 * is in Documentation/session-protocol.rst. Names are libseccomp's: one that a machine
 * doesn't have is skipped there.
 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Allowed whatever their arguments. */
static const char *const plain[] = {
	/* the viewer's socket, the channels, the log */
	"read", "write", "recvfrom", "recvmsg", "close", "shutdown", "getsockname",
	"getpeername", "getsockopt",
	/* waiting, and the time */
	"poll", "ppoll", "futex", "restart_syscall", "eventfd2", "clock_gettime", "gettimeofday",
	/* memory (mapping: see below) */
	"munmap", "mremap", "madvise", "brk", "getrandom",
	/* threads */
	"exit", "exit_group", "gettid", "getpid", "set_robust_list", "rseq", "rt_sigprocmask",
	"rt_sigaction", "rt_sigreturn", "sched_yield",
	/* the size of a received memfd */
	"fstat",
#ifdef __SANITIZE_ADDRESS__
	/* a build for tests, whose run-time library wants these of each thread */
	"sigaltstack", "sched_getaffinity", "prlimit64",
#endif
};

struct rule {
	const char *call;
	unsigned int n_args;
	struct scmp_arg_cmp args[2];
};

#define NONE_OF(arg, bits) SCMP_CMP64(arg, SCMP_CMP_MASKED_EQ, (bits), 0)
#define NO_EXEC(arg) NONE_OF(arg, PROT_EXEC)

/* Allowed with these arguments only; several rules of a call are alternatives. */
static const struct rule limited[] = {
	/* RLIMIT_DATA counts neither shared anonymous memory nor what grows down: without them. */
	{ "mmap", 2, { NO_EXEC(2), NONE_OF(3, MAP_SHARED | MAP_GROWSDOWN) } },
	{ "mmap", 2, { NO_EXEC(2), NONE_OF(3, MAP_ANONYMOUS | MAP_GROWSDOWN) } },
	{ "mprotect", 1, { NO_EXEC(2) } },
	{ "clone", 1, { SCMP_CMP64(0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD) } },
	/*
	 * To the connected peer, never to an address. MSG_FASTOPEN is a connect() that Landlock
	 * does not see, for the moment between voletd's cut of the connection and the kill.
	 */
	{ "sendto", 2, { SCMP_CMP64(4, SCMP_CMP_EQ, 0), NONE_OF(3, MSG_FASTOPEN) } },
	{ "sendmsg", 1, { NONE_OF(2, MSG_FASTOPEN) } },
	{ "socketpair", 1, { SCMP_CMP64(0, SCMP_CMP_EQ, AF_UNIX) } },
	{ "newfstatat", 1, { SCMP_CMP64(3, SCMP_CMP_EQ, AT_EMPTY_PATH) } },
	{ "fcntl", 1, { SCMP_CMP32(1, SCMP_CMP_EQ, F_GETFD) } },
	{ "fcntl", 1, { SCMP_CMP32(1, SCMP_CMP_EQ, F_SETFD) } },
	{ "fcntl", 1, { SCMP_CMP32(1, SCMP_CMP_EQ, F_GETFL) } },
	{ "fcntl", 1, { SCMP_CMP32(1, SCMP_CMP_EQ, F_SETFL) } },
	{ "fcntl", 1, { SCMP_CMP32(1, SCMP_CMP_EQ, F_GET_SEALS) } },
	/* SIOCOUTQ: bytes not acknowledged */
	{ "ioctl", 1, { SCMP_CMP32(1, SCMP_CMP_EQ, TIOCOUTQ) } },
	{ "prctl", 1, { SCMP_CMP32(0, SCMP_CMP_EQ, PR_SET_NAME) } },
	{ "prctl", 1, { SCMP_CMP32(0, SCMP_CMP_EQ, PR_GET_NAME) } },
};

/* Answered with an error instead of death: libc asks for it first and knows another way. */
static const struct {
	const char *call;
	int error;
} refused[] = {
	{ "clone3", ENOSYS },	/* its flags are in memory, where a filter can't look */
};

static int add(scmp_filter_ctx filter, uint32_t action, const struct rule *rule)
{
	int call = seccomp_syscall_resolve_name(rule->call);

	/* Negative numbers are calls of other machines. */
	return call < 0 ? 0 : seccomp_rule_add_array(filter, action, call, rule->n_args,
						     rule->args);
}

int sandbox_allow(void *filter, const char *const *calls, size_t n)
{
	int ret = 0;
	size_t i;

	for (i = 0; ret == 0 && i < n; i++)
		ret = add(filter, SCMP_ACT_ALLOW, &(struct rule){ .call = calls[i] });
	return ret;
}

struct ioctls {
	const uint32_t *numbers;
	unsigned int n;
};

static int fill(void *filter, const void *data)
{
	/* A tree instead of a list: sockets are written to thousands of times a second. */
	int ret = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	const struct ioctls *ioctls = data;
	size_t i;

	if (ret == 0)
		ret = sandbox_allow(filter, plain, sizeof(plain) / sizeof(plain[0]));
	for (i = 0; ret == 0 && i < sizeof(limited) / sizeof(limited[0]); i++)
		ret = add(filter, SCMP_ACT_ALLOW, &limited[i]);
	for (i = 0; ret == 0 && i < sizeof(refused) / sizeof(refused[0]); i++)
		ret = add(filter, SCMP_ACT_ERRNO(refused[i].error),
			  &(struct rule){ .call = refused[i].call });
	/* abort() of this process, and no signal to another. */
	if (ret == 0)
		ret = add(filter, SCMP_ACT_ALLOW, &(struct rule){ "tgkill", 1,
			  { SCMP_CMP64(0, SCMP_CMP_EQ, (scmp_datum_t)getpid()) } });
	for (i = 0; ret == 0 && i < ioctls->n; i++)
		ret = add(filter, SCMP_ACT_ALLOW, &(struct rule){ "ioctl", 1,
			  { SCMP_CMP32(1, SCMP_CMP_EQ, ioctls->numbers[i]) } });
	return ret;
}

bool sandbox_load(int (*fill_it)(void *filter, const void *data), const void *data,
		  char why[SANDBOX_WHY_MAX])
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int ret = filter ? seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH,
					    SCMP_ACT_KILL_PROCESS) : -ENOMEM;

	if (ret == 0)
		ret = fill_it(filter, data);
	if (ret == 0)
		ret = seccomp_load(filter);
	if (filter)
		seccomp_release(filter);
	if (ret == 0)
		return true;
	snprintf(why, SANDBOX_WHY_MAX, "can't load the system call filter (%s): the kernel needs"
		 " CONFIG_SECCOMP_FILTER=y (Linux 4.14 or later)", strerror(-ret));
	return false;
}

bool sandbox_seccomp(char why[SANDBOX_WHY_MAX])
{
	return sandbox_seccomp_with(NULL, 0, why);
}

bool sandbox_seccomp_with(const uint32_t *ioctls, unsigned int n_ioctls, char why[SANDBOX_WHY_MAX])
{
	return sandbox_load(fill, &(struct ioctls){ ioctls, n_ioctls }, why);
}
