// SPDX-License-Identifier: MIT
/*
 * A camera's own H.264: which access units are passed on. The good streams are OpenH264's, and
 * what is passed on is decoded by it again; the bad ones are made of them.
 */
#include <glib.h>
#include <linux/videodev2.h>
#include <string.h>
#include <wels/codec_api.h>

#include "annexb.h"
#include "convert.h"
#include "h264.h"

#define WIDTH	640
#define HEIGHT	360
#define LUMA	(WIDTH * HEIGHT)
#define FRAMES	12
#define GOP	4

static GBytes *stream[FRAMES];		/* as a camera gives it: sets in each key frame */

static guint bands(guint n, guint x)
{
	return (x + n * 16) / 80 % 8 * 30;
}

static void make_stream(void)
{
	const struct h264_config config = { .width = WIDTH, .height = HEIGHT, .bitrate_kbit = 2000 };
	struct h264 *h = h264_new(&config, NULL);
	g_autofree guint8 *pic = g_malloc(LUMA * 3 / 2);
	guint n, i;

	memset(pic + LUMA, 128, LUMA / 2);
	for (n = 0; n < FRAMES; n++) {
		gboolean key = n % GOP == 0;
		const guint8 *data;
		gsize length;

		for (i = 0; i < LUMA; i++)
			pic[i] = (guint8)bands(n, i % WIDTH);
		g_assert_true(h264_nv12(h, pic, pic + LUMA, WIDTH, n * 40000000ull, &key, &data,
					&length, NULL));
		stream[n] = g_bytes_new(data, length);
	}
	h264_free(h);
}

/* Bytes up to the picture's own unit: the parameter sets of a key frame. */
static gsize sets_of(GBytes *frame)
{
	gsize n, i;
	const guint8 *d = g_bytes_get_data(frame, &n);

	for (i = 0; i + 4 < n; i++)
		if (!d[i] && !d[i + 1] && !d[i + 2] && d[i + 3] == 1 && (d[i + 4] & 31) == 5)
			return i;
	return 0;
}

static const char *check(struct annexb *a, GBytes *frame, struct annexb_frame *out)
{
	gsize n;
	const guint8 *d = g_bytes_get_data(frame, &n);

	return annexb_check(a, d, n, out);
}

static GBytes *join(const guint8 *a, gsize n, const guint8 *b, gsize m)
{
	guint8 *all = g_malloc(n + m);

	memcpy(all, a, n);
	memcpy(all + n, b, m);
	return g_bytes_new_take(all, n + m);
}

/* The luma of the top line as it is decoded, or FALSE. */
static gboolean decode(ISVCDecoder *d, const guint8 *data, gsize n, guint8 *line)
{
	unsigned char *planes[3] = { NULL };
	SBufferInfo info = { 0 };

	if ((*d)->DecodeFrameNoDelay(d, data, (int)n, planes, &info) || info.iBufferStatus != 1)
		return FALSE;
	memcpy(line, planes[0], WIDTH);
	return TRUE;
}

static ISVCDecoder *new_decoder(void)
{
	SDecodingParam param = { .sVideoProperty.eVideoBsType = VIDEO_BITSTREAM_AVC };
	int quiet = WELS_LOG_QUIET;
	ISVCDecoder *d = NULL;

	g_assert_cmpint(WelsCreateDecoder(&d), ==, 0);
	(*d)->SetOption(d, DECODER_OPTION_TRACE_LEVEL, &quiet);
	g_assert_cmpint((*d)->Initialize(d, &param), ==, 0);
	return d;
}

static gboolean right(const guint8 *line, guint n)
{
	guint x, off = 0;

	for (x = 0; x < WIDTH; x++)
		off += ABS((gint)line[x] - (gint)bands(n, x)) > 24;
	return off < WIDTH / 16;
}

static void test_good(void)
{
	struct annexb *a = annexb_new(WIDTH, HEIGHT);
	struct annexb_frame out;
	guint8 sets[120];
	guint n;

	g_assert_cmpuint(annexb_parameters(a, sets, sizeof(sets)), ==, 0);
	for (n = 0; n < FRAMES; n++) {
		g_assert_null(check(a, stream[n], &out));
		g_assert_cmpint(out.key, ==, n % GOP == 0);
		/* As it came: neither copied nor changed. */
		g_assert_true(out.data == g_bytes_get_data(stream[n], NULL));
		g_assert_cmpuint(out.length, ==, g_bytes_get_size(stream[n]));
	}
	n = annexb_parameters(a, sets, sizeof(sets));
	g_assert_cmpmem(sets, n, g_bytes_get_data(stream[0], NULL), sets_of(stream[0]));
	annexb_free(a);
}

