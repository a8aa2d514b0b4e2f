// SPDX-License-Identifier: MIT
/*
 * Measuring a picture's light, white balance on a made-up device with red and blue gains, and what
 * a camera does when its sensor can't be set.
 */
#include <errno.h>
#include <glib.h>
#include <math.h>
#include <string.h>

#include "light.h"

#define WIDTH	128
#define HEIGHT	96
#define SECOND	G_GUINT64_CONSTANT(1000000000)

struct picture {
	guint8 y[WIDTH * HEIGHT], uv[WIDTH * HEIGHT / 2];
};

static struct meter_picture view(const struct picture *p)
{
	return (struct meter_picture){ .y = p->y, .uv = p->uv, .stride = WIDTH, .width = WIDTH,
				       .height = HEIGHT };
}

static double to_srgb(double v)
{
	v = CLAMP(v, 0, 1);
	return v <= 0.0031308 ? 12.92 * v : 1.055 * pow(v, 1 / 2.4) - 0.055;
}

static guint8 to_byte(double v)
{
	return (guint8)CLAMP(v + 0.5, 0, 255);
}

/* Linear red, green and blue of the 2x2 pixels at x, y. */
static void paint(struct picture *p, guint x, guint y, double red, double green, double blue)
{
	double r = 255 * to_srgb(red), g = 255 * to_srgb(green), b = 255 * to_srgb(blue);
	double luma = 0.299 * r + 0.587 * g + 0.114 * b;
	gsize at = (gsize)y * WIDTH + x, pair = (gsize)y / 2 * WIDTH + x;

	p->y[at] = p->y[at + 1] = p->y[at + WIDTH] = p->y[at + WIDTH + 1] = to_byte(luma);
	p->uv[pair] = to_byte(128 + (b - luma) / 1.772);
	p->uv[pair + 1] = to_byte(128 + (r - luma) / 1.402);
}

static void test_brightness(void)
{
	static struct picture p;
	const struct meter_picture pic = view(&p);
	struct exposure_measure m;
	struct meter meter;
	guint i;

	meter_init(&meter, FALSE);
	/* Half of it has a quarter of the other half's light. */
	for (i = 0; i < sizeof(p.y); i++)
		p.y[i] = to_byte(255 * to_srgb(i % WIDTH < WIDTH / 2 ? 0.4 : 0.1));
	meter_brightness(&meter, &pic, &m);
	g_assert_cmpfloat_with_epsilon(m.mean, 0.25, 0.006);
	g_assert_cmpfloat(m.clipped, ==, 0);
	/* What is written at the border doesn't count. */
	memset(p.y, 255, WIDTH * (HEIGHT / 16));
	meter_brightness(&meter, &pic, &m);
	g_assert_cmpfloat_with_epsilon(m.mean, 0.25, 0.006);
	memset(p.y, 255, sizeof(p.y) / 2);
	meter_brightness(&meter, &pic, &m);
	g_assert_cmpfloat_with_epsilon(m.mean, 0.5 + 0.5 * 0.25, 0.006);
	g_assert_cmpfloat_with_epsilon(m.clipped, 0.5, 0.001);
	/* Raw values have no gamma, and a black level. */
	meter_init(&meter, TRUE);
	memset(p.y, 16 + 239 / 4, sizeof(p.y));
	meter_brightness(&meter, &pic, &m);
	g_assert_cmpfloat_with_epsilon(m.mean, 0.25, 0.006);
}

/* A device with gains: 64 is 1. What it sees has a cast, and things of all colours. */
struct device {
	struct meter meter;
	struct balance b;
	struct balance_setting set;
	double red, blue;		/* of the light */
	double green_things;		/* share of the picture that is lawn */
	guint changes;
};

static void device_init(struct device *d, double red, double blue, gint32 step)
{
	const struct balance_range range = { .min = 16, .max = 255, .preset = 64, .step = step };
	const struct balance_setting now = { .red = 64, .blue = 64 };

	*d = (struct device){ .red = red, .blue = blue, .set = now };
	meter_init(&d->meter, FALSE);
	g_assert_null(balance_init(&d->b, &range, &range, &now));
}

