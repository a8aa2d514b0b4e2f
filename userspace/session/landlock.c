// SPDX-License-Identifier: MIT
/*
 * Landlock: no path may be opened, run, made or removed, no TCP port bound or connected to,
 * no process outside signalled. A second wall behind the call list of seccomp.c, which
 * can't see a path. Raw system calls: libc has none, and the kernel headers that a program
 * is built with may be older than the kernel it runs on, so the numbers are here.
 */
#include "sandbox.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_restrict_self 446
#endif

#define CREATE_VERSION		1u
#define SCOPE_ABSTRACT_UNIX	(1u << 0)
#define SCOPE_SIGNAL		(1u << 1)
#define NET_BIND_TCP		(1u << 0)
#define NET_CONNECT_TCP		(1u << 1)

struct ruleset {
	uint64_t access_fs, access_net, scoped;
};

/* Every right that the kernel's ABI version knows, and how much of the struct it reads. */
static size_t rights_of(long abi, struct ruleset *rules)
{
	/* 13 rights in ABI 1, then REFER, TRUNCATE and (ABI 5) IOCTL_DEV. */
	unsigned int fs = abi >= 5 ? 16 : abi >= 3 ? 15 : abi >= 2 ? 14 : 13;

	rules->access_fs = (1u << fs) - 1;
	rules->access_net = abi >= 4 ? NET_BIND_TCP | NET_CONNECT_TCP : 0;
	rules->scoped = abi >= 6 ? SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL : 0;
	return abi >= 6 ? sizeof(*rules) : abi >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
}

bool sandbox_landlock(char why[SANDBOX_WHY_MAX])
{
	struct ruleset rules = { 0 };
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_VERSION);
	long fd;

	if (abi < 1) {
		snprintf(why, SANDBOX_WHY_MAX, "this kernel has no Landlock (%s): it needs"
			 " CONFIG_SECURITY_LANDLOCK=y and landlock in CONFIG_LSM or in lsm= of its"
			 " command line", strerror(errno));
		return false;
	}
	fd = syscall(SYS_landlock_create_ruleset, &rules, rights_of(abi, &rules), 0);
	if (fd < 0 || syscall(SYS_landlock_restrict_self, fd, 0) < 0) {
		snprintf(why, SANDBOX_WHY_MAX, "Landlock (ABI %ld) refused: %s", abi,
			 strerror(errno));
		if (fd >= 0)
			close((int)fd);
		return false;
	}
	close((int)fd);
	return true;
}
