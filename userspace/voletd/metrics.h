/* SPDX-License-Identifier: MIT */
/* Counters for Prometheus, on a socket of this machine. No viewer's name, no address. */
#ifndef VOLET_METRICS_H
#define VOLET_METRICS_H

#include <glib.h>

struct daemon;
struct metrics;

/* Opens the socket at `path`, for this user and its group. NULL with the error when it can't. */
struct metrics *metrics_open(struct daemon *daemon, const char *path, GError **error);
void metrics_close(struct metrics *metrics);

#endif
