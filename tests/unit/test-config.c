// SPDX-License-Identifier: MIT
/* The configuration: what is read, and that each error says where and what to write instead. */
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#include "config.h"

#define HA1	"0123456789abcdef0123456789ABCDEF"
#define CAMERA	"[camera cam0]\nmedia = platform:camsim-0\ncapture = camsim0-nv12\nsize = 1920x1080\n"
#define VIEWER	"[viewer alice]\nha1 = " HA1 "\ncameras = cam0\n"

static const char whole[] =
	"# a comment\n"
	"[volet]\n"
	"rtsp-address = 0.0.0.0\n"
	"rtsp-port=554\n"
	"age-limit-ms = 1500\n"
	"max-sessions = 3\n"
	"max-unauthenticated = 5\n"
	"max-unauthenticated-per-source = 2\n"
	"authentication-timeout-s = 7\n"
	"report-s = 5\n"
	"\n"
	"[viewer bob-2]\n"
	"ha1 = " HA1 "\n"
	"cameras = cam1;cam0;\n"
	"[camera cam0]\n"
	"media = platform:camsim-0\n"
	"links = \"a\":0 -> \"b\":1 [1]\n"
	"formats = \"gc2053 0-0037\":0 [fmt:SRGGB10_1X10/1920x1080]; \"camsim0-isp\":1 [fmt:YUYV8_1_5X8]\n"
	"capture = camsim0-nv12\n"
	"format = NV12\n"
	"size = 1280x720\n"
	"sensor = gc2053 0-0037\n"
	"controls = vertical_blanking=5670; exposure=1000\n"
	"jpeg-quality = 60\n"
	"slots = 3\n"
	"slot-size-kib = 512\n"
	"max-sessions = 7\n"
	"[profile cam0/large]\n"
	"[profile cam0/small]\n"
	"codec = h264\n"
	"size = 640x360\n"
	"rate = 12\n"
	"encoder = auto\n"
	"bitrate-kbit = 700\n"
	"[camera cam1]\n"
	"media = platform:camsim-1\n"
	"capture = camsim1-nv12\n"
	"size = 640x480\n";

static void test_whole(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(volet_config) config = config_parse("f", whole, strlen(whole), &error);
	const struct volet_camera_config *camera;
	const struct volet_viewer_config *viewer;

	g_assert_no_error(error);
	g_assert_cmpstr(config->rtsp_address, ==, "0.0.0.0");
	g_assert_cmpuint(config->rtsp_port, ==, 554);
	g_assert_cmpuint(config->age_limit_ms, ==, 1500);
	g_assert_cmpuint(config->max_sessions, ==, 3);
	g_assert_cmpuint(config->max_unauthenticated, ==, 5);
	g_assert_cmpuint(config->max_unauthenticated_per_source, ==, 2);
	g_assert_cmpuint(config->authentication_timeout_s, ==, 7);
	g_assert_cmpuint(config->report_s, ==, 5);
	g_assert_cmpuint(config->cameras->len, ==, 2);
	camera = config->cameras->pdata[0];
	g_assert_cmpstr(camera->name, ==, "cam0");
	g_assert_cmpstr(camera->controls, ==, "vertical_blanking=5670; exposure=1000");
	g_assert_cmpuint(camera->width, ==, 1280);
	g_assert_cmpuint(camera->height, ==, 720);
	g_assert_cmpuint(camera->jpeg_quality, ==, 60);
	g_assert_cmpuint(camera->slots, ==, 3);
	g_assert_cmpuint(camera->slot_size_kib, ==, 512);
	g_assert_cmpuint(camera->max_sessions, ==, 7);
	camera = config->cameras->pdata[1];
	g_assert_cmpstr(camera->name, ==, "cam1");
	g_assert_cmpstr(camera->sensor, ==, "");
	g_assert_cmpstr(camera->format, ==, "NV12");
	g_assert_cmpuint(config->viewers->len, ==, 1);
	viewer = config->viewers->pdata[0];
	g_assert_cmpstr(viewer->name, ==, "bob-2");
	g_assert_cmpstr(viewer->ha1, ==, "0123456789abcdef0123456789abcdef");
	g_assert_cmpuint(viewer->cameras->len, ==, 2);
	g_assert_cmpstr(viewer->cameras->pdata[0], ==, "cam1");
}

