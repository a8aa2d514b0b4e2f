// SPDX-License-Identifier: MIT
/*
 * Profiles from the encoder to the session, with OpenH264's own decoder as the viewer: what a
 * gap and a join on a difference do to pixels, and that no session of ours gets either.
 */
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <wels/codec_api.h>

#include "capture.h"
#include "encode.h"
#include "msg.h"
#include "sandbox.h"
#include "sessions.h"

#define WIDTH		320
#define HEIGHT		192
#define LUMA		(WIDTH * HEIGHT)
#define SLOTS		4
#define SLOT_SIZE	(256u * 1024)
#define FRAMES		24
#define SECOND		G_GUINT64_CONSTANT(1000000000)

static const struct volet_profile_config video = {
	.name = "video", .codec = VOLET_CODEC_H264, .width = WIDTH, .height = HEIGHT,
	.bitrate_kbit = 600,
};

/* A texture that moves: each picture differs from the one before nearly everywhere. */
static void draw(guint8 *pic, guint n)
{
	guint x, y;

	for (y = 0; y < HEIGHT; y++)
		for (x = 0; x < WIDTH; x++)
			pic[y * WIDTH + x] = (guint8)(((x + 5 * n) * 3 ^ (y + 2 * n) * 5) & 0xe0);
	memset(pic + LUMA, (int)(100 + n % 50), LUMA / 2);
}

/* ---- a viewer's decoder --------------------------------------------------------------- */

static ISVCDecoder *decoder_new(void)
{
	SDecodingParam param = {
		.eEcActiveIdc = ERROR_CON_FRAME_COPY, .uiTargetDqLayer = 255,
		.sVideoProperty.eVideoBsType = VIDEO_BITSTREAM_AVC,
	};
	ISVCDecoder *dec = NULL;
	int quiet = WELS_LOG_QUIET;

	g_assert_cmpint(WelsCreateDecoder(&dec), ==, 0);
	(*dec)->SetOption(dec, DECODER_OPTION_TRACE_LEVEL, &quiet);
	g_assert_cmpint((*dec)->Initialize(dec, &param), ==, 0);
	return dec;
}

static void decoder_free(ISVCDecoder *dec)
{
	(*dec)->Uninitialize(dec);
	WelsDestroyDecoder(dec);
}

/* What is displayed after this frame, as a number; 0 when nothing is. */
static guint shown(ISVCDecoder *dec, const guint8 *data, gsize length)
{
	unsigned char *planes[3] = { NULL };
	SBufferInfo info = { 0 };
	guint hash = 5381, x, y;

	(*dec)->DecodeFrameNoDelay(dec, data, (int)length, planes, &info);
	if (info.iBufferStatus != 1)
		return 0;
	for (y = 0; y < HEIGHT; y++)
		for (x = 0; x < WIDTH; x++)
			hash = hash * 33 + planes[0][y * (guint)info.UsrData.sSystemBuffer.iStride[0] + x];
	return hash | 1;
}

/* `*key` says whether it is a key frame. */
static GBytes *encode_one(struct encode *e, guint n, guint64 when, gboolean *key)
{
	g_autofree guint8 *pic = g_malloc(LUMA * 3 / 2);
	g_autoptr(GError) error = NULL;
	const struct raw_picture picture = {
		.y = pic, .uv = pic + LUMA, .stride = WIDTH, .captured_ns = when, .dmabuf = -1,
	};
	const guint8 *data;
	gsize length;

	draw(pic, n);
	g_assert_true(encode_picture(e, &picture, key, &data, &length, &error));
	g_assert_no_error(error);
	return g_bytes_new(data, length);
}

/* ---- the faults ------------------------------------------------------------------------ */

/* One key frame and differences, and what a viewer of all of them displays. */
static void clean_run(GBytes *frames[FRAMES], guint right[FRAMES])
{
	struct encode *e = encode_new(&video, WIDTH, HEIGHT, -1, NULL);
	ISVCDecoder *dec = decoder_new();
	guint i;

	for (i = 0; i < FRAMES; i++) {
		gboolean key;

		frames[i] = encode_one(e, i, SECOND + i * SECOND / 25, &key);
		g_assert_cmpint(key, ==, i == 0);
		right[i] = shown(dec, g_bytes_get_data(frames[i], NULL), g_bytes_get_size(frames[i]));
		g_assert_cmpuint(right[i], !=, 0);
	}
	decoder_free(dec);
	encode_free(e);
}

