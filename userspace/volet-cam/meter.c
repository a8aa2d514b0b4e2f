// SPDX-License-Identifier: MIT
/* Looking at a picture's light; see meter.h. */
#include "meter.h"

#include <math.h>

/* 3072 pixels: some ten microseconds, where an encode takes milliseconds. */
#define COLUMNS		64
#define ROWS		48
#define WHITE		250	/* and above: no more can be told of it */
#define DARK		16	/* and below: the colour is noise */
/* What raw values are at without light: 64 of 1023 with most sensors. */
#define RAW_BLACK	16

/*
 * Luma is sRGB's, of the full range from 0 to 255: that is how viewers are shown it, whatever the
 * node says of itself.
 */
void meter_init(struct meter *m, gboolean raw)
{
	guint i;

	for (i = 0; i < 256; i++) {
		double v = i / 255.0;

		if (raw)
			v = MAX((double)i - RAW_BLACK, 0) / (255 - RAW_BLACK);
		else
			v = v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4);
		m->light[i] = (float)v;
	}
}

/*
 * The outer sixteenth on each side doesn't count: what a camera looks at is seldom there, and what
 * is written into pictures (a logo, the time, the test board's pixel tag) often is.
 */
static gsize place(guint i, guint n, guint size)
{
	gsize border = size / 16;

	return border + (2 * (gsize)i + 1) * (size - 2 * border) / (2 * n);
}

void meter_brightness(const struct meter *m, const struct meter_picture *pic,
		      struct exposure_measure *out)
{
	guint row, column, clipped = 0;
	double sum = 0;

	for (row = 0; row < ROWS; row++) {
		const guint8 *line = pic->y + place(row, ROWS, pic->height) * pic->stride;

		for (column = 0; column < COLUMNS; column++) {
			guint8 y = line[place(column, COLUMNS, pic->width)];

			sum += m->light[y];
			clipped += y >= WHITE;
		}
	}
	out->mean = sum / (ROWS * COLUMNS);
	out->clipped = clipped / (double)(ROWS * COLUMNS);
}

static guint8 byte(double value)
{
	return (guint8)CLAMP(value + 0.5, 0, 255);
}

void meter_colour(const struct meter *m, const struct meter_picture *pic,
		  struct balance_measure *out)
{
	guint row, column;

	*out = (struct balance_measure){ 0 };
	for (row = 0; row < ROWS; row++) {
		gsize at = place(row, ROWS, pic->height);
		const guint8 *line = pic->y + at * pic->stride;
		const guint8 *pairs = pic->uv + at / 2 * pic->stride;

		for (column = 0; column < COLUMNS; column++) {
			gsize x = place(column, COLUMNS, pic->width);
			double y = line[x], u = pairs[x & ~(gsize)1] - 128.0;
			double v = pairs[x | 1] - 128.0;
			guint8 r = byte(y + 1.402 * v), b = byte(y + 1.772 * u);
			guint8 g = byte(y - 0.344 * u - 0.714 * v);

			if (MAX(r, MAX(g, b)) >= WHITE || MAX(r, MAX(g, b)) <= DARK)
				continue;
			out->red += m->light[r];
			out->green += m->light[g];
			out->blue += m->light[b];
			out->share += 1.0 / (ROWS * COLUMNS);
		}
	}
}