/*
 * Sets that came once, or apart, are put into each key frame: without it a decoder that joins
 * there shows nothing (seen first), with it the right picture.
 */
static void test_sets(void)
{
	struct annexb *a = annexb_new(WIDTH, HEIGHT);
	gsize skip = sets_of(stream[GOP]), size;
	const guint8 *key = g_bytes_get_data(stream[GOP], &size);
	g_autoptr(GBytes) bare = g_bytes_new(key + skip, size - skip);
	g_autoptr(GBytes) sets = g_bytes_new(key, skip);
	static const guint8 aud[] = { 0, 0, 0, 1, 9, 0xf0 };
	g_autoptr(GBytes) delimited = join(aud, sizeof(aud), key + skip, size - skip);
	ISVCDecoder *d = new_decoder();
	struct annexb_frame out;
	guint8 line[WIDTH];

	g_assert_false(decode(d, key + skip, size - skip, line));
	WelsDestroyDecoder(d);
	g_assert_cmpstr(check(a, bare, &out), ==, "key frames without parameter sets");
	g_assert_null(check(a, sets, &out));
	g_assert_cmpuint(out.length, ==, 0);
	g_assert_null(check(a, bare, &out));
	g_assert_cmpmem(out.data, out.length, key, size);
	d = new_decoder();
	g_assert_true(decode(d, out.data, out.length, line) && right(line, GOP));
	WelsDestroyDecoder(d);
	/* A delimiter stays the first. */
	g_assert_null(check(a, delimited, &out));
	g_assert_cmpmem(out.data, sizeof(aud), aud, sizeof(aud));
	g_assert_cmphex(out.data[sizeof(aud) + 4] & 31, ==, 7);
	/* Another stream's are not this one's. */
	annexb_restart(a);
	g_assert_nonnull(check(a, bare, &out));
	annexb_free(a);
}

/* Each is refused, with its reason. */
static void test_bad(void)
{
	struct annexb *a = annexb_new(WIDTH, HEIGHT), *other = annexb_new(WIDTH, HEIGHT + 8);
	gsize size, delta_size, skip = sets_of(stream[0]);
	const guint8 *key = g_bytes_get_data(stream[0], &size);
	const guint8 *delta = g_bytes_get_data(stream[1], &delta_size);
	g_autoptr(GBytes) twice = join(key, size, delta, delta_size);
	g_autoptr(GBytes) keys = join(key, size, key + skip, size - skip);
	g_autoptr(GBytes) late_sets = join(key + skip, size - skip, key, skip);
	g_autofree guint8 *copy = g_memdup2(key, size);
	struct annexb_frame out;
	guint type;

	g_assert_cmpstr(check(other, stream[0], &out), ==, "of another size");
	g_assert_cmpstr(annexb_check(a, key, 0, &out), ==, "not in Annex B");
	g_assert_cmpstr(annexb_check(a, key + 4, 8, &out), ==, "not in Annex B");
	g_assert_cmpstr(check(a, twice, &out), ==, "several in one");
	g_assert_cmpstr(check(a, keys, &out), ==, "several in one");
	g_assert_cmpstr(check(a, late_sets, &out), ==, "of units in a wrong order");
	/* A unit's first byte: the forbidden bit, and each kind that isn't passed on. */
	copy[skip + 4] |= 0x80;
	g_assert_cmpstr(annexb_check(a, copy, size, &out), ==, "not in whole units (Annex B)");
	for (type = 0; type < 32; type++) {
		gboolean known = type == 1 || (type >= 5 && type <= 12);

		copy[skip + 4] = (guint8)(0x60 | type);
		if (!known)
			g_assert_cmpstr(annexb_check(a, copy, size, &out), ==,
					"with units of a kind that isn't passed on");
	}
	/* First slice of type B (first_mb 0, slice_type 1: bits 1 010), and a part without a start. */
	memcpy(copy, delta, MIN(delta_size, size));
	copy[5] = 0xa0;
	g_assert_cmpstr(annexb_check(a, copy, MIN(delta_size, size), &out), ==,
			"differences to later ones (B frames; turn them off on the camera)");
	copy[5] = 0x5c;			/* first_mb 1, slice_type 5 */
	g_assert_cmpstr(annexb_check(a, copy, MIN(delta_size, size), &out), ==, "a part of one");
	annexb_free(a);
	annexb_free(other);
}

