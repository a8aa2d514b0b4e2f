/* SPDX-License-Identifier: MIT */
/* voletd's answers for people and for programs. */
#ifndef VOLETCTL_SHOW_H
#define VOLETCTL_SHOW_H

#include <glib.h>

/* CONTROL_STATUS_TYPE as one JSON object: daemon, cameras, sessions. */
char *show_json(GVariant *status);

/* The same as text of several lines. */
char *show_tables(GVariant *status);

/* CONTROL_ENDED_TYPE, one line for each session. */
char *show_ended(GVariant *ended);

#endif
