// SPDX-License-Identifier: MIT
/* A connection's and a camera's life as voletd keeps it: what may be said when, and every end. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "test-session.h"

/* In each state, every type of message that the table doesn't allow there ends the session. */
static void test_forbidden(void)
{
	static const uint32_t types[] = {
		0, VOLET_CTL_GET_NONCE, VOLET_CTL_AUTH, VOLET_CTL_SENT, VOLET_CTL_LEAVE, 5, 63,
		VOLET_CTL_NONCE, VOLET_CTL_GRANTED, VOLET_CTL_DENIED, VOLET_CTL_END, 68, 0xffffffff,
	};
	static const struct { enum session_state state; uint32_t allowed[4]; } states[] = {
		{ SESSION_ASKING, { VOLET_CTL_GET_NONCE, VOLET_CTL_AUTH, VOLET_CTL_LEAVE } },
		{ SESSION_REFUSED, { VOLET_CTL_LEAVE } },
		{ SESSION_GRANTED, { VOLET_CTL_GET_NONCE, VOLET_CTL_AUTH, VOLET_CTL_LEAVE,
				     VOLET_CTL_SENT } },
	};
	unsigned int i, n, k, forbidden = 0;

	for (i = 0; i < G_N_ELEMENTS(states); i++) {
		for (n = 0; n < G_N_ELEMENTS(types); n++) {
			const struct volet_ctl msg = { .type = types[n] };
			struct bench *bench;
			struct viewer viewer;

			for (k = 0; k < 4 && states[i].allowed[k] != types[n]; k++)
				;
			if (k < 4 && types[n])
				continue;
			bench = bench_new();
			if (states[i].state == SESSION_GRANTED) {
				viewer = bench_granted(bench);
			} else {
				viewer = bench_connect(bench, "127.0.0.1");
				viewer_nonce(&viewer);
			}
			for (k = 0; states[i].state == SESSION_REFUSED && k < 3; k++)
				viewer_auth(&viewer, "alice", "wrong", "cam0");
			viewer_say(&viewer, &msg);
			viewer_assert_ended(&viewer, VOLET_REASON_PROTOCOL);
			bench_free(bench);
			forbidden++;
		}
	}
	g_assert_cmpuint(forbidden, ==, 10 + 12 + 9);
}

static void test_wrong_size(void)
{
	static const size_t sizes[] = { 1, 4, sizeof(struct volet_ctl) - 1, sizeof(struct volet_ctl) + 1 };
	char bytes[sizeof(struct volet_ctl) + 1] = { VOLET_CTL_GET_NONCE };
	struct bench *bench = bench_new();
	unsigned int i;

	for (i = 0; i < G_N_ELEMENTS(sizes); i++) {
		struct viewer viewer = bench_granted(bench);

		g_assert_cmpint(send(viewer.control, bytes, sizes[i], 0), ==, (ssize_t)sizes[i]);
		bench_settle();
		viewer_assert_ended(&viewer, VOLET_REASON_PROTOCOL);
	}
	bench_free(bench);
}

static unsigned int open_descriptors(void)
{
	unsigned int i, n = 0;

	for (i = 0; i < 256; i++)
		n += fcntl((int)i, F_GETFD) >= 0;
	return n;
}

/* A request carries no descriptor; those that come are closed. */
static void test_descriptors(void)
{
	const struct volet_ctl msg = { .type = VOLET_CTL_GET_NONCE };
	struct bench *bench = bench_new();
	unsigned int n, before;

	for (n = 1; n <= 4; n++) {
		struct viewer viewer = bench_granted(bench);
		char control[CMSG_SPACE(sizeof(int) * 4)] = { 0 };
		struct iovec iov = { .iov_base = (void *)&msg, .iov_len = sizeof(msg) };
		struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
				     .msg_controllen = CMSG_SPACE(sizeof(int) * n) };
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&mh);

		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int) * n);
		before = open_descriptors();
		g_assert_cmpint(sendmsg(viewer.control, &mh, 0), ==, sizeof(msg));
		bench_settle();
		/* The session's two are gone, and none was added. */
		g_assert_cmpuint(open_descriptors(), ==, before - 2);
		viewer_assert_ended(&viewer, VOLET_REASON_PROTOCOL);
	}
	bench_free(bench);
}

