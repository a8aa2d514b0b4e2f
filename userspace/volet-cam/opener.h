/* SPDX-License-Identifier: MIT */
/*
 * Who opens the device. A camera that was unplugged comes back with new nodes, and its graph
 * has to be set up again; but the process that holds frames has given up all files by then.
 * So a second process of the same camera, forked before the sandbox, does it when it is
 * asked: it finds the media device, sets it up as the configuration says, reads it back and
 * sends the node's descriptor. It also sets the sensor's exposure, gain and white balance, for the
 * reasons in sensor.h. It gets no word but "again" and those numbers, and never sees a frame.
 *
 * With the node it sends the machine's DMA-heap of contiguous memory, for receivers that take no
 * other; of several heaps that one alone, because it is all that the camera has to have.
 */
#ifndef VOLET_CAM_OPENER_H
#define VOLET_CAM_OPENER_H

#include "config.h"
#include "sensor.h"

struct opener {
	int sock;		/* readable when there is an answer */
	gboolean asked;		/* to open */
	gboolean setting;	/* asked to set */
};

enum opener_what {
	OPENER_OPEN = 1,
	OPENER_SET
};

/* A question has `what` and `values`; an answer is to the oldest question. */
struct opener_question {
	guint32 what;		/* enum opener_what */
	struct sensor_values values;
};

struct opener_answer {
	guint32 what;		/* as asked */
	gint32 errnum;		/* when it failed: the error's code, and the text below */
	char text[512];
	struct sensor_light light;	/* OPEN: what can be set */
	struct sensor_values values;	/* SET: what was set */
};

struct opener_files {
	int node;		/* of the capture queue */
	int heap;		/* of contiguous memory, or -1 where there is none */
};

/* Starts the process. `bus` is not for it. */
gboolean opener_start(struct opener *opener, const struct volet_camera_config *config, int bus,
		      GError **error);
void opener_stop(struct opener *opener);

/* Ask it to open the device. Both are FALSE when the process is gone. */
gboolean opener_ask(struct opener *opener);
/*
 * `*have` is FALSE while there is no answer; `*files` are then the receiver's, or -1 in the answer
 * to anything else or with an error. Waits up to `timeout_ms`.
 */
gboolean opener_answer(struct opener *opener, struct opener_answer *answer,
		       struct opener_files *files, gboolean *have, int timeout_ms);

/* Ask it to set the sensor, when it isn't at something already. FALSE when it isn't asked. */
gboolean opener_set(struct opener *opener, const struct sensor_values *values);

#endif
