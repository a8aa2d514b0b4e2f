// SPDX-License-Identifier: GPL-2.0-only
/*
 * Register-level model of the GalaxyCore GC2053.
 *
 * Evidence marks, as in Documentation/camsim.rst: [V] read in the sources of several vendors,
 * [F] value of the chip's family, unverified, [D] derived by arithmetic from [V], [I] inferred.
 * Nothing here was compared with silicon.
 */
#include <linux/array_size.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/string.h>

#include "sensor.h"

#define GC2053_PAGES		8
#define GC2053_PAGED		0xf0	/* registers from here on are the same from any page [V] */

#define REG_EXPOSURE		0x03
#define REG_LINE_LENGTH		0x05
#define REG_VB			0x07
#define REG_WIN_HEIGHT		0x0d
#define REG_FLIP		0x17
#define   FLIP_MIRROR			BIT(0)
#define   FLIP_FLIP			BIT(1)
#define REG_STREAM		0x3e
#define   STREAM_ON			(BIT(7) | BIT(4))
#define REG_FRAME_LENGTH	0x41
#define REG_PREGAIN		0xb1
#define REG_PGA_LOW		0xb3
#define REG_PGA_HIGH		0xb4
#define REG_COLUMN_GAIN		0xb8
#define REG1_OUT_Y		0x91
#define REG1_OUT_X		0x93
#define REG1_OUT_HEIGHT		0x95
#define REG1_OUT_WIDTH		0x97
#define REG1_AUTO_OFFSET	0x99
#define REG3_WORD_COUNT_LOW	0x12
#define REG3_WORD_COUNT_HIGH	0x13
#define REG_ID_HIGH		0xf0
#define REG_ID_LOW		0xf1
#define REG_STANDBY		0xf2
#define REG_PLL_REFERENCE	0xf6
#define REG_PLL_MODE		0xf7
#define   PLL_MODE_ENABLE		BIT(0)
#define   PLL_MODE_HALF			BIT(1)
#define   PLL_MODE_OTHERS		0xcc	/* other divisions of the reference clock */
#define REG_PLL_MULTIPLIER	0xf8
#define REG_PLL_OUTPUT		0xf9
#define REG_PAGE		0xfe
#define   PAGE_RESET			BIT(7)
#define   PAGE_MASK			0x07

/* Output column 3 is the first of the 1920 that the scene covers [V, order RGGB with 3] */
#define ARRAY_X0		3
#define ARRAY_Y0		0

#define EXPOSURE_MARGIN		16	/* [F] */
#define FRAME_OVERHEAD		20	/* [D] window height + 20 + VB is the shortest frame */
#define DEFAULT_PIXEL_CLOCK	74250000

/* Registers that some vendor writes or names [V]. A write to any other is worth a look. */
static const u8 known_page0[] = {
	0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10,
	0x12, 0x13, 0x17, 0x19, 0x21, 0x23, 0x26, 0x28, 0x29, 0x2b, 0x32, 0x37, 0x39, 0x3e,
	0x41, 0x42, 0x43, 0x44, 0x46, 0x4b, 0x4e, 0x55, 0x66, 0x67, 0x77, 0x78, 0x7b, 0x7c,
	0x7f, 0x82, 0x83, 0x84, 0x85, 0x87, 0x8c, 0x8d, 0x90, 0x9d, 0xb0, 0xb1, 0xb2, 0xb3,
	0xb4, 0xb6, 0xb8, 0xb9, 0xce, 0xd0, 0xd2, 0xd3, 0xda, 0xdb, 0xe6, 0xee,
};

static const u8 known_page1[] = {
	0x01, 0x02, 0x04, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0f, 0x40, 0x50, 0x55, 0x58,
	0x60, 0x83, 0x87, 0x89, 0x8c, 0x91, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99,
	0x9a,
};

static const u8 known_page3[] = {
	0x01, 0x02, 0x03, 0x10, 0x12, 0x13, 0x15, 0x29, 0x36, 0x37,
};

static const u8 known_page4[] = {
	0x14, 0x15, 0x16, 0x17, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x2b, 0x2c, 0x2d,
	0x2e, 0x2f, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x3b,
	0x3c, 0x3d, 0x3e, 0x3f,
};

