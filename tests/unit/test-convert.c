// SPDX-License-Identifier: MIT
/*
 * What a capture node gives, as the encoders get it: one picture of four coloured quarters in
 * each format, with padding after its lines, and a camera's own JPEGs, good and bad.
 */
#include <glib.h>
#include <linux/videodev2.h>
#include <string.h>
#include <turbojpeg.h>

#include "convert.h"
#include "jpeg.h"

#define W 32
#define H 16
#define PAD 64	/* bytes a line of luma has in all formats of one byte a pixel */

/* Luma and chroma differ in each quarter, so that no swap goes unseen. */
static guint8 luma_at(guint x, guint y)
{
	return (guint8)(40 + (x >= W / 2) * 60 + (y >= H / 2) * 90);
}

static guint8 u_at(guint x, guint y)
{
	return (guint8)(60 + (x >= W / 2) * 40 + (y >= H / 2) * 10);
}

static guint8 v_at(guint x, guint y)
{
	return (guint8)(190 - (x >= W / 2) * 40 - (y >= H / 2) * 10);
}

static void fill_chroma(guint8 *to, guint stride, guint step, guint8 (*at)(guint x, guint y))
{
	guint x, y;

	for (y = 0; y < H / 2; y++)
		for (x = 0; x < W / 2; x++)
			to[y * stride + x * step] = at(2 * x, 2 * y);
}

static void fill_luma(guint8 *to, guint stride, guint step)
{
	guint x, y;

	for (y = 0; y < H; y++)
		for (x = 0; x < W; x++)
			to[y * stride + x * step] = luma_at(x, y);
}

static void check_output(const struct convert_output *out)
{
	guint x, y;

	g_assert_null(out->coded);
	for (y = 0; y < H; y++)
		for (x = 0; x < W; x++) {
			gsize pair = y / 2 * out->stride + x / 2 * 2;

			g_assert_cmpuint(out->y[y * out->stride + x], ==, luma_at(x, y));
			g_assert_cmpuint(out->uv[pair], ==, u_at(x, y));
			g_assert_cmpuint(out->uv[pair + 1], ==, v_at(x, y));
		}
}

static void check_input(guint32 fourcc, const struct convert_input *in, const gsize *need)
{
	struct convert c;
	struct convert_output out;
	guint i;

	g_assert_true(convert_open(&c, convert_find(fourcc), W, H, NULL));
	for (i = 0; i < c.format->planes; i++)
		g_assert_cmpuint(convert_need(&c, i, in->stride), ==, need[i]);
	g_assert_cmpuint(convert_need(&c, 0, 16), ==, 0);
	g_assert_null(convert_frame(&c, in, &out));
	check_output(&out);
	convert_close(&c);
}

static void test_semi_planar(void)
{
	guint8 data[PAD * H * 3 / 2] = { 0 }, *uv = data + PAD * H;
	struct convert_input in = { .data = { data, uv }, .stride = PAD };

	fill_luma(data, PAD, 1);
	fill_chroma(uv, PAD, 2, u_at);
	fill_chroma(uv + 1, PAD, 2, v_at);
	check_input(V4L2_PIX_FMT_NV12, &in, (const gsize[]){ sizeof(data) });
	check_input(V4L2_PIX_FMT_NV12M, &in, (const gsize[]){ PAD * H, PAD * H / 2 });
	fill_chroma(uv, PAD, 2, v_at);
	fill_chroma(uv + 1, PAD, 2, u_at);
	check_input(V4L2_PIX_FMT_NV21, &in, (const gsize[]){ sizeof(data) });
	check_input(V4L2_PIX_FMT_NV21M, &in, (const gsize[]){ PAD * H, PAD * H / 2 });
}

static void test_planar(void)
{
	guint8 data[PAD * H * 3 / 2] = { 0 }, *u = data + PAD * H, *v = u + PAD * H / 4;
	struct convert_input in = { .data = { data, u, v }, .stride = PAD };

	fill_luma(data, PAD, 1);
	fill_chroma(u, PAD / 2, 1, u_at);
	fill_chroma(v, PAD / 2, 1, v_at);
	check_input(V4L2_PIX_FMT_YUV420, &in, (const gsize[]){ sizeof(data) });
	check_input(V4L2_PIX_FMT_YUV420M, &in,
		    (const gsize[]){ PAD * H, PAD * H / 4, PAD * H / 4 });
}

