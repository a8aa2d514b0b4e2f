// SPDX-License-Identifier: MIT
/*
 * Virtual board: exposure, gains and flips are seen in pixels as the registers say.
 */
#include "kselftest_harness.h"

#include "play.h"

FIXTURE(light) {
	struct bench bench;
	struct picture picture;
	void *frame;
};

FIXTURE_SETUP(light)
{
	ASSERT_EQ(0, bench_open(&self->bench));
	ASSERT_EQ(0, picture_alloc(&self->picture, V4L2_PIX_FMT_NV12, 64, 48));
	self->frame = NULL;
}

FIXTURE_TEARDOWN(light)
{
	free(self->frame);
	free(self->picture.data);
	EXPECT_EQ(0, board_errors(CAMERA, NULL));
	bench_close(&self->bench);
}

/* Light above black of a grey scene, from the middle of a raw frame */
static int light_of(struct bench *bench, unsigned int id, int value)
{
	struct v4l2_buffer buffer;
	void *frame;
	int light;

	if (set_control(bench->sensor, id, value))
		return -1;
	frame = grab(bench->raw, 0, &buffer);
	if (!frame)
		return -1;
	light = raw_at(frame, WIDTH / 2, HEIGHT / 2) - BLACK;
	free(frame);
	return light;
}

TEST_F(light, unity_is_the_scenes_brightness)
{
	static const int greys[] = { 0, 32, 64, 128, 192, 255 };
	struct v4l2_buffer buffer;

	for (size_t i = 0; i < sizeof(greys) / sizeof(greys[0]); i++) {
		picture_fill(&self->picture, 0, 0, 64, 48, greys[i], 128, 128);
		ASSERT_EQ(0, show(self->bench.scene, &self->picture, true));
		free(self->frame);
		self->frame = grab(self->bench.nv12, 0, &buffer);
		ASSERT_NE(NULL, self->frame);
		EXPECT_TRUE(near(luma_at(self->frame, WIDTH / 2, HEIGHT / 2), greys[i], 2))
			TH_LOG("%d for %d", luma_at(self->frame, WIDTH / 2, HEIGHT / 2), greys[i]);
		EXPECT_TRUE(near(chroma_at(self->frame, WIDTH / 2, HEIGHT / 2, false), 128, 1));
		EXPECT_TRUE(near(chroma_at(self->frame, WIDTH / 2, HEIGHT / 2, true), 128, 1));
		/* Streaming goes on with the file; the next picture has to start anew. */
		close(self->bench.scene);
		self->bench.scene = board_open_node(CAMERA, "camsim%u-scene");
		ASSERT_LE(0, self->bench.scene);
	}
}

TEST_F(light, is_exposure_times_gain)
{
	int unity;

	picture_fill(&self->picture, 0, 0, 64, 48, 128, 128, 128);
	ASSERT_EQ(0, show(self->bench.scene, &self->picture, true));
	unity = light_of(&self->bench, V4L2_CID_EXPOSURE, 1000);
	ASSERT_LT(100, unity);
	EXPECT_TRUE(near(light_of(&self->bench, V4L2_CID_EXPOSURE, 2000), unity * 2, 2));
	EXPECT_TRUE(near(light_of(&self->bench, V4L2_CID_EXPOSURE, 500), unity / 2, 2));
	ASSERT_EQ(0, set_control(self->bench.sensor, V4L2_CID_EXPOSURE, 1000));
	EXPECT_TRUE(near(light_of(&self->bench, V4L2_CID_DIGITAL_GAIN, 128), unity * 2, 2));
	EXPECT_TRUE(near(light_of(&self->bench, V4L2_CID_DIGITAL_GAIN, 64), unity, 1));
	/* Row and remainder together come within a pre-gain step of what was asked for. */
	EXPECT_TRUE(near(light_of(&self->bench, V4L2_CID_ANALOGUE_GAIN, 96), unity * 3 / 2,
			 unity / 32));
	EXPECT_TRUE(near(light_of(&self->bench, V4L2_CID_ANALOGUE_GAIN, 192), unity * 3,
			 unity / 16));
	EXPECT_EQ(WHITE - BLACK, light_of(&self->bench, V4L2_CID_ANALOGUE_GAIN, 7073));
}

