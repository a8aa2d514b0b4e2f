/* SPDX-License-Identifier: MIT */
/*
 * What a session program shuts itself into, while it has one thread and before it reads
 * its first byte from the network. Each function returns false with a sentence in `why`
 * that says what is missing; the program then refuses to run. There is no weaker mode.
 */
#ifndef VOLET_SESSION_SANDBOX_H
#define VOLET_SESSION_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SANDBOX_WHY_MAX 256

/*
 * Was the program started as it should be? Not as root, without any capability, and with
 * descriptors 0 to `last_fd` open and nothing else. (What a program opens of its own is
 * opened after this.)
 */
bool sandbox_check_start(int last_fd, char why[SANDBOX_WHY_MAX]);

/* The whole, in order; the parts below are separate for their tests. */
bool sandbox_apply(char why[SANDBOX_WHY_MAX]);

/* The same, with these ioctls allowed too, for what the program opened itself before. */
bool sandbox_apply_with(const uint32_t *ioctls, unsigned int n_ioctls, char why[SANDBOX_WHY_MAX]);

/* no_new_privs, capabilities, dumpable, limits */
bool sandbox_privileges(char why[SANDBOX_WHY_MAX]);
bool sandbox_landlock(char why[SANDBOX_WHY_MAX]);
bool sandbox_seccomp(char why[SANDBOX_WHY_MAX]);
bool sandbox_seccomp_with(const uint32_t *ioctls, unsigned int n_ioctls, char why[SANDBOX_WHY_MAX]);

/*
 * Another list of calls than a session program's: load a filter that kills for every call but
 * those that `fill(filter, data)` adds to it. It returns 0 or a negative errno.
 */
bool sandbox_load(int (*fill)(void *filter, const void *data), const void *data,
		  char why[SANDBOX_WHY_MAX]);

/* For `fill`: these calls whatever their arguments; a machine's own are left out on others. */
int sandbox_allow(void *filter, const char *const *calls, size_t n);

#endif
