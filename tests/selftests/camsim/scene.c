// SPDX-License-Identifier: MIT
/*
 * Virtual board: what is played into the scene node is what the sensor sees, in both formats
 * and any size, until another picture comes or the player goes.
 */
#include "kselftest_harness.h"

#include "play.h"
#include "tag.h"

FIXTURE(scene) {
	struct bench bench;
	struct picture picture;
	struct v4l2_buffer buffer;
	void *frame;
};

FIXTURE_SETUP(scene)
{
	memset(self, 0, sizeof(*self));
	ASSERT_EQ(0, bench_open(&self->bench));
	ASSERT_EQ(0, set_pixel_tag(self->bench.csi, true));
}

FIXTURE_TEARDOWN(scene)
{
	free(self->frame);
	free(self->picture.data);
	EXPECT_EQ(0, board_errors(CAMERA, NULL));
	bench_close(&self->bench);
}

/* The scene frame that a new NV12 frame shows, or -1 */
static long scene_seen(struct bench *bench, struct v4l2_buffer *buffer, void **frame)
{
	struct tag_source source = { .nv12 = true };
	struct tag tag;

	free(*frame);
	*frame = grab(bench->nv12, 0, buffer);
	source.frame = *frame;
	return *frame && tag_read(&source, &tag) ? (long)tag.scene : -1;
}

/* Is a place of the frame of that colour? U and V are less exact than Y by the way to RGB. */
static bool is_colour(const void *frame, unsigned int x, unsigned int y, const uint8_t *yuv)
{
	return near(luma_at(frame, x, y), yuv[0], 3) &&
	       near(chroma_at(frame, x, y, false), yuv[1], 4) &&
	       near(chroma_at(frame, x, y, true), yuv[2], 4);
}

static int reopen_scene(struct bench *bench)
{
	close(bench->scene);
	bench->scene = board_open_node(CAMERA, "camsim%u-scene");
	return bench->scene < 0 ? bench->scene : 0;
}

/* Two colours side by side, in sizes below, at and beside the array's and in both formats */
TEST_F(scene, colours_are_right_in_each_format_and_size)
{
	static const struct {
		uint32_t fourcc;
		unsigned int width, height;
	} cases[] = {
		{ V4L2_PIX_FMT_NV12, 16, 16 }, { V4L2_PIX_FMT_YUV420, 768, 576 },
		{ V4L2_PIX_FMT_NV12, 1920, 1080 }, { V4L2_PIX_FMT_YUV420, 322, 1080 },
	};
	/* A blue and a brown, well inside what RGB can show: full range, then as video has them */
	static const uint8_t full[2][3] = { { 96, 160, 112 }, { 128, 108, 150 } };
	static const uint8_t video[2][3] = { { 98, 156, 114 }, { 126, 110, 147 } };

	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		const uint8_t (*played)[3] = i % 2 ? video : full;
		struct picture *p = &self->picture;

		free(p->data);
		ASSERT_EQ(0, picture_alloc(p, cases[i / 2].fourcc, cases[i / 2].width,
					   cases[i / 2].height));
		picture_fill(p, 0, 0, p->width, p->height, played[1][0], played[1][1],
			     played[1][2]);
		picture_fill(p, 0, 0, p->width / 4 * 2, p->height, played[0][0], played[0][1],
			     played[0][2]);
		ASSERT_EQ(0, show(self->bench.scene, p, !(i % 2)));
		EXPECT_EQ(1, scene_seen(&self->bench, &self->buffer, &self->frame));
		ASSERT_NE(NULL, self->frame);
		for (unsigned int y = 100; y < 1000; y += 300) {
			EXPECT_TRUE(is_colour(self->frame, 300, y, full[0]))
				TH_LOG("case %zu: %d %d %d", i, luma_at(self->frame, 300, y),
				       chroma_at(self->frame, 300, y, false),
				       chroma_at(self->frame, 300, y, true));
			EXPECT_TRUE(is_colour(self->frame, 1900, y, full[1]))
				TH_LOG("case %zu: %d %d %d", i, luma_at(self->frame, 1900, y),
				       chroma_at(self->frame, 1900, y, false),
				       chroma_at(self->frame, 1900, y, true));
		}
		ASSERT_EQ(0, reopen_scene(&self->bench));
	}
}

