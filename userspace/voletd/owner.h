/* SPDX-License-Identifier: MIT */
/* What the owner may ask: how things are, and that a session ends. Behind the control bus. */
#ifndef VOLET_OWNER_H
#define VOLET_OWNER_H

#include <glib.h>

struct daemon;

/* CONTROL_STATUS_TYPE of common/control-bus.h, floating. */
GVariant *owner_status(struct daemon *daemon);

/*
 * Ends, at once, the session of that id (or of its first 8 digits or more), or every one of
 * that viewer or camera. A name that could be two of these is to be written session:ID,
 * viewer:NAME or camera:NAME. Returns CONTROL_ENDED_TYPE, floating; or NULL, with the name of
 * a D-Bus error and a sentence.
 */
GVariant *owner_end(struct daemon *daemon, const char *what, const char **error, char **why);

#endif
