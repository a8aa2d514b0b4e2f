// SPDX-License-Identifier: MIT
/* The arithmetic of auto exposure; see exposure.h. */
#include "exposure.h"

#include <math.h>

#define SECOND_NS	1e9
/* Nearer than this is reached; further than the other is a difference to a reached one. */
#define NEAR		0.06
#define FAR		0.14
/* One measurement of a very dark or very bright picture says no more than that. */
#define RATIO_MAX	32.0
/* White is taken for this many times white when more than some of the picture is. */
#define CLIPPED_LIGHT	5.0
#define CLIPPED_SHARE	0.25
/* A second look before the last setting is seen changes it only when it differs so much. */
#define SURPRISE	0.4
#define STRENGTH_MIN	0.2
/* A step of the gain that can't be seen. */
#define GAIN_FINE	1.02

double exposure_gain(const struct exposure *e, gint32 value)
{
	switch (e->config.gain_model) {
	case VOLET_GAIN_INVERSE:
		return e->unit / (e->unit - MIN(value, e->unit - 0.5));
	case VOLET_GAIN_DECIBEL:
		return pow(10, e->unit * value / 20);
	default:
		return value / e->unit;
	}
}

/* The largest value whose gain is not above `gain`. */
static gint32 gain_value(const struct exposure *e, double gain)
{
	double value;

	switch (e->config.gain_model) {
	case VOLET_GAIN_INVERSE:
		value = e->unit - e->unit / gain;
		break;
	case VOLET_GAIN_DECIBEL:
		value = 20 * log10(gain) / e->unit;
		break;
	default:
		value = gain * e->unit;
	}
	return (gint32)CLAMP(floor(value + 1e-6), e->range.gain_min, e->range.gain_max);
}

static double gain_least(const struct exposure *e)
{
	return exposure_gain(e, e->range.gain_min);
}

static double gain_most(const struct exposure *e)
{
	double most = MIN(exposure_gain(e, e->range.gain_max), e->config.max_gain);

	return MAX(most, gain_least(e));
}

static double total_of(const struct exposure *e, const struct exposure_setting *s)
{
	return s->lines * exposure_gain(e, s->gain);
}

/* Lines of one flicker of the lamps, 0 where it doesn't matter or isn't known. */
static double flicker(const struct exposure *e)
{
	double lines = e->config.flicker_hz ? e->range.line_rate / (2 * e->config.flicker_hz) : 0;

	return lines >= 1 ? lines : 0;
}

/* Whole flickers, each to a line, where at least one fits. */
static double whole(const struct exposure *e, double lines)
{
	double one = flicker(e);

	lines = floor(lines);
	return one && lines >= floor(one) ? floor(floor((lines + 0.999) / one) * one) : lines;
}

/* The lines between the longest exposure and the frame's end. */
static gint32 margin(const struct exposure *e)
{
	return e->range.frame - e->range.lines_max;
}

/* Of the longest frame that is allowed. */
static gint32 longest(const struct exposure *e)
{
	double frame = e->range.frame_max;

	if (!e->config.slowest_rate || !e->range.frame || e->range.line_rate <= 0)
		return e->range.lines_max;
	frame = MIN(frame, e->range.line_rate / e->config.slowest_rate);
	return MAX((gint32)frame - margin(e), e->range.lines_max);
}

/* As many lines as `total` needs with the highest gain, which is more than a frame has. */
static double dark(const struct exposure *e, double total, double lines)
{
	double want = total / gain_most(e), one = flicker(e);

	want = one ? ceil(want / one) * one : ceil(want);
	return whole(e, CLAMP(want, lines, longest(e)));
}

struct exposure_setting exposure_split(const struct exposure *e, double total)
{
	const struct exposure_range *r = &e->range;
	struct exposure_setting s = { 0 };
	double lines = whole(e, CLAMP(total / gain_least(e), r->lines_min, r->lines_max)), gain;

	if (total / lines > gain_most(e))
		lines = dark(e, total, lines);
	gain = CLAMP(total / lines, gain_least(e), gain_most(e));
	s.gain = gain_value(e, gain);
	/* The rest that a gain in coarse steps leaves, where exposure is free to take it. */
	if (exposure_gain(e, s.gain) < gain / GAIN_FINE && s.gain < gain_value(e, gain_most(e)) &&
	    (!flicker(e) || lines < floor(flicker(e)))) {
		s.gain++;
		lines = MAX(floor(total / exposure_gain(e, s.gain)), r->lines_min);
	}
	s.lines = (gint32)lines;
	if (e->config.slowest_rate && r->frame)
		s.frame = MAX(r->frame, s.lines + margin(e));
	return s;
}

const char *exposure_init(struct exposure *e, const struct volet_light_config *config,
			  const struct exposure_range *range, const struct exposure_setting *now)
{
	*e = (struct exposure){
		.config = *config, .range = *range, .now = *now, .unit = config->gain_unit,
		.strength = 1,
	};
	if (range->lines_min > range->lines_max || range->gain_min > range->gain_max)
		return "its exposure or gain has no range";
	e->range.lines_min = MAX(range->lines_min, 1);
	e->range.lines_max = MAX(range->lines_max, e->range.lines_min);
	if (e->range.frame <= e->range.lines_max)
		e->range.frame = 0;
	if (e->unit <= 0 && range->gain_min <= 0)
		return "its gain starts at 0, which doesn't say what gain a value is: write "
		       "gain-model = linear:N, inverse:N or decibel:N";
	if (e->unit <= 0)
		e->unit = range->gain_min;
	/* Less than gain 1 would leave white grey. */
	if (config->gain_model == VOLET_GAIN_LINEAR && ceil(e->unit) <= range->gain_max)
		e->range.gain_min = MAX(range->gain_min, (gint32)ceil(e->unit));
	if (gain_least(e) <= 0)
		return "its smallest gain is none: write another gain-model";
	return NULL;
}