static const u8 known_sys[] = {
	0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfc, 0xfe,
};

/* Registers of page 0 that a driver writes while running */
static const u8 page0_controls[] = {
	0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x17, 0x3e, 0x41, 0x42, 0x90, 0xb1, 0xb2, 0xb3,
	0xb4, 0xb8, 0xb9,
};

/* [V] identical in five vendors' drivers; the gain in 1/64 is what three of them measured */
static const struct {
	u8 b4, b3, b8, b9;
	u16 gain;
} gain_rows[] = {
	{ 0x00, 0x00, 0x01, 0x00, 64 },   { 0x00, 0x10, 0x01, 0x0c, 74 },
	{ 0x00, 0x20, 0x01, 0x1b, 89 },   { 0x00, 0x30, 0x01, 0x2c, 102 },
	{ 0x00, 0x40, 0x01, 0x3f, 127 },  { 0x00, 0x50, 0x02, 0x16, 147 },
	{ 0x00, 0x60, 0x02, 0x35, 177 },  { 0x00, 0x70, 0x03, 0x16, 203 },
	{ 0x00, 0x80, 0x04, 0x02, 260 },  { 0x00, 0x90, 0x04, 0x31, 300 },
	{ 0x00, 0xa0, 0x05, 0x32, 361 },  { 0x00, 0xb0, 0x06, 0x35, 415 },
	{ 0x00, 0xc0, 0x08, 0x04, 504 },  { 0x00, 0x5a, 0x09, 0x19, 581 },
	{ 0x00, 0x83, 0x0b, 0x0f, 722 },  { 0x00, 0x93, 0x0d, 0x12, 832 },
	{ 0x00, 0x84, 0x10, 0x00, 1027 }, { 0x00, 0x94, 0x12, 0x3a, 1182 },
	{ 0x01, 0x2c, 0x1a, 0x02, 1408 }, { 0x01, 0x3c, 0x1b, 0x20, 1621 },
	{ 0x00, 0x8c, 0x20, 0x0f, 1990 }, { 0x00, 0x9c, 0x26, 0x07, 2291 },
	{ 0x02, 0x64, 0x36, 0x21, 2850 }, { 0x02, 0x74, 0x37, 0x3a, 3282 },
	{ 0x00, 0xc6, 0x3d, 0x02, 4048 }, { 0x00, 0xdc, 0x3f, 0x3f, 5180 },
	{ 0x02, 0x85, 0x3f, 0x3f, 5500 }, { 0x02, 0x95, 0x3f, 0x3f, 6744 },
	{ 0x00, 0xce, 0x3f, 0x3f, 7073 },
};

static bool in_list(const u8 *list, size_t n, u8 reg)
{
	return memchr(list, reg, n);
}

/* Where a register of a page is in the file */
static u16 at(u8 page, u8 reg)
{
	return reg >= GC2053_PAGED ? reg : page << 8 | reg;
}

static u8 get8(const struct sensor *s, u8 page, u8 reg)
{
	return s->reg[at(page, reg)];
}

static u16 get16(const struct sensor *s, u8 page, u8 reg)
{
	return sensor_get16(s, at(page, reg));
}

static u8 sys(const struct sensor *s, u8 reg)
{
	return s->reg[reg];
}

/* [F] where the family's datasheet gives a default, 0 elsewhere */
static void gc2053_reset(struct sensor *s)
{
	sensor_put16(s, at(0, REG_FRAME_LENGTH), 0x04e0);
	sensor_put16(s, at(0, REG_LINE_LENGTH), 0x044c);
	sensor_put16(s, at(0, REG_WIN_HEIGHT), 0x0440);
	s->reg[at(0, REG_PREGAIN)] = 0x01;
	s->reg[at(0, REG_COLUMN_GAIN)] = 0x01;
	s->reg[at(1, REG1_AUTO_OFFSET)] = 0x05;
	sensor_put16(s, at(1, REG1_OUT_HEIGHT), 0x0438);
	sensor_put16(s, at(1, REG1_OUT_WIDTH), 0x0738);
}

