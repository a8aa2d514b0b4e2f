// SPDX-License-Identifier: MIT
/*
 * Virtual board: the sensor model by itself, where time is a number: what needs a sequence or a
 * moment that a driver which works never makes.
 */
#include "kselftest_harness.h"

#include "sensor.c"
#include "gc2053-model.c"

#define US	1000ULL

FIXTURE(model) {
	struct sensor m;
	u64 now;
};

static void power_up(struct sensor *m, u64 *now)
{
	static const enum sensor_pin order[] = {
		SENSOR_IOVDD, SENSOR_DVDD, SENSOR_AVDD, SENSOR_XCLK, SENSOR_PWDN, SENSOR_RESET,
	};

	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		sensor_set_pin(m, order[i], true, *now += 100 * US);
	*now += 100 * US;
}

static long errors_of(const struct sensor *m)
{
	long sum = 0;

	for (int i = 0; i < SENSOR_NUM_ERRORS; i++)
		sum += m->errors[i];
	return sum;
}

static void write_reg(struct sensor *m, u8 page, u8 reg, u8 val)
{
	sensor_address(m, 0xfe);
	sensor_write(m, page);
	sensor_address(m, reg);
	sensor_write(m, val);
}

/* The mode of 30 frames a second, as far as the model looks at it */
static void program(struct sensor *m)
{
	static const u8 list[][3] = {
		{ 0, 0xf6, 0x44 }, { 0, 0xf7, 0x01 }, { 0, 0xf8, 0x63 }, { 0, 0xf9, 0x40 },
		{ 0, 0x03, 0x03 }, { 0, 0x04, 0xe8 },
		{ 0, 0x05, 0x04 }, { 0, 0x06, 0x4c }, { 0, 0x07, 0x00 }, { 0, 0x08, 0x11 },
		{ 0, 0x0d, 0x04 }, { 0, 0x0e, 0x40 }, { 0, 0x41, 0x04 }, { 0, 0x42, 0x65 },
		{ 1, 0x92, 0x00 }, { 1, 0x94, 0x03 }, { 1, 0x95, 0x04 }, { 1, 0x96, 0x38 },
		{ 1, 0x97, 0x07 }, { 1, 0x98, 0x80 }, { 3, 0x12, 0x80 }, { 3, 0x13, 0x07 },
		{ 0, 0x3e, 0x91 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(list); i++)
		write_reg(m, list[i][0], list[i][1], list[i][2]);
}

FIXTURE_SETUP(model)
{
	sensor_init(&self->m, &gc2053_model, 24000000);
	self->now = 1000000 * US;
	power_up(&self->m, &self->now);
}

FIXTURE_TEARDOWN(model)
{
}

TEST_F(model, is_silent_unless_all_is_there_long_enough)
{
	struct sensor *m = &self->m;

	ASSERT_TRUE(sensor_answers(m, self->now));
	for (int pin = 0; pin < SENSOR_NUM_PINS; pin++) {
		sensor_set_pin(m, pin, false, self->now += 1000 * US);
		EXPECT_FALSE(sensor_answers(m, self->now += 1000 * US));
		sensor_set_pin(m, pin, true, self->now);
		/* 1200 cycles of 24 MHz are 50 us. */
		EXPECT_FALSE(sensor_answers(m, self->now + 49 * US));
		EXPECT_TRUE(sensor_answers(m, self->now += 51 * US));
	}
	EXPECT_EQ(SENSOR_NUM_PINS, m->errors[SENSOR_ERR_UNPOWERED]);
	EXPECT_EQ(SENSOR_NUM_PINS, m->errors[SENSOR_ERR_TOO_EARLY]);
}

TEST_F(model, loses_all_but_for_the_clock)
{
	struct sensor *m = &self->m;

	for (int pin = 0; pin < SENSOR_NUM_PINS; pin++) {
		write_reg(m, 0, 0x17, 0x03);
		sensor_set_pin(m, pin, false, self->now += 1000 * US);
		sensor_set_pin(m, pin, true, self->now += 1000 * US);
		sensor_address(m, 0x17);
		EXPECT_EQ(pin == SENSOR_XCLK ? 0x03 : 0, sensor_read(m));
	}
}

TEST_F(model, notices_a_wrong_order_of_power)
{
	struct sensor *m = &self->m;

	sensor_set_pin(m, SENSOR_AVDD, false, self->now += 1000 * US);
	EXPECT_EQ(1, m->errors[SENSOR_ERR_CUT_WHILE_RELEASED]);
	sensor_set_pin(m, SENSOR_RESET, false, self->now);
	sensor_set_pin(m, SENSOR_RESET, true, self->now);
	EXPECT_EQ(1, m->errors[SENSOR_ERR_RELEASED_UNPOWERED]);

	sensor_set_pin(m, SENSOR_AVDD, true, self->now);
	ASSERT_TRUE(sensor_answers(m, self->now += 100 * US));
	/* 2000 cycles are 83 us. */
	sensor_set_pin(m, SENSOR_XCLK, false, self->now += 80 * US);
	EXPECT_EQ(1, m->errors[SENSOR_ERR_CLOCK_CUT_EARLY]);
	EXPECT_EQ(3, errors_of(m));
}

TEST_F(model, frame_time_is_that_of_the_registers)
{
	static const struct {
		u8 f6, f7, f8, f9;
		u32 clock;
	} plls[] = {
		{ 0x44, 0x01, 0x63, 0x40, 74250000 }, { 0x44, 0x01, 0x68, 0x40, 78000000 },
		{ 0x44, 0x01, 0x84, 0x40, 99000000 }, { 0x44, 0x03, 0x68, 0x40, 39000000 },
		{ 0x84, 0x11, 0x3c, 0x82, 72000000 }, { 0x44, 0x01, 0x2c, 0x42, 66000000 },
	};
	struct sensor_view view;

	program(&self->m);
	ASSERT_TRUE(sensor_streaming(&self->m));
	sensor_view_get(&self->m, &view);
	EXPECT_EQ(33333333, view.frame_ns);
	EXPECT_EQ(1920, view.width);
	EXPECT_EQ(1080, view.height);
	EXPECT_EQ(0, view.x);
	EXPECT_EQ(4096, view.gain);
	EXPECT_TRUE(view.red_first);
	for (size_t i = 0; i < ARRAY_SIZE(plls); i++) {
		write_reg(&self->m, 0, 0xf6, plls[i].f6);
		write_reg(&self->m, 0, 0xf7, plls[i].f7);
		write_reg(&self->m, 0, 0xf8, plls[i].f8);
		write_reg(&self->m, 0, 0xf9, plls[i].f9);
		sensor_view_get(&self->m, &view);
		EXPECT_EQ(plls[i].clock, view.pixel_clock);
	}
	EXPECT_EQ(0, errors_of(&self->m));
}

/* Each wrong setting counts when it is there at two frame starts in a row, not at one. */
TEST_F(model, wrong_settings_are_noticed)
{
	static const struct {
		u8 page, reg, val, right;
		enum sensor_error error;
	} cases[] = {
		{ 0, 0x42, 0x64, 0x65, SENSOR_ERR_FRAME_LENGTH },
		{ 0, 0x03, 0x06, 0x03, SENSOR_ERR_EXPOSURE },
		{ 0, 0xb3, 0x11, 0x00, SENSOR_ERR_GAIN_ROW },
		{ 3, 0x12, 0x20, 0x80, SENSOR_ERR_WORD_COUNT },
		{ 0, 0xf7, 0x00, 0x01, SENSOR_ERR_PLL },
		{ 0, 0xf9, 0x48, 0x40, SENSOR_ERR_PLL },
	};
	struct sensor_view view;

	program(&self->m);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		u32 before = self->m.errors[cases[i].error];

		write_reg(&self->m, cases[i].page, cases[i].reg, cases[i].val);
		sensor_view_get(&self->m, &view);
		EXPECT_EQ(before, self->m.errors[cases[i].error]);
		sensor_view_get(&self->m, &view);
		EXPECT_EQ(before + 1, self->m.errors[cases[i].error]);
		write_reg(&self->m, cases[i].page, cases[i].reg, cases[i].right);
		sensor_view_get(&self->m, &view);
		EXPECT_EQ(i + 1, errors_of(&self->m));
	}
}

