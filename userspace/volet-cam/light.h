/* SPDX-License-Identifier: MIT */
/*
 * A camera's exposure and white balance while it streams: each frame that counts is looked at,
 * and what is to be set goes to the process that may (sensor.h). Nothing here waits for anything.
 * What was found stays: a stream that starts again, or a device that comes back, begins with it.
 */
#ifndef VOLET_CAM_LIGHT_H
#define VOLET_CAM_LIGHT_H

#include "capture.h"
#include "meter.h"
#include "sensor.h"

struct light {
	const struct volet_camera_config *config;
	struct meter meter;
	gboolean exposing, balancing;
	struct exposure exposure;
	struct balance balance;
	double total;			/* exposure times gain of before the device went, or 0 */
	struct sensor_values wanted;	/* `what` is 0 when there is nothing */
	guint failures;			/* in a row */
	guint64 retry_ns;
	char *said;			/* in the log */
};

/* `raw`: the pictures are made of raw values. */
void light_init(struct light *l, const struct volet_camera_config *config, gboolean raw);
void light_free(struct light *l);

/* The device was opened, and this is what there is to set. */
void light_opened(struct light *l, const struct sensor_light *device);
/* A stream begins. */
void light_start(struct light *l);
void light_frame(struct light *l, const struct capture_frame *frame);

/* What to ask for now, or NULL; light_asked() says that it was. */
const struct sensor_values *light_wanted(const struct light *l);
void light_asked(struct light *l);

/*
 * What became of it. An `errnum` other than 0 is tried again; TRUE as long as there is hope, FALSE
 * when the device had better be opened anew.
 */
gboolean light_answer(struct light *l, const struct sensor_values *values, int errnum,
		      const char *text);

#endif
