// SPDX-License-Identifier: MIT
/* The session's channels: the way to a frame, and every message that doesn't belong. */
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "msg.h"
#include "session.h"

#define PAGE	4096u
#define ALL_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL)

static int make_memfd(off_t size, int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	g_assert_cmpint(ftruncate(fd, size), ==, 0);
	g_assert_cmpint(fcntl(fd, F_ADD_SEALS, seals), ==, 0);
	return fd;
}

static const struct volet_frame_memory two_pages = {
	.slots = 2, .slot_size = PAGE, .codec = VOLET_CODEC_JPEG, .width = 640, .height = 480,
};

struct end {
	struct session *session;
	GMainContext *context;
	int voletd, camera;
	bool ended, granted;
	unsigned int frames, nonces;
	enum volet_reason reason;
	char why[SESSION_WHY_MAX];
};

static void on_nonce(void *data, const char *nonce)
{
	g_assert_cmpstr(nonce, ==, "abc");
	((struct end *)data)->nonces++;
}

static void on_denied(void *data G_GNUC_UNUSED, enum volet_denied why G_GNUC_UNUSED,
		      unsigned int tries_left G_GNUC_UNUSED)
{
}

static void on_granted(void *data, const struct volet_ctl_granted *grant,
		       const struct volet_frame_memory *layout)
{
	g_assert_cmpstr(grant->camera, ==, "cam0");
	g_assert_cmpuint(layout->slots, ==, 2);
	((struct end *)data)->granted = true;
}

static void on_frame(void *data, const struct volet_frame_stamp *stamp,
		     const uint8_t *payload G_GNUC_UNUSED)
{
	struct end *e = data;

	e->frames++;
	session_release(e->session, stamp->slot, stamp->generation);
}

static void on_ended(void *data, enum volet_reason reason, const char *why)
{
	struct end *e = data;

	g_assert_false(e->ended);
	e->ended = true;
	e->reason = reason;
	g_strlcpy(e->why, why, sizeof(e->why));
}

static void on_left(void *data, enum volet_reason reason)
{
	struct end *e = data;

	g_assert_true(e->ended);
	g_assert_cmpint(e->reason, ==, reason);
}

static const struct session_ops ops = {
	.nonce = on_nonce, .denied = on_denied, .granted = on_granted, .frame = on_frame,
	.ended = on_ended, .left = on_left,
};

static void open_end(struct end *e)
{
	int pair[2];

	memset(e, 0, sizeof(*e));
	g_assert_cmpint(msg_pair(pair), ==, 0);
	e->context = g_main_context_new();
	e->voletd = pair[0];
	e->camera = -1;
	e->session = session_new(pair[1], &ops, e, e->context);
}

static void turn(struct end *e)
{
	while (g_main_context_iteration(e->context, FALSE))
		;
}

static void close_end(struct end *e)
{
	session_free(e->session);
	g_main_context_unref(e->context);
	if (e->voletd >= 0)
		close(e->voletd);
	if (e->camera >= 0)
		close(e->camera);
}

/* The session's last word to voletd, after other messages perhaps. */
static unsigned int leave_reason(struct end *e)
{
	struct volet_ctl msg;
	int fds[MSG_FDS_MAX];
	unsigned int n, reason = VOLET_REASON_COUNT;

	while (msg_recv(e->voletd, &msg, sizeof(msg), fds, &n) == 0)
		reason = msg.type == VOLET_CTL_LEAVE ? msg.end.reason : VOLET_REASON_COUNT;
	return reason;
}

static void assert_ended(struct end *e, enum volet_reason reason, const char *why)
{
	turn(e);
	g_assert_true(e->ended);
	g_assert_cmpstr(e->why, ==, why);
	g_assert_cmpint(e->reason, ==, reason);
	g_assert_cmpint(leave_reason(e), ==, reason);
	close_end(e);
}

