// SPDX-License-Identifier: MIT
/*
 * Virtual board: the pixel tag, in raw and in NV12, upright and flipped. First that the reader
 * is one that notices what is wrong.
 */
#include "kselftest_harness.h"

#include "tag.h"

FIXTURE(tag) {
	struct bench bench;
	void *frame;
};

FIXTURE_VARIANT(tag) {
	bool nv12;
};

FIXTURE_VARIANT_ADD(tag, raw) { .nv12 = false };
FIXTURE_VARIANT_ADD(tag, nv12) { .nv12 = true };

FIXTURE_SETUP(tag)
{
	ASSERT_EQ(0, bench_open(&self->bench));
	self->frame = NULL;
}

FIXTURE_TEARDOWN(tag)
{
	free(self->frame);
	EXPECT_EQ(0, board_errors(CAMERA, NULL));
	bench_close(&self->bench);
}

static int node_of(const struct bench *bench, bool nv12)
{
	return nv12 ? bench->nv12 : bench->raw;
}

TEST_F(tag, none_unless_asked_for)
{
	struct tag_source source = { .nv12 = variant->nv12 };
	struct v4l2_buffer buffer;
	struct tag tag;

	self->frame = grab(node_of(&self->bench, variant->nv12), 0, &buffer);
	ASSERT_NE(NULL, self->frame);
	source.frame = self->frame;
	EXPECT_FALSE(tag_read(&source, &tag));
}

TEST_F(tag, a_wrong_bit_is_noticed)
{
	struct tag_source source = { .nv12 = variant->nv12 };
	struct v4l2_buffer buffer;
	uint8_t bytes[TAG_BYTES];
	struct tag tag;

	ASSERT_EQ(0, set_pixel_tag(self->bench.csi, true));
	self->frame = grab(node_of(&self->bench, variant->nv12), 0, &buffer);
	ASSERT_NE(NULL, self->frame);
	source.frame = self->frame;
	tag_bytes(&source, TAG_Y0, bytes);
	ASSERT_TRUE(tag_parse(bytes, &tag));
	for (unsigned int bit = 0; bit < TAG_BYTES * 8; bit++) {
		bytes[bit / 8] ^= 0x80 >> bit % 8;
		EXPECT_FALSE(tag_parse(bytes, &tag));
		bytes[bit / 8] ^= 0x80 >> bit % 8;
	}
}

TEST_F(tag, says_what_the_buffer_says)
{
	struct tag_source source = { .nv12 = variant->nv12 };
	struct tag tag, last = {};
	struct v4l2_buffer buffer;
	struct stream stream;
	uint32_t sequence = 0;

	ASSERT_EQ(0, set_pixel_tag(self->bench.csi, true));
	ASSERT_EQ(0, stream_open(&stream, node_of(&self->bench, variant->nv12)));
	ASSERT_EQ(0, stream_start(&stream));
	for (int i = 0; i < 5; i++) {
		ASSERT_EQ(0, stream_next(&stream, &buffer, TIMEOUT));
		source.frame = stream.buffers[buffer.index].data;
		ASSERT_TRUE(tag_read(&source, &tag));
		EXPECT_EQ(CAMERA, tag.camera);
		EXPECT_EQ(0, tag.scene);
		EXPECT_EQ(buffer_us(&buffer), tag.ns / 1000);
		if (i) {
			EXPECT_EQ(buffer.sequence - sequence, tag.frame - last.frame);
			EXPECT_LT(last.ns, tag.ns);
		}
		last = tag;
		sequence = buffer.sequence;
		ASSERT_EQ(0, stream_return(&stream, &buffer));
	}
	EXPECT_EQ(0, stream_stop(&stream));
	stream_close(&stream);
}

TEST_F(tag, is_mirrored_by_flips)
{
	struct tag_source source = { .nv12 = variant->nv12 };
	struct v4l2_buffer buffer;
	struct tag tag;

	ASSERT_EQ(0, set_pixel_tag(self->bench.csi, true));
	for (int flips = 0; flips < 4; flips++) {
		source.hflip = flips & 1;
		source.vflip = flips & 2;
		ASSERT_EQ(0, set_control(self->bench.sensor, V4L2_CID_HFLIP, source.hflip));
		ASSERT_EQ(0, set_control(self->bench.sensor, V4L2_CID_VFLIP, source.vflip));
		free(self->frame);
		self->frame = grab(node_of(&self->bench, variant->nv12), 0, &buffer);
		ASSERT_NE(NULL, self->frame);
		source.frame = self->frame;
		EXPECT_TRUE(tag_read(&source, &tag)) TH_LOG("flips %d", flips);
		source.hflip = !source.hflip;
		EXPECT_FALSE(tag_read(&source, &tag));
	}
}

/* White and black are the ends of the range whatever the light is. */
TEST_F(tag, does_not_depend_on_the_light)
{
	static const int exposures[] = { 4, 3000 };
	struct tag_source source = { .nv12 = variant->nv12 };
	struct v4l2_buffer buffer;
	struct tag tag;

	ASSERT_EQ(0, set_pixel_tag(self->bench.csi, true));
	for (size_t i = 0; i < 2; i++) {
		ASSERT_EQ(0, set_control(self->bench.sensor, V4L2_CID_EXPOSURE, exposures[i]));
		free(self->frame);
		self->frame = grab(node_of(&self->bench, variant->nv12), 0, &buffer);
		ASSERT_NE(NULL, self->frame);
		source.frame = self->frame;
		EXPECT_TRUE(tag_read(&source, &tag));
		/* 'V' is 0x56: its first cell is black, its second white. */
		EXPECT_EQ(variant->nv12 ? 0 : BLACK, tag_cell(&source, 8, 8));
		EXPECT_EQ(variant->nv12 ? 255 * 4 : WHITE, tag_cell(&source, 24, 8));
	}
}

/* Frames of two cameras that run at once: each says whose it is. */
TEST(two_cameras_are_told_apart)
{
	struct v4l2_buffer buffer;
	struct tag_source source = { .nv12 = true };
	struct stream streams[2];
	int nodes[2], csi[2];
	struct tag tag;

	for (unsigned int i = 0; i < 2; i++) {
		nodes[i] = board_open_node(i, "camsim%u-nv12");
		csi[i] = board_open_node(i, "camsim%u-csi");
	}
	if (nodes[1] < 0)
		SKIP(return, "this board has one camera");
	for (unsigned int i = 0; i < 2; i++) {
		ASSERT_EQ(0, set_pixel_tag(csi[i], true));
		ASSERT_EQ(0, stream_open(&streams[i], nodes[i]));
		ASSERT_EQ(0, stream_start(&streams[i]));
	}
	for (unsigned int i = 0; i < 6; i++) {
		ASSERT_EQ(0, stream_next(&streams[i % 2], &buffer, TIMEOUT));
		source.frame = streams[i % 2].buffers[buffer.index].data;
		ASSERT_TRUE(tag_read(&source, &tag));
		EXPECT_EQ(i % 2, tag.camera);
		ASSERT_EQ(0, stream_return(&streams[i % 2], &buffer));
	}
	for (unsigned int i = 0; i < 2; i++) {
		EXPECT_EQ(0, stream_stop(&streams[i]));
		stream_close(&streams[i]);
		EXPECT_EQ(0, set_pixel_tag(csi[i], false));
		close(nodes[i]);
		close(csi[i]);
	}
}

TEST_HARNESS_MAIN
