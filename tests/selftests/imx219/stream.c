// SPDX-License-Identifier: MIT
/*
 * IMX219 on the virtual board: mainline's driver streams each of its modes, of 10 and of 8 bits,
 * at the rate that it says, and the frames are whole and this camera's.
 */
#include "kselftest_harness.h"

#include "common.h"

FIXTURE(stream) {
	struct camera camera;
};

FIXTURE_VARIANT(stream) {
	unsigned int width, height;
	bool wide;
};

#define MODE(w, h)									\
	FIXTURE_VARIANT_ADD(stream, raw10_##w) { .width = w, .height = h, .wide = true };	\
	FIXTURE_VARIANT_ADD(stream, raw8_##w) { .width = w, .height = h, .wide = false }

MODE(3280, 2464);
MODE(1920, 1080);
MODE(1640, 1232);
MODE(640, 480);

FIXTURE_SETUP(stream)
{
	ASSERT_EQ(0, camera_open(&self->camera));
	ASSERT_EQ(0, set_pixel_tag(self->camera.csi, true));
	ASSERT_EQ(0, set_mode(&self->camera, variant->width, variant->height, variant->wide, 0));
}

FIXTURE_TEARDOWN(stream)
{
	EXPECT_EQ(0, board_errors(CAMERA, NULL));
	set_pixel_tag(self->camera.csi, false);
	camera_close(&self->camera);
}

/* Times differ by whole frames, however slow this machine is. */
static void check_frames(struct __test_metadata *_metadata, struct camera *c, int vblank)
{
	size_t size = c->width * c->height * (c->wide ? 2 : 1);
	int64_t ns = frame_ns(c->height, vblank);
	struct v4l2_buffer buffer;
	struct tag tag, first;
	struct stream stream;

	ASSERT_EQ(0, set_control(c->sensor, V4L2_CID_VBLANK, vblank));
	ASSERT_EQ(0, stream_open(&stream, c->raw));
	ASSERT_EQ(0, stream_start(&stream));
	for (int n = 0; n < 3; n++) {
		ASSERT_EQ(0, stream_next(&stream, &buffer, TIMEOUT));
		EXPECT_EQ(size, buffer.bytesused);
		EXPECT_FALSE(buffer.flags & V4L2_BUF_FLAG_ERROR);
		ASSERT_TRUE(tag_read(c, stream.buffers[buffer.index].data, 0, &tag));
		EXPECT_EQ(CAMERA, tag.camera);
		EXPECT_EQ(buffer_us(&buffer), tag.ns / 1000);
		if (!n)
			first = tag;
		EXPECT_TRUE(near((tag.ns - first.ns) / 1000,
				 ns * (tag.frame - first.frame) / 1000, 4));
		ASSERT_EQ(0, stream_return(&stream, &buffer));
	}
	EXPECT_EQ(0, stream_stop(&stream));
	stream_close(&stream);
}

TEST_F(stream, frames_are_whole_and_on_time)
{
	int vblank = get_control(self->camera.sensor, V4L2_CID_VBLANK);

	/* The driver's own: 15 frames a second of the whole array, 30 of the others */
	EXPECT_TRUE(near(frame_ns(variant->height, vblank) / 1000,
			 variant->width == 3280 ? 66667 : 33333, 20));
	check_frames(_metadata, &self->camera, vblank);
	if (variant->width == 1920 && variant->wide)
		check_frames(_metadata, &self->camera, 6000);
}

/* A part of each mode's window: what is seen is where the driver says that the window is. */
TEST_F(stream, sees_the_part_of_the_array_that_crop_says)
{
	struct v4l2_subdev_selection crop = {
		.which = V4L2_SUBDEV_FORMAT_ACTIVE, .target = V4L2_SEL_TGT_CROP,
	};
	struct camera *c = &self->camera;
	struct v4l2_buffer buffer;
	struct picture picture;
	unsigned int edge;
	void *frame;

	/* The window doesn't depend on the depth. */
	if (!variant->wide)
		return;

	/* White, and black from a column in the middle of the window's right half on */
	ASSERT_EQ(0, ioctl(c->sensor, VIDIOC_SUBDEV_G_SELECTION, &crop));
	edge = (crop.r.left - 8 + crop.r.width * 3 / 4) * 640 / 3280;
	ASSERT_EQ(0, picture_alloc(&picture, V4L2_PIX_FMT_NV12, 640, 48));
	picture_fill(&picture, 0, 0, 640, 48, 0, 128, 128);
	picture_fill(&picture, 0, 0, edge & ~1, 48, 255, 128, 128);
	ASSERT_EQ(0, show(c->scene, &picture, true));
	free(picture.data);

	frame = grab(c->raw, 0, &buffer);
	ASSERT_NE(NULL, frame);
	/* A column of the scene is 5 of the array, and cut to an even one. */
	EXPECT_LT(900, pixel(c, frame, c->width * 3 / 4 - 24, c->height / 2));
	EXPECT_GT(80, pixel(c, frame, c->width * 3 / 4 + 24, c->height / 2));
	EXPECT_LT(900, pixel(c, frame, 2, c->height / 2));
	EXPECT_GT(80, pixel(c, frame, c->width - 2, c->height / 2));
	free(frame);
}

/*
 * This driver takes the power as soon as the stream stops: no frame may start then, of registers
 * that are gone. The fixture looks at the errors.
 */
TEST_F(stream, stops_at_any_moment)
{
	struct v4l2_buffer buffer;
	struct stream stream;

	if (variant->width != 640 || !variant->wide)
		return;
	ASSERT_EQ(0, set_control(self->camera.sensor, V4L2_CID_VBLANK, 32));
	ASSERT_EQ(0, stream_open(&stream, self->camera.raw));
	for (unsigned int i = 0; i < 12; i++) {
		ASSERT_EQ(0, stream_start(&stream));
		ASSERT_EQ(0, stream_next(&stream, &buffer, TIMEOUT));
		sleep_ms(i);
		ASSERT_EQ(0, stream_stop(&stream));
	}
	stream_close(&stream);
}

TEST_HARNESS_MAIN