/* The first is the preset one; a camera without any has one, its pictures as they are. */
static void test_profiles(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(volet_config) config = config_parse("f", whole, strlen(whole), &error);
	const struct volet_camera_config *camera = config->cameras->pdata[0];
	const struct volet_profile_config *profile = config_profile(camera, "small");

	g_assert_cmpuint(camera->profiles->len, ==, 2);
	g_assert_cmpuint(profile->codec, ==, VOLET_CODEC_H264);
	g_assert_cmpuint(profile->width, ==, 640);
	g_assert_cmpuint(profile->height, ==, 360);
	g_assert_cmpuint(profile->rate, ==, 12);
	g_assert_cmpuint(profile->encoder, ==, VOLET_ENCODER_AUTO);
	g_assert_cmpuint(profile->bitrate_kbit, ==, 700);
	profile = config_profile(camera, "");
	g_assert_true(profile == config_profile(camera, "large"));
	g_assert_cmpuint(profile->codec, ==, VOLET_CODEC_JPEG);
	g_assert_cmpuint(profile->width, ==, 1280);
	g_assert_cmpuint(profile->quality, ==, 60);
	/* Nothing is coded by a device unless the file says so. */
	g_assert_cmpuint(profile->encoder, ==, VOLET_ENCODER_SOFTWARE);
	g_assert_cmpuint(profile->rate, ==, 0);
	g_assert_null(config_profile(camera, "jpeg"));
	camera = config->cameras->pdata[1];
	g_assert_cmpuint(camera->profiles->len, ==, 1);
	profile = config_profile(camera, "");
	g_assert_true(profile == config_profile(camera, "jpeg"));
	g_assert_cmpuint(profile->height, ==, 480);
	g_assert_null(config_profile(camera, "small"));
}

static void test_presets(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(volet_config) config = config_parse("f", CAMERA, strlen(CAMERA), &error);

	g_assert_no_error(error);
	/* Nobody is let in from outside, or at all, unless the file says so. */
	g_assert_cmpstr(config->rtsp_address, ==, "127.0.0.1");
	g_assert_cmpuint(config->viewers->len, ==, 0);
	g_assert_cmpuint(config->rtsp_port, ==, 8554);
	g_assert_cmpuint(config->age_limit_ms, ==, 2000);
	g_assert_cmpuint(config->report_s, ==, 0);
}

/* RTP over UDP is asked for, and one viewer may be left out. */
static void test_udp(void)
{
	static const char text[] = "[volet]\nudp = yes\n" CAMERA
		"[viewer v]\nha1 = 00112233445566778899aabbccddeeff\ncameras = cam0\n"
		"[viewer w]\nha1 = 00112233445566778899aabbccddeeff\ncameras = cam0\nudp = no\n";
	g_autoptr(volet_config) without = config_parse("f", CAMERA, strlen(CAMERA), NULL);
	g_autoptr(GError) error = NULL;
	g_autoptr(volet_config) with = config_parse("f", text, strlen(text), &error);

	g_assert_no_error(error);
	g_assert_false(without->udp);
	g_assert_true(with->udp);
	g_assert_cmpuint(with->udp_first, ==, 50000);
	g_assert_cmpuint(with->udp_last, ==, 50099);
	g_assert_true(config_find_viewer(with, "v")->udp);
	g_assert_false(config_find_viewer(with, "w")->udp);
}

