/* SPDX-License-Identifier: MIT */
/*
 * volet-spawn is the one process that may change uid. It starts programs of a fixed table
 * for voletd, each under a uid that is its own, and ends them; it reads nothing else than
 * the fixed messages of one channel. main.c is its loop, child.c what a child becomes,
 * setup.c what it asks for and gives up at start.
 */
#ifndef VOLET_SPAWN_H
#define VOLET_SPAWN_H

#include <stdbool.h>

#include "protocol.h"
#include "uids.h"

struct spawn_options {
	const char *socket;
	uid_t daemon_uid;
	uid_t cam_first;
	unsigned int cam_count;
	gid_t cam_gid;
	uid_t session_first;
	unsigned int session_count;
	uid_t sign_uid;		/* 0: none, and no volet-sign */
	uid_t display_first;
	unsigned int display_count;	/* 0: none, and no volet-kms */
	gid_t display_gid;
	bool allow_swap;	/* what is started may be swapped out */
	char path[VOLET_PROGRAM_KMS + 1][256];	/* by enum volet_program */
};

/* Read the command line and check the programs; says what is wrong and exits on bad input. */
void spawn_options_read(struct spawn_options *options, int argc, char **argv);

/* The listening socket, which only the daemon's uid can connect to. Exits on failure. */
int spawn_listen(const struct spawn_options *options);

/*
 * Give up all but the right to change uid and gid and to kill. Also sees to it that the
 * log isn't a file: a session that could write to one could rewrite it. Returns the process
 * that writes it instead, without which nothing can go on, or 0 when there is none.
 */
pid_t spawn_drop(void);

/* In the child: become the program, with `fds` as its descriptors. Doesn't return. */
_Noreturn void child_run(const struct spawn_options *options, uint32_t program, uid_t uid,
			 const int fds[2], pid_t parent);

_Noreturn void spawn_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
