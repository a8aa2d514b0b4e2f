// SPDX-License-Identifier: MIT
/*
 * volet-spawn itself, as root, with this test as voletd: what it starts, how, and that
 * nothing it started outlives what it was started for.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "msg.h"
#include "spawn-stub.h"

#define DAEMON_UID	60800
#define CAM_GID		60900
#define CAM_UID		60900
#define SESSION_UID	61000
#define DISPLAY_UID	60960
#define DISPLAY_GID	60044
#define TIMEOUT_MS	30000	/* for what comes at once, on a busy machine */

static const char *spawn_path, *stub_path;
static char *dir, *socket_path, *log_path;

struct spawner {
	pid_t pid;
	int peer;		/* voletd's end */
};

/* A started program as the test sees it. */
struct program {
	struct volet_spawn started;
	struct stub_report report;
	int channel;
};

static pid_t run_spawner(const char *const *extra)
{
	g_autoptr(GPtrArray) argv = g_ptr_array_new();
	const char *const usual[] = {
		spawn_path, "--socket", socket_path, "--daemon-uid", "60800", "--session-uids",
		"61000-61002", "--cam-uids", "60900-60901", "--cam-gid", "60900", "--programs", dir,
		"--display-uids", "60960-60961", "--display-gid", "60044",
		"--allow-swap",		/* of the machine that builds */
	};
	unsigned int i;
	pid_t pid;

	for (i = 0; i < G_N_ELEMENTS(usual); i++)
		g_ptr_array_add(argv, (void *)usual[i]);
	for (i = 0; extra && extra[i]; i++)
		g_ptr_array_add(argv, (void *)extra[i]);
	g_ptr_array_add(argv, NULL);
	pid = fork();
	if (pid == 0) {
		/* The log is a file, to which sessions must not be able to write themselves. */
		dup2(open(log_path, O_WRONLY | O_CREAT | O_APPEND, 0600), 2);
		/* A test that fails leaves nothing behind. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* What a careless starter may leave it: a descriptor, a group. */
		dup2(2, 20);
		setgroups(1, (const gid_t[]){ 44 });
		g_setenv("ASAN_OPTIONS", "detect_leaks=0", TRUE);
		execv(spawn_path, (char **)argv->pdata);
		_exit(127);
	}
	return pid;
}

static int try_connect(uid_t uid)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), ret;

	g_strlcpy(at.sun_path, socket_path, sizeof(at.sun_path));
	g_assert_no_errno(seteuid(uid));
	ret = connect(fd, (struct sockaddr *)&at, sizeof(at));
	g_assert_no_errno(seteuid(0));
	if (ret == 0)
		return fd;
	close(fd);
	return -1;
}

static struct spawner spawner_new(void)
{
	struct spawner spawner = { .peer = -1 };
	unsigned int i;

	g_unlink(socket_path);
	spawner.pid = run_spawner(NULL);
	for (i = 0; i < TIMEOUT_MS / 50 && spawner.peer < 0; i++) {
		g_usleep(50 * 1000);
		spawner.peer = try_connect(DAEMON_UID);
	}
	g_assert_cmpint(spawner.peer, >=, 0);
	return spawner;
}

static int spawner_end(struct spawner *spawner, int signal)
{
	int status;

	kill(spawner->pid, signal);
	g_assert_cmpint(waitpid(spawner->pid, &status, 0), ==, spawner->pid);
	if (spawner->peer >= 0)
		close(spawner->peer);
	return status;
}

static struct volet_spawn hear(struct spawner *spawner)
{
	struct volet_spawn msg = { 0 };
	int fds[MSG_FDS_MAX];
	unsigned int n_fds;
	int ret = msg_recv_wait(spawner->peer, &msg, sizeof(msg), fds, &n_fds, TIMEOUT_MS);

	g_assert_cmpint(ret, ==, 0);
	return msg;
}

static bool hung_up(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	char bytes[256];

	while (poll(&pfd, 1, TIMEOUT_MS) == 1) {
		if (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) <= 0)
			return true;
	}
	return false;
}

