// SPDX-License-Identifier: MIT
/* The arithmetic of white balance; see balance.h. */
#include "balance.h"

#include <math.h>

/* Longer than any sensor takes to show a setting. */
#define PAUSE_NS	G_GUINT64_CONSTANT(500000000)
/* Of the way a look, and of the gain at most. */
#define PART		0.4
#define STEP_MAX	0.1
#define NEAR		0.03
#define FAR		0.08
/* From the preset, either way. */
#define REACH		2.5
/* Of the picture, without what is white or black. */
#define SHARE_MIN	0.1

const char *balance_init(struct balance *b, const struct balance_range *red,
			 const struct balance_range *blue, const struct balance_setting *now)
{
	*b = (struct balance){ .red = *red, .blue = *blue, .now = *now };
	if (red->preset <= 0 || blue->preset <= 0 || red->min >= red->max || blue->min >= blue->max)
		return "its presets are not gains";
	b->red.step = MAX(red->step, 1);
	b->blue.step = MAX(blue->step, 1);
	return NULL;
}

gboolean balance_due(const struct balance *b, guint64 now_ns)
{
	return now_ns >= b->next_ns;
}

/*
 * One of the two, a part of the way to `error` (log). A step at least where that is nearer: a gain
 * in coarse steps would stop early; and none where it isn't, or it would go to and fro.
 */
static gint32 moved(const struct balance_range *r, gint32 now, double error)
{
	double low = MAX(r->min, r->preset / REACH), high = MIN(r->max, r->preset * REACH);
	double whole = CLAMP(now * exp(error), low, high) - now;
	double part = CLAMP(now * exp(CLAMP(error * PART, -STEP_MAX, STEP_MAX)), low, high) - now;
	gint32 steps = (gint32)round(part / r->step), value;

	if (!steps && fabs(whole) > 0.6 * r->step)
		steps = whole > 0 ? 1 : -1;
	value = now + steps * r->step;
	return value >= r->min && value <= r->max ? value : now;
}

gboolean balance_update(struct balance *b, const struct balance_measure *m, guint64 now_ns,
			struct balance_setting *setting)
{
	double red, blue, off;

	b->next_ns = now_ns + PAUSE_NS;
	if (m->share < SHARE_MIN || m->red <= 0 || m->green <= 0 || m->blue <= 0)
		return FALSE;
	red = log(m->green / m->red);
	blue = log(m->green / m->blue);
	off = MAX(fabs(red), fabs(blue));
	if (off < (b->calm ? FAR : NEAR)) {
		b->calm = TRUE;
		return FALSE;
	}
	b->calm = FALSE;
	*setting = (struct balance_setting){
		.red = moved(&b->red, b->now.red, red), .blue = moved(&b->blue, b->now.blue, blue),
	};
	if (setting->red == b->now.red && setting->blue == b->now.blue)
		return FALSE;
	b->now = *setting;
	return TRUE;
}
