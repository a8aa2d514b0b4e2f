/* SPDX-License-Identifier: MIT */
/*
 * How bright a picture is, and of which colour, from a grid of some thousand of its pixels. Light
 * is linear: twice the light is twice the number, so that exposure can be worked out from it.
 */
#ifndef VOLET_CAM_METER_H
#define VOLET_CAM_METER_H

#include "balance.h"
#include "exposure.h"

struct meter {
	float light[256];	/* linear light of an 8-bit value */
};

/* `raw`: the picture was made of raw values, which no gamma was applied to. */
void meter_init(struct meter *m, gboolean raw);

/* An NV12 picture; its uv plane has the same stride. */
struct meter_picture {
	const guint8 *y, *uv;
	gsize stride;
	guint width, height;
};

void meter_brightness(const struct meter *m, const struct meter_picture *pic,
		      struct exposure_measure *out);
void meter_colour(const struct meter *m, const struct meter_picture *pic,
		  struct balance_measure *out);

#endif
