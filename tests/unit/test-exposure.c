// SPDX-License-Identifier: MIT
/*
 * Auto exposure against a sensor made of arithmetic: linear light, black level, 10 bits that clip,
 * rows that are read one after the other, settings that count in the next frame but one. Time is
 * the sensor's, so nothing here depends on how fast the machine is.
 */
#include <glib.h>
#include <math.h>
#include <string.h>

#include "meter.h"

#define COLUMNS		64
#define ROWS		48
#define MS		1e6
#define SECOND		1e9
#define LINE_RATE	33750.0		/* the GC2053's: 74.25 MHz / 2200 */
#define MARGIN		16
#define QUEUE		8
#define TOLERANCE	0.16		/* log of the mean to the target */

struct delivery {
	double at, stamp;
	guint64 sequence;
	struct exposure_measure measure;
};

/* A sensor, the way of its frames, and the loop. */
struct rig {
	struct exposure e;
	struct meter meter;
	guint8 picture[COLUMNS * ROWS], code[1024];
	double reflect[COLUMNS * ROWS], mean_reflect;
	GRand *rand;
	double light, light_before, step_at;
	double gain_power;		/* real gain to what the loop takes it for; 1: right */
	gboolean impatient;		/* the fault: nothing is waited for */
	gboolean stamp_end;
	double delay_min, delay_max;	/* from a frame's end to the loop */
	double drop;			/* share of frames that are lost */

	struct exposure_setting reg, latched, used, write;
	double start, write_at, last_at;
	struct delivery queue[QUEUE];
	guint queued, changes;
	guint64 sequence;
	double last_mean, bad_at;	/* start of the last frame out of tolerance */
	gboolean reachable;
};

static double to_srgb(double v)
{
	return v <= 0.0031308 ? 12.92 * v : 1.055 * pow(v, 1 / 2.4) - 0.055;
}

static void rig_init(struct rig *r, const struct volet_light_config *config, double rate,
		     guint32 seed)
{
	gint32 frame = (gint32)(LINE_RATE / rate);
	const struct exposure_range range = {
		.lines_min = 4, .lines_max = frame - MARGIN, .gain_min = 64, .gain_max = 7073,
		.frame = frame, .frame_max = 0x3fff, .line_rate = LINE_RATE,
	};
	const struct exposure_setting now = { .lines = 1000, .gain = 64 };
	guint i;

	memset(r, 0, sizeof(*r));
	r->rand = g_rand_new_with_seed(seed);
	r->gain_power = 1;
	r->delay_min = 10 * MS;
	r->delay_max = 60 * MS;
	meter_init(&r->meter, FALSE);
	g_assert_null(exposure_init(&r->e, config, &range, &now));
	r->reg = r->latched = r->used = now;
	r->write_at = INFINITY;
	for (i = 0; i < 1024; i++)
		r->code[i] = (guint8)(255 * to_srgb(MAX((double)i - 64, 0) / 959) + 0.5);
	/* Things from nearly black to three times as bright as the mean one. */
	for (i = 0; i < COLUMNS * ROWS; i++) {
		r->reflect[i] = pow(g_rand_double_range(r->rand, 0.05, 1.3), 2);
		r->mean_reflect += r->reflect[i] / (COLUMNS * ROWS);
	}
}

static void rig_clear(struct rig *r)
{
	g_rand_free(r->rand);
}

static double real_total(const struct rig *r, const struct exposure_setting *s)
{
	return s->lines * pow(s->gain / 64.0, r->gain_power);
}

static double frame_ns(const struct rig *r)
{
	gint32 frame = MAX(r->used.frame, r->e.range.frame);

	return MAX(frame, r->used.lines + MARGIN) / LINE_RATE * SECOND;
}

static void sense(struct rig *r)
{
	double total = real_total(r, &r->used) / 1000, duration = frame_ns(r);
	guint row, i;

	for (row = 0; row < ROWS; row++) {
		double at = r->start + duration * row / ROWS;
		double light = (at >= r->step_at ? r->light : r->light_before) * total * 959;

		for (i = row * COLUMNS; i < (row + 1) * COLUMNS; i++)
			r->picture[i] = r->code[(guint)MIN(light * r->reflect[i] + 64.5, 1023)];
	}
}