static void test_camera_text(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(volet_config) config = config_parse("f", whole, strlen(whole), &error);
	unsigned int i;

	for (i = 0; i < 2; i++) {
		const struct volet_camera_config *a = config->cameras->pdata[i];
		g_autofree char *text = config_camera_text(a);
		g_autoptr(volet_camera_config) b = config_parse_camera(text, strlen(text), &error);
		g_autofree char *again = NULL;

		g_assert_no_error(error);
		/* Its own section, and no word of another camera or of a viewer. */
		g_assert_null(strstr(text, i ? "cam0" : "cam1"));
		g_assert_null(strstr(text, "bob"));
		g_assert_null(strstr(text, "ha1"));
		again = config_camera_text(b);
		g_assert_cmpstr(text, ==, again);
		g_assert_cmpstr(a->formats, ==, b->formats);
		g_assert_cmpstr(a->sensor, ==, b->sensor);
		g_assert_cmpuint(a->width, ==, b->width);
	}
}

/* Without a device there is nothing to capture from. */
static void test_test_camera(void)
{
	static const char text[] = "[camera a]\nmedia = test\nsize = 320x240\nrate = 25\n";
	g_autoptr(GError) error = NULL;
	g_autoptr(volet_camera_config) camera = config_parse_camera(text, strlen(text), &error);

	g_assert_no_error(error);
	g_assert_cmpuint(camera->rate, ==, 25);
	g_assert_cmpstr(camera->capture, ==, "");
}

static void test_camera_alone(void)
{
	g_autoptr(GError) error = NULL;

	g_assert_null(config_parse_camera(whole, strlen(whole), &error));
	g_assert_cmpstr(error->message, ==,
			"camera section: write one [camera NAME] group, its profiles and nothing else");
	g_clear_error(&error);
	g_assert_null(config_parse_camera("", 0, &error));
	g_assert_nonnull(error);
}

