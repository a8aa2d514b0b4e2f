// SPDX-License-Identifier: MIT
/* The pixel tag: drawn, mirrored, scaled, coded as JPEG, damaged. */
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>

#include "tag.h"

#define WIDTH	1920
#define HEIGHT	1080

static const struct tag sample = {
	.camera = 1, .seq = 0x01020304, .time_ns = 0x1122334455667788, .scene = 77,
};

static struct tag_picture new_picture(unsigned int width, unsigned int height, bool hflip,
				      bool vflip)
{
	struct tag_picture pic = {
		.luma = g_malloc(width * height), .width = width, .height = height,
		.stride = width, .hflip = hflip, .vflip = vflip,
	};
	unsigned int i;

	/* A picture with texture, so that nothing reads as a tag by being flat. */
	for (i = 0; i < width * height; i++)
		pic.luma[i] = (uint8_t)(i % width / 8 + i / width * 3);
	return pic;
}

static void assert_same(const struct tag *a, const struct tag *b)
{
	g_assert_cmpuint(a->camera, ==, b->camera);
	g_assert_cmpuint(a->seq, ==, b->seq);
	g_assert_cmpuint(a->time_ns, ==, b->time_ns);
	g_assert_cmpuint(a->scene, ==, b->scene);
}

static void assert_both(const struct tag_picture *pic)
{
	unsigned int copy;

	for (copy = 0; copy < TAG_COPIES; copy++) {
		struct tag tag = { 0 };

		g_assert_true(tag_read(pic, copy, &tag));
		assert_same(&tag, &sample);
	}
}

static void test_bytes(void)
{
	/* The CRC as Python's binascii.crc_hqx(bytes, 0xffff) has it. */
	static const uint8_t expected[TAG_BYTES] = {
		0x56, 0x01, 0x01, 0x02, 0x03, 0x04, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88,
		0x00, 0x00, 0x00, 0x4d, 0x75, 0x1c
	};
	uint8_t bytes[TAG_BYTES];
	struct tag tag;
	unsigned int i;

	tag_pack(&sample, bytes);
	g_assert_cmpmem(bytes, TAG_BYTES, expected, TAG_BYTES);
	g_assert_true(tag_unpack(bytes, &tag));
	for (i = 0; i < TAG_BYTES * 8; i++) {
		bytes[i / 8] ^= (uint8_t)(0x80 >> i % 8);
		g_assert_false(tag_unpack(bytes, &tag));
		bytes[i / 8] ^= (uint8_t)(0x80 >> i % 8);
	}
}

/* The place of a few cells in the sensor's array, said without tag_draw(). */
static void test_place(void)
{
	struct tag_picture pic = new_picture(WIDTH, HEIGHT, false, false);

	tag_draw(&pic, &sample, 0, 255);
	/* 'V' is 01010110: columns 1, 3, 5 and 6 of the first row are white. */
	g_assert_cmpuint(pic.luma[0], ==, 0);
	g_assert_cmpuint(pic.luma[16], ==, 255);
	g_assert_cmpuint(pic.luma[15 * WIDTH + 31], ==, 255);
	g_assert_cmpuint(pic.luma[7 * 16], ==, 0);
	g_assert_cmpuint(pic.luma[1016 * WIDTH + 16], ==, 255);
	g_assert_cmpuint(pic.luma[1015 * WIDTH + 16], !=, 255);
	g_free(pic.luma);
}

static void test_flips(void)
{
	unsigned int flip;

	for (flip = 0; flip < 4; flip++) {
		struct tag_picture pic = new_picture(WIDTH, HEIGHT, flip & 1, flip & 2);
		struct tag tag;

		g_assert_false(tag_read(&pic, 0, &tag));
		tag_draw(&pic, &sample, 16, 235);
		assert_both(&pic);
		pic.hflip = !pic.hflip;
		g_assert_false(tag_read(&pic, 0, &tag));
		g_assert_false(tag_read(&pic, 1, &tag));
		g_free(pic.luma);
	}
}

/* Dim, little contrast, and scaled to half: what a viewer may show. */
static void test_degraded(void)
{
	struct tag_picture pic = new_picture(WIDTH, HEIGHT, false, false);
	struct tag_picture half = new_picture(WIDTH / 2, HEIGHT / 2, false, false);
	unsigned int x, y;

	tag_draw(&pic, &sample, 20, 70);
	assert_both(&pic);
	for (y = 0; y < half.height; y++)
		for (x = 0; x < half.width; x++)
			half.luma[y * half.width + x] = pic.luma[2 * y * WIDTH + 2 * x];
	assert_both(&half);
	tag_draw(&pic, &sample, 20, 30);
	g_assert_false(tag_read(&pic, 0, &(struct tag) { 0 }));
	g_free(half.luma);
	g_free(pic.luma);
}

static void test_jpeg(void)
{
	static const int qualities[] = { 90, 75, 30, 10 };
	unsigned int i;

	for (i = 0; i < G_N_ELEMENTS(qualities); i++) {
		struct tag_picture pic = new_picture(WIDTH, HEIGHT, false, false);
		tjhandle tj = tjInitCompress(), untj = tjInitDecompress();
		unsigned char *jpeg = NULL;
		unsigned long size = 0;

		tag_draw(&pic, &sample, 5, 240);
		g_assert_cmpint(tjCompress2(tj, pic.luma, WIDTH, WIDTH, HEIGHT, TJPF_GRAY, &jpeg,
					    &size, TJSAMP_GRAY, qualities[i], 0),
				==, 0);
		memset(pic.luma, 0, WIDTH * HEIGHT);
		g_assert_cmpint(tjDecompress2(untj, jpeg, size, pic.luma, WIDTH, WIDTH, HEIGHT,
					      TJPF_GRAY, 0), ==, 0);
		assert_both(&pic);
		tjFree(jpeg);
		tjDestroy(tj);
		tjDestroy(untj);
		g_free(pic.luma);
	}
}

static void test_damaged(void)
{
	struct tag_picture pic = new_picture(WIDTH, HEIGHT, false, false);
	struct tag tag;

	tag_draw(&pic, &sample, 0, 255);
	memset(pic.luma + 20 * WIDTH, 0, 8 * WIDTH);
	g_assert_false(tag_read(&pic, 0, &tag));
	g_assert_true(tag_read(&pic, 1, &tag));
	assert_same(&tag, &sample);
	g_free(pic.luma);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/tag/bytes", test_bytes);
	g_test_add_func("/tag/place", test_place);
	g_test_add_func("/tag/flips", test_flips);
	g_test_add_func("/tag/degraded", test_degraded);
	g_test_add_func("/tag/jpeg", test_jpeg);
	g_test_add_func("/tag/damaged", test_damaged);
	return g_test_run();
}
