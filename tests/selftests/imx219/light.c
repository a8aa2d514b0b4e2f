// SPDX-License-Identifier: MIT
/*
 * IMX219 on the virtual board: exposure, gains, flips and test patterns of mainline's driver are
 * seen in pixels.
 */
#include "kselftest_harness.h"

#include <linux/i2c.h>
#include <linux/i2c-dev.h>

#include "common.h"

FIXTURE(light) {
	struct camera camera;
	struct picture picture;
	struct v4l2_buffer buffer;
	void *frame;
};

FIXTURE_SETUP(light)
{
	if (!camera_exists())
		SKIP(return, "this board has no third camera, with an IMX219");
	ASSERT_EQ(0, camera_open(&self->camera));
	ASSERT_EQ(0, picture_alloc(&self->picture, V4L2_PIX_FMT_NV12, 64, 48));
	self->frame = NULL;
}

FIXTURE_TEARDOWN(light)
{
	free(self->frame);
	free(self->picture.data);
	EXPECT_EQ(0, board_errors(CAMERA, NULL));
	camera_close(&self->camera);
}

static int light_of(struct camera *c, unsigned int id, int value)
{
	struct v4l2_buffer buffer;
	void *frame;
	int light;

	if (set_control(c->sensor, id, value))
		return -1;
	frame = grab(c->raw, 0, &buffer);
	if (!frame)
		return -1;
	light = pixel(c, frame, c->width / 2, c->height / 2) - BLACK;
	free(frame);
	return light;
}

/* The analogue gain is 256 / (256 - code), the digital one in 1/256. */
TEST_F(light, is_exposure_times_gains)
{
	struct camera *c = &self->camera;
	int unity;

	picture_fill(&self->picture, 0, 0, 64, 48, 100, 128, 128);
	ASSERT_EQ(0, show(c->scene, &self->picture, true));
	unity = light_of(c, V4L2_CID_EXPOSURE, 1000);
	ASSERT_LT(80, unity);
	EXPECT_TRUE(near(light_of(c, V4L2_CID_EXPOSURE, 500), unity / 2, 2));
	EXPECT_TRUE(near(light_of(c, V4L2_CID_EXPOSURE, 1500), unity * 3 / 2, 2));
	ASSERT_EQ(0, set_control(c->sensor, V4L2_CID_EXPOSURE, 1000));
	EXPECT_TRUE(near(light_of(c, V4L2_CID_ANALOGUE_GAIN, 128), unity * 2, 2));
	EXPECT_TRUE(near(light_of(c, V4L2_CID_ANALOGUE_GAIN, 192), unity * 4, 4));
	EXPECT_EQ(WHITE - BLACK, light_of(c, V4L2_CID_ANALOGUE_GAIN, 232));
	ASSERT_EQ(0, set_control(c->sensor, V4L2_CID_ANALOGUE_GAIN, 0));
	EXPECT_TRUE(near(light_of(c, V4L2_CID_DIGITAL_GAIN, 512), unity * 2, 2));
	ASSERT_EQ(0, set_control(c->sensor, V4L2_CID_DIGITAL_GAIN, 256));

	/* 8 bits are the upper 8 of 10. */
	ASSERT_EQ(0, set_mode(c, 1920, 1080, false, 0));
	EXPECT_TRUE(near(light_of(c, V4L2_CID_EXPOSURE, 1000), unity, 4));
}

/* What is written in one frame is in the next but one; what went before is as it was. */
TEST_F(light, comes_two_frames_after)
{
	struct camera *c = &self->camera;
	uint32_t set_at = 0, seen_at = 0;
	struct stream stream;
	int unity = 0, now;

	picture_fill(&self->picture, 0, 0, 64, 48, 100, 128, 128);
	ASSERT_EQ(0, show(c->scene, &self->picture, true));
	ASSERT_EQ(0, set_control(c->sensor, V4L2_CID_VBLANK, 5000));
	ASSERT_EQ(0, stream_open(&stream, c->raw));
	ASSERT_EQ(0, stream_start(&stream));
	for (int i = 0; i < 20 && !seen_at; i++) {
		ASSERT_EQ(0, stream_next(&stream, &self->buffer, TIMEOUT));
		now = pixel(c, stream.buffers[self->buffer.index].data, 960, 540) - BLACK;
		if (!i) {
			unity = now;
			ASSERT_EQ(0, set_control(c->sensor, V4L2_CID_EXPOSURE, 2000));
			/* While this frame or, on a slow machine, a later one is on its way */
			set_at = self->buffer.sequence;
		} else if (near(now, unity * 2, 2)) {
			seen_at = self->buffer.sequence;
		} else {
			EXPECT_TRUE(near(now, unity, 1));
		}
		ASSERT_EQ(0, stream_return(&stream, &self->buffer));
	}
	EXPECT_LE(set_at + 2, seen_at);
	EXPECT_EQ(0, stream_stop(&stream));
	stream_close(&stream);
}

