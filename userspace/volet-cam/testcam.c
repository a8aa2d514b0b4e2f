// SPDX-License-Identifier: MIT
/* Frames of the test camera; see testcam.h. */
#include "testcam.h"

#include <string.h>

#include "tag.h"

#define SHADES	256
#define STEP	8	/* that the picture moves by from frame to frame */
#define BLACK	16
#define WHITE	235

/* The number at the end of the name, or one that differs by the name. */
guint8 testcam_number(const char *name)
{
	gsize n = strlen(name), i = n;

	while (i > 0 && g_ascii_isdigit(name[i - 1]))
		i--;
	return (guint8)(i < n ? g_ascii_strtoull(name + i, NULL, 10) : g_str_hash(name));
}

/* Two colours that no other of 256 cameras has next to it. */
static void paint(struct testcam *t)
{
	gsize pairs = (gsize)t->width * t->height / 4, i;
	guint8 u = (guint8)(64 + t->camera * 37 % 128), v = (guint8)(64 + t->camera * 71 % 128);

	for (i = 0; i < pairs; i++) {
		t->uv[2 * i] = u;
		t->uv[2 * i + 1] = v;
	}
}

void testcam_init(struct testcam *t, const char *name, guint width, guint height, guint rate)
{
	gsize luma = (gsize)width * height;
	guint i;

	*t = (struct testcam){ .width = width, .height = height, .camera = testcam_number(name) };
	t->period_ns = G_GUINT64_CONSTANT(1000000000) / rate;
	t->y = g_malloc(luma + luma / 2);
	t->uv = t->y + luma;
	t->shades = g_malloc(width + SHADES);
	/* Up and down again, so that there is no edge. */
	for (i = 0; i < width + SHADES; i++)
		t->shades[i] = (guint8)(48 + (i % SHADES < SHADES / 2 ? i % SHADES :
					      SHADES - 1 - i % SHADES));
	paint(t);
}

void testcam_free(struct testcam *t)
{
	g_free(t->y);
	g_free(t->shades);
	*t = (struct testcam){ 0 };
}

void testcam_draw(struct testcam *t, guint64 now)
{
	const struct tag tag = { .camera = t->camera, .seq = ++t->seq, .time_ns = now };
	const struct tag_picture pic = {
		.luma = t->y, .width = t->width, .height = t->height, .stride = t->width,
		.cell = tag_cell(t->width),
	};
	guint row;

	for (row = 0; row < t->height; row++)
		memcpy(t->y + (gsize)row * t->width,
		       t->shades + (row + (gsize)t->seq * STEP) % SHADES, t->width);
	if (t->height >= TAG_ROWS * pic.cell)
		tag_draw(&pic, &tag, BLACK, WHITE);
	/* A frame that comes late doesn't make the next ones come in a row. */
	t->due_ns = MAX(t->due_ns + t->period_ns, now + t->period_ns / 2);
}
