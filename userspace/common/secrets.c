// SPDX-License-Identifier: MIT
/* No core dumps and no swap; see secrets.h. */
#include "secrets.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#define CGROUPS "/sys/fs/cgroup"

bool secrets_no_dump(void)
{
#ifdef VOLET_FAULT_LOOSE	/* a build for tests only, whose crash leaves what it held */
	return true;
#else
	/* A core that goes to a program (core_pattern "|...") is not bound by the limit. */
	return setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 }) == 0 &&
	       prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
#endif
}

/* The start of a file, or "". */
static void read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, size - 1) : -1;

	text[n > 0 ? n : 0] = '\0';
	if (fd >= 0)
		close(fd);
}

/* Does this cgroup, or one that it is in, allow no swap? `path` is cut up. */
static bool cgroup_has_none(char *path)
{
	char file[sizeof(CGROUPS) + 4096 + sizeof("/memory.swap.max")], limit[32];
	char *end = path;

	while (end) {
		snprintf(file, sizeof(file), CGROUPS "%s/memory.swap.max", path);
		read_text(file, limit, sizeof(limit));
		if (!strcmp(limit, "0\n"))
			return true;
		end = strrchr(path, '/');
		if (end)
			*end = '\0';
	}
	return false;
}

bool secrets_no_swap(void)
{
	char text[4096], *path;
	struct sysinfo info;

	/* Not /proc/swaps, which a unit with ProcSubset=pid doesn't see. */
	if (sysinfo(&info) == 0 && info.totalswap == 0)
		return true;
	read_text("/proc/self/cgroup", text, sizeof(text));
	/* Version 2's line; "/" is the root of what this process sees. */
	path = strstr(text, "0::/");
	if (!path)
		return false;
	path += strlen("0::");
	path[strcspn(path, "\n")] = '\0';
	if (!strcmp(path, "/"))
		*path = '\0';
	return cgroup_has_none(path);
}
