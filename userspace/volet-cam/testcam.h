/* SPDX-License-Identifier: MIT */
/*
 * A camera without a device (`media = test`): moving shades in a colour of its own, with
 * the pixel tag, at a rate of the configuration. For tests, measurements and machines that
 * have no camera. Its number in the tag is the number at the end of its name.
 */
#ifndef VOLET_CAM_TESTCAM_H
#define VOLET_CAM_TESTCAM_H

#include <glib.h>

struct testcam {
	guint width, height;
	guint64 period_ns;
	guint8 camera;		/* in the tag */
	guint32 seq;
	guint64 due_ns;		/* of the next frame */
	guint8 *y, *uv;
	guint8 *shades;		/* one line and the way that it moves */
};

void testcam_init(struct testcam *t, const char *name, guint width, guint height, guint rate);
void testcam_free(struct testcam *t);

guint8 testcam_number(const char *name);

/* Draw the next frame, which is of the moment `now`. */
void testcam_draw(struct testcam *t, guint64 now);

#endif
