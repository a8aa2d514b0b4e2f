// SPDX-License-Identifier: GPL-2.0-only
/*
 * Register-level model of the Sony IMX219, as much of it as mainline's driver speaks to. It is
 * here so that the board's bus and receiver are tried by a driver that others wrote.
 *
 * Evidence marks: [L] names, places and values of registers, modes, clocks and delays as Linux
 * 6.12's drivers/media/i2c/imx219.c has them, and its binding; [C] MIPI's camera command set, whose
 * layout the chip follows from 0x0000 to 0x0fff; [D] derived from [L] by arithmetic; [I] inferred.
 * Nothing here was compared with silicon.
 */
#include <linux/array_size.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/string.h>

#include "sensor.h"

#define REG_ID			0x0000
#define REG_MODE		0x0100
#define   MODE_STREAMING		BIT(0)
#define REG_LANES		0x0114
#define REG_XCLK_MHZ		0x012a	/* in 1/256 */
#define REG_ANALOGUE_GAIN	0x0157
#define REG_DIGITAL_GAIN	0x0158
#define REG_EXPOSURE		0x015a
#define REG_FRAME_LENGTH	0x0160
#define REG_LINE_LENGTH		0x0162
#define REG_X_START		0x0164
#define REG_X_END		0x0166
#define REG_Y_START		0x0168
#define REG_Y_END		0x016a
#define REG_OUT_WIDTH		0x016c
#define REG_OUT_HEIGHT		0x016e
#define REG_FLIP		0x0172
#define   FLIP_H			BIT(0)
#define   FLIP_V			BIT(1)
#define REG_BINNING_H		0x0174
#define REG_BINNING_V		0x0175
#define REG_DATA_FORMAT		0x018c
#define REG_VT_PIXEL_DIV	0x0301
#define REG_VT_SYSTEM_DIV	0x0303
#define REG_VT_PREDIV		0x0304
#define REG_OP_PREDIV		0x0305
#define REG_VT_MULTIPLIER	0x0306
#define REG_OP_PIXEL_DIV	0x0309
#define REG_OP_SYSTEM_DIV	0x030b
#define REG_OP_MULTIPLIER	0x030c
#define REG_PATTERN		0x0600
#define   PATTERN_SOLID			1
#define   PATTERN_BARS			2
#define REG_PATTERN_RED		0x0602	/* then green beside red, blue, green beside blue [C] */
#define LOCKED			0x3000	/* from here on; opened by unlock_sequence [L] */

#define ARRAY_WIDTH		3280	/* [L] */
#define ARRAY_HEIGHT		2464	/* [L] */
#define MIN_BLANKING		32	/* [L] */
#define EXPOSURE_MARGIN		4	/* [L] */
#define MAX_GAIN_CODE		232	/* [L] */
#define STREAM_AFTER_NS		6200000	/* [L] after reset, what its comment has as t4 + t5 */

/* Registers that the driver writes or names [L], by first and last address */
static const struct {
	u16 first, last;
} known[] = {
	{ 0x0000, 0x0001 }, { 0x0100, 0x0100 }, { 0x0114, 0x0114 }, { 0x0128, 0x0128 },
	{ 0x012a, 0x012b }, { 0x0157, 0x015b }, { 0x0160, 0x0172 }, { 0x0174, 0x0175 },
	{ 0x018c, 0x018d }, { 0x0301, 0x0301 }, { 0x0303, 0x0307 }, { 0x0309, 0x0309 },
	{ 0x030b, 0x030d }, { 0x0600, 0x0609 }, { 0x0624, 0x0627 }, { 0x300a, 0x300b },
	{ 0x30eb, 0x30eb }, { 0x4540, 0x4540 }, { 0x455e, 0x455e }, { 0x4713, 0x4713 },
	{ 0x471e, 0x471e }, { 0x4750, 0x4750 }, { 0x4767, 0x4767 }, { 0x478b, 0x478b },
	{ 0x478f, 0x478f }, { 0x4793, 0x4793 }, { 0x4797, 0x4797 }, { 0x479b, 0x479b },
	{ 0x47b4, 0x47b4 },
};

static const struct {
	u16 reg;
	u8 val;
} unlock_sequence[] = {
	{ 0x30eb, 0x05 }, { 0x30eb, 0x0c }, { 0x300a, 0xff }, { 0x300b, 0xff },
	{ 0x30eb, 0x05 }, { 0x30eb, 0x09 },
};

