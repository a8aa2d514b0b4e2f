// SPDX-License-Identifier: MIT
/*
 * GC2053 driver: what each control does to the registers, read from the board's trace. The
 * expected gain rows are written down here again, from the vendors' tables, so that a slip of
 * the driver's own table shows.
 */
#include "kselftest_harness.h"

#include "bench.h"

#define FRAME_LENGTH_MIN	1125
#define EXPOSURE_MARGIN		16
#define VBLANK_MAX		15303

static const struct {
	int gain;
	int b4, b3, b8, b9;
} gain_rows[] = {
	{ 64, 0x00, 0x00, 0x01, 0x00 },   { 74, 0x00, 0x10, 0x01, 0x0c },
	{ 89, 0x00, 0x20, 0x01, 0x1b },   { 102, 0x00, 0x30, 0x01, 0x2c },
	{ 127, 0x00, 0x40, 0x01, 0x3f },  { 147, 0x00, 0x50, 0x02, 0x16 },
	{ 177, 0x00, 0x60, 0x02, 0x35 },  { 203, 0x00, 0x70, 0x03, 0x16 },
	{ 260, 0x00, 0x80, 0x04, 0x02 },  { 300, 0x00, 0x90, 0x04, 0x31 },
	{ 361, 0x00, 0xa0, 0x05, 0x32 },  { 415, 0x00, 0xb0, 0x06, 0x35 },
	{ 504, 0x00, 0xc0, 0x08, 0x04 },  { 581, 0x00, 0x5a, 0x09, 0x19 },
	{ 722, 0x00, 0x83, 0x0b, 0x0f },  { 832, 0x00, 0x93, 0x0d, 0x12 },
	{ 1027, 0x00, 0x84, 0x10, 0x00 }, { 1182, 0x00, 0x94, 0x12, 0x3a },
	{ 1408, 0x01, 0x2c, 0x1a, 0x02 }, { 1621, 0x01, 0x3c, 0x1b, 0x20 },
	{ 1990, 0x00, 0x8c, 0x20, 0x0f }, { 2291, 0x00, 0x9c, 0x26, 0x07 },
	{ 2850, 0x02, 0x64, 0x36, 0x21 }, { 3282, 0x02, 0x74, 0x37, 0x3a },
	{ 4048, 0x00, 0xc6, 0x3d, 0x02 }, { 5180, 0x00, 0xdc, 0x3f, 0x3f },
	{ 5500, 0x02, 0x85, 0x3f, 0x3f }, { 6744, 0x02, 0x95, 0x3f, 0x3f },
	{ 7073, 0x00, 0xce, 0x3f, 0x3f },
};

#define NUM_GAIN_ROWS	(sizeof(gain_rows) / sizeof(gain_rows[0]))

FIXTURE(controls) {
	struct bench bench;
};

FIXTURE_SETUP(controls)
{
	bench_open(_metadata, &self->bench);
}

FIXTURE_TEARDOWN(controls)
{
	bench_close(_metadata, &self->bench);
	EXPECT_EQ(0, board_errors(CAMERA, NULL));
}

/* Set a control of a running stream, and get what that alone wrote. */
static int set_and_trace(int fd, unsigned int id, int value, struct trace *trace)
{
	int ret;

	ret = trace_clear(CAMERA);
	if (!ret)
		ret = set_control(fd, id, value);
	if (!ret)
		ret = trace_get(CAMERA, trace);
	return ret;
}

