// SPDX-License-Identifier: GPL-2.0-only
/*
 * The test patterns that a sensor sends instead of what it sees, by what MIPI's camera command set
 * says of them. Where they are in the picture doesn't depend on window, binning or flips.
 */
#include <linux/minmax.h>
#include <linux/string.h>

#include "priv.h"

/* Bit 0 is red, 1 green, 2 blue: white, yellow, cyan, green, magenta, red, blue, black */
static const u8 bars[8] = { 7, 3, 6, 2, 5, 1, 4, 0 };

static u16 pattern_value(const struct sensor_view *view, u32 line, u32 column)
{
	bool red_line = view->red_line == !(line & 1);
	bool red_column = view->red_column == !(column & 1);
	u8 colour;

	if (view->pattern == SENSOR_SOLID && red_line)
		return view->solid[red_column ? 0 : 1];
	if (view->pattern == SENSOR_SOLID)
		return view->solid[red_column ? 3 : 2];

	colour = red_line != red_column ? 1 : red_line ? 0 : 2;
	return bars[min(column * 8 / view->width, 7)] >> colour & 1 ? CAMSIM_WHITE : 0;
}

/* One of the two kinds of lines, those with red and those with blue */
void camsim_pattern_line(const struct sensor_view *view, u32 line, __le16 *out)
{
	u32 column, unused = 10 - view->bits;

	for (column = 0; column < view->width; column++)
		out[column] = cpu_to_le16(pattern_value(view, line, column) >> unused << unused);
}
