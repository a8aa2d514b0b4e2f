// SPDX-License-Identifier: GPL-2.0-only
/*
 * Register-level model of the GalaxyCore GC2053. See gc2053-model.h for the evidence marks.
 */
#include <linux/array_size.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/time64.h>

#include "gc2053-model.h"

#define CHIP_ID			0x2053

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

const char * const gc2053_pin_names[GC2053_NUM_PINS] = {
	[GC2053_IOVDD]	= "iovdd",
	[GC2053_AVDD]	= "avdd",
	[GC2053_DVDD]	= "dvdd",
	[GC2053_XCLK]	= "xclk",
	[GC2053_PWDN]	= "powerdown",
	[GC2053_RESET]	= "reset",
};

const char * const gc2053_error_names[GC2053_NUM_ERRORS] = {
	[GC2053_ERR_UNPOWERED]		= "i2c-unpowered",
	[GC2053_ERR_TOO_EARLY]		= "i2c-too-early",
	[GC2053_ERR_RELEASED_UNPOWERED]	= "line-released-unpowered",
	[GC2053_ERR_CUT_WHILE_RELEASED]	= "supply-cut-while-released",
	[GC2053_ERR_CLOCK_CUT_EARLY]	= "clock-cut-too-early",
	[GC2053_ERR_READ_ONLY]		= "write-to-read-only",
	[GC2053_ERR_UNKNOWN_REGISTER]	= "write-to-unknown-register",
	[GC2053_ERR_WRONG_PAGE]		= "control-on-wrong-page",
	[GC2053_ERR_PLL]		= "pll-unknown",
	[GC2053_ERR_FRAME_LENGTH]	= "frame-length-too-short",
	[GC2053_ERR_EXPOSURE]		= "exposure-too-long",
	[GC2053_ERR_GAIN_ROW]		= "gain-row-illegal",
	[GC2053_ERR_WORD_COUNT]		= "word-count-not-width",
};

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

static u16 get16(const struct gc2053_model *m, u8 page, u8 reg)
{
	return m->reg[page][reg] << 8 | m->reg[page][reg + 1];
}

static void put16(struct gc2053_model *m, u8 page, u8 reg, u16 val)
{
	m->reg[page][reg] = val >> 8;
	m->reg[page][reg + 1] = val & 0xff;
}

static u8 sys(const struct gc2053_model *m, u8 reg)
{
	return m->sys[reg - GC2053_PAGED];
}

/* [F] where the family's datasheet gives a default, 0 elsewhere */
static void reset_registers(struct gc2053_model *m)
{
	memset(m->reg, 0, sizeof(m->reg));
	memset(m->sys, 0, sizeof(m->sys));
	m->page = 0;
	m->suspect = 0;
	put16(m, 0, REG_FRAME_LENGTH, 0x04e0);
	put16(m, 0, REG_LINE_LENGTH, 0x044c);
	put16(m, 0, REG_WIN_HEIGHT, 0x0440);
	m->reg[0][REG_PREGAIN] = 0x01;
	m->reg[0][REG_COLUMN_GAIN] = 0x01;
	m->reg[1][REG1_AUTO_OFFSET] = 0x05;
	put16(m, 1, REG1_OUT_HEIGHT, 0x0438);
	put16(m, 1, REG1_OUT_WIDTH, 0x0738);
}

void gc2053_init(struct gc2053_model *m, u32 xclk_hz)
{
	memset(m, 0, sizeof(*m));
	m->xclk_hz = xclk_hz;
	m->id = CHIP_ID;
	reset_registers(m);
}

static u64 clocks_to_ns(const struct gc2053_model *m, u32 clocks)
{
	return div_u64((u64)clocks * NSEC_PER_SEC, m->xclk_hz);
}

/*
 * [F] A supply, the clock or a line may only go while the others still protect the chip: both
 * lines are pulled before a supply is cut, and the clock runs on for 2000 cycles after the last
 * transfer. All registers are lost when a supply goes or a line is pulled.
 */
static void pin_falls(struct gc2053_model *m, enum gc2053_pin pin, u64 now)
{
	bool runs = (m->pins & GC2053_RELEASED) == GC2053_RELEASED;

	if ((GC2053_SUPPLIES & BIT(pin)) && (m->pins & GC2053_RELEASED))
		m->errors[GC2053_ERR_CUT_WHILE_RELEASED]++;
	if (pin == GC2053_XCLK && runs && m->last_i2c_ns &&
	    now - m->last_i2c_ns < clocks_to_ns(m, 2000))
		m->errors[GC2053_ERR_CLOCK_CUT_EARLY]++;
	if (pin != GC2053_XCLK)
		reset_registers(m);
}

