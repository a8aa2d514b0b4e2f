// SPDX-License-Identifier: MIT
/*
 * GC2053 driver: identity and power. The sensor gets its supplies, clock and lines in the
 * right order, loses them in exactly the reverse, and a chip that is another one is refused
 * by name and left without power.
 */
#include "kselftest_harness.h"

#include "common.h"

static const char * const power_order[] = {
	"iovdd", "dvdd", "avdd", "xclk", "powerdown", "reset",
};

#define NUM_PINS	(sizeof(power_order) / sizeof(power_order[0]))

/* Seconds. Each is what the slowest of the sources asks for. */
#define SUPPLY_GAP	50e-6
#define RESET_TO_I2C	3.342e-3
#define I2C_TO_RESET	83e-6
/* How long the power stays after its last use, which is of the driver's own choice */
#define LINGERS		0.99

FIXTURE(sensor) {
	int log;
	long usage;
};

FIXTURE_SETUP(sensor)
{
	ASSERT_EQ(0, sensor_reset());
	self->log = board_log_open();
	ASSERT_LE(0, self->log);
	self->usage = sensor_usage();
	ASSERT_LE(0, self->usage);
}

FIXTURE_TEARDOWN(sensor)
{
	EXPECT_FALSE(board_log_has(self->log, "usage count underflow"));
	close(self->log);
	EXPECT_EQ(0, sensor_reset());
}

/*
 * The trace from `from` on holds one power-up in the right order, then register accesses, then
 * one power-down in the reverse order. Returns where it ends.
 */
static size_t check_power_cycle(struct __test_metadata *_metadata, const struct trace *trace,
				size_t from)
{
	double at[NUM_PINS], first_i2c = 0, last_i2c = 0;
	size_t next = from, on = 0, off = NUM_PINS;

	for (; next < trace->num && off; next++) {
		const struct trace_event *event = &trace->events[next];

		if (event->kind == TRACE_PIN && event->on) {
			ASSERT_LT(on, NUM_PINS);
			ASSERT_EQ(off, NUM_PINS);
			ASSERT_STREQ(power_order[on], event->pin);
			at[on++] = event->time;
		} else if (event->kind == TRACE_PIN) {
			ASSERT_EQ(on, NUM_PINS);
			off--;
			ASSERT_STREQ(power_order[off], event->pin);
			if (off == NUM_PINS - 1)
				EXPECT_LT(I2C_TO_RESET, event->time - last_i2c);
		} else {
			ASSERT_EQ(on, NUM_PINS);
			ASSERT_EQ(off, NUM_PINS);
			last_i2c = event->time;
			if (!first_i2c)
				first_i2c = event->time;
		}
	}
	ASSERT_EQ(0, off);

	EXPECT_LT(SUPPLY_GAP, at[1] - at[0]);
	EXPECT_LT(RESET_TO_I2C, first_i2c - at[NUM_PINS - 1]);
	return next;
}

/* Between the last word to the sensor and its reset */
static void check_lingers(struct __test_metadata *_metadata, const struct trace *trace)
{
	size_t off = trace_find_pin(trace, "reset", false, 0);

	ASSERT_LT(0, off);
	ASSERT_LT(off, trace->num);
	EXPECT_LT(LINGERS, trace->events[off].time - trace->events[off - 1].time);
}

TEST_F(sensor, probe_identifies_in_order)
{
	struct trace trace;
	size_t i;

	ASSERT_EQ(0, board_sensor_unbind(CAMERA));
	ASSERT_EQ(0, trace_clear(CAMERA));
	ASSERT_EQ(0, board_sensor_bind(CAMERA));
	ASSERT_EQ(0, board_sensor_wait_suspended(CAMERA, SUSPEND_TIMEOUT));

	ASSERT_EQ(0, trace_get(CAMERA, &trace));
	EXPECT_EQ(trace.num, check_power_cycle(_metadata, &trace, 0));
	check_lingers(_metadata, &trace);

	/* Nothing is written, and nothing but the ID is read. */
	EXPECT_EQ(0, trace_count(&trace, TRACE_WRITE));
	EXPECT_EQ(2, trace_count(&trace, TRACE_READ));
	for (i = 0; i < trace.num; i++) {
		const struct trace_event *event = &trace.events[i];

		if (event->kind != TRACE_READ)
			continue;
		EXPECT_EQ(TRACE_SYSTEM, event->page);
		EXPECT_TRUE((event->reg == 0xf0 && event->val == 0x20) ||
			    (event->reg == 0xf1 && event->val == 0x53));
	}
	trace_free(&trace);
	EXPECT_EQ(0, board_errors(CAMERA, NULL));
	EXPECT_EQ(self->usage, sensor_usage());
}