static void test_unterminated(void)
{
	static const struct { size_t offset, size; } fields[] = {
		{ offsetof(struct volet_ctl, auth.viewer), VOLET_NAME_MAX },
		{ offsetof(struct volet_ctl, auth.camera), VOLET_NAME_MAX },
		{ offsetof(struct volet_ctl, auth.profile), VOLET_NAME_MAX },
		{ offsetof(struct volet_ctl, auth.nonce), VOLET_NONCE_MAX },
		{ offsetof(struct volet_ctl, auth.response), 33 },
		{ offsetof(struct volet_ctl, auth.method), 15 },
		{ offsetof(struct volet_ctl, auth.uri), VOLET_URI_MAX },
	};
	struct bench *bench = bench_new();
	unsigned int i;

	for (i = 0; i < G_N_ELEMENTS(fields); i++) {
		struct viewer viewer = bench_connect(bench, "127.0.0.1");
		struct volet_ctl msg;

		viewer_nonce(&viewer);
		msg = viewer_auth_msg(&viewer, "alice", "secret", "cam0");
		memset((char *)&msg + fields[i].offset, 'a', fields[i].size);
		viewer_say(&viewer, &msg);
		viewer_assert_ended(&viewer, VOLET_REASON_PROTOCOL);
	}
	bench_free(bench);
}

static void test_flood(void)
{
	const struct volet_ctl msg = { .type = VOLET_CTL_SENT };
	struct bench *bench = bench_new();
	struct viewer viewer = bench_granted(bench);
	struct session *session = session_find(bench->daemon, &viewer.session);
	unsigned int i;

	/* All of it is between two ticks, however long it takes. */
	g_clear_handle_id(&session->tick, g_source_remove);
	for (i = 0; i < 50; i++)
		viewer_say(&viewer, &msg);
	viewer_assert_alive(&viewer);
	for (i = 0; i < 100 && msg_send(viewer.control, &msg, sizeof(msg), NULL, 0) == 0; i++)
		bench_settle();
	viewer_assert_ended(&viewer, VOLET_REASON_PROTOCOL);
	bench_free(bench);
}

