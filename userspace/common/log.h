/* SPDX-License-Identifier: MIT */
/* The log on stderr, which the programs share: a line of one is never cut by another's. */
#ifndef VOLET_LOG_H
#define VOLET_LOG_H

/*
 * From here on each line on stderr is one write(), up to 4096 bytes (PIPE_BUF, so whole in a
 * pipe too). Call it first in main(): by default glibc writes a line in pieces of 128 bytes.
 * Programs of a session use dprintf() instead, which is one write as it is.
 */
void log_by_line(void);

#endif