static void check_known(struct sensor *s, u8 reg)
{
	static const struct {
		const u8 *list;
		size_t n;
	} known[GC2053_PAGES] = {
		[0] = { known_page0, ARRAY_SIZE(known_page0) },
		[1] = { known_page1, ARRAY_SIZE(known_page1) },
		[3] = { known_page3, ARRAY_SIZE(known_page3) },
		[4] = { known_page4, ARRAY_SIZE(known_page4) },
	};

	if (reg >= GC2053_PAGED) {
		if (!in_list(known_sys, ARRAY_SIZE(known_sys), reg))
			s->errors[SENSOR_ERR_UNKNOWN_REGISTER]++;
	} else if (!known[s->page].list || !in_list(known[s->page].list, known[s->page].n, reg)) {
		if (s->page && in_list(page0_controls, ARRAY_SIZE(page0_controls), reg))
			s->errors[SENSOR_ERR_WRONG_PAGE]++;
		else
			s->errors[SENSOR_ERR_UNKNOWN_REGISTER]++;
	}
}

/* One byte of a transfer; the address goes on within the page [V] */
static void gc2053_write(struct sensor *s, u16 reg, u8 val)
{
	if (reg == REG_ID_HIGH || reg == REG_ID_LOW) {
		s->errors[SENSOR_ERR_READ_ONLY]++;
		return;
	}

	check_known(s, reg);
	if (reg == REG_PAGE) {
		if (val & PAGE_RESET)		/* [V] */
			sensor_reset(s);
		else
			s->page = val & PAGE_MASK;
		s->reg[reg] = s->page;
	} else {
		s->reg[at(s->page, reg)] = val;
	}
}

static u8 gc2053_read(struct sensor *s, u16 reg)
{
	if (reg == REG_ID_HIGH)
		return s->id >> 8;
	if (reg == REG_ID_LOW)
		return s->id & 0xff;
	return get8(s, s->page, reg);
}

/* [D, V] bits 7 and 4 of 0x3e; deep standby through 0xf2 [V] */
static bool gc2053_streaming(const struct sensor *s)
{
	return (get8(s, 0, REG_STREAM) & STREAM_ON) == STREAM_ON &&
	       !(sys(s, REG_STANDBY) & BIT(0));
}

/*
 * [V] names and places of the fields; [D] what their values do, which meets the clock or the rate
 * that seven vendors declare for their modes (tests/selftests/camsim/vendors.h). The bits of a
 * lane come at xclk / f6[2:0] * f8 * (1 + f9[2:1]), f7[1] halves it, and f9[7:3] says how many of
 * them a pixel takes: 8 for 8 and 10 for 16.
 */
static u32 pixel_clock(const struct sensor *s, u32 *bad)
{
	u32 reference = sys(s, REG_PLL_REFERENCE) & 0x07;
	u32 mode = sys(s, REG_PLL_MODE);
	u32 before = (sys(s, REG_PLL_OUTPUT) >> 1) & 0x03;
	u32 divider = sys(s, REG_PLL_OUTPUT) >> 3;
	u64 bits;

	if (!reference || (mode & (PLL_MODE_ENABLE | PLL_MODE_OTHERS)) != PLL_MODE_ENABLE ||
	    !sys(s, REG_PLL_MULTIPLIER) || before > 1 || (divider != 8 && divider != 16)) {
		*bad |= BIT(SENSOR_ERR_PLL);
		return DEFAULT_PIXEL_CLOCK;
	}
	bits = (u64)s->xclk_hz * sys(s, REG_PLL_MULTIPLIER) * (1 + before);
	return div_u64(bits, reference * (divider == 8 ? 8 : 10) *
			     (mode & PLL_MODE_HALF ? 2 : 1));
}

