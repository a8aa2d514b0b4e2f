/* SPDX-License-Identifier: MIT */
/*
 * Drivers that vendors published for a GC2053, by the modes of 10 bits on CSI-2 that they have:
 * what each declares, and what the model makes of what it sends where that is something else. Each
 * of the latter is explained in Documentation/camsim.rst, "Vendors' sequences". Facts read in:
 *
 * Rockchip 2020: armbian/linux-rockchip, drivers/media/i2c/gc2053.c, 70f52b7
 * Rockchip 2019: rockchip-linux/kernel, the same path, 999fba4 (one lane)
 * Ingenic: OpenIPC/openingenic, kernel/sensors/t31 and t30/gc2053/gc2053.c, 3a9fdfb
 * Allwinner: takeanddevote/v853-kernel-mipiCamera, a8b712a,
 *	drivers/media/platform/sunxi-vin/modules/sensor/gc2053_mipi.c
 * Canaan: gc2053.c of the K510 SDK, 2022
 * HiSilicon, Goke: OpenIPC/openhisilicon, ff20187,
 *	libraries/sensor/hi3516cv500 and hi3516ev200/galaxycore_gc2053
 * Sophgo: milkv-duo/duo-buildroot-sdk, 89f501a,
 *	middleware/v2/component/isp/sensor/cv180x/gcore_gc2053 and gcore_gc2053_1L
 * Taixin: taixin-semi/TXW82x_FPV-v2.7.0.7, 664d4c8, sdk/lib/bus/iic/sensor/sensor_gc2053_mipi.c
 */
#ifndef VENDORS_H
#define VENDORS_H

#include "vendor-lists.h"

enum order {
	NOT_SAID,
	RGGB, GRBG, GBRG, BGGR,
};

/* 0 where nothing is said */
struct facts {
	u32 width, height;
	enum order order;
	u32 line, frame;	/* pixel clocks, lines */
	u32 mfps;		/* frames in 1000 s */
};

/* How a gain is put into rows and pre-gain */
enum way {
	REST,			/* the highest row not above it, and the rest as pre-gain */
	ROW,			/* only the row */
	PREGAIN,		/* only the pre-gain */
};

struct vendor {
	const char *name;
	u32 xclk;
	const u16 *list;
	size_t n;
	bool controls;		/* frame length, exposure and gain are sent after the list... */
	u32 exposure;		/* ...this exposure */
	bool stretches;		/* and writes a frame length 16 lines above a longer exposure */
	bool burst;		/* exposure and pre-gain are one transfer each */
	const u16 *start;	/* after that */
	size_t n_start;
	u32 exposure_max;
	enum way way;
	const u32 *gains;	/* what it takes rows for, in 1/unity */
	u32 n_gains, unity;
	u32 tolerance;		/* of them to those of the model, in thousandths */
	u32 clock;		/* of the pixel array, if declared */
	struct facts declared;
	struct facts seen;	/* by the model, where that isn't what is declared */
	u32 errors[SENSOR_NUM_ERRORS];	/* of the model; the others have to be 0 */
};

#define LIST(l)		.list = l##_list, .n = ARRAY_SIZE(l##_list)
#define START(l)	.start = l##_start, .n_start = ARRAY_SIZE(l##_start)
#define GAINS(g, u, t)	.gains = g, .n_gains = ARRAY_SIZE(g), .unity = u, .tolerance = t
#define FULL_HD		.width = 1920, .height = 1080

/* 5 lines between the exposure of the list and the frame; the model wants 16 */
#define NEAR		[SENSOR_ERR_EXPOSURE] = 1

#define INGENIC(l, mhz_100, f, rate, ...) {						\
	.name = #l, .xclk = 24000000, LIST(l), .exposure_max = (f) - 8,			\
	.way = ROW, GAINS(measured, 64, 20), .clock = (mhz_100) * 10000,		\
	.declared = { FULL_HD, .order = RGGB, .line = 2200, .frame = f, .mfps = rate },	\
	.errors = { __VA_ARGS__ },							\
}

#define ALLWINNER(l, hts, rate, rate_seen) {						\
	.name = #l, .xclk = 24000000, LIST(l), .controls = true, .exposure = 1000,	\
	.stretches = true, .exposure_max = 1125,					\
	.way = REST, GAINS(measured, 64, 20), .clock = 74250000,			\
	.declared = { .width = 1920, .height = 1088, .order = RGGB, .line = hts,	\
		      .frame = 1125, .mfps = rate },					\
	.seen = { .width = 1928, .height = 1096, .frame = 1133, .mfps = rate_seen },	\
	.errors = { [SENSOR_ERR_FRAME_LENGTH] = 1, [SENSOR_ERR_WORD_COUNT] = 1 },	\
}

