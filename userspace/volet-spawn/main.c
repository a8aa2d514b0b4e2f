// SPDX-License-Identifier: MIT
/* volet-spawn's loop: one peer, its messages, its children; see spawn.h. */
#include "spawn.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kernel.h"
#include "log.h"
#include "msg.h"
#include "notify.h"

/* What voletd can ask for at most (cameras, sessions with TLS), and some that are dying. */
#define CHILDREN_MAX 6144

/* A slot is free when pid is 0; id is 0 once its voletd is gone. */
struct child {
	pid_t pid;
	uint32_t id, program;
	uid_t uid;
};

static struct spawn_options options;
static struct uids session_uids;
static struct child children[CHILDREN_MAX];
static int peer = -1;
static pid_t log_writer;	/* 0: there is none */

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void kill_child(const struct child *child)
{
	kill(-child->pid, SIGKILL);
	kill(child->pid, SIGKILL);
}

/* voletd is gone, or broke the rules: what it started ends with it. */
static void drop_peer(const char *why)
{
	unsigned int i;

	if (why)
		fprintf(stderr, "volet-spawn: voletd: %s; everything it started ends\n", why);
	for (i = 0; i < CHILDREN_MAX; i++) {
		if (children[i].pid)
			kill_child(&children[i]);
		children[i].id = 0;
	}
	close(peer);
	peer = -1;
}

static void answer(uint32_t type, const struct child *child, int status)
{
	const struct volet_spawn msg = {
		.type = type, .program = child->program, .id = child->id, .pid = child->pid,
		.uid = child->uid, .status = status,
	};

	if (peer >= 0 && msg_send(peer, &msg, sizeof(msg), NULL, 0) < 0)
		drop_peer("does not read its channel");
}

static struct child *find_id(uint32_t id)
{
	unsigned int i;

	for (i = 0; i < CHILDREN_MAX; i++) {
		if (children[i].pid && children[i].id == id)
			return &children[i];
	}
	return NULL;
}

static bool uid_alive(uid_t uid)
{
	unsigned int i;

	for (i = 0; i < CHILDREN_MAX; i++) {
		if (children[i].pid && children[i].uid == uid)
			return true;
	}
	return false;
}

/* One connection's, with a uid of that connection alone. */
static bool is_session(uint32_t program)
{
	return program == VOLET_PROGRAM_RTSP || program == VOLET_PROGRAM_TLS ||
	       program == VOLET_PROGRAM_UDP;
}

/* 0 when no uid can be given to this program now. */
static uid_t take_uid(uint32_t program, uint32_t index)
{
	uid_t uid;

	if (is_session(program))
		return uids_take(&session_uids, now_ns());
	/* There may be two: a new one with a new key takes over from the old. */
	if (program == VOLET_PROGRAM_SIGN)
		return options.sign_uid;
	uid = (program == VOLET_PROGRAM_KMS ? options.display_first : options.cam_first) + index;
	return uid_alive(uid) ? 0 : uid;
}

static void give_back_uid(const struct child *child)
{
	if (is_session(child->program))
		uids_give_back(&session_uids, child->uid, now_ns());
}

static bool no_display(const struct volet_spawn *msg)
{
	return msg->program == VOLET_PROGRAM_KMS && msg->index >= options.display_count;
}

static void start(const struct volet_spawn *msg, const int fds[2])
{
	struct child request = { .id = msg->id, .program = msg->program }, *child = children;
	pid_t parent = getpid();

	while (child < children + CHILDREN_MAX && child->pid)
		child++;
	if (child < children + CHILDREN_MAX && !no_display(msg))
		request.uid = take_uid(msg->program, msg->index);
	if (!request.uid) {
		fputs(msg->program == VOLET_PROGRAM_SIGN && !options.sign_uid ?
		      "volet-spawn: RTSPS needs --sign-uid, the uid that alone can read the private key\n" :
		      no_display(msg) ?
		      "volet-spawn: displays need --display-uids, one for each, and --display-gid, the group"
		      " that can open /dev/dri/card*\n" :
		      "volet-spawn: no uid or place left for another program; not started\n", stderr);
		answer(VOLET_SPAWN_EXITED, &request, EXIT_FAILURE << 8);
		return;
	}
	request.pid = fork();
	if (request.pid == 0)
		child_run(&options, msg->program, request.uid, fds, parent);
	if (request.pid < 0) {
		fprintf(stderr, "volet-spawn: fork: %s\n", strerror(errno));
		give_back_uid(&request);
		request.pid = 0;
		answer(VOLET_SPAWN_EXITED, &request, EXIT_FAILURE << 8);
		return;
	}
	*child = request;
	answer(VOLET_SPAWN_STARTED, child, 0);
}

