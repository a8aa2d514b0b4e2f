// SPDX-License-Identifier: MIT
/* NV12 to JPEG and back: the right planes, the right colours, the standard tables' form. */
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>

#include "encoder.h"
#include "scale.h"

#define WIDTH	1920
#define HEIGHT	1080
#define STRIDE	2048

static void test_split(void)
{
	guint8 uv[2 * 77], u[77 + 1], v[77 + 1];
	guint i, n;

	for (i = 0; i < 77; i++) {
		uv[2 * i] = (guint8)i;
		uv[2 * i + 1] = (guint8)(200 - i);
	}
	for (n = 0; n <= 77; n++) {
		memset(u, 0xee, sizeof(u));
		memset(v, 0xdd, sizeof(v));
		encoder_split_chroma(uv, u, v, n);
		for (i = 0; i < n; i++) {
			g_assert_cmpuint(u[i], ==, i);
			g_assert_cmpuint(v[i], ==, 200 - i);
		}
		g_assert_cmpuint(u[n], ==, 0xee);
		g_assert_cmpuint(v[n], ==, 0xdd);
	}
}

/* Lines longer than the picture, with what must not be seen in their ends. */
static guint8 *new_picture(void)
{
	guint8 *pic = g_malloc(STRIDE * HEIGHT * 3 / 2);
	guint x, y;

	memset(pic, 0xff, STRIDE * HEIGHT * 3 / 2);
	for (y = 0; y < HEIGHT; y++)
		for (x = 0; x < WIDTH; x++)
			pic[y * STRIDE + x] = (guint8)(40 + x / 16);
	for (y = 0; y < HEIGHT / 2; y++) {
		for (x = 0; x < WIDTH / 2; x++) {
			pic[(HEIGHT + y) * STRIDE + 2 * x] = (guint8)(60 + y / 8);
			pic[(HEIGHT + y) * STRIDE + 2 * x + 1] = (guint8)(200 - x / 16);
		}
	}
	return pic;
}

static gint64 plane_error(const guint8 *got, const guint8 *pic, guint step, guint width,
			  guint height)
{
	gint64 worst = 0;
	guint x, y;

	for (y = 0; y < height; y++)
		for (x = 0; x < width; x++)
			worst = MAX(worst,
				    ABS((gint64)got[y * width + x] - pic[y * STRIDE + x * step]));
	return worst;
}

static void test_roundtrip(void)
{
	g_autofree guint8 *pic = new_picture(), *out = g_malloc(WIDTH * HEIGHT * 3 / 2);
	guint8 *planes[3] = { out, out + WIDTH * HEIGHT, out + WIDTH * HEIGHT * 5 / 4 };
	struct encoder *enc = encoder_new(WIDTH, HEIGHT, 90, NULL);
	int strides[3] = { WIDTH, WIDTH / 2, WIDTH / 2 }, width, height, subsamp, colorspace;
	tjhandle tj = tjInitDecompress();
	const guint8 *jpeg;
	gsize size;

	g_assert_true(encoder_nv12(enc, pic, pic + STRIDE * HEIGHT, STRIDE, &jpeg, &size, NULL));
	g_assert_cmpint(tjDecompressHeader3(tj, jpeg, size, &width, &height, &subsamp, &colorspace),
			==, 0);
	g_assert_cmpint(width, ==, WIDTH);
	g_assert_cmpint(height, ==, HEIGHT);
	g_assert_cmpint(subsamp, ==, TJSAMP_420);
	g_assert_cmpint(colorspace, ==, TJCS_YCbCr);
	g_assert_cmpint(tjDecompressToYUVPlanes(tj, jpeg, size, planes, WIDTH, strides, HEIGHT, 0),
			==, 0);
	g_assert_cmpint(plane_error(planes[0], pic, 1, WIDTH, HEIGHT), <=, 6);
	g_assert_cmpint(plane_error(planes[1], pic + STRIDE * HEIGHT, 2, WIDTH / 2, HEIGHT / 2), <=,
			6);
	g_assert_cmpint(plane_error(planes[2], pic + STRIDE * HEIGHT + 1, 2, WIDTH / 2, HEIGHT / 2),
			<=, 6);
	tjDestroy(tj);
	encoder_free(enc);
}

