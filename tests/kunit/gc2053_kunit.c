// SPDX-License-Identifier: MIT
/*
 * GC2053 driver: what it computes, by KUnit, over all of the range. The driver is compiled into
 * this file, so that its own functions run, with the control framework's and regmap's real ones;
 * below regmap is a chip that is nothing but its registers.
 *
 * The gain table is here a second time, column by column as the vendors have it, and not taken
 * from the driver.
 */
#include <kunit/device.h>
#include <kunit/test.h>
#include <linux/property.h>
#include <linux/regmap.h>

#include "steps.h"
#include "gc2053.c"

#define NUM_PAGES	8
#define MAX_WRITES	512

/* -----------------------------------------------------------------------------
 * A chip
 */

struct chip {
	u8 page;
	u8 at;				/* on I2C: the register that comes next */
	u8 regs[NUM_PAGES][256];
	struct {
		u8 page, reg, val;
	} log[MAX_WRITES];
	unsigned int num;
	unsigned int fail_at;		/* the n-th write from now, 0 for none */
	bool lost;			/* that write is not even heard */
	bool fail_read;
};

static int chip_write(void *context, unsigned int reg, unsigned int val)
{
	struct chip *chip = context;
	bool fails = chip->fail_at && !--chip->fail_at;

	if (fails && chip->lost)
		return -ENXIO;
	if (chip->num < MAX_WRITES) {
		chip->log[chip->num].page = chip->page;
		chip->log[chip->num].reg = reg;
		chip->log[chip->num].val = val;
	}
	chip->num++;

	if (reg == 0xfe)
		chip->page = val & 0x80 ? 0 : val & (NUM_PAGES - 1);
	else
		chip->regs[chip->page][reg] = val;
	return fails ? -EIO : 0;
}

static int chip_read(void *context, unsigned int reg, unsigned int *val)
{
	struct chip *chip = context;

	if (chip->fail_read)
		return -EIO;
	*val = chip->regs[chip->page][reg];
	return 0;
}

static const struct regmap_bus chip_bus = {
	.reg_write = chip_write,
	.reg_read = chip_read,
};

struct bench {
	struct chip chip;
	struct gc2053 gc2053;
	struct v4l2_ctrl *vblank;
};

static int bench_init(struct kunit *test)
{
	const struct regmap_config config = {
		.reg_bits = 8,
		.val_bits = 8,
		.disable_locking = true,
	};
	struct bench *bench;
	struct device *dev;

	bench = kunit_kzalloc(test, sizeof(*bench), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, bench);
	dev = kunit_device_register(test, "gc2053");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);

	bench->gc2053.dev = dev;
	bench->gc2053.page = GC2053_PAGE_UNKNOWN;
	bench->gc2053.regmap = devm_regmap_init(dev, &chip_bus, &bench->chip, &config);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, bench->gc2053.regmap);
	KUNIT_ASSERT_EQ(test, 0, gc2053_init_controls(&bench->gc2053));
	bench->vblank = v4l2_ctrl_find(&bench->gc2053.ctrl_handler, V4L2_CID_VBLANK);
	KUNIT_ASSERT_NOT_NULL(test, bench->vblank);
	test->priv = bench;
	return 0;
}

static void bench_exit(struct kunit *test)
{
	struct bench *bench = test->priv;

	if (bench)
		v4l2_ctrl_handler_free(&bench->gc2053.ctrl_handler);
}

static unsigned int chip_get16(const struct chip *chip, u8 page, u8 reg)
{
	return chip->regs[page][reg] << 8 | chip->regs[page][reg + 1];
}

/* -----------------------------------------------------------------------------
 * Gain
 */

static const unsigned int gains[] = {
	64, 74, 89, 102, 127, 147, 177, 203, 260, 300, 361, 415, 504, 581, 722, 832, 1027, 1182,
	1408, 1621, 1990, 2291, 2850, 3282, 4048, 5180, 5500, 6744, 7073,
};

static const u8 b4[] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 2, 2, 0, 0, 2, 2, 0,
};

