/* SPDX-License-Identifier: MIT */
/* A listening socket of this machine, for the control bus, the metrics and local consumers. */
#ifndef VOLET_LOCAL_H
#define VOLET_LOCAL_H

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

#define LOCAL_NO_GROUP ((gid_t)-1)

/*
 * A stream socket at `path` that its owner can open, and the group `gid` when there is one.
 * What an earlier voletd left there is replaced, anything else isn't. Returns it, or -1.
 */
int local_listen(const char *path, gid_t gid, GError **error);

/* The same for messages, and for everybody: who it is has to be asked of each connection. */
int local_listen_to_all(const char *path, GError **error);

/* The peer's uid and process, as the kernel has them; false when it doesn't say. */
bool local_peer(int fd, uid_t *uid, pid_t *pid);

/* True when the peer is root, this process's own user, or of the group `gid`. */
bool local_peer_ok(int fd, gid_t gid, uid_t *uid);

#endif
