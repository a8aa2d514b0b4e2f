// SPDX-License-Identifier: MIT
/* NV12 to XRGB8888; see xrgb.h. */
#include "xrgb.h"

/* BT.601's factors, of 65536. */
#define V_TO_R	91881
#define U_TO_G	22554
#define V_TO_G	46802
#define U_TO_B	116130

static guint8 to_byte(gint value)
{
	return (guint8)CLAMP(value, 0, 255);
}

static void convert_line(guint8 *restrict out, const guint8 *restrict y, const guint8 *restrict uv,
			 guint width)
{
	guint x;

	for (x = 0; x < width; x++) {
		gint u = uv[x & ~1u] - 128, v = uv[x | 1] - 128;

		out[4 * x] = to_byte(y[x] + ((U_TO_B * u + 32768) >> 16));
		out[4 * x + 1] = to_byte(y[x] - ((U_TO_G * u + V_TO_G * v + 32768) >> 16));
		out[4 * x + 2] = to_byte(y[x] + ((V_TO_R * v + 32768) >> 16));
		out[4 * x + 3] = 255;
	}
}

void xrgb_nv12(guint8 *out, const guint8 *y, const guint8 *uv, gsize stride, guint width,
	       guint height)
{
	guint row;

	for (row = 0; row < height; row++)
		convert_line(out + (gsize)row * width * 4, y + row * stride, uv + row / 2 * stride,
			     width);
}