static void ask(struct spawner *spawner, enum volet_program program, uint32_t id, uint32_t index,
		int *channel)
{
	const struct volet_spawn msg = { .type = VOLET_SPAWN_START, .program = program, .id = id,
					 .index = index };
	int pair[2], extra = open("/dev/null", O_RDONLY | O_CLOEXEC);

	g_assert_cmpint(msg_pair(pair), ==, 0);
	g_assert_cmpint(msg_send(spawner->peer, &msg, sizeof(msg), (int[]){ pair[1], extra }, 2), ==, 0);
	close(pair[1]);
	close(extra);
	*channel = pair[0];
}

static struct program start(struct spawner *spawner, enum volet_program program, uint32_t id,
			    uint32_t index)
{
	struct program p = { 0 };
	int fds[MSG_FDS_MAX];
	unsigned int n_fds;

	ask(spawner, program, id, index, &p.channel);
	p.started = hear(spawner);
	g_assert_cmpuint(p.started.type, ==, VOLET_SPAWN_STARTED);
	g_assert_cmpuint(p.started.id, ==, id);
	g_assert_cmpint(msg_recv_wait(p.channel, &p.report, sizeof(p.report), fds, &n_fds, TIMEOUT_MS), ==, 0);
	return p;
}

static bool is_gone(pid_t pid)
{
	unsigned int i;

	for (i = 0; i < TIMEOUT_MS / 20 && kill(pid, 0) == 0; i++)
		g_usleep(20 * 1000);
	return i < TIMEOUT_MS / 20;
}

static void tell_kill(struct spawner *spawner, uint32_t id)
{
	const struct volet_spawn msg = { .type = VOLET_SPAWN_KILL, .id = id };

	g_assert_cmpint(msg_send(spawner->peer, &msg, sizeof(msg), NULL, 0), ==, 0);
}

static void assert_report(const struct program *p, uid_t uid, gid_t gid)
{
	unsigned int i;

	g_assert_cmpuint(p->started.uid, ==, uid);
	for (i = 0; i < 3; i++) {
		g_assert_cmpuint(p->report.uids[i], ==, uid);
		g_assert_cmpuint(p->report.gids[i], ==, gid);
	}
	g_assert_cmpint(p->report.groups, ==, 0);
	g_assert_cmphex(p->report.capabilities, ==, 0);
	g_assert_cmpint(p->report.no_new_privs, ==, 1);
	g_assert_cmpint(p->report.death_signal, ==, SIGKILL);
	g_assert_cmpint(p->report.leads_session, ==, 1);
	g_assert_cmpint(p->report.blocked_signals, ==, 0);
	g_assert_cmpint(p->report.variables, ==, 0);
	g_assert_cmphex(p->report.descriptors, ==, 0x1f);
	g_assert_cmpstr(p->report.directory, ==, "/");
	g_assert_cmpuint(p->report.core, ==, 0);
	g_assert_cmpuint(p->report.processes, ==, 32);
}

static void test_started(void)
{
	struct spawner spawner = spawner_new();
	struct program cam = start(&spawner, VOLET_PROGRAM_CAM, 1, 1);
	struct program one = start(&spawner, VOLET_PROGRAM_RTSP, 2, 0);
	struct program two = start(&spawner, VOLET_PROGRAM_RTSP, 3, 0);
	g_autofree char *log = NULL;
	struct rlimit here;
	unsigned int i;

	assert_report(&cam, CAM_UID + 1, CAM_GID);
	assert_report(&one, SESSION_UID, SESSION_UID);
	assert_report(&two, SESSION_UID + 1, SESSION_UID + 1);
	getrlimit(RLIMIT_NOFILE, &here);
	g_assert_cmpuint(cam.report.files, ==, MIN(here.rlim_max, 8192));
	g_assert_cmpuint(cam.report.file_size, ==, UINT64_MAX);
	g_assert_cmpuint(one.report.files, ==, 64);
	g_assert_cmpuint(one.report.file_size, ==, 0);
	spawner_end(&spawner, SIGTERM);
	/* Their lines reach the log although they may write to no file. */
	for (i = 0; i < TIMEOUT_MS / 20 && !(log && strstr(log, "stub: started")); i++) {
		g_usleep(20 * 1000);
		g_clear_pointer(&log, g_free);
		g_assert_true(g_file_get_contents(log_path, &log, NULL, NULL));
	}
	g_assert_nonnull(strstr(log, "stub: started"));
}