TEST_F(controls, ranges_are_those_of_the_mode)
{
	static const struct {
		unsigned int id;
		long min, max, standard;
		bool read_only;
	} expected[] = {
		{ V4L2_CID_LINK_FREQ, 0, 0, 0, true },
		{ V4L2_CID_PIXEL_RATE, 74250000, 74250000, 74250000, true },
		{ V4L2_CID_HBLANK, 280, 280, 280, true },
		{ V4L2_CID_VBLANK, 45, VBLANK_MAX, 45, false },
		{ V4L2_CID_EXPOSURE, 4, FRAME_LENGTH_MIN - EXPOSURE_MARGIN, 1000, false },
		{ V4L2_CID_ANALOGUE_GAIN, 64, 7073, 64, false },
		{ V4L2_CID_DIGITAL_GAIN, 64, 512, 64, false },
		{ V4L2_CID_HFLIP, 0, 1, 0, false },
		{ V4L2_CID_VFLIP, 0, 1, 0, false },
	};
	struct v4l2_querymenu menu = { .id = V4L2_CID_LINK_FREQ };
	struct v4l2_query_ext_ctrl query;

	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		ASSERT_EQ(0, query_control(self->bench.subdev, expected[i].id, &query));
		EXPECT_EQ(expected[i].min, query.minimum) TH_LOG("%s", query.name);
		EXPECT_EQ(expected[i].max, query.maximum) TH_LOG("%s", query.name);
		EXPECT_EQ(expected[i].standard, query.default_value) TH_LOG("%s", query.name);
		EXPECT_EQ(expected[i].read_only, !!(query.flags & V4L2_CTRL_FLAG_READ_ONLY))
			TH_LOG("%s", query.name);
		/* Flips keep the order of colours: nothing else changes with them. */
		EXPECT_EQ(0, query.flags & V4L2_CTRL_FLAG_MODIFY_LAYOUT);
	}
	ASSERT_EQ(0, ioctl(self->bench.subdev, VIDIOC_QUERYMENU, &menu));
	EXPECT_EQ(297000000, menu.value);
	EXPECT_EQ(-EINVAL, query_control(self->bench.subdev, V4L2_CID_TEST_PATTERN, &query));

	/* (1920 + 280) * (1080 + 45) pixels of 74.25 MHz are 30 frames/s. */
	EXPECT_EQ(74250000, 30 * (WIDTH + 280) * (HEIGHT + 45));
}

TEST_F(controls, without_a_stream_nothing_is_written)
{
	struct trace trace;

	EXPECT_EQ(0, set_control(self->bench.subdev, V4L2_CID_VBLANK, 2000));
	EXPECT_EQ(0, set_control(self->bench.subdev, V4L2_CID_EXPOSURE, 1500));
	EXPECT_EQ(0, set_control(self->bench.subdev, V4L2_CID_ANALOGUE_GAIN, 300));
	EXPECT_EQ(0, set_control(self->bench.subdev, V4L2_CID_DIGITAL_GAIN, 100));
	EXPECT_EQ(0, set_control(self->bench.subdev, V4L2_CID_HFLIP, 1));
	EXPECT_EQ(0, set_control(self->bench.subdev, V4L2_CID_VFLIP, 1));
	ASSERT_EQ(0, trace_get(CAMERA, &trace));
	EXPECT_EQ(0, trace.num);
	trace_free(&trace);

	/* The start brings all of them, the frame length before what depends on it. */
	ASSERT_EQ(0, stream_start(&self->bench.stream));
	ASSERT_EQ(0, trace_get(CAMERA, &trace));
	EXPECT_EQ(HEIGHT + 2000, trace_last_write16(&trace, 0, 0x41));
	EXPECT_EQ(1500, trace_last_write16(&trace, 0, 0x03));
	EXPECT_EQ(0x00, trace_last_write(&trace, 0, 0xb4, NULL));
	EXPECT_EQ(0x90, trace_last_write(&trace, 0, 0xb3, NULL));
	EXPECT_EQ(100 << 2, trace_last_write16(&trace, 0, 0xb1));
	EXPECT_EQ(0x03, trace_last_write(&trace, 0, 0x17, NULL) & 0x03);
	trace_free(&trace);
}