/* Sequence parameter sets of other encoders: size, cropping, profile, interlacing. */
static void test_sps(void)
{
	static const guint8 high_1080[] = {	/* High, 1920x1080 by cropping of 1088 */
		0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02, 0x27, 0xe5, 0xc0, 0x44, 0x00,
		0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x60, 0xc6, 0x58,
	};
	guint width, height, cut;

	g_assert_null(annexb_sps(high_1080, sizeof(high_1080), &width, &height));
	g_assert_cmpuint(width, ==, 1920);
	g_assert_cmpuint(height, ==, 1080);
	for (cut = 0; cut < 10; cut++)
		g_assert_nonnull(annexb_sps(high_1080, cut, &width, &height));
}

/* Anything at all: an answer, and never a byte beyond (the sanitizers watch). */
static void test_noise(void)
{
	GRand *rand = g_rand_new_with_seed(19);
	struct annexb *a = annexb_new(WIDTH, HEIGHT);
	guint round, i, good = 0;

	for (round = 0; round < 20000; round++) {
		GBytes *from = stream[g_rand_int_range(rand, 0, FRAMES)];
		gsize size = MIN(g_bytes_get_size(from), 400);
		g_autofree guint8 *copy = g_memdup2(g_bytes_get_data(from, NULL), size);
		struct annexb_frame out;
		guint width, height;

		for (i = g_rand_int_range(rand, 0, 5); i; i--)
			copy[g_rand_int_range(rand, 0, (gint)MIN(size, 60))] =
				(guint8)g_rand_int(rand);
		size = (gsize)g_rand_int_range(rand, 0, (gint)size + 1);
		good += !annexb_check(a, copy, size, &out);
		g_assert_cmpuint(out.length, <=, size + 4096);
		annexb_sps(copy, size, &width, &height);
	}
	g_assert_cmpuint(good, >, 100);
	annexb_free(a);
	g_rand_free(rand);
}

static const char *feed(struct convert *c, GBytes *frame, struct convert_output *out)
{
	struct convert_input in = { 0 };

	in.data[0] = g_bytes_get_data(frame, &in.size[0]);
	return convert_frame(c, &in, out);
}

/*
 * A lost frame. A viewer that is given what comes after it shows wrong pixels (seen first); of
 * what is passed on every picture is right, and they go on at the next key frame.
 */
static void test_gap(void)
{
	ISVCDecoder *naive = new_decoder(), *held = new_decoder();
	guint n, wrong = 0, shown = 0;
	struct convert_output out;
	struct convert c;
	guint8 line[WIDTH];

	g_assert_true(convert_open(&c, convert_find(V4L2_PIX_FMT_H264), WIDTH, HEIGHT, NULL));
	for (n = 0; n < FRAMES; n++) {
		if (n == GOP + 1) {
			convert_lost(&c);
			continue;
		}
		if (decode(naive, g_bytes_get_data(stream[n], NULL), g_bytes_get_size(stream[n]), line))
			wrong += !right(line, n);
		else
			wrong++;
		g_assert_null(feed(&c, stream[n], &out));
		g_assert_cmpint(out.coded != NULL, ==, n <= GOP || n >= 2 * GOP);
		if (!out.coded)
			continue;
		g_assert_true(decode(held, out.coded, out.coded_size, line) && right(line, n));
		shown++;
	}
	g_assert_cmpuint(wrong, >, 0);
	g_assert_cmpuint(shown, ==, FRAMES - GOP + 1);
	/* And nothing before a stream's first key frame. */
	convert_restart(&c);
	g_assert_null(feed(&c, stream[1], &out));
	g_assert_null(out.coded);
	convert_close(&c);
	WelsDestroyDecoder(naive);
	WelsDestroyDecoder(held);
}

int main(int argc, char **argv)
{
	guint n;
	int ret;

	g_test_init(&argc, &argv, NULL);
	make_stream();
	g_test_add_func("/annexb/good", test_good);
	g_test_add_func("/annexb/sets", test_sets);
	g_test_add_func("/annexb/bad", test_bad);
	g_test_add_func("/annexb/sps", test_sps);
	g_test_add_func("/annexb/noise", test_noise);
	g_test_add_func("/annexb/gap", test_gap);
	ret = g_test_run();
	for (n = 0; n < FRAMES; n++)
		g_bytes_unref(stream[n]);
	return ret;
}