static void test_ends(void)
{
	struct spawner spawner = spawner_new();
	struct program p = start(&spawner, VOLET_PROGRAM_RTSP, 7, 0);
	struct volet_spawn msg;

	send(p.channel, "x", 1, 0);
	msg = hear(&spawner);
	g_assert_cmpuint(msg.type, ==, VOLET_SPAWN_EXITED);
	g_assert_cmpuint(msg.id, ==, 7);
	g_assert_cmpint(WEXITSTATUS(msg.status), ==, 3);
	p = start(&spawner, VOLET_PROGRAM_RTSP, 8, 0);
	tell_kill(&spawner, 7);
	tell_kill(&spawner, 8);
	msg = hear(&spawner);
	g_assert_cmpuint(msg.id, ==, 8);
	g_assert_cmpint(WTERMSIG(msg.status), ==, SIGKILL);
	g_assert_true(is_gone(p.started.pid));
	/* Two uids are in quarantine, the third is given, and then there is none. */
	p = start(&spawner, VOLET_PROGRAM_RTSP, 9, 0);
	assert_report(&p, SESSION_UID + 2, SESSION_UID + 2);
	ask(&spawner, VOLET_PROGRAM_RTSP, 10, 0, &p.channel);
	msg = hear(&spawner);
	g_assert_cmpuint(msg.type, ==, VOLET_SPAWN_EXITED);
	g_assert_cmpuint(msg.id, ==, 10);
	g_assert_cmpint(msg.pid, ==, 0);
	spawner_end(&spawner, SIGTERM);
}

/* A uid of its own and the group of the device; as many as there are uids, and each once. */
static void test_displays(void)
{
	struct spawner spawner = spawner_new();
	struct program one = start(&spawner, VOLET_PROGRAM_KMS, 1, 0);
	struct program two = start(&spawner, VOLET_PROGRAM_KMS, 2, 1);
	struct volet_spawn msg;

	assert_report(&one, DISPLAY_UID, DISPLAY_GID);
	assert_report(&two, DISPLAY_UID + 1, DISPLAY_GID);
	g_assert_cmpuint(one.report.files, ==, 64);
	g_assert_cmpuint(one.report.file_size, ==, 0);
	ask(&spawner, VOLET_PROGRAM_KMS, 3, 0, &one.channel);
	msg = hear(&spawner);
	g_assert_cmpuint(msg.type, ==, VOLET_SPAWN_EXITED);
	g_assert_cmpuint(msg.id, ==, 3);
	ask(&spawner, VOLET_PROGRAM_KMS, 4, 2, &one.channel);
	msg = hear(&spawner);
	g_assert_cmpuint(msg.type, ==, VOLET_SPAWN_EXITED);
	g_assert_cmpuint(msg.id, ==, 4);
	spawner_end(&spawner, SIGTERM);
}

/* A camera's uid serves again at once, so what an earlier one left under it ends first. */
static void test_orphan(void)
{
	struct spawner spawner = spawner_new();
	struct program p = start(&spawner, VOLET_PROGRAM_CAM, 1, 0);
	int fds[MSG_FDS_MAX];
	unsigned int n_fds;
	pid_t orphan;

	send(p.channel, "o", 1, 0);
	g_assert_cmpint(msg_recv_wait(p.channel, &p.report, sizeof(p.report), fds, &n_fds, TIMEOUT_MS), ==, 0);
	orphan = p.report.orphan;
	/* While it lives, its uid is nobody else's. */
	ask(&spawner, VOLET_PROGRAM_CAM, 2, 0, &fds[0]);
	g_assert_cmpuint(hear(&spawner).type, ==, VOLET_SPAWN_EXITED);
	tell_kill(&spawner, 1);
	g_assert_cmpuint(hear(&spawner).type, ==, VOLET_SPAWN_EXITED);
	/* The fault to be mended: the kill didn't reach it. */
	g_assert_no_errno(kill(orphan, 0));
	p = start(&spawner, VOLET_PROGRAM_CAM, 3, 0);
	g_assert_true(is_gone(orphan));
	spawner_end(&spawner, SIGTERM);
}