TEST_F(controls, a_start_writes_the_whole_list)
{
	size_t reset, length, exposure, on;
	struct trace trace;

	ASSERT_EQ(0, stream_start(&self->bench.stream));
	ASSERT_EQ(0, trace_get(CAMERA, &trace));
	EXPECT_LT(122, trace_count(&trace, TRACE_WRITE));

	/* Soft reset, then the frame length, then the exposure, then the stream: in that order. */
	for (reset = 0; reset < trace.num; reset++)
		if (trace.events[reset].kind == TRACE_WRITE)
			break;
	ASSERT_LT(reset, trace.num);
	EXPECT_EQ(0xfe, trace.events[reset].reg);
	EXPECT_EQ(0x80, trace.events[reset].val);
	EXPECT_NE(-1, trace_last_write(&trace, 0, 0x41, &length));
	EXPECT_NE(-1, trace_last_write(&trace, 0, 0x03, &exposure));
	EXPECT_EQ(0x91, trace_last_write(&trace, 0, 0x3e, &on));
	EXPECT_LT(reset, length);
	EXPECT_LT(length, exposure);
	EXPECT_LT(exposure, on);

	/* What makes the mode: PLL, line, window, length mode, order under flips, lanes. */
	EXPECT_EQ(0x63, trace_last_write(&trace, TRACE_SYSTEM, 0xf8, NULL));
	EXPECT_EQ(2200 / 2, trace_last_write16(&trace, 0, 0x05));
	EXPECT_EQ(17, trace_last_write16(&trace, 0, 0x07));
	EXPECT_EQ(1088, trace_last_write16(&trace, 0, 0x0d));
	EXPECT_EQ(0x00, trace_last_write(&trace, 0, 0x90, NULL));
	EXPECT_EQ(0x03, trace_last_write(&trace, 1, 0x94, NULL));
	EXPECT_EQ(HEIGHT, trace_last_write16(&trace, 1, 0x95));
	EXPECT_EQ(WIDTH, trace_last_write16(&trace, 1, 0x97));
	EXPECT_EQ(0x05, trace_last_write(&trace, 1, 0x99, NULL));
	EXPECT_EQ(0x80, trace_last_write(&trace, 3, 0x12, NULL));
	EXPECT_EQ(0x07, trace_last_write(&trace, 3, 0x13, NULL));
	trace_free(&trace);

	/* And once more at the next start, although the power, on a slow machine too, was never off. */
	ASSERT_EQ(0, board_sensor_write(CAMERA, "power/autosuspend_delay_ms", "10000"));
	ASSERT_EQ(0, stream_stop(&self->bench.stream));
	ASSERT_EQ(0, trace_clear(CAMERA));
	ASSERT_EQ(0, stream_start(&self->bench.stream));
	ASSERT_EQ(0, board_sensor_write(CAMERA, "power/autosuspend_delay_ms", "1000"));
	ASSERT_EQ(0, trace_get(CAMERA, &trace));
	EXPECT_EQ(trace.num, trace_find_pin(&trace, "iovdd", true, 0));
	EXPECT_LT(122, trace_count(&trace, TRACE_WRITE));
	trace_free(&trace);
}

TEST_F(controls, exposure_is_lines)
{
	static const int values[] = { 4, 5, 255, 256, 1000, 1109 };
	struct trace trace;

	ASSERT_EQ(0, stream_start(&self->bench.stream));
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		ASSERT_EQ(0, set_and_trace(self->bench.subdev, V4L2_CID_EXPOSURE, values[i], &trace));
		EXPECT_EQ(values[i], trace_last_write16(&trace, 0, 0x03));
		/* The page is known: only the two bytes go over the bus. */
		EXPECT_EQ(2, trace.num);
		trace_free(&trace);
	}
	/* Beyond the frame it is the most that fits. */
	ASSERT_EQ(0, set_control(self->bench.subdev, V4L2_CID_EXPOSURE, 2000));
	EXPECT_EQ(1109, get_control(self->bench.subdev, V4L2_CID_EXPOSURE));
}

TEST_F(controls, vblank_is_frame_length)
{
	static const int values[] = { 46, 1000, 5670, VBLANK_MAX, 45 };
	struct v4l2_query_ext_ctrl query;
	struct trace trace;

	ASSERT_EQ(0, stream_start(&self->bench.stream));
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		ASSERT_EQ(0, set_and_trace(self->bench.subdev, V4L2_CID_VBLANK, values[i], &trace));
		EXPECT_EQ(HEIGHT + values[i], trace_last_write16(&trace, 0, 0x41));
		trace_free(&trace);
		ASSERT_EQ(0, query_control(self->bench.subdev, V4L2_CID_EXPOSURE, &query));
		EXPECT_EQ(HEIGHT + values[i] - EXPOSURE_MARGIN, query.maximum);
	}
}

TEST_F(controls, a_shorter_frame_cuts_the_exposure_first)
{
	size_t exposure, length;
	struct trace trace;

	ASSERT_EQ(0, stream_start(&self->bench.stream));
	ASSERT_EQ(0, set_control(self->bench.subdev, V4L2_CID_VBLANK, 3000));
	ASSERT_EQ(0, set_control(self->bench.subdev, V4L2_CID_EXPOSURE, 4000));
	ASSERT_EQ(0, set_and_trace(self->bench.subdev, V4L2_CID_VBLANK, 45, &trace));
	EXPECT_EQ(1109, trace_last_write16(&trace, 0, 0x03));
	EXPECT_EQ(FRAME_LENGTH_MIN, trace_last_write16(&trace, 0, 0x41));
	trace_last_write(&trace, 0, 0x04, &exposure);
	trace_last_write(&trace, 0, 0x41, &length);
	EXPECT_LT(exposure, length);
	trace_free(&trace);
	EXPECT_EQ(1109, get_control(self->bench.subdev, V4L2_CID_EXPOSURE));
}

