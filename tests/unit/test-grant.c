// SPDX-License-Identifier: MIT
/* Who is granted what: right and wrong answers, nonces, and that a grant can't be moved. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "test-session.h"

static void assert_denied(struct volet_ctl answer, enum volet_denied why, unsigned int tries_left)
{
	g_assert_cmpuint(answer.type, ==, VOLET_CTL_DENIED);
	g_assert_cmpuint(answer.denied.why, ==, why);
	g_assert_cmpuint(answer.denied.tries_left, ==, tries_left);
}

static void assert_granted(struct volet_ctl answer)
{
	g_assert_cmpuint(answer.type, ==, VOLET_CTL_GRANTED);
}

static void test_granted(void)
{
	struct bench *bench = bench_new();
	struct viewer viewer = bench_connect(bench, "127.0.0.1");
	struct volet_ctl answer;
	struct volet_bus grant;
	int cam = -1;
	char byte = 0;

	viewer_nonce(&viewer);
	answer = viewer_auth(&viewer, "alice", "secret", "cam0");
	g_assert_cmpuint(answer.type, ==, VOLET_CTL_GRANTED);
	g_assert_cmpstr(answer.granted.viewer, ==, "alice");
	g_assert_cmpstr(answer.granted.camera, ==, "cam0");
	g_assert_cmpuint(answer.granted.age_limit_ms, ==, 1000);
	grant = bench_bus(bench, 0, &cam);
	g_assert_cmpuint(grant.type, ==, VOLET_BUS_GRANT);
	g_assert_cmpmem(&grant.grant.session, 16, &answer.granted.session, 16);
	g_assert_cmpstr(grant.grant.viewer, ==, "alice");
	g_assert_cmpstr(grant.grant.camera, ==, "cam0");
	g_assert_cmpstr(grant.grant.profile, ==, "large");
	g_assert_cmpstr(answer.granted.profile, ==, "large");
	g_assert_cmpuint(grant.grant.granted_ns, ==, answer.granted.granted_ns);
	g_assert_cmpuint(bench_bus(bench, 1, NULL).type, ==, 0);
	/* The two ends are each other's, and voletd has neither. */
	g_assert_cmpint(send(cam, "!", 1, 0), ==, 1);
	g_assert_cmpint(recv(viewer.frames, &byte, 1, MSG_DONTWAIT), ==, 1);
	close(cam);
	g_assert_cmpint(recv(viewer.frames, &byte, 1, MSG_DONTWAIT), ==, 0);
	viewer_assert_alive(&viewer);
	viewer_close(&viewer);
	bench_free(bench);
}

static void test_wrong_thrice(void)
{
	static const char *const names[] = { "alice", "mallory" };
	struct bench *bench = bench_new();
	unsigned int i;
	int64_t told;

	/* A viewer that exists and one that doesn't get the same answers. */
	for (i = 0; i < 2; i++) {
		struct viewer viewer = bench_connect(bench, "127.0.0.1");

		viewer_nonce(&viewer);
		assert_denied(viewer_auth(&viewer, names[i], "wrong", "cam0"),
			      VOLET_DENIED_CREDENTIALS, 2);
		assert_denied(viewer_auth(&viewer, names[i], "wrong", "cam9"),
			      VOLET_DENIED_CREDENTIALS, 1);
		viewer_assert_alive(&viewer);
		told = daemon_now_ns();
		assert_denied(viewer_auth(&viewer, names[i], "", "cam0"), VOLET_DENIED_CREDENTIALS, 0);
		/* A moment to tell its viewer, then it ends by itself. */
		bench_run(bench, 0);
		g_assert_cmpint(daemon_now_ns() - told, >=, 1000000000LL);
		viewer_assert_ended(&viewer, VOLET_REASON_CREDENTIALS);
	}
	bench_free(bench);
}

