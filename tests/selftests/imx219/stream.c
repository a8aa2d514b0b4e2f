// SPDX-License-Identifier: MIT
/*
 * IMX219 on the virtual board: mainline's driver streams each of its modes, of 10 and of 8 bits,
 * at the rate that it says, and the frames are whole and this camera's.
 */
#include "kselftest_harness.h"

#include "common.h"

FIXTURE(stream) {
	struct camera camera;
	struct stream stream;
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

/* Frames of two blankings: times differ by whole frames, however slow this machine is. */
TEST_F(stream, frames_are_whole_and_on_time)
{
	size_t size = variant->width * variant->height * (variant->wide ? 2 : 1);
	unsigned int vblanks[] = { get_control(self->camera.sensor, V4L2_CID_VBLANK), 6000 };
	struct v4l2_buffer buffer;
	struct tag tag, first;

	/* The driver's own: 15 frames a second of the whole array, 30 of the others */
	EXPECT_TRUE(near(frame_ns(variant->height, vblanks[0]) / 1000,
			 variant->width == 3280 ? 66667 : 33333, 20));
	ASSERT_EQ(0, stream_open(&self->stream, self->camera.raw));
	for (size_t i = 0; i < 2; i++) {
		int64_t ns = frame_ns(variant->height, vblanks[i]);

		ASSERT_EQ(0, set_control(self->camera.sensor, V4L2_CID_VBLANK, vblanks[i]));
		ASSERT_EQ(0, stream_start(&self->stream));
		for (int n = 0; n < 3; n++) {
			ASSERT_EQ(0, stream_next(&self->stream, &buffer, TIMEOUT));
			EXPECT_EQ(size, buffer.bytesused);
			EXPECT_FALSE(buffer.flags & V4L2_BUF_FLAG_ERROR);
			ASSERT_TRUE(tag_read(&self->camera,
					     self->stream.buffers[buffer.index].data, 0, &tag));
			EXPECT_EQ(CAMERA, tag.camera);
			EXPECT_EQ(buffer_us(&buffer), tag.ns / 1000);
			if (!n)
				first = tag;
			EXPECT_TRUE(near((tag.ns - first.ns) / 1000,
					 ns * (tag.frame - first.frame) / 1000, 4));
			ASSERT_EQ(0, stream_return(&self->stream, &buffer));
		}
		EXPECT_EQ(0, stream_stop(&self->stream));
	}
	stream_close(&self->stream);
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

	if (variant->width != 640)
		return;
	ASSERT_EQ(0, set_control(self->camera.sensor, V4L2_CID_VBLANK, 32));
	ASSERT_EQ(0, stream_open(&self->stream, self->camera.raw));
	for (unsigned int i = 0; i < 12; i++) {
		ASSERT_EQ(0, stream_start(&self->stream));
		ASSERT_EQ(0, stream_next(&self->stream, &buffer, TIMEOUT));
		sleep_ms(i);
		ASSERT_EQ(0, stream_stop(&self->stream));
	}
	stream_close(&self->stream);
}

TEST_HARNESS_MAIN