/* [I] Those of the whole array; the driver relies on none of them. */
static void imx219_reset(struct sensor *s)
{
	sensor_put16(s, REG_DIGITAL_GAIN, 0x0100);
	sensor_put16(s, REG_FRAME_LENGTH, 3526);
	sensor_put16(s, REG_LINE_LENGTH, 3448);
	sensor_put16(s, REG_X_END, ARRAY_WIDTH - 1);
	sensor_put16(s, REG_Y_END, ARRAY_HEIGHT - 1);
	sensor_put16(s, REG_OUT_WIDTH, ARRAY_WIDTH);
	sensor_put16(s, REG_OUT_HEIGHT, ARRAY_HEIGHT);
	sensor_put16(s, REG_DATA_FORMAT, 0x0a0a);
}

static bool is_known(u16 reg)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(known); i++)
		if (reg >= known[i].first && reg <= known[i].last)
			return true;
	return false;
}

static bool is_unlocked(const struct sensor *s)
{
	return s->unlocked == ARRAY_SIZE(unlock_sequence);
}

/* [L] the values and their order; [I] that nothing is taken before, and that any other restarts it */
static bool unlock(struct sensor *s, u16 reg, u8 val)
{
	if (reg == unlock_sequence[s->unlocked].reg && val == unlock_sequence[s->unlocked].val)
		s->unlocked++;
	else
		s->unlocked = reg == unlock_sequence[0].reg && val == unlock_sequence[0].val;
	return s->unlocked;
}

static void imx219_write(struct sensor *s, u16 reg, u8 val)
{
	if (reg <= REG_ID + 1) {
		s->errors[SENSOR_ERR_READ_ONLY]++;
		return;
	}
	if (!is_known(reg) || reg >= SENSOR_REGISTERS) {
		s->errors[SENSOR_ERR_UNKNOWN_REGISTER]++;
		return;
	}
	if (reg >= LOCKED && !is_unlocked(s)) {
		if (!unlock(s, reg, val))
			s->errors[SENSOR_ERR_LOCKED]++;
		return;
	}
	if (reg == REG_MODE && (val & MODE_STREAMING) &&
	    s->last_i2c_ns - s->up_ns < STREAM_AFTER_NS)
		s->errors[SENSOR_ERR_STREAM_EARLY]++;
	s->reg[reg] = val;
}

static u8 imx219_read(struct sensor *s, u16 reg)
{
	if (reg == REG_ID)
		return s->id >> 8;
	if (reg == REG_ID + 1)
		return s->id & 0xff;
	return reg < SENSOR_REGISTERS ? s->reg[reg] : 0;
}

static bool imx219_streaming(const struct sensor *s)
{
	return s->reg[REG_MODE] & MODE_STREAMING;
}

/*
 * [D] Two pixels a cycle of xclk / predivider * multiplier / dividers, which meets the rates that
 * the driver declares for two and four lanes; a lane's bits come at the other PLL's clock, and all
 * lanes together have to carry the pixels.
 */
static u32 pixel_clock(const struct sensor *s, const struct sensor_view *view, u32 *bad)
{
	u32 dividers = s->reg[REG_VT_PREDIV] * s->reg[REG_VT_SYSTEM_DIV] * s->reg[REG_VT_PIXEL_DIV];
	u32 op_dividers = s->reg[REG_OP_PREDIV] * s->reg[REG_OP_SYSTEM_DIV];
	u32 lanes = s->reg[REG_LANES] + 1, clock;
	u64 bits;

	if (!dividers || !op_dividers || !sensor_get16(s, REG_VT_MULTIPLIER) ||
	    (lanes != 2 && lanes != 4) || s->reg[REG_OP_PIXEL_DIV] != view->bits ||
	    sensor_get16(s, REG_XCLK_MHZ) != s->xclk_hz / 1000000 * 256) {
		*bad |= BIT(SENSOR_ERR_PLL);
		return 182400000;
	}
	clock = div_u64(2ULL * s->xclk_hz * sensor_get16(s, REG_VT_MULTIPLIER), dividers);
	bits = div_u64((u64)s->xclk_hz * sensor_get16(s, REG_OP_MULTIPLIER), op_dividers) * lanes;
	if (bits < (u64)clock * view->bits)
		*bad |= BIT(SENSOR_ERR_PLL);
	return clock;
}

static void view_timing(const struct sensor *s, struct sensor_view *view, u32 *bad)
{
	u32 length = sensor_get16(s, REG_FRAME_LENGTH);

	if (length < view->height + MIN_BLANKING) {
		*bad |= BIT(SENSOR_ERR_FRAME_LENGTH);
		length = view->height + MIN_BLANKING;
	}
	view->frame_length = length;
	view->exposure = sensor_get16(s, REG_EXPOSURE);
	if (view->exposure + EXPOSURE_MARGIN > length) {
		*bad |= BIT(SENSOR_ERR_EXPOSURE);
		view->exposure = length - EXPOSURE_MARGIN;	/* [I] */
	}
	view->line_length = max(sensor_get16(s, REG_LINE_LENGTH), 100);
	view->pixel_clock = pixel_clock(s, view, bad);
}