/*
 * A gain is five transfers, and between them the registers are no row: the board counts that if the
 * writer is held up there while two frames start. A wrong row it would go on to count.
 */
static void check_row_is_legal(struct __test_metadata *_metadata)
{
	unsigned long start;

	EXPECT_EQ(board_errors(CAMERA, NULL), board_errors(CAMERA, "gain-row-illegal"));
	ASSERT_EQ(0, board_debugfs_write(CAMERA, "errors", "0"));
	start = board_sensed(CAMERA);
	while (board_sensed(CAMERA) < start + 3)
		usleep(20000);
}

static void check_gain(struct __test_metadata *_metadata, const struct trace *trace, size_t row,
		       int analogue, int digital)
{
	EXPECT_EQ(gain_rows[row].b4, trace_last_write(trace, 0, 0xb4, NULL));
	EXPECT_EQ(gain_rows[row].b3, trace_last_write(trace, 0, 0xb3, NULL));
	EXPECT_EQ(gain_rows[row].b8, trace_last_write(trace, 0, 0xb8, NULL));
	EXPECT_EQ(gain_rows[row].b9, trace_last_write(trace, 0, 0xb9, NULL));
	EXPECT_EQ(analogue * digital / gain_rows[row].gain << 2,
		  trace_last_write16(trace, 0, 0xb1)) {
		TH_LOG("analogue %d, digital %d", analogue, digital);
	}
}

TEST_F(controls, analogue_gain_takes_each_row)
{
	struct trace trace;

	ASSERT_EQ(0, stream_start(&self->bench.stream));
	for (size_t row = 0; row < NUM_GAIN_ROWS; row++) {
		int from = gain_rows[row].gain;
		int to = row + 1 < NUM_GAIN_ROWS ? gain_rows[row + 1].gain - 1 : from;
		const int values[] = { from, (from + to) / 2, to };

		for (int i = 0; i < 3; i++) {
			ASSERT_EQ(0, set_and_trace(self->bench.subdev, V4L2_CID_ANALOGUE_GAIN, values[i],
						   &trace));
			/* A control that has its value already writes nothing. */
			if (trace.num)
				check_gain(_metadata, &trace, row, values[i], 64);
			else
				EXPECT_TRUE(i ? values[i] == values[i - 1] : row == 0);
			trace_free(&trace);
		}
	}
	check_row_is_legal(_metadata);
}

TEST_F(controls, both_gains_share_the_pregain)
{
	static const int digital[] = { 65, 128, 511, 512 };
	struct trace trace;

	ASSERT_EQ(0, stream_start(&self->bench.stream));
	ASSERT_EQ(0, set_control(self->bench.subdev, V4L2_CID_ANALOGUE_GAIN, 4048 + 1131));
	for (size_t i = 0; i < sizeof(digital) / sizeof(digital[0]); i++) {
		ASSERT_EQ(0, set_and_trace(self->bench.subdev, V4L2_CID_DIGITAL_GAIN, digital[i],
					   &trace));
		check_gain(_metadata, &trace, 24, 4048 + 1131, digital[i]);
		trace_free(&trace);
	}
	ASSERT_EQ(0, set_and_trace(self->bench.subdev, V4L2_CID_ANALOGUE_GAIN, 64, &trace));
	check_gain(_metadata, &trace, 0, 64, 512);
	trace_free(&trace);
	check_row_is_legal(_metadata);
}

/* The row that was written, or NUM_GAIN_ROWS if it is none */
static size_t find_row(const struct trace *trace)
{
	size_t row;

	for (row = 0; row < NUM_GAIN_ROWS; row++)
		if (gain_rows[row].b4 == trace_last_write(trace, 0, 0xb4, NULL) &&
		    gain_rows[row].b3 == trace_last_write(trace, 0, 0xb3, NULL) &&
		    gain_rows[row].b8 == trace_last_write(trace, 0, 0xb8, NULL) &&
		    gain_rows[row].b9 == trace_last_write(trace, 0, 0xb9, NULL))
			break;
	return row;
}