static void fill_packed(guint8 *data, guint luma)
{
	guint x, y;

	fill_luma(data + luma, 2 * PAD, 2);
	for (y = 0; y < H; y++)
		for (x = 0; x < W; x += 2) {
			data[y * 2 * PAD + 2 * x + 1 - luma] = u_at(x, y);
			data[y * 2 * PAD + 2 * x + 3 - luma] = v_at(x, y);
		}
}

static void test_packed(void)
{
	guint8 data[2 * PAD * H] = { 0 };
	struct convert_input in = { .data = { data }, .stride = 2 * PAD };

	fill_packed(data, 0);
	check_input(V4L2_PIX_FMT_YUYV, &in, (const gsize[]){ sizeof(data) });
	fill_packed(data, 1);
	check_input(V4L2_PIX_FMT_UYVY, &in, (const gsize[]){ sizeof(data) });
}

/* A colour patch as raw pixels of `bits`: red 200, green 100, blue 50 of 255. */
static guint8 raw_at(const char *order, guint x, guint y)
{
	char colour = order[(y % 2) * 2 + x % 2];

	return colour == 'R' ? 200 : colour == 'G' ? 100 : 50;
}

static void fill_raw(guint8 *data, gsize stride, const char *order, const char *kind)
{
	guint x, y;

	for (y = 0; y < H; y++)
		for (x = 0; x < W; x++) {
			guint8 value = raw_at(order, x, y), *line = data + y * stride;

			if (!strcmp(kind, "8")) {
				line[x] = value;
			} else if (!strcmp(kind, "10P")) {
				line[x / 4 * 5 + x % 4] = value;
			} else {
				guint wide = !strcmp(kind, "16") ? value << 8 : value << 2;

				line[2 * x] = (guint8)wide;
				line[2 * x + 1] = (guint8)(wide >> 8);
			}
		}
}

static void check_raw(guint32 fourcc, const char *order, const char *kind)
{
	guint8 data[2 * PAD * H] = { 0 };
	struct convert_input in = { .data = { data }, .stride = 2 * PAD };
	struct convert_output out;
	struct convert c;
	gsize middle, pair;

	g_assert_nonnull(convert_find(fourcc));
	g_assert_true(convert_is_bayer(convert_find(fourcc)));
	g_assert_true(convert_open(&c, convert_find(fourcc), W, H, NULL));
	fill_raw(data, in.stride, order, kind);
	g_assert_null(convert_frame(&c, &in, &out));
	middle = H / 2 * out.stride + W / 2;
	pair = H / 4 * out.stride + W / 2;
	/* Orange: darkish luma (BT.601, limited: 122), little blue, much red. */
	g_assert_cmpuint(out.y[middle], >=, 110);
	g_assert_cmpuint(out.y[middle], <=, 135);
	g_assert_cmpuint(out.uv[pair], >=, 80);
	g_assert_cmpuint(out.uv[pair], <=, 105);
	g_assert_cmpuint(out.uv[pair + 1], >=, 165);
	g_assert_cmpuint(out.uv[pair + 1], <=, 190);
	convert_close(&c);
}

