/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * GalaxyCore GC2053: registers, and the list that sets up 1920x1080 at 30
 * frames/s on two CSI-2 lanes at 297 MHz from a 24 MHz clock
 *
 * No data sheet of this sensor is public. Names, meanings and values are facts
 * read out of drivers that vendors published, put in our own words:
 *
 *   Rockchip   gc2053.c in armbian/linux-rockchip, drivers/media/i2c
 *   Ingenic    gc2053.c in OpenIPC/openingenic, kernel/sensors/t31/gc2053
 *   Allwinner  gc2053_mipi.c in takeanddevote/v853-kernel-mipiCamera,
 *              drivers/media/platform/sunxi-vin/modules/sensor
 *   Canaan     gc2053.c of the K510 SDK
 *   FullHan    gc2053_mipi.c
 *   HiSilicon  galaxycore_gc2053 in OpenIPC/openhisilicon, libraries/sensor
 *              (also Goke's)
 *   gc2145     the mainline driver of an older sensor of the same maker, for
 *              the names of what both have
 *
 * All of them surely descend from one list of the maker's: that they agree
 * shows faithful copies, not independent measurements. What is known only from
 * sensors of the same family is marked "family value, unverified".
 */

#ifndef VOLET_GC2053_REGS_H
#define VOLET_GC2053_REGS_H

#include <linux/bits.h>

#include "gc2053-cci.h"

/*
 * Addresses have 8 bits, and those below 0xf0 mean something else on each of
 * the pages 0 to 4. The driver's four private bits of a CCI register hold the
 * page; from 0xf0 on the page doesn't matter, which the top bit says.
 */
#define GC2053_PAGE(page, reg)	(((page) << CCI_REG_PRIVATE_SHIFT) | (reg))
#define GC2053_ANY_PAGE			BIT(31)

#define GC2053_P0(addr)			GC2053_PAGE(0U, CCI_REG8(addr))
#define GC2053_P1(addr)			GC2053_PAGE(1U, CCI_REG8(addr))
#define GC2053_P3(addr)			GC2053_PAGE(3U, CCI_REG8(addr))
#define GC2053_P4(addr)			GC2053_PAGE(4U, CCI_REG8(addr))
#define GC2053_SYS(addr)		(GC2053_ANY_PAGE | CCI_REG8(addr))

/* Page 0 */
#define GC2053_REG_EXPOSURE		GC2053_PAGE(0U, CCI_REG16(0x03))
#define GC2053_REG_LINE_LENGTH		GC2053_PAGE(0U, CCI_REG16(0x05))
#define GC2053_REG_VB			GC2053_PAGE(0U, CCI_REG16(0x07))
#define GC2053_REG_ROW_START		GC2053_PAGE(0U, CCI_REG16(0x09))
#define GC2053_REG_COL_START		GC2053_PAGE(0U, CCI_REG16(0x0b))
#define GC2053_REG_WIN_HEIGHT		GC2053_PAGE(0U, CCI_REG16(0x0d))
#define GC2053_REG_FLIP			GC2053_P0(0x17)
#define GC2053_FLIP_MIRROR		BIT(0)
#define GC2053_FLIP_UPDOWN		BIT(1)
#define GC2053_REG_STREAM		GC2053_P0(0x3e)
#define GC2053_STREAM_ON		0x91
#define GC2053_STREAM_STANDBY		0x11
#define GC2053_REG_FRAME_LENGTH		GC2053_PAGE(0U, CCI_REG16(0x41))
#define GC2053_REG_FRAME_LENGTH_MODE	GC2053_P0(0x90)
#define GC2053_FRAME_LENGTH_FROM_REG	0x00
/* 4.6 bits fixed point, aligned to bit 2 */
#define GC2053_REG_PREGAIN		GC2053_PAGE(0U, CCI_REG16(0xb1))
#define GC2053_PREGAIN_SHIFT		2
#define GC2053_REG_PGA_LOW		GC2053_P0(0xb3)
#define GC2053_REG_PGA_HIGH		GC2053_P0(0xb4)
#define GC2053_REG_COLUMN_INT		GC2053_P0(0xb8)
#define GC2053_REG_COLUMN_FRAC		GC2053_P0(0xb9)

/* Page 1 */
#define GC2053_REG_OUT_Y_LOW		GC2053_P1(0x92)
#define GC2053_REG_OUT_X_LOW		GC2053_P1(0x94)
#define GC2053_REG_OUT_HEIGHT		GC2053_PAGE(1U, CCI_REG16(0x95))
#define GC2053_REG_OUT_WIDTH		GC2053_PAGE(1U, CCI_REG16(0x97))
#define GC2053_REG_AUTO_OFFSET		GC2053_P1(0x99)
#define GC2053_AUTO_OFFSET_BOTH		0x05

/* Page 3 */
#define GC2053_REG_LINE_PIXELS		GC2053_PAGE(3U, CCI_REG16_LE(0x12))

/* Any page */
#define GC2053_REG_CHIP_ID		(GC2053_ANY_PAGE | CCI_REG16(0xf0))
#define GC2053_CHIP_ID			0x2053
#define GC2053_REG_PAGE_SELECT		GC2053_SYS(0xfe)
#define GC2053_SOFT_RESET		BIT(7)

/* Timing: in pixels of the array and in lines */
#define GC2053_XCLK_FREQ		24000000
#define GC2053_LINK_FREQ		297000000LL
#define GC2053_PIXEL_RATE		74250000
#define GC2053_NUM_DATA_LANES		2

#define GC2053_WIDTH			1920
#define GC2053_HEIGHT			1080

#define GC2053_LINE_LENGTH		2200
#define GC2053_FRAME_LENGTH_MIN		1125
#define GC2053_FRAME_LENGTH_MAX		0x3fff

/*
 * The rows read out are eight more than the rows sent. With the vertical blank
 * and 20 lines of the sensor's own they make the shortest frame; that sum is a
 * family value, but it is met exactly: 1088 + 17 + 20 = 1125.
 */
#define GC2053_READOUT_HEIGHT		(GC2053_HEIGHT + 8)
#define GC2053_VB			17

/*
 * Written at each start of the stream, after a soft reset. Registers that a
 * control owns are not here: exposure, frame length, gain and flips are written
 * from the controls right after this list.
 *
 * Where vendors differ, and nothing else is said, the value is the one that
 * most of them write.
 */
static const struct cci_reg_sequence gc2053_mode_regs[] = {
	/*
	 * PLL: 24 MHz * 99 / 4 = 594 Mbit/s on each lane; an eighth of that,
	 * 74.25 MHz, is the rate of the pixel array. 0xf8 is the 99; Ingenic
	 * writes other values there for other frame rates (Rockchip,
	 * Allwinner, Canaan and Ingenic agree on the rest).
	 */
	{ GC2053_SYS(0xf2), 0x00 }, { GC2053_SYS(0xf3), 0x00 },
	{ GC2053_SYS(0xf4), 0x36 }, { GC2053_SYS(0xf5), 0xc0 },
	{ GC2053_SYS(0xf6), 0x44 }, { GC2053_SYS(0xf7), 0x01 },
	{ GC2053_SYS(0xf8), 0x63 }, { GC2053_SYS(0xf9), 0x40 },
	{ GC2053_SYS(0xfc), 0x8e },

	/* Analogue; Rockchip, Ingenic, Allwinner, Canaan agree, unexplained */
	{ GC2053_P0(0x87), 0x18 }, { GC2053_P0(0xee), 0x30 },
	{ GC2053_P0(0xd0), 0xb7 },

	/*
	 * What is read out of the array, and how fast. The line length counts
	 * in pairs of pixels. The window's width stays at its reset value.
	 */
	{ GC2053_REG_LINE_LENGTH, GC2053_LINE_LENGTH / 2 },
	{ GC2053_REG_VB, GC2053_VB },
	{ GC2053_REG_ROW_START, 2 },
	{ GC2053_REG_COL_START, 2 },
	{ GC2053_REG_WIN_HEIGHT, GC2053_READOUT_HEIGHT },

	/* Analogue and read-out timing; the same four agree, unexplained */
	{ GC2053_P0(0x12), 0xe2 }, { GC2053_P0(0x13), 0x16 },
	{ GC2053_P0(0x19), 0x0a }, { GC2053_P0(0x21), 0x1c },
	{ GC2053_P0(0x28), 0x0a }, { GC2053_P0(0x29), 0x24 },
	{ GC2053_P0(0x2b), 0x04 }, { GC2053_P0(0x32), 0xf8 },
	{ GC2053_P0(0x37), 0x03 }, { GC2053_P0(0x39), 0x15 },
	{ GC2053_P0(0x43), 0x07 }, { GC2053_P0(0x44), 0x40 },
	{ GC2053_P0(0x46), 0x0b }, { GC2053_P0(0x4b), 0x20 },
	{ GC2053_P0(0x4e), 0x08 }, { GC2053_P0(0x55), 0x20 },
	{ GC2053_P0(0x66), 0x05 }, { GC2053_P0(0x67), 0x05 },
	{ GC2053_P0(0x77), 0x01 }, { GC2053_P0(0x78), 0x00 },
	{ GC2053_P0(0x7c), 0x93 }, { GC2053_P0(0x8c), 0x12 },
	{ GC2053_P0(0x8d), 0x92 },

	/*
	 * The frame is as long as 0x41 and 0x42 say (Rockchip, Ingenic,
	 * HiSilicon); with 0x01 (Allwinner, Canaan) the exposure leads.
	 */
	{ GC2053_REG_FRAME_LENGTH_MODE, GC2053_FRAME_LENGTH_FROM_REG },

	{ GC2053_P0(0x9d), 0x10 }, { GC2053_P0(0xce), 0x7c },
	{ GC2053_P0(0xd2), 0x41 }, { GC2053_P0(0xd3), 0xdc },
	{ GC2053_P0(0xe6), 0x50 },

	/* Base of the gain: 0xb0 is 0x70 with most, 0x60 with Rockchip */
	{ GC2053_P0(0xb6), 0xc0 }, { GC2053_P0(0xb0), 0x70 },

	/* Black level, which comes out as 64 of 1023 (HiSilicon) */
	{ GC2053_P0(0x26), 0x30 },
	{ GC2053_P1(0x40), 0x23 }, { GC2053_P1(0x55), 0x07 },
	{ GC2053_P1(0x60), 0x40 },
	{ GC2053_P4(0x14), 0x78 }, { GC2053_P4(0x15), 0x78 },
	{ GC2053_P4(0x16), 0x78 }, { GC2053_P4(0x17), 0x78 },

	/*
	 * The part that is sent. It starts at an odd column (Ingenic,
	 * Allwinner, Canaan, HiSilicon), which makes red the first colour;
	 * Rockchip starts at an even one and declares green.
	 */
	{ GC2053_REG_OUT_Y_LOW, 0 },
	{ GC2053_REG_OUT_X_LOW, 3 },
	{ GC2053_REG_OUT_HEIGHT, GC2053_HEIGHT },
	{ GC2053_REG_OUT_WIDTH, GC2053_WIDTH },

	/*
	 * Shift that window under flips so that the first colour stays the
	 * same: the sensor's default by all signs, and written so that the
	 * one media bus code holds (Allwinner's driver says that the sensor
	 * does it; the bits are a family value, unverified).
	 */
	{ GC2053_REG_AUTO_OFFSET, GC2053_AUTO_OFFSET_BOTH },

	/* The sensor's own correction of the picture; the same four agree */
	{ GC2053_P1(0x01), 0x05 }, { GC2053_P1(0x02), 0x89 },
	{ GC2053_P1(0x04), 0x01 }, { GC2053_P1(0x07), 0xa6 },
	{ GC2053_P1(0x08), 0xa9 }, { GC2053_P1(0x09), 0xa8 },
	{ GC2053_P1(0x0a), 0xa7 }, { GC2053_P1(0x0b), 0xff },
	{ GC2053_P1(0x0c), 0xff }, { GC2053_P1(0x0f), 0x00 },
	{ GC2053_P1(0x50), 0x1c }, { GC2053_P1(0x89), 0x03 },
	{ GC2053_P4(0x28), 0x86 }, { GC2053_P4(0x29), 0x86 },
	{ GC2053_P4(0x2a), 0x86 }, { GC2053_P4(0x2b), 0x68 },
	{ GC2053_P4(0x2c), 0x68 }, { GC2053_P4(0x2d), 0x68 },
	{ GC2053_P4(0x2e), 0x68 }, { GC2053_P4(0x2f), 0x68 },
	{ GC2053_P4(0x30), 0x4f }, { GC2053_P4(0x31), 0x68 },
	{ GC2053_P4(0x32), 0x67 }, { GC2053_P4(0x33), 0x66 },
	{ GC2053_P4(0x34), 0x66 }, { GC2053_P4(0x35), 0x66 },
	{ GC2053_P4(0x36), 0x66 }, { GC2053_P4(0x37), 0x66 },
	{ GC2053_P4(0x38), 0x62 }, { GC2053_P4(0x39), 0x62 },
	{ GC2053_P4(0x3a), 0x62 }, { GC2053_P4(0x3b), 0x62 },
	{ GC2053_P4(0x3c), 0x62 }, { GC2053_P4(0x3d), 0x62 },
	{ GC2053_P4(0x3e), 0x62 }, { GC2053_P4(0x3f), 0x62 },

	/*
	 * CSI-2 transmitter: 3:01 enables the clock lane and both data lanes
	 * (gc2145), 3:02 and 3:03 are drive strength and delay, where vendors
	 * differ most. 3:15 is 0x12 or 0x10; its low bits probably choose
	 * between a continuous clock and one that rests, unverified.
	 */
	{ GC2053_P1(0x9a), 0x06 },
	{ GC2053_P0(0x7b), 0x2a }, { GC2053_P0(0x23), 0x2d },
	{ GC2053_P3(0x01), 0x27 }, { GC2053_P3(0x02), 0x56 },
	{ GC2053_P3(0x03), 0x8e },
	{ GC2053_REG_LINE_PIXELS, GC2053_WIDTH },
	{ GC2053_P3(0x15), 0x12 },
};

#endif /* VOLET_GC2053_REGS_H */