/* What stands for an unknown viewer's secret is not one, even for who knows it. */
static void test_nobody(void)
{
	struct bench *bench = bench_new();
	struct viewer viewer = bench_connect(bench, "127.0.0.1");
	g_autofree char *ha1 = g_compute_checksum_for_string(G_CHECKSUM_MD5, "mallory:volet:x", -1);

	g_strlcpy(bench->daemon->nobody_ha1, ha1, sizeof(bench->daemon->nobody_ha1));
	viewer_nonce(&viewer);
	assert_denied(viewer_auth(&viewer, "mallory", "x", "cam0"), VOLET_DENIED_CREDENTIALS, 2);
	viewer_close(&viewer);
	bench_free(bench);
}

static void test_right_after_wrong(void)
{
	struct bench *bench = bench_new();
	struct viewer viewer = bench_connect(bench, "127.0.0.1");

	viewer_nonce(&viewer);
	assert_denied(viewer_auth(&viewer, "alice", "Secret", "cam0"), VOLET_DENIED_CREDENTIALS, 2);
	assert_granted(viewer_auth(&viewer, "alice", "secret", "cam0"));
	viewer_close(&viewer);
	bench_free(bench);
}

static void test_brute_force(void)
{
	struct bench *bench = bench_new();
	struct viewer viewer[8], other;
	unsigned int i, wrong = 0;
	struct volet_ctl answer;

	/* Eight connections at once: two tries each, of which only ten are looked at. */
	for (i = 0; i < 8; i++) {
		viewer[i] = bench_connect(bench, "127.0.0.2");
		viewer_nonce(&viewer[i]);
	}
	for (i = 0; i < 16; i++) {
		answer = viewer_auth(&viewer[i / 2], "alice", "guess", "cam0");
		wrong += answer.type == VOLET_CTL_DENIED && answer.denied.tries_left > 0;
		if (answer.denied.tries_left == 0)
			break;
	}
	g_assert_cmpuint(wrong, ==, SOURCES_WRONG_BURST);
	/* Then not even the right one is from there; elsewhere it is. */
	assert_denied(viewer_auth(&viewer[6], "alice", "secret", "cam0"), VOLET_DENIED_CREDENTIALS, 0);
	other = bench_connect(bench, "127.0.0.3");
	viewer_nonce(&other);
	assert_granted(viewer_auth(&other, "alice", "secret", "cam0"));
	for (i = 0; i < 8; i++)
		viewer_close(&viewer[i]);
	viewer_close(&other);
	bench_free(bench);
}

static void test_no_camera(void)
{
	struct bench *bench = bench_new();
	struct viewer viewer = bench_connect(bench, "127.0.0.1");

	viewer_nonce(&viewer);
	/* There is none, it is somebody else's, the name is none: one answer. */
	assert_denied(viewer_auth(&viewer, "alice", "secret", "cam9"), VOLET_DENIED_NO_CAMERA, 3);
	assert_denied(viewer_auth(&viewer, "alice", "secret", "cam1"), VOLET_DENIED_NO_CAMERA, 3);
	assert_denied(viewer_auth(&viewer, "alice", "secret", ""), VOLET_DENIED_NO_CAMERA, 3);
	g_assert_cmpuint(bench_bus(bench, 1, NULL).type, ==, 0);
	assert_granted(viewer_auth(&viewer, "alice", "secret", "cam0"));
	viewer_close(&viewer);
	bench_free(bench);
}

static void test_limit_and_down(void)
{
	struct bench *bench = bench_new();
	struct viewer viewer[3], more;
	unsigned int i;

	for (i = 0; i < 3; i++)
		viewer[i] = bench_granted(bench);
	more = bench_connect(bench, "127.0.0.1");
	viewer_nonce(&more);
	assert_denied(viewer_auth(&more, "bob", "secret", "cam1"), VOLET_DENIED_LIMIT, 3);
	close(bench->bus[1]);
	bench->bus[1] = -1;
	bench_settle();
	assert_denied(viewer_auth(&more, "bob", "secret", "cam1"), VOLET_DENIED_CAMERA_DOWN, 3);
	for (i = 0; i < 3; i++)
		viewer_close(&viewer[i]);
	viewer_close(&more);
	bench_free(bench);
}