TEST_F(sensor, unbind_while_powered_powers_off)
{
	struct trace trace;
	int64_t bound;

	ASSERT_EQ(0, board_sensor_unbind(CAMERA));
	/* Before the autosuspend delay of a second is over; once more where this machine was slower */
	do {
		ASSERT_EQ(0, trace_clear(CAMERA));
		bound = now_ns();
		ASSERT_EQ(0, board_sensor_bind(CAMERA));
		ASSERT_EQ(0, board_sensor_unbind(CAMERA));
	} while (now_ns() - bound >= 1000000000LL);

	ASSERT_EQ(0, trace_get(CAMERA, &trace));
	EXPECT_EQ(trace.num, check_power_cycle(_metadata, &trace, 0));
	trace_free(&trace);
	EXPECT_EQ(0, board_errors(CAMERA, NULL));
}

/* The driver core wakes a device to remove it, and lets it sleep again before: it is off then. */
TEST_F(sensor, unbind_while_suspended_leaves_it_off)
{
	struct trace trace;

	ASSERT_EQ(0, board_sensor_write(CAMERA, "power/autosuspend_delay_ms", "0"));
	ASSERT_EQ(0, trace_clear(CAMERA));
	ASSERT_EQ(0, board_sensor_unbind(CAMERA));
	ASSERT_EQ(0, trace_get(CAMERA, &trace));
	EXPECT_EQ(2 * NUM_PINS, trace.num);
	EXPECT_EQ(trace.num, trace_find_pin(&trace, "iovdd", false, 0) + 1);
	trace_free(&trace);
	EXPECT_FALSE(board_log_has(self->log, "unbalanced"));
}

TEST_F(sensor, wrong_id_is_refused)
{
	struct trace trace;
	int ret;

	ASSERT_EQ(0, board_sensor_unbind(CAMERA));
	ASSERT_EQ(0, trace_clear(CAMERA));
	ASSERT_EQ(0, board_debugfs_write(CAMERA, "fault_wrong_id", "Y"));

	ret = board_sensor_bind(CAMERA);
	EXPECT_TRUE(ret == -ENXIO || ret == -ENODEV) {
		TH_LOG("bind: %d", ret);
	}
	EXPECT_FALSE(board_sensor_is_bound(CAMERA));
	/* It says what it found and what it looked for. */
	EXPECT_TRUE(board_log_has(self->log, "chip ID is 0x2093, expected 0x2053"));

	ASSERT_EQ(0, trace_get(CAMERA, &trace));
	EXPECT_EQ(trace.num, check_power_cycle(_metadata, &trace, 0));
	EXPECT_EQ(0, trace_count(&trace, TRACE_WRITE));
	trace_free(&trace);

	ASSERT_EQ(0, board_debugfs_write(CAMERA, "fault_wrong_id", "N"));
	EXPECT_EQ(0, board_sensor_bind(CAMERA));
}

