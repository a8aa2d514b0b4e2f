// SPDX-License-Identifier: MIT
/* A camera's sessions, driven with made-up frames through the channels they really have. */
#include <errno.h>
#include <glib.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "capture.h"
#include "msg.h"
#include "sessions.h"

#define SLOTS		3
#define SLOT_SIZE	65536
#define SECOND		G_GUINT64_CONSTANT(1000000000)

static struct volet_bus_session last_report;
static guint ends;

static void on_report(const struct volet_bus_session *account, gpointer data)
{
	g_assert_true(data == &last_report);
	last_report = *account;
	ends += account->ended != VOLET_REASON_NONE;
}

static const struct sessions_profile profiles[] = {
	{ .name = "jpeg", .codec = VOLET_CODEC_JPEG, .width = 64, .height = 48 },
	{ .name = "video", .codec = VOLET_CODEC_H264, .width = 32, .height = 24,
	  .n_parameters = 3, .parameters = { 7, 8, 9 } },
};

static void begin(struct sessions *s)
{
	ends = 0;
	sessions_init(s, &(struct sessions_config) {
		.camera = "cam0", .slots = SLOTS, .slot_size = SLOT_SIZE, .profiles = profiles,
		.n_profiles = G_N_ELEMENTS(profiles), .udmabuf = -1, .report = on_report, .data = &last_report,
	});
}

/* The session program's side. */
struct viewer {
	int sock;
	struct volet_id id;
	int memfd;
	const guint8 *map;
};

static struct volet_bus_grant grant_for(guint8 id, const char *camera)
{
	struct volet_bus_grant grant = { .granted_ns = capture_now(), .age_limit_ms = 60000 };

	memset(grant.session.b, id, sizeof(grant.session.b));
	g_strlcpy(grant.viewer, "alice", sizeof(grant.viewer));
	g_strlcpy(grant.camera, camera, sizeof(grant.camera));
	g_strlcpy(grant.profile, "jpeg", sizeof(grant.profile));
	return grant;
}

static int receive(struct viewer *v, struct volet_frame *msg)
{
	int fds[MSG_FDS_MAX], ret;
	unsigned int n_fds;

	ret = msg_recv(v->sock, msg, sizeof(*msg), fds, &n_fds);
	if (!ret && n_fds)
		v->memfd = fds[0];
	return ret;
}

static void join_with(struct sessions *s, struct viewer *v, const struct volet_bus_grant *grant)
{
	struct volet_frame msg;
	int pair[2];

	*v = (struct viewer) { .memfd = -1, .id = grant->session };
	g_assert_cmpint(msg_pair(pair), ==, 0);
	v->sock = pair[0];
	g_assert_true(sessions_grant(s, grant, pair[1]));
	g_assert_cmpint(receive(v, &msg), ==, 0);
	g_assert_cmpuint(msg.type, ==, VOLET_FRAME_MEMORY);
	g_assert_cmpmem(&msg.memory.session, sizeof(v->id), &v->id, sizeof(v->id));
	g_assert_cmpstr(msg.memory.camera, ==, "cam0");
	g_assert_cmpuint(msg.memory.slots, ==, SLOTS);
	g_assert_cmpuint(msg.memory.slot_size, ==, SLOT_SIZE);
	g_assert_cmpstr(msg.memory.profile, ==, grant->profile);
	g_assert_cmpint(v->memfd, >=, 0);
	v->map = mmap(NULL, SLOTS * SLOT_SIZE, PROT_READ, MAP_SHARED, v->memfd, 0);
	g_assert_true(v->map != MAP_FAILED);
}

static void join(struct sessions *s, struct viewer *v, guint8 id)
{
	struct volet_bus_grant grant = grant_for(id, "cam0");

	join_with(s, v, &grant);
}

static void leave(struct viewer *v)
{
	munmap((void *)v->map, SLOTS * SLOT_SIZE);
	close(v->memfd);
	close(v->sock);
}