static void test_peers(void)
{
	struct spawner spawner = spawner_new();
	struct program p = start(&spawner, VOLET_PROGRAM_RTSP, 1, 0);
	int fd;

	/* Root could connect, and is refused like everyone else; so is a second voletd. */
	fd = try_connect(0);
	g_assert_true(hung_up(fd));
	g_assert_cmpint(try_connect(DAEMON_UID + 1), ==, -1);
	fd = try_connect(DAEMON_UID);
	g_assert_true(hung_up(fd));
	g_assert_no_errno(kill(p.started.pid, 0));
	/* The first one's end takes what it had started, and the next may come. */
	close(spawner.peer);
	g_assert_true(is_gone(p.started.pid));
	fd = try_connect(0);
	g_assert_true(hung_up(fd));
	spawner.peer = try_connect(DAEMON_UID);
	p = start(&spawner, VOLET_PROGRAM_RTSP, 1, 0);
	assert_report(&p, SESSION_UID + 1, SESSION_UID + 1);
	g_assert_cmpint(spawner_end(&spawner, SIGTERM), ==, 0);
	g_assert_true(is_gone(p.started.pid));
}

static void test_killed(void)
{
	struct spawner spawner = spawner_new();
	struct program cam = start(&spawner, VOLET_PROGRAM_CAM, 1, 0);
	struct program session = start(&spawner, VOLET_PROGRAM_RTSP, 2, 0);

	spawner_end(&spawner, SIGKILL);
	g_assert_true(is_gone(cam.started.pid));
	g_assert_true(is_gone(session.started.pid));
}

static void test_protocol(void)
{
	static const struct { struct volet_spawn msg; unsigned int n_fds; } bads[] = {
		{ { .type = 0 }, 0 },
		{ { .type = VOLET_SPAWN_STARTED, .id = 1 }, 0 },
		{ { .type = VOLET_SPAWN_EXITED, .id = 1 }, 0 },
		{ { .type = 66 }, 0 },
		{ { .type = VOLET_SPAWN_KILL, .id = 0 }, 0 },
		{ { .type = VOLET_SPAWN_KILL, .id = 1 }, 1 },
		{ { .type = VOLET_SPAWN_START, .program = VOLET_PROGRAM_RTSP, .id = 2 }, 0 },
		{ { .type = VOLET_SPAWN_START, .program = VOLET_PROGRAM_RTSP, .id = 2 }, 1 },
		{ { .type = VOLET_SPAWN_START, .program = VOLET_PROGRAM_RTSP, .id = 0 }, 2 },
		{ { .type = VOLET_SPAWN_START, .program = VOLET_PROGRAM_RTSP, .id = 1 }, 2 },
		{ { .type = VOLET_SPAWN_START, .program = 0, .id = 2 }, 2 },
		{ { .type = VOLET_SPAWN_START, .program = VOLET_PROGRAM_KMS + 1, .id = 2 }, 2 },
		{ { .type = VOLET_SPAWN_START, .program = VOLET_PROGRAM_KMS, .id = 2, .index = VOLET_DISPLAYS_MAX }, 2 },
		{ { .type = VOLET_SPAWN_START, .program = VOLET_PROGRAM_CAM, .id = 2, .index = 2 }, 2 },
		{ { .type = VOLET_SPAWN_START, .program = VOLET_PROGRAM_CAM, .id = 2, .index = ~0U }, 2 },
	};
	struct spawner spawner = spawner_new();
	struct program p;
	unsigned int i;

	/* Whatever isn't in the protocol ends the peer, and with it all that it had started. */
	for (i = 0; i <= G_N_ELEMENTS(bads); i++) {
		p = start(&spawner, VOLET_PROGRAM_CAM, 1, 0);
		if (i < G_N_ELEMENTS(bads))
			g_assert_cmpint(msg_send(spawner.peer, &bads[i].msg, sizeof(bads[i].msg),
						 (int[]){ 0, 0 }, bads[i].n_fds), ==, 0);
		else
			send(spawner.peer, "short", 5, 0);
		g_assert_true(hung_up(spawner.peer));
		g_assert_true(is_gone(p.started.pid));
		close(spawner.peer);
		close(p.channel);
		spawner.peer = try_connect(DAEMON_UID);
	}
	spawner_end(&spawner, SIGTERM);
}

