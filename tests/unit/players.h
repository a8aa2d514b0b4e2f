/* SPDX-License-Identifier: MIT */
/* Real players on one session of volet-rtsp, if they are on this machine, and what they showed. */
#ifndef VOLET_TEST_PLAYERS_H
#define VOLET_TEST_PLAYERS_H

#include <glib.h>
#include "fake.h"

/* What each player is told to show, and the least that tells that it did. */
#define PLAYERS_PICTURES	15

/* Is this program here? If not, the test is skipped. */
bool players_have(const char *name);

/*
 * Run the shell line with $URL, which is `who` ("rtsp://alice:right") at the session's address
 * and cam0. Returns what it printed; its exit status and the session's end go into the others.
 */
char *players_run(const struct fake_config *config, const char *who, const char *line, int *status,
		  struct fake_result *result);

/* Distinct ends, from the last `from` on, of lines with `mark`: each tells a decoded picture. */
unsigned int players_count(const char *out, const char *mark, char from);

/*
 * 0 when gst-launch-1.0 came to its end, by what it printed. Its exit status does not tell that:
 * its CLOSE cancels its own PAUSE, and cancelled while it is written that is an error to it ("Could
 * not send message", GStreamer 1.26; each fourth time on a busy machine).
 */
int players_gstreamer_status(const char *out);

/* It has shown its pictures and ended by itself, as the session did when it had gone. */
void players_assert_shown(unsigned int pictures, int status, const struct fake_result *result);

#endif