#define CHECK_RAW(name, order) \
	(check_raw(V4L2_PIX_FMT_##name##8, order, "8"), \
	 check_raw(V4L2_PIX_FMT_##name##10, order, "10"), \
	 check_raw(V4L2_PIX_FMT_##name##10P, order, "10P"), \
	 check_raw(V4L2_PIX_FMT_##name##16, order, "16"))

static void test_bayer(void)
{
	CHECK_RAW(SRGGB, "RGGB");
	CHECK_RAW(SGRBG, "GRBG");
	CHECK_RAW(SGBRG, "GBRG");
	CHECK_RAW(SBGGR, "BGGR");
}

static void test_unknown(void)
{
	g_autofree char *names = convert_names();

	g_assert_null(convert_find(V4L2_PIX_FMT_RGB24));
	g_assert_nonnull(strstr(names, "NV12, NM12, NV21"));
}

static guint8 *make_jpeg(int sampling, gsize *size)
{
	static guint8 pixels[W * H * 3];
	tjhandle tj = tjInitCompress();
	unsigned char *out = NULL;
	unsigned long used = 0;
	guint8 *copy;

	for (gsize i = 0; i < sizeof(pixels); i++)
		pixels[i] = (guint8)(i * 7);
	g_assert_cmpint(tjCompress2(tj, pixels, W, 0, H, TJPF_RGB, &out, &used, sampling, 80, 0),
			==, 0);
	/* Exactly as long as it is, so that the sanitizer sees any byte read after it. */
	copy = g_memdup2(out, used);
	*size = used;
	tjFree(out);
	tjDestroy(tj);
	return copy;
}

static void test_jpeg_good(void)
{
	static const int samplings[] = { TJSAMP_420, TJSAMP_422 };
	gsize size, used, i;

	for (i = 0; i < G_N_ELEMENTS(samplings); i++) {
		g_autofree guint8 *jpeg = make_jpeg(samplings[i], &size);
		g_autofree guint8 *longer = g_malloc0(size + 100);

		g_assert_null(jpeg_check(jpeg, size, W, H, &used));
		g_assert_cmpuint(used, ==, size);
		/* What a camera leaves after the end is not passed on. */
		memcpy(longer, jpeg, size);
		memset(longer + size, 0x55, 100);
		g_assert_null(jpeg_check(longer, size + 100, W, H, &used));
		g_assert_cmpuint(used, ==, size);
	}
}

static void test_jpeg_bad(void)
{
	gsize size, used, cut;
	g_autofree guint8 *jpeg = make_jpeg(TJSAMP_420, &size);
	g_autofree guint8 *full = make_jpeg(TJSAMP_444, &used);
	guint8 *sof;

	g_assert_cmpstr(jpeg_check(jpeg, size, W + 8, H, &used), ==,
			"JPEGs of another size than was asked for");
	g_assert_cmpstr(jpeg_check(full, used, W, H, &used), ==, "JPEGs that are not 4:2:0 or 4:2:2");
	for (cut = 0; cut < size; cut++) {
		g_autofree guint8 *part = g_memdup2(jpeg, cut);

		g_assert_nonnull(jpeg_check(part, cut, W, H, &used));
	}
	for (sof = jpeg; sof[0] != 0xff || sof[1] != 0xc0; sof++)
		;
	sof[1] = 0xc2;
	g_assert_cmpstr(jpeg_check(jpeg, size, W, H, &used), ==, "JPEGs that are not baseline");
	sof[1] = 0xc0;
	jpeg[0] = 0;
	g_assert_cmpstr(jpeg_check(jpeg, size, W, H, &used), ==, "no JPEGs");
}

/* Every byte of the headers changed: nothing may be read out of bounds or never end. */
static void test_jpeg_noise(void)
{
	gsize size, used, i;
	g_autofree guint8 *jpeg = make_jpeg(TJSAMP_422, &size);

	for (i = 0; i < size; i++) {
		guint8 was = jpeg[i];

		for (guint bit = 0; bit < 8; bit++) {
			jpeg[i] = was ^ (guint8)(1 << bit);
			if (!jpeg_check(jpeg, size, W, H, &used))
				g_assert_cmpuint(used, <=, size);
		}
		jpeg[i] = was;
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/convert/semi-planar", test_semi_planar);
	g_test_add_func("/convert/planar", test_planar);
	g_test_add_func("/convert/packed", test_packed);
	g_test_add_func("/convert/bayer", test_bayer);
	g_test_add_func("/convert/unknown", test_unknown);
	g_test_add_func("/jpeg/good", test_jpeg_good);
	g_test_add_func("/jpeg/bad", test_jpeg_bad);
	g_test_add_func("/jpeg/noise", test_jpeg_noise);
	return g_test_run();
}