/* A red scene: which of four neighbours is bright, against the order that the driver declares */
TEST_F(light, flips_change_the_order_as_declared)
{
	struct camera *c = &self->camera;
	struct tag tag;

	picture_fill(&self->picture, 0, 0, 64, 48, 76, 85, 255);
	ASSERT_EQ(0, show(c->scene, &self->picture, true));
	ASSERT_EQ(0, set_pixel_tag(c->csi, true));
	for (unsigned int flips = 0; flips < 4; flips++) {
		unsigned int x = 960 + (flips & 1), y = 540 + (flips >> 1);
		const uint8_t *nv12;

		ASSERT_EQ(0, set_mode(c, 1920, 1080, true, flips));
		free(self->frame);
		self->frame = grab(c->raw, 0, &self->buffer);
		ASSERT_NE(NULL, self->frame);
		EXPECT_LT(900, pixel(c, self->frame, x, y));
		EXPECT_GT(80, pixel(c, self->frame, x ^ 1, y));
		EXPECT_GT(80, pixel(c, self->frame, x, y ^ 1));
		EXPECT_TRUE(tag_read(c, self->frame, flips, &tag));
		EXPECT_FALSE(tag_read(c, self->frame, flips ^ 3, &tag));

		/* And the ISP makes red of it, from 10 bits and from 8. */
		ASSERT_EQ(0, set_mode(c, 1920, 1080, flips == 0 || flips == 3, flips));
		free(self->frame);
		self->frame = grab(c->nv12, 0, &self->buffer);
		ASSERT_NE(NULL, self->frame);
		nv12 = self->frame;
		EXPECT_TRUE(near(nv12[540 * 1920 + 960], 76, 3));
		EXPECT_TRUE(near(nv12[541 * 1920 + 961], 76, 3));
		EXPECT_TRUE(near(nv12[1920 * 1080 + 270 * 1920 + 960], 85, 3));
		EXPECT_TRUE(near(nv12[1920 * 1080 + 270 * 1920 + 961], 255, 3));
	}
	EXPECT_EQ(0, set_pixel_tag(c->csi, false));
	EXPECT_EQ(0, set_mode(c, 1920, 1080, true, 0));
}

/*
 * A fault of the driver of 6.12: after a flip the format of its pad is the one before until it is
 * set anew, so that the pipeline starts and the order is another than all pads say.
 */
TEST_F(light, a_flip_alone_is_noticed_by_the_receiver)
{
	struct camera *c = &self->camera;
	struct v4l2_buffer buffer;
	struct stream stream;

	ASSERT_EQ(0, set_control(c->sensor, V4L2_CID_HFLIP, 1));
	ASSERT_EQ(0, stream_open(&stream, c->raw));
	ASSERT_EQ(0, stream_start(&stream));
	ASSERT_EQ(0, stream_next(&stream, &buffer, TIMEOUT));
	EXPECT_TRUE(buffer.flags & V4L2_BUF_FLAG_ERROR);
	EXPECT_EQ(0, stream_stop(&stream));
	stream_close(&stream);
	EXPECT_LE(1, board_errors(CAMERA, "bayer-order-not-format"));
	ASSERT_EQ(0, board_debugfs_write(CAMERA, "errors", "0"));
	EXPECT_EQ(0, set_mode(c, 1920, 1080, true, 0));
}