/* [V] what is written in one frame is in the next but one */
TEST_F(light, changes_two_frames_later)
{
	struct v4l2_buffer buffer;
	int before, after = 0;
	struct stream stream;
	unsigned long start;
	unsigned int i;

	picture_fill(&self->picture, 0, 0, 64, 48, 128, 128, 128);
	ASSERT_EQ(0, show(self->bench.scene, &self->picture, true));
	ASSERT_EQ(0, set_control(self->bench.sensor, V4L2_CID_VBLANK, 15303));
	ASSERT_EQ(0, stream_open(&stream, self->bench.raw));
	/* Once more where the next frame, half a second later, came before the exposure was set. */
	do {
		ASSERT_EQ(0, stream_stop(&stream));
		ASSERT_EQ(0, set_control(self->bench.sensor, V4L2_CID_EXPOSURE, 1000));
		start = board_sensed(CAMERA);
		ASSERT_EQ(0, stream_start(&stream));
		ASSERT_EQ(0, stream_next(&stream, &buffer, TIMEOUT));
		before = raw_at(stream.buffers[buffer.index].data, 100, 100) - BLACK;
		ASSERT_EQ(0, set_control(self->bench.sensor, V4L2_CID_EXPOSURE, 2000));
	} while (board_sensed(CAMERA) != start + 1);
	for (i = 1; i < 5; i++) {
		ASSERT_EQ(0, stream_return(&stream, &buffer));
		ASSERT_EQ(0, stream_next(&stream, &buffer, TIMEOUT));
		after = raw_at(stream.buffers[buffer.index].data, 100, 100) - BLACK;
		if (after != before)
			break;
	}
	EXPECT_EQ(2, i);
	EXPECT_LE(2, buffer.sequence);
	EXPECT_TRUE(near(after, before * 2, 2));
	EXPECT_EQ(0, stream_stop(&stream));
	stream_close(&stream);
}

/* Red, green, blue and grey quarters; which is where after flips */
TEST_F(light, flips_turn_the_picture_and_keep_the_order)
{
	static const uint8_t yuv[4][3] = {
		{ 76, 85, 255 }, { 150, 44, 21 }, { 29, 255, 107 }, { 128, 128, 128 },
	};
	struct v4l2_buffer buffer;
	unsigned int q, x, y;

	for (q = 0; q < 4; q++)
		picture_fill(&self->picture, q % 2 * 32, q / 2 * 24, 32, 24, yuv[q][0], yuv[q][1],
			     yuv[q][2]);
	ASSERT_EQ(0, show(self->bench.scene, &self->picture, true));

	for (unsigned int flips = 0; flips < 4; flips++) {
		ASSERT_EQ(0, set_control(self->bench.sensor, V4L2_CID_HFLIP, flips & 1));
		ASSERT_EQ(0, set_control(self->bench.sensor, V4L2_CID_VFLIP, flips >> 1));
		free(self->frame);
		self->frame = grab(self->bench.raw, 0, &buffer);
		ASSERT_NE(NULL, self->frame);
		for (q = 0; q < 4; q++) {
			/* Even coordinates: red is first in each quad, in any flip. */
			x = ((q ^ flips) & 1) ? 1440 : 480;
			y = ((q ^ flips) & 2) ? 810 & ~1 : 270;
			EXPECT_EQ(q == 0 || q == 3, raw_at(self->frame, x, y) > 200);
			EXPECT_EQ(q == 1 || q == 3, raw_at(self->frame, x + 1, y) > 200);
			EXPECT_EQ(q == 1 || q == 3, raw_at(self->frame, x, y + 1) > 200);
			EXPECT_EQ(q == 2 || q == 3, raw_at(self->frame, x + 1, y + 1) > 200);
		}
	}
}

TEST_HARNESS_MAIN
