/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A sensor chip as the board sees it: pins, registers over I2C, and what these say of the next
 * frame. What all chips have is in sensor.c, what one has in its model: a table of facts and a few
 * functions (struct sensor_model).
 *
 * All are pure functions over a struct, with the time passed in, so that they can be tested
 * anywhere. The caller serialises.
 */
#ifndef CAMSIM_SENSOR_H
#define CAMSIM_SENSOR_H

#include <linux/bits.h>
#include <linux/types.h>

/* What reaches the chip's pins; for the two lines "on" is high, that is, released. */
enum sensor_pin {
	SENSOR_IOVDD,
	SENSOR_AVDD,
	SENSOR_DVDD,
	SENSOR_XCLK,
	SENSOR_PWDN,
	SENSOR_RESET,
	SENSOR_NUM_PINS
};

#define SENSOR_SUPPLIES	(BIT(SENSOR_IOVDD) | BIT(SENSOR_AVDD) | BIT(SENSOR_DVDD))
#define SENSOR_LINES	(BIT(SENSOR_PWDN) | BIT(SENSOR_RESET))
#define SENSOR_ALL_PINS	GENMASK(SENSOR_NUM_PINS - 1, 0)

/* What a driver did wrong; sensor_error_names has them in words */
enum sensor_error {
	SENSOR_ERR_UNPOWERED,
	SENSOR_ERR_TOO_EARLY,
	SENSOR_ERR_RELEASED_UNPOWERED,
	SENSOR_ERR_CUT_WHILE_RELEASED,
	SENSOR_ERR_CLOCK_CUT_EARLY,
	SENSOR_ERR_READ_ONLY,
	SENSOR_ERR_UNKNOWN_REGISTER,
	SENSOR_ERR_WRONG_PAGE,
	SENSOR_ERR_LOCKED,
	SENSOR_ERR_STREAM_EARLY,
	SENSOR_ERR_PLL,
	SENSOR_ERR_FRAME_LENGTH,
	SENSOR_ERR_EXPOSURE,
	SENSOR_ERR_GAIN,
	SENSOR_ERR_GAIN_ROW,
	SENSOR_ERR_WORD_COUNT,
	SENSOR_ERR_WINDOW,
	SENSOR_ERR_DATA_FORMAT,
	SENSOR_ERR_PATTERN,
	SENSOR_NUM_ERRORS
};

/* Enough for a chip with addresses of 16 bits; one with pages has page << 8 | address */
#define SENSOR_REGISTERS	0x6000

enum sensor_pattern {
	SENSOR_SCENE,		/* none: what is in front of it */
	SENSOR_SOLID,
	SENSOR_BARS
};

/* What the registers say the next frame is */
struct sensor_view {
	int x, y;		/* first pixel read, in the pixel array */
	u32 width, height;	/* as sent */
	u32 step;		/* array pixels that make one, each way: 2 when they are binned */
	u32 bits;		/* of a pixel, as sent */
	u32 line_length;	/* in pixel clocks */
	u32 frame_length;	/* in lines, stretched for the exposure if the chip does that */
	u32 pixel_clock;
	u64 frame_ns;
	u64 readout_ns;		/* from the start of the frame to the end of its last line */
	u32 exposure;		/* in lines */
	u32 gain;		/* in 1/4096 */
	bool hflip, vflip;
	bool keeps_order;	/* flips move the window by a pixel so that red stays first */
	bool red_column;	/* the first pixel's column and line are ones with red */
	bool red_line;
	bool red_first;		/* both: the order is RGGB */
	enum sensor_pattern pattern;
	u16 solid[4];		/* red, green beside red, blue, green beside blue: 10 bits each */
};

struct sensor;

/* All that the board has to know of a chip */
struct sensor_model {
	const char *compatible;		/* of its node in the device tree */
	u16 id, other_id;		/* what it says it is; and what with the fault of a wrong one */
	bool wide;			/* register addresses have 16 bits; else 8, and pages... */
	u8 paged;			/* ...up to here: the others are the same from any page */
	u8 pins;			/* those it has, of enum sensor_pin */
	u32 wake_ns, wake_cycles;	/* from the last of them, till it answers: the sum of both */
	u32 rest_cycles;		/* that the clock has to run on after a transfer */
	u32 width, height;		/* of the pixel array, which the scene covers */
	u32 max_width;			/* that the registers can ask for */
	u32 formats;			/* how many of camsim_formats, from the first on, it sends */

	void (*reset)(struct sensor *s);	/* all registers are 0 before */
	void (*write)(struct sensor *s, u16 reg, u8 val);
	u8 (*read)(struct sensor *s, u16 reg);
	bool (*streaming)(const struct sensor *s);	/* as the registers say */
	/* Sets the bits of those errors that are in the settings now. */
	void (*view)(const struct sensor *s, struct sensor_view *view, u32 *bad);
};

struct sensor {
	const struct sensor_model *model;
	u32 xclk_hz;
	u16 id;
	u8 pins;
	u8 page;		/* of a chip with pages */
	u8 unlocked;		/* of a chip with locked registers: steps of its sequence */
	u16 pointer;		/* register the next byte goes to or comes from */
	u64 up_ns;		/* when the last pin changed */
	u64 ready_ns;		/* when all pins had been right for long enough */
	u64 last_i2c_ns;
	u8 reg[SENSOR_REGISTERS];
	u32 suspect;		/* errors seen at the last frame start, see sensor_view_get() */
	u32 errors[SENSOR_NUM_ERRORS];
};

void sensor_init(struct sensor *s, const struct sensor_model *model, u32 xclk_hz);
void sensor_set_pin(struct sensor *s, enum sensor_pin pin, bool on, u64 now);
bool sensor_answers(struct sensor *s, u64 now);
void sensor_address(struct sensor *s, u16 reg);
void sensor_write(struct sensor *s, u8 val);
u8 sensor_read(struct sensor *s);
bool sensor_streaming(const struct sensor *s);
void sensor_view_get(struct sensor *s, struct sensor_view *view);

/* For models: all registers as after a reset; a big-endian number in two registers; frame and readout time from the rest */
void sensor_reset(struct sensor *s);
u16 sensor_get16(const struct sensor *s, u16 reg);
void sensor_put16(struct sensor *s, u16 reg, u16 val);
void sensor_view_times(struct sensor_view *view);

extern const char * const sensor_pin_names[SENSOR_NUM_PINS];
extern const char * const sensor_error_names[SENSOR_NUM_ERRORS];

/* The models */
extern const struct sensor_model gc2053_model;
extern const struct sensor_model imx219_model;

#endif