TEST_F(light, test_patterns_are_sent)
{
	/* White, yellow, cyan, green, magenta, red, blue, black: red, green, blue of each */
	static const bool bars[8][3] = {
		{ 1, 1, 1 }, { 1, 1, 0 }, { 0, 1, 1 }, { 0, 1, 0 },
		{ 1, 0, 1 }, { 1, 0, 0 }, { 0, 0, 1 }, { 0, 0, 0 },
	};
	struct camera *c = &self->camera;

	ASSERT_EQ(0, set_control(c->sensor, V4L2_CID_TEST_PATTERN, 1));
	self->frame = grab(c->raw, 0, &self->buffer);
	ASSERT_NE(NULL, self->frame);
	for (unsigned int bar = 0; bar < 8; bar++) {
		unsigned int x = bar * 240 + 120;

		EXPECT_EQ(bars[bar][0] * WHITE, pixel(c, self->frame, x, 500));
		EXPECT_EQ(bars[bar][1] * WHITE, pixel(c, self->frame, x + 1, 500));
		EXPECT_EQ(bars[bar][1] * WHITE, pixel(c, self->frame, x, 501));
		EXPECT_EQ(bars[bar][2] * WHITE, pixel(c, self->frame, x + 1, 501));
	}

	ASSERT_EQ(0, set_control(c->sensor, V4L2_CID_TEST_PATTERN, 2));
	for (unsigned int i = 0; i < 4; i++)
		ASSERT_EQ(0, set_control(c->sensor, V4L2_CID_TEST_PATTERN_RED + i, 100 + i));
	free(self->frame);
	self->frame = grab(c->raw, 0, &self->buffer);
	ASSERT_NE(NULL, self->frame);
	EXPECT_EQ(100, pixel(c, self->frame, 2, 1078));
	EXPECT_EQ(101, pixel(c, self->frame, 3, 1078));
	EXPECT_EQ(102, pixel(c, self->frame, 3, 1079));
	EXPECT_EQ(103, pixel(c, self->frame, 2, 1079));
	for (unsigned int i = 0; i < 4; i++)
		ASSERT_EQ(0, set_control(c->sensor, V4L2_CID_TEST_PATTERN_RED + i, WHITE));
	EXPECT_EQ(0, set_control(c->sensor, V4L2_CID_TEST_PATTERN, 0));
}

static int poke(uint16_t reg, uint16_t value)
{
	uint8_t bytes[] = { reg >> 8, reg & 0xff, value >> 8, value & 0xff };
	struct i2c_msg msg = { .addr = 0x10, .len = sizeof(bytes), .buf = bytes };
	struct i2c_rdwr_ioctl_data data = { .msgs = &msg, .nmsgs = 1 };
	int fd, ret;

	if (access("/dev/i2c-2", F_OK) && system("modprobe i2c-dev"))
		return -ENODEV;
	sleep_ms(100);
	fd = open("/dev/i2c-2", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = ioctl(fd, I2C_RDWR, &data) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

/* Registers behind the driver's back: the receiver passes over packets of another type. */
TEST_F(light, another_data_type_is_nothing_to_the_receiver)
{
	struct camera *c = &self->camera;
	struct v4l2_buffer buffer;
	struct stream stream;
	long began;

	ASSERT_EQ(0, stream_open(&stream, c->raw));
	ASSERT_EQ(0, stream_start(&stream));
	ASSERT_EQ(0, stream_next(&stream, &buffer, TIMEOUT));
	ASSERT_EQ(0, stream_return(&stream, &buffer));
	ASSERT_EQ(0, poke(0x018c, 0x0808));
	/* Those that started before are through when the first of the other type has. */
	while (!board_errors(CAMERA, "data-type-not-format"))
		sleep_ms(20);
	while (!stream_next(&stream, &buffer, 0))
		ASSERT_EQ(0, stream_return(&stream, &buffer));
	/* After two more starts one of that type has come and gone. */
	began = board_errors(CAMERA, "data-type-not-format");
	while (board_errors(CAMERA, "data-type-not-format") < began + 2)
		sleep_ms(20);
	EXPECT_EQ(-ETIMEDOUT, stream_next(&stream, &buffer, 0));
	/* The clock of the output is still that of 10 bits, which doesn't go with it. */
	EXPECT_LE(1, board_errors(CAMERA, "pll-unknown"));
	ASSERT_EQ(0, poke(0x018c, 0x0a0a));
	EXPECT_EQ(0, stream_next(&stream, &buffer, TIMEOUT));
	EXPECT_EQ(0, stream_stop(&stream));
	stream_close(&stream);
	ASSERT_EQ(0, board_debugfs_write(CAMERA, "errors", "0"));
}

TEST_HARNESS_MAIN