static void send_ctl(struct end *e, struct volet_ctl *msg, int fd)
{
	g_assert_cmpint(msg_send(e->voletd, msg, sizeof(*msg), &fd, fd >= 0 ? 1 : 0), ==, 0);
}

static struct volet_ctl make_grant(void)
{
	struct volet_ctl msg = { .type = VOLET_CTL_GRANTED, .granted = {
		.session.b = { 1 }, .viewer = "alice", .camera = "cam0", .profile = "jpeg",
		.granted_ns = session_now_ns(), .age_limit_ms = 2000 } };
	return msg;
}

/* Asked for cam0 as alice, answered with `grant`. */
static void send_grant(struct end *e, struct volet_ctl *grant)
{
	struct volet_ctl_auth auth = { .viewer = "alice", .camera = "cam0" };
	int pair[2];

	session_authenticate(e->session, &auth);
	g_assert_cmpint(msg_pair(pair), ==, 0);
	e->camera = pair[0];
	send_ctl(e, grant, pair[1]);
	close(pair[1]);
	turn(e);
}

static void send_frame_msg(struct end *e, const struct volet_frame *msg, int fd)
{
	g_assert_cmpint(msg_send(e->camera, msg, sizeof(*msg), &fd, fd >= 0 ? 1 : 0), ==, 0);
}

static bool two_pages_h264;

static struct volet_frame make_memory_msg(void)
{
	struct volet_frame msg = { .type = VOLET_FRAME_MEMORY, .memory = two_pages };

	if (two_pages_h264) {
		msg.memory.codec = VOLET_CODEC_H264;
		msg.memory.n_parameters = 4;
	}

	msg.memory.session.b[0] = 1;
	strcpy(msg.memory.camera, "cam0");
	strcpy(msg.memory.profile, "jpeg");
	return msg;
}

/* All the way to a mapped memory; `slots` is the producer's view. */
static uint8_t *open_granted(struct end *e)
{
	struct volet_ctl grant = make_grant();
	struct volet_frame msg = make_memory_msg();
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	uint8_t *slots;

	open_end(e);
	send_grant(e, &grant);
	g_assert_cmpint(ftruncate(fd, 2 * PAGE), ==, 0);
	slots = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	g_assert_true(slots != MAP_FAILED);
	g_assert_cmpint(fcntl(fd, F_ADD_SEALS, ALL_SEALS), ==, 0);
	send_frame_msg(e, &msg, fd);
	close(fd);
	turn(e);
	g_assert_true(e->granted);
	return slots;
}

static void announce(struct end *e, uint8_t *slots, uint64_t generation, const char *camera)
{
	struct volet_frame msg = { .type = VOLET_FRAME_READY, .ready = {
		.session.b = { 1 }, .generation = generation, .captured_ns = session_now_ns(),
		.length = 10 } };

	g_strlcpy(msg.ready.camera, camera, sizeof(msg.ready.camera));
	strcpy(msg.ready.profile, "jpeg");
	memcpy(slots, &msg.ready, sizeof(msg.ready));
	send_frame_msg(e, &msg, -1);
	turn(e);
}

static unsigned int next_frame_type(struct end *e)
{
	struct volet_frame msg;
	int fds[MSG_FDS_MAX];
	unsigned int n;

	return msg_recv(e->camera, &msg, sizeof(msg), fds, &n) == 0 ? msg.type : 0;
}

static void test_channel_frames(void)
{
	struct end e;
	uint8_t *slots = open_granted(&e);

	session_start(e.session);
	g_assert_cmpuint(next_frame_type(&e), ==, VOLET_FRAME_START);
	announce(&e, slots, 1, "cam0");
	g_assert_cmpuint(e.frames, ==, 1);
	g_assert_cmpuint(next_frame_type(&e), ==, VOLET_FRAME_RELEASE);
	session_stop(e.session);
	g_assert_cmpuint(next_frame_type(&e), ==, VOLET_FRAME_STOP);
	/* one that crossed with STOP is given back and counted, not shown */
	announce(&e, slots, 2, "cam0");
	g_assert_cmpuint(e.frames, ==, 1);
	g_assert_cmpuint(session_figures(e.session)->dropped, ==, 1);
	g_assert_cmpuint(next_frame_type(&e), ==, VOLET_FRAME_RELEASE);
	session_start(e.session);
	announce(&e, slots, 3, "cam0");
	g_assert_cmpuint(e.frames, ==, 2);
	announce(&e, slots, 4, "cam1");
	assert_ended(&e, VOLET_REASON_FOREIGN_FRAME,
		     "the message carries camera cam1, granted was cam0");
	munmap(slots, 2 * PAGE);
}

