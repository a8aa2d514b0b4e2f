// SPDX-License-Identifier: MIT
/*
 * volet-rtsp from the outside: the real program between a false voletd with its camera
 * (fake.h) and clients good and bad. No device, no root, no other program is needed.
 * Here: what is asked and answered.
 */
#include <glib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "msg.h"
#include "rtsp-show.h"

#define SETUP_TCP "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"

static const struct fake_config good = { 0 };

/* ---- playing ------------------------------------------------------------------------ */

static void test_play(void)
{
	struct show s = open_show(&good);
	struct client_frame *frames;
	struct fake_result result;
	uint64_t asked;
	guint i;

	g_assert_cmpint(client_request(s.client, "OPTIONS", NULL, NULL, TIMEOUT_MS, NULL), ==, 200);
	client_describe(s.client);
	client_setup(s.client);
	g_usleep(300000);
	/* nobody watches yet: no frame was asked for */
	asked = (uint64_t)g_get_monotonic_time() * 1000;
	client_play(s.client);
	client_read_frames(s.client, 20, TIMEOUT_MS);
	g_assert_cmpuint(s.client->frames->len, >=, 20);
	g_assert_cmpuint(s.client->broken, ==, 0);
	frames = (struct client_frame *)(void *)s.client->frames->data;
	for (i = 0; i < 20; i++) {
		int64_t rtp, real;

		g_assert_cmpmem(frames[i].scan.magic, 8, "VOLETSCN", 8);
		g_assert_cmpstr(frames[i].scan.camera, ==, "cam0");
		g_assert_cmpuint(frames[i].bytes, ==, 20000);
		g_assert_cmpuint(frames[i].scan.captured_ns, >, asked);
		g_assert_cmpuint(frames[i].scan.sequence, >=, i ? frames[i - 1].scan.sequence + 1 : 0);
		/* RTP times tell capture times, to a tick of the 90 kHz clock */
		rtp = (int32_t)(frames[i].rtp_time - frames[0].rtp_time);
		real = (int64_t)(frames[i].scan.captured_ns - frames[0].scan.captured_ns) * 9 / 100000;
		g_assert_cmpint(ABS(rtp - real), <=, 2);
	}
	g_assert_cmpint(client_request(s.client, "TEARDOWN", NULL, NULL, TIMEOUT_MS, NULL), ==, 200);
	g_assert_true(client_wait_gone(s.client, TIMEOUT_MS));
	result = close_show(&s, VOLET_REASON_CLIENT_GONE);
	g_assert_cmpuint(result.starts, ==, 1);
	g_assert_cmpuint(result.nonces, ==, 1);
	g_assert_cmpuint(result.auths, ==, 1);
}

/*
 * Long enough for RTCP, which GStreamer sends each few seconds from the same thread as
 * frames: none may hold up the other for good.
 */
static void test_long(void)
{
	struct show s = open_show(&(struct fake_config){ .fps = 250, .frame_bytes = 3000 });
	guint before, i;

	client_describe(s.client);
	client_setup(s.client);
	client_play(s.client);
	for (i = 0; i < 6; i++) {
		before = s.client->frames->len;
		client_read_frames(s.client, G_MAXUINT, 2000);
		/* a busy machine may take longer, but not for good */
		client_read_frames(s.client, before + 21, TIMEOUT_MS);
		g_assert_cmpuint(s.client->frames->len, >, before + 20);
	}
	close_show(&s, VOLET_REASON_CLIENT_GONE);
}

/* What was captured in a pause is not shown after it, nor what was captured before. */
static void test_pause(void)
{
	struct show s = open_show(&good);
	struct fake_result result;
	guint round, before, i;
	uint64_t asked;

	client_describe(s.client);
	client_setup(s.client);
	for (round = 1; round <= 3; round++) {
		before = s.client->frames->len;
		asked = (uint64_t)g_get_monotonic_time() * 1000;
		client_play(s.client);
		client_read_frames(s.client, before + 10, TIMEOUT_MS);
		g_assert_cmpuint(s.client->frames->len, >=, before + 10);
		for (i = before; i < s.client->frames->len; i++)
			g_assert_cmpuint(g_array_index(s.client->frames, struct client_frame, i)
					 .scan.captured_ns, >, asked);
		g_assert_cmpint(client_request(s.client, "PAUSE", NULL, NULL, TIMEOUT_MS, NULL), ==, 200);
		fake_await(&fake_so_far(s.session)->stops, round);
		client_read_frames(s.client, G_MAXUINT, 400);
		i = s.client->frames->len;
		client_read_frames(s.client, G_MAXUINT, 300);
		g_assert_cmpuint(s.client->frames->len, ==, i);
	}
	g_assert_cmpint(client_request(s.client, "PAUSE", NULL, NULL, TIMEOUT_MS, NULL), ==, 455);
	result = close_show(&s, VOLET_REASON_CLIENT_GONE);
	g_assert_cmpuint(result.starts, ==, 3);
	g_assert_cmpuint(result.stops, ==, 3);
}

