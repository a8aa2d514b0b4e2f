/* SPDX-License-Identifier: MIT */
/* What the kernel may lack, named at start with what is weaker without it. */
#ifndef VOLET_KERNEL_H
#define VOLET_KERNEL_H

#include <stdbool.h>
#include <stddef.h>

enum kernel_option {
	KERNEL_LANDLOCK,
	KERNEL_LANDLOCK_NET,	/* ABI 4: TCP ports */
	KERNEL_SECCOMP,
	KERNEL_MEMFD_SEALS,	/* F_SEAL_FUTURE_WRITE */
	KERNEL_MEMFD_NOEXEC,
	KERNEL_UDMABUF,
	KERNEL_OPTIONS
};

/* What one program says of an option. */
struct kernel_need {
	enum kernel_option option;
	bool required;			/* it can't run, or nothing that it starts can */
	const char *without;
};

bool kernel_has(enum kernel_option option);

/* One line on stderr for each that is missing. False when one of them is required. */
bool kernel_check(const char *program, const struct kernel_need *needs, size_t n);

#endif
