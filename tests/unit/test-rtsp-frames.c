// SPDX-License-Identifier: MIT
/*
 * volet-rtsp from the outside: the real program between a false voletd with its camera
 * (fake.h) and clients good and bad. No device, no root, no other program is needed.
 * Here: frames that must not leave, and how it ends.
 */
#include <glib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "msg.h"
#include "rtsp-show.h"

static const struct fake_config good = { 0 };

/* ---- frames that must not leave ------------------------------------------------------ */

/* Play with a fault: nothing but `allowed` frames may arrive, and it ends as said. */
static void play_fault(enum fake_fault fault, unsigned int allowed, enum volet_reason reason)
{
	struct show s = open_show(&(struct fake_config){ .fault = fault });

	client_describe(s.client);
	client_setup(s.client);
	client_request(s.client, "PLAY", NULL, NULL, 0, NULL);
	g_assert_true(client_wait_gone(s.client, TIMEOUT_MS));
	g_assert_cmpuint(s.client->frames->len, <=, allowed);
	close_show(&s, reason);
}

static void test_foreign(void)
{
	play_fault(FAKE_FOREIGN_SESSION, 0, VOLET_REASON_FOREIGN_FRAME);
	play_fault(FAKE_FOREIGN_CAMERA, 0, VOLET_REASON_FOREIGN_FRAME);
	play_fault(FAKE_FOREIGN_SLOT, 0, VOLET_REASON_FOREIGN_FRAME);
}

/* The same with the check taken out: the foreign frame does leave. */
static void test_unchecked(void)
{
	struct show s;
	g_autofree char *log = NULL;

	if (!show_unchecked_program) {
		g_test_skip("no volet-rtsp with the fault \"unchecked\": set VOLET_RTSP_UNCHECKED");
		return;
	}
	s = open_show(&(struct fake_config){ .fault = FAKE_FOREIGN_CAMERA,
					     .program = show_unchecked_program });
	client_describe(s.client);
	client_setup(s.client);
	client_play(s.client);
	client_read_frames(s.client, 3, TIMEOUT_MS);
	g_assert_cmpuint(s.client->frames->len, >=, 3);
	g_assert_cmpstr(g_array_index(s.client->frames, struct client_frame, 0).scan.camera, ==, "cam1");
	client_free(s.client);
	log = fake_wait(s.session).log;
	g_assert_nonnull(strstr(log, "BUILT WITH THE FAULT \"unchecked\""));
	fake_free(s.fake);
}

static void test_stale_slot(void)
{
	play_fault(FAKE_STALE, 3, VOLET_REASON_STALE_SLOT);
	play_fault(FAKE_BEFORE_START, 0, VOLET_REASON_PROTOCOL);
}

static void test_memory(void)
{
	static const enum fake_fault faults[] = { FAKE_SHORT_MEMORY, FAKE_UNSEALED_MEMORY };
	size_t i;

	for (i = 0; i < G_N_ELEMENTS(faults); i++) {
		struct show s = open_show(&(struct fake_config){ .fault = faults[i] });
		g_autofree char *authorization = NULL;

		g_assert_cmpint(client_request(s.client, "DESCRIBE", NULL, NULL, TIMEOUT_MS, NULL), ==, 401);
		authorization = client_authorization(s.client, "alice", "right", "DESCRIBE", NULL);
		client_request(s.client, "DESCRIBE", NULL, authorization, 0, NULL);
		g_assert_true(client_wait_gone(s.client, TIMEOUT_MS));
		close_show(&s, VOLET_REASON_PROTOCOL);
	}
}

/* ---- ends ---------------------------------------------------------------------------- */

static void no_frame(enum fake_fault fault)
{
	struct show s = open_show(&(struct fake_config){ .fault = fault, .age_limit_ms = 500 });
	int status;

	client_describe(s.client);
	client_setup(s.client);
	/* The 5 s begin with START, which comes after PLAY. */
	status = client_request(s.client, "PLAY", NULL, NULL, 5000 + TIMEOUT_MS, NULL);
	g_assert_cmpint(status, ==, 503);
	g_assert_true(client_wait_gone(s.client, TIMEOUT_MS));
	g_assert_cmpuint(s.client->frames->len, ==, 0);
	close_show(&s, VOLET_REASON_NO_FRAME);
}

static void test_no_frame(void)
{
	no_frame(FAKE_NO_FRAMES);
}

static void test_old_frames(void)
{
	no_frame(FAKE_OLD);
}

/* The viewer hangs up: it is no missing frame or answer that ends it, nor 65 s of silence. */
static struct fake_result hang_up(struct show *s)
{
	gint64 left = g_get_monotonic_time();
	struct fake_result result = close_show(s, VOLET_REASON_CLIENT_GONE);

	g_assert_cmpint(result.ended_us - left, <, TIMEOUT_MS * 1000);
	return result;
}

