// SPDX-License-Identifier: MIT
/*
 * What local sessions have that others don't: their groups of the configuration, pictures that
 * are not encoded, and buffers that are handed up. Real DMA-bufs are in tests/e2e/kms.py.
 */
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config.h"
#include "encode.h"
#include "handed.h"
#include "memory.h"
#include "rlimits.h"
#include "xrgb.h"

#define CAMERA		"[volet]\n[camera cam0]\nmedia = test\nsize = 640x480\n"
#define RAW		CAMERA "[profile cam0/screen]\ncodec = xrgb\n"
#define DISPLAY		"[display hall]\ncamera = cam0\nprofile = screen\n"
#define CONSUMER	"[local analyser]\nuid = 1000\ncameras = cam0\n"

static struct volet_config *parse(const char *text, GError **error)
{
	return config_parse("volet.conf", text, strlen(text), error);
}

static void test_groups(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(volet_config) config = parse(RAW DISPLAY "device = /dev/dri/card1\ncopy = 1\n"
					       CONSUMER "sessions = 2\n", &error);
	const struct volet_local_config *local;
	g_autoptr(volet_local_config) again = NULL;
	g_autofree char *text = NULL;

	g_assert_no_error(error);
	local = config_find_local(config->displays, "hall");
	g_assert_cmpstr(local->device, ==, "/dev/dri/card1");
	g_assert_cmpstr(local->connector, ==, "");
	g_assert_cmpstr(local->profile, ==, "screen");
	g_assert_cmpstr(local->viewer.cameras->pdata[0], ==, "cam0");
	g_assert_cmpuint(local->width * 10000 + local->height, ==, 6400480);
	g_assert_cmpuint(local->copy, ==, 1);
	text = config_display_text(local);
	again = config_parse_display(text, strlen(text), &error);
	g_assert_no_error(error);
	g_assert_cmpstr(again->viewer.name, ==, "hall");
	g_assert_cmpstr(again->profile, ==, "screen");
	g_assert_cmpuint(again->width * 10000 + again->height, ==, 6400480);
	local = config_find_local(config->consumers, "analyser");
	g_assert_cmpuint(local->uid, ==, 1000);
	g_assert_cmpuint(local->sessions, ==, 2);
	g_assert_null(config_find_local(config->consumers, "hall"));
}

/* Who names no profile gets one that is encoded; who names the raw one gets that. */
static void test_preset(void)
{
	g_autoptr(volet_config) config = parse(RAW, NULL);
	const struct volet_camera_config *camera = config->cameras->pdata[0];
	g_autofree char *text = config_camera_text(camera);
	g_autoptr(volet_camera_config) again = config_parse_camera(text, strlen(text), NULL);

	g_assert_cmpint(config_profile(camera, "")->codec, ==, VOLET_CODEC_JPEG);
	g_assert_true(config_profile_is_raw(config_profile(camera, "screen")));
	g_assert_cmpuint(again->profiles->len, ==, 2);
	g_assert_true(config_profile_is_raw(config_profile(again, "screen")));
}

/* Pictures as they are need larger files than encoded ones do, and the process is limited to them. */
static void test_limits(void)
{
	g_autoptr(volet_config) without = parse(CAMERA "slot-size-kib = 64\n", NULL);
	g_autoptr(volet_config) with = parse(CAMERA "slot-size-kib = 64\n[profile cam0/screen]\n"
					     "codec = xrgb\n", NULL);
	const guint64 memory = memory_round_up(3 * memory_round_up(VOLET_SLOT_PAYLOAD + 640 * 480 * 4));

	g_assert_cmpuint(limits_file(without->cameras->pdata[0]), <, memory);
	g_assert_cmpuint(limits_file(with->cameras->pdata[0]), ==, memory);
}

static void test_errors(void)
{
	static const struct { const char *text, *wanted; } wrong[] = {
		{ RAW "[display hall]\nprofile = screen\n", "[display hall] camera: missing" },
		{ RAW "[display hall]\ncamera = cam9\nprofile = screen\n", "no camera \"cam9\"" },
		{ RAW "[display hall]\ncamera = cam0\nprofile = jpeg\n", "codec = xrgb" },
		{ RAW DISPLAY "device = card0\n", "is no device" },
		{ RAW DISPLAY "screen = 1\n", "unknown key" },
		{ RAW DISPLAY "copy = 2\n", "not a number from 0 to 1" },
		{ RAW DISPLAY "[display two]\ncamera = cam0\nprofile = screen\n", "a device of its own" },
		{ RAW "[local analyser]\ncameras = cam0\n", "uid: missing" },
		{ RAW "[local analyser]\ncameras = cam0\nuid = 0\n", "not a number from 1" },
		{ RAW "[local analyser]\ncameras = cam0\nuid = 65534\n", "a user of its own" },
		{ RAW "[local analyser]\ncameras = cam1\nuid = 5\n", "no camera \"cam1\"" },
		{ RAW CONSUMER "[local two]\nuid = 1000\ncameras = cam0\n", "[local analyser] has it" },
		{ RAW DISPLAY "[local hall]\nuid = 1000\ncameras = cam0\n", "names that differ" },
		{ CAMERA "[profile cam0/jpeg]\ncodec = xrgb\n", "add [profile cam0/NAME]" },
		{ CAMERA "[profile cam0/raw]\ncodec = xrgb\nquality = 5\n", "a key of codec = jpeg" },
		{ CAMERA "[profile cam0/raw]\ncodec = xrgb\nbitrate-kbit = 500\n", "codec = h264" },
		{ CAMERA "[profile cam0/raw]\ncodec = xrgb\nencoder = hardware\n", "jpeg and h264" },
	};
	unsigned int i;

	for (i = 0; i < G_N_ELEMENTS(wrong); i++) {
		g_autoptr(GError) error = NULL;

		g_assert_null(parse(wrong[i].text, &error));
		g_assert_error(error, VOLET_CONFIG_ERROR, 0);
		if (!strstr(error->message, wrong[i].wanted))
			g_error("%s: has no \"%s\"", error->message, wrong[i].wanted);
	}
}

