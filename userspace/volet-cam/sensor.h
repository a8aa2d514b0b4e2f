/* SPDX-License-Identifier: MIT */
/*
 * The sensor's light controls, on volet-opener's side. That process sets them, on request and by
 * fixed numbers, and not the one that has the frames, because
 *
 *   - a setting is a row of transfers on a slow bus, which on one that hangs takes seconds: here
 *     nobody's picture waits for it. What it costs is a message there and back, less than a
 *     thousandth of a frame;
 *   - a system-call filter sees the number of an ioctl and not the descriptor: were S_EXT_CTRLS
 *     on volet-cam's list, it would be for each control of each node that it holds, and it
 *     would have to hold the sensor's. So its list has no control at all, as before;
 *   - what a volet-cam that was taken over can ask for is what it may decide anyway: how
 *     bright its own camera's picture is, within the ranges that the driver checks.
 */
#ifndef VOLET_CAM_SENSOR_H
#define VOLET_CAM_SENSOR_H

#include "balance.h"
#include "config.h"
#include "exposure.h"
#include "media.h"

#define SENSOR_NOTE_MAX	160

/* What there is to set. */
struct sensor_light {
	guint32 has_exposure, has_balance;
	struct exposure_range range;
	struct exposure_setting exposure;	/* now */
	struct balance_range red, blue;
	struct balance_setting balance;
	/* Where there is none of it: why. */
	char exposure_note[SENSOR_NOTE_MAX], balance_note[SENSOR_NOTE_MAX];
};

/* A request, and what became of it. What isn't named in `what` is left as it is. */
#define SENSOR_EXPOSURE	1u
#define SENSOR_BALANCE	2u

struct sensor_values {
	guint32 what;
	guint64 set_ns;			/* when it was done, CLOCK_MONOTONIC */
	struct exposure_setting exposure;
	struct balance_setting balance;
};

struct sensor {
	int fd, isp;			/* sub-devices; -1 where it isn't needed */
	guint32 gain;			/* which control that is */
	gint32 height;			/* lines of a frame without its blanking; 0: not known */
};

/*
 * Open what the configuration wants set. What can't be and needn't be is said in the notes, what
 * can't be and has to be is an error.
 */
gboolean sensor_open(struct sensor *s, struct media *media,
		     const struct volet_camera_config *config, struct sensor_light *light,
		     GError **error);
void sensor_close(struct sensor *s);

/* Set, and read back into `values`. The error's code is the errno. */
gboolean sensor_set(struct sensor *s, struct sensor_values *values, GError **error);

#endif
