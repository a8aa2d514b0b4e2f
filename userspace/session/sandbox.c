// SPDX-License-Identifier: MIT
/* What a session program shuts itself into; see sandbox.h. The call list is in seccomp.c. */
#include "sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "secrets.h"

/*
 * What no session needs more of. Memory is what GStreamer's threads and two frames take,
 * many times over. There is no limit on file size: the log may be a file.
 */
static const struct {
	int resource;
	const char *name;
	rlim_t limit;
} limits[] = {
	{ RLIMIT_NOFILE, "RLIMIT_NOFILE", 64 },
	{ RLIMIT_NPROC, "RLIMIT_NPROC", 64 },
#ifndef __SANITIZE_ADDRESS__	/* which reserves terabytes for itself */
	{ RLIMIT_DATA, "RLIMIT_DATA", 256u << 20 },
#endif
	{ RLIMIT_MEMLOCK, "RLIMIT_MEMLOCK", 0 },
	{ RLIMIT_MSGQUEUE, "RLIMIT_MSGQUEUE", 0 },
};

/* Call `each` for the numbers in a directory of /proc; false when it can't be read. */
static bool each_number(const char *path, bool (*each)(long number, void *data), void *data,
			char why[SANDBOX_WHY_MAX])
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	bool ok = true;

	if (!dir) {
		snprintf(why, SANDBOX_WHY_MAX, "can't read %s (%s): mount /proc (CONFIG_PROC_FS)",
			 path, strerror(errno));
		return false;
	}
	while (ok && (entry = readdir(dir))) {
		long number = strtol(entry->d_name, NULL, 10);

		if (entry->d_name[0] != '.' && number != dirfd(dir))
			ok = each(number, data);
	}
	closedir(dir);
	return ok;
}

struct fd_check {
	int last_fd;
	unsigned int seen;
	char *why;
};

static bool fd_expected(long number, void *data)
{
	struct fd_check *check = data;

	if (number > check->last_fd) {
		snprintf(check->why, SANDBOX_WHY_MAX, "started with descriptor %ld open:"
			 " volet-spawn must close all but 0 to %d", number, check->last_fd);
		return false;
	}
	check->seen++;
	return true;
}

static bool no_capabilities(char why[SANDBOX_WHY_MAX])
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) < 0) {
		snprintf(why, SANDBOX_WHY_MAX, "can't read its capabilities: %s", strerror(errno));
		return false;
	}
	if (data[0].effective | data[1].effective | data[0].permitted | data[1].permitted |
	    data[0].inheritable | data[1].inheritable) {
		snprintf(why, SANDBOX_WHY_MAX, "started with capabilities:"
			 " volet-spawn must drop them");
		return false;
	}
	return true;
}

bool sandbox_check_start(int last_fd, char why[SANDBOX_WHY_MAX])
{
	struct fd_check check = { .last_fd = last_fd, .why = why };

	if (getuid() == 0 || geteuid() == 0 || getgid() == 0 || getegid() == 0) {
		snprintf(why, SANDBOX_WHY_MAX, "started as root: volet-spawn gives each session"
			 " a user of its own");
		return false;
	}
	if (!no_capabilities(why) || !each_number("/proc/self/fd", fd_expected, &check, why))
		return false;
	if (check.seen != (unsigned int)last_fd + 1) {
		snprintf(why, SANDBOX_WHY_MAX, "started with %u descriptors, not 0 to %d:"
			 " this program is started by volet-spawn", check.seen, last_fd);
		return false;
	}
	return true;
}

static bool count_thread(long number, void *data)
{
	(void)number;
	++*(unsigned int *)data;
	return true;
}

/* Landlock and the rest bind the thread that asks, and those it starts later. */
static bool one_thread(char why[SANDBOX_WHY_MAX])
{
	unsigned int n = 0;

	if (!each_number("/proc/self/task", count_thread, &n, why))
		return false;
	if (n != 1) {
		snprintf(why, SANDBOX_WHY_MAX, "%u threads run already; the sandbox must be first",
			 n);
		return false;
	}
	return true;
}

static bool drop_capabilities(char why[SANDBOX_WHY_MAX])
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
	    syscall(SYS_capset, &header, none) < 0) {
		snprintf(why, SANDBOX_WHY_MAX, "can't drop capabilities: %s", strerror(errno));
		return false;
	}
	return true;
}

bool sandbox_privileges(char why[SANDBOX_WHY_MAX])
{
	size_t i;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		snprintf(why, SANDBOX_WHY_MAX, "can't set no_new_privs: %s", strerror(errno));
		return false;
	}
	if (!drop_capabilities(why))
		return false;
	for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		struct rlimit now;

		if (getrlimit(limits[i].resource, &now) < 0 ||
		    (now.rlim_max > limits[i].limit &&
		     setrlimit(limits[i].resource,
			       &(struct rlimit){ limits[i].limit, limits[i].limit }) < 0)) {
			snprintf(why, SANDBOX_WHY_MAX, "can't set %s: %s", limits[i].name,
				 strerror(errno));
			return false;
		}
	}
	/* Last: from here on /proc/self belongs to root. */
	if (!secrets_no_dump()) {
		snprintf(why, SANDBOX_WHY_MAX, "can't become undumpable: %s", strerror(errno));
		return false;
	}
	return true;
}

bool sandbox_apply(char why[SANDBOX_WHY_MAX])
{
	return sandbox_apply_with(NULL, 0, why);
}

bool sandbox_apply_with(const uint32_t *ioctls, unsigned int n_ioctls, char why[SANDBOX_WHY_MAX])
{
	return one_thread(why) && sandbox_privileges(why) && sandbox_landlock(why) &&
	       sandbox_seccomp_with(ioctls, n_ioctls, why);
}