static const u8 b3[] = {
	0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x80, 0x90, 0xa0, 0xb0, 0xc0, 0x5a, 0x83,
	0x93, 0x84, 0x94, 0x2c, 0x3c, 0x8c, 0x9c, 0x64, 0x74, 0xc6, 0xdc, 0x85, 0x95, 0xce,
};

static const u8 b8[] = {
	0x01, 0x01, 0x01, 0x01, 0x01, 0x02, 0x02, 0x03, 0x04, 0x04, 0x05, 0x06, 0x08, 0x09, 0x0b,
	0x0d, 0x10, 0x12, 0x1a, 0x1b, 0x20, 0x26, 0x36, 0x37, 0x3d, 0x3f, 0x3f, 0x3f, 0x3f,
};

static const u8 b9[] = {
	0x00, 0x0c, 0x1b, 0x2c, 0x3f, 0x16, 0x35, 0x16, 0x02, 0x31, 0x32, 0x35, 0x04, 0x19, 0x0f,
	0x12, 0x00, 0x3a, 0x02, 0x20, 0x0f, 0x07, 0x21, 0x3a, 0x02, 0x3f, 0x3f, 0x3f, 0x3f,
};

static_assert(ARRAY_SIZE(gains) == GC2053_GAIN_ROWS && ARRAY_SIZE(b4) == GC2053_GAIN_ROWS &&
	      ARRAY_SIZE(b3) == GC2053_GAIN_ROWS && ARRAY_SIZE(b8) == GC2053_GAIN_ROWS &&
	      ARRAY_SIZE(b9) == GC2053_GAIN_ROWS);

static unsigned int row_for(unsigned int analogue)
{
	unsigned int row = 0;

	while (row + 1 < ARRAY_SIZE(gains) && gains[row + 1] <= analogue)
		row++;
	return row;
}

/* Each value of both controls: never more than asked for, and off by less than one step. */
static void gain_is_split(struct kunit *test)
{
	unsigned int analogue, digital, wrong = 0, top = 0;

	for (analogue = 64; analogue <= 7073; analogue++) {
		const struct gc2053_gain_row *row = gc2053_gain_pick_row(analogue);
		unsigned int nominal = gains[row_for(analogue)];

		if (row - gc2053_gain_rows != row_for(analogue) || row->gain != nominal) {
			KUNIT_FAIL(test, "analogue %u: row %td", analogue, row - gc2053_gain_rows);
			return;
		}
		for (digital = 64; digital <= 512; digital++) {
			unsigned int pregain = gc2053_gain_pregain(row, analogue, digital);
			unsigned int wanted = analogue * digital;

			if (pregain * nominal > wanted || (pregain + 1) * nominal <= wanted)
				wrong++;
			top = max(top, pregain);
		}
	}
	KUNIT_EXPECT_EQ(test, 0, wrong);
	/* The register's ten bits hold the largest without being cut. */
	KUNIT_EXPECT_LE(test, top, 0x3ff);
}

/* More of either control is never less gain, not even where the row changes. */
static void gain_never_falls(struct kunit *test)
{
	unsigned int analogue, digital, wrong = 0;

	for (digital = 64; digital <= 512; digital++) {
		unsigned int before = 0;

		for (analogue = 64; analogue <= 7073; analogue++) {
			const struct gc2053_gain_row *row = gc2053_gain_pick_row(analogue);
			unsigned int gain = row->gain * gc2053_gain_pregain(row, analogue, digital);

			if (gain < before)
				wrong++;
			before = gain;
		}
	}
	KUNIT_EXPECT_EQ(test, 0, wrong);
}

