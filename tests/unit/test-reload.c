// SPDX-License-Identifier: MIT
/* A new configuration under running sessions: who has to end does, and nobody else. */
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

#define CAM1 "[camera cam1]\nmedia = m1\ncapture = c\nsize = 64x64\n"

static char *path;

/* alice watches cam0, bob cam1. */
struct stage {
	struct bench *bench;
	struct viewer alice, bob;
};

static struct stage new_stage(void)
{
	struct stage stage = { .bench = bench_new() };

	stage.alice = bench_granted(stage.bench);
	stage.bob = bench_connect(stage.bench, "127.0.0.1");
	viewer_nonce(&stage.bob);
	g_assert_cmpuint(viewer_auth(&stage.bob, "bob", "secret", "cam1").type, ==,
			 VOLET_CTL_GRANTED);
	g_assert_cmpuint(bench_bus(stage.bench, 1, NULL).type, ==, VOLET_BUS_GRANT);
	return stage;
}

static void write_configuration(const char *text)
{
	g_unlink(path);
	g_assert_true(g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
}

/* Read the bench's configuration again, with `from` replaced by `to`. */
static void reload(struct stage *stage, const char *from, const char *to)
{
	g_autoptr(GString) text = g_string_new(bench_configuration);

	g_assert_cmpuint(g_string_replace(text, from, to, 1), ==, 1);
	write_configuration(text->str);
	daemon_reload(stage->bench->daemon, path);
	bench_settle();
}

static void assert_both_alive(struct stage *stage)
{
	viewer_assert_alive(&stage->alice);
	viewer_assert_alive(&stage->bob);
	g_assert_cmpuint(bench_bus(stage->bench, 0, NULL).type, ==, 0);
	g_assert_cmpuint(bench_bus(stage->bench, 1, NULL).type, ==, 0);
}

static void assert_killed(struct stage *stage, uint32_t child)
{
	int fds[MSG_FDS_MAX];
	struct volet_spawn msg = bench_spawn(stage->bench, fds);

	g_assert_cmpuint(msg.type, ==, VOLET_SPAWN_KILL);
	g_assert_cmpuint(msg.id, ==, child);
}

static void leave(struct stage *stage)
{
	viewer_close(&stage->alice);
	viewer_close(&stage->bob);
	bench_free(stage->bench);
}

static void test_nothing(void)
{
	static const char *const same[][2] = {
		{ "[volet]", "[volet]" }, { "[volet]", "# a comment\n[volet]" },
		{ "max-sessions = 3", "max-sessions = 1" }, { "age-limit-ms = 1000", "age-limit-ms = 500" },
		{ "size = 64x64", "size = 64x64\nformat = NV12" },
		{ "[viewer alice]", "[viewer carol]\nha1 = 0123456789abcdef0123456789abcdef\n"
		  "cameras = cam0\n[viewer alice]" },
		{ "[volet]", "[volet]\nrtsp-port = 9999" },
	};
	struct stage stage = new_stage();
	unsigned int i;

	for (i = 0; i < G_N_ELEMENTS(same); i++) {
		reload(&stage, same[i][0], same[i][1]);
		assert_both_alive(&stage);
		g_assert_cmpuint(stage.bench->daemon->config->rtsp_port, ==, 8554);
	}
	/* A viewer that is new can come. */
	reload(&stage, same[5][0], same[5][1]);
	g_assert_nonnull(config_find_viewer(stage.bench->daemon->config, "carol"));
	leave(&stage);
}

static void test_bad(void)
{
	static const char *const bad[] = { "[nonsense]\n", "[volet]\nage-limit-ms = 1\n", "[volet" };
	struct stage stage = new_stage();
	unsigned int i;

	for (i = 0; i < G_N_ELEMENTS(bad); i++) {
		reload(&stage, "[volet]\n", bad[i]);
		assert_both_alive(&stage);
		g_assert_cmpuint(stage.bench->daemon->config->age_limit_ms, ==, 1000);
	}
	g_unlink(path);
	daemon_reload(stage.bench->daemon, path);
	assert_both_alive(&stage);
	/* Readable to others: as at start, refused. */
	reload(&stage, "[volet]", "[volet]");
	g_assert_no_errno(chmod(path, 0644));
	daemon_reload(stage.bench->daemon, path);
	assert_both_alive(&stage);
	leave(&stage);
}

/* What takes a right from alice ends hers alone, and she can't come back. */
static void test_viewer(void)
{
	static const char *const changes[][2] = {
		{ "[viewer alice]", "[viewer carol]" },
		{ "ha1 = 4066", "ha1 = 4067" },
		{ "03cae\ncameras = cam0", "03cae\ncameras = cam1" },
	};
	unsigned int i;

	for (i = 0; i < G_N_ELEMENTS(changes); i++) {
		struct stage stage = new_stage();
		struct viewer again;

		reload(&stage, changes[i][0], changes[i][1]);
		viewer_assert_ended(&stage.alice, VOLET_REASON_OWNER);
		viewer_assert_alive(&stage.bob);
		again = bench_connect(stage.bench, "127.0.0.1");
		viewer_nonce(&again);
		g_assert_cmpuint(viewer_auth(&again, "alice", "secret", "cam0").type, ==,
				 VOLET_CTL_DENIED);
		viewer_close(&again);
		viewer_close(&stage.bob);
		bench_free(stage.bench);
	}
}

/* A connection that has proved who it is and waits for a camera ends too. */
static void test_waiting(void)
{
	struct stage stage = new_stage();
	struct viewer waiting = bench_connect(stage.bench, "127.0.0.1");

	viewer_nonce(&waiting);
	g_assert_cmpuint(viewer_auth(&waiting, "alice", "secret", "cam7").type, ==, VOLET_CTL_DENIED);
	session_end(session_find(stage.bench->daemon, &stage.alice.session), VOLET_REASON_OWNER);
	viewer_assert_ended(&stage.alice, VOLET_REASON_OWNER);
	reload(&stage, "[viewer alice]", "[viewer carol]");
	viewer_assert_ended(&waiting, VOLET_REASON_OWNER);
	viewer_assert_alive(&stage.bob);
	viewer_close(&stage.bob);
	bench_free(stage.bench);
}

static void test_camera_changed(void)
{
	struct stage stage = new_stage();
	struct viewer again;

	reload(&stage, "media = m1\ncapture = c\nsize = 64x64", "media = m1\ncapture = c\nsize = 32x32");
	assert_killed(&stage, stage.bob.child);
	assert_killed(&stage, stage.bench->cam_child[1]);
	viewer_assert_alive(&stage.alice);
	close(stage.bench->bus[1]);
	bench_exited(stage.bench, stage.bench->cam_child[1], 9);
	g_usleep(300000);
	bench_take_camera(stage.bench, 1);
	bench_ready(stage.bench, 1);
	again = bench_connect(stage.bench, "127.0.0.1");
	viewer_nonce(&again);
	g_assert_cmpuint(viewer_auth(&again, "bob", "secret", "cam1").type, ==, VOLET_CTL_GRANTED);
	viewer_assert_alive(&stage.alice);
	viewer_close(&again);
	leave(&stage);
}

/* cam1 goes, cam2 comes in its place; then the order changes, which is nothing. */
static void test_camera_replaced(void)
{
	struct stage stage = new_stage();
	struct daemon *daemon = stage.bench->daemon;
	g_autoptr(GString) text = g_string_new(bench_configuration);

	g_string_replace(text, CAM1, "", 1);
	g_string_replace(text, "cameras = cam0;cam1", "cameras = cam0;cam2", 1);
	g_string_replace(text, "[camera cam0]", "[camera cam2]\nmedia = m2\ncapture = c\nsize = 64x64\n"
			 "[camera cam0]", 1);
	write_configuration(text->str);
	daemon_reload(daemon, path);
	assert_killed(&stage, stage.bob.child);
	assert_killed(&stage, stage.bench->cam_child[1]);
	close(stage.bench->bus[1]);
	bench_take_camera(stage.bench, 1);
	viewer_assert_alive(&stage.alice);
	g_assert_cmpuint(daemon->cameras->len, ==, 2);
	g_assert_cmpstr(((struct camera *)daemon->cameras->pdata[0])->config->name, ==, "cam2");
	/* The removed one's end is nobody's business any more. */
	bench_exited(stage.bench, 123456, 9);
	viewer_assert_alive(&stage.alice);
	leave(&stage);
}

static void test_granted_limit(void)
{
	struct stage stage = new_stage();
	const struct session *session = session_find(stage.bench->daemon, &stage.alice.session);

	reload(&stage, "age-limit-ms = 1000", "age-limit-ms = 5000");
	g_assert_cmpuint(session->age_limit_ms, ==, 1000);
	g_assert_cmpuint(stage.bench->daemon->config->age_limit_ms, ==, 5000);
	leave(&stage);
}

int main(int argc, char **argv)
{
	g_autofree char *directory = NULL;
	int status;

	g_test_init(&argc, &argv, NULL);
	directory = g_dir_make_tmp("volet-reload-XXXXXX", NULL);
	path = g_build_filename(directory, "volet.conf", NULL);
	g_test_add_func("/reload/nothing", test_nothing);
	g_test_add_func("/reload/bad", test_bad);
	g_test_add_func("/reload/viewer", test_viewer);
	g_test_add_func("/reload/waiting", test_waiting);
	g_test_add_func("/reload/camera-changed", test_camera_changed);
	g_test_add_func("/reload/camera-replaced", test_camera_replaced);
	g_test_add_func("/reload/granted-limit", test_granted_limit);
	status = g_test_run();
	g_unlink(path);
	g_rmdir(directory);
	g_free(path);
	return status;
}
