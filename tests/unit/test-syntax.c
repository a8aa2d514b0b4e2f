// SPDX-License-Identifier: MIT
/* The part of media-ctl's syntax that Volet reads, and what it says about the rest. */
#include <glib.h>
#include <linux/media-bus-format.h>

#include "setup.h"
#include "syntax.h"

static void test_links(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GArray) links = syntax_links("\"gc2053 0-0037\":0 -> \"camsim0-csi\":0 [1]; "
					       "\"camsim0-csi\":2->\"camsim0-isp\":0[0] ;", &error);
	struct syntax_link *link;

	g_assert_no_error(error);
	g_assert_cmpuint(links->len, ==, 2);
	link = &g_array_index(links, struct syntax_link, 0);
	g_assert_cmpstr(link->source.entity, ==, "gc2053 0-0037");
	g_assert_cmpuint(link->source.pad, ==, 0);
	g_assert_cmpstr(link->sink.entity, ==, "camsim0-csi");
	g_assert_true(link->enable);
	link++;
	g_assert_cmpuint(link->source.pad, ==, 2);
	g_assert_cmpstr(link->sink.entity, ==, "camsim0-isp");
	g_assert_false(link->enable);
}

static void test_formats(void)
{
	g_autoptr(GError) error = NULL;
	static const char text[] =
		"\"gc2053 0-0037\":0 [fmt:SRGGB10_1X10/1920x1080], "
		"\"isp\":0 [fmt:0x300f/1920x1080 crop:(8,-2)/1904x1072]; "
		"\"isp\":1 [compose:(0,0)/640x480]";
	g_autoptr(GArray) formats = syntax_formats(text, &error);
	struct syntax_format *f;

	g_assert_no_error(error);
	g_assert_cmpuint(formats->len, ==, 3);
	f = &g_array_index(formats, struct syntax_format, 0);
	g_assert_cmpuint(f->code, ==, MEDIA_BUS_FMT_SRGGB10_1X10);
	g_assert_cmpuint(f->width, ==, 1920);
	g_assert_cmpuint(f->height, ==, 1080);
	g_assert_true(f->set);
	g_assert_false(f->crop.set);
	f++;
	g_assert_cmpuint(f->code, ==, 0x300f);
	g_assert_true(f->crop.set);
	g_assert_cmpint(f->crop.left, ==, 8);
	g_assert_cmpint(f->crop.top, ==, -2);
	g_assert_cmpuint(f->crop.width, ==, 1904);
	f++;
	g_assert_false(f->set);
	g_assert_true(f->compose.set);
	g_assert_cmpuint(f->compose.height, ==, 480);
}

static void test_controls(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GArray) controls =
		syntax_controls("vertical_blanking=5670; exposure = 0x3e8,gain=-1", &error);

	g_assert_no_error(error);
	g_assert_cmpuint(controls->len, ==, 3);
	g_assert_cmpstr(g_array_index(controls, struct syntax_control, 0).name, ==,
			"vertical_blanking");
	g_assert_cmpint(g_array_index(controls, struct syntax_control, 0).value, ==, 5670);
	g_assert_cmpint(g_array_index(controls, struct syntax_control, 1).value, ==, 1000);
	g_assert_cmpint(g_array_index(controls, struct syntax_control, 2).value, ==, -1);
}

static void test_empty(void)
{
	static const char *const texts[] = { "", "  ", ";", " ; , ;" };
	guint i;

	for (i = 0; i < G_N_ELEMENTS(texts); i++) {
		g_autoptr(GArray) links = syntax_links(texts[i], NULL);
		g_autoptr(GArray) formats = syntax_formats(texts[i], NULL);
		g_autoptr(GArray) controls = syntax_controls(texts[i], NULL);

		g_assert_cmpuint(links->len + formats->len + controls->len, ==, 0);
	}
}

struct bad {
	GArray *(*parse)(const char *text, GError **error);
	const char *text, *message;
};

