// SPDX-License-Identifier: MIT
/* Drawing the no-signal picture; see nosignal.h. */
#include "nosignal.h"

#include <string.h>

#include "font.h"

#define BACKGROUND	40
#define TEXT		225
#define LINES		4
#define LINE_DOTS	11	/* from one line to the next */

const char *nosignal_words(enum volet_signal signal)
{
	static const char *const words[VOLET_SIGNAL_COUNT] = {
		[VOLET_SIGNAL_UNPLUGGED] = "CAMERA NOT CONNECTED",
		[VOLET_SIGNAL_BUSY] = "IN USE BY ANOTHER PROGRAM",
		[VOLET_SIGNAL_SETTINGS] = "CAMERA CANNOT BE SET UP",
		[VOLET_SIGNAL_STALLED] = "NO FRAMES COME",
		[VOLET_SIGNAL_BROKEN] = "ONLY BROKEN FRAMES COME",
	};

	return signal < VOLET_SIGNAL_COUNT && words[signal] ? words[signal] : "";
}

void nosignal_time(char text[32], guint64 seconds)
{
	if (seconds < 60)
		g_snprintf(text, 32, "FOR %u S", (guint)seconds);
	else if (seconds < 3600)
		g_snprintf(text, 32, "FOR %u MIN %u S", (guint)seconds / 60, (guint)seconds % 60);
	else
		g_snprintf(text, 32, "FOR %" G_GUINT64_FORMAT " H %u MIN", seconds / 3600,
			   (guint)(seconds / 60 % 60));
}

/* Centred, as large as `most` and the width allow. */
static void draw_line(const struct font_plane *plane, const char *text, guint y, guint most)
{
	guint dots = (guint)strlen(text) * FONT_ADVANCE;
	guint dot = MAX(1, MIN(most, plane->width / (dots + FONT_ADVANCE)));
	guint width = dots * dot;

	font_draw(plane, text, plane->width > width ? (plane->width - width) / 2 : 0, y, dot, TEXT);
}

void nosignal_draw(struct nosignal *p, const char *camera, enum volet_signal signal,
		   guint64 seconds)
{
	gsize luma = (gsize)p->width * p->height;
	guint dot = MAX(1, MIN(p->width / 160, p->height / (LINES * LINE_DOTS + 4)));
	guint used = (LINES * LINE_DOTS - 4) * dot, i;
	guint top = p->height > used ? (p->height - used) / 2 : 0;
	g_autofree char *name = g_strconcat("CAMERA ", camera, NULL);
	char time[32];
	const char *const lines[LINES] = { "NO SIGNAL", nosignal_words(signal), time, name };
	struct font_plane plane = { .width = p->width, .height = p->height, .stride = p->width };

	if (!p->y) {
		p->y = g_malloc(luma + luma / 2);
		p->uv = p->y + luma;
	}
	plane.luma = p->y;
	memset(p->y, BACKGROUND, luma);
	memset(p->uv, 128, luma / 2);
	nosignal_time(time, seconds);
	for (i = 0; i < LINES; i++)
		draw_line(&plane, lines[i], top + i * LINE_DOTS * dot, dot);
}

void nosignal_free(struct nosignal *p)
{
	g_free(p->y);
	p->y = p->uv = NULL;
}