static guint count_wrong(GBytes *frames[FRAMES], const guint right[FRAMES], guint from, guint to)
{
	ISVCDecoder *dec = decoder_new();
	guint i, wrong = 0;

	for (i = 0; i < FRAMES; i++) {
		guint hash;

		if (i >= from && i < to)
			continue;
		hash = shown(dec, g_bytes_get_data(frames[i], NULL), g_bytes_get_size(frames[i]));
		wrong += hash && hash != right[i];
	}
	decoder_free(dec);
	return wrong;
}

/* Without protection: going on after a gap, or joining on a difference, displays wrong pixels. */
static void test_fault_bites(void)
{
	GBytes *frames[FRAMES];
	guint right[FRAMES], i;

	clean_run(frames, right);
	g_assert_cmpuint(count_wrong(frames, right, 0, 0), ==, 0);
	/* One frame lost. */
	g_assert_cmpuint(count_wrong(frames, right, 7, 8), ==, FRAMES - 8);
	/* PAUSE after the third and PLAY again at the thirteenth, with the decoder that was there. */
	g_assert_cmpuint(count_wrong(frames, right, 3, 12), ==, FRAMES - 12);
	for (i = 0; i < FRAMES; i++)
		g_bytes_unref(frames[i]);
}

/* ---- sessions -------------------------------------------------------------------------- */

struct viewer {
	int sock;
	const guint8 *map;
	ISVCDecoder *dec;
	gboolean holds;			/* takes frames and releases none */
	struct { guint slot; guint64 generation; } held[SLOTS];
	guint n_held, frames, keys;
	guint64 bytes;
	gboolean first_is_key, started;
};

static void ignore_report(const struct volet_bus_session *account G_GNUC_UNUSED,
			  gpointer data G_GNUC_UNUSED)
{
}

static void sessions_begin(struct sessions *s, struct encode *e, struct sessions_profile *profile)
{
	*profile = (struct sessions_profile) {
		.name = "video", .codec = VOLET_CODEC_H264, .width = WIDTH, .height = HEIGHT,
	};
	profile->n_parameters = encode_parameters(e, profile->parameters);
	g_assert_cmpuint(profile->n_parameters, >, 8);
	sessions_init(s, &(struct sessions_config) {
		.camera = "cam0", .slots = SLOTS, .slot_size = SLOT_SIZE, .profiles = profile,
		.n_profiles = 1, .udmabuf = -1, .report = ignore_report,
	});
}

static void viewer_join(struct sessions *s, struct viewer *v, guint8 id)
{
	struct volet_bus_grant grant = {
		.camera = "cam0", .profile = "video", .viewer = "alice",
		.granted_ns = capture_now(), .age_limit_ms = 60000, .session.b = { id },
	};
	int pair[2], fds[MSG_FDS_MAX];
	struct volet_frame msg;
	unsigned int n;

	memset(v, 0, sizeof(*v));
	g_assert_cmpint(msg_pair(pair), ==, 0);
	g_assert_true(sessions_grant(s, &grant, pair[1]));
	v->sock = pair[0];
	g_assert_cmpint(msg_recv(v->sock, &msg, sizeof(msg), fds, &n), ==, 0);
	g_assert_cmpstr(msg.memory.profile, ==, "video");
	g_assert_cmpuint(msg.memory.n_parameters, >, 8);
	v->map = mmap(NULL, SLOTS * SLOT_SIZE, PROT_READ, MAP_SHARED, fds[0], 0);
	g_assert_true(v->map != MAP_FAILED);
	close(fds[0]);
	v->dec = decoder_new();
}

static void viewer_leave(struct viewer *v)
{
	munmap((void *)v->map, SLOTS * SLOT_SIZE);
	close(v->sock);
	decoder_free(v->dec);
}

static void viewer_say(struct sessions *s, struct viewer *v, guint32 type)
{
	struct volet_frame msg = { .type = type };

	g_assert_cmpint(msg_send(v->sock, &msg, sizeof(msg), NULL, 0), ==, 0);
	v->started = type == VOLET_FRAME_START;
	sessions_read(s);
}

