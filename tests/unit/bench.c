// SPDX-License-Identifier: MIT
/* A daemon of which every peer is the test; see bench.h. */
#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "digest.h"

/* printf '%s' 'alice:volet:secret' | md5sum, and bob. */
#define HA1_ALICE	"4066155dd9b9a6415faff411dda03cae"
#define HA1_BOB		"f1492724790ee7330369e132a80a6f21"

const char bench_configuration[] =
	"[volet]\nmax-sessions = 3\nage-limit-ms = 1000\nauthentication-timeout-s = 100\n"
	"max-unauthenticated = 100\nmax-unauthenticated-per-source = 50\n"
	"[camera cam0]\nmedia = m0\ncapture = c\nsize = 64x64\n"
	"[profile cam0/large]\n[profile cam0/small]\nsize = 32x32\n"
	"[camera cam1]\nmedia = m1\ncapture = c\nsize = 64x64\n"
	"[viewer alice]\nha1 = " HA1_ALICE "\ncameras = cam0\n"
	"[viewer bob]\nha1 = " HA1_BOB "\ncameras = cam0;cam1\n";

struct bench *bench_new(void)
{
	struct bench *bench = g_new0(struct bench, 1);
	g_autoptr(GError) error = NULL;
	unsigned int i;
	int pair[2];

	bench->config = config_parse("bench", bench_configuration,
				     strlen(bench_configuration), &error);
	g_assert_no_error(error);
	g_assert_cmpint(msg_pair(pair), ==, 0);
	bench->spawn = pair[1];
	bench->loop = g_main_loop_new(NULL, FALSE);
	bench->daemon = daemon_new(bench->config, pair[0], bench->loop);
	for (i = 0; i < BENCH_CAMERAS; i++) {
		camera_start(bench->daemon->cameras->pdata[i]);
		bench_take_camera(bench, i);
		bench_ready(bench, i);
	}
	return bench;
}

void bench_free(struct bench *bench)
{
	unsigned int i;

	daemon_free(bench->daemon);
	for (i = 0; i < BENCH_CAMERAS; i++)
		close(bench->bus[i]);
	close(bench->spawn);
	g_main_loop_unref(bench->loop);
	g_free(bench);
}

void bench_settle(void)
{
	while (g_main_context_iteration(NULL, FALSE))
		;
}

void bench_run(const struct bench *bench, unsigned int sessions)
{
	int64_t end = daemon_now_ns() + 20 * 1000000000LL;

	while (g_hash_table_size(bench->daemon->sessions) > sessions && daemon_now_ns() < end) {
		bench_settle();
		g_usleep(20 * 1000);
	}
}

struct volet_spawn bench_spawn(struct bench *bench, int fds[MSG_FDS_MAX])
{
	struct volet_spawn msg = { 0 };
	unsigned int n_fds;

	bench_settle();
	if (msg_recv(bench->spawn, &msg, sizeof(msg), fds, &n_fds) < 0)
		msg.type = 0;
	return msg;
}

void bench_exited(struct bench *bench, uint32_t child, int status)
{
	const struct volet_spawn msg = { .type = VOLET_SPAWN_EXITED, .id = child, .status = status };

	g_assert_cmpint(msg_send(bench->spawn, &msg, sizeof(msg), NULL, 0), ==, 0);
	bench_settle();
}

struct volet_bus bench_bus(struct bench *bench, unsigned int camera, int *fd)
{
	struct volet_bus msg = { 0 };
	int fds[MSG_FDS_MAX];
	unsigned int n_fds;

	bench_settle();
	if (msg_recv(bench->bus[camera], &msg, sizeof(msg), fds, &n_fds) < 0)
		msg.type = 0;
	if (fd)
		*fd = fds[0];
	else
		msg_close_fds(fds);
	return msg;
}

void bench_bus_say(struct bench *bench, unsigned int camera, const struct volet_bus *msg)
{
	g_assert_cmpint(msg_send(bench->bus[camera], msg, sizeof(*msg), NULL, 0), ==, 0);
	bench_settle();
}

void bench_take_camera(struct bench *bench, unsigned int camera)
{
	int fds[MSG_FDS_MAX];
	struct volet_spawn msg = bench_spawn(bench, fds);

	g_assert_cmpuint(msg.type, ==, VOLET_SPAWN_START);
	g_assert_cmpuint(msg.program, ==, VOLET_PROGRAM_CAM);
	g_assert_cmpuint(msg.index, ==, camera);
	bench->bus[camera] = fds[0];
	bench->cam_child[camera] = msg.id;
	g_assert_cmpint(fds[1], >=, 0);
	close(fds[1]);
}

