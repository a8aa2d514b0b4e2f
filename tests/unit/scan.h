/* SPDX-License-Identifier: MIT */
/* Look for bytes in another process's memory, as somebody who got hold of a core of it would. */
#ifndef VOLET_TEST_SCAN_H
#define VOLET_TEST_SCAN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* How often they are in the readable memory of a process; -1 when it can't be read. */
int scan_process(pid_t pid, const uint8_t *bytes, size_t length);

#endif