static void viewer_release(struct sessions *s, struct viewer *v)
{
	while (v->n_held) {
		struct volet_frame msg = { .type = VOLET_FRAME_RELEASE };

		v->n_held--;
		msg.release.slot = v->held[v->n_held].slot;
		msg.release.generation = v->held[v->n_held].generation;
		g_assert_cmpint(msg_send(v->sock, &msg, sizeof(msg), NULL, 0), ==, 0);
	}
	sessions_read(s);
}

/* Take what has come and display it; each must be what the clean viewer displays. */
static void viewer_take(struct sessions *s, struct viewer *v, const GHashTable *right)
{
	struct volet_frame msg;
	int fds[MSG_FDS_MAX];
	unsigned int n;

	while (!msg_recv(v->sock, &msg, sizeof(msg), fds, &n)) {
		guint hash;

		g_assert_cmpuint(msg.type, ==, VOLET_FRAME_READY);
		if (v->started) {
			v->first_is_key = msg.ready.flags & VOLET_STAMP_KEY;
			g_assert_true(v->first_is_key);
			v->started = FALSE;
		}
		hash = shown(v->dec, v->map + msg.ready.slot * SLOT_SIZE + VOLET_SLOT_PAYLOAD,
			     msg.ready.length);
		if (right)
			g_assert_cmpuint(hash, ==, GPOINTER_TO_UINT(g_hash_table_lookup(
				(GHashTable *)right, GUINT_TO_POINTER((guint)msg.ready.sequence))));
		v->frames++;
		v->bytes += msg.ready.length;
		v->keys += msg.ready.flags & VOLET_STAMP_KEY;
		v->held[v->n_held].slot = msg.ready.slot;
		v->held[v->n_held++].generation = msg.ready.generation;
	}
	if (!v->holds)
		viewer_release(s, v);
}

/* As camera.c does it: one frame to all who are to have it. Whether it was encoded, and right. */
static gboolean produce_at(struct sessions *s, struct encode *e, guint n, guint64 now,
			   ISVCDecoder *clean, GHashTable *right)
{
	struct session_frame frame = { .camera = "cam0", .captured_ns = now, .sequence = n };
	g_autoptr(GBytes) bytes = NULL;

	if (!sessions_claim(s, 0, now, now, encode_key_due(e, now)))
		return FALSE;
	bytes = encode_one(e, n, now, &frame.key);
	frame.data = g_bytes_get_data(bytes, &frame.length);
	if (clean)
		g_hash_table_insert(right, GUINT_TO_POINTER(n),
				    GUINT_TO_POINTER(shown(clean, frame.data, frame.length)));
	sessions_deliver(s, &frame);
	return TRUE;
}

static gboolean produce(struct sessions *s, struct encode *e, guint n, ISVCDecoder *clean,
			GHashTable *right)
{
	return produce_at(s, e, n, capture_now(), clean, right);
}

/* One who holds all slots for a while, one who stops and joins again: right pixels or none. */
static void test_held(void)
{
	g_autoptr(GHashTable) right = g_hash_table_new(NULL, NULL);
	struct encode *e = encode_new(&video, WIDTH, HEIGHT, -1, NULL);
	ISVCDecoder *clean = decoder_new();
	struct viewer quick, slow, joiner;
	struct sessions_profile profile;
	struct sessions s;
	guint64 begin;
	guint n;

	begin = capture_now();
	sessions_begin(&s, e, &profile);
	viewer_join(&s, &quick, 1);
	viewer_join(&s, &slow, 2);
	viewer_join(&s, &joiner, 3);
	viewer_say(&s, &quick, VOLET_FRAME_START);
	viewer_say(&s, &slow, VOLET_FRAME_START);
	for (n = 1; n <= 100; n++) {
		slow.holds = n > 10 && n <= 30;
		if (n == 20)
			viewer_say(&s, &joiner, VOLET_FRAME_START);
		if (n == 60)
			viewer_say(&s, &joiner, VOLET_FRAME_STOP);
		if (n == 66)
			viewer_say(&s, &joiner, VOLET_FRAME_START);
		g_assert_true(produce(&s, e, n, clean, right));
		viewer_take(&s, &quick, right);
		viewer_take(&s, &slow, right);
		viewer_take(&s, &joiner, right);
		g_usleep(30000);
	}
	g_assert_cmpuint(quick.frames, ==, 100);
	/* Ten and the slots; then nothing before a key frame that it may have. */
	g_assert_cmpuint(slow.frames, >, 10 + SLOTS);
	g_assert_cmpuint(slow.frames, <=, 100 - 20 + SLOTS);
	g_assert_cmpuint(joiner.keys, >=, 1);
	g_assert_cmpuint(quick.keys, <=, (capture_now() - begin) / SECOND + 1);
	g_test_message("of 100 frames: quick %u, slow %u, joiner %u; key frames %u", quick.frames,
		       slow.frames, joiner.frames, quick.keys);
	/* It says itself that it lost one: nothing more before the next key frame. */
	viewer_say(&s, &quick, VOLET_FRAME_NEED_KEY);
	viewer_take(&s, &quick, right);
	quick.started = TRUE;
	for (n = 101; n <= 150; n++) {
		produce(&s, e, n, clean, right);
		viewer_take(&s, &quick, right);
		viewer_take(&s, &slow, right);
		viewer_take(&s, &joiner, right);
		g_usleep(30000);
	}
	g_assert_false(quick.started);
	sessions_free(&s, VOLET_REASON_SHUTDOWN);
	viewer_leave(&quick);
	viewer_leave(&slow);
	viewer_leave(&joiner);
	decoder_free(clean);
	encode_free(e);
}