void bench_ready(struct bench *bench, unsigned int camera)
{
	struct volet_bus msg = { .type = VOLET_BUS_READY };

	g_snprintf(msg.ready.camera, sizeof(msg.ready.camera), "cam%u", camera);
	bench_bus_say(bench, camera, &msg);
	/* It says nothing by itself, which a camera mustn't for long. */
	g_clear_handle_id(&((struct camera *)bench->daemon->cameras->pdata[camera])->timer, g_source_remove);
}

struct viewer bench_connect(struct bench *bench, const char *from)
{
	struct viewer viewer = { .bench = bench, .frames = -1 };
	struct sockaddr_in here = { .sin_family = AF_INET }, at = { .sin_family = AF_INET };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(at);
	struct source *source;
	struct volet_spawn msg;
	int fds[MSG_FDS_MAX], tcp, small = 4096;

	inet_pton(AF_INET, "127.0.0.1", &at.sin_addr);
	inet_pton(AF_INET, from, &here.sin_addr);
	g_assert_no_errno(bind(listener, (struct sockaddr *)&at, sizeof(at)));
	g_assert_no_errno(listen(listener, 1));
	g_assert_no_errno(getsockname(listener, (struct sockaddr *)&at, &size));
	viewer.tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(viewer.tcp, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	g_assert_no_errno(bind(viewer.tcp, (struct sockaddr *)&here, sizeof(here)));
	g_assert_no_errno(connect(viewer.tcp, (struct sockaddr *)&at, sizeof(at)));
	tcp = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	g_assert_cmpint(tcp, >=, 0);
	close(listener);
	g_assert_null(sources_admit(&bench->daemon->sources, bench->daemon->config,
				    (struct sockaddr *)&here, ~0U, daemon_now_ns(), &source));
	session_new(bench->daemon, tcp, from, source);
	msg = bench_spawn(bench, fds);
	g_assert_cmpuint(msg.type, ==, VOLET_SPAWN_START);
	g_assert_cmpuint(msg.program, ==, VOLET_PROGRAM_RTSP);
	viewer.child = msg.id;
	viewer.control = fds[0];
	viewer.handed = fds[1];
	return viewer;
}

void viewer_close(struct viewer *viewer)
{
	close(viewer->tcp);
	close(viewer->control);
	close(viewer->handed);
	if (viewer->frames >= 0)
		close(viewer->frames);
}

void viewer_say(struct viewer *viewer, const struct volet_ctl *msg)
{
	g_assert_cmpint(msg_send(viewer->control, msg, sizeof(*msg), NULL, 0), ==, 0);
	bench_settle();
}

struct volet_ctl viewer_hear(struct viewer *viewer, int *fd)
{
	struct volet_ctl msg = { 0 };
	int fds[MSG_FDS_MAX];
	unsigned int n_fds;

