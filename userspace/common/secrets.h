/* SPDX-License-Identifier: MIT */
/*
 * Frames, credentials and keys stay in memory: no core dump has them, and no swap. Every
 * program that holds one of them asks for both before it does.
 */
#ifndef VOLET_SECRETS_H
#define VOLET_SECRETS_H

#include <stdbool.h>

/*
 * From here on this process leaves no core, whether one would be a file or go to a program,
 * and can't be looked into by its own user; /proc/self belongs to root. False with errno.
 */
bool secrets_no_dump(void);

/*
 * Is there no way into swap for this process and what it starts? So it is when the machine
 * has no swap in use, or a cgroup that it is in may have none (memory.swap.max is 0). Asked at
 * the start of each program: swap that comes on later is seen at the next one.
 */
bool secrets_no_swap(void);

/* What to do where secrets_no_swap() says no; for a log line after "PROGRAM: ". */
#define SECRETS_SWAP_TEXT "refused to run: this machine has swap in use, and what is in this program's" \
	" memory (pictures, credentials, keys) could be written to it. Put it into a cgroup whose" \
	" memory.swap.max is 0 (in a systemd unit: MemorySwapMax=0), or turn swap off (swapoff -a)," \
	" or accept it with --allow-swap"
/* What is said where it was accepted. */
#define SECRETS_SWAP_WEAKER "WEAKER: --allow-swap: pictures, credentials and keys may be written to swap"

#endif
