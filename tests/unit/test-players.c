// SPDX-License-Identifier: MIT
/* volet-rtsp seen by the players that people have: ffmpeg and GStreamer, if they are here. */
#include <glib.h>
#include <string.h>

#include "rtsp-show.h"

#define PICTURES 15

/* Run a command line with the URL in place of %s; its output. */
static char *play(const char *format, const char *user, unsigned int port, int *status)
{
	g_autofree char *url = g_strdup_printf("rtsp://%s@127.0.0.1:%u/cam0", user, port);
	g_auto(GStrv) words = g_strsplit(format, " ", -1);
	g_autoptr(GError) error = NULL;
	char *out = NULL;
	int i;

	for (i = 0; words[i]; i++) {
		if (strstr(words[i], "URL")) {
			g_auto(GStrv) parts = g_strsplit(words[i], "URL", 2);

			g_free(words[i]);
			words[i] = g_strconcat(parts[0], url, parts[1], NULL);
		}
	}
	if (!g_spawn_sync(NULL, words, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out, NULL, status, &error))
		g_error("%s", error->message);
	return out;
}

/* Distinct ends, from the last `from` on, of lines with `mark`: each tells a decoded picture. */
static unsigned int count_pictures(const char *out, const char *mark, char from)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_auto(GStrv) lines = g_strsplit(out, "\n", -1);
	int i;

	for (i = 0; lines[i]; i++) {
		if (strstr(lines[i], mark) && strrchr(lines[i], from) && lines[i][0] != '#')
			g_hash_table_add(seen, g_strdup(strrchr(lines[i], from)));
	}
	return g_hash_table_size(seen);
}

static gpointer one_session(gpointer fake)
{
	struct fake_result *result = g_new(struct fake_result, 1);

	*result = fake_wait(fake_accept(fake));
	return result;
}

static bool have(const char *name)
{
	g_autofree char *path = g_find_program_in_path(name);

	if (!path)
		g_test_skip_printf("%s is not installed", name);
	return path != NULL;
}

#define FFMPEG "timeout -k 1 60 ffmpeg -nostdin -v error -rtsp_transport tcp -i URL -fps_mode " \
	"passthrough -frames:v 15 -f framemd5 -"

/* Without GIO's modules: one of them asks a desktop's settings, and aborts where there are none. */
#define GSTREAMER "timeout -k 1 60 env GIO_MODULE_DIR=/nowhere gst-launch-1.0 -v rtspsrc location=URL protocols=tcp ! " \
	"rtpjpegdepay ! jpegdec ! identity eos-after=15 silent=false ! fakesink"

/* One player on one session; how many different pictures it showed. */
static unsigned int run_player_of(bool h264, const char *format, const char *user, const char *mark,
				  char from, int *status, struct fake_result *result)
{
	struct fake *fake = fake_new(&(struct fake_config){ .program = show_program, .h264 = h264 });
	GThread *thread = g_thread_new("session", one_session, fake);
	g_autofree char *out = play(format, user, fake_port(fake), status);
	g_autofree struct fake_result *got = g_thread_join(thread);

	*result = *got;
	g_clear_pointer(&result->log, g_free);
	fake_free(fake);
	return count_pictures(out, mark, from);
}

static unsigned int run_player(const char *format, const char *user, const char *mark, char from,
			       int *status, struct fake_result *result)
{
	return run_player_of(false, format, user, mark, from, status, result);
}

static void test_ffmpeg(void)
{
	struct fake_result result;
	int status;

	if (!have("ffmpeg"))
		return;
	g_assert_cmpuint(run_player(FFMPEG, "alice:right", ",", ' ', &status, &result), >=,
			 PICTURES - 1);
	g_assert_cmpint(status, ==, 0);
	g_assert_cmpuint(result.reason, ==, VOLET_REASON_CLIENT_GONE);
}

static void test_ffmpeg_refused(void)
{
	struct fake_result result;
	int status;

	if (!have("ffmpeg"))
		return;
	g_assert_cmpuint(run_player(FFMPEG, "alice:wrong", ",", ' ', &status, &result), ==, 0);
	g_assert_cmpint(status, !=, 0);
	g_assert_false(result.granted);
}

static void test_gstreamer(void)
{
	struct fake_result result;
	int status;

	if (!have("gst-launch-1.0"))
		return;
	/* identity says a line of each picture, with its own address and times */
	g_assert_cmpuint(run_player(GSTREAMER, "alice:right", "chain", '(', &status, &result), >=,
			 PICTURES - 1);
	g_assert_cmpint(status, ==, 0);
	g_assert_cmpuint(result.reason, ==, VOLET_REASON_CLIENT_GONE);
}

#ifdef HAVE_OPENH264
/* No decoder is needed to see that access units come whole, and from a key frame on. */
#define GSTREAMER_H264 "timeout -k 1 60 gst-launch-1.0 -v rtspsrc location=URL protocols=tcp ! " \
	"rtph264depay ! video/x-h264,stream-format=byte-stream,alignment=au ! " \
	"identity eos-after=15 silent=false ! fakesink"

static void test_h264_ffmpeg(void)
{
	struct fake_result result;
	int status;

	if (!have("ffmpeg"))
		return;
	g_assert_cmpuint(run_player_of(true, FFMPEG, "alice:right", ",", ' ', &status, &result), >=,
			 PICTURES - 1);
	g_assert_cmpint(status, ==, 0);
	g_assert_cmpuint(result.need_keys, ==, 0);
	g_assert_cmpuint(result.reason, ==, VOLET_REASON_CLIENT_GONE);
}

static void test_h264_gstreamer(void)
{
	struct fake_result result;
	int status;

	if (!have("gst-launch-1.0"))
		return;
	g_assert_cmpuint(run_player_of(true, GSTREAMER_H264, "alice:right", "chain", '(', &status,
				       &result), >=, PICTURES - 1);
	g_assert_cmpint(status, ==, 0);
	g_assert_cmpuint(result.reason, ==, VOLET_REASON_CLIENT_GONE);
}

/* SDP says what it is before there is a picture. */
static void test_h264_sdp(void)
{
	struct show s = open_show(&(struct fake_config){ .h264 = true });
	g_autofree char *auth = NULL, *text = NULL;

	g_assert_cmpint(client_request(s.client, "DESCRIBE", NULL, NULL, TIMEOUT_MS, NULL), ==, 401);
	auth = client_authorization(s.client, "alice", "right", "DESCRIBE", s.client->url);
	g_assert_cmpint(client_request(s.client, "DESCRIBE", NULL, auth, TIMEOUT_MS, &text), ==, 200);
	g_assert_nonnull(strstr(text, "H264/90000"));
	g_assert_nonnull(strstr(text, "packetization-mode=1"));
	g_assert_nonnull(strstr(text, "profile-level-id=42c0"));
	g_assert_nonnull(strstr(text, "sprop-parameter-sets="));
	g_free(close_show(&s, VOLET_REASON_CLIENT_GONE).log);
}
#endif

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	show_init();
	g_test_add_func("/players/ffmpeg", test_ffmpeg);
	g_test_add_func("/players/ffmpeg-refused", test_ffmpeg_refused);
	g_test_add_func("/players/gstreamer", test_gstreamer);
#ifdef HAVE_OPENH264
	g_test_add_func("/players/h264/ffmpeg", test_h264_ffmpeg);
	g_test_add_func("/players/h264/gstreamer", test_h264_gstreamer);
	g_test_add_func("/players/h264/sdp", test_h264_sdp);
#endif
	return g_test_run();
}