	if (msg_recv(viewer->control, &msg, sizeof(msg), fds, &n_fds) < 0)
		msg.type = 0;
	if (fd)
		*fd = fds[0];
	else
		msg_close_fds(fds);
	return msg;
}

void viewer_nonce(struct viewer *viewer)
{
	const struct volet_ctl ask = { .type = VOLET_CTL_GET_NONCE };
	struct volet_ctl answer;

	viewer_say(viewer, &ask);
	answer = viewer_hear(viewer, NULL);
	g_assert_cmpuint(answer.type, ==, VOLET_CTL_NONCE);
	g_assert_cmpuint(strlen(answer.nonce.nonce), ==, 32);
	g_strlcpy(viewer->nonce, answer.nonce.nonce, sizeof(viewer->nonce));
}

struct volet_ctl viewer_auth_msg(const struct viewer *viewer, const char *name,
				 const char *password, const char *camera)
{
	g_autofree char *a1 = g_strdup_printf("%s:volet:%s", name, password);
	g_autofree char *ha1 = g_compute_checksum_for_string(G_CHECKSUM_MD5, a1, -1);
	g_autofree char *uri = g_strdup_printf("rtsp://127.0.0.1/%s", camera);
	g_autofree char *a2 = g_strdup_printf("DESCRIBE:%s", uri);
	g_autofree char *ha2 = g_compute_checksum_for_string(G_CHECKSUM_MD5, a2, -1);
	g_autofree char *a3 = g_strdup_printf("%s:%s:%s", ha1, viewer->nonce, ha2);
	g_autofree char *response = g_compute_checksum_for_string(G_CHECKSUM_MD5, a3, -1);
	struct volet_ctl msg = { .type = VOLET_CTL_AUTH };

	g_strlcpy(msg.auth.viewer, name, sizeof(msg.auth.viewer));
	/* "CAMERA" or "CAMERA/PROFILE" */
	g_strlcpy(msg.auth.camera, camera, sizeof(msg.auth.camera));
	if (strchr(msg.auth.camera, '/')) {
		g_strlcpy(msg.auth.profile, strchr(camera, '/') + 1, sizeof(msg.auth.profile));
		memset(strchr(msg.auth.camera, '/'), 0, strlen(strchr(camera, '/')));
	}
	g_strlcpy(msg.auth.nonce, viewer->nonce, sizeof(msg.auth.nonce));
	g_strlcpy(msg.auth.response, response, sizeof(msg.auth.response));
	g_strlcpy(msg.auth.method, "DESCRIBE", sizeof(msg.auth.method));
	g_strlcpy(msg.auth.uri, uri, sizeof(msg.auth.uri));
	return msg;
}

struct volet_ctl viewer_auth(struct viewer *viewer, const char *name, const char *password,
			     const char *camera)
{
	const struct volet_ctl msg = viewer_auth_msg(viewer, name, password, camera);
	struct volet_ctl answer;
	int fd = -1;

	viewer_say(viewer, &msg);
	answer = viewer_hear(viewer, &fd);
	if (fd >= 0) {
		viewer->frames = fd;
		viewer->session = answer.granted.session;
	}
	return answer;
}

struct viewer bench_granted(struct bench *bench)
{
	struct viewer viewer = bench_connect(bench, "127.0.0.1");
	struct volet_bus msg;

	viewer_nonce(&viewer);
	g_assert_cmpuint(viewer_auth(&viewer, "alice", "secret", "cam0").type, ==, VOLET_CTL_GRANTED);
	g_assert_cmpint(viewer.frames, >=, 0);
	msg = bench_bus(bench, 0, NULL);
	g_assert_cmpuint(msg.type, ==, VOLET_BUS_GRANT);
	return viewer;
}

void viewer_assert_ended(struct viewer *viewer, enum volet_reason reason)
{
	struct volet_spawn kill;
	struct volet_bus msg;
	int fds[MSG_FDS_MAX];
	char byte;

	kill = bench_spawn(viewer->bench, fds);
	g_assert_cmpuint(kill.type, ==, VOLET_SPAWN_KILL);
	g_assert_cmpuint(kill.id, ==, viewer->child);
	g_assert_cmpint(recv(viewer->tcp, &byte, 1, MSG_DONTWAIT), ==, -1);
	g_assert_cmpint(errno, ==, ECONNRESET);
	/* The program's own descriptor is as dead. */
	g_assert_cmpint(send(viewer->handed, "x", 1, MSG_NOSIGNAL), ==, -1);
	if (viewer->frames >= 0) {
		msg = bench_bus(viewer->bench, 0, NULL);
		g_assert_cmpuint(msg.type, ==, VOLET_BUS_END);
		g_assert_cmpmem(&msg.end.session, 16, &viewer->session, 16);
		g_assert_cmpuint(msg.end.reason, ==, reason);
	}
	while (viewer_hear(viewer, NULL).type)
		;
	g_assert_cmpint(recv(viewer->control, &byte, 1, MSG_DONTWAIT), ==, 0);
	viewer_close(viewer);
}

void viewer_assert_alive(struct viewer *viewer)
{
	int fds[MSG_FDS_MAX];
	char byte;

	g_assert_cmpuint(bench_spawn(viewer->bench, fds).type, ==, 0);
	g_assert_cmpint(recv(viewer->tcp, &byte, 1, MSG_DONTWAIT), ==, -1);
	g_assert_cmpint(errno, ==, EAGAIN);
}

int bench_call(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
	g_assert_no_errno(connect(fd, (struct sockaddr *)&address, sizeof(address)));
	return fd;
}

void bench_assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		g_error("\"%s\" isn't in:\n%s", part, text);
}