/* Through the controls into the registers, on both sides of each row's beginning */
static void gain_reaches_the_registers(struct kunit *test)
{
	struct bench *bench = test->priv;
	struct chip *chip = &bench->chip;
	unsigned int i, step;

	for (i = 0; i < ARRAY_SIZE(gains); i++) {
		for (step = i ? 0 : 1; step < 2; step++) {
			unsigned int analogue = gains[i] - 1 + step, row = i - 1 + step;
			unsigned int digital = 64 + 16 * i;
			unsigned int pregain = analogue * digital / gains[row];

			KUNIT_ASSERT_EQ(test, 0, v4l2_ctrl_s_ctrl(bench->gc2053.digital_gain,
								  digital));
			KUNIT_ASSERT_EQ(test, 0, v4l2_ctrl_s_ctrl(bench->gc2053.analogue_gain,
								  analogue));
			/* Nothing is written for a control that stays as it is. */
			if (!chip->num)
				continue;
			KUNIT_EXPECT_EQ(test, b4[row], chip->regs[0][0xb4]);
			KUNIT_EXPECT_EQ(test, b3[row], chip->regs[0][0xb3]);
			KUNIT_EXPECT_EQ(test, b8[row], chip->regs[0][0xb8]);
			KUNIT_EXPECT_EQ(test, b9[row], chip->regs[0][0xb9]);
			KUNIT_EXPECT_EQ(test, pregain << 2, chip_get16(chip, 0, 0xb1));
		}
	}
	KUNIT_EXPECT_NE(test, 0, chip->num);
}

/* -----------------------------------------------------------------------------
 * Exposure and frame length
 */

static void exposure_fits_each_frame(struct kunit *test)
{
	struct bench *bench = test->priv;
	struct v4l2_ctrl *exposure = bench->gc2053.exposure;
	struct chip *chip = &bench->chip;
	unsigned int vblank;

	KUNIT_EXPECT_EQ(test, 45, bench->vblank->minimum);
	KUNIT_EXPECT_EQ(test, 0x3fff - 1080, bench->vblank->maximum);
	KUNIT_EXPECT_EQ(test, 4, exposure->minimum);
	KUNIT_EXPECT_EQ(test, 1125 - 16, exposure->maximum);

	/* Up with the longest exposure there is, and down again: it is cut first. */
	for (vblank = 46; vblank <= 0x3fff - 1080; vblank++) {
		KUNIT_ASSERT_EQ(test, 0, v4l2_ctrl_s_ctrl(bench->vblank, vblank));
		if (exposure->maximum != 1080 + vblank - 16)
			KUNIT_FAIL(test, "vblank %u: exposure to %lld", vblank, exposure->maximum);
		if (chip_get16(chip, 0, 0x41) != 1080 + vblank)
			KUNIT_FAIL(test, "vblank %u: frame of %u", vblank, chip_get16(chip, 0, 0x41));
	}
	KUNIT_ASSERT_EQ(test, 0, v4l2_ctrl_s_ctrl(exposure, exposure->maximum));
	KUNIT_EXPECT_EQ(test, 0x3fff - 16, chip_get16(chip, 0, 0x03));

	for (; vblank-- > 45;) {
		KUNIT_ASSERT_EQ(test, 0, v4l2_ctrl_s_ctrl(bench->vblank, vblank));
		if (chip_get16(chip, 0, 0x03) + 16 != chip_get16(chip, 0, 0x41))
			KUNIT_FAIL(test, "vblank %u: exposure %u of %u", vblank,
				   chip_get16(chip, 0, 0x03), chip_get16(chip, 0, 0x41));
	}
	KUNIT_EXPECT_EQ(test, 1125, chip_get16(chip, 0, 0x41));
	KUNIT_EXPECT_EQ(test, 1125 - 16, chip_get16(chip, 0, 0x03));
	KUNIT_EXPECT_EQ(test, 0, v4l2_ctrl_s_ctrl(exposure, 1125));
	KUNIT_EXPECT_EQ(test, 1125 - 16, v4l2_ctrl_g_ctrl(exposure));
}