static void say(struct sessions *s, struct viewer *v, guint32 type)
{
	struct volet_frame msg = { .type = type };

	g_assert_cmpint(msg_send(v->sock, &msg, sizeof(msg), NULL, 0), ==, 0);
	sessions_read(s);
}

static void release(struct sessions *s, struct viewer *v, guint32 slot, guint64 generation)
{
	struct volet_frame msg = {
		.type = VOLET_FRAME_RELEASE, .release = { .generation = generation, .slot = slot },
	};

	g_assert_cmpint(msg_send(v->sock, &msg, sizeof(msg), NULL, 0), ==, 0);
	sessions_read(s);
}

/* A frame of this moment and fill; whether anybody was to have it. */
static gboolean produce_as(struct sessions *s, const char *camera, guint64 captured_ns, guint8 fill,
			   gsize length)
{
	g_autofree guint8 *data = g_malloc(length);
	struct session_frame frame = {
		.camera = camera,
		.key = TRUE,
		.captured_ns = captured_ns,
		.sequence = fill,
		.data = data,
		.length = length,
	};

	memset(data, fill, length);
	if (!sessions_claim(s, 0, captured_ns, capture_now(), TRUE))
		return FALSE;
	sessions_deliver(s, &frame);
	return TRUE;
}

static gboolean produce(struct sessions *s, guint8 fill, gsize length)
{
	return produce_as(s, "cam0", capture_now(), fill, length);
}

/* The next message is a frame of this fill; every byte of its slot is as it must be. */
static struct volet_frame_stamp expect_frame(struct viewer *v, guint8 fill, gsize length)
{
	struct volet_frame msg;
	const guint8 *slot;
	gsize i;

	g_assert_cmpint(receive(v, &msg), ==, 0);
	g_assert_cmpuint(msg.type, ==, VOLET_FRAME_READY);
	g_assert_cmpuint(msg.ready.slot, <, SLOTS);
	g_assert_cmpuint(msg.ready.length, ==, length);
	g_assert_cmpuint(msg.ready.sequence, ==, fill);
	g_assert_cmpstr(msg.ready.camera, ==, "cam0");
	slot = v->map + msg.ready.slot * SLOT_SIZE;
	g_assert_cmpmem(slot, sizeof(msg.ready), &msg.ready, sizeof(msg.ready));
	for (i = sizeof(msg.ready); i < SLOT_SIZE; i++)
		g_assert_cmpuint(slot[i], ==,
				 i >= VOLET_SLOT_PAYLOAD && i < VOLET_SLOT_PAYLOAD + length ? fill :
											      0);
	return msg.ready;
}

static void expect_nothing(struct viewer *v)
{
	struct volet_frame msg;

	g_assert_cmpint(receive(v, &msg), ==, -EAGAIN);
}

static void expect_end(struct viewer *v, guint32 reason)
{
	struct volet_frame msg;

	g_assert_cmpint(receive(v, &msg), ==, 0);
	g_assert_cmpuint(msg.type, ==, VOLET_FRAME_END);
	g_assert_cmpuint(msg.end.reason, ==, reason);
	g_assert_cmpint(receive(v, &msg), ==, -EPIPE);
	g_assert_cmpuint(last_report.ended, ==, reason);
	g_assert_cmpmem(&last_report.session, sizeof(v->id), &v->id, sizeof(v->id));
}