static bool start_allowed(const struct volet_spawn *msg, unsigned int n_fds)
{
	if (n_fds != 2 || msg->id == 0 || find_id(msg->id))
		return false;
	return is_session(msg->program) || msg->program == VOLET_PROGRAM_SIGN ||
	       (msg->program == VOLET_PROGRAM_CAM && msg->index < options.cam_count) ||
	       (msg->program == VOLET_PROGRAM_KMS && msg->index < VOLET_DISPLAYS_MAX);
}

static void serve_peer(void)
{
	struct volet_spawn msg;
	unsigned int n_fds;
	struct child *child;
	int fds[MSG_FDS_MAX];
	int ret = msg_recv(peer, &msg, sizeof(msg), fds, &n_fds);

	if (ret == -EAGAIN)
		return;
	if (ret < 0) {
		drop_peer(ret == -EPIPE ? "gone" : strerror(-ret));
		return;
	}
	if (msg.type == VOLET_SPAWN_START && start_allowed(&msg, n_fds)) {
		start(&msg, fds);
	} else if (msg.type == VOLET_SPAWN_KILL && n_fds == 0 && msg.id) {
		/* It may have ended by itself, and EXITED be on its way. */
		child = find_id(msg.id);
		if (child)
			kill_child(child);
	} else {
		drop_peer("sent what is not in the protocol");
	}
	msg_close_fds(fds);
}

/* False when it can't go on: everyone who writes a line would die of it. */
static bool reap(void)
{
	unsigned int i;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == log_writer)
			return false;
		for (i = 0; i < CHILDREN_MAX && children[i].pid != pid; i++)
			;
		if (i == CHILDREN_MAX)
			continue;
		give_back_uid(&children[i]);
		if (children[i].id)
			answer(VOLET_SPAWN_EXITED, &children[i], status);
		memset(&children[i], 0, sizeof(children[i]));
	}
	return true;
}

static void accept_peer(int listener)
{
	struct ucred who = { 0 };
	socklen_t size = sizeof(who);
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0 || peer >= 0 ||
	    who.uid != options.daemon_uid) {
		fprintf(stderr, "volet-spawn: refused a connection of uid %u: %s\n", who.uid,
			peer >= 0 ? "voletd is connected" : "not the daemon's uid");
		close(fd);
		return;
	}
	peer = fd;
}

/* It can do without any of them itself, and says at start what the others can't. */
static const struct kernel_need needs[] = {
	{ KERNEL_LANDLOCK, false, "volet-cam and volet-rtsp will refuse to run" },
	{ KERNEL_LANDLOCK_NET, false, "TCP ports are closed to them by seccomp alone" },
	{ KERNEL_SECCOMP, false, "volet-cam and volet-rtsp will refuse to run" },
	{ KERNEL_MEMFD_SEALS, false, "volet-cam will refuse to run" },
	{ KERNEL_UDMABUF, false, "cameras fall back to the node's own MMAP buffers, which any program"
				 " that may open the node can map and watch" },
};

int main(int argc, char **argv)
{
	struct signalfd_siginfo signal_info;
	int listener, signals;
	sigset_t set;

	log_by_line();
	notify_init();
	spawn_options_read(&options, argc, argv);
	kernel_check("volet-spawn", needs, sizeof(needs) / sizeof(needs[0]));
	session_uids.first = options.session_first;
	session_uids.count = options.session_count;
	listener = spawn_listen(&options);
	log_writer = spawn_drop();
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_SETMASK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0)
		spawn_die("signalfd: %m");
	notify_say("READY=1");
	for (;;) {
		struct pollfd fds[] = {
			{ .fd = signals, .events = POLLIN },
			{ .fd = listener, .events = POLLIN },
			{ .fd = peer, .events = POLLIN },
		};

		if (poll(fds, 3, -1) < 0 && errno != EINTR)
			spawn_die("poll: %m");
		while (read(signals, &signal_info, sizeof(signal_info)) > 0) {
			if (signal_info.ssi_signo != SIGCHLD) {
				drop_peer(NULL);
				return EXIT_SUCCESS;
			}
		}
		if (!reap()) {
			drop_peer(NULL);
			return EXIT_FAILURE;
		}
		if (fds[2].revents && peer >= 0)
			serve_peer();
		if (fds[1].revents)
			accept_peer(listener);
	}
}