/* ---- who may ------------------------------------------------------------------------ */

static int ask_as(struct client *c, const char *viewer, const char *password, const char *url)
{
	g_autofree char *authorization =
		client_authorization(c, viewer, password, "DESCRIBE", url);

	return client_request(c, "DESCRIBE", url, authorization, TIMEOUT_MS, NULL);
}

static void test_password(void)
{
	struct show s = open_show(&good);
	struct fake_result result;

	g_assert_cmpint(client_request(s.client, "DESCRIBE", NULL, NULL, TIMEOUT_MS, NULL), ==, 401);
	g_assert_nonnull(s.client->nonce);
	g_assert_cmpint(ask_as(s.client, "alice", "wrong", NULL), ==, 401);
	g_assert_cmpint(ask_as(s.client, "bob", "right", NULL), ==, 401);
	/* the third ends it; nobody was granted anything */
	g_assert_cmpint(ask_as(s.client, "alice", "wrong", NULL), ==, 401);
	g_assert_true(client_wait_gone(s.client, TIMEOUT_MS));
	result = close_show(&s, VOLET_REASON_CREDENTIALS);
	g_assert_false(result.granted);
	g_assert_cmpuint(result.auths, ==, 3);
}

static void test_stale(void)
{
	struct show s = open_show(&(struct fake_config){ .stale_first = true });
	g_autofree char *old = NULL;

	g_assert_cmpint(client_request(s.client, "DESCRIBE", NULL, NULL, TIMEOUT_MS, NULL), ==, 401);
	old = g_strdup(s.client->nonce);
	g_assert_cmpint(ask_as(s.client, "alice", "right", NULL), ==, 401);
	g_assert_true(s.client->stale);
	g_assert_cmpstr(s.client->nonce, !=, old);
	g_assert_cmpint(ask_as(s.client, "alice", "right", NULL), ==, 200);
	close_show(&s, VOLET_REASON_CLIENT_GONE);
}

static void test_cameras(void)
{
	static const struct {
		const char *path;
		int status;
	} paths[] = {
		{ "nosuch", 404 }, { "down", 503 }, { "full", 453 }, { "a%62c", 404 },
		{ "..", 404 }, { "", 404 }, { "/cam0", 404 },
	};
	size_t i;

	for (i = 0; i < G_N_ELEMENTS(paths); i++) {
		struct show s = open_show(&good);
		g_autofree char *url = g_strdup_printf("rtsp://127.0.0.1:%u/%s", fake_port(s.fake),
						       paths[i].path);

		/* without credentials all paths look the same */
		g_assert_cmpint(client_request(s.client, "DESCRIBE", url, NULL, TIMEOUT_MS, NULL), ==, 401);
		g_assert_cmpint(ask_as(s.client, "alice", "right", url), ==, paths[i].status);
		g_assert_false(close_show(&s, VOLET_REASON_CLIENT_GONE).granted);
	}
}

