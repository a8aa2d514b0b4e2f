// SPDX-License-Identifier: MIT
/*
 * GC2053 driver: formats and rectangles. Whatever is asked for becomes the one mode, never an
 * error, and nothing of it changes while the sensor streams.
 */
#include "kselftest_harness.h"

#include "common.h"

FIXTURE(subdev) {
	int fd;
};

FIXTURE_VARIANT(subdev) {
	unsigned int which;
};

FIXTURE_VARIANT_ADD(subdev, try) {
	.which = V4L2_SUBDEV_FORMAT_TRY,
};

FIXTURE_VARIANT_ADD(subdev, active) {
	.which = V4L2_SUBDEV_FORMAT_ACTIVE,
};

FIXTURE_SETUP(subdev)
{
	ASSERT_EQ(0, sensor_reset());
	self->fd = board_open_node(CAMERA, "gc2053 %u-0037");
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(subdev)
{
	close(self->fd);
}

static int get_format(int fd, unsigned int which, struct v4l2_mbus_framefmt *format)
{
	struct v4l2_subdev_format arg = { .which = which };

	if (ioctl(fd, VIDIOC_SUBDEV_G_FMT, &arg))
		return -errno;
	*format = arg.format;
	return 0;
}

static int set_format(int fd, unsigned int which, struct v4l2_mbus_framefmt *format)
{
	struct v4l2_subdev_format arg = { .which = which, .format = *format };

	if (ioctl(fd, VIDIOC_SUBDEV_S_FMT, &arg))
		return -errno;
	*format = arg.format;
	return 0;
}

static bool is_the_mode(const struct v4l2_mbus_framefmt *format)
{
	return format->code == MBUS_CODE && format->width == WIDTH && format->height == HEIGHT &&
	       format->field == V4L2_FIELD_NONE && format->colorspace == V4L2_COLORSPACE_RAW &&
	       format->ycbcr_enc == V4L2_YCBCR_ENC_601 &&
	       format->quantization == V4L2_QUANTIZATION_FULL_RANGE &&
	       format->xfer_func == V4L2_XFER_FUNC_NONE;
}

static int get_rectangle(int fd, unsigned int which, unsigned int target, struct v4l2_rect *rect)
{
	struct v4l2_subdev_selection arg = { .which = which, .target = target };

	if (ioctl(fd, VIDIOC_SUBDEV_G_SELECTION, &arg))
		return -errno;
	*rect = arg.r;
	return 0;
}

TEST_F(subdev, one_code_and_size_are_listed)
{
	struct v4l2_subdev_mbus_code_enum code = { .which = variant->which };
	struct v4l2_subdev_frame_size_enum size = { .which = variant->which };

	ASSERT_EQ(0, ioctl(self->fd, VIDIOC_SUBDEV_ENUM_MBUS_CODE, &code));
	EXPECT_EQ(MBUS_CODE, code.code);
	code.index = 1;
	EXPECT_EQ(-1, ioctl(self->fd, VIDIOC_SUBDEV_ENUM_MBUS_CODE, &code));
	EXPECT_EQ(EINVAL, errno);

	size.code = MBUS_CODE;
	ASSERT_EQ(0, ioctl(self->fd, VIDIOC_SUBDEV_ENUM_FRAME_SIZE, &size));
	EXPECT_EQ(WIDTH, size.min_width);
	EXPECT_EQ(WIDTH, size.max_width);
	EXPECT_EQ(HEIGHT, size.min_height);
	EXPECT_EQ(HEIGHT, size.max_height);
	size.index = 1;
	EXPECT_EQ(-1, ioctl(self->fd, VIDIOC_SUBDEV_ENUM_FRAME_SIZE, &size));
	EXPECT_EQ(EINVAL, errno);
	size.index = 0;
	size.code = MEDIA_BUS_FMT_SBGGR10_1X10;
	EXPECT_EQ(-1, ioctl(self->fd, VIDIOC_SUBDEV_ENUM_FRAME_SIZE, &size));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(subdev, any_format_becomes_the_mode)
{
	static const unsigned int codes[] = {
		0, 1, MBUS_CODE, MEDIA_BUS_FMT_SGRBG10_1X10, MEDIA_BUS_FMT_SBGGR8_1X8,
		MEDIA_BUS_FMT_YUYV8_1X16, MEDIA_BUS_FMT_FIXED, 0xdeadbeef, 0xffffffff,
	};
	static const unsigned int sizes[][2] = {
		{ 0, 0 }, { 1, 1 }, { 1919, 1079 }, { WIDTH, HEIGHT }, { HEIGHT, WIDTH },
		{ 65536, 65536 }, { 0xffffffff, 0xffffffff },
	};
	struct v4l2_mbus_framefmt format, again;
	struct v4l2_rect crop;

	for (size_t c = 0; c < sizeof(codes) / sizeof(codes[0]); c++) {
		for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
			memset(&format, 0xff, sizeof(format));
			format.code = codes[c];
			format.width = sizes[s][0];
			format.height = sizes[s][1];
			ASSERT_EQ(0, set_format(self->fd, variant->which, &format));
			EXPECT_TRUE(is_the_mode(&format)) {
				TH_LOG("code 0x%x, %ux%u", codes[c], sizes[s][0], sizes[s][1]);
			}
			ASSERT_EQ(0, get_format(self->fd, variant->which, &again));
			EXPECT_TRUE(is_the_mode(&again));
			ASSERT_EQ(0, get_rectangle(self->fd, variant->which, V4L2_SEL_TGT_CROP,
						   &crop));
			EXPECT_EQ(WIDTH, crop.width);
			EXPECT_EQ(HEIGHT, crop.height);
		}
	}
}

TEST_F(subdev, bad_pad_is_refused)
{
	struct v4l2_subdev_format arg = { .which = variant->which, .pad = 1 };

	EXPECT_EQ(-1, ioctl(self->fd, VIDIOC_SUBDEV_G_FMT, &arg));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, ioctl(self->fd, VIDIOC_SUBDEV_S_FMT, &arg));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(subdev, rectangles_lie_in_each_other)
{
	struct v4l2_rect native, bounds, standard, crop;

	ASSERT_EQ(0, get_rectangle(self->fd, variant->which, V4L2_SEL_TGT_NATIVE_SIZE, &native));
	ASSERT_EQ(0, get_rectangle(self->fd, variant->which, V4L2_SEL_TGT_CROP_BOUNDS, &bounds));
	ASSERT_EQ(0, get_rectangle(self->fd, variant->which, V4L2_SEL_TGT_CROP_DEFAULT, &standard));
	ASSERT_EQ(0, get_rectangle(self->fd, variant->which, V4L2_SEL_TGT_CROP, &crop));

	EXPECT_EQ(0, native.left);
	EXPECT_EQ(0, native.top);
	EXPECT_EQ(1928, native.width);
	EXPECT_EQ(1088, native.height);
	EXPECT_EQ(0, memcmp(&native, &bounds, sizeof(native)));
	EXPECT_EQ(4, crop.left);
	EXPECT_EQ(4, crop.top);
	EXPECT_EQ(WIDTH, crop.width);
	EXPECT_EQ(HEIGHT, crop.height);
	EXPECT_EQ(0, memcmp(&standard, &crop, sizeof(crop)));

	EXPECT_EQ(-EINVAL, get_rectangle(self->fd, variant->which, V4L2_SEL_TGT_COMPOSE, &crop));
}

TEST_F(subdev, a_stream_keeps_its_format)
{
	struct v4l2_mbus_framefmt before, format = { .code = MBUS_CODE };
	bool active = variant->which == V4L2_SUBDEV_FORMAT_ACTIVE;
	struct v4l2_buffer buffer;
	struct stream stream;
	struct trace trace;
	int fd;

	fd = board_open_node(CAMERA, "camsim%u-raw");
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, stream_open(&stream, fd));
	ASSERT_EQ(0, get_format(self->fd, V4L2_SUBDEV_FORMAT_ACTIVE, &before));
	ASSERT_EQ(0, stream_start(&stream));
	ASSERT_EQ(0, trace_clear(CAMERA));

	EXPECT_EQ(active ? -EBUSY : 0, set_format(self->fd, variant->which, &format));
	format = before;
	EXPECT_EQ(active ? -EBUSY : 0, set_format(self->fd, variant->which, &format));

	ASSERT_EQ(0, get_format(self->fd, V4L2_SUBDEV_FORMAT_ACTIVE, &format));
	EXPECT_EQ(0, memcmp(&before, &format, sizeof(format)));
	ASSERT_EQ(0, trace_get(CAMERA, &trace));
	EXPECT_EQ(0, trace_count(&trace, TRACE_WRITE));
	trace_free(&trace);
	EXPECT_EQ(0, stream_next(&stream, &buffer, 5000));

	ASSERT_EQ(0, stream_stop(&stream));
	EXPECT_EQ(0, set_format(self->fd, variant->which, &format));
	stream_close(&stream);
	close(fd);
}

TEST_HARNESS_MAIN
