/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Camera Control Interface (CCI) register access for kernels built without it
 *
 * The kernel has the CCI helpers only where some enabled driver selects them,
 * and in Debian's arm64 kernel none does. This header takes the place of
 * <media/v4l2-cci.h>. With CONFIG_V4L2_CCI_I2C it adds nothing; without, it
 * serves the calls that the driver makes, with the kernel's meaning. The
 * register macros always come from the kernel's header.
 */

#ifndef VOLET_GC2053_CCI_H
#define VOLET_GC2053_CCI_H

#include <linux/kconfig.h>

#include <media/v4l2-cci.h>

#if !IS_ENABLED(CONFIG_V4L2_CCI_I2C)

#include <linux/dev_printk.h>
#include <linux/errno.h>
#include <linux/i2c.h>
#include <linux/regmap.h>
#include <linux/types.h>

/* The widest register that the macros can express */
#define GC2053_CCI_MAX_BYTES	8

/* Which byte on the bus, counted from the first, carries bits 8n+7..8n */
static inline unsigned int gc2053_cci_byte(u32 reg, unsigned int n)
{
	return reg & CCI_REG_LE ? n : CCI_REG_WIDTH_BYTES(reg) - 1 - n;
}

static inline int gc2053_cci_check_width(struct regmap *map, u32 reg)
{
	unsigned int len = CCI_REG_WIDTH_BYTES(reg);

	if (len && (len <= 4 || len == GC2053_CCI_MAX_BYTES))
		return 0;

	dev_err(regmap_get_device(map),
		"register 0x%02x: no access is %u bytes wide\n",
		(u32)CCI_REG_ADDR(reg), len);
	return -EINVAL;
}

static inline int gc2053_cci_read(struct regmap *map, u32 reg, u64 *val,
				  int *err)
{
	unsigned int len = CCI_REG_WIDTH_BYTES(reg);
	u8 buf[GC2053_CCI_MAX_BYTES];
	unsigned int i;
	int ret;

	*val = 0;

	if (err && *err)
		return *err;

	ret = gc2053_cci_check_width(map, reg);
	if (ret)
		goto out;

	ret = regmap_bulk_read(map, CCI_REG_ADDR(reg), buf, len);
	if (ret) {
		dev_err(regmap_get_device(map),
			"reading register 0x%02x failed: %d\n",
			(u32)CCI_REG_ADDR(reg), ret);
		goto out;
	}

	for (i = 0; i < len; i++)
		*val |= (u64)buf[gc2053_cci_byte(reg, i)] << (8 * i);

out:
	if (ret && err)
		*err = ret;

	return ret;
}

static inline int gc2053_cci_write(struct regmap *map, u32 reg, u64 val,
				   int *err)
{
	unsigned int len = CCI_REG_WIDTH_BYTES(reg);
	u8 buf[GC2053_CCI_MAX_BYTES];
	unsigned int i;
	int ret;

	if (err && *err)
		return *err;

	ret = gc2053_cci_check_width(map, reg);
	if (ret)
		goto out;

	for (i = 0; i < len; i++)
		buf[gc2053_cci_byte(reg, i)] = val >> (8 * i);

	ret = regmap_bulk_write(map, CCI_REG_ADDR(reg), buf, len);
	if (ret)
		dev_err(regmap_get_device(map),
			"writing register 0x%02x failed: %d\n",
			(u32)CCI_REG_ADDR(reg), ret);

out:
	if (ret && err)
		*err = ret;

	return ret;
}

static inline int gc2053_cci_update_bits(struct regmap *map, u32 reg, u64 mask,
					 u64 val, int *err)
{
	u64 old;
	int ret;

	ret = gc2053_cci_read(map, reg, &old, err);
	if (ret)
		return ret;

	return gc2053_cci_write(map, reg, (old & ~mask) | (val & mask), err);
}

static inline struct regmap *
gc2053_cci_devm_regmap_init_i2c(struct i2c_client *client, int reg_addr_bits)
{
	const struct regmap_config config = {
		.reg_bits = reg_addr_bits,
		.val_bits = 8,
		.reg_format_endian = REGMAP_ENDIAN_BIG,
		.disable_locking = true,
	};

	return devm_regmap_init_i2c(client, &config);
}

#define cci_read			gc2053_cci_read
#define cci_write			gc2053_cci_write
#define cci_update_bits			gc2053_cci_update_bits
#define devm_cci_regmap_init_i2c	gc2053_cci_devm_regmap_init_i2c

#endif /* !IS_ENABLED(CONFIG_V4L2_CCI_I2C) */

#endif /* VOLET_GC2053_CCI_H */