/* ---- pictures ------------------------------------------------------------------------- */

/* Colours as BT.601 has them with the full range, to one step. */
static void test_colours(void)
{
	static const struct { guint8 y, u, v, b, g, r; } colours[] = {
		{ 0, 128, 128, 0, 0, 0 }, { 255, 128, 128, 255, 255, 255 },
		{ 76, 85, 255, 0, 0, 254 }, { 150, 44, 21, 1, 255, 0 }, { 29, 255, 107, 254, 0, 0 },
		{ 90, 128, 128, 90, 90, 90 },
	};
	guint8 y[8], uv[4], out[16];
	guint i;

	for (i = 0; i < G_N_ELEMENTS(colours); i++) {
		memset(y, colours[i].y, sizeof(y));
		uv[0] = uv[2] = colours[i].u;
		uv[1] = uv[3] = colours[i].v;
		xrgb_nv12(out, y, uv, 4, 2, 2);
		g_assert_cmpint(ABS(out[12] - colours[i].b), <=, 1);
		g_assert_cmpint(ABS(out[13] - colours[i].g), <=, 1);
		g_assert_cmpint(ABS(out[14] - colours[i].r), <=, 1);
		g_assert_cmpuint(out[15], ==, 255);
	}
}

/* As a profile's encode: made smaller, each one a key, and forgotten when nobody watches. */
static void test_encode(void)
{
	const struct volet_profile_config profile = {
		.name = "screen", .codec = VOLET_CODEC_XRGB, .width = 16, .height = 16,
	};
	struct encode *encode = encode_new(&profile, 32, 32, -1, NULL);
	guint8 y[32 * 32], uv[32 * 16];
	const struct raw_picture picture = {
		.y = y, .uv = uv, .stride = 32, .captured_ns = 1, .dmabuf = -1,
	};
	const guint8 *data;
	gboolean key = FALSE;
	gsize length, i;

	memset(uv, 128, sizeof(uv));
	for (i = 0; i < sizeof(y); i++)
		y[i] = i % 32 < 16 ? 10 : 200;
	g_assert_true(encode_key_due(encode, 1));
	g_assert_true(encode_picture(encode, &picture, &key, &data, &length, NULL));
	g_assert_true(key);
	g_assert_cmpuint(length, ==, 16 * 16 * 4);
	g_assert_cmpuint(length, ==, encode_raw_size(&profile));
	g_assert_cmpuint(data[5 * 64 + 4 * 7 + 1], ==, 10);
	g_assert_cmpuint(data[5 * 64 + 4 * 8 + 1], ==, 200);
	encode_forget(encode);
	for (i = 0; i < length; i++)
		g_assert_cmpuint(data[i], ==, 0);
	encode_free(encode);
}

/* ---- buffers that are handed up --------------------------------------------------------- */

static const char *take(const struct volet_frame_buffers *buffers, const int *fds, guint n,
			enum handed_result wanted)
{
	struct handed handed;
	const char *why;

	g_assert_cmpint(handed_take(&handed, buffers, fds, n, 64, 48, &why), ==, wanted);
	g_assert_cmpuint(handed.n, ==, 0);
	return why;
}

static void test_handed_wrong(void)
{
	const struct volet_frame_buffers good = {
		.n = 2, .width = 64, .height = 48, .pitch = 256, .size = 12288,
	}, none = { 0 };
	struct volet_frame_buffers bad[] = { good, good, good, good, good, good, good, good };
	int fds[2], i;

	for (i = 0; i < 2; i++) {
		fds[i] = memfd_create("picture", MFD_CLOEXEC);
		g_assert_cmpint(ftruncate(fds[i], 12288), ==, 0);
	}
	g_assert_cmpstr(take(&good, fds, 2, HANDED_WRONG), ==, "a descriptor that is no DMA-buf");
	g_assert_nonnull(take(&none, NULL, 0, HANDED_REFUSED));
	bad[0].n = 3;
	bad[1].n = UINT32_MAX;
	bad[2].pitch = 252;
	bad[3].pitch = UINT32_MAX - 3;
	bad[4].offset = UINT64_MAX - 3;
	bad[5].offset = 4;
	bad[6].size = UINT64_MAX;
	bad[7].height = 50;
	for (i = 0; i < (int)G_N_ELEMENTS(bad); i++)
		g_assert_cmpstr(take(&bad[i], fds, 2, HANDED_WRONG), !=,
				"a descriptor that is no DMA-buf");
	for (i = 0; i < 2; i++)
		close(fds[i]);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/local/groups", test_groups);
	g_test_add_func("/local/preset", test_preset);
	g_test_add_func("/local/limits", test_limits);
	g_test_add_func("/local/errors", test_errors);
	g_test_add_func("/local/colours", test_colours);
	g_test_add_func("/local/encode", test_encode);
	g_test_add_func("/local/handed-wrong", test_handed_wrong);
	return g_test_run();
}