void gc2053_set_pin(struct gc2053_model *m, enum gc2053_pin pin, bool on, u64 now)
{
	if (!!(m->pins & BIT(pin)) == on)
		return;

	if (on)
		m->pins |= BIT(pin);
	else
		m->pins &= ~BIT(pin);

	if (on && (GC2053_RELEASED & BIT(pin)) && (m->pins & GC2053_SUPPLIES) != GC2053_SUPPLIES)
		m->errors[GC2053_ERR_RELEASED_UNPOWERED]++;
	if (!on)
		pin_falls(m, pin, now);

	/* [F] 1200 clock cycles, which at 24 MHz are also the 50 us of both lines */
	m->ready_ns = now + clocks_to_ns(m, 1200);
}

bool gc2053_answers(struct gc2053_model *m, u64 now)
{
	if (m->pins != GC2053_ALL_PINS) {
		m->errors[GC2053_ERR_UNPOWERED]++;
		return false;
	}
	if (now < m->ready_ns) {
		m->errors[GC2053_ERR_TOO_EARLY]++;
		return false;
	}
	m->last_i2c_ns = now;
	return true;
}

void gc2053_address(struct gc2053_model *m, u8 reg)
{
	m->pointer = reg;
}

static void check_known(struct gc2053_model *m, u8 reg)
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
			m->errors[GC2053_ERR_UNKNOWN_REGISTER]++;
	} else if (!known[m->page].list || !in_list(known[m->page].list, known[m->page].n, reg)) {
		if (m->page && in_list(page0_controls, ARRAY_SIZE(page0_controls), reg))
			m->errors[GC2053_ERR_WRONG_PAGE]++;
		else
			m->errors[GC2053_ERR_UNKNOWN_REGISTER]++;
	}
}

/* One byte of a transfer; the address goes on within the page [V] */
void gc2053_write(struct gc2053_model *m, u8 val)
{
	u8 reg = m->pointer++;

	if (reg == REG_ID_HIGH || reg == REG_ID_LOW) {
		m->errors[GC2053_ERR_READ_ONLY]++;
		return;
	}

	check_known(m, reg);
	if (reg == REG_PAGE) {
		if (val & PAGE_RESET)		/* [V] */
			reset_registers(m);
		else
			m->page = val & PAGE_MASK;
		m->sys[reg - GC2053_PAGED] = m->page;
	} else if (reg >= GC2053_PAGED) {
		m->sys[reg - GC2053_PAGED] = val;
	} else {
		m->reg[m->page][reg] = val;
	}
}

u8 gc2053_read(struct gc2053_model *m)
{
	u8 reg = m->pointer++;

	if (reg == REG_ID_HIGH)
		return m->id >> 8;
	if (reg == REG_ID_LOW)
		return m->id & 0xff;
	if (reg >= GC2053_PAGED)
		return sys(m, reg);
	return m->reg[m->page][reg];
}

/* [D, V] bits 7 and 4 of 0x3e; deep standby through 0xf2 [V] */
bool gc2053_streaming(const struct gc2053_model *m)
{
	return m->pins == GC2053_ALL_PINS && (m->reg[0][REG_STREAM] & STREAM_ON) == STREAM_ON &&
	       !(sys(m, REG_STANDBY) & BIT(0));
}

/*
 * [V] names and places of the fields; [D] what their values do, which meets the clock or the rate
 * that seven vendors declare for their modes (tests/selftests/camsim/vendors.h). The bits of a
 * lane come at xclk / f6[2:0] * f8 * (1 + f9[2:1]), f7[1] halves it, and f9[7:3] says how many of
 * them a pixel takes: 8 for 8 and 10 for 16.
 */
static u32 pixel_clock(const struct gc2053_model *m, u32 *bad)
{
	u32 reference = sys(m, REG_PLL_REFERENCE) & 0x07;
	u32 mode = sys(m, REG_PLL_MODE);
	u32 before = (sys(m, REG_PLL_OUTPUT) >> 1) & 0x03;
	u32 divider = sys(m, REG_PLL_OUTPUT) >> 3;
	u64 bits;

	if (!reference || (mode & (PLL_MODE_ENABLE | PLL_MODE_OTHERS)) != PLL_MODE_ENABLE ||
	    !sys(m, REG_PLL_MULTIPLIER) || before > 1 || (divider != 8 && divider != 16)) {
		*bad |= BIT(GC2053_ERR_PLL);
		return DEFAULT_PIXEL_CLOCK;
	}
	bits = (u64)m->xclk_hz * sys(m, REG_PLL_MULTIPLIER) * (1 + before);
	return div_u64(bits, reference * (divider == 8 ? 8 : 10) *
			     (mode & PLL_MODE_HALF ? 2 : 1));
}

