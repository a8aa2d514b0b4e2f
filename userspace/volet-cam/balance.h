/* SPDX-License-Identifier: MIT */
/*
 * White balance, the arithmetic alone: the light of a scene is taken to be grey on the whole,
 * and red and blue are brought towards that slowly. A lawn is not grey, so they may only go
 * so far from the device's own preset.
 */
#ifndef VOLET_CAM_BALANCE_H
#define VOLET_CAM_BALANCE_H

#include <glib.h>

/* Red, green and blue in linear light, in one unit; and the share of the picture that counted. */
struct balance_measure {
	double red, green, blue;
	double share;
};

struct balance_range {
	gint32 min, max, preset, step;
};

struct balance_setting {
	gint32 red, blue;
};

struct balance {
	struct balance_range red, blue;
	struct balance_setting now;
	guint64 next_ns;		/* not again before */
	gboolean calm;
};

/* NULL, or why it can't be done with such controls. */
const char *balance_init(struct balance *b, const struct balance_range *red,
			 const struct balance_range *blue, const struct balance_setting *now);

/* Whether a look at a frame of that time is due. */
gboolean balance_due(const struct balance *b, guint64 now_ns);

/* TRUE with what to set, which counts as set. */
gboolean balance_update(struct balance *b, const struct balance_measure *m, guint64 now_ns,
			struct balance_setting *setting);

#endif
