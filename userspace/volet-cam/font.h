/* SPDX-License-Identifier: MIT */
/* Letters of 5x7 dots, for the few words that a generated picture says. */
#ifndef VOLET_CAM_FONT_H
#define VOLET_CAM_FONT_H

#include <glib.h>

#define FONT_COLUMNS	5
#define FONT_ROWS	7
#define FONT_ADVANCE	6	/* with the gap to the next */

/* Row `row` of a letter, the leftmost dot in bit 4; small letters are large, others blank. */
guint8 font_row(char letter, guint row);

/* A luma plane to write into. */
struct font_plane {
	guint8 *luma;
	guint width, height;
	gsize stride;
};

/* `text` with `dot` pixels a dot, its top left at x, y; what is outside the plane is left out. */
void font_draw(const struct font_plane *plane, const char *text, guint x, guint y, guint dot,
	       guint8 value);

#endif