static const struct bad bads[] = {
	{ syntax_links, "3:0 -> \"b\":0 [1]",
	  "in \"3:0 -> \"b\":0 [1]\" at \"3:0 -> \"b\":0 [1]\": expected an entity's name in "
	  "double quotes, "
	  "as \"camera 0-0037\"" },
	{ syntax_links, "\"a",
	  "in \"\"a\" at \"a\": expected a closing double quote after the entity's name" },
	{ syntax_links, "\"\":0 -> \"b\":0 [1]",
	  "in \"\"\":0 -> \"b\":0 [1]\" at \"\":0 -> \"b\":0 [1]\": expected an entity's name of 1 "
	  "to 63 characters" },
	{ syntax_links, "\"a\" -> \"b\":0 [1]",
	  "in \"\"a\" -> \"b\":0 [1]\" at \"-> \"b\":0 [1]\": expected ':' and a pad number after "
	  "the entity's name" },
	{ syntax_links, "\"a\":x", "in \"\"a\":x\" at \"x\": expected a pad number" },
	{ syntax_links, "\"a\":0 \"b\":0 [1]",
	  "in \"\"a\":0 \"b\":0 [1]\" at \"\"b\":0 [1]\": expected '->' between the link's two "
	  "pads" },
	{ syntax_links, "\"a\":0 -> \"b\":0",
	  "\"\"a\":0 -> \"b\":0\" ends too early: expected [1] to link or [0] to unlink" },
	{ syntax_links, "\"a\":0 -> \"b\":0 [2]",
	  "in \"\"a\":0 -> \"b\":0 [2]\" at \"2]\": expected [1] to link or [0] to unlink" },
	{ syntax_links, "\"a\":0 -> \"b\":0 [1] \"c\":0",
	  "in \"\"a\":0 -> \"b\":0 [1] \"c\":0\" at \"\"c\":0\": expected ';' before the next "
	  "one" },
	{ syntax_formats, "\"a\":0",
	  "\"\"a\":0\" ends too early: expected [fmt:CODE/WxH] after the pad" },
	{ syntax_formats, "\"a\":0 []",
	  "in \"\"a\":0 []\" at \"]\": expected fmt:, crop:, compose: or the closing ']'" },
	{ syntax_formats, "\"a\":0 [fmt:RGGB/1x1]",
	  "in \"\"a\":0 [fmt:RGGB/1x1]\" at \"RGGB/1x1]\": expected a media bus code that Volet "
	  "knows, as "
	  "SRGGB10_1X10 (`media-ctl --known-mbus-fmts`), or its number, as 0x300f" },
	{ syntax_formats, "\"a\":0 [fmt:SRGGB10_1X10]",
	  "in \"\"a\":0 [fmt:SRGGB10_1X10]\" at \"]\": expected '/' and a size after the media bus "
	  "code" },
	{ syntax_formats, "\"a\":0 [fmt:SRGGB10_1X10/1920]",
	  "in \"\"a\":0 [fmt:SRGGB10_1X10/1920]\" at \"]\": expected a size as 1920x1080" },
	{ syntax_formats, "\"a\":0 [fmt:SRGGB10_1X10/0x5]",
	  "in \"\"a\":0 [fmt:SRGGB10_1X10/0x5]\" at \"]\": expected a size as 1920x1080" },
	{ syntax_formats, "\"a\":0 [crop:0,0/4x4]",
	  "in \"\"a\":0 [crop:0,0/4x4]\" at \"0,0/4x4]\": expected a rectangle as "
	  "(0,0)/1920x1080" },
	{ syntax_controls, "Exposure=3",
	  "in \"Exposure=3\" at \"Exposure=3\": expected a control's name in lower case as "
	  "`v4l2-ctl --list-ctrls` shows it, as vertical_blanking" },
	{ syntax_controls, "exposure",
	  "\"exposure\" ends too early: expected '=' and a number after the control's name" },
	{ syntax_controls, "exposure=high", "in \"exposure=high\" at \"high\": expected a number" },
	{ syntax_controls, "exposure=1000 gain=3",
	  "in \"exposure=1000 gain=3\" at \"gain=3\": expected ';' before the next one" },
};

static void test_bad(void)
{
	guint i;

	for (i = 0; i < G_N_ELEMENTS(bads); i++) {
		g_autoptr(GError) error = NULL;

		g_assert_null(bads[i].parse(bads[i].text, &error));
		g_assert_cmpstr(error->message, ==, bads[i].message);
	}
}

/* No text makes it read past its end or go on for ever: each good text cut at each place. */
static void test_cut(void)
{
	static const char text[] = "\"gc2053 0-0037\":0 [fmt:SRGGB10_1X10/1920x1080 "
				   "crop:(0,0)/16x16]; \"b\":1 [fmt:2/2x2]";
	gsize n;

	for (n = 0; n < sizeof(text); n++) {
		g_autofree char *cut = g_strndup(text, n);
		g_autoptr(GArray) formats = syntax_formats(cut, NULL);
		g_autoptr(GArray) links = syntax_links(cut, NULL);
		g_autoptr(GArray) controls = syntax_controls(cut, NULL);
	}
}

static void test_names(void)
{
	static const struct {
		const char *name, *spelt;
	} names[] = {
		{ "Vertical Blanking", "vertical_blanking" },
		{ "Exposure", "exposure" },
		{ "Exposure Time, Absolute", "exposure_time_absolute" },
		{ "White Balance (Auto)", "white_balance_auto" },
		{ "U32 1 Element Array", "u32_1_element_array" },
		{ "-- x --", "x" },
	};
	guint i;

	for (i = 0; i < G_N_ELEMENTS(names); i++) {
		char spelt[32];

		setup_control_name(names[i].name, spelt, sizeof(spelt));
		g_assert_cmpstr(spelt, ==, names[i].spelt);
	}
	g_assert_cmpstr(syntax_code_name(MEDIA_BUS_FMT_SRGGB10_1X10), ==, "SRGGB10_1X10");
	g_assert_cmpstr(syntax_code_name(0x7abc), ==, "0x7abc");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/syntax/links", test_links);
	g_test_add_func("/syntax/formats", test_formats);
	g_test_add_func("/syntax/controls", test_controls);
	g_test_add_func("/syntax/empty", test_empty);
	g_test_add_func("/syntax/bad", test_bad);
	g_test_add_func("/syntax/cut", test_cut);
	g_test_add_func("/syntax/names", test_names);
	return g_test_run();
}