/* Two who watch have the same frames in memory that is not the same. */
static void test_own_memory(void)
{
	struct volet_frame_stamp a, b;
	struct viewer alice, bob;
	struct sessions s;
	guint i;

	begin(&s);
	join(&s, &alice, 1);
	join(&s, &bob, 2);
	say(&s, &alice, VOLET_FRAME_START);
	g_assert_true(produce(&s, 1, 1000));
	a = expect_frame(&alice, 1, 1000);
	expect_nothing(&bob);
	for (i = 0; i < SLOTS * SLOT_SIZE; i++)
		g_assert_cmpuint(bob.map[i], ==, 0);
	say(&s, &bob, VOLET_FRAME_START);
	g_assert_true(produce(&s, 2, 500));
	a = expect_frame(&alice, 2, 500);
	b = expect_frame(&bob, 2, 500);
	g_assert_cmpmem(&a.session, sizeof(a.session), &alice.id, sizeof(alice.id));
	g_assert_cmpmem(&b.session, sizeof(b.session), &bob.id, sizeof(bob.id));
	g_assert_cmpuint(a.generation, ==, 2);
	g_assert_cmpuint(b.generation, ==, 1);
	sessions_free(&s, VOLET_REASON_SHUTDOWN);
	expect_end(&alice, VOLET_REASON_SHUTDOWN);
	g_assert_cmpuint(ends, ==, 2);
	leave(&alice);
	leave(&bob);
}

/* What a session holds of its slots it lacks for its next frames, and nobody else does. */
static void test_exhaustion(void)
{
	struct volet_frame_stamp held[SLOTS], stamp;
	struct viewer slow, quick;
	struct sessions s;
	guint8 i;

	begin(&s);
	join(&s, &slow, 1);
	join(&s, &quick, 2);
	say(&s, &slow, VOLET_FRAME_START);
	say(&s, &quick, VOLET_FRAME_START);
	for (i = 0; i < SLOTS + 2; i++) {
		g_assert_true(produce(&s, i, 100));
		stamp = expect_frame(&quick, i, 100);
		release(&s, &quick, stamp.slot, stamp.generation);
		if (i < SLOTS)
			held[i] = expect_frame(&slow, i, 100);
		else
			expect_nothing(&slow);
	}
	sessions_report(&s);
	g_assert_cmpuint(last_report.frames, ==, SLOTS + 2);
	g_assert_cmpuint(last_report.bytes, ==, 100 * (SLOTS + 2));
	g_assert_cmpuint(last_report.lost, ==, 0);
	release(&s, &slow, held[1].slot, held[1].generation);
	g_assert_true(produce(&s, 77, 100));
	stamp = expect_frame(&slow, 77, 100);
	g_assert_cmpuint(stamp.slot, ==, held[1].slot);
	g_assert_cmpuint(stamp.generation, ==, SLOTS + 1);
	/* Nobody has a slot: nothing is encoded at all. */
	sessions_end(&s, &quick.id, VOLET_REASON_OWNER);
	g_assert_false(produce(&s, 78, 100));
	sessions_end(&s, &slow.id, VOLET_REASON_OWNER);
	g_assert_cmpuint(last_report.frames, ==, SLOTS + 1);
	g_assert_cmpuint(last_report.lost, ==, 3);
	sessions_free(&s, VOLET_REASON_SHUTDOWN);
	leave(&slow);
	leave(&quick);
}

/* The last generation of a slot releases it once, and no other ever. */
static void test_stale(void)
{
	static const gint64 wrong[] = { -1, 0, 1 };
	guint i;

	for (i = 0; i < G_N_ELEMENTS(wrong); i++) {
		struct volet_frame_stamp stamp;
		struct sessions s;
		struct viewer v;

		begin(&s);
		join(&s, &v, 1);
		say(&s, &v, VOLET_FRAME_START);
		g_assert_true(produce(&s, 1, 10));
		stamp = expect_frame(&v, 1, 10);
		release(&s, &v, stamp.slot, stamp.generation);
		g_assert_cmpuint(sessions_count(&s), ==, 1);
		if (wrong[i]) {		/* with 0: the right one, but a second time */
			g_assert_true(produce(&s, 2, 10));
			stamp = expect_frame(&v, 2, 10);
		}
		release(&s, &v, stamp.slot, stamp.generation + (guint64)wrong[i]);
		g_assert_cmpuint(sessions_count(&s), ==, 0);
		expect_end(&v, VOLET_REASON_STALE_SLOT);
		sessions_free(&s, VOLET_REASON_SHUTDOWN);
		leave(&v);
	}
}

