/* SPDX-License-Identifier: MIT */
/*
 * Auto exposure, the arithmetic alone: how bright a frame was in, what to set the sensor to out.
 * It touches no device and reads no clock.
 *
 * A sensor gathers light in proportion to exposure times gain, so one measurement says what both
 * should be, and a step in the light is met in one step; where the picture was clipped, which
 * hides how bright it is, in two. The one thing that makes such a loop swing is to measure a
 * frame that was taken before the last setting and to correct again: sensors take a setting
 * up in the next frame but one. So a frame counts only when it is certain which setting it was
 * taken with.
 *
 * Exposure comes first, then gain, then longer frames where that is allowed. Lamps on the mains
 * flicker twice a period: an exposure that is longer than one flicker is a multiple of it, and
 * gain makes up the rest.
 */
#ifndef VOLET_CAM_EXPOSURE_H
#define VOLET_CAM_EXPOSURE_H

#include "config.h"

/* What the sensor can do. Exposure and frames are in lines, gain in the control's own values. */
struct exposure_range {
	gint32 lines_min, lines_max;	/* with frames of `frame` lines */
	gint32 gain_min, gain_max;
	gint32 frame, frame_max;	/* as configured, and the longest; both 0 when not known */
	double line_rate;		/* lines a second, 0 when it isn't known */
};

struct exposure_setting {
	gint32 frame;			/* 0: not set */
	gint32 lines, gain;
};

struct exposure_measure {
	double mean;			/* of linear light, 1 is white */
	double clipped;			/* share of the picture that is white */
};

struct exposure {
	struct volet_light_config config;
	struct exposure_range range;
	struct exposure_setting now;	/* what the sensor has, or will have when `asked` */
	double unit;			/* of the gain model */

	struct exposure_setting before;	/* ... and had when that was asked for */
	guint64 asked_ns;		/* when; 0 when nothing is on its way */
	guint64 set_ns;			/* when it was set */
	guint64 stamp_ns, sequence;	/* of the frame before */
	guint64 period_ns;		/* of frames */

	gboolean calm;			/* near enough that only a larger difference counts */
	double strength;		/* of a correction: less than 1 where they overshoot */
	double last;			/* log of the last correction, 0 where it was a guess */
};

/* NULL, or why it can't be done with such a range. `now` is what the sensor has. */
const char *exposure_init(struct exposure *e, const struct volet_light_config *config,
			  const struct exposure_range *range, const struct exposure_setting *now);

/* A stream begins: its frames have what was set before it. */
void exposure_start(struct exposure *e);

/*
 * A frame that was stamped with `stamp_ns` came, by the same clock as `now_ns`. TRUE when it is
 * worth measuring: exposure_update() is called with that then.
 */
gboolean exposure_frame(struct exposure *e, guint64 stamp_ns, guint64 sequence);

/* TRUE with what to set; it counts as asked for at `now_ns`. */
gboolean exposure_update(struct exposure *e, const struct exposure_measure *measure,
			 guint64 now_ns, struct exposure_setting *setting);

/* Exposure times gain, as set; and TRUE with what to set to have that again on a new device. */
double exposure_total(const struct exposure *e);
gboolean exposure_resume(struct exposure *e, double total, guint64 now_ns,
			 struct exposure_setting *setting);

/* It was set and became `setting`; or it failed (NULL), and may be asked for again. */
void exposure_set(struct exposure *e, guint64 now_ns, const struct exposure_setting *setting);

/* What `total`, lines times gain, is best made of. */
struct exposure_setting exposure_split(const struct exposure *e, double total);

/* The gain of a control's value. */
double exposure_gain(const struct exposure *e, gint32 value);

#endif