TEST_F(scene, frames_are_numbered_and_stay)
{
	ASSERT_EQ(0, picture_alloc(&self->picture, V4L2_PIX_FMT_NV12, 64, 48));
	memset(self->picture.data, 128, self->picture.size);

	EXPECT_EQ(0, scene_seen(&self->bench, &self->buffer, &self->frame));
	for (int i = 1; i < 5; i++) {
		if (i == 1) {
			ASSERT_EQ(0, play_start(self->bench.scene, &self->picture, true));
		}
		ASSERT_EQ(0, play(self->bench.scene, &self->picture));
		sleep_ms(100);
		EXPECT_EQ(i, scene_seen(&self->bench, &self->buffer, &self->frame));
	}
	EXPECT_EQ(4, scene_seen(&self->bench, &self->buffer, &self->frame));
	ASSERT_EQ(0, reopen_scene(&self->bench));
	EXPECT_EQ(0, scene_seen(&self->bench, &self->buffer, &self->frame));
	ASSERT_EQ(0, show(self->bench.scene, &self->picture, true));
	EXPECT_EQ(1, scene_seen(&self->bench, &self->buffer, &self->frame));
}

TEST_F(scene, generated_one_moves)
{
	void *first;

	EXPECT_EQ(0, scene_seen(&self->bench, &self->buffer, &self->frame));
	first = self->frame;
	ASSERT_NE(NULL, first);
	self->frame = grab(self->bench.nv12, 3, &self->buffer);
	ASSERT_NE(NULL, self->frame);
	/* Below the tag, which differs anyway */
	EXPECT_NE(0, memcmp((char *)first + WIDTH * 500, (char *)self->frame + WIDTH * 500, WIDTH));
	free(first);
}

TEST_F(scene, a_player_without_a_clock_is_held_to_its_rate)
{
	struct v4l2_streamparm parm = {
		.type = V4L2_BUF_TYPE_VIDEO_OUTPUT,
		.parm.output.timeperframe = { 1, 10 },
	};
	int64_t start;

	ASSERT_EQ(0, picture_alloc(&self->picture, V4L2_PIX_FMT_NV12, 64, 48));
	memset(self->picture.data, 128, self->picture.size);
	ASSERT_EQ(0, ioctl(self->bench.scene, VIDIOC_S_PARM, &parm));
	ASSERT_EQ(0, play_start(self->bench.scene, &self->picture, true));
	start = now_ns();
	for (int i = 0; i < 13; i++) {
		ASSERT_EQ(0, play(self->bench.scene, &self->picture));
	}
	/* Three fit into the queue. */
	EXPECT_LE(900000000LL, now_ns() - start);
	parm.parm.output.timeperframe.denominator = 30;
	EXPECT_EQ(0, ioctl(self->bench.scene, VIDIOC_S_PARM, &parm));
}

/* The rest of such a picture would be what the buffer held before. */
TEST_F(scene, a_part_of_a_picture_is_refused)
{
	struct v4l2_requestbuffers req = {
		.count = 3,
		.type = V4L2_BUF_TYPE_VIDEO_OUTPUT,
		.memory = V4L2_MEMORY_MMAP,
	};
	struct v4l2_buffer buffer = {
		.type = V4L2_BUF_TYPE_VIDEO_OUTPUT,
		.memory = V4L2_MEMORY_MMAP,
		.field = V4L2_FIELD_NONE,
	};

	ASSERT_EQ(0, picture_alloc(&self->picture, V4L2_PIX_FMT_NV12, 64, 48));
	ASSERT_EQ(0, play_start(self->bench.scene, &self->picture, true));
	ASSERT_EQ(0, ioctl(self->bench.scene, VIDIOC_REQBUFS, &req));
	buffer.bytesused = self->picture.size - 1;
	EXPECT_EQ(-1, ioctl(self->bench.scene, VIDIOC_QBUF, &buffer));
	EXPECT_EQ(EINVAL, errno);
	buffer.bytesused = self->picture.size;
	EXPECT_EQ(0, ioctl(self->bench.scene, VIDIOC_QBUF, &buffer));
}

TEST_HARNESS_MAIN
