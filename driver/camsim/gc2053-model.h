/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Register-level model of the GalaxyCore GC2053: pure functions over a struct, with the time
 * passed in, so that they can be tested anywhere. The caller serialises.
 *
 * Evidence marks, as in Documentation/camsim.rst: [V] read in the sources of several vendors,
 * [F] value of the chip's family, unverified, [D] derived by arithmetic from [V], [I] inferred.
 * Nothing here was compared with silicon.
 */
#ifndef GC2053_MODEL_H
#define GC2053_MODEL_H

#include <linux/bits.h>
#include <linux/types.h>

/* What reaches the chip's pins; for the two lines "on" is high, that is, released. */
enum gc2053_pin {
	GC2053_IOVDD,
	GC2053_AVDD,
	GC2053_DVDD,
	GC2053_XCLK,
	GC2053_PWDN,
	GC2053_RESET,
	GC2053_NUM_PINS
};

#define GC2053_SUPPLIES	(BIT(GC2053_IOVDD) | BIT(GC2053_AVDD) | BIT(GC2053_DVDD))
#define GC2053_RELEASED	(BIT(GC2053_PWDN) | BIT(GC2053_RESET))
#define GC2053_ALL_PINS	GENMASK(GC2053_NUM_PINS - 1, 0)

/* What a driver did wrong */
enum gc2053_error {
	GC2053_ERR_UNPOWERED,
	GC2053_ERR_TOO_EARLY,
	GC2053_ERR_RELEASED_UNPOWERED,
	GC2053_ERR_CUT_WHILE_RELEASED,
	GC2053_ERR_CLOCK_CUT_EARLY,
	GC2053_ERR_READ_ONLY,
	GC2053_ERR_UNKNOWN_REGISTER,
	GC2053_ERR_WRONG_PAGE,
	GC2053_ERR_PLL,
	GC2053_ERR_FRAME_LENGTH,
	GC2053_ERR_EXPOSURE,
	GC2053_ERR_GAIN_ROW,
	GC2053_ERR_WORD_COUNT,
	GC2053_NUM_ERRORS
};

#define GC2053_PAGES	8
#define GC2053_PAGED	0xf0	/* registers from here on are the same from any page [V] */

struct gc2053_model {
	u32 xclk_hz;
	u16 id;
	u8 pins;
	u8 page;
	u8 pointer;		/* register the next byte goes to or comes from */
	u64 ready_ns;		/* when all pins had been right for long enough */
	u64 last_i2c_ns;
	u8 reg[GC2053_PAGES][GC2053_PAGED];
	u8 sys[0x100 - GC2053_PAGED];
	u32 suspect;		/* errors seen at the last frame start, see gc2053_view_get() */
	u32 errors[GC2053_NUM_ERRORS];
};

/* What the registers say the next frame is */
struct gc2053_view {
	int x, y;		/* first pixel read, in the 1920x1080 array */
	u32 width, height;
	u32 line_length;	/* in pixel clocks */
	u32 frame_length;	/* in lines, stretched for the exposure */
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
};

void gc2053_init(struct gc2053_model *m, u32 xclk_hz);
void gc2053_set_pin(struct gc2053_model *m, enum gc2053_pin pin, bool on, u64 now);
bool gc2053_answers(struct gc2053_model *m, u64 now);
void gc2053_address(struct gc2053_model *m, u8 reg);
void gc2053_write(struct gc2053_model *m, u8 val);
u8 gc2053_read(struct gc2053_model *m);
bool gc2053_streaming(const struct gc2053_model *m);
void gc2053_view_get(struct gc2053_model *m, struct gc2053_view *view);

extern const char * const gc2053_pin_names[GC2053_NUM_PINS];
extern const char * const gc2053_error_names[GC2053_NUM_ERRORS];

#endif
