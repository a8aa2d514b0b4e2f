/* SPDX-License-Identifier: MIT */
/* The owner's way in: the control bus, for voletctl. */
#ifndef VOLET_CONTROL_H
#define VOLET_CONTROL_H

#include <glib.h>
#include <sys/types.h>

struct daemon;
struct control;

/*
 * Opens the socket at `path`; root, this user and the group `gid` (or LOCAL_NO_GROUP) may use
 * it. Starts no thread before the first connection. NULL with the error when it can't.
 */
struct control *control_open(struct daemon *daemon, const char *path, gid_t gid, GError **error);
void control_close(struct control *control);

#endif
