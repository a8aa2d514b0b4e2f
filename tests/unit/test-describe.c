// SPDX-License-Identifier: MIT
/*
 * DESCRIBE more than once on a connection, as programs ask that look first and play then: each
 * is answered alike, whenever it comes, and none of them lets a frame out from before PLAY.
 */
#include <glib.h>
#include <string.h>

#include "rtsp-show.h"

#define FRAMES	5
#define SPS	7

/* One DESCRIBE with a credential; its SDP. */
static char *describe(struct client *c)
{
	g_autofree char *authorization = client_authorization(c, "alice", "right", "DESCRIBE", NULL);
	g_autofree char *text = NULL, *cseq = NULL;

	g_assert_cmpint(client_request(c, "DESCRIBE", NULL, authorization, TIMEOUT_MS, &text), ==, 200);
	cseq = g_strdup_printf("CSeq: %u\r\n", c->cseq);
	g_assert_nonnull(strstr(text, cseq));
	g_assert_nonnull(strstr(text, "Content-Type: application/sdp\r\n"));
	g_assert_nonnull(strstr(text, "Content-Base: rtsp://127.0.0.1:"));
	return g_strdup(strstr(text, "\r\n\r\n") + 4);
}

static void describe_again(struct client *c, const char *sdp)
{
	g_autofree char *again = describe(c);

	g_assert_cmpstr(again, ==, sdp);
}

static void none_yet(struct client *c)
{
	client_read_frames(c, 1, 60);
	g_assert_cmpuint(c->frames->len, ==, 0);
}

/* PLAY, and frames that were captured after it, the first one to begin with. */
static void play(struct client *c)
{
	uint64_t asked = (uint64_t)g_get_monotonic_time() * 1000;
	guint i, before = c->frames->len;
	const struct client_frame *frame;

	client_play(c);
	client_read_frames(c, before + FRAMES, TIMEOUT_MS);
	g_assert_cmpuint(c->frames->len, >=, before + FRAMES);
	for (i = before; i < c->frames->len; i++) {
		frame = &g_array_index(c->frames, struct client_frame, i);
		if (!c->h264)
			g_assert_cmpuint(frame->scan.captured_ns, >, asked);
		else if (i == before)
			g_assert_cmpuint(frame->unit, ==, SPS);
	}
}

/* What is asked, in order: D for DESCRIBE, S for SETUP, P for PLAY, A for PAUSE. */
static void ask(const struct fake_config *config, const char *order)
{
	struct show s = open_show(config);
	g_autofree char *sdp = NULL;
	struct fake_result result;
	unsigned int plays = 0;

	s.client->h264 = config->h264;
	g_assert_cmpint(client_request(s.client, "DESCRIBE", NULL, NULL, TIMEOUT_MS, NULL), ==, 401);
	sdp = describe(s.client);
	g_assert_nonnull(strstr(sdp, config->h264 ? "H264/90000" : "m=video 0 RTP/AVP 26"));
	for (; *order; order++) {
		if (*order == 'D')
			describe_again(s.client, sdp);
		else if (*order == 'S')
			client_setup(s.client);
		else if (*order == 'A')
			g_assert_cmpint(client_request(s.client, "PAUSE", NULL, NULL, TIMEOUT_MS, NULL), ==, 200);
		else if (++plays)
			play(s.client);
		if (!plays)
			none_yet(s.client);
	}
	result = close_show(&s, VOLET_REASON_CLIENT_GONE);
	g_assert_cmpuint(result.auths, ==, 1);
	g_assert_cmpuint(result.starts, ==, plays);
}

static void ask_all(const struct fake_config *config)
{
	ask(config, "DDSP");
	ask(config, "SDPD");
	ask(config, "SPADPD");
}

static void test_jpeg(void)
{
	ask_all(&(struct fake_config){ .frame_bytes = 20000, .fps = 50 });
}

#ifdef HAVE_OPENH264
static void test_h264(void)
{
	ask_all(&(struct fake_config){ .h264 = true });
}
#endif

/* SETUP came first: what the server would need to describe it is in use. */
static void test_setup_first(void)
{
	struct show s = open_show(&(struct fake_config){ 0 });
	g_autofree char *url = g_strconcat(s.client->url, "/stream=0", NULL);
	g_autofree char *authorization = NULL, *headers = NULL;

	g_assert_cmpint(client_request(s.client, "SETUP", url, NULL, TIMEOUT_MS, NULL), ==, 401);
	authorization = client_authorization(s.client, "alice", "right", "SETUP", url);
	headers = g_strconcat("Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n", authorization, NULL);
	g_assert_cmpint(client_request(s.client, "SETUP", url, headers, TIMEOUT_MS, NULL), ==, 200);
	g_assert_cmpint(client_request(s.client, "DESCRIBE", NULL, NULL, TIMEOUT_MS, NULL), ==, 455);
	play(s.client);
	close_show(&s, VOLET_REASON_CLIENT_GONE);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	show_init();
	g_test_add_func("/describe/jpeg", test_jpeg);
#ifdef HAVE_OPENH264
	g_test_add_func("/describe/h264", test_h264);
#endif
	g_test_add_func("/describe/setup-first", test_setup_first);
	return g_test_run();
}