/* What the controls say of the time of a frame is what the registers' list makes of it. */
static void frame_time_adds_up(struct kunit *test)
{
	struct bench *bench = test->priv;
	s64 rate = v4l2_ctrl_find(&bench->gc2053.ctrl_handler, V4L2_CID_PIXEL_RATE)->maximum;
	s64 hblank = v4l2_ctrl_find(&bench->gc2053.ctrl_handler, V4L2_CID_HBLANK)->minimum;
	u64 line_ns, wire_ns;

	/* Exactly 30 frames/s at the shortest, and no mode's PLL rounds. */
	KUNIT_EXPECT_EQ(test, 74250000, rate);
	KUNIT_EXPECT_EQ(test, 0, rate % ((1920 + hblank) * (1080 + 45)));
	KUNIT_EXPECT_EQ(test, 30, rate / ((1920 + hblank) * (1080 + 45)));
	KUNIT_EXPECT_EQ(test, 24000000LL * 99 / 4, 2 * gc2053_link_freq_menu[0]);
	KUNIT_EXPECT_EQ(test, 2 * gc2053_link_freq_menu[0] / 8, rate);

	/* A line of ten bits a pixel gets through two lanes before the next begins. */
	line_ns = div_u64((1920 + hblank) * 1000000000ULL, rate);
	wire_ns = div_u64(1920 * 10 * 1000000000ULL, 2 * 2 * gc2053_link_freq_menu[0]);
	KUNIT_EXPECT_LT(test, wire_ns, line_ns);
}

/* -----------------------------------------------------------------------------
 * Pages
 */

static void pages_are_selected_when_needed(struct kunit *test)
{
	struct bench *bench = test->priv;
	struct gc2053 *gc2053 = &bench->gc2053;
	struct chip *chip = &bench->chip;
	int err = 0;

	/* Which page a new chip is on is not known: even page 0 is selected. */
	gc2053_write(gc2053, GC2053_P0(0x12), 1, &err);
	KUNIT_EXPECT_EQ(test, 2, chip->num);
	KUNIT_EXPECT_EQ(test, 1, chip->regs[0][0x12]);
	gc2053_write(gc2053, GC2053_P0(0x13), 2, &err);
	KUNIT_EXPECT_EQ(test, 3, chip->num);
	/* A register of no page is written from any, and changes none. */
	gc2053_write(gc2053, GC2053_SYS(0xf7), 3, &err);
	KUNIT_EXPECT_EQ(test, 4, chip->num);
	gc2053_write(gc2053, GC2053_P3(0x12), 4, &err);
	KUNIT_EXPECT_EQ(test, 6, chip->num);
	KUNIT_EXPECT_EQ(test, 4, chip->regs[3][0x12]);
	KUNIT_EXPECT_EQ(test, 1, chip->regs[0][0x12]);
	gc2053_update_bits(gc2053, GC2053_REG_FLIP, 3, 2, &err);
	KUNIT_EXPECT_EQ(test, 2, chip->regs[0][0x17]);
	KUNIT_EXPECT_EQ(test, 0, chip->page);

	/* A reset ends on page 0 and says so. */
	gc2053_write(gc2053, GC2053_P4(0x14), 5, &err);
	chip->num = 0;
	gc2053_soft_reset(gc2053, &err);
	KUNIT_EXPECT_EQ(test, 4, chip->num);
	KUNIT_EXPECT_EQ(test, 0x80, chip->log[2].val);
	KUNIT_EXPECT_EQ(test, 0, chip->log[3].val);
	KUNIT_EXPECT_EQ(test, 0, err);
}

/*
 * A page register's write that fails may have been heard or not: either way the next access
 * selects its page again, and what follows an error is not written at all.
 */
