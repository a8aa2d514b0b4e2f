// SPDX-License-Identifier: MIT
/* From fork() to the program: what a child of volet-spawn is left with; see spawn.h. */
#include "spawn.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "secrets.h"

static void limit(int resource, rlim_t value)
{
	const struct rlimit limits = { value, value };

	if (setrlimit(resource, &limits) < 0)
		spawn_die("setrlimit: %m");
}

/* At most so much: where this process may have less itself, that. */
static void limit_to(int resource, rlim_t value)
{
	struct rlimit limits;

	if (getrlimit(resource, &limits) < 0)
		spawn_die("getrlimit: %m");
	limit(resource, limits.rlim_max < value ? limits.rlim_max : value);
}

static void set_limits(uint32_t program)
{
	limit(RLIMIT_CORE, 0);	/* each takes a core that would go to a program from itself */
	limit(RLIMIT_NPROC, 32);	/* threads count; gst-rtsp-server has 8, an encoder a few */
	if (program == VOLET_PROGRAM_CAM) {
		/* It limits itself further once it knows its camera: volet-cam/rlimits.c. */
		limit_to(RLIMIT_NOFILE, 8192);
	} else {
		limit(RLIMIT_NOFILE, 64);
		/* volet-sign puts the certificate into a memfd; the others make no file. */
		limit(RLIMIT_FSIZE, program == VOLET_PROGRAM_SIGN ? 64 * 1024 : 0);
	}
}

static void change_user(uid_t uid, gid_t gid)
{
	uid_t r, e, s;

	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		spawn_die("can't become uid %u, gid %u: %m", uid, gid);
	if (getresuid(&r, &e, &s) < 0 || r != uid || e != uid || s != uid || setuid(0) == 0)
		spawn_die("uid %u didn't take", uid);
}

/* 0 and 1 nothing, 2 the log, 3 and 4 the program's own; no other. */
static void place_descriptors(const int fds[2])
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int control = fcntl(fds[0], F_DUPFD_CLOEXEC, 64);
	int extra = fcntl(fds[1], F_DUPFD_CLOEXEC, 64);

	if (null < 0 || control < 0 || extra < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 ||
	    dup2(control, VOLET_FD_CONTROL) < 0 || dup2(extra, VOLET_FD_EXTRA) < 0 ||
	    close_range(VOLET_FD_EXTRA + 1, ~0U, 0) < 0)
		spawn_die("can't place descriptors: %m");
}

_Noreturn void child_run(const struct spawn_options *options, uint32_t program, uid_t uid,
			 const int fds[2], pid_t parent)
{
	static char *const environment[] = { NULL };
	char *const arguments[] = { (char *)options->path[program], NULL };
	sigset_t none;

	/* Again for each: it may have been turned on since. */
	if (!options->allow_swap && !secrets_no_swap())
		spawn_die("%s: " SECRETS_SWAP_TEXT, options->path[program]);
	place_descriptors(fds);
	umask(0077);
	if (setsid() < 0 || chdir("/") < 0)
		spawn_die("child: %m");
	set_limits(program);
	change_user(uid, program == VOLET_PROGRAM_CAM ? options->cam_gid :
		    program == VOLET_PROGRAM_KMS ? options->display_gid : (gid_t)uid);
	/* The change of uid cleared it, so it comes after; then the parent may be gone already. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(EXIT_FAILURE);
	/*
	 * Whatever is left under this uid ends before it is used again; not this process. A volet-sign
	 * leaves nothing (it can't fork), and goes on until the next one is ready.
	 */
	if (program != VOLET_PROGRAM_SIGN)
		kill(-1, SIGKILL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(options->path[program], arguments, environment);
	spawn_die("%s: %m", options->path[program]);
}