static void test_options(void)
{
	static const char *const bads[][4] = {
		{ "--cam-gid", "0" }, { "--cam-gid", "x" }, { "--daemon-uid", "0" },
		{ "--daemon-uid", "61000" }, { "--session-uids", "61000" },
		{ "--session-uids", "61001-61000" }, { "--session-uids", "0-5" },
		{ "--session-uids", "60901-61000" }, { "--session-uids", "1-100000" },
		{ "--programs", "/" }, { "--programs", "here" }, { "--programs", "/usr/bin" },
		{ "--display-uids", "61002" }, { "--display-uids", "60800-60801" }, { "--display-gid", "0" },
		{ "--colour", "no" }, { "more" },
	};
	g_autofree char *log = NULL;
	unsigned int i;
	int status;

	g_unlink(log_path);
	for (i = 0; i < G_N_ELEMENTS(bads); i++) {
		pid_t pid = run_spawner(bads[i]);

		g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
		g_assert_cmpint(WEXITSTATUS(status), ==, 1);
	}
	g_assert_true(g_file_get_contents(log_path, &log, NULL, NULL));
	g_assert_nonnull(strstr(log, "--session-uids: \"61001-61000\" is not FIRST-LAST"));
	g_assert_nonnull(strstr(log, "overlap; give each ids of its own"));
	g_assert_nonnull(strstr(log, "--display-uids overlaps"));
}

static void test_skipped(void)
{
	g_test_skip("only root can change uids: run this as root");
}

static void install(const char *name)
{
	g_autofree char *path = g_build_filename(dir, name, NULL);
	g_autofree char *text = NULL;
	gsize len;

	g_assert_true(g_file_get_contents(stub_path, &text, &len, NULL));
	g_assert_true(g_file_set_contents_full(path, text, (gssize)len, G_FILE_SET_CONTENTS_NONE, 0755,
					       NULL));
	g_assert_no_errno(chmod(path, 0755));
}

int main(int argc, char **argv)
{
	int ret;

	g_test_init(&argc, &argv, NULL);
	if (geteuid() != 0) {
		g_test_add_func("/spawn", test_skipped);
		return g_test_run();
	}
	g_assert_cmpint(argc, ==, 3);
	spawn_path = argv[1];
	stub_path = argv[2];
	dir = g_dir_make_tmp("volet-spawn-XXXXXX", NULL);
	g_assert_no_errno(chmod(dir, 0755));
	socket_path = g_build_filename(dir, "sock", NULL);
	log_path = g_build_filename(dir, "log", NULL);
	install("volet-cam");
	install("volet-rtsp");
	install("volet-tls");
	install("volet-sign");
	install("volet-udp");
	install("volet-kms");
	g_test_add_func("/spawn/started", test_started);
	g_test_add_func("/spawn/displays", test_displays);
	g_test_add_func("/spawn/ends", test_ends);
	g_test_add_func("/spawn/orphan", test_orphan);
	g_test_add_func("/spawn/peers", test_peers);
	g_test_add_func("/spawn/killed", test_killed);
	g_test_add_func("/spawn/protocol", test_protocol);
	g_test_add_func("/spawn/options", test_options);
	ret = g_test_run();
	/* In the build root /tmp ends with the test; elsewhere it is left clean. */
	g_spawn_sync(NULL, (char *[]){ "rm", "-rf", dir, NULL }, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL,
		     NULL, NULL, NULL, NULL);
	return ret;
}