/* A frame begins: what it sees is on its way to the loop. */
static void begin_frame(struct rig *r)
{
	const struct meter_picture pic = {
		.y = r->picture, .stride = COLUMNS, .width = COLUMNS, .height = ROWS,
	};
	struct delivery d = { .sequence = r->sequence++ };
	double duration;

	r->used = r->latched;
	r->latched = r->reg;
	sense(r);
	meter_brightness(&r->meter, &pic, &d.measure);
	duration = frame_ns(r);
	r->last_mean = d.measure.mean;
	if (fabs(log(MAX(r->last_mean, 1e-6) / (r->e.config.target_percent / 100.0))) > TOLERANCE)
		r->bad_at = r->start;
	d.stamp = r->start + (r->stamp_end ? duration : 0);
	d.at = r->start + duration + g_rand_double_range(r->rand, r->delay_min, r->delay_max);
	d.at = r->last_at = MAX(d.at, r->last_at + 1);
	if (r->queued < QUEUE && g_rand_double(r->rand) >= r->drop)
		r->queue[r->queued++] = d;
	r->start += duration;
}

/* Zero times mean "none" to the loop: the rig's begin at 1 s. */
static guint64 loop_ns(double t)
{
	return (guint64)(t + SECOND);
}

static void deliver(struct rig *r, guint i)
{
	struct delivery d = r->queue[i];
	struct exposure_setting setting;

	r->queue[i] = r->queue[--r->queued];
	if (r->impatient) {
		r->e.asked_ns = 0;
		r->e.set_ns = 0;
	}
	if (!exposure_frame(&r->e, loop_ns(d.stamp), d.sequence) ||
	    !exposure_update(&r->e, &d.measure, loop_ns(d.at), &setting))
		return;
	r->write = setting;
	r->write_at = d.at + g_rand_double_range(r->rand, 0.5 * MS, 8 * MS);
	r->changes++;
}

static void run_until(struct rig *r, double end)
{
	while (r->start < end) {
		guint i, first = 0;

		for (i = 1; i < r->queued; i++)
			if (r->queue[i].at < r->queue[first].at)
				first = i;
		if (r->write_at <= r->start &&
		    (!r->queued || r->write_at <= r->queue[first].at)) {
			r->reg = r->write;
			exposure_set(&r->e, loop_ns(r->write_at), &r->reg);
			r->write_at = INFINITY;
		} else if (r->queued && r->queue[first].at <= r->start) {
			deliver(r, first);
		} else {
			begin_frame(r);
		}
	}
}

/* The light that needs that exposure times gain for the target. */
static double light_for(const struct rig *r, double total)
{
	return r->e.config.target_percent / 100.0 * 1000 / r->mean_reflect / total;
}

/* Seconds from the step to the last frame that began out of tolerance, and 0 when none did. */
static double after_step(struct rig *r, double light, double seconds)
{
	r->light_before = r->light;
	r->light = light;
	r->step_at = r->start + g_rand_double_range(r->rand, 0, 0.1 * SECOND);
	r->bad_at = r->step_at;
	r->changes = 0;
	run_until(r, r->step_at + seconds * SECOND);
	return (r->bad_at - r->step_at) / SECOND;
}

/* In this light for long enough that all is found. */
static void settle(struct rig *r, double light)
{
	r->light = r->light_before = light;
	r->step_at = r->start;
	run_until(r, r->start + 4 * SECOND);
	g_assert_cmpfloat(fabs(log(r->last_mean / (r->e.config.target_percent / 100.0))), <,
			  TOLERANCE);
}

static const struct volet_light_config preset = {
	.exposure = VOLET_LIGHT_AUTO, .target_percent = 18, .flicker_hz = 50, .max_gain = 16,
};

