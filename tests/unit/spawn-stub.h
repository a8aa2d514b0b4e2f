/* SPDX-License-Identifier: MIT */
/* What the program that volet-spawn starts in its test says of itself. */
#ifndef VOLET_TEST_SPAWN_STUB_H
#define VOLET_TEST_SPAWN_STUB_H

#include <stdint.h>
#include <sys/types.h>

struct stub_report {
	uid_t uids[3];
	gid_t gids[3];
	int groups;
	uint64_t capabilities;		/* of all five sets */
	int no_new_privs, death_signal, leads_session, blocked_signals;
	int variables;			/* in the environment */
	uint64_t descriptors;		/* a bit for each that is open */
	char directory[64];
	uint64_t core, file_size, files, processes;
	pid_t orphan;			/* in the answer to 'o' */
};

#endif