#define CANAAN(l, w) {									\
	.name = #l, .xclk = 24000000, LIST(l), .controls = true, .exposure = 0x460,	\
	.burst = true, START(canaan), .exposure_max = 1124, .way = PREGAIN,		\
	.unity = 256, .tolerance = 20, .clock = 297000000 * 2 / 8,			\
	.declared = { .width = w, .height = 1080, .order = RGGB, .line = 2200,		\
		      .frame = 1125, .mfps = 30000 },					\
	.errors = { NEAR, [SENSOR_ERR_READ_ONLY] = 1 },					\
}

#define HISILICON(l, ...) {								\
	.name = #l, .xclk = 27000000, LIST(l), .exposure_max = 1123,			\
	.way = ROW, GAINS(hisilicon_gains, 1024, 100),					\
	.declared = { FULL_HD, .frame = 1125, .mfps = 30000 },				\
	.seen = { .order = RGGB, .line = 2200 },					\
	.errors = { NEAR, __VA_ARGS__ },						\
}

static const struct vendor vendors[] = {
	{
		.name = "rockchip", .xclk = 24000000, LIST(rockchip), .controls = true,
		.exposure = 0x460, START(rockchip), .exposure_max = 1121,
		.way = REST, GAINS(rockchip_gains, 64, 100), .clock = 297000000 * 2 / 8,
		.declared = { FULL_HD, .order = GRBG, .line = 2200, .frame = 1125, .mfps = 30000 },
		.errors = { NEAR },
	}, {
		.name = "rockchip_1lane", .xclk = 24000000, LIST(rockchip_1lane), .controls = true,
		.exposure = 0x410, START(rockchip_1lane), .exposure_max = 1129,
		.way = REST, GAINS(measured, 64, 20),
		.declared = { FULL_HD, .order = RGGB, .line = 2416, .frame = 1133, .mfps = 30000 },
		.seen = { .mfps = 29810 },
	},
	INGENIC(ingenic_t31_40, 9900, 1125, 40000, NEAR),
	INGENIC(ingenic_t31_30, 7800, 1181, 30000),
	INGENIC(ingenic_t31_25, 7200, 1308, 25000),
	INGENIC(ingenic_t31_15, 3900, 1181, 15000),
	INGENIC(ingenic_t30_25, 7425, 1350, 25000),
	ALLWINNER(allwinner_30, 2200, 30000, 29788),
	ALLWINNER(allwinner_25, 2640, 25000, 24824),
	ALLWINNER(allwinner_20, 3300, 20000, 19859),
	CANAAN(canaan, 1920),
	CANAAN(canaan_800, 800),
	HISILICON(hisilicon),
	HISILICON(goke),
	/* 4:e0 1:46 1:47 1:4f 1:51, and 1:42, which on page 0 is the frame length */
	HISILICON(goke_wdr, [SENSOR_ERR_UNKNOWN_REGISTER] = 5, [SENSOR_ERR_WRONG_PAGE] = 1),
	{
		.name = "sophgo", .xclk = 27000000, LIST(sophgo), .exposure_max = 1117,
		.way = REST, GAINS(sophgo_gains, 64, 100),
		.declared = { FULL_HD, .mfps = 30000 },
		.seen = { .order = RGGB, .line = 2200, .frame = 1125 },
		.errors = { NEAR },
	}, {
		.name = "sophgo_1lane", .xclk = 27000000, LIST(sophgo_1lane), .exposure_max = 1117,
		.way = REST, GAINS(sophgo_gains, 64, 100),
		.declared = { FULL_HD, .line = 2200, .frame = 1125, .mfps = 30000 },
		.seen = { .order = RGGB, .line = 2560, .frame = 1133, .mfps = 29788 },
		.errors = { [SENSOR_ERR_FRAME_LENGTH] = 1 },
	}, {
		.name = "taixin", .xclk = 24000000, LIST(taixin), .exposure_max = 1229,
		.way = REST, GAINS(measured, 64, 20),
		.declared = { FULL_HD, .order = GRBG, .frame = 1230, .mfps = 25000 },
		.seen = { .order = RGGB, .line = 2200, .mfps = 24390 },
	},
};

#endif