/* What one step in the light takes, up and down, at that rate. */
static void check_steps(double rate, double ratio)
{
	double totals[] = { 40, 300, 1100, 5000 }, slowest = 0;
	guint i, seed, n = 0;

	for (i = 0; i < G_N_ELEMENTS(totals); i++) {
		for (seed = 0; seed < 24; seed++) {
			struct rig r;
			double from = totals[i], to = seed % 2 ? from * ratio : from / ratio, took;

			if (to < 5 || to > (LINE_RATE / rate - MARGIN) * 12)
				continue;
			rig_init(&r, &preset, rate, seed);
			r.stamp_end = seed / 2 % 2;
			settle(&r, light_for(&r, from));
			took = after_step(&r, light_for(&r, to), 4);
			slowest = MAX(slowest, took);
			n++;
			if (took > 1)
				g_test_message("seed %u: %g to %g took %.2f s", seed, from, to,
					       took);
			g_assert_cmpfloat(took, <=, 1);
			rig_clear(&r);
		}
	}
	g_test_message("%.0f frames/s, light times or by %.0f: %u steps, the slowest %.2f s", rate,
		       ratio, n, slowest);
	g_assert_cmpuint(n, >, 20);
}

static void test_steps(void)
{
	check_steps(10, 3);
	check_steps(10, 25);
	check_steps(30, 3);
	check_steps(30, 25);
	check_steps(30, 200);
}

/* The fault: a loop that corrects by frames from before its last setting. */
static void test_impatient(void)
{
	double took[2];
	guint changes[2], i;

	for (i = 0; i < 2; i++) {
		struct rig r;

		rig_init(&r, &preset, 30, 1);
		settle(&r, light_for(&r, 300));
		r.impatient = i == 0;
		took[i] = after_step(&r, light_for(&r, 3000), 4);
		changes[i] = r.changes;
		rig_clear(&r);
	}
	g_test_message("without waiting %.1f s and %u settings, with it %.2f s and %u", took[0],
		       changes[0], took[1], changes[1]);
	g_assert_cmpfloat(took[0], >, 1.5);
	g_assert_cmpuint(changes[0], >, 10);
	g_assert_cmpfloat(took[1], <, 1);
	g_assert_cmpuint(changes[1], <, 5);
}

/* Any start, any step, any delay, lost frames: it comes to rest, and stays there. */
static void test_random(void)
{
	guint seed, longest = 0;

	for (seed = 0; seed < 150; seed++) {
		GRand *rand = g_rand_new_with_seed(seed);
		struct volet_light_config config = preset;
		double rate = g_rand_double_range(rand, 5, 60), most;
		struct exposure_setting brightest;
		struct rig r;
		guint step;

		config.flicker_hz = (guint[]){ 0, 50, 60 }[seed % 3];
		config.target_percent = (guint)g_rand_int_range(rand, 8, 40);
		config.slowest_rate = seed % 4 ? 0 : 4;
		rig_init(&r, &config, rate, seed);
		brightest = exposure_split(&r.e, 1e9);
		most = 0.9 * real_total(&r, &brightest);
		r.stamp_end = seed / 2 % 2;
		r.delay_max = g_rand_double_range(rand, 15, 300) * MS;
		r.drop = g_rand_double_range(rand, 0, 0.5);
		for (step = 0; step < 3; step++) {
			double total = 8 * pow(most / 8, g_rand_double(rand));
			guint before;

			after_step(&r, light_for(&r, total), 8);
			longest = MAX(longest, r.changes);
			before = r.changes;
			run_until(&r, r.start + 4 * SECOND);
			if (fabs(log(r.last_mean * 100 / config.target_percent)) > TOLERANCE ||
			    r.changes != before)
				g_test_message("seed %u, step %u: mean %.3f of %u %%, %u settings",
					       seed, step, r.last_mean, config.target_percent,
					       r.changes);
			g_assert_cmpfloat(fabs(log(r.last_mean * 100 / config.target_percent)), <=,
					  TOLERANCE);
			g_assert_cmpuint(r.changes, ==, before);
		}
		rig_clear(&r);
		g_rand_free(rand);
	}
	g_test_message("450 steps, %u settings in one at most", longest);
	g_assert_cmpuint(longest, <=, 9);
}

