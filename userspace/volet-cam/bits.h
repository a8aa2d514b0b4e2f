/* SPDX-License-Identifier: MIT */
/*
 * The bits of an H.264 unit's head: without emulation prevention bytes, read by Exp-Golomb
 * codes (ITU-T H.264, 7.3.1 and 9.1). Past the end everything is 0 and `over` is set.
 */
#ifndef VOLET_CAM_BITS_H
#define VOLET_CAM_BITS_H

#include <glib.h>

struct bits {
	const guint8 *data;
	gsize n, at;		/* bits */
	gboolean over;
};

/* As much of the unit's payload as `room` takes, unescaped into `memory`. */
void bits_open(struct bits *b, guint8 *memory, gsize room, const guint8 *payload, gsize size);

guint32 bits_u(struct bits *b, guint n);	/* n up to 32 */
guint32 bits_ue(struct bits *b);
gint32 bits_se(struct bits *b);

#endif
