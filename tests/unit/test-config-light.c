// SPDX-License-Identifier: MIT
/* The keys of exposure and white balance: what is read, what it is without them, and each error. */
#include <glib.h>
#include <string.h>

#include "config.h"

#define CAMERA	"[camera cam0]\nmedia = m\ncapture = c\nsize = 640x480\n"
#define SENSOR	CAMERA "sensor = s\n"

static volet_camera_config *parse(const char *text)
{
	g_autoptr(GError) error = NULL;
	volet_camera_config *camera = config_parse_camera(text, strlen(text), &error);

	g_assert_no_error(error);
	return camera;
}

static void test_whole(void)
{
	g_autoptr(volet_camera_config) camera =
		parse(SENSOR "exposure = auto\nexposure-target = 25\nflicker-hz = 60\n"
		      "slowest-rate = 5\nmax-gain = 8\ngain-model = decibel:0.3\nwhite-balance = auto\nisp = i\n"
		      "controls = vertical_blanking=2295; horizontal_flip=1\n");
	g_autofree char *text = config_camera_text(camera), *again = NULL;
	g_autoptr(volet_camera_config) copy = parse(text);
	const struct volet_light_config *light = &copy->light;

	g_assert_cmpint(light->exposure, ==, VOLET_LIGHT_AUTO);
	g_assert_cmpint(light->white_balance, ==, VOLET_LIGHT_AUTO);
	g_assert_cmpuint(light->target_percent, ==, 25);
	g_assert_cmpuint(light->flicker_hz, ==, 60);
	g_assert_cmpuint(light->slowest_rate, ==, 5);
	g_assert_cmpuint(light->max_gain, ==, 8);
	g_assert_cmpint(light->gain_model, ==, VOLET_GAIN_DECIBEL);
	g_assert_cmpfloat(light->gain_unit, ==, 0.3);
	g_assert_cmpstr(light->isp, ==, "i");
	again = config_camera_text(copy);
	g_assert_cmpstr(text, ==, again);
}

/* Automatic where it can be, unless the file says something that leaves no room for it. */
static void test_presets(void)
{
	static const struct {
		const char *text;
		enum volet_light_mode exposure, white_balance;
	} cases[] = {
		{ CAMERA, VOLET_LIGHT_FIXED, VOLET_LIGHT_FIXED },
		{ CAMERA "isp = i\n", VOLET_LIGHT_FIXED, VOLET_LIGHT_POSSIBLE },
		{ SENSOR, VOLET_LIGHT_POSSIBLE, VOLET_LIGHT_POSSIBLE },
		{ SENSOR "controls = exposure=1\n", VOLET_LIGHT_FIXED, VOLET_LIGHT_POSSIBLE },
		{ SENSOR "controls = vertical_blanking=9; analogue_gain = 64\n", VOLET_LIGHT_FIXED,
		  VOLET_LIGHT_POSSIBLE },
		{ SENSOR "controls = red_balance=9,exposure_bias=2\n", VOLET_LIGHT_POSSIBLE,
		  VOLET_LIGHT_FIXED },
		{ SENSOR "format = MJPG\n", VOLET_LIGHT_FIXED, VOLET_LIGHT_FIXED },
		{ SENSOR "exposure = fixed\nwhite-balance = fixed\n", VOLET_LIGHT_FIXED,
		  VOLET_LIGHT_FIXED },
		{ "[camera a]\nmedia = test\nsize = 320x240\n", VOLET_LIGHT_FIXED,
		  VOLET_LIGHT_FIXED },
	};
	guint i;

	for (i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(volet_camera_config) camera = parse(cases[i].text);
		g_autofree char *text = config_camera_text(camera);
		g_autoptr(volet_camera_config) copy = parse(text);

		g_assert_cmpint(camera->light.exposure, ==, cases[i].exposure);
		g_assert_cmpint(camera->light.white_balance, ==, cases[i].white_balance);
		g_assert_cmpint(copy->light.exposure, ==, cases[i].exposure);
		g_assert_cmpint(copy->light.white_balance, ==, cases[i].white_balance);
	}
	{
		g_autoptr(volet_camera_config) camera = parse(SENSOR);

		g_assert_cmpuint(camera->light.target_percent, ==, 18);
		g_assert_cmpuint(camera->light.flicker_hz, ==, 50);
		/* Nobody's frame rate changes unless the file says so. */
		g_assert_cmpuint(camera->light.slowest_rate, ==, 0);
		g_assert_cmpuint(camera->light.max_gain, ==, 16);
		g_assert_cmpstr(camera->light.isp, ==, "s");
	}
}