/* A proof for one camera is none for another, and header fields come once. */
static void test_header(void)
{
	struct show s = open_show(&good);
	g_autofree char *other = g_strdup_printf("rtsp://127.0.0.1:%u/nosuch", fake_port(s.fake));
	g_autofree char *proof = NULL, *twice = NULL;

	g_assert_cmpint(client_request(s.client, "DESCRIBE", NULL, NULL, TIMEOUT_MS, NULL), ==, 401);
	proof = client_authorization(s.client, "alice", "right", "DESCRIBE", other);
	g_assert_cmpint(client_request(s.client, "DESCRIBE", NULL, proof, TIMEOUT_MS, NULL), ==, 401);
	g_free(proof);
	proof = client_authorization(s.client, "alice", "right", "DESCRIBE", NULL);
	twice = g_strconcat(proof, proof, NULL);
	g_assert_cmpint(client_request(s.client, "DESCRIBE", NULL, twice, TIMEOUT_MS, NULL), ==, 401);
	g_assert_cmpint(client_request(s.client, "DESCRIBE", NULL,
		"Authorization: Basic YWxpY2U6cmlnaHQ=\r\n", TIMEOUT_MS, NULL), ==, 401);
	g_assert_cmpint(client_request(s.client, "DESCRIBE", NULL,
		"Authorization: Digest \r\n", TIMEOUT_MS, NULL), ==, 401);
	/* only what asks for a stream binds */
	g_free(proof);
	proof = client_authorization(s.client, "alice", "right", "PLAY", NULL);
	g_assert_cmpint(client_request(s.client, "PLAY", NULL, proof, TIMEOUT_MS, NULL), ==, 455);
	g_assert_cmpuint(close_show(&s, VOLET_REASON_CLIENT_GONE).auths, ==, 0);
}

static void test_rebound(void)
{
	struct show s = open_show(&good);
	g_autofree char *url = g_strdup_printf("rtsp://127.0.0.1:%u/cam1", fake_port(s.fake));
	g_autofree char *authorization = NULL;

	client_describe(s.client);
	g_assert_cmpint(client_request(s.client, "DESCRIBE", url, NULL, TIMEOUT_MS, NULL), ==, 403);
	g_assert_true(client_wait_gone(s.client, TIMEOUT_MS));
	close_show(&s, VOLET_REASON_REBOUND);

	s = open_show(&good);
	client_describe(s.client);
	client_setup(s.client);
	authorization = client_authorization(s.client, "bob", "right", "PLAY", NULL);
	g_assert_cmpint(client_request(s.client, "PLAY", NULL, authorization, TIMEOUT_MS, NULL), ==, 403);
	close_show(&s, VOLET_REASON_REBOUND);
}

/* ---- what is not spoken ------------------------------------------------------------- */

static void test_refused(void)
{
	struct show s = open_show(&good);

	/* before and after the grant */
	g_assert_cmpint(client_request(s.client, "ANNOUNCE", NULL, NULL, TIMEOUT_MS, NULL), ==, 405);
	client_describe(s.client);
	g_assert_cmpint(client_request(s.client, "ANNOUNCE", NULL, NULL, TIMEOUT_MS, NULL), ==, 405);
	g_assert_cmpint(client_request(s.client, "RECORD", NULL, NULL, TIMEOUT_MS, NULL), ==, 405);
	g_assert_cmpint(client_request(s.client, "SET_PARAMETER", NULL, NULL, TIMEOUT_MS, NULL), ==, 405);
	g_assert_cmpint(client_request(s.client, "DESCRIBE", NULL, "Require: x\r\n", TIMEOUT_MS, NULL), ==, 551);
	g_assert_cmpint(client_request(s.client, "SETUP", NULL,
		"Transport: RTP/AVP;unicast;client_port=5000-5001\r\n", TIMEOUT_MS, NULL), ==, 461);
	g_assert_cmpint(client_request(s.client, "SETUP", NULL,
		"Transport: RTP/AVP;multicast\r\n", TIMEOUT_MS, NULL), ==, 461);
	g_assert_cmpint(client_request(s.client, "SETUP", NULL,
		"Transport: RTP/SAVP/TCP;unicast;interleaved=0-1\r\n", TIMEOUT_MS, NULL), ==, 461);
	g_assert_cmpint(client_request(s.client, "SETUP", NULL,
		"Transport: RTP/AVP/TCP;unicast;interleaved=0-1;mode=record\r\n", TIMEOUT_MS, NULL), ==, 461);
	/* one of several will do */
	g_assert_cmpint(client_request(s.client, "SETUP", NULL, "Transport: RTP/AVP;unicast;client_port="
		"5000-5001,RTP/AVP/TCP;unicast;destination=10.0.0.1;interleaved=4-5\r\n", TIMEOUT_MS, NULL), ==, 200);
	g_assert_cmpint(client_request(s.client, "GET_PARAMETER", NULL, NULL, TIMEOUT_MS, NULL), ==, 200);
	g_free(s.client->session);
	s.client->session = g_strdup("0123456789");
	g_assert_cmpint(client_request(s.client, "PLAY", NULL, NULL, TIMEOUT_MS, NULL), ==, 454);
	g_assert_cmpint(client_request(s.client, "SETUP", NULL, SETUP_TCP, TIMEOUT_MS, NULL), ==, 455);
	close_show(&s, VOLET_REASON_CLIENT_GONE);
}