static void test_no_such_slot(void)
{
	struct sessions s;
	struct viewer v;

	begin(&s);
	join(&s, &v, 1);
	release(&s, &v, SLOTS, 1);
	expect_end(&v, VOLET_REASON_PROTOCOL);
	sessions_free(&s, VOLET_REASON_SHUTDOWN);
	leave(&v);
}

/* A long frame, then a short one in the same slot: nothing of the long one is left. */
static void test_tail(void)
{
	struct volet_frame_stamp stamp;
	struct sessions s;
	struct viewer v;
	guint i;

	begin(&s);
	join(&s, &v, 1);
	say(&s, &v, VOLET_FRAME_START);
	for (i = 0; i < 4; i++) {
		static const gsize lengths[] = { SLOT_SIZE - VOLET_SLOT_PAYLOAD, 7, 4000, 1 };

		g_assert_true(produce(&s, (guint8)(0xa0 + i), lengths[i]));
		stamp = expect_frame(&v, (guint8)(0xa0 + i), lengths[i]);
		g_assert_cmpuint(stamp.slot, ==, 0);
		release(&s, &v, stamp.slot, stamp.generation);
	}
	/* One byte more than fits: lost, and the session goes on. */
	g_assert_true(produce(&s, 9, SLOT_SIZE - VOLET_SLOT_PAYLOAD + 1));
	expect_nothing(&v);
	g_assert_true(produce(&s, 10, 3));
	expect_frame(&v, 10, 3);
	sessions_report(&s);
	g_assert_cmpuint(last_report.lost, ==, 1);
	sessions_free(&s, VOLET_REASON_SHUTDOWN);
	leave(&v);
}

static void refuse(struct sessions *s, const struct volet_bus_grant *grant, guint32 reason)
{
	struct viewer v = { .memfd = -1, .id = grant->session };
	guint before = sessions_count(s);
	int pair[2];

	g_assert_cmpint(msg_pair(pair), ==, 0);
	v.sock = pair[0];
	g_assert_false(sessions_grant(s, grant, pair[1]));
	g_assert_cmpuint(sessions_count(s), ==, before);
	g_assert_cmpint(v.memfd, ==, -1);
	expect_end(&v, reason);
	close(v.sock);
}

static void test_refused(void)
{
	struct volet_bus_grant foreign = grant_for(2, "cam1"), twice = grant_for(1, "cam0");
	struct volet_bus_grant endless = grant_for(3, "cam0"), none = grant_for(4, "cam0");
	struct sessions s;
	struct viewer v;

	begin(&s);
	join(&s, &v, 1);
	refuse(&s, &foreign, VOLET_REASON_FOREIGN_FRAME);
	refuse(&s, &twice, VOLET_REASON_PROTOCOL);
	strcpy(none.profile, "jpg");
	refuse(&s, &none, VOLET_REASON_FOREIGN_FRAME);
	memset(endless.camera, 'a', sizeof(endless.camera));
	refuse(&s, &endless, VOLET_REASON_PROTOCOL);
	sessions_free(&s, VOLET_REASON_SHUTDOWN);
	leave(&v);
}

/* What the frame says counts: where it is not the session's, the session ends without it. */
static void test_foreign_frame(void)
{
	struct sessions s;
	struct viewer v;
	guint i;

	begin(&s);
	join(&s, &v, 1);
	say(&s, &v, VOLET_FRAME_START);
	g_assert_true(produce_as(&s, "cam1", capture_now(), 0xcc, 1000));
	expect_end(&v, VOLET_REASON_FOREIGN_FRAME);
	for (i = 0; i < SLOTS * SLOT_SIZE; i++)
		g_assert_cmpuint(v.map[i], ==, 0);
	sessions_free(&s, VOLET_REASON_SHUTDOWN);
	leave(&v);
}