static void look(const struct device *d, struct balance_measure *m)
{
	static struct picture p;
	const struct meter_picture pic = view(&p);
	GRand *rand = g_rand_new_with_seed(9);
	guint x, y;

	for (y = 0; y < HEIGHT; y += 2) {
		for (x = 0; x < WIDTH; x += 2) {
			double base = g_rand_double_range(rand, 0.05, 0.3);
			double r = base * g_rand_double_range(rand, 0.6, 1.4);
			double b = base * g_rand_double_range(rand, 0.6, 1.4);

			if (g_rand_double(rand) < d->green_things)
				r = b = base / 8;
			paint(&p, x, y, r * d->red * d->set.red / 64, base,
			      b * d->blue * d->set.blue / 64);
		}
	}
	g_rand_free(rand);
	meter_colour(&d->meter, &pic, m);
}

/* Ten looks a second, the loop when `on`. Returns the cast at the end, as the largest log. */
static double watch(struct device *d, gboolean on, guint seconds)
{
	struct balance_measure m;
	guint64 now;

	for (now = SECOND; now < (1 + seconds) * SECOND; now += SECOND / 10) {
		if (!on || !balance_due(&d->b, now))
			continue;
		look(d, &m);
		d->changes += balance_update(&d->b, &m, now, &d->set);
	}
	look(d, &m);
	return MAX(fabs(log(m.green / m.red)), fabs(log(m.green / m.blue)));
}

/* The fault first: without the loop the cast stays. */
static void test_balance(void)
{
	static const double casts[][2] = { { 1.8, 0.6 }, { 0.5, 2 }, { 1, 1.5 }, { 0.7, 0.7 } };
	guint i, changes;

	for (i = 0; i < 2 * G_N_ELEMENTS(casts); i++) {
		struct device d;
		gint32 step = i % 2 ? 8 : 1;
		double before, after;

		device_init(&d, casts[i / 2][0], casts[i / 2][1], step);
		before = watch(&d, FALSE, 20);
		after = watch(&d, TRUE, 20);
		changes = d.changes;
		watch(&d, TRUE, 20);
		g_test_message("cast %.2f, with the loop %.3f", before, after);
		g_assert_cmpfloat(before, >, 0.3);
		g_assert_cmpfloat(after, <, step == 1 ? 0.05 : 0.13);
		/* ... and rests: a coarse gain doesn't go to and fro. */
		g_assert_cmpuint(d.changes, ==, changes);
		g_assert_cmpint((d.set.red - 64) % step, ==, 0);
	}
}

/* Slow, and bounded: a lawn is green whatever the light is. */
static void test_lawn(void)
{
	struct device d;

	device_init(&d, 1, 1, 1);
	d.green_things = 0.97;
	watch(&d, TRUE, 1);
	g_assert_cmpint(d.set.red, <=, 64 * 1.25);
	watch(&d, TRUE, 60);
	g_assert_cmpint(d.set.red, <=, 160);
	g_assert_cmpint(d.set.blue, <=, 160);
	/* A picture that is black or white says nothing of its colour. */
	device_init(&d, 1e-4, 1e-4, 1);
	g_assert_false(balance_update(&d.b, &(struct balance_measure){ .share = 0.01, .red = 1,
								       .green = 2, .blue = 1 },
				      SECOND, &d.set));
}

/* ---- a camera -------------------------------------------------------------------------- */

static const struct sensor_light fresh = {
	.has_exposure = TRUE,
	.range = { .lines_min = 4, .lines_max = 1109, .gain_min = 64, .gain_max = 7073,
		   .frame = 1125, .frame_max = 16383, .line_rate = 33750 },
	.exposure = { .lines = 1000, .gain = 64 },
	.exposure_note = "", .balance_note = "it has no red_balance and blue_balance to set",
};

static const struct volet_camera_config config = {
	.name = "cam0", .sensor = (char *)"s", .width = WIDTH, .height = HEIGHT,
	.light = { .exposure = VOLET_LIGHT_AUTO, .target_percent = 18, .flicker_hz = 50,
		   .max_gain = 16, .isp = (char *)"s" },
};

static guint64 stamp_of(guint64 sequence)
{
	static guint64 base;

	base = base ? base : capture_now();
	return base + sequence * SECOND / 30;
}

