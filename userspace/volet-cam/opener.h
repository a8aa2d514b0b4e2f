/* SPDX-License-Identifier: MIT */
/*
 * Who opens the device. A camera that was unplugged comes back with new nodes, and its graph
 * has to be set up again; but the process that holds frames has given up all files by then.
 * So a second process of the same camera, forked before the sandbox, does it when it is
 * asked: it finds the media device, sets it up as the configuration says, reads it back and
 * sends the node's descriptor. It gets no word but "again" and never sees a frame.
 */
#ifndef VOLET_CAM_OPENER_H
#define VOLET_CAM_OPENER_H

#include "config.h"

struct opener {
	int sock;		/* readable when there is an answer */
	gboolean asked;
};

struct opened {
	int node;		/* the capture node, the receiver's */
	int errnum;		/* when it failed: the error's code, and the text below */
	char text[512];
};

/* Starts the process. `bus` is not for it. */
gboolean opener_start(struct opener *opener, const struct volet_camera_config *config, int bus,
		      GError **error);
void opener_stop(struct opener *opener);

/* Ask it to open the device. Both are FALSE when the process is gone. */
gboolean opener_ask(struct opener *opener);
/* `*have` is FALSE while there is no answer. Waits up to `timeout_ms` for it. */
gboolean opener_answer(struct opener *opener, struct opened *opened, gboolean *have,
		       int timeout_ms);

#endif
