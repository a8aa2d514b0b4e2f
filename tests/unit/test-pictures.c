// SPDX-License-Identifier: MIT
/* Generated pictures: the words of the no-signal one, and the test camera's tag after a JPEG. */
#include <glib.h>
#include <string.h>
#include <turbojpeg.h>

#include "encoder.h"
#include "font.h"
#include "nosignal.h"
#include "tag.h"
#include "testcam.h"

static void test_words(void)
{
	guint signal;

	for (signal = VOLET_SIGNAL_LIVE + 1; signal < VOLET_SIGNAL_COUNT; signal++) {
		const char *c = nosignal_words(signal);

		g_assert_cmpuint(strlen(c), >, 5);
		/* Each of its letters is one that can be drawn. */
		for (; *c; c++) {
			guint row, dots = 0;

			for (row = 0; row < FONT_ROWS; row++)
				dots |= font_row(*c, row);
			g_assert_true(dots || *c == ' ');
		}
	}
	g_assert_cmpstr(nosignal_words(VOLET_SIGNAL_COUNT), ==, "");
}

static void test_time(void)
{
	char text[32];

	nosignal_time(text, 0);
	g_assert_cmpstr(text, ==, "FOR 0 S");
	nosignal_time(text, 59);
	g_assert_cmpstr(text, ==, "FOR 59 S");
	nosignal_time(text, 200);
	g_assert_cmpstr(text, ==, "FOR 3 MIN 20 S");
	nosignal_time(text, 7500);
	g_assert_cmpstr(text, ==, "FOR 2 H 5 MIN");
}

/* Any size: nothing is written outside the picture, which a sanitizer would see. */
static void test_sizes(void)
{
	static const guint sizes[][2] = { { 16, 16 }, { 160, 120 }, { 320, 2040 }, { 2040, 16 } };
	char longest[VOLET_NAME_MAX];
	gsize i, n, lit;

	memset(longest, 'W', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	for (i = 0; i < G_N_ELEMENTS(sizes); i++) {
		struct nosignal p = { .width = sizes[i][0], .height = sizes[i][1] };

		nosignal_draw(&p, longest, VOLET_SIGNAL_BUSY, 100000);
		for (n = lit = 0; n < (gsize)p.width * p.height; n++)
			lit += p.y[n] > 200;
		g_assert_cmpuint(lit, >, 0);
		g_assert_cmpuint(p.uv[0], ==, 128);
		nosignal_free(&p);
	}
}

static void test_number(void)
{
	g_assert_cmpuint(testcam_number("cam0"), ==, 0);
	g_assert_cmpuint(testcam_number("front-12"), ==, 12);
	g_assert_cmpuint(testcam_number("door"), !=, testcam_number("garden"));
}

/* The tag survives the encoder at every size that has one; two cameras differ in colour. */
static void test_tag(void)
{
	static const guint sizes[][2] = { { 160, 64 }, { 320, 240 }, { 640, 480 }, { 1920, 1080 } };
	gsize i, size;

	for (i = 0; i < G_N_ELEMENTS(sizes); i++) {
		guint w = sizes[i][0], h = sizes[i][1], copy;
		struct encoder *enc = encoder_new(w, h, 75, NULL);
		g_autofree guint8 *gray = g_malloc((gsize)w * h);
		tjhandle tj = tjInitDecompress();
		const guint8 *jpeg;
		struct testcam t, other;
		struct tag_picture pic = {
			.luma = gray, .width = w, .height = h, .stride = w, .cell = tag_cell(w),
		};
		struct tag tag;

		testcam_init(&t, "cam5", w, h, 10);
		testcam_init(&other, "cam6", w, h, 10);
		g_assert_true(t.uv[0] != other.uv[0] && t.uv[1] != other.uv[1]);
		testcam_draw(&t, 123456789);
		testcam_draw(&t, 223456789);
		g_assert_true(encoder_nv12(enc, t.y, t.uv, w, &jpeg, &size, NULL));
		g_assert_cmpint(tjDecompress2(tj, jpeg, size, gray, (int)w, 0, (int)h, TJPF_GRAY, 0),
				==, 0);
		for (copy = 0; copy < TAG_COPIES; copy++) {
			g_assert_true(tag_read(&pic, copy, &tag));
			g_assert_cmpuint(tag.camera, ==, 5);
			g_assert_cmpuint(tag.seq, ==, 2);
			g_assert_cmpuint(tag.time_ns, ==, 223456789);
		}
		g_assert_cmpuint(t.due_ns, ==, 223456789 + 50000000);
		testcam_free(&t);
		testcam_free(&other);
		encoder_free(enc);
		tjDestroy(tj);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/nosignal/words", test_words);
	g_test_add_func("/nosignal/time", test_time);
	g_test_add_func("/nosignal/sizes", test_sizes);
	g_test_add_func("/testcam/number", test_number);
	g_test_add_func("/testcam/tag", test_tag);
	return g_test_run();
}
