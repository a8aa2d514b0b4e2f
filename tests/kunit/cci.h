/* SPDX-License-Identifier: MIT */
/*
 * For the KUnit tests, after the driver's own file: the driver's stand-in for the kernel's CCI
 * helpers, which this kernel has: both have to do the same, for each width and byte order.
 */
#ifndef VOLET_KUNIT_CCI_H
#define VOLET_KUNIT_CCI_H

static int kernel_cci_write(struct regmap *map, u32 reg, u64 val, int *err)
{
	return cci_write(map, reg, val, err);
}

static int kernel_cci_read(struct regmap *map, u32 reg, u64 *val, int *err)
{
	return cci_read(map, reg, val, err);
}

/* Once more, as a kernel without them has it */
#undef CONFIG_V4L2_CCI_I2C
#undef VOLET_GC2053_CCI_H
#undef devm_cci_regmap_init_i2c
#include "gc2053-cci.h"

#define CCI_VALUE	0x8182838485868788ULL

static u32 cci_reg(unsigned int bytes, bool little)
{
	return bytes << CCI_REG_WIDTH_SHIFT | (little ? CCI_REG_LE : 0) | 0x40;
}

static void cci_is_the_kernels(struct kunit *test)
{
	static const u8 widths[] = { 1, 2, 3, 4, 8 };
	struct bench *bench = test->priv;
	struct regmap *map = bench->gc2053.regmap;
	struct chip *chip = &bench->chip;
	unsigned int i;
	u64 got, kernels;
	u8 ours[16];

	for (i = 0; i < 2 * ARRAY_SIZE(widths); i++) {
		unsigned int width = widths[i / 2];
		u64 val = CCI_VALUE >> (64 - 8 * width);
		u32 reg = cci_reg(width, i % 2);

		memset(&chip->regs[0][0x40], 0, sizeof(ours));
		KUNIT_EXPECT_EQ(test, 0, gc2053_cci_write(map, reg, val, NULL));
		memcpy(ours, &chip->regs[0][0x40], sizeof(ours));
		memset(&chip->regs[0][0x40], 0, sizeof(ours));
		KUNIT_EXPECT_EQ(test, 0, kernel_cci_write(map, reg, val, NULL));
		KUNIT_EXPECT_MEMEQ(test, ours, &chip->regs[0][0x40], sizeof(ours));

		memset(&chip->regs[0][0x40 + width], 0xff, sizeof(ours) - width);
		KUNIT_EXPECT_EQ(test, 0, gc2053_cci_read(map, reg, &got, NULL));
		KUNIT_EXPECT_EQ(test, 0, kernel_cci_read(map, reg, &kernels, NULL));
		KUNIT_EXPECT_EQ(test, val, got);
		KUNIT_EXPECT_EQ(test, kernels, got);

		KUNIT_EXPECT_EQ(test, 0, gc2053_cci_update_bits(map, reg, 0xf0, 0x35, NULL));
		KUNIT_EXPECT_EQ(test, 0, gc2053_cci_read(map, reg, &got, NULL));
		KUNIT_EXPECT_EQ(test, (val & ~0xf0ULL) | 0x30, got);
	}
}

/* An error says so, is kept, and after one nothing more goes over the bus. */
static void cci_errors_are_kept(struct kunit *test)
{
	static const u8 no_widths[] = { 0, 5, 6, 7, 9, 15 };
	struct bench *bench = test->priv;
	struct regmap *map = bench->gc2053.regmap;
	struct chip *chip = &bench->chip;
	u32 reg = cci_reg(2, false);
	unsigned int i, num;
	u64 val = 1;
	int err;

	for (i = 0; i < ARRAY_SIZE(no_widths); i++) {
		u32 none = cci_reg(no_widths[i], false);

		err = 0;
		KUNIT_EXPECT_EQ(test, -EINVAL, gc2053_cci_write(map, none, 0, &err));
		KUNIT_EXPECT_EQ(test, -EINVAL, err);
		err = 0;
		KUNIT_EXPECT_EQ(test, -EINVAL, gc2053_cci_read(map, none, &val, &err));
		KUNIT_EXPECT_EQ(test, -EINVAL, err);
		KUNIT_EXPECT_EQ(test, 0, val);
		KUNIT_EXPECT_EQ(test, -EINVAL, gc2053_cci_update_bits(map, none, 1, 1, NULL));
	}
	KUNIT_EXPECT_EQ(test, 0, chip->num);

	chip->fail_at = 1;
	err = 0;
	KUNIT_EXPECT_EQ(test, -EIO, gc2053_cci_write(map, reg, 1, &err));
	KUNIT_EXPECT_EQ(test, -EIO, err);
	num = chip->num;
	KUNIT_EXPECT_EQ(test, -EIO, gc2053_cci_write(map, reg, 2, &err));
	KUNIT_EXPECT_EQ(test, -EIO, gc2053_cci_read(map, reg, &val, &err));
	KUNIT_EXPECT_EQ(test, -EIO, gc2053_cci_update_bits(map, reg, 3, 3, &err));
	KUNIT_EXPECT_EQ(test, num, chip->num);
	chip->fail_at = 1;
	KUNIT_EXPECT_EQ(test, -EIO, gc2053_cci_write(map, reg, 1, NULL));

	chip->fail_read = true;
	err = 0;
	KUNIT_EXPECT_EQ(test, -EIO, gc2053_cci_read(map, reg, &val, NULL));
	KUNIT_EXPECT_EQ(test, -EIO, gc2053_cci_read(map, reg, &val, &err));
	KUNIT_EXPECT_EQ(test, -EIO, err);
	KUNIT_EXPECT_EQ(test, 0, val);
	num = chip->num;
	KUNIT_EXPECT_EQ(test, -EIO, gc2053_cci_update_bits(map, reg, 3, 3, NULL));
	KUNIT_EXPECT_EQ(test, num, chip->num);
}

#endif