TEST_F(sensor, silent_chip_is_refused)
{
	struct trace trace;
	unsigned int message;

	/* The ID is read with two messages: either may go unanswered. */
	for (message = 1; message <= 2; message++) {
		ASSERT_EQ(0, board_sensor_unbind(CAMERA));
		ASSERT_EQ(0, trace_clear(CAMERA));
		ASSERT_EQ(0, board_debugfs_write_number(CAMERA, "fault_nack", message));

		EXPECT_NE(0, board_sensor_bind(CAMERA));
		EXPECT_FALSE(board_sensor_is_bound(CAMERA));
		EXPECT_TRUE(board_log_has(self->log, "failed to read the chip ID"));

		ASSERT_EQ(0, trace_get(CAMERA, &trace));
		EXPECT_EQ(1, trace_count(&trace, TRACE_NACK));
		EXPECT_EQ(trace.num, check_power_cycle(_metadata, &trace, 0));
		trace_free(&trace);

		ASSERT_EQ(0, board_sensor_bind(CAMERA));
	}
}

TEST_F(sensor, streaming_cycles_power_in_order)
{
	struct v4l2_buffer buffer;
	struct stream stream;
	struct trace trace;
	size_t off;
	int fd;

	fd = board_open_node(CAMERA, "camsim%u-raw");
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, stream_open(&stream, fd));
	ASSERT_EQ(0, stream_start(&stream));
	EXPECT_EQ(0, stream_next(&stream, &buffer, 5000));
	EXPECT_LT(self->usage, sensor_usage());
	/* For a while, on a slow machine too */
	ASSERT_EQ(0, board_sensor_write(CAMERA, "power/autosuspend_delay_ms", "10000"));
	ASSERT_EQ(0, stream_stop(&stream));
	EXPECT_EQ(self->usage, sensor_usage());

	/* The power stays on for a while: a quick restart doesn't pay for it again. */
	ASSERT_EQ(0, stream_start(&stream));
	ASSERT_EQ(0, board_sensor_write(CAMERA, "power/autosuspend_delay_ms", "1000"));
	ASSERT_EQ(0, stream_stop(&stream));
	stream_close(&stream);
	close(fd);

	ASSERT_EQ(0, board_sensor_wait_suspended(CAMERA, SUSPEND_TIMEOUT));
	ASSERT_EQ(0, trace_get(CAMERA, &trace));
	EXPECT_EQ(trace.num, check_power_cycle(_metadata, &trace, 0));

	/* The last word to the sensor was standby, before its power went. */
	off = trace_find_pin(&trace, "reset", false, 0);
	ASSERT_LT(2, off);
	EXPECT_EQ(0, trace_last_write(&trace, 0, 0x3e, NULL) & 0x80);
	trace_free(&trace);
	EXPECT_EQ(0, board_errors(CAMERA, NULL));
	EXPECT_EQ(self->usage, sensor_usage());
}

/* Counted from the stop, not from the start, which was longer ago than the delay. */
TEST_F(sensor, power_lingers_after_a_long_stream)
{
	struct stream stream;
	struct trace trace;
	int fd;

	fd = board_open_node(CAMERA, "camsim%u-raw");
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, stream_open(&stream, fd));
	ASSERT_EQ(0, stream_start(&stream));
	usleep(1500000);
	ASSERT_EQ(0, stream_stop(&stream));
	stream_close(&stream);
	close(fd);
	ASSERT_EQ(0, board_sensor_wait_suspended(CAMERA, SUSPEND_TIMEOUT));
	ASSERT_EQ(0, trace_get(CAMERA, &trace));
	check_lingers(_metadata, &trace);
	trace_free(&trace);
}

TEST_F(sensor, works_when_kept_on)
{
	struct stream stream;
	int fd;

	fd = board_open_node(CAMERA, "camsim%u-raw");
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, stream_open(&stream, fd));
	ASSERT_EQ(0, board_sensor_write(CAMERA, "power/control", "on"));
	EXPECT_EQ(self->usage + 1, sensor_usage());
	EXPECT_EQ(0, stream_start(&stream));
	EXPECT_EQ(0, stream_stop(&stream));
	EXPECT_EQ(self->usage + 1, sensor_usage());
	EXPECT_EQ(0, board_sensor_write(CAMERA, "power/control", "auto"));
	EXPECT_EQ(self->usage, sensor_usage());
	stream_close(&stream);
	close(fd);
	EXPECT_EQ(0, board_errors(CAMERA, NULL));
}

TEST_HARNESS_MAIN