static void test_start(void)
{
	guint64 before = capture_now();
	struct sessions s;
	struct viewer v;

	begin(&s);
	join(&s, &v, 1);
	g_assert_false(sessions_watched(&s));
	g_assert_false(produce(&s, 1, 10));
	say(&s, &v, VOLET_FRAME_START);
	g_assert_true(sessions_watched(&s));
	g_assert_cmpuint(sessions_age_limit(&s), ==, 60 * SECOND);
	/* Captured before START came, though younger than the age limit. */
	g_assert_false(produce_as(&s, "cam0", before, 2, 10));
	g_assert_true(produce(&s, 3, 10));
	expect_frame(&v, 3, 10);
	say(&s, &v, VOLET_FRAME_STOP);
	g_assert_false(sessions_watched(&s));
	g_assert_false(produce(&s, 4, 10));
	/* Captured between STOP and the next START: of no START. */
	before = capture_now();
	say(&s, &v, VOLET_FRAME_START);
	g_assert_false(produce_as(&s, "cam0", before, 5, 10));
	g_assert_true(produce(&s, 6, 10));
	expect_frame(&v, 6, 10);
	expect_nothing(&v);
	sessions_free(&s, VOLET_REASON_SHUTDOWN);
	leave(&v);
}

/* STOP that comes while the frame is encoded. */
static void test_stop_in_encode(void)
{
	struct session_frame frame = { .camera = "cam0", .key = TRUE, .data = (const guint8 *)"x", .length = 1 };
	struct sessions s;
	struct viewer v;

	begin(&s);
	join(&s, &v, 1);
	say(&s, &v, VOLET_FRAME_START);
	frame.captured_ns = capture_now();
	g_assert_true(sessions_claim(&s, 0, frame.captured_ns, capture_now(), TRUE));
	say(&s, &v, VOLET_FRAME_STOP);
	sessions_deliver(&s, &frame);
	expect_nothing(&v);
	/* And one that joins meanwhile has not claimed it. */
	say(&s, &v, VOLET_FRAME_START);
	sessions_deliver(&s, &frame);
	expect_nothing(&v);
	sessions_free(&s, VOLET_REASON_SHUTDOWN);
	leave(&v);
}

/* Granted for later than the frame, and older than the limit. */
static void test_age(void)
{
	struct volet_bus_grant later = grant_for(1, "cam0"), brief = grant_for(2, "cam0");
	struct viewer v, w;
	struct sessions s;
	guint64 captured;

	begin(&s);
	later.granted_ns += 3600 * SECOND;
	brief.age_limit_ms = 2000;
	join_with(&s, &v, &later);
	join_with(&s, &w, &brief);
	say(&s, &v, VOLET_FRAME_START);
	say(&s, &w, VOLET_FRAME_START);
	g_assert_true(produce(&s, 1, 10));
	expect_nothing(&v);
	expect_frame(&w, 1, 10);
	captured = capture_now();
	g_usleep(2100000);
	g_assert_false(produce_as(&s, "cam0", captured, 2, 10));
	/* Too old only after it was encoded. */
	g_assert_true(sessions_claim(&s, 0, captured, captured, TRUE));
	sessions_deliver(&s, &(struct session_frame) {
		.camera = "cam0", .key = TRUE, .captured_ns = captured, .data = (const guint8 *)"x", .length = 1,
	});
	expect_nothing(&w);
	/* From the future: of no known moment. */
	g_assert_false(produce_as(&s, "cam0", capture_now() + 3600 * SECOND, 3, 10));
	sessions_free(&s, VOLET_REASON_SHUTDOWN);
	leave(&v);
	leave(&w);
}