static struct session *only_session(struct bench *bench)
{
	GHashTableIter iter;
	gpointer session = NULL;

	g_assert_cmpuint(g_hash_table_size(bench->daemon->sessions), ==, 1);
	g_hash_table_iter_init(&iter, bench->daemon->sessions);
	g_hash_table_iter_next(&iter, &session, NULL);
	return session;
}

static void test_nonce_expired(void)
{
	struct bench *bench = bench_new();
	struct viewer viewer = bench_connect(bench, "127.0.0.1");

	/* None was asked for: the client has one from another connection, say. */
	g_strlcpy(viewer.nonce, "0123456789abcdef0123456789abcdef", sizeof(viewer.nonce));
	assert_denied(viewer_auth(&viewer, "alice", "secret", "cam0"), VOLET_DENIED_STALE, 3);
	viewer_nonce(&viewer);
	only_session(bench)->nonce.made_ns -= NONCE_FIRST_NS + 1;
	assert_denied(viewer_auth(&viewer, "alice", "secret", "cam0"), VOLET_DENIED_STALE, 3);
	viewer_nonce(&viewer);
	assert_granted(viewer_auth(&viewer, "alice", "secret", "cam0"));
	/* It was used in time, so it goes on. */
	only_session(bench)->nonce.made_ns -= 3600 * NONCE_FIRST_NS;
	assert_granted(viewer_auth(&viewer, "alice", "secret", "cam0"));
	only_session(bench)->nonce.uses = NONCE_USES_MAX;
	assert_denied(viewer_auth(&viewer, "alice", "secret", "cam0"), VOLET_DENIED_STALE, 3);
	viewer_nonce(&viewer);
	assert_granted(viewer_auth(&viewer, "alice", "secret", "cam0"));
	viewer_close(&viewer);
	bench_free(bench);
}

static void test_nonce_replayed(void)
{
	struct bench *bench = bench_new();
	struct viewer alice = bench_connect(bench, "127.0.0.1");
	struct viewer thief = bench_connect(bench, "127.0.0.2");
	struct volet_ctl overheard, answer;

	viewer_nonce(&alice);
	viewer_nonce(&thief);
	overheard = viewer_auth_msg(&alice, "alice", "secret", "cam0");
	viewer_say(&thief, &overheard);
	assert_denied(viewer_hear(&thief, NULL), VOLET_DENIED_STALE, 3);
	/* The same message is good where its nonce was given. */
	viewer_say(&alice, &overheard);
	answer = viewer_hear(&alice, NULL);
	g_assert_cmpuint(answer.type, ==, VOLET_CTL_GRANTED);
	viewer_say(&thief, &overheard);
	assert_denied(viewer_hear(&thief, NULL), VOLET_DENIED_STALE, 3);
	viewer_close(&alice);
	viewer_close(&thief);
	bench_free(bench);
}

static void test_nonces_without_end(void)
{
	const struct volet_ctl ask = { .type = VOLET_CTL_GET_NONCE };
	struct bench *bench = bench_new();
	struct viewer viewer = bench_connect(bench, "127.0.0.1");
	unsigned int i;

	for (i = 0; i < 16; i++)
		viewer_nonce(&viewer);
	viewer_say(&viewer, &ask);
	viewer_assert_ended(&viewer, VOLET_REASON_CREDENTIALS);
	bench_free(bench);
}

static void test_confirmed(void)
{
	struct bench *bench = bench_new();
	struct viewer viewer = bench_granted(bench);
	struct volet_id session = viewer.session;
	const struct volet_ctl msg = viewer_auth_msg(&viewer, "alice", "secret", "cam0");
	struct volet_ctl answer;
	int fd = -1;

	viewer_say(&viewer, &msg);
	answer = viewer_hear(&viewer, &fd);
	g_assert_cmpuint(answer.type, ==, VOLET_CTL_GRANTED);
	g_assert_cmpmem(&answer.granted.session, 16, &session, 16);
	/* The same session, not a second one. */
	g_assert_cmpint(fd, ==, -1);
	g_assert_cmpuint(bench_bus(bench, 0, NULL).type, ==, 0);
	g_assert_cmpuint(bench->daemon->granted, ==, 1);
	viewer_close(&viewer);
	bench_free(bench);
}

