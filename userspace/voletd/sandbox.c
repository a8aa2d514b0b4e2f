// SPDX-License-Identifier: MIT
/*
 * What voletd gives up once all it needs is open: files (but for its configuration, which
 * can be read again), new listening or connecting sockets, new privileges, being looked into. A kernel without Landlock leaves it the
 * files that its uid has, which kernel_check() says in the log.
 */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel.h"

/* Everything that version 1 knows; a handled right that no rule gives back is refused. */
#define FILES_V1 ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)

/* A file that is replaced is another file, so what stays readable is its directory. */
static bool keep_readable(int ruleset, const char *config)
{
	g_autofree char *directory = g_path_get_dirname(config);
	struct landlock_path_beneath_attr beneath = {
		.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE,
		.parent_fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC),
	};
	bool ok = beneath.parent_fd >= 0 &&
		  syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) == 0;

	if (beneath.parent_fd >= 0)
		close(beneath.parent_fd);
	return ok;
}

static bool landlock(const char *config)
{
	struct landlock_ruleset_attr attr = { .handled_access_fs = FILES_V1 };
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0,
			       LANDLOCK_CREATE_RULESET_VERSION);
	int ruleset;
	bool ok;

	if (version < 1)
		return false;
	if (version >= 3)
		attr.handled_access_fs |= LANDLOCK_ACCESS_FS_REFER | LANDLOCK_ACCESS_FS_TRUNCATE;
	if (version >= 4)
		attr.handled_access_net = LANDLOCK_ACCESS_NET_BIND_TCP |
					  LANDLOCK_ACCESS_NET_CONNECT_TCP;
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	ok = ruleset >= 0 && keep_readable(ruleset, config) &&
	     syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
	if (ruleset >= 0)
		close(ruleset);
	return ok;
}

void sandbox_enter(const char *config)
{
	struct rlimit files;
	static const struct kernel_need needs[] = {
		{ KERNEL_LANDLOCK, false, "the files that voletd's user can read stay readable to it" },
		{ KERNEL_LANDLOCK_NET, false, "voletd could open and connect to TCP ports" },
		{ KERNEL_MEMFD_NOEXEC, false, "a camera's section isn't marked as never to be run" },
	};
	const struct rlimit none = { 0 };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0 ||
	    setrlimit(RLIMIT_CORE, &none) < 0) {
		say("the kernel refuses to take rights away: %s", g_strerror(errno));
		exit(EXIT_FAILURE);
	}
	/* Two descriptors a connection, and max-sessions can be more than the usual limit. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = MIN(files.rlim_max, 8192);
		setrlimit(RLIMIT_NOFILE, &files);
	}
	kernel_check("voletd", needs, G_N_ELEMENTS(needs));
	if (kernel_has(KERNEL_LANDLOCK) && !landlock(config)) {
		say("Landlock refuses to take files away: %s", g_strerror(errno));
		exit(EXIT_FAILURE);
	}
}