TEST_F(model, a_long_exposure_stretches_the_frame)
{
	struct sensor_view view;

	program(&self->m);
	write_reg(&self->m, 0, 0x03, 0x08);
	sensor_view_get(&self->m, &view);
	EXPECT_EQ(0x08e8, view.exposure);
	EXPECT_EQ(0x08e8 + 16, view.frame_length);

	/* 5 lines less than the frame: too near for a careful driver, but the frame has its length */
	write_reg(&self->m, 0, 0x03, 0x04);
	write_reg(&self->m, 0, 0x04, 0x60);
	sensor_view_get(&self->m, &view);
	EXPECT_EQ(0x0465, view.frame_length);
	EXPECT_EQ(1, self->m.errors[SENSOR_ERR_EXPOSURE]);
}

TEST_F(model, order_is_that_of_window_and_flips)
{
	struct sensor_view view;

	program(&self->m);
	for (int flips = 0; flips < 4; flips++) {
		write_reg(&self->m, 0, 0x17, flips);
		write_reg(&self->m, 1, 0x99, 0x05);
		sensor_view_get(&self->m, &view);
		EXPECT_TRUE(view.red_first);
		write_reg(&self->m, 1, 0x99, 0x00);
		sensor_view_get(&self->m, &view);
		EXPECT_EQ(!flips, view.red_first);
	}
	write_reg(&self->m, 0, 0x17, 0);
	write_reg(&self->m, 1, 0x94, 0x02);
	sensor_view_get(&self->m, &view);
	EXPECT_EQ(-1, view.x);
	EXPECT_FALSE(view.red_first);
}

TEST_F(model, gain_is_that_of_the_row_times_pregain)
{
	struct sensor_view view;
	u32 last = 0;

	program(&self->m);
	write_reg(&self->m, 0, 0xb1, 0x01);
	write_reg(&self->m, 0, 0xb2, 0x80);
	for (size_t i = 0; i < ARRAY_SIZE(gain_rows); i++) {
		write_reg(&self->m, 0, 0xb4, gain_rows[i].b4);
		write_reg(&self->m, 0, 0xb3, gain_rows[i].b3);
		write_reg(&self->m, 0, 0xb8, gain_rows[i].b8);
		write_reg(&self->m, 0, 0xb9, gain_rows[i].b9);
		sensor_view_get(&self->m, &view);
		EXPECT_EQ(gain_rows[i].gain * 96, view.gain);
		EXPECT_LT(last, view.gain);
		last = view.gain;
	}
	EXPECT_EQ(0, errors_of(&self->m));
}

TEST_HARNESS_MAIN