/* ---- one who asks as often as it can ---------------------------------------------------- */

#define PRESSED	150

/* A camera of its own with a steady viewer, and beside them, or not, the greedy one. */
struct lane {
	struct encode *encode;
	struct sessions_profile profile;
	struct sessions sessions;
	struct viewer v, greedy;
	gint64 delays[PRESSED];
};

static void lane_open(struct lane *lane)
{
	lane->encode = encode_new(&video, WIDTH, HEIGHT, -1, NULL);
	sessions_begin(&lane->sessions, lane->encode, &lane->profile);
	viewer_join(&lane->sessions, &lane->v, 1);
	viewer_join(&lane->sessions, &lane->greedy, 2);
	viewer_say(&lane->sessions, &lane->v, VOLET_FRAME_START);
}

static void lane_close(struct lane *lane)
{
	sessions_free(&lane->sessions, VOLET_REASON_SHUTDOWN);
	viewer_leave(&lane->v);
	viewer_leave(&lane->greedy);
	encode_free(lane->encode);
}

/* Stop, start and ask for a key frame, three times: who does it more often is ended. */
static void press(struct lane *lane)
{
	guint k;

	for (k = 0; k < 3; k++) {
		viewer_say(&lane->sessions, &lane->greedy, VOLET_FRAME_STOP);
		viewer_say(&lane->sessions, &lane->greedy, VOLET_FRAME_START);
		viewer_say(&lane->sessions, &lane->greedy, VOLET_FRAME_NEED_KEY);
	}
}

/* The same moment to both, so that what differs is the other viewer's doing. */
static void lane_frame(struct lane *lane, guint n, guint64 captured)
{
	gint64 begin = g_get_monotonic_time();

	produce_at(&lane->sessions, lane->encode, n, captured, NULL, NULL);
	viewer_take(&lane->sessions, &lane->v, NULL);
	lane->delays[n] = g_get_monotonic_time() - begin;
	viewer_take(&lane->sessions, &lane->greedy, NULL);
}

static int by_size(const void *a, const void *b)
{
	gint64 x = *(const gint64 *)a, y = *(const gint64 *)b;

	return (x > y) - (x < y);
}

static double median_ms(gint64 *delays)
{
	qsort(delays, PRESSED, sizeof(*delays), by_size);
	return (double)delays[PRESSED / 2] / 1000;
}