/* What is wrong, and what the error must say of where and how to mend it. */
static const struct bad {
	const char *text, *where, *instead;
} bads[] = {
	{ "", "[camera NAME]", "write one for each camera" },
	{ "[volet]\n", "[camera NAME]", "write one" },
	{ "[volet]\nrtsp-port = 0\n" CAMERA, "[volet] rtsp-port", "1 to 65535; write rtsp-port = 8554" },
	{ "[volet]\nrtsps-port = 8322\n" CAMERA, "[volet] certificate", "rtsps-port needs it" },
	{ "[volet]\nrtsps-port = 8322\ncertificate = /c\n" CAMERA, "[volet] private-key", "needs it" },
	{ "[volet]\nrtsps-port = 1\ncertificate = c\n" CAMERA, "[volet] certificate", "absolute path" },
	{ "[volet]\ncertificate = /c\n" CAMERA, "[volet] certificate", "without rtsps-port" },
	{ "[volet]\nrtsps-port = 8554\n" CAMERA, "[volet] rtsps-port", "the same as rtsp-port" },
	{ "[volet]\nudp = on\n" CAMERA, "[volet] udp", "neither yes nor no" },
	{ "[volet]\nudp-ports = 50000-50001\n" CAMERA, "[volet] udp-ports", "without udp = yes" },
	{ "[volet]\nudp = yes\nudp-ports = 50000\n" CAMERA, "[volet] udp-ports", "FIRST-LAST" },
	{ "[volet]\nudp = yes\nudp-ports = 50001-50008\n" CAMERA, "[volet] udp-ports", "FIRST even" },
	{ "[volet]\nudp = yes\nudp-ports = 1022-1025\n" CAMERA, "[volet] udp-ports", "from 1024 on" },
	{ "[volet]\nudp = yes\nudp-ports = 65534-65537\n" CAMERA, "[volet] udp-ports", "such as" },
	{ "[volet]\nudp = yes\nudp-ports = 50000-50001 x\n" CAMERA, "[volet] udp-ports", "such as" },
	{ "[volet]\nudp = yes\nudp-ports = 50009-50000\n" CAMERA, "[volet] udp-ports", "such as" },
	{ CAMERA "[viewer v]\nha1 = 00112233445566778899aabbccddeeff\ncameras = cam0\nudp = yes\n", "[viewer v] udp",
	  "without udp = yes in [volet]" },
	{ "[volet]\nrtsp-port = 65536\n" CAMERA, "[volet] rtsp-port", "write rtsp-port" },
	{ "[volet]\nrtsp-port = -1\n" CAMERA, "[volet] rtsp-port", "write rtsp-port" },
	{ "[volet]\nrtsp-port = 8554x\n" CAMERA, "[volet] rtsp-port", "write rtsp-port" },
	{ "[volet]\nrtsp-port =\n" CAMERA, "[volet] rtsp-port", "write rtsp-port" },
	{ "[volet]\nrtsp-address = localhost\n" CAMERA, "[volet] rtsp-address", "write 0.0.0.0" },
	{ "[volet]\nage-limit-ms = 249\n" CAMERA, "[volet] age-limit-ms", "from 250 to 15000" },
	{ "[volet]\nage-limit-ms = 15001\n" CAMERA, "[volet] age-limit-ms", "from 250 to 15000" },
	{ "[volet]\nmax-sessions = 0\n" CAMERA, "[volet] max-sessions", "write max-sessions = 16" },
	{ "[volet]\nmax-unauthenticated = 0\n" CAMERA, "[volet] max-unauthenticated", "= 16" },
	{ "[volet]\nmax-unauthenticated-per-source = 0\n" CAMERA,
	  "[volet] max-unauthenticated-per-source", "= 4" },
	{ "[volet]\nauthentication-timeout-s = 121\n" CAMERA, "[volet] authentication-timeout-s", "= 10" },
	{ "[volet]\nreport-s = often\n" CAMERA, "[volet] report-s", "write report-s = 0" },
	{ "[volet]\nrtsp-prot = 554\n" CAMERA, "[volet] rtsp-prot", "rtsp-port" },
	{ "[voled]\n" CAMERA, "[voled]", "write [volet], [camera NAME], [profile CAMERA/NAME], [display NAME], [local NAME] or [viewer NAME]" },
	{ "[camera]\n", "[camera]", "[camera NAME]" },
	{ "[cameracam0]\n", "[cameracam0]", "[camera NAME]" },
	{ "[camera a/b]\n", "[camera a/b]", "letters, digits" },
	{ "[camera a b]\n", "[camera a b]", "letters, digits" },
	{ "[camera 01234567890123456789012345678901]\n", "[camera 012345", "1 to 31" },
	{ CAMERA CAMERA, "[camera cam0]", "twice; join or rename" },
	{ CAMERA VIEWER VIEWER, "[viewer alice]", "twice; join or rename" },
	{ CAMERA "size = 640x480\n", "[camera cam0] size", "given twice; remove one" },
	{ CAMERA "colour = no\n", "[camera cam0] colour", "the keys here are media, links" },
	{ CAMERA "slots = 1\n", "[camera cam0] slots", "from 2 to 16; write slots = 4" },
	{ CAMERA "slots = 17\n", "[camera cam0] slots", "from 2 to 16" },
	{ CAMERA "slot-size-kib = 65\n", "[camera cam0] slot-size-kib", "write slot-size-kib = 128" },
	{ CAMERA "slot-size-kib = 63\n", "[camera cam0] slot-size-kib", "from 64 to 16384" },
	{ CAMERA "rate = 0\n", "[camera cam0] rate", "from 1 to 120" },
	{ CAMERA "jpeg-quality = 101\n", "[camera cam0] jpeg-quality", "from 1 to 100" },
	{ CAMERA "format = NV12M\n", "[camera cam0] format", "write format = NV12" },
	{ CAMERA "controls = exposure=1\n", "[camera cam0] controls", "write sensor =" },
	{ CAMERA "links = a\\qb\n", "[camera cam0] links", "write \\\\" },
	{ CAMERA "slots = 4 # enough\n", "[camera cam0] slots", "on a line of its own" },
	{ "[camera cam0]\ncapture = c\nsize = 16x16\n", "[camera cam0] media", "write media =" },
	{ "[camera cam0]\nmedia = \ncapture = c\nsize = 16x16\n", "[camera cam0] media", "write media =" },
	{ "[camera cam0]\nmedia = m\nsize = 16x16\n", "[camera cam0] capture", "write capture =" },
	{ "[camera cam0]\nmedia = m\ncapture = c\n", "[camera cam0] size", "write size =" },
	{ "[camera cam0]\nmedia = m\ncapture = c\nsize = 1920\n", "[camera cam0] size", "1920x1080" },
	{ "[camera cam0]\nmedia = m\ncapture = c\nsize = 1921x1080\n", "[camera cam0] size", "even" },
	{ "[camera cam0]\nmedia = m\ncapture = c\nsize = 2042x1080\n", "[camera cam0] size", "2040" },
	{ "[camera cam0]\nmedia = m\ncapture = c\nsize = 1920x1080x2\n", "[camera cam0] size", "WIDTHx" },
	{ "[camera cam0]\nmedia = m\ncapture = c\nsize = 64x-2\n", "[camera cam0] size", "WIDTHx" },
	{ "[camera cam0]\nmedia = m\ncapture = c\nsize = 99999999999x64\n", "[camera cam0] size", "WIDTHx" },
	{ CAMERA "[profile cam1/a]\n", "[profile cam1/a]", "with the name of a [camera NAME] group" },
	{ CAMERA "[profile cam0]\n", "[profile cam0]", "write [profile CAMERA/NAME]" },
	{ CAMERA "[profile cam0/]\n", "[profile cam0/]", "write [profile CAMERA/NAME]" },
	{ CAMERA "[profile cam0/a b]\n", "[profile cam0/a b]", "letters, digits" },
	{ CAMERA "[profile cam0/a/b]\n", "[profile cam0/a/b]", "letters, digits" },
	{ CAMERA "[profile cam0/a]\ncodec = vp8\n", "[profile cam0/a] codec", "write jpeg or h264" },
	{ CAMERA "[profile cam0/a]\nsize = 1922x1080\n", "[profile cam0/a] size", "1920x1080 or less" },
	{ CAMERA "[profile cam0/a]\nsize = 640\n", "[profile cam0/a] size", "WIDTHxHEIGHT" },
	{ CAMERA "[profile cam0/a]\ncodec = fwht\n", "[profile cam0/a] codec", "write jpeg or h264" },
	{ CAMERA "[profile cam0/a]\nencoder = gpu\n", "[profile cam0/a] encoder", "write software, hardware or auto" },
	{ CAMERA "[profile cam0/a]\nbitrate-kbit = 100\n", "[profile cam0/a] bitrate-kbit", "codec = h264" },
	{ CAMERA "[profile cam0/a]\ncodec = h264\nquality = 9\n", "[profile cam0/a] quality", "codec = jpeg" },
	{ CAMERA "[profile cam0/a]\nrate = 0\n", "[profile cam0/a] rate", "from 1 to 120" },
	{ CAMERA "[profile cam0/a]\ncolour = 1\n", "[profile cam0/a] colour", "the keys here are codec" },
	{ CAMERA "[viewer]\n", "[viewer]", "[viewer NAME]" },
	{ CAMERA "[viewer alice]\ncameras = cam0\n", "[viewer alice] ha1", "write ha1 =" },
	{ CAMERA "[viewer alice]\nha1 = " HA1 "\n", "[viewer alice] cameras", "write cameras =" },
	{ CAMERA "[viewer alice]\nha1 = 0123\ncameras = cam0\n", "[viewer alice] ha1", "md5sum" },
	{ CAMERA "[viewer alice]\nha1 = " HA1 "0\ncameras = cam0\n", "[viewer alice] ha1", "md5sum" },
	{ CAMERA "[viewer alice]\npassword = x\n", "[viewer alice] password", "ha1, cameras" },
	{ CAMERA "[viewer alice]\nha1 = " HA1 "\ncameras = cam0;cam7\n", "[viewer alice] cameras",
	  "add [camera cam7]" },
	{ "rtsp-port = 1\n" CAMERA, "line 1", "write [volet] above" },
	{ CAMERA VIEWER HA1 "\n", "line 8", "write a #" },
	{ CAMERA "[volet\n", "line 5", "as [camera NAME]" },
	{ CAMERA "[]\n", "line 5", "as [camera NAME]" },
	{ CAMERA "= 3\n", "line 5", "key = value" },
	{ CAMERA "\xff = 3\n", "f:", "UTF-8" },
};