static void view_timing(const struct gc2053_model *m, struct gc2053_view *view, u32 *bad)
{
	u32 length = get16(m, 0, REG_FRAME_LENGTH) & 0x3fff;
	u32 shortest = get16(m, 0, REG_WIN_HEIGHT) + FRAME_OVERHEAD +
		       (get16(m, 0, REG_VB) & 0x3fff);

	if (length < shortest) {
		*bad |= BIT(GC2053_ERR_FRAME_LENGTH);
		length = shortest;
	}

	/*
	 * [V] five vendors go to 1 to 8 lines less than the frame and declare its rate all the
	 * same, so the frame isn't stretched before the exposure is longer. A driver should not
	 * rely on it: one vendor stays 16 lines away, the family's margin [F].
	 */
	view->exposure = get16(m, 0, REG_EXPOSURE) & 0x3fff;
	if (view->exposure + EXPOSURE_MARGIN > length)
		*bad |= BIT(GC2053_ERR_EXPOSURE);
	if (view->exposure > length)
		length = view->exposure + EXPOSURE_MARGIN;

	view->frame_length = length;
	view->line_length = max((get16(m, 0, REG_LINE_LENGTH) & 0x0fff) * 2, 100);
	view->pixel_clock = pixel_clock(m, bad);
	view->frame_ns = div_u64((u64)view->line_length * length * NSEC_PER_SEC,
				 view->pixel_clock);
	view->readout_ns = div_u64((u64)view->line_length * max(view->height, 1) * NSEC_PER_SEC,
				   view->pixel_clock);
}

static void view_gain(const struct gc2053_model *m, struct gc2053_view *view, u32 *bad)
{
	u32 column = (m->reg[0][REG_COLUMN_GAIN] & 0x3f) << 6 |
		     (m->reg[0][REG_COLUMN_GAIN + 1] & 0x3f);
	u32 pregain = (m->reg[0][REG_PREGAIN] & 0x0f) << 6 | m->reg[0][REG_PREGAIN + 1] >> 2;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(gain_rows); i++) {
		if (gain_rows[i].b4 == m->reg[0][REG_PGA_HIGH] &&
		    gain_rows[i].b3 == m->reg[0][REG_PGA_LOW] &&
		    gain_rows[i].b8 == m->reg[0][REG_COLUMN_GAIN] &&
		    gain_rows[i].b9 == m->reg[0][REG_COLUMN_GAIN + 1]) {
			view->gain = gain_rows[i].gain * pregain;
			return;
		}
	}
	*bad |= BIT(GC2053_ERR_GAIN_ROW);
	view->gain = column * pregain;		/* [D] the column gain is most of it */
}

static void view_window(const struct gc2053_model *m, struct gc2053_view *view, u32 *bad)
{
	u8 flip = m->reg[0][REG_FLIP];
	u32 words = m->reg[3][REG3_WORD_COUNT_HIGH] << 8 | m->reg[3][REG3_WORD_COUNT_LOW];

	view->x = (int)(get16(m, 1, REG1_OUT_X) & 0x07ff) - ARRAY_X0;
	view->y = (int)(get16(m, 1, REG1_OUT_Y) & 0x07ff) - ARRAY_Y0;
	view->width = get16(m, 1, REG1_OUT_WIDTH) & 0x07ff;
	view->height = get16(m, 1, REG1_OUT_HEIGHT) & 0x07ff;
	view->hflip = flip & FLIP_MIRROR;
	view->vflip = flip & FLIP_FLIP;
	view->keeps_order = m->reg[1][REG1_AUTO_OFFSET];

	/* [V, F] without the automatic offset a flipped axis starts at its other colour */
	view->red_column = !(view->x & 1) ^ (view->hflip && !view->keeps_order);
	view->red_line = !(view->y & 1) ^ (view->vflip && !view->keeps_order);
	view->red_first = view->red_column && view->red_line;

	if (words != view->width)
		*bad |= BIT(GC2053_ERR_WORD_COUNT);
}

/*
 * To be called once at each frame start. Registers of one setting are written one after the
 * other, and a frame may start in between: what is wrong counts when it is so at two starts
 * in a row.
 */
void gc2053_view_get(struct gc2053_model *m, struct gc2053_view *view)
{
	u32 bad = 0, sure;
	unsigned int i;

	view_window(m, view, &bad);
	view_timing(m, view, &bad);
	view_gain(m, view, &bad);

	sure = bad & m->suspect;
	m->suspect = bad;
	for (i = 0; i < GC2053_NUM_ERRORS; i++)
		if (sure & BIT(i))
			m->errors[i]++;
}
