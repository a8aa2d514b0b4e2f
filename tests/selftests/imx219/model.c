// SPDX-License-Identifier: MIT
/*
 * The IMX219 model by itself: what a driver that works never makes, so that a green run of one
 * means something.
 */
#include "kselftest_harness.h"

#include "sensor.c"
#include "imx219-model.c"

#define US	1000ULL

FIXTURE(model) {
	struct sensor s;
	u64 now;
};

static void write_reg(struct sensor *s, u16 reg, u8 val)
{
	sensor_address(s, reg);
	sensor_write(s, val);
}

static void write_reg16(struct sensor *s, u16 reg, u16 val)
{
	write_reg(s, reg, val >> 8);
	sensor_write(s, val & 0xff);
}

static long errors_of(const struct sensor *s)
{
	long sum = 0;

	for (int i = 0; i < SENSOR_NUM_ERRORS; i++)
		sum += s->errors[i];
	return sum;
}

/* 1920x1080 of 10 bits on two lanes, as the driver sets it */
static void program(struct sensor *s)
{
	static const u16 list[][2] = {
		{ 0x0162, 3448 }, { 0x012a, 24 * 256 }, { 0x0306, 57 }, { 0x030c, 114 },
		{ 0x0164, 680 }, { 0x0166, 2599 }, { 0x0168, 692 }, { 0x016a, 1771 },
		{ 0x016c, 1920 }, { 0x016e, 1080 }, { 0x018c, 0x0a0a }, { 0x0160, 1763 },
		{ 0x015a, 1000 }, { 0x0158, 256 },
	};
	static const u16 bytes[][2] = {
		{ 0x0301, 5 }, { 0x0303, 1 }, { 0x0304, 3 }, { 0x0305, 3 }, { 0x030b, 1 },
		{ 0x0309, 10 }, { 0x0114, 1 }, { 0x0100, 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(list); i++)
		write_reg16(s, list[i][0], list[i][1]);
	for (size_t i = 0; i < ARRAY_SIZE(bytes); i++)
		write_reg(s, bytes[i][0], bytes[i][1]);
}

FIXTURE_SETUP(model)
{
	static const enum sensor_pin order[] = {
		SENSOR_IOVDD, SENSOR_DVDD, SENSOR_AVDD, SENSOR_XCLK, SENSOR_RESET,
	};

	sensor_init(&self->s, &imx219_model, 24000000);
	self->now = 1000000 * US;
	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		sensor_set_pin(&self->s, order[i], true, self->now += 100 * US);
}

FIXTURE_TEARDOWN(model)
{
}

/* 200 us and 32000 cycles till it answers, 6.2 ms till it may stream */
TEST_F(model, wants_its_time)
{
	struct sensor *s = &self->s;

	EXPECT_FALSE(sensor_answers(s, self->now + 1500 * US));
	EXPECT_EQ(1, s->errors[SENSOR_ERR_TOO_EARLY]);
	EXPECT_TRUE(sensor_answers(s, self->now + 1600 * US));
	write_reg(s, 0x0100, 1);
	EXPECT_EQ(1, s->errors[SENSOR_ERR_STREAM_EARLY]);
	EXPECT_TRUE(sensor_answers(s, self->now + 6300 * US));
	write_reg(s, 0x0100, 1);
	EXPECT_EQ(2, errors_of(s));
	EXPECT_TRUE(sensor_streaming(s));
	sensor_set_pin(s, SENSOR_RESET, false, self->now += 10000 * US);
	EXPECT_FALSE(sensor_streaming(s));
}

TEST_F(model, registers_stay_locked_without_the_sequence)
{
	struct sensor *s = &self->s;

	write_reg(s, 0x471e, 0x4b);
	sensor_address(s, 0x471e);
	EXPECT_EQ(0, sensor_read(s));
	EXPECT_EQ(1, s->errors[SENSOR_ERR_LOCKED]);
	for (size_t i = 0; i < ARRAY_SIZE(unlock_sequence); i++)
		write_reg(s, unlock_sequence[i].reg, unlock_sequence[i].val);
	write_reg(s, 0x471e, 0x4b);
	sensor_address(s, 0x471e);
	EXPECT_EQ(0x4b, sensor_read(s));
	write_reg(s, 0x4000, 0);
	write_reg(s, 0xf000, 0);
	EXPECT_EQ(2, s->errors[SENSOR_ERR_UNKNOWN_REGISTER]);
	write_reg(s, 0x0001, 0);
	EXPECT_EQ(1, s->errors[SENSOR_ERR_READ_ONLY]);
	EXPECT_EQ(4, errors_of(s));
}

TEST_F(model, mode_is_that_of_the_registers)
{
	struct sensor_view view;

	ASSERT_TRUE(sensor_answers(&self->s, self->now += 7000 * US));
	program(&self->s);
	sensor_view_get(&self->s, &view);
	sensor_view_get(&self->s, &view);
	EXPECT_EQ(0, errors_of(&self->s));
	EXPECT_EQ(182400000, view.pixel_clock);
	EXPECT_EQ(1763ULL * 3448 * 1000000000 / 182400000, view.frame_ns);
	EXPECT_EQ(1920, view.width);
	EXPECT_EQ(680, view.x);
	EXPECT_EQ(10, view.bits);
	EXPECT_EQ(4096, view.gain);
	EXPECT_TRUE(view.red_first);
	/* Four lanes, the driver's other list */
	write_reg(&self->s, 0x0114, 3);
	write_reg16(&self->s, 0x0306, 88);
	write_reg16(&self->s, 0x030c, 91);
	sensor_view_get(&self->s, &view);
	sensor_view_get(&self->s, &view);
	EXPECT_EQ(281600000, view.pixel_clock);
	EXPECT_EQ(0, errors_of(&self->s));
}

TEST_F(model, wrong_settings_are_noticed)
{
	static const struct {
		u16 reg, val, right;
		enum sensor_error error;
	} cases[] = {
		{ 0x0160, 1111, 1763, SENSOR_ERR_FRAME_LENGTH },
		{ 0x015a, 1760, 1000, SENSOR_ERR_EXPOSURE },
		{ 0x0158, 0x00ff, 256, SENSOR_ERR_GAIN },
		{ 0x016c, 1640, 1920, SENSOR_ERR_WINDOW },
		{ 0x016a, 1770, 1771, SENSOR_ERR_WINDOW },
		{ 0x0174, 0x0100, 0, SENSOR_ERR_WINDOW },	/* binned one way */
		{ 0x018c, 0x0a08, 0x0a0a, SENSOR_ERR_DATA_FORMAT },
		{ 0x030c, 113, 114, SENSOR_ERR_PLL },		/* lanes too slow for the pixels */
		{ 0x012a, 6144 + 256, 6144, SENSOR_ERR_PLL },
		{ 0x0306, 0, 57, SENSOR_ERR_PLL },
		{ 0x0600, 4, 0, SENSOR_ERR_PATTERN },
	};
	struct sensor_view view;

	ASSERT_TRUE(sensor_answers(&self->s, self->now += 7000 * US));
	program(&self->s);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		u32 before = self->s.errors[cases[i].error];

		write_reg16(&self->s, cases[i].reg, cases[i].val);
		sensor_view_get(&self->s, &view);
		sensor_view_get(&self->s, &view);
		EXPECT_EQ(before + 1, self->s.errors[cases[i].error]) {
			TH_LOG("%04x", cases[i].reg);
		}
		write_reg16(&self->s, cases[i].reg, cases[i].right);
		sensor_view_get(&self->s, &view);
		EXPECT_EQ(i + 1, errors_of(&self->s));
	}
}

TEST_HARNESS_MAIN