static void test_bad(gconstpointer data)
{
	const struct bad *bad = data;
	g_autoptr(GError) error = NULL;

	g_assert_null(config_parse("f", bad->text, strlen(bad->text), &error));
	g_assert_error(error, VOLET_CONFIG_ERROR, 0);
	g_test_message("%s", error->message);
	g_assert_true(g_str_has_prefix(error->message, "f: "));
	g_assert_nonnull(strstr(error->message, bad->where));
	g_assert_nonnull(strstr(error->message, bad->instead));
	g_assert_null(strstr(error->message, HA1));
	g_assert_null(strstr(error->message, "0123\""));
}

static void test_nul(void)
{
	static const char text[] = CAMERA "\0[viewer alice]";
	g_autoptr(GError) error = NULL;

	g_assert_null(config_parse("f", text, sizeof(text), &error));
	g_assert_nonnull(error);
}

/* Random changes of a good file: read or refused with a sentence, never anything else. */
static void test_random(void)
{
	unsigned int i, n;

	for (n = 0; n < 5000; n++) {
		g_autofree char *text = g_strdup(whole);
		g_autoptr(volet_config) config = NULL;
		g_autoptr(GError) error = NULL;

		for (i = 0; i < 4; i++)
			text[g_test_rand_int_range(0, sizeof(whole) - 1)] =
				(char)g_test_rand_int_range(0, 256);
		config = config_parse("f", text, sizeof(whole) - 1, &error);
		g_assert_true(!config == !!error);
		if (error)
			g_assert_true(g_str_has_prefix(error->message, "f: "));
	}
}