/* How long frames of that setting are, by the sensor where that is known. */
static guint64 period_of(const struct exposure *e, const struct exposure_setting *s)
{
	gint32 lines = MAX(s->frame, e->range.frame);

	if (e->range.line_rate <= 0 || lines <= 0)
		return e->period_ns;
	return (guint64)(lines / e->range.line_rate * SECOND_NS);
}

/*
 * What is set within a frame counts in the next but one. That begins more than a frame after the
 * setting, and ends more than two after it. Receivers stamp a frame at its beginning or its end,
 * and few say which: within a frame it is the old setting's whichever it is, after two it is
 * the new one's. Where a setting changes how long a frame is, either may count.
 */
static gboolean old_for_sure(const struct exposure *e, guint64 stamp_ns)
{
	return stamp_ns <= e->asked_ns + MIN(period_of(e, &e->before), period_of(e, &e->now));
}

static gboolean new_for_sure(const struct exposure *e, guint64 stamp_ns)
{
	return stamp_ns > e->set_ns +
	       2 * MAX(e->period_ns, MAX(period_of(e, &e->before), period_of(e, &e->now)));
}

void exposure_start(struct exposure *e)
{
	e->stamp_ns = 0;
	if (!e->set_ns)
		return;
	e->asked_ns = 0;
	e->set_ns = 0;
}

gboolean exposure_frame(struct exposure *e, guint64 stamp_ns, guint64 sequence)
{
	if (sequence > e->sequence && stamp_ns > e->stamp_ns && e->stamp_ns)
		e->period_ns = (stamp_ns - e->stamp_ns) / (sequence - e->sequence);
	e->stamp_ns = stamp_ns;
	e->sequence = sequence;
	if (!period_of(e, &e->now))
		return FALSE;
	if (!e->asked_ns)
		return TRUE;
	if (e->set_ns && new_for_sure(e, stamp_ns)) {
		e->asked_ns = 0;
		e->set_ns = 0;
		return TRUE;
	}
	return e->set_ns && old_for_sure(e, stamp_ns);
}

/*
 * Corrections that go back and forth, although nothing hid the light: the gain model is not
 * this sensor's, or the light itself comes and goes. Each is smaller then than the one before.
 */
static void damp(struct exposure *e, double error, gboolean guess)
{
	if (!guess && e->last * error < 0 && fabs(error) < 1.5 && fabs(e->last) < 1.5)
		e->strength = MAX(e->strength * 0.6, STRENGTH_MIN);
	e->last = guess ? 0 : error;
}

/* Log of how much more light is wanted. */
static double error_of(const struct exposure *e, const struct exposure_measure *m, gboolean *guess)
{
	double target = e->config.target_percent / 100.0;
	double hidden = MAX(0, m->clipped - MAX(CLIPPED_SHARE, target));
	double seen = m->mean + hidden * (CLIPPED_LIGHT - 1), ratio = target / MAX(seen, 1e-6);

	*guess = hidden > 0 || ratio > RATIO_MAX / 2;
	return log(CLAMP(ratio, 1 / RATIO_MAX, RATIO_MAX));
}

static gboolean same(const struct exposure_setting *a, const struct exposure_setting *b)
{
	return a->frame == b->frame && a->lines == b->lines && a->gain == b->gain;
}

gboolean exposure_resume(struct exposure *e, double total, guint64 now_ns,
			 struct exposure_setting *setting)
{
	*setting = exposure_split(e, total);
	if (same(setting, &e->now))
		return FALSE;
	if (!e->asked_ns) {
		e->before = e->now;
		e->asked_ns = now_ns;
	}
	e->calm = FALSE;
	e->set_ns = 0;
	e->now = *setting;
	return TRUE;
}

gboolean exposure_update(struct exposure *e, const struct exposure_measure *measure,
			 guint64 now_ns, struct exposure_setting *setting)
{
	gboolean guess, early = e->asked_ns != 0;
	double error = error_of(e, measure, &guess), total;

	if (early) {
		total = total_of(e, &e->before) * exp(error * e->strength);
		if (fabs(log(total / total_of(e, &e->now))) < SURPRISE)
			return FALSE;
	} else {
		if (fabs(error) < (e->calm ? FAR : NEAR)) {
			e->calm = TRUE;
			e->strength = 1;
			e->last = 0;
			return FALSE;
		}
		damp(e, error, guess);
		total = total_of(e, &e->now) * exp(error * e->strength);
	}
	return exposure_resume(e, total, now_ns, setting);
}

double exposure_total(const struct exposure *e)
{
	return total_of(e, &e->now);
}

void exposure_set(struct exposure *e, guint64 now_ns, const struct exposure_setting *setting)
{
	if (!setting) {
		if (e->asked_ns)
			e->now = e->before;
		e->asked_ns = 0;
		e->set_ns = 0;
		return;
	}
	e->now = *setting;
	if (!e->asked_ns)
		e->asked_ns = now_ns;
	e->set_ns = now_ns;
}
