/* SPDX-License-Identifier: MIT */
/*
 * User ids for sessions: each is one session's alone. They are handed out in turn, and one
 * that was used comes back only when its quarantine is over, so that nothing that belongs
 * to a session (a process that is still dying, a record that names the uid) can be
 * taken for the next one's. When none is left there is none.
 */
#ifndef VOLET_UIDS_H
#define VOLET_UIDS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define UIDS_MAX		4096
#define UIDS_QUARANTINE_NS	(10 * 1000000000LL)

struct uids {
	uid_t first;
	unsigned int count, next;
	bool alive[UIDS_MAX];
	int64_t free_ns[UIDS_MAX];	/* not before this time */
};

/* A uid that is nobody's now, or 0 when there is none. */
uid_t uids_take(struct uids *uids, int64_t now_ns);

/* Its last process has been waited for. */
void uids_give_back(struct uids *uids, uid_t uid, int64_t now_ns);

#endif