/* Messages wait in a channel that its program doesn't read, but not without end. */
static void test_deaf(void)
{
	const struct volet_ctl msg = { .type = VOLET_CTL_GET_NONCE };
	struct bench *bench = bench_new();
	struct viewer viewer = bench_granted(bench);
	struct session *session = session_find(bench->daemon, &viewer.session);
	unsigned int i;
	int small = 1;

	setsockopt(session->control, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	for (i = 0; i < 10 && session_find(bench->daemon, &viewer.session); i++)
		viewer_say(&viewer, &msg);
	g_assert_cmpuint(i, <, 10);
	viewer_assert_ended(&viewer, VOLET_REASON_PROTOCOL);
	bench_free(bench);
}

static void test_leave(void)
{
	struct volet_ctl msg = { .type = VOLET_CTL_LEAVE };
	struct bench *bench = bench_new();
	struct viewer viewer;
	uint32_t reason;

	for (reason = VOLET_REASON_CLIENT_GONE; reason < VOLET_REASON_COUNT; reason++) {
		viewer = bench_granted(bench);
		msg.end.reason = reason;
		viewer_say(&viewer, &msg);
		viewer_assert_ended(&viewer, reason);
	}
	viewer = bench_granted(bench);
	viewer_say(&viewer, &msg);
	viewer_assert_ended(&viewer, VOLET_REASON_COUNT - 1);
	viewer = bench_granted(bench);
	msg.end.reason = VOLET_REASON_COUNT;
	viewer_say(&viewer, &msg);
	viewer_assert_ended(&viewer, VOLET_REASON_PROTOCOL);
	bench_free(bench);
}

static void test_program_gone(void)
{
	struct volet_ctl leave = { .type = VOLET_CTL_LEAVE, .end.reason = VOLET_REASON_NO_FRAME };
	struct bench *bench = bench_new();
	struct viewer viewer = bench_granted(bench);
	struct volet_bus msg;

	/* Its channel hangs up. */
	g_assert_no_errno(shutdown(viewer.control, SHUT_RDWR));
	viewer_assert_ended(&viewer, VOLET_REASON_PROGRAM_EXIT);
	/* volet-spawn says so first: nothing is left to kill. */
	viewer = bench_granted(bench);
	bench_exited(bench, viewer.child, 9);
	msg = bench_bus(bench, 0, NULL);
	g_assert_cmpuint(msg.end.reason, ==, VOLET_REASON_PROGRAM_EXIT);
	viewer_assert_alive(&(struct viewer){ .bench = bench, .tcp = bench->spawn });
	viewer_close(&viewer);
	/* ... but what the program said last counts. */
	viewer = bench_granted(bench);
	g_assert_cmpint(msg_send(viewer.control, &leave, sizeof(leave), NULL, 0), ==, 0);
	bench_exited(bench, viewer.child, 0);
	msg = bench_bus(bench, 0, NULL);
	g_assert_cmpuint(msg.end.reason, ==, VOLET_REASON_NO_FRAME);
	viewer_close(&viewer);
	bench_free(bench);
}

static void test_authentication_timeout(void)
{
	struct bench *bench = bench_new();
	struct viewer granted = bench_granted(bench), silent;

	/* The grant has ended its time. */
	g_assert_cmpuint(session_find(bench->daemon, &granted.session)->deadline, ==, 0);
	bench->config->authentication_timeout_s = 1;
	silent = bench_connect(bench, "127.0.0.1");
	bench_run(bench, 1);
	viewer_assert_ended(&silent, VOLET_REASON_AUTH_TIMEOUT);
	viewer_assert_alive(&granted);
	g_assert_cmpuint(bench->daemon->sources.unauthenticated, ==, 0);
	viewer_close(&granted);
	bench_free(bench);
}

static size_t fill(int fd)
{
	static const char bytes[4096];
	size_t total = 0;
	ssize_t n;

	while ((n = send(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
		total += (size_t)n;
	return total;
}

static size_t drain(int fd)
{
	char bytes[4096];
	size_t total = 0;
	ssize_t n;

	while ((n = recv(fd, bytes, sizeof(bytes), 0)) > 0)
		total += (size_t)n;
	return total;
}

/* What was queued when a session ended: delivered by a mere close, dropped by voletd's end. */
static void test_queue_dropped(void)
{
	struct volet_ctl leave = { .type = VOLET_CTL_LEAVE, .end.reason = VOLET_REASON_OWNER };
	struct bench *bench = bench_new();
	struct viewer viewer;
	size_t queued, got;
	int pair[MSG_FDS_MAX], size = 1 << 20;

	viewer = bench_granted(bench);
	setsockopt(viewer.handed, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	queued = fill(viewer.handed);
	g_assert_cmpuint(queued, >, 128 * 1024);
	/* All that a killed program does is close; voletd's duplicate is taken away for once. */
	pair[0] = ((struct session *)session_find(bench->daemon, &viewer.session))->tcp;
	pair[1] = fcntl(viewer.tcp, F_DUPFD_CLOEXEC, 3);
	close(viewer.handed);
	viewer.handed = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	g_assert_no_errno(dup3(viewer.handed, pair[0], O_CLOEXEC));
	got = drain(pair[1]);
	close(pair[1]);
	g_test_message("closed only: %zu of %zu queued bytes delivered", got, queued);
	g_assert_cmpuint(got, ==, queued);
	viewer_close(&viewer);
	g_assert_cmpuint(bench_spawn(bench, pair).type, ==, VOLET_SPAWN_KILL);
	g_assert_cmpuint(bench_bus(bench, 0, NULL).type, ==, VOLET_BUS_END);

	viewer = bench_granted(bench);
	setsockopt(viewer.handed, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	queued = fill(viewer.handed);
	g_assert_cmpuint(queued, >, 128 * 1024);
	viewer_say(&viewer, &leave);
	got = drain(viewer.tcp);
	g_test_message("ended by voletd: %zu of %zu", got, queued);
	g_assert_cmpint(errno, ==, ECONNRESET);
	g_assert_cmpuint(got, <, 64 * 1024);
	viewer_close(&viewer);
	bench_free(bench);
}

static void run_for(unsigned int ms)
{
	int64_t end = daemon_now_ns() + ms * 1000000LL;

	while (daemon_now_ns() < end) {
		bench_settle();
		g_usleep(20 * 1000);
	}
}

/* Two viewers are sent too much; the one that reads lives, the other ends past the age limit. */
static void test_too_old(void)
{
	struct bench *bench = bench_new();
	int64_t began = daemon_now_ns();
	struct viewer reads, stuck;
	static char bytes[1000];

	/* So much that what is read in time isn't too old on a machine that stands still for a while. */
	bench->config->age_limit_ms = 5000;
	reads = bench_granted(bench);
	stuck = bench_granted(bench);
	fill(stuck.handed);
	do {
		g_assert_cmpint(send(reads.handed, bytes, sizeof(bytes), 0), ==, sizeof(bytes));
		run_for(100);
		g_assert_cmpint(recv(reads.tcp, bytes, sizeof(bytes), MSG_DONTWAIT), >, 0);
	} while (g_hash_table_size(bench->daemon->sessions) == 2 &&
		 daemon_now_ns() - began < 20 * 1000000000LL);
	g_assert_cmpint(daemon_now_ns() - began, >=, 5 * 1000000000LL);
	g_assert_cmpuint(g_hash_table_size(bench->daemon->sessions), ==, 1);
	g_assert_nonnull(session_find(bench->daemon, &reads.session));
	g_assert_cmpuint(bench_bus(bench, 0, NULL).end.reason, ==, VOLET_REASON_TOO_OLD);
	viewer_close(&reads);
	viewer_close(&stuck);
	bench_free(bench);
}

/* voletd's request to start camera 0 again is taken; how long it took, in ms. */
static int64_t restarted_after(struct bench *bench, int64_t since)
{
	const struct camera *camera = bench->daemon->cameras->pdata[0];

	while (camera->state != CAMERA_STARTING && daemon_now_ns() - since < 20 * 1000000000LL)
		run_for(20);
	bench_take_camera(bench, 0);
	return (daemon_now_ns() - since) / 1000000;
}

static void test_camera_gone(void)
{
	struct volet_bus failed = { .type = VOLET_BUS_FAILED, .failed.text = "no device\n" };
	struct bench *bench = bench_new();
	struct viewer alice = bench_granted(bench), bob = bench_connect(bench, "127.0.0.1");
	struct volet_spawn msg;
	int fds[MSG_FDS_MAX];
	int64_t since;

	viewer_nonce(&bob);
	g_assert_cmpuint(viewer_auth(&bob, "bob", "secret", "cam1").type, ==, VOLET_CTL_GRANTED);
	bench_bus_say(bench, 0, &failed);
	/* Its sessions end; there is no camera to tell. The other camera's go on. */
	close(alice.frames);
	alice.frames = -1;
	viewer_assert_ended(&alice, VOLET_REASON_CAMERA_GONE);
	msg = bench_spawn(bench, fds);
	g_assert_cmpuint(msg.type, ==, VOLET_SPAWN_KILL);
	g_assert_cmpuint(msg.id, ==, bench->cam_child[0]);
	viewer_assert_alive(&bob);
	/* It is started again once it is really gone, and not at once. */
	run_for(400);
	g_assert_cmpuint(bench_spawn(bench, fds).type, ==, 0);
	close(bench->bus[0]);
	since = daemon_now_ns();
	bench_exited(bench, bench->cam_child[0], 9);
	g_assert_cmpint(restarted_after(bench, since), >=, 250);
	bench_ready(bench, 0);
	alice = bench_granted(bench);
	/* The next failure soon after waits longer. */
	since = daemon_now_ns();
	bench_exited(bench, bench->cam_child[0], 256);
	close(bench->bus[0]);
	g_assert_cmpuint(bench_spawn(bench, fds).type, ==, VOLET_SPAWN_KILL);
	g_assert_cmpint(restarted_after(bench, since), >=, 500);
	viewer_assert_alive(&bob);
	viewer_close(&alice);
	viewer_close(&bob);
	bench_free(bench);
}

static void test_camera_protocol(void)
{
	static const struct volet_bus wrong[] = {
		{ .type = 0 }, { .type = VOLET_BUS_GRANT }, { .type = VOLET_BUS_END },
		{ .type = VOLET_BUS_READY }, { .type = VOLET_BUS_SIGNAL + 1 },
		{ .type = VOLET_BUS_SIGNAL, .signal.signal = VOLET_SIGNAL_COUNT },
	};
	unsigned int i;

	for (i = 0; i < G_N_ELEMENTS(wrong); i++) {
		struct bench *bench = bench_new();
		int fds[MSG_FDS_MAX];

		bench_bus_say(bench, 1, &wrong[i]);
		g_assert_cmpuint(bench_spawn(bench, fds).type, ==, VOLET_SPAWN_KILL);
		bench_free(bench);
	}
}

/* One without a signal is no failed one: it stays, and who asks is let in. */
static void test_camera_no_signal(void)
{
	const struct volet_bus msg = {
		.type = VOLET_BUS_SIGNAL,
		.signal = { .signal = VOLET_SIGNAL_UNPLUGGED, .text = "unplugged" },
	};
	struct bench *bench = bench_new();
	struct camera *camera = bench->daemon->cameras->pdata[0];
	struct viewer alice;

	bench_bus_say(bench, 0, &msg);
	g_assert_cmpint(camera->state, ==, CAMERA_READY);
	g_assert_cmpuint(camera->stats.signal, ==, VOLET_SIGNAL_UNPLUGGED);
	alice = bench_granted(bench);
	viewer_assert_alive(&alice);
	viewer_close(&alice);
	bench_free(bench);
}

/* A camera that doesn't take its messages is as good as gone. */
static void test_camera_deaf(void)
{
	struct bench *bench = bench_new();
	struct camera *camera = bench->daemon->cameras->pdata[0];
	int small = 1;

	setsockopt(camera->bus, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	while (camera->state == CAMERA_READY)
		camera_end_session(camera, &(struct volet_id){ { 0 } }, VOLET_REASON_OWNER);
	g_assert_cmpint(camera->state, ==, CAMERA_ENDING);
	bench_free(bench);
}

static void test_camera_ends_session(void)
{
	struct bench *bench = bench_new();
	struct viewer viewer = bench_granted(bench);
	struct volet_bus msg = { .type = VOLET_BUS_SESSION,
				 .session = { .ended = VOLET_REASON_STALE_SLOT } };

	/* Of a session that there isn't: only noted. */
	bench_bus_say(bench, 0, &msg);
	viewer_assert_alive(&viewer);
	/* Another camera has no say in it. */
	msg.session.session = viewer.session;
	bench_bus_say(bench, 1, &msg);
	viewer_assert_alive(&viewer);
	bench_bus_say(bench, 0, &msg);
	viewer_assert_ended(&viewer, VOLET_REASON_STALE_SLOT);
	bench_free(bench);
}

static void test_spawn_gone(void)
{
	struct bench *bench = bench_new();

	close(bench->spawn);
	bench->spawn = -1;
	bench_settle();
	g_assert_cmpint(bench->daemon->exit_status, ==, 1);
	g_assert_cmpint(bench->daemon->spawn, ==, -1);
	bench_free(bench);
}

static void test_shutdown(void)
{
	struct bench *bench = bench_new();
	struct viewer viewer[3];
	unsigned int i;
	char byte;

	for (i = 0; i < 3; i++)
		viewer[i] = bench_granted(bench);
	bench_free(bench);
	for (i = 0; i < 3; i++) {
		g_assert_cmpint(recv(viewer[i].tcp, &byte, 1, MSG_DONTWAIT), ==, -1);
		g_assert_cmpint(errno, ==, ECONNRESET);
		viewer_close(&viewer[i]);
	}
}

static void test_fault_cross(void)
{
	struct bench *bench = bench_new();
	struct viewer viewer = bench_connect(bench, "127.0.0.1");
	struct volet_bus grant;

	viewer_nonce(&viewer);
	g_assert_cmpstr(viewer_auth(&viewer, "alice", "secret", "cam0").granted.camera, ==, "cam0");
	g_assert_cmpuint(bench_bus(bench, 0, NULL).type, ==, 0);
	grant = bench_bus(bench, 1, NULL);
	g_assert_cmpuint(grant.type, ==, VOLET_BUS_GRANT);
	g_assert_cmpstr(grant.grant.camera, ==, "cam1");
	viewer_close(&viewer);
	bench_free(bench);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	/* A build with a fault on purpose is there to show just that. */
	if (FAULT_CROSS) {
		g_test_add_func("/fault/cross", test_fault_cross);
		return g_test_run();
	}
	test_grant_add();
	g_test_add_func("/session/forbidden", test_forbidden);
	g_test_add_func("/session/wrong-size", test_wrong_size);
	g_test_add_func("/session/descriptors", test_descriptors);
	g_test_add_func("/session/unterminated", test_unterminated);
	g_test_add_func("/session/flood", test_flood);
	g_test_add_func("/session/deaf", test_deaf);
	g_test_add_func("/session/leave", test_leave);
	g_test_add_func("/session/program-gone", test_program_gone);
	g_test_add_func("/session/authentication-timeout", test_authentication_timeout);
	g_test_add_func("/session/queue-dropped", test_queue_dropped);
	g_test_add_func("/session/too-old", test_too_old);
	g_test_add_func("/session/shutdown", test_shutdown);
	g_test_add_func("/camera/gone", test_camera_gone);
	g_test_add_func("/camera/protocol", test_camera_protocol);
	g_test_add_func("/camera/no-signal", test_camera_no_signal);
	g_test_add_func("/camera/deaf", test_camera_deaf);
	g_test_add_func("/camera/ends-session", test_camera_ends_session);
	g_test_add_func("/spawn/gone", test_spawn_gone);
	return g_test_run();
}