static void view_timing(const struct sensor *s, struct sensor_view *view, u32 *bad)
{
	u32 length = get16(s, 0, REG_FRAME_LENGTH) & 0x3fff;
	u32 shortest = get16(s, 0, REG_WIN_HEIGHT) + FRAME_OVERHEAD +
		       (get16(s, 0, REG_VB) & 0x3fff);

	if (length < shortest) {
		*bad |= BIT(SENSOR_ERR_FRAME_LENGTH);
		length = shortest;
	}

	/*
	 * [V] five vendors go to 1 to 8 lines less than the frame and declare its rate all the
	 * same, so the frame isn't stretched before the exposure is longer. A driver should not
	 * rely on it: one vendor stays 16 lines away, the family's margin [F].
	 */
	view->exposure = get16(s, 0, REG_EXPOSURE) & 0x3fff;
	if (view->exposure + EXPOSURE_MARGIN > length)
		*bad |= BIT(SENSOR_ERR_EXPOSURE);
	if (view->exposure > length)
		length = view->exposure + EXPOSURE_MARGIN;

	view->frame_length = length;
	view->line_length = max((get16(s, 0, REG_LINE_LENGTH) & 0x0fff) * 2, 100);
	view->pixel_clock = pixel_clock(s, bad);
}

static void view_gain(const struct sensor *s, struct sensor_view *view, u32 *bad)
{
	u32 column = (get8(s, 0, REG_COLUMN_GAIN) & 0x3f) << 6 |
		     (get8(s, 0, REG_COLUMN_GAIN + 1) & 0x3f);
	u32 pregain = (get8(s, 0, REG_PREGAIN) & 0x0f) << 6 | get8(s, 0, REG_PREGAIN + 1) >> 2;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(gain_rows); i++) {
		if (gain_rows[i].b4 == get8(s, 0, REG_PGA_HIGH) &&
		    gain_rows[i].b3 == get8(s, 0, REG_PGA_LOW) &&
		    gain_rows[i].b8 == get8(s, 0, REG_COLUMN_GAIN) &&
		    gain_rows[i].b9 == get8(s, 0, REG_COLUMN_GAIN + 1)) {
			view->gain = gain_rows[i].gain * pregain;
			return;
		}
	}
	*bad |= BIT(SENSOR_ERR_GAIN_ROW);
	view->gain = column * pregain;		/* [D] the column gain is most of it */
}

static void view_window(const struct sensor *s, struct sensor_view *view, u32 *bad)
{
	u8 flip = get8(s, 0, REG_FLIP);
	u32 words = get8(s, 3, REG3_WORD_COUNT_HIGH) << 8 | get8(s, 3, REG3_WORD_COUNT_LOW);

	view->x = (int)(get16(s, 1, REG1_OUT_X) & 0x07ff) - ARRAY_X0;
	view->y = (int)(get16(s, 1, REG1_OUT_Y) & 0x07ff) - ARRAY_Y0;
	view->width = get16(s, 1, REG1_OUT_WIDTH) & 0x07ff;
	view->height = get16(s, 1, REG1_OUT_HEIGHT) & 0x07ff;
	view->step = 1;
	view->bits = 10;
	view->hflip = flip & FLIP_MIRROR;
	view->vflip = flip & FLIP_FLIP;
	view->keeps_order = get8(s, 1, REG1_AUTO_OFFSET);

	/* [V, F] without the automatic offset a flipped axis starts at its other colour */
	view->red_column = !(view->x & 1) ^ (view->hflip && !view->keeps_order);
	view->red_line = !(view->y & 1) ^ (view->vflip && !view->keeps_order);
	view->red_first = view->red_column && view->red_line;

	if (words != view->width)
		*bad |= BIT(SENSOR_ERR_WORD_COUNT);
}

static void gc2053_view(const struct sensor *s, struct sensor_view *view, u32 *bad)
{
	view_window(s, view, bad);
	view_timing(s, view, bad);
	view_gain(s, view, bad);
	sensor_view_times(view);
}

const struct sensor_model gc2053_model = {
	.compatible = "galaxycore,gc2053",
	.id = 0x2053,
	.other_id = 0x2093,
	.paged = GC2053_PAGED,
	.pins = SENSOR_ALL_PINS,
	.wake_cycles = 1200,	/* [F] which at 24 MHz are also the 50 us of both lines */
	.rest_cycles = 2000,	/* [F] */
	.width = 1920,
	.height = 1080,
	.max_width = 2047,	/* the width register has 11 bits */
	.formats = 1,
	.reset = gc2053_reset,
	.write = gc2053_write,
	.read = gc2053_read,
	.streaming = gc2053_streaming,
	.view = gc2053_view,
};
