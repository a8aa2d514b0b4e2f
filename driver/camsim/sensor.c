// SPDX-License-Identifier: GPL-2.0-only
/*
 * What sensor chips have in common: power, clock and lines, when they answer, and an address that
 * goes on by itself. See sensor.h.
 */
#include <linux/array_size.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/time64.h>

#include "sensor.h"

const char * const sensor_pin_names[SENSOR_NUM_PINS] = {
	[SENSOR_IOVDD]	= "iovdd",
	[SENSOR_AVDD]	= "avdd",
	[SENSOR_DVDD]	= "dvdd",
	[SENSOR_XCLK]	= "xclk",
	[SENSOR_PWDN]	= "powerdown",
	[SENSOR_RESET]	= "reset",
};

const char * const sensor_error_names[SENSOR_NUM_ERRORS] = {
	[SENSOR_ERR_UNPOWERED]		= "i2c-unpowered",
	[SENSOR_ERR_TOO_EARLY]		= "i2c-too-early",
	[SENSOR_ERR_RELEASED_UNPOWERED]	= "line-released-unpowered",
	[SENSOR_ERR_CUT_WHILE_RELEASED]	= "supply-cut-while-released",
	[SENSOR_ERR_CLOCK_CUT_EARLY]	= "clock-cut-too-early",
	[SENSOR_ERR_READ_ONLY]		= "write-to-read-only",
	[SENSOR_ERR_UNKNOWN_REGISTER]	= "write-to-unknown-register",
	[SENSOR_ERR_WRONG_PAGE]		= "control-on-wrong-page",
	[SENSOR_ERR_LOCKED]		= "write-to-locked-register",
	[SENSOR_ERR_STREAM_EARLY]	= "stream-too-early",
	[SENSOR_ERR_PLL]		= "pll-unknown",
	[SENSOR_ERR_FRAME_LENGTH]	= "frame-length-too-short",
	[SENSOR_ERR_EXPOSURE]		= "exposure-too-long",
	[SENSOR_ERR_GAIN]		= "gain-out-of-range",
	[SENSOR_ERR_GAIN_ROW]		= "gain-row-illegal",
	[SENSOR_ERR_WORD_COUNT]		= "word-count-not-width",
	[SENSOR_ERR_WINDOW]		= "window-not-output",
	[SENSOR_ERR_DATA_FORMAT]	= "data-format-unknown",
	[SENSOR_ERR_PATTERN]		= "test-pattern-not-modelled",
};

u16 sensor_get16(const struct sensor *s, u16 reg)
{
	return s->reg[reg] << 8 | s->reg[reg + 1];
}

void sensor_put16(struct sensor *s, u16 reg, u16 val)
{
	s->reg[reg] = val >> 8;
	s->reg[reg + 1] = val & 0xff;
}

void sensor_reset(struct sensor *s)
{
	memset(s->reg, 0, sizeof(s->reg));
	s->page = 0;
	s->unlocked = 0;
	s->suspect = 0;
	s->model->reset(s);
}

void sensor_init(struct sensor *s, const struct sensor_model *model, u32 xclk_hz)
{
	memset(s, 0, sizeof(*s));
	s->model = model;
	s->xclk_hz = xclk_hz;
	s->id = model->id;
	sensor_reset(s);
}

static u64 clocks_to_ns(const struct sensor *s, u32 clocks)
{
	return div_u64((u64)clocks * NSEC_PER_SEC, s->xclk_hz);
}

/* Those of `mask` that the chip has are on */
static bool are_on(const struct sensor *s, u32 mask)
{
	mask &= s->model->pins;
	return (s->pins & mask) == mask;
}

/*
 * A supply, the clock or a line may only go while the others still protect the chip: the lines are
 * pulled before a supply is cut, and the clock runs on for a while after the last transfer. All
 * registers are lost when a supply goes or a line is pulled.
 */
static void pin_falls(struct sensor *s, enum sensor_pin pin, u64 now)
{
	if ((SENSOR_SUPPLIES & BIT(pin)) && (s->pins & SENSOR_LINES))
		s->errors[SENSOR_ERR_CUT_WHILE_RELEASED]++;
	if (pin == SENSOR_XCLK && are_on(s, SENSOR_LINES) && s->last_i2c_ns &&
	    now - s->last_i2c_ns < clocks_to_ns(s, s->model->rest_cycles))
		s->errors[SENSOR_ERR_CLOCK_CUT_EARLY]++;
	if (pin != SENSOR_XCLK)
		sensor_reset(s);
}

void sensor_set_pin(struct sensor *s, enum sensor_pin pin, bool on, u64 now)
{
	if (!(s->model->pins & BIT(pin)) || !!(s->pins & BIT(pin)) == on)
		return;

	if (on)
		s->pins |= BIT(pin);
	else
		s->pins &= ~BIT(pin);

	if (on && (SENSOR_LINES & BIT(pin)) && !are_on(s, SENSOR_SUPPLIES))
		s->errors[SENSOR_ERR_RELEASED_UNPOWERED]++;
	if (!on)
		pin_falls(s, pin, now);

	s->up_ns = now;
	s->ready_ns = now + s->model->wake_ns + clocks_to_ns(s, s->model->wake_cycles);
}

bool sensor_answers(struct sensor *s, u64 now)
{
	if (!are_on(s, SENSOR_ALL_PINS)) {
		s->errors[SENSOR_ERR_UNPOWERED]++;
		return false;
	}
	if (now < s->ready_ns) {
		s->errors[SENSOR_ERR_TOO_EARLY]++;
		return false;
	}
	s->last_i2c_ns = now;
	return true;
}

void sensor_address(struct sensor *s, u16 reg)
{
	s->pointer = reg;
}

/* The register of the byte that is next, and the address goes on */
static u16 next_register(struct sensor *s)
{
	u16 reg = s->pointer++;

	if (!s->model->wide)
		s->pointer &= 0xff;
	return reg;
}

void sensor_write(struct sensor *s, u8 val)
{
	s->model->write(s, next_register(s), val);
}

u8 sensor_read(struct sensor *s)
{
	return s->model->read(s, next_register(s));
}

bool sensor_streaming(const struct sensor *s)
{
	return are_on(s, SENSOR_ALL_PINS) && s->model->streaming(s);
}

void sensor_view_times(struct sensor_view *view)
{
	view->frame_ns = div_u64((u64)view->line_length * view->frame_length * NSEC_PER_SEC,
				 view->pixel_clock);
	view->readout_ns = div_u64((u64)view->line_length * max(view->height, 1) * NSEC_PER_SEC,
				   view->pixel_clock);
}

/*
 * To be called once at each frame start. Registers of one setting are written one after the
 * other, and a frame may start in between: what is wrong counts when it is so at two starts
 * in a row.
 */
void sensor_view_get(struct sensor *s, struct sensor_view *view)
{
	u32 bad = 0, sure;
	unsigned int i;

	memset(view, 0, sizeof(*view));
	s->model->view(s, view, &bad);

	sure = bad & s->suspect;
	s->suspect = bad;
	for (i = 0; i < SENSOR_NUM_ERRORS; i++)
		if (sure & BIT(i))
			s->errors[i]++;
}