/* Releases without reading: its channel fills, and it is ended. */
static void test_unread(void)
{
	struct sessions s;
	struct viewer v;
	guint64 i;

	begin(&s);
	join(&s, &v, 1);
	say(&s, &v, VOLET_FRAME_START);
	for (i = 1; i < 10000 && sessions_count(&s); i++) {
		produce(&s, 1, 1);
		if (sessions_count(&s))
			release(&s, &v, 0, i);
	}
	g_assert_cmpuint(i, <, 10000);
	g_assert_cmpuint(last_report.ended, ==, VOLET_REASON_PROTOCOL);
	sessions_free(&s, VOLET_REASON_SHUTDOWN);
	leave(&v);
}

static void test_bad_messages(void)
{
	struct volet_frame msg = { .type = VOLET_FRAME_START };
	struct sessions s;
	struct viewer v;

	/* A type that is not the session program's to send. */
	begin(&s);
	join(&s, &v, 1);
	say(&s, &v, VOLET_FRAME_READY);
	expect_end(&v, VOLET_REASON_PROTOCOL);
	leave(&v);
	/* A message of another size. */
	join(&s, &v, 2);
	g_assert_cmpint(send(v.sock, &msg, 12, 0), ==, 12);
	sessions_read(&s);
	expect_end(&v, VOLET_REASON_PROTOCOL);
	leave(&v);
	/* A descriptor where there is to be none. */
	join(&s, &v, 3);
	g_assert_cmpint(msg_send(v.sock, &msg, sizeof(msg), &v.memfd, 1), ==, 0);
	sessions_read(&s);
	expect_end(&v, VOLET_REASON_PROTOCOL);
	leave(&v);
	sessions_free(&s, VOLET_REASON_SHUTDOWN);
}

/* More is on its way when it is ended: it still learns why. */
static void test_end_is_heard(void)
{
	struct volet_frame msg = { .type = VOLET_FRAME_READY };
	struct sessions s;
	struct viewer v;
	guint i;

	begin(&s);
	join(&s, &v, 1);
	for (i = 0; i < 3; i++)
		g_assert_cmpint(msg_send(v.sock, &msg, sizeof(msg), NULL, 0), ==, 0);
	sessions_read(&s);
	expect_end(&v, VOLET_REASON_PROTOCOL);
	leave(&v);
	sessions_free(&s, VOLET_REASON_SHUTDOWN);
}

/* The session program's death is noticed, and its memory with all handles goes. */
static void test_gone(void)
{
	guint before, i;
	struct sessions s;

	begin(&s);
	before = (guint)dup(0);
	close((int)before);
	for (i = 0; i < 20; i++) {
		struct viewer v;

		join(&s, &v, (guint8)i);
		leave(&v);
		sessions_read(&s);
		g_assert_cmpuint(sessions_count(&s), ==, 0);
		g_assert_cmpuint(last_report.ended, ==, VOLET_REASON_PROGRAM_EXIT);
	}
	/* The lowest free descriptor is what it was: none was left open. */
	g_assert_cmpuint((guint)dup(0), ==, before);
	close((int)before);
	sessions_free(&s, VOLET_REASON_SHUTDOWN);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/sessions/own-memory", test_own_memory);
	g_test_add_func("/sessions/exhaustion", test_exhaustion);
	g_test_add_func("/sessions/stale", test_stale);
	g_test_add_func("/sessions/no-such-slot", test_no_such_slot);
	g_test_add_func("/sessions/tail", test_tail);
	g_test_add_func("/sessions/refused", test_refused);
	g_test_add_func("/sessions/foreign-frame", test_foreign_frame);
	g_test_add_func("/sessions/start", test_start);
	g_test_add_func("/sessions/stop-in-encode", test_stop_in_encode);
	g_test_add_func("/sessions/age", test_age);
	g_test_add_func("/sessions/unread", test_unread);
	g_test_add_func("/sessions/bad-messages", test_bad_messages);
	g_test_add_func("/sessions/end-is-heard", test_end_is_heard);
	g_test_add_func("/sessions/gone", test_gone);
	return g_test_run();
}
