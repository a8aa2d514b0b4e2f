// SPDX-License-Identifier: MIT
/*
 * Virtual board: the sensor on its I2C bus, spoken to directly. Where power is needed the driver
 * is told to keep it on; it writes nothing between its probe and a stream.
 */
#include "kselftest_harness.h"

#include "i2c.h"
#include "trace.h"

FIXTURE(off) {
	int fd;
};

FIXTURE_SETUP(off)
{
	if (!board_sensor_is_bound(CAMERA)) {
		ASSERT_EQ(0, board_sensor_bind(CAMERA));
	}
	ASSERT_EQ(0, board_sensor_unbind(CAMERA));
	self->fd = open_bus();
	if (self->fd < 0)
		SKIP(return, "no /dev/i2c-%u: i2c-dev is not loaded and can't be", CAMERA);
	ASSERT_EQ(0, board_debugfs_write(CAMERA, "errors", "0"));
}

FIXTURE_TEARDOWN(off)
{
	close(self->fd);
	EXPECT_EQ(0, board_sensor_bind(CAMERA));
	board_sensor_wait_suspended(CAMERA, 5000);
	board_debugfs_write(CAMERA, "errors", "0");
}

FIXTURE(on) {
	int fd;
};

FIXTURE_SETUP(on)
{
	if (!board_sensor_is_bound(CAMERA)) {
		ASSERT_EQ(0, board_sensor_bind(CAMERA));
	}
	ASSERT_EQ(0, board_sensor_write(CAMERA, "power/control", "on"));
	self->fd = open_bus();
	if (self->fd < 0)
		SKIP(return, "no /dev/i2c-%u: i2c-dev is not loaded and can't be", CAMERA);
	ASSERT_EQ(0, board_debugfs_write(CAMERA, "errors", "0"));
	ASSERT_EQ(0, trace_clear(CAMERA));
}

FIXTURE_TEARDOWN(on)
{
	close(self->fd);
	board_sensor_write(CAMERA, "power/control", "auto");
	board_sensor_wait_suspended(CAMERA, 5000);
	board_debugfs_write(CAMERA, "errors", "0");
}

static void nobody_else(struct __test_metadata *_metadata, int fd)
{
	uint8_t reg = 0xf0;
	struct i2c_msg msg = { .len = 1, .buf = &reg };

	for (msg.addr = 0x08; msg.addr < 0x78; msg.addr++) {
		if (msg.addr != ADDRESS) {
			EXPECT_EQ(-ENXIO, transfer(fd, &msg, 1));
		}
	}
}

TEST_F(off, nobody_answers)
{
	EXPECT_EQ(-ENXIO, read_reg(self->fd, 0xf0));
	EXPECT_EQ(-ENXIO, write_reg(self->fd, REG_PAGE, 0));
	EXPECT_EQ(2, board_errors(CAMERA, "i2c-unpowered"));
	nobody_else(_metadata, self->fd);
}

TEST_F(on, the_sensor_alone_answers)
{
	EXPECT_EQ(0x20, read_reg(self->fd, 0xf0));
	EXPECT_EQ(0, write_reg(self->fd, REG_PAGE, 0));
	EXPECT_EQ(0, board_errors(CAMERA, NULL));
	nobody_else(_metadata, self->fd);
}

TEST_F(on, id_is_the_same_from_any_page_and_read_only)
{
	for (int page = 0; page < 5; page++) {
		ASSERT_EQ(0, write_reg(self->fd, REG_PAGE, page));
		EXPECT_EQ(0x20, read_reg(self->fd, 0xf0));
		EXPECT_EQ(0x53, read_reg(self->fd, 0xf1));
	}
	EXPECT_EQ(0, board_errors(CAMERA, NULL));
	EXPECT_EQ(0, write_reg(self->fd, 0xf0, 0x12));
	EXPECT_EQ(0x20, read_reg(self->fd, 0xf0));
	EXPECT_EQ(1, board_errors(CAMERA, "write-to-read-only"));
	EXPECT_EQ(0, write_reg(self->fd, REG_PAGE, 0));
}