/* What can't be reached is not asked for again and again. */
static void test_limits(void)
{
	double totals[] = { 0.2, 4e6 };
	guint i;

	for (i = 0; i < 2; i++) {
		struct rig r;

		rig_init(&r, &preset, 30, 3);
		settle(&r, light_for(&r, 1000));
		after_step(&r, light_for(&r, totals[i]), 3);
		g_assert_cmpint(r.reg.lines, ==, i ? 1012 : 4);
		g_assert_cmpint(r.reg.gain, ==, i ? 16 * 64 : 64);
		r.changes = 0;
		run_until(&r, r.start + 2 * SECOND);
		g_assert_cmpuint(r.changes, ==, 0);
		/* ... and it finds back. */
		g_assert_cmpfloat(after_step(&r, light_for(&r, 1000), 4), <, 1);
		rig_clear(&r);
	}
}

/* Exposure, then gain, then longer frames; and the rate comes back with the light. */
static void test_slow(void)
{
	struct volet_light_config config = preset;
	struct rig r;

	config.slowest_rate = 5;
	rig_init(&r, &config, 30, 4);
	settle(&r, light_for(&r, 10000));
	g_assert_cmpint(r.reg.frame, ==, 1125);
	after_step(&r, light_for(&r, 60000), 4);
	g_assert_cmpfloat(fabs(log(r.last_mean / 0.18)), <, TOLERANCE);
	g_assert_cmpint(r.reg.gain, >, 14 * 64);
	g_assert_cmpint(r.reg.frame, >, 3700);
	after_step(&r, light_for(&r, 1e6), 4);
	g_assert_cmpint(r.reg.frame, <=, (gint32)(LINE_RATE / 5));
	g_assert_cmpint(r.reg.frame, >, (gint32)(LINE_RATE / 5.5));
	after_step(&r, light_for(&r, 1000), 4);
	g_assert_cmpint(r.reg.frame, ==, 1125);
	g_assert_cmpfloat(fabs(log(r.last_mean / 0.18)), <, TOLERANCE);
	rig_clear(&r);
}

/* A gain that isn't what the model says: slower, but no swinging. */
static void test_wrong_model(void)
{
	struct rig r;

	rig_init(&r, &preset, 30, 5);
	settle(&r, light_for(&r, 500));
	r.gain_power = 2.3;
	after_step(&r, light_for(&r, 8000), 8);
	r.changes = 0;
	run_until(&r, r.start + 4 * SECOND);
	g_assert_cmpfloat(fabs(log(r.last_mean / 0.18)), <, TOLERANCE);
	g_assert_cmpuint(r.changes, ==, 0);
	rig_clear(&r);
}

/* A setting that failed is asked for again, from where the sensor still is. */
static void test_failure(void)
{
	const struct exposure_measure dark = { .mean = 0.02 };
	struct exposure_setting first, second;
	struct rig r;

	rig_init(&r, &preset, 30, 6);
	settle(&r, light_for(&r, 1000));
	g_assert_true(exposure_update(&r.e, &dark, loop_ns(r.start), &first));
	g_assert_false(exposure_frame(&r.e, loop_ns(r.start + SECOND), 10000));
	exposure_set(&r.e, 0, NULL);
	g_assert_true(exposure_frame(&r.e, loop_ns(r.start + 2 * SECOND), 10030));
	g_assert_true(exposure_update(&r.e, &dark, loop_ns(r.start), &second));
	g_assert_cmpint(first.lines, ==, second.lines);
	g_assert_cmpint(first.gain, ==, second.gain);
	rig_clear(&r);
}

