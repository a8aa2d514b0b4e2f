// SPDX-License-Identifier: MIT
/* The start-up check of the kernel; see kernel.h. */
#include "kernel.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The headers that a program is built with may be older than the kernel it runs on. */
#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif
#define LANDLOCK_VERSION 1u

static bool has_landlock(long version)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION) >= version;
}

static bool has_seccomp(void)
{
	uint32_t action = SECCOMP_RET_KILL_PROCESS;

	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

static bool has_memfd(unsigned int flags, int seals)
{
	int fd = memfd_create("volet-check", MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);
	bool ok = fd >= 0 && fcntl(fd, F_ADD_SEALS, seals) == 0;

	if (fd >= 0)
		close(fd);
	return ok;
}

bool kernel_has(enum kernel_option option)
{
	switch (option) {
	case KERNEL_LANDLOCK:
		return has_landlock(1);
	case KERNEL_LANDLOCK_NET:
		return has_landlock(4);
	case KERNEL_SECCOMP:
		return has_seccomp();
	case KERNEL_MEMFD_SEALS:
		return has_memfd(0, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL);
	case KERNEL_MEMFD_NOEXEC:
		return has_memfd(MFD_NOEXEC_SEAL, F_SEAL_SEAL);
	case KERNEL_UDMABUF:
		return access("/dev/udmabuf", F_OK) == 0;
	default:
		return false;
	}
}

bool kernel_check(const char *program, const struct kernel_need *needs, size_t n)
{
	static const char *const names[KERNEL_OPTIONS] = {
		[KERNEL_LANDLOCK] = "Landlock (CONFIG_SECURITY_LANDLOCK=y, and landlock in CONFIG_LSM or"
				    " lsm=)",
		[KERNEL_LANDLOCK_NET] = "Landlock of version 4 (Linux 6.7)",
		[KERNEL_SECCOMP] = "seccomp filters (CONFIG_SECCOMP_FILTER=y, Linux 4.14)",
		[KERNEL_MEMFD_SEALS] = "sealed memory (CONFIG_MEMFD_CREATE=y, Linux 5.1)",
		[KERNEL_MEMFD_NOEXEC] = "memory files without execution (Linux 6.3)",
		[KERNEL_UDMABUF] = "/dev/udmabuf (CONFIG_UDMABUF=y or m; modprobe udmabuf)",
	};
	bool can_run = true;
	size_t i;

	for (i = 0; i < n; i++) {
		if (kernel_has(needs[i].option))
			continue;
		fprintf(stderr, "%s: the kernel has no %s: %s\n", program, names[needs[i].option],
			needs[i].without);
		can_run = can_run && !needs[i].required;
	}
	return can_run;
}