static void send_only(const char *bytes, gssize n, int status, enum volet_reason reason)
{
	struct show s = open_show(&good);
	int got;

	client_send(s.client, bytes, n);
	got = client_response(s.client, TIMEOUT_MS, NULL);
	g_assert_cmpint(got, ==, status);
	g_assert_true(client_wait_gone(s.client, TIMEOUT_MS));
	g_assert_false(close_show(&s, reason).granted);
}

static void test_garbage(void)
{
	static const char noise[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 noise\r\n\r\n";
	g_autofree char *fill = g_strnfill(1 << 16, 'A');
	g_autofree char *longest = g_strconcat(fill, "\r\n\r\n", NULL);
	static const char data[] = "$\0\0\4abcd";

	send_only(noise, sizeof(noise), 400, VOLET_REASON_PROTOCOL);
	send_only("HELO there\r\n\r\n", -1, 400, VOLET_REASON_PROTOCOL);
	send_only("GET /cam0 HTTP/1.0\r\nx-sessioncookie: abc\r\n"
		  "Accept: application/x-rtsp-tunnelled\r\n\r\n", -1, 501, VOLET_REASON_PROTOCOL);
	send_only("POST /cam0 HTTP/1.0\r\nx-sessioncookie: abc\r\nContent-Length: 32767\r\n\r\n", -1, 0,
		  VOLET_REASON_PROTOCOL);
	send_only("RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n", -1, 0, VOLET_REASON_PROTOCOL);
	send_only(data, 8, 0, VOLET_REASON_PROTOCOL);
	send_only("DESCRIBE rtsp://h/cam0 RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 99999999\r\n\r\n", -1,
		  413, VOLET_REASON_PROTOCOL);
	send_only(longest, -1, 400, VOLET_REASON_PROTOCOL);
}

static void test_versions(void)
{
	struct show s = open_show(&good);

	client_send(s.client, "OPTIONS * RTSP/2.0\r\nCSeq: 1\r\n\r\n", -1);
	g_assert_cmpint(client_response(s.client, TIMEOUT_MS, NULL), ==, 505);
	client_send(s.client, "OPTIONS * RTSP/1.0\r\nCSeq: 3\r\n\r\n", -1);
	g_assert_cmpint(client_response(s.client, TIMEOUT_MS, NULL), ==, 200);
	client_send(s.client, "OPTIONS * RTSP/1.0\r\n\r\n", -1);
	g_assert_cmpint(client_response(s.client, TIMEOUT_MS, NULL), ==, 400);
	g_assert_true(client_wait_gone(s.client, TIMEOUT_MS));
	close_show(&s, VOLET_REASON_PROTOCOL);
}

/* Started by hand, without what volet-spawn gives it, it doesn't run. */
static void test_start(void)
{
	g_autofree char *err = NULL;
	const char *argv[] = { show_program, NULL };
	int status;

	g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, NULL, &err,
				   &status, NULL));
	g_assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	g_assert_true(g_str_has_prefix(err, "volet-rtsp[-]: refused to run: started "));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	show_init();
	g_test_add_func("/rtsp/start", test_start);
	g_test_add_func("/rtsp/play", test_play);
	g_test_add_func("/rtsp/long", test_long);
	g_test_add_func("/rtsp/pause", test_pause);
	g_test_add_func("/rtsp/password", test_password);
	g_test_add_func("/rtsp/stale", test_stale);
	g_test_add_func("/rtsp/cameras", test_cameras);
	g_test_add_func("/rtsp/header", test_header);
	g_test_add_func("/rtsp/rebound", test_rebound);
	g_test_add_func("/rtsp/refused", test_refused);
	g_test_add_func("/rtsp/garbage", test_garbage);
	g_test_add_func("/rtsp/versions", test_versions);
	return g_test_run();
}