/* Frames of that luma until something is wanted; FALSE when nothing is. */
static gboolean show(struct light *l, guint8 luma, guint64 *sequence)
{
	static struct picture p;
	struct capture_frame frame = { .y = p.y, .uv = p.uv, .stride = WIDTH };
	guint i;

	memset(p.y, luma, sizeof(p.y));
	memset(p.uv, 128, sizeof(p.uv));
	for (i = 0; i < 10 && !l->wanted.what; i++) {
		frame.sequence = ++*sequence;
		frame.captured_ns = stamp_of(frame.sequence);
		light_frame(l, &frame);
	}
	return l->wanted.what != 0;
}

/* What a picture asks for is asked once; what failed is asked again, at most twice. */
static void test_trouble(void)
{
	struct sensor_values asked;
	guint64 sequence = 0, before;
	struct light l;
	guint i;

	light_init(&l, &config, FALSE);
	light_opened(&l, &fresh);
	light_start(&l);
	for (i = 0; i < 3; i++) {
		l.retry_ns = 0;
		g_assert_true(show(&l, 20, &sequence));
		g_assert_nonnull(light_wanted(&l));
		asked = *light_wanted(&l);
		g_assert_cmpuint(asked.what, ==, SENSOR_EXPOSURE);
		light_asked(&l);
		g_assert_null(light_wanted(&l));
		g_assert_false(show(&l, 20, &sequence));
		before = capture_now();
		g_assert_cmpint(light_answer(&l, &asked, EIO, "setting exposure to 5: EIO"), ==,
				i < 2);
		/* Not at once: a bus that is stuck is left alone for a while, however slow this machine is. */
		g_assert_cmpuint(l.retry_ns, >=, before + SECOND / 2);
		l.retry_ns += 3600 * SECOND;
		g_assert_true(show(&l, 20, &sequence));
		g_assert_null(light_wanted(&l));
		l.wanted.what = 0;
		exposure_set(&l.exposure, 0, NULL);
	}
	light_free(&l);
}

/* A device that is gone is given up at once; one that comes back gets what the last one had. */
static void test_comes_back(void)
{
	struct sensor_values asked;
	guint64 sequence = 0;
	struct light l;
	double total;

	light_init(&l, &config, FALSE);
	light_opened(&l, &fresh);
	g_assert_null(light_wanted(&l));
	light_start(&l);
	g_assert_true(show(&l, 60, &sequence));
	asked = *light_wanted(&l);
	asked.set_ns = stamp_of(sequence);
	light_asked(&l);
	g_assert_true(light_answer(&l, &asked, 0, ""));
	total = exposure_total(&l.exposure);
	g_assert_cmpfloat(total, >, 3000);
	sequence += 10;
	g_assert_true(show(&l, 90, &sequence));
	asked = *light_wanted(&l);
	light_asked(&l);
	/* It reached the sensor or not: what it had before is what is known. */
	g_assert_false(light_answer(&l, &asked, ENODEV, "setting exposure to 5: ENODEV"));

	light_opened(&l, &fresh);
	g_assert_nonnull(light_wanted(&l));
	g_assert_cmpfloat_with_epsilon(light_wanted(&l)->exposure.lines *
				       light_wanted(&l)->exposure.gain / 64.0, total, total / 30);
	/* A device without the controls: nothing is wanted of it. */
	light_opened(&l, &(struct sensor_light){ .exposure_note = "no" });
	light_start(&l);
	g_assert_false(show(&l, 20, &sequence));
	light_free(&l);
}

/* What the camera has coded itself has no luma here. */
static void test_coded(void)
{
	const struct capture_frame frame = { .coded = (const guint8 *)"x", .coded_size = 1 };
	struct light l;

	light_init(&l, &config, FALSE);
	light_opened(&l, &fresh);
	light_start(&l);
	light_frame(&l, &frame);
	g_assert_null(light_wanted(&l));
	light_free(&l);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/light/brightness", test_brightness);
	g_test_add_func("/light/balance", test_balance);
	g_test_add_func("/light/lawn", test_lawn);
	g_test_add_func("/light/trouble", test_trouble);
	g_test_add_func("/light/comes-back", test_comes_back);
	g_test_add_func("/light/coded", test_coded);
	return g_test_run();
}