static void a_lost_page_is_selected_again(struct kunit *test)
{
	struct bench *bench = test->priv;
	struct gc2053 *gc2053 = &bench->gc2053;
	struct chip *chip = &bench->chip;
	unsigned int lost, num;
	int err;

	for (lost = 0; lost < 2; lost++) {
		err = 0;
		gc2053_write(gc2053, GC2053_P0(0x12), 1, &err);
		KUNIT_ASSERT_EQ(test, 0, err);

		chip->fail_at = 1;
		chip->lost = lost;
		gc2053_write(gc2053, GC2053_P1(0x12), 7 + lost, &err);
		KUNIT_EXPECT_EQ(test, lost ? -ENXIO : -EIO, err);
		num = chip->num;
		gc2053_write(gc2053, GC2053_P0(0x13), 9, &err);
		gc2053_update_bits(gc2053, GC2053_REG_FLIP, 3, 1, &err);
		KUNIT_EXPECT_EQ(test, num, chip->num);
		KUNIT_EXPECT_EQ(test, lost ? -ENXIO : -EIO, err);

		err = 0;
		gc2053_write(gc2053, GC2053_P0(0x13), 20 + lost, &err);
		KUNIT_EXPECT_EQ(test, 0, err);
		KUNIT_EXPECT_EQ(test, 20 + lost, chip->regs[0][0x13]);
		KUNIT_EXPECT_NE(test, 7 + lost, chip->regs[1][0x12]);
		KUNIT_EXPECT_EQ(test, 1, chip->regs[0][0x12]);
	}
}

/* The list leaves to the controls what is theirs, and to each page its own. */
static void the_list_is_in_order(struct kunit *test)
{
	static const u32 of_controls[] = {
		GC2053_REG_EXPOSURE, GC2053_REG_FRAME_LENGTH, GC2053_REG_FLIP, GC2053_REG_PREGAIN,
		GC2053_REG_PGA_LOW, GC2053_REG_PGA_HIGH, GC2053_REG_COLUMN_INT,
		GC2053_REG_COLUMN_FRAC, GC2053_REG_STREAM, GC2053_REG_PAGE_SELECT,
	};
	struct bench *bench = test->priv;
	unsigned int i, j;
	int err = 0;

	for (i = 0; i < ARRAY_SIZE(gc2053_mode_regs); i++) {
		u32 reg = gc2053_mode_regs[i].reg;
		u8 page = FIELD_GET(CCI_REG_PRIVATE_MASK, reg), address = CCI_REG_ADDR(reg);

		for (j = 0; j < ARRAY_SIZE(of_controls); j++)
			KUNIT_EXPECT_NE(test, of_controls[j], reg);
		for (j = 0; j < i; j++)
			KUNIT_EXPECT_NE_MSG(test, gc2053_mode_regs[j].reg, reg, "0x%x twice", reg);
		KUNIT_EXPECT_EQ_MSG(test, address >= 0xf0, !!(reg & GC2053_ANY_PAGE), "0x%x", reg);
		if (!(reg & GC2053_ANY_PAGE))
			KUNIT_EXPECT_LE(test, page, 4);
		KUNIT_EXPECT_EQ(test, 0, gc2053_mode_regs[i].val >>
				(8 * CCI_REG_WIDTH_BYTES(reg)));
		gc2053_write(&bench->gc2053, reg, gc2053_mode_regs[i].val, &err);
	}
	KUNIT_EXPECT_EQ(test, 0, err);

	/* Widths and byte orders, where a register has two bytes */
	KUNIT_EXPECT_EQ(test, 1100, chip_get16(&bench->chip, 0, 0x05));
	KUNIT_EXPECT_EQ(test, 1125, chip_get16(&bench->chip, 0, 0x0d) +
			chip_get16(&bench->chip, 0, 0x07) + 20);
	KUNIT_EXPECT_EQ(test, 1080, chip_get16(&bench->chip, 1, 0x95));
	KUNIT_EXPECT_EQ(test, 1920, chip_get16(&bench->chip, 1, 0x97));
	KUNIT_EXPECT_EQ(test, 0x80, bench->chip.regs[3][0x12]);
	KUNIT_EXPECT_EQ(test, 0x07, bench->chip.regs[3][0x13]);
}

/* -----------------------------------------------------------------------------
 * What firmware says
 */

static const u32 lanes[] = { 1, 2, 3, 4 };
static const u64 freq_right[] = { 297000000 };
static const u64 freq_among[] = { 156000000, 297000000, 396000000 };
static const u64 freq_wrong[] = { 297000001 };