/* Of any total within reach the split makes that, within a step; lamps get whole flickers. */
static void check_split(const struct volet_light_config *config, const struct exposure_range *range,
			double near)
{
	const struct exposure_setting now = { .lines = range->lines_min, .gain = range->gain_min };
	struct exposure e;
	double total, flicker = config->flicker_hz ? LINE_RATE / (2 * config->flicker_hz) : 0;

	g_assert_null(exposure_init(&e, config, range, &now));
	for (total = 10; total < range->lines_max * 10; total *= 1.013) {
		struct exposure_setting s = exposure_split(&e, total);
		double made = s.lines * exposure_gain(&e, s.gain), n = s.lines / MAX(flicker, 1);

		g_assert_cmpint(s.lines, >=, range->lines_min);
		g_assert_cmpint(s.lines, <=, range->lines_max);
		g_assert_cmpint(s.gain, >=, range->gain_min);
		g_assert_cmpint(s.gain, <=, range->gain_max);
		if (flicker && s.lines >= flicker)
			g_assert_cmpfloat(fabs(n - round(n)) * flicker, <=, 1);
		g_assert_cmpfloat(made, <=, total * 1.0001);
		if (total > 150)
			g_assert_cmpfloat(made, >, total / near);
	}
}

static void test_split(void)
{
	struct exposure_range range = {
		.lines_min = 4, .lines_max = 2234, .gain_min = 64, .gain_max = 7073, .frame = 2250,
		.frame_max = 0x3fff, .line_rate = LINE_RATE,
	};
	struct volet_light_config config = preset;
	struct exposure e;

	for (config.flicker_hz = 0; config.flicker_hz <= 60;
	     config.flicker_hz = config.flicker_hz ? config.flicker_hz + 10 : 50)
		check_split(&config, &range, 1.02);
	/* Sony's: N / (N - value); and one in 0.3 dB. */
	range.gain_min = 0;
	range.gain_max = 232;
	config = preset;
	config.gain_model = VOLET_GAIN_INVERSE;
	config.gain_unit = 256;
	check_split(&config, &range, 1.08);
	range.gain_max = 100;
	config.gain_model = VOLET_GAIN_DECIBEL;
	config.gain_unit = 0.3;
	check_split(&config, &range, 1.05);
	/* Steps of 6 dB: exposure takes the rest where no lamp is minded. */
	range.gain_max = 4;
	config.gain_unit = 6.0206;
	config.flicker_hz = 0;
	check_split(&config, &range, 1.02);
	/* What a value of such a gain is has to be said. */
	config = preset;
	g_assert_nonnull(strstr(exposure_init(&e, &config, &range, &(struct exposure_setting){ 0 }),
				"write gain-model"));
}

/* Brightest to darkest row, under a lamp that goes dark 100 times a second. */
static double bands(const struct exposure_setting *s)
{
	double w = 2 * G_PI * 100 / LINE_RATE, low = INFINITY, high = 0;
	guint row;

	for (row = 0; row < 1080; row++) {
		double light = s->lines - (sin(w * (row + s->lines)) - sin(w * row)) / w;

		low = MIN(low, light);
		high = MAX(high, light);
	}
	return high / low;
}

/* The fault: exposures as they come show the lamp as bands. */
static void test_flicker(void)
{
	double worst[2] = { 0 }, total;
	guint i;

	for (i = 0; i < 2; i++) {
		struct volet_light_config config = preset;
		struct rig r;

		config.flicker_hz = i ? 50 : 0;
		rig_init(&r, &config, 15, 7);
		for (total = 340; total < 20000; total *= 1.05) {
			const struct exposure_setting s = exposure_split(&r.e, total);

			worst[i] = MAX(worst[i], bands(&s));
		}
		rig_clear(&r);
	}
	g_test_message("brightest to darkest row: %.3f, with flicker-hz = 50 %.3f", worst[0],
		       worst[1]);
	g_assert_cmpfloat(worst[0], >, 1.3);
	g_assert_cmpfloat(worst[1], <, 1.01);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/exposure/split", test_split);
	g_test_add_func("/exposure/flicker", test_flicker);
	g_test_add_func("/exposure/steps", test_steps);
	g_test_add_func("/exposure/impatient", test_impatient);
	g_test_add_func("/exposure/random", test_random);
	g_test_add_func("/exposure/limits", test_limits);
	g_test_add_func("/exposure/slow", test_slow);
	g_test_add_func("/exposure/wrong-model", test_wrong_model);
	g_test_add_func("/exposure/failure", test_failure);
	return g_test_run();
}