/* The viewer goes while a request waits for a picture that doesn't come. */
static void test_vanish(void)
{
	struct show s = open_show(&(struct fake_config){ .fault = FAKE_NO_FRAMES });

	client_describe(s.client);
	client_setup(s.client);
	client_request(s.client, "PLAY", NULL, NULL, 0, NULL);
	fake_await(&fake_so_far(s.session)->starts, 1);
	g_assert_cmpuint(hang_up(&s).starts, ==, 1);
	/* while voletd is asked */
	s = open_show(&(struct fake_config){ .fault = FAKE_NO_NONCE });
	g_assert_cmpint(client_request(s.client, "OPTIONS", NULL, NULL, TIMEOUT_MS, NULL), ==, 200);
	client_request(s.client, "DESCRIBE", NULL, NULL, 0, NULL);
	fake_await(&fake_so_far(s.session)->nonces, 1);
	g_assert_cmpuint(hang_up(&s).nonces, ==, 1);
	/* in the middle of a request */
	s = open_show(&good);
	g_assert_cmpint(client_request(s.client, "OPTIONS", NULL, NULL, TIMEOUT_MS, NULL), ==, 200);
	client_send(s.client, "DESCRIBE rtsp://127.0.0.1/cam0 RTSP/1.0\r\nCSe", -1);
	g_usleep(200000);
	hang_up(&s);
	/* while it plays, with a reset instead of an end */
	s = open_show(&good);
	client_describe(s.client);
	client_setup(s.client);
	client_play(s.client);
	client_read_frames(s.client, 3, TIMEOUT_MS);
	g_assert_cmpint(setsockopt(s.client->fd, SOL_SOCKET, SO_LINGER,
		&(struct linger){ 1, 0 }, sizeof(struct linger)), ==, 0);
	hang_up(&s);
}

static void test_end(void)
{
	play_fault(FAKE_END, 20, VOLET_REASON_OWNER);
	play_fault(FAKE_CAMERA_HANGUP, 20, VOLET_REASON_CAMERA_GONE);
}

/*
 * 640 kB a second by the clock, for three seconds. False: this program or what it reads from stood
 * still so long that a frame may be old by that alone.
 */
static bool read_slowly(struct client *c)
{
	gint64 began = g_get_monotonic_time(), newest = began, now;
	uint64_t before = c->received;

	do {
		uint64_t had = c->received - before, due;

		g_usleep(20000);
		now = g_get_monotonic_time();
		due = (uint64_t)(now - began) * 64 / 100;
		c->read_max = CLAMP(due - MIN(due, had), 1, 32768);
		client_read_some(c);
		if (now - newest > G_USEC_PER_SEC / 5)
			return false;
		if (c->received - before > had)
			newest = now;
	} while (!c->gone && now - began < 3 * G_USEC_PER_SEC);
	return true;
}

/* A viewer that has read slowly: each of its frames takes a third of a second, of 20 captured in one. */
static struct show open_slow(void)
{
	const struct fake_config config = { .frame_bytes = 200000, .age_limit_ms = 1000 };
	int tries, window = 65536;

	for (tries = 0; tries < 10; tries++) {
		struct show s = open_show(&config);

		setsockopt(s.client->fd, SOL_SOCKET, SO_RCVBUF, &window, sizeof(window));
		client_describe(s.client);
		client_setup(s.client);
		client_play(s.client);
		if (read_slowly(s.client))
			return s;
		client_free(s.client);
		g_free(fake_wait(s.session).log);
		fake_free(s.fake);
	}
	g_error("no three seconds without a pause");
}

/* A viewer that doesn't read: frames are skipped whole, none is old, and then it is cut. */
static void test_slow(void)
{
	struct show s = open_slow();
	struct fake_result result;
	guint i;

	g_assert_false(s.client->gone);
	g_assert_cmpuint(s.client->frames->len, >=, 6);
	for (i = 0; i + 1 < s.client->frames->len; i++) {
		struct client_frame *f = &g_array_index(s.client->frames, struct client_frame, i);

		g_assert_cmpuint(f->bytes, ==, 200000);
		g_assert_cmpuint(f->received_ns - f->scan.captured_ns, <, 1350000000);
	}
	/* not at all: it is cut before it hangs up */
	fake_await(&fake_so_far(s.session)->leaves, 1);
	result = close_show(&s, VOLET_REASON_TOO_OLD);
	g_assert_cmpuint(result.sent.dropped, >, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	show_init();
	g_test_add_func("/rtsp-frames/foreign", test_foreign);
	g_test_add_func("/rtsp-frames/unchecked", test_unchecked);
	g_test_add_func("/rtsp-frames/stale-slot", test_stale_slot);
	g_test_add_func("/rtsp-frames/memory", test_memory);
	g_test_add_func("/rtsp-frames/no-frame", test_no_frame);
	g_test_add_func("/rtsp-frames/old-frames", test_old_frames);
	g_test_add_func("/rtsp-frames/vanish", test_vanish);
	g_test_add_func("/rtsp-frames/end", test_end);
	g_test_add_func("/rtsp-frames/slow", test_slow);
	return g_test_run();
}