static const struct bad {
	const char *text, *where, *instead;
} bads[] = {
	{ SENSOR "exposure = on\n", "exposure", "neither auto nor fixed" },
	{ CAMERA "exposure = auto\n", "exposure", "write sensor = its entity name" },
	{ CAMERA "white-balance = auto\n", "white-balance", "write isp = its entity name" },
	{ SENSOR "exposure = auto\ncontrols = vertical_blanking=5; exposure=7\n", "controls",
	  "exposure is set here and exposure = auto sets it too; remove one" },
	{ SENSOR "exposure = auto\ncontrols = gain=7\n", "controls", "gain is set here" },
	{ SENSOR "white-balance = auto\ncontrols = blue_balance=7\n", "controls",
	  "blue_balance is set here and white-balance = auto sets it too" },
	{ SENSOR "exposure = auto\nformat = MJPG\n", "exposure", "write exposure = fixed" },
	{ SENSOR "white-balance = auto\nformat = JPEG\n", "white-balance",
	  "write white-balance = fixed" },
	{ "[camera cam0]\nmedia = test\nsize = 320x240\nexposure = auto\n", "exposure",
	  "a test camera sees no light" },
	{ SENSOR "flicker-hz = 55\n", "flicker-hz", "write 50 or 60, or 0" },
	{ SENSOR "flicker-hz = 100\n", "flicker-hz", "from 0 to 60" },
	{ SENSOR "exposure-target = 0\n", "exposure-target", "from 1 to 90" },
	{ SENSOR "slowest-rate = 121\n", "slowest-rate", "from 0 to 120" },
	{ SENSOR "max-gain = 0\n", "max-gain", "from 1 to 1024" },
	{ SENSOR "gain-model = linear\n", "gain-model", "write linear:N" },
	{ SENSOR "gain-model = log:3\n", "gain-model", "decibel:N" },
	{ SENSOR "gain-model = inverse:0\n", "gain-model", "inverse:N" },
	{ SENSOR "gain-model = inverse:2x\n", "gain-model", "inverse:N" },
	{ SENSOR "exposure = fixed\nflicker-hz = 50\n", "flicker-hz", "is of no use" },
	{ CAMERA "slowest-rate = 5\n", "slowest-rate", "is of no use" },
	{ SENSOR "controls = exposure=9\nmax-gain = 4\n", "max-gain", "remove it" },
};

static void test_bad(gconstpointer data)
{
	const struct bad *bad = data;
	g_autofree char *where = g_strdup_printf("camera section: [camera cam0] %s: ", bad->where);
	g_autoptr(GError) error = NULL;

	g_assert_null(config_parse_camera(bad->text, strlen(bad->text), &error));
	g_assert_error(error, VOLET_CONFIG_ERROR, 0);
	g_test_message("%s", error->message);
	g_assert_true(g_str_has_prefix(error->message, where));
	g_assert_nonnull(strstr(error->message, bad->instead));
}

int main(int argc, char **argv)
{
	guint i;

	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/config-light/whole", test_whole);
	g_test_add_func("/config-light/presets", test_presets);
	for (i = 0; i < G_N_ELEMENTS(bads); i++) {
		g_autofree char *path = g_strdup_printf("/config-light/bad/%u", i);

		g_test_add_data_func(path, &bads[i], test_bad);
	}
	return g_test_run();
}
