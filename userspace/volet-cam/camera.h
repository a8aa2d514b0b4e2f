/* SPDX-License-Identifier: MIT */
/*
 * One camera's loop: grants come from the bus, frames from the source, are encoded once for
 * each profile that is watched, and given to the sessions that watch it. One thread: an encode
 * holds the loop for its time, in which the ring goes on filling; the newest frame is encoded
 * next and the others dropped, so a second thread would only move the wait.
 */
#ifndef VOLET_CAM_CAMERA_H
#define VOLET_CAM_CAMERA_H

#include "config.h"
#include "encode.h"
#include "sessions.h"
#include "source.h"

struct camera {
	const struct volet_camera_config *config;
	int bus;
	struct source source;
	struct encode *encodes[VOLET_PROFILES_MAX];	/* as config->profiles */
	struct sessions_profile profiles[VOLET_PROFILES_MAX];
	struct sessions sessions;
	guint64 encoded, encode_ns;
	guint64 broken;			/* frames that an encoder has lost */
	guint64 report_ns;		/* when the next figures are due */
	gboolean bus_lost;
};

/*
 * Set up the device, as far as it is there, and the encoders; nothing streams. Before the
 * sandbox.
 */
gboolean camera_open(struct camera *cam, const struct volet_camera_config *config, int bus,
		     GError **error);
void camera_close(struct camera *cam);

/* Whether devices code for it: encoders of the machine, or the camera itself (H.264). */
gboolean camera_has_codecs(const struct camera *cam);

/* Until the bus ends (TRUE), or this process can't go on (FALSE, with an error). */
gboolean camera_run(struct camera *cam, GError **error);

#endif