/* [L] the range, and the digital gain in 1/256; [C] what a code of the analogue gain is worth */
static void view_gain(const struct sensor *s, struct sensor_view *view, u32 *bad)
{
	u32 code = s->reg[REG_ANALOGUE_GAIN], digital = sensor_get16(s, REG_DIGITAL_GAIN) & 0x0fff;

	if (code > MAX_GAIN_CODE || digital < 0x100)
		*bad |= BIT(SENSOR_ERR_GAIN);
	view->gain = 4096 * digital / (256 - min(code, MAX_GAIN_CODE));
}

/* Array pixels for each that is sent: [L] 0 none, 1 two of them, 3 two of them before conversion */
static u32 binning(u8 mode, u32 *bad)
{
	if (mode == 1 || mode == 3)
		return 2;
	if (mode)
		*bad |= BIT(SENSOR_ERR_WINDOW);
	return 1;
}

static void view_window(const struct sensor *s, struct sensor_view *view, u32 *bad)
{
	u8 flip = s->reg[REG_FLIP];
	u32 x_end = sensor_get16(s, REG_X_END), y_end = sensor_get16(s, REG_Y_END);
	u32 step_y = binning(s->reg[REG_BINNING_V], bad);

	view->x = sensor_get16(s, REG_X_START);
	view->y = sensor_get16(s, REG_Y_START);
	view->width = min(sensor_get16(s, REG_OUT_WIDTH), ARRAY_WIDTH);
	view->height = min(sensor_get16(s, REG_OUT_HEIGHT), ARRAY_HEIGHT);
	view->step = binning(s->reg[REG_BINNING_H], bad);
	view->hflip = flip & FLIP_H;
	view->vflip = flip & FLIP_V;
	if (view->step != step_y || view->x + view->width * view->step != x_end + 1 ||
	    view->y + view->height * step_y != y_end + 1 || x_end >= ARRAY_WIDTH ||
	    y_end >= ARRAY_HEIGHT)
		*bad |= BIT(SENSOR_ERR_WINDOW);

	/* [L] red first at (0, 0); a flipped axis begins at its other end, which is the other colour */
	view->red_column = !(view->x & 1) ^ view->hflip;
	view->red_line = !(view->y & 1) ^ view->vflip;
	view->red_first = view->red_column && view->red_line;
}

static void view_format(const struct sensor *s, struct sensor_view *view, u32 *bad)
{
	u32 format = sensor_get16(s, REG_DATA_FORMAT);

	view->bits = format & 0xff;
	if (format != 0x0808 && format != 0x0a0a) {
		*bad |= BIT(SENSOR_ERR_DATA_FORMAT);
		view->bits = 10;
	}
}

static void view_pattern(const struct sensor *s, struct sensor_view *view, u32 *bad)
{
	unsigned int i;

	switch (sensor_get16(s, REG_PATTERN)) {
	case 0:
		break;
	case PATTERN_SOLID:
		view->pattern = SENSOR_SOLID;
		break;
	case PATTERN_BARS:
		view->pattern = SENSOR_BARS;
		break;
	default:
		*bad |= BIT(SENSOR_ERR_PATTERN);
	}
	for (i = 0; i < ARRAY_SIZE(view->solid); i++)
		view->solid[i] = sensor_get16(s, REG_PATTERN_RED + 2 * i) & 0x03ff;
}

static void imx219_view(const struct sensor *s, struct sensor_view *view, u32 *bad)
{
	view_window(s, view, bad);
	view_format(s, view, bad);
	view_timing(s, view, bad);
	view_gain(s, view, bad);
	view_pattern(s, view, bad);
	sensor_view_times(view);
}

const struct sensor_model imx219_model = {
	.compatible = "sony,imx219",
	.id = 0x0219,
	.other_id = 0x0477,
	.wide = true,
	.pins = SENSOR_ALL_PINS & ~BIT(SENSOR_PWDN),
	.wake_ns = 200000,	/* [L] t4 */
	.wake_cycles = 32000,	/* [L] t6 */
	.width = ARRAY_WIDTH,
	.height = ARRAY_HEIGHT,
	.max_width = ARRAY_WIDTH,
	.formats = 8,
	.reset = imx219_reset,
	.write = imx219_write,
	.read = imx219_read,
	.streaming = imx219_streaming,
	.view = imx219_view,
};