static const struct endpoint_case {
	const char *name;
	unsigned int lanes;		/* 0 for no endpoint at all */
	const u64 *freqs;
	unsigned int num_freqs;
	int expected;			/* 1 for any error */
} endpoint_cases[] = {
	{ "right", 2, freq_right, 1, 0 },
	{ "right frequency among others", 2, freq_among, 3, 0 },
	{ "no endpoint", 0, NULL, 0, -ENXIO },
	{ "one lane", 1, freq_right, 1, -EINVAL },
	{ "four lanes", 4, freq_right, 1, -EINVAL },
	{ "wrong frequency", 2, freq_wrong, 1, 1 },
	{ "no frequency", 2, NULL, 0, 1 },
};

KUNIT_ARRAY_PARAM_DESC(endpoint, endpoint_cases, name);

static void endpoint_is_checked(struct kunit *test)
{
	const struct endpoint_case *param = test->param_value;
	struct bench *bench = test->priv;
	struct software_node receiver = { .name = "receiver" };
	struct software_node sink = { .name = "port@0", .parent = &receiver };
	struct software_node remote = { .name = "endpoint@0", .parent = &sink };
	struct property_entry endpoint_properties[] = {
		PROPERTY_ENTRY_REF("remote-endpoint", &remote),
		PROPERTY_ENTRY_U32("bus-type", 4),
		PROPERTY_ENTRY_U32_ARRAY_LEN("data-lanes", lanes, param->lanes),
		param->freqs ? PROPERTY_ENTRY_U64_ARRAY_LEN("link-frequencies", param->freqs,
							    param->num_freqs)
			     : (struct property_entry) {},
		{}
	};
	struct software_node sensor = { .name = "camera" };
	struct software_node port = { .name = "port@0", .parent = &sensor };
	struct software_node endpoint = {
		.name = "endpoint@0", .parent = &port, .properties = endpoint_properties,
	};
	const struct software_node *nodes[] = {
		&receiver, &sink, &remote, &sensor, &port, param->lanes ? &endpoint : NULL, NULL,
	};
	int ret;

	KUNIT_ASSERT_EQ(test, 0, software_node_register_node_group(nodes));
	set_primary_fwnode(bench->gc2053.dev, software_node_fwnode(&sensor));
	ret = gc2053_check_endpoint(bench->gc2053.dev);
	set_primary_fwnode(bench->gc2053.dev, NULL);
	software_node_unregister_node_group(nodes);

	if (param->expected == 1)
		KUNIT_EXPECT_LT(test, ret, 0);
	else
		KUNIT_EXPECT_EQ(test, ret, param->expected);
}

#include "vendors.h"
#include "probe.h"
#include "receiver.h"
#include "cci.h"

static struct kunit_case gc2053_cases[] = {
	KUNIT_CASE(gain_is_split),
	KUNIT_CASE(gain_never_falls),
	KUNIT_CASE(gain_reaches_the_registers),
	KUNIT_CASE(exposure_fits_each_frame),
	KUNIT_CASE(frame_time_adds_up),
	KUNIT_CASE(pages_are_selected_when_needed),
	KUNIT_CASE(a_lost_page_is_selected_again),
	KUNIT_CASE(the_list_is_in_order),
	KUNIT_CASE(the_list_is_what_most_vendors_send),
	KUNIT_CASE_PARAM(endpoint_is_checked, endpoint_gen_params),
	KUNIT_CASE(each_step_of_probe_may_fail),
	KUNIT_CASE(other_clocks_are_refused),
	KUNIT_CASE(cci_is_the_kernels),
	KUNIT_CASE(cci_errors_are_kept),
	KUNIT_CASE(power_follows_runtime_pm),
	KUNIT_CASE(an_open_node_outlives_remove),
	KUNIT_CASE(an_orphan_waits_for_the_framework),
	KUNIT_CASE(a_refused_sensor_is_disconnected),
	KUNIT_CASE(s_stream_streams),
	{}
};

static struct kunit_suite gc2053_suite = {
	.name = "gc2053",
	.init = bench_init,
	.exit = bench_exit,
	.test_cases = gc2053_cases,
};
kunit_test_suite(gc2053_suite);