static void test_mode(void)
{
	g_autofree char *dir = g_dir_make_tmp("volet-XXXXXX", NULL);
	g_autofree char *path = g_build_filename(dir, "volet.conf", NULL);
	g_autoptr(GError) error = NULL;
	g_autoptr(volet_config) config = NULL;
	static const mode_t modes[] = { 0644, 0604, 0602, 0641 };
	unsigned int i;

	/* Without a credential anyone may read it; with one, nobody else. */
	g_assert_true(g_file_set_contents(path, CAMERA, -1, NULL));
	g_assert_no_errno(g_chmod(path, 0644));
	config = config_load(path, &error);
	g_assert_no_error(error);
	g_clear_pointer(&config, config_free);
	g_assert_true(g_file_set_contents(path, CAMERA VIEWER, -1, NULL));
	for (i = 0; i < G_N_ELEMENTS(modes); i++) {
		g_autofree char *advice = g_strdup_printf("run chmod o= %s", path);

		g_assert_no_errno(g_chmod(path, (int)modes[i]));
		g_assert_null(config_load(path, &error));
		g_assert_true(g_str_has_prefix(error->message, path));
		g_assert_nonnull(strstr(error->message, "[viewer alice] ha1"));
		g_assert_nonnull(strstr(error->message, advice));
		g_clear_error(&error);
	}
	g_assert_no_errno(g_chmod(path, 0640));
	config = config_load(path, &error);
	g_assert_no_error(error);
	g_unlink(path);
	g_assert_null(config_load(path, &error));
	g_assert_nonnull(strstr(error->message, "--config"));
	g_rmdir(dir);
}

int main(int argc, char **argv)
{
	unsigned int i;

	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/config/whole", test_whole);
	g_test_add_func("/config/profiles", test_profiles);
	g_test_add_func("/config/presets", test_presets);
	g_test_add_func("/config/udp", test_udp);
	g_test_add_func("/config/camera-text", test_camera_text);
	g_test_add_func("/config/camera-alone", test_camera_alone);
	g_test_add_func("/config/test-camera", test_test_camera);
	for (i = 0; i < G_N_ELEMENTS(bads); i++) {
		g_autofree char *name = g_strdup_printf("/config/bad/%u", i);

		g_test_add_data_func(name, &bads[i], test_bad);
	}
	g_test_add_func("/config/nul", test_nul);
	g_test_add_func("/config/random", test_random);
	g_test_add_func("/config/mode", test_mode);
	return g_test_run();
}