static void test_greedy(void)
{
	g_autofree struct lane *calm = g_new0(struct lane, 1), *pressed = g_new0(struct lane, 1);
	double a, b;
	guint n;

	lane_open(calm);
	lane_open(pressed);
	for (n = 0; n < PRESSED; n++) {
		guint64 captured;

		press(pressed);
		g_usleep(30000);
		/* Each second, as camera.c does it: what a session may say is counted anew. */
		if (n % 30 == 0) {
			sessions_report(&calm->sessions);
			sessions_report(&pressed->sessions);
		}
		captured = capture_now();
		lane_frame(n % 2 ? calm : pressed, n, captured);
		lane_frame(n % 2 ? pressed : calm, n, captured);
	}
	a = median_ms(calm->delays);
	b = median_ms(pressed->delays);
	g_test_message("frames %u and %u, bytes %" G_GUINT64_FORMAT " and %" G_GUINT64_FORMAT
		       ", key frames %u and %u, delay %.2f and %.2f ms; the other got %u frames",
		       calm->v.frames, pressed->v.frames, calm->v.bytes, pressed->v.bytes,
		       calm->v.keys, pressed->v.keys, a, b, pressed->greedy.frames);
	/* Not at most 5 % more or less: the very same. */
	g_assert_cmpuint(calm->v.frames, ==, PRESSED);
	g_assert_cmpuint(pressed->v.frames, ==, PRESSED);
	g_assert_cmpuint(pressed->v.bytes, ==, calm->v.bytes);
	g_assert_cmpuint(pressed->v.keys, ==, calm->v.keys);
	g_assert_cmpuint(pressed->greedy.frames, >, 0);
	lane_close(calm);
	lane_close(pressed);
}

/* ---- the rest ---------------------------------------------------------------------------- */

/* Constrained Baseline; parameter sets before each key frame, the same that were announced. */
static void test_form(void)
{
	static const guint8 sps[] = { 0, 0, 0, 1, 0x67, 66 };
	struct encode *e = encode_new(&video, WIDTH, HEIGHT, -1, NULL);
	guint8 announced[VOLET_PARAMETERS_MAX];
	guint i, n = encode_parameters(e, announced);
	gboolean key;

	g_assert_cmpuint(n, >, 8);
	for (i = 0; i < 4; i++) {
		g_autoptr(GBytes) frame = encode_one(e, i, SECOND + i * SECOND / 2, &key);
		const guint8 *data = g_bytes_get_data(frame, NULL);

		g_assert_cmpint(key, ==, i % 2 == 0);
		if (!key)
			continue;
		g_assert_cmpmem(data, sizeof(sps), sps, sizeof(sps));
		g_assert_cmphex(data[6] & 0xc0, ==, 0xc0);
		g_assert_cmpmem(data, n, announced, n);
		g_assert_cmphex(data[n + 4] & 31, ==, 5);
	}
	/* Nobody watched for a while: the next is a key frame, due or not. */
	encode_forget(e);
	g_bytes_unref(encode_one(e, 1, 2 * SECOND + 1, &key));
	g_assert_true(key);
	encode_free(e);
}

/* All that the encoder asks of the kernel, in volet-cam's sandbox, also when it starts anew. */
static void test_sandbox(void)
{
	struct encode *e;
	gboolean key;
	guint i;

	if (g_test_subprocess()) {
		e = encode_new(&video, WIDTH, HEIGHT, -1, NULL);
		if (!sandbox_enter(NULL))
			_exit(77);
		for (i = 0; i < 40; i++) {
			g_bytes_unref(encode_one(e, i, SECOND + i * SECOND / 10, &key));
			if (i % 15 == 14)
				encode_forget(e);
		}
		_exit(0);
	}
#ifdef __SANITIZE_ADDRESS__
	g_test_skip("the sanitizer itself makes calls that the sandbox ends; it runs in other builds");
	return;
#endif
	g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
	g_test_trap_assert_passed();
}

static void test_due(void)
{
	struct volet_profile_config slow = video;
	struct encode *e;
	guint64 t, given = 0;

	slow.rate = 5;
	e = encode_new(&slow, WIDTH, HEIGHT, -1, NULL);
	for (t = SECOND; t < 3 * SECOND; t += SECOND / 30) {
		gboolean key;

		if (!encode_due(e, t))
			continue;
		g_bytes_unref(encode_one(e, 1, t, &key));
		given++;
	}
	g_assert_cmpuint(given, >=, 9);
	g_assert_cmpuint(given, <=, 11);
	encode_free(e);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/h264/fault-bites", test_fault_bites);
	g_test_add_func("/h264/held", test_held);
	g_test_add_func("/h264/greedy", test_greedy);
	g_test_add_func("/h264/form", test_form);
	g_test_add_func("/h264/due", test_due);
	g_test_add_func("/h264/sandbox", test_sandbox);
	return g_test_run();
}