/* A profile by its name; one that isn't there is as a camera that isn't there. */
static void test_profile(void)
{
	struct bench *bench = bench_new();
	struct viewer viewer = bench_connect(bench, "127.0.0.1");
	struct volet_ctl unknown, answer;
	struct volet_bus grant;

	viewer_nonce(&viewer);
	unknown = viewer_auth(&viewer, "alice", "secret", "cam9");
	answer = viewer_auth(&viewer, "alice", "secret", "cam0/none");
	g_assert_cmpuint(answer.denied.why, ==, VOLET_DENIED_NO_CAMERA);
	g_assert_cmpmem(&answer, sizeof(answer), &unknown, sizeof(unknown));
	/* Another's, whether it has such a profile or not. */
	answer = viewer_auth(&viewer, "alice", "secret", "cam1/jpeg");
	g_assert_cmpmem(&answer, sizeof(answer), &unknown, sizeof(unknown));
	g_assert_cmpuint(bench_bus(bench, 0, NULL).type, ==, 0);
	answer = viewer_auth(&viewer, "alice", "secret", "cam0/small");
	g_assert_cmpuint(answer.type, ==, VOLET_CTL_GRANTED);
	g_assert_cmpstr(answer.granted.profile, ==, "small");
	grant = bench_bus(bench, 0, NULL);
	g_assert_cmpuint(grant.type, ==, VOLET_BUS_GRANT);
	g_assert_cmpstr(grant.grant.profile, ==, "small");
	viewer_close(&viewer);
	bench_free(bench);
}

/* After a grant: another viewer, another camera, another profile, or a wrong response ends the session. */
static void test_rebound(void)
{
	static const struct { const char *viewer, *password, *camera; } others[] = {
		{ "bob", "secret", "cam0" }, { "bob", "secret", "cam1" },
		{ "alice", "secret", "cam1" }, { "alice", "secret", "cam9" },
		{ "alice", "secret", "cam0/small" }, { "alice", "secret", "cam0/none" },
		{ "alice", "wrong", "cam0" }, { "nobody", "x", "cam0" },
	};
	struct bench *bench = bench_new();
	unsigned int i;

	for (i = 0; i < G_N_ELEMENTS(others); i++) {
		struct viewer viewer = bench_granted(bench);
		const struct volet_ctl msg = viewer_auth_msg(&viewer, others[i].viewer,
							     others[i].password, others[i].camera);

		viewer_say(&viewer, &msg);
		viewer_assert_ended(&viewer, VOLET_REASON_REBOUND);
		g_assert_cmpuint(bench_bus(bench, 1, NULL).type, ==, 0);
	}
	bench_free(bench);
}

void test_grant_add(void)
{
	g_test_add_func("/grant/granted", test_granted);
	g_test_add_func("/grant/wrong-thrice", test_wrong_thrice);
	g_test_add_func("/grant/nobody", test_nobody);
	g_test_add_func("/grant/right-after-wrong", test_right_after_wrong);
	g_test_add_func("/grant/brute-force", test_brute_force);
	g_test_add_func("/grant/no-camera", test_no_camera);
	g_test_add_func("/grant/limit-and-down", test_limit_and_down);
	g_test_add_func("/grant/nonce-expired", test_nonce_expired);
	g_test_add_func("/grant/nonce-replayed", test_nonce_replayed);
	g_test_add_func("/grant/nonces-without-end", test_nonces_without_end);
	g_test_add_func("/grant/confirmed", test_confirmed);
	g_test_add_func("/grant/profile", test_profile);
	g_test_add_func("/grant/rebound", test_rebound);
}
