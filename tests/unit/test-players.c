// SPDX-License-Identifier: MIT
/* volet-rtsp seen by the players that people have: ffmpeg and GStreamer, if they are here. */
#include <glib.h>
#include <string.h>

#include "players.h"
#include "rtsp-show.h"

#define FFMPEG "timeout -k 1 60 ffmpeg -nostdin -v error -rtsp_transport tcp -i $URL -fps_mode " \
	"passthrough -frames:v 15 -f framemd5 -"

/* Without GIO's modules: one of them asks a desktop's settings, and aborts where there are none. */
#define GSTREAMER "GIO_MODULE_DIR=/nowhere timeout -k 1 60 gst-launch-1.0 -v rtspsrc location=$URL " \
	"protocols=tcp ! "
#define IDENTITY " ! identity eos-after=15 silent=false ! fakesink"

static const struct fake_config jpeg = { 0 };

/* One player on one session; what it printed. */
static char *run(const struct fake_config *config, const char *who, const char *line, int *status,
		 struct fake_result *result)
{
	struct fake_config full = *config;

	full.program = show_program;
	return players_run(&full, who, line, status, result);
}

static void ffmpeg_shows(const struct fake_config *config, struct fake_result *result)
{
	g_autofree char *out = NULL;
	int status;

	out = run(config, "rtsp://alice:right", FFMPEG, &status, result);
	players_assert_shown(players_count(out, ",", ' '), status, result);
}

static void gstreamer_shows(const struct fake_config *config, const char *line)
{
	struct fake_result result;
	g_autofree char *out = NULL;
	int status;

	/* identity says a line of each picture, with its own address and times */
	out = run(config, "rtsp://alice:right", line, &status, &result);
	players_assert_shown(players_count(out, "chain", '('), players_gstreamer_status(out), &result);
}

static void test_ffmpeg(void)
{
	struct fake_result result;

	if (players_have("ffmpeg"))
		ffmpeg_shows(&jpeg, &result);
}

static void test_ffmpeg_refused(void)
{
	struct fake_result result;
	g_autofree char *out = NULL;
	int status;

	if (!players_have("ffmpeg"))
		return;
	out = run(&jpeg, "rtsp://alice:wrong", FFMPEG, &status, &result);
	g_assert_cmpuint(players_count(out, ",", ' '), ==, 0);
	g_assert_cmpint(status, !=, 0);
	g_assert_false(result.granted);
}

static void test_gstreamer(void)
{
	if (players_have("gst-launch-1.0"))
		gstreamer_shows(&jpeg, GSTREAMER "rtpjpegdepay ! jpegdec" IDENTITY);
}

#ifdef HAVE_OPENH264
static const struct fake_config video = { .h264 = true };

static void test_h264_ffmpeg(void)
{
	struct fake_result result;

	if (!players_have("ffmpeg"))
		return;
	ffmpeg_shows(&video, &result);
	g_assert_cmpuint(result.need_keys, ==, 0);
}

static void test_h264_gstreamer(void)
{
	/* No decoder is needed to see that access units come whole, and from a key frame on. */
	if (players_have("gst-launch-1.0"))
		gstreamer_shows(&video, GSTREAMER "rtph264depay ! "
				"video/x-h264,stream-format=byte-stream,alignment=au" IDENTITY);
}

/* SDP says what it is before there is a picture. */
static void test_h264_sdp(void)
{
	struct show s = open_show(&video);
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