TEST_F(on, pages_keep_their_own)
{
	/* Exposure on page 0, the driver of the clock lane on page 3, at one address */
	ASSERT_EQ(0, write_reg(self->fd, REG_PAGE, 0));
	ASSERT_EQ(0, write_reg(self->fd, 0x03, 0x04));
	ASSERT_EQ(0, write_reg(self->fd, REG_PAGE, 3));
	ASSERT_EQ(0, write_reg(self->fd, 0x03, 0x8e));
	EXPECT_EQ(0x8e, read_reg(self->fd, 0x03));
	EXPECT_EQ(3, read_reg(self->fd, REG_PAGE));
	ASSERT_EQ(0, write_reg(self->fd, REG_PAGE, 0));
	EXPECT_EQ(0x04, read_reg(self->fd, 0x03));
	EXPECT_EQ(0, board_errors(CAMERA, NULL));
}

TEST_F(on, address_goes_on_within_a_transfer)
{
	static const uint8_t exposure[] = { 0x01, 0x23 };
	uint8_t back[3];

	ASSERT_EQ(0, write_reg(self->fd, 0x05, 0x04));
	ASSERT_EQ(0, write_regs(self->fd, 0x03, exposure, 2));
	ASSERT_EQ(0, read_regs(self->fd, 0x03, back, 3));
	EXPECT_EQ(0x01, back[0]);
	EXPECT_EQ(0x23, back[1]);
	EXPECT_EQ(0x04, back[2]);
}

TEST_F(on, reset_and_power_lose_all)
{
	ASSERT_EQ(0, write_reg(self->fd, 0x17, 0x03));
	ASSERT_EQ(0, write_reg(self->fd, REG_PAGE, 4));
	ASSERT_EQ(0, write_reg(self->fd, REG_PAGE, 0x80));
	EXPECT_EQ(0, read_reg(self->fd, REG_PAGE));
	EXPECT_EQ(0, read_reg(self->fd, 0x17));

	ASSERT_EQ(0, write_reg(self->fd, 0x17, 0x03));
	ASSERT_EQ(0, board_sensor_write(CAMERA, "power/control", "auto"));
	ASSERT_EQ(0, board_sensor_wait_suspended(CAMERA, 5000));
	EXPECT_EQ(-ENXIO, read_reg(self->fd, 0x17));
	ASSERT_EQ(0, board_sensor_write(CAMERA, "power/control", "on"));
	EXPECT_EQ(0, read_reg(self->fd, 0x17));
}

TEST_F(on, wrong_writes_are_counted_by_name)
{
	ASSERT_EQ(0, write_reg(self->fd, 0x01, 0x00));
	EXPECT_EQ(1, board_errors(CAMERA, "write-to-unknown-register"));
	ASSERT_EQ(0, write_reg(self->fd, REG_PAGE, 4));
	ASSERT_EQ(0, write_reg(self->fd, 0xb1, 0x01));
	ASSERT_EQ(0, write_reg(self->fd, 0xb2, 0x00));
	EXPECT_EQ(2, board_errors(CAMERA, "control-on-wrong-page"));
	EXPECT_EQ(3, board_errors(CAMERA, NULL));
	EXPECT_EQ(0, write_reg(self->fd, REG_PAGE, 0));
}

TEST_F(on, trace_has_each_byte)
{
	struct trace trace;

	ASSERT_EQ(0, write_reg(self->fd, REG_PAGE, 1));
	ASSERT_EQ(0, write_reg(self->fd, 0x99, 0x05));
	ASSERT_EQ(0, write_reg(self->fd, REG_PAGE, 0));
	EXPECT_EQ(0x53, read_reg(self->fd, 0xf1));
	ASSERT_EQ(0, trace_get(CAMERA, &trace));
	EXPECT_EQ(4, trace.num);
	EXPECT_EQ(0x05, trace_last_write(&trace, 1, 0x99, NULL));
	EXPECT_EQ(1, trace_count(&trace, TRACE_READ));
	trace_free(&trace);
}

TEST_HARNESS_MAIN
