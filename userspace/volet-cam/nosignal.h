/* SPDX-License-Identifier: MIT */
/*
 * The picture that viewers get when the camera gives none: it says so, why, and for how
 * long. It is drawn anew each time into memory of its own, in which no camera's picture
 * ever was.
 */
#ifndef VOLET_CAM_NOSIGNAL_H
#define VOLET_CAM_NOSIGNAL_H

#include <glib.h>

#include "protocol.h"

struct nosignal {
	guint width, height;
	guint8 *y;		/* lines of `width`; NULL until the first */
	guint8 *uv;
};

/* What viewers read: "CAMERA NOT CONNECTED". */
const char *nosignal_words(enum volet_signal signal);

/* "FOR 3 MIN 20 S" */
void nosignal_time(char text[32], guint64 seconds);

void nosignal_draw(struct nosignal *picture, const char *camera, enum volet_signal signal,
		   guint64 seconds);
void nosignal_free(struct nosignal *picture);

#endif
