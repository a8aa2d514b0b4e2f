/* SPDX-License-Identifier: MIT */
/* Attempts that are not in attempts.c: 0 when it worked, else errno; *count is what it counted. */
#ifndef ATTEMPTS_H
#define ATTEMPTS_H

#include "evil.h"

int attempt_steal(struct evil *evil, long pid, long *count);
int attempt_pair(struct evil *evil, long number, long *count);
int attempt_create(struct evil *evil, long number, long *count);
int attempt_zero(struct evil *evil, long number, long *count);

/* `number` MiB of them, or in one. */
int attempt_memfds(struct evil *evil, long number, long *count);
int attempt_mapped_memfds(struct evil *evil, long number, long *count);
int attempt_large_memfd(struct evil *evil, long number, long *count);

int attempt_flood_bus(struct evil *evil, long number, long *count);

#endif