/* RTP carries a baseline JPEG without its tables (RFC 2435): it is to be such a one. */
static void test_baseline(void)
{
	g_autofree guint8 *pic = new_picture();
	struct encoder *enc = encoder_new(WIDTH, HEIGHT, 75, NULL);
	gboolean baseline = FALSE;
	const guint8 *jpeg;
	gsize size, at = 2;

	g_assert_true(encoder_nv12(enc, pic, pic + STRIDE * HEIGHT, STRIDE, &jpeg, &size, NULL));
	g_assert_cmpuint(jpeg[0], ==, 0xff);
	g_assert_cmpuint(jpeg[1], ==, 0xd8);
	while (at + 4 < size && jpeg[at] == 0xff && jpeg[at + 1] != 0xda) {
		g_assert_cmpuint(jpeg[at + 1], !=, 0xdd);	/* no restart intervals */
		if (jpeg[at + 1] == 0xc0) {
			/* Three components, luma sampled 2x2: RFC 2435's type 1. */
			baseline = jpeg[at + 9] == 3 && jpeg[at + 11] == 0x22 &&
				   jpeg[at + 14] == 0x11 && jpeg[at + 17] == 0x11;
		}
		at += 2 + (gsize)(jpeg[at + 2] << 8 | jpeg[at + 3]);
	}
	g_assert_true(baseline);
	encoder_free(enc);
}

static void test_bad_size(void)
{
	g_autoptr(GError) error = NULL;

	g_assert_null(encoder_new(1919, 1080, 75, &error));
	g_assert_cmpstr(error->message, ==,
			"a picture of 1919x1080 can't be encoded: width and height are to be even");
}

#define FROM_WIDTH	320
#define FROM_HEIGHT	192

/* A slope stays one, and the two kinds of chroma stay apart. */
static void test_scale(void)
{
	static const guint sizes[][2] = {
		{ 320, 192 }, { 160, 96 }, { 106, 64 }, { 300, 190 }, { 2, 2 },
	};
	g_autofree guint8 *pic = g_malloc(FROM_WIDTH * FROM_HEIGHT * 3 / 2);
	guint i, x, y;

	for (y = 0; y < FROM_HEIGHT; y++)
		for (x = 0; x < FROM_WIDTH; x++)
			pic[y * FROM_WIDTH + x] = (guint8)(x / 2 + y / 4);
	for (x = 0; x < FROM_WIDTH * FROM_HEIGHT / 2; x += 2) {
		pic[FROM_WIDTH * FROM_HEIGHT + x] = 40;
		pic[FROM_WIDTH * FROM_HEIGHT + x + 1] = 200;
	}
	for (i = 0; i < G_N_ELEMENTS(sizes); i++) {
		guint w = sizes[i][0], h = sizes[i][1];
		struct scaler *s = scaler_new(FROM_WIDTH, FROM_HEIGHT, w, h);
		const guint8 *oy, *ouv;

		scaler_nv12(s, pic, pic + FROM_WIDTH * FROM_HEIGHT, FROM_WIDTH, &oy, &ouv);
		for (y = 0; y < h; y++)
			for (x = 0; x < w; x++)
				g_assert_cmpfloat_with_epsilon(oy[y * w + x],
					(x + .5) * FROM_WIDTH / w / 2 +
					(y + .5) * FROM_HEIGHT / h / 4 - .75, 2);
		for (x = 0; x < w * h / 2; x += 2) {
			g_assert_cmpuint(ouv[x], ==, 40);
			g_assert_cmpuint(ouv[x + 1], ==, 200);
		}
		scaler_free(s);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/encoder/split", test_split);
	g_test_add_func("/encoder/roundtrip", test_roundtrip);
	g_test_add_func("/encoder/baseline", test_baseline);
	g_test_add_func("/encoder/bad-size", test_bad_size);
	g_test_add_func("/encoder/scale", test_scale);
	return g_test_run();
}