/* Differences are of use only from a key frame on, and not past one that was lost. */
static void test_channel_key(void)
{
	struct volet_frame msg = { .type = VOLET_FRAME_READY, .ready = {
		.session.b = { 1 }, .camera = "cam0", .profile = "jpeg", .length = 10 } };
	struct end e;
	uint8_t *slots;
	unsigned int i;
	/* Each frame's flags, and what is displayed and said after it. */
	static const struct { uint32_t flags; bool lose; unsigned int shown; uint32_t said; } steps[] = {
		{ 0, false, 0, 0 }, { VOLET_STAMP_KEY, false, 1, 0 }, { 0, false, 2, 0 },
		{ 0, true, 3, VOLET_FRAME_NEED_KEY }, { 0, false, 3, 0 }, { 0, false, 3, 0 },
		{ VOLET_STAMP_KEY, false, 4, 0 }, { 0, false, 5, 0 },
	};

	two_pages_h264 = true;
	slots = open_granted(&e);
	two_pages_h264 = false;
	session_start(e.session);
	g_assert_cmpuint(next_frame_type(&e), ==, VOLET_FRAME_START);
	for (i = 0; i < G_N_ELEMENTS(steps); i++) {
		msg.ready.generation = i + 1;
		msg.ready.captured_ns = session_now_ns();
		msg.ready.flags = steps[i].flags;
		memcpy(slots, &msg.ready, sizeof(msg.ready));
		send_frame_msg(&e, &msg, -1);
		turn(&e);
		g_assert_cmpuint(next_frame_type(&e), ==, VOLET_FRAME_RELEASE);
		if (steps[i].lose)
			session_need_key(e.session);
		g_assert_cmpuint(next_frame_type(&e), ==, steps[i].said);
		g_assert_cmpuint(e.frames, ==, steps[i].shown);
	}
	close_end(&e);
	munmap(slots, 2 * PAGE);
}

static void test_channel_release(void)
{
	struct end e;
	uint8_t *slots = open_granted(&e);

	session_start(e.session);
	session_release(e.session, 0, 1);
	assert_ended(&e, VOLET_REASON_STALE_SLOT, "release of slot 0, which is not held");
	munmap(slots, 2 * PAGE);
}

static void test_channel_grant(void)
{
	struct volet_ctl grant = make_grant();
	struct end e;

	open_end(&e);
	strcpy(grant.granted.camera, "cam1");
	send_grant(&e, &grant);
	assert_ended(&e, VOLET_REASON_FOREIGN_FRAME, "asked for cam0/, was granted cam1/jpeg");

	grant = make_grant();
	open_end(&e);
	strcpy(grant.granted.viewer, "bob");
	send_grant(&e, &grant);
	assert_ended(&e, VOLET_REASON_PROTOCOL, "a grant for viewer bob with age limit 2000 ms");

	grant = make_grant();
	open_end(&e);
	memset(grant.granted.camera, 'x', sizeof(grant.granted.camera));
	send_grant(&e, &grant);
	assert_ended(&e, VOLET_REASON_PROTOCOL, "a grant without proper names");

	/* a grant that nobody asked for, with and without its descriptor */
	grant = make_grant();
	open_end(&e);
	send_ctl(&e, &grant, 0);
	assert_ended(&e, VOLET_REASON_PROTOCOL, "message 65 of voletd with 1 descriptors");
	open_end(&e);
	send_ctl(&e, &grant, -1);
	assert_ended(&e, VOLET_REASON_PROTOCOL, "message 65 of voletd in stage 0");
}

