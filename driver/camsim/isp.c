// SPDX-License-Identifier: GPL-2.0-only
/*
 * The board's ISP: raw Bayer to NV12, really computed from the raw values. Of each 2x2 quad, red
 * and blue are the quad's and each line has its own green; chroma is that of the quad. Output is
 * full-range BT.601, as JPEG has it.
 *
 * A raw value adds a fixed amount to Y, U and V, after black level and transfer function. The
 * three amounts are in one word, so that a pixel is the sum of three words from tables:
 *
 *	31..22	Y in 1/4
 *	21..11	U in 1/4; the sum of the two lines of a quad fits
 *	10..0	V in 1/4
 */
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/unaligned.h>

#include "priv.h"
#include "tables.h"

#define Y_SHIFT		22
#define U_SHIFT		11
#define UV_MASK		0x7ff

/* Coefficients in 1/65536. Those of U and V are positive: what is subtracted is so from white. */
struct isp_part {
	u32 y;
	s32 u, v;
};

static const struct isp_part isp_red = { 19595, -11056, 32768 };
static const struct isp_part isp_green = { 38470, -21712, -27440 };
static const struct isp_part isp_blue = { 7471, 32768, -5328 };

/* The sRGB code, in 1/16, of linear light: the inverse of camsim_linear() */
static u32 isp_srgb_16(u32 linear)
{
	u32 low = 0, high = 255 * 16, middle;

	while (low < high) {
		middle = (low + high) / 2;
		if (camsim_linear(middle * 16) < linear)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* A negative coefficient of the value is a positive one of its distance from white. */
static u32 isp_scale(s32 coefficient, u32 srgb_16)
{
	u32 value = coefficient < 0 ? 255 * 16 - srgb_16 : srgb_16;

	return (abs(coefficient) * value + (1 << 17)) >> 18;
}

/* Rounding, and half a step of chroma that the middle of 255 steps lacks; all with green */
#define Y_BIAS		2
#define UV_BIAS		4
/* So that a saturated colour with that still fits */
#define UV_PART_MAX	505

static void isp_table(u32 *table, const struct isp_part *part, u32 bias)
{
	u32 raw;

	for (raw = 0; raw < 1024; raw++) {
		u32 above = max(raw, CAMSIM_BLACK) - CAMSIM_BLACK;
		u32 s = isp_srgb_16(above * 65535 / (CAMSIM_WHITE - CAMSIM_BLACK));

		table[raw] = isp_scale(part->y, s) << Y_SHIFT |
			     min(isp_scale(part->u, s), UV_PART_MAX) << U_SHIFT |
			     min(isp_scale(part->v, s), UV_PART_MAX);
		table[raw] += bias;
	}
}

void camsim_isp_tables(struct camsim_tables *t)
{
	isp_table(t->isp_red, &isp_red, 0);
	isp_table(t->isp_green, &isp_green,
		  Y_BIAS << Y_SHIFT | UV_BIAS << U_SHIFT | UV_BIAS);
	isp_table(t->isp_blue, &isp_blue, 0);
}

/* What the tables say of a quad, for its two lines; `top` and `bottom` hold it lowest. */
static void isp_quad(const struct camsim_tables *t, u64 top, u64 bottom, u32 *upper, u32 *lower)
{
	u32 colour = t->isp_red[top & 0x3ff] + t->isp_blue[bottom >> 16 & 0x3ff];

	*upper = colour + t->isp_green[top >> 16 & 0x3ff];
	*lower = colour + t->isp_green[bottom & 0x3ff];
}

/* Luma for two pixels */
static u32 isp_luma(u32 sum)
{
	return (sum >> (Y_SHIFT + 2)) * 0x101;
}

static u32 isp_chroma(u32 upper, u32 lower)
{
	u32 sum = upper + lower;

	return (sum >> (U_SHIFT + 3) & 0xff) | (sum & UV_MASK) >> 3 << 8;
}

/* The columns of two quads' lines the other way round */
static u64 isp_mirror(u64 line)
{
	return (line & 0x0000ffff0000ffff) << 16 | (line >> 16 & 0x0000ffff0000ffff);
}

/*
 * Two lines of raw to two of luma and one of chroma, two quads at a time. In a quad of another order
 * than RGGB red is brought there: that neither moves the luma of a line nor the chroma. `first` is
 * the line with red, `second` that with blue.
 */
static __always_inline void isp_lines(const struct camsim_tables *t, const u8 *first,
				      const u8 *second, bool mirror, u32 width, u8 *y_first,
				      u8 *y_second, u8 *uv)
{
	u32 i, a, b, c, d;

	for (i = 0; i < width; i += 4) {
		u64 top = get_unaligned_le64(first + i * 2);
		u64 bottom = get_unaligned_le64(second + i * 2);

		if (mirror) {
			top = isp_mirror(top);
			bottom = isp_mirror(bottom);
		}
		isp_quad(t, top, bottom, &a, &b);
		isp_quad(t, top >> 32, bottom >> 32, &c, &d);
		put_unaligned_le32(isp_luma(a) | isp_luma(c) << 16, y_first + i);
		put_unaligned_le32(isp_luma(b) | isp_luma(d) << 16, y_second + i);
		put_unaligned_le32(isp_chroma(a, b) | isp_chroma(c, d) << 16, uv + i);
	}
}

/*
 * A width is a multiple of four. Only the lines that came: of a frame cut short the rest of both
 * planes is left as it is.
 */
void camsim_isp_frame(struct camsim_tables *t, const struct camsim_format *format, const u32 *raw,
		      u32 width, u32 height, u32 lines, u8 *y, u8 *uv)
{
	u32 line, red = format->red_line ? 0 : 1, blue = 1 - red;

	lines = round_down(min(lines, height), 2);
	for (line = 0; line < lines; line += 2) {
		const u8 *in = (const u8 *)raw + line * width * 2;
		u8 *y_red = y + (line + red) * width, *y_blue = y + (line + blue) * width;

		if (format->red_column)
			isp_lines(t, in + red * width * 2, in + blue * width * 2, false, width,
				  y_red, y_blue, uv + line / 2 * width);
		else
			isp_lines(t, in + red * width * 2, in + blue * width * 2, true, width,
				  y_red, y_blue, uv + line / 2 * width);
		if (!(line % 32))
			cond_resched();
	}
}