/* The total never exceeds what was asked for and never falls when more is asked for. */
TEST_F_TIMEOUT(controls, gain_rises, 120)
{
	int last = 0;

	ASSERT_EQ(0, stream_start(&self->bench.stream));
	for (int gain = 65; gain <= 7073; gain += gain < 600 ? 1 : 23) {
		struct trace trace;
		int pregain, total;
		size_t row;

		ASSERT_EQ(0, set_and_trace(self->bench.subdev, V4L2_CID_ANALOGUE_GAIN, gain, &trace));
		pregain = trace_last_write16(&trace, 0, 0xb1) >> 2;
		row = find_row(&trace);
		trace_free(&trace);
		ASSERT_LT(row, NUM_GAIN_ROWS) TH_LOG("at %d", gain);
		total = gain_rows[row].gain * pregain;
		ASSERT_LE(total, gain * 64);
		ASSERT_LE(last, total) TH_LOG("at %d", gain);
		/* One step of the pre-gain is what can be lacking. */
		ASSERT_LT(gain * 64 * 63 / 64, total);
		last = total;
	}
	check_row_is_legal(_metadata);
}

TEST_F(controls, flips_keep_the_code)
{
	struct v4l2_subdev_format format = { .which = V4L2_SUBDEV_FORMAT_ACTIVE };
	struct v4l2_subdev_selection crop = {
		.which = V4L2_SUBDEV_FORMAT_ACTIVE,
		.target = V4L2_SEL_TGT_CROP,
	};
	/* One bit changes from each to the next. */
	static const int flips[] = { 1, 3, 2, 0 };
	struct trace trace;

	ASSERT_EQ(0, stream_start(&self->bench.stream));
	for (size_t i = 0; i < sizeof(flips) / sizeof(flips[0]); i++) {
		ASSERT_EQ(0, trace_clear(CAMERA));
		ASSERT_EQ(0, set_control(self->bench.subdev, V4L2_CID_HFLIP, flips[i] & 1));
		ASSERT_EQ(0, set_control(self->bench.subdev, V4L2_CID_VFLIP, flips[i] >> 1));
		ASSERT_EQ(0, trace_get(CAMERA, &trace));
		EXPECT_EQ(flips[i], trace_last_write(&trace, 0, 0x17, NULL));
		trace_free(&trace);

		ASSERT_EQ(0, ioctl(self->bench.subdev, VIDIOC_SUBDEV_G_FMT, &format));
		EXPECT_EQ(MBUS_CODE, format.format.code);
		ASSERT_EQ(0, ioctl(self->bench.subdev, VIDIOC_SUBDEV_G_SELECTION, &crop));
		EXPECT_EQ(4, crop.r.left);
		EXPECT_EQ(4, crop.r.top);
	}
}

TEST_F(controls, changes_are_events)
{
	struct v4l2_event_subscription subscription = {
		.type = V4L2_EVENT_CTRL, .id = V4L2_CID_EXPOSURE,
		.flags = V4L2_EVENT_SUB_FL_ALLOW_FEEDBACK,
	};
	struct v4l2_event event;
	int fd = self->bench.subdev;

	ASSERT_EQ(0, ioctl(fd, VIDIOC_SUBSCRIBE_EVENT, &subscription));
	ASSERT_EQ(0, set_control(fd, V4L2_CID_EXPOSURE, 700));
	ASSERT_EQ(0, ioctl(fd, VIDIOC_DQEVENT, &event));
	EXPECT_EQ(V4L2_EVENT_CTRL, event.type);
	EXPECT_EQ(V4L2_CID_EXPOSURE, event.id);
	EXPECT_EQ(700, event.u.ctrl.value);
	/* A longer frame lets the exposure be longer. */
	ASSERT_EQ(0, set_control(fd, V4L2_CID_VBLANK, 1000));
	ASSERT_EQ(0, ioctl(fd, VIDIOC_DQEVENT, &event));
	EXPECT_EQ(V4L2_EVENT_CTRL_CH_RANGE, event.u.ctrl.changes);
	EXPECT_EQ(HEIGHT + 1000 - EXPOSURE_MARGIN, event.u.ctrl.maximum);

	EXPECT_EQ(0, ioctl(fd, VIDIOC_UNSUBSCRIBE_EVENT, &subscription));
	ASSERT_EQ(0, set_control(fd, V4L2_CID_EXPOSURE, 701));
	EXPECT_EQ(-1, ioctl(fd, VIDIOC_DQEVENT, &event));
	EXPECT_EQ(ENOENT, errno);
}

TEST_F(controls, their_status_is_logged)
{
	EXPECT_EQ(0, ioctl(self->bench.subdev, VIDIOC_LOG_STATUS));
	EXPECT_TRUE(board_log_has(self->bench.log, "Analogue Gain"));
}

TEST_HARNESS_MAIN