static void test_channel_memory(void)
{
	struct volet_ctl grant = make_grant();
	struct volet_frame msg = make_memory_msg();
	struct end e;
	int fd = make_memfd(2 * PAGE, ALL_SEALS & ~F_SEAL_FUTURE_WRITE);

	open_end(&e);
	send_grant(&e, &grant);
	send_frame_msg(&e, &msg, fd);
	assert_ended(&e, VOLET_REASON_PROTOCOL, "frame memory lacks the seal FUTURE_WRITE");
	close(fd);

	fd = make_memfd(2 * PAGE, ALL_SEALS);
	open_end(&e);
	send_grant(&e, &grant);
	strcpy(msg.memory.camera, "cam1");
	send_frame_msg(&e, &msg, fd);
	assert_ended(&e, VOLET_REASON_FOREIGN_FRAME,
		     "frame memory of another session, camera or profile (cam1/jpeg)");

	msg = make_memory_msg();
	open_end(&e);
	send_grant(&e, &grant);
	send_frame_msg(&e, &msg, -1);
	assert_ended(&e, VOLET_REASON_PROTOCOL, "message 1 of volet-cam with 0 descriptors");

	/* twice */
	munmap(open_granted(&e), 2 * PAGE);
	send_frame_msg(&e, &msg, fd);
	assert_ended(&e, VOLET_REASON_PROTOCOL, "message 1 of volet-cam with 1 descriptors");
	close(fd);
}

static void test_channel_ends(void)
{
	struct volet_ctl end = { .type = VOLET_CTL_END, .end.reason = VOLET_REASON_OWNER };
	struct volet_ctl nonce = { .type = VOLET_CTL_NONCE, .nonce.nonce = "abc" };
	struct volet_frame frame_end = { .type = VOLET_FRAME_END, .end.reason = VOLET_REASON_CAMERA_GONE };
	struct end e;

	open_end(&e);
	send_ctl(&e, &end, -1);
	assert_ended(&e, VOLET_REASON_OWNER, "voletd said so");

	open_end(&e);
	g_assert_cmpint(send(e.voletd, "short", 5, 0), ==, 5);
	assert_ended(&e, VOLET_REASON_PROTOCOL, "a message of voletd of a wrong size");

	/* an answer once is one, twice is an error */
	open_end(&e);
	session_ask_nonce(e.session);
	send_ctl(&e, &nonce, -1);
	send_ctl(&e, &nonce, -1);
	turn(&e);
	g_assert_cmpuint(e.nonces, ==, 1);
	assert_ended(&e, VOLET_REASON_PROTOCOL, "message 64 of voletd in stage 0");

	munmap(open_granted(&e), 2 * PAGE);
	send_frame_msg(&e, &frame_end, -1);
	assert_ended(&e, VOLET_REASON_CAMERA_GONE, "volet-cam said so");

	munmap(open_granted(&e), 2 * PAGE);
	close(e.camera);
	e.camera = -1;
	assert_ended(&e, VOLET_REASON_CAMERA_GONE, "volet-cam is gone: Broken pipe");

	open_end(&e);
	close(e.voletd);
	e.voletd = -1;
	turn(&e);
	g_assert_true(e.ended);
	g_assert_cmpint(e.reason, ==, VOLET_REASON_SHUTDOWN);
	close_end(&e);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/session/channel/frames", test_channel_frames);
	g_test_add_func("/session/channel/key", test_channel_key);
	g_test_add_func("/session/channel/release", test_channel_release);
	g_test_add_func("/session/channel/grant", test_channel_grant);
	g_test_add_func("/session/channel/memory", test_channel_memory);
	g_test_add_func("/session/channel/ends", test_channel_ends);
	return g_test_run();
}
