// SPDX-License-Identifier: MIT
/* What volet-spawn asks for and gives up before it serves anyone; see spawn.h. */
#include "spawn.h"

#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "secrets.h"

void spawn_die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("volet-spawn: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	_exit(EXIT_FAILURE);
}

static unsigned int read_number(const char *option, const char *text, const char **rest)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || errno || n < 1 || n > 0x7fffffff)
		spawn_die("--%s: \"%s\" starts with no number from 1 to 2147483647", option, text);
	*rest = end;
	return (unsigned int)n;
}

static unsigned int read_id(const char *option, const char *text)
{
	const char *rest;
	unsigned int n = read_number(option, text, &rest);

	if (*rest)
		spawn_die("--%s: \"%s\" is not a number; write it as id -u prints it", option, text);
	return n;
}

static unsigned int read_range(const char *option, const char *text, unsigned int *count)
{
	const char *rest;
	unsigned int first = read_number(option, text, &rest), last = 0;

	if (*rest == '-')
		last = read_number(option, rest + 1, &rest);
	if (*rest || last < first || last - first >= UIDS_MAX)
		spawn_die("--%s: \"%s\" is not FIRST-LAST with at most %d ids; write such as 61000-61999",
			  option, text, UIDS_MAX);
	*count = last - first + 1;
	return first;
}

static bool overlap(uid_t a, unsigned int a_count, uid_t b, unsigned int b_count)
{
	return a < b + b_count && b < a + a_count;
}

static void check_options(const struct spawn_options *o, const char *programs)
{
	if (!o->socket || !programs || !o->daemon_uid || !o->cam_gid || !o->cam_count ||
	    !o->session_count)
		spawn_die("every option is needed: --socket PATH --daemon-uid UID --session-uids FIRST-LAST"
			  " --cam-uids FIRST-LAST --cam-gid GID --programs DIRECTORY");
	if (overlap(o->session_first, o->session_count, o->cam_first, o->cam_count) ||
	    overlap(o->daemon_uid, 1, o->cam_first, o->cam_count) ||
	    overlap(o->daemon_uid, 1, o->session_first, o->session_count))
		spawn_die("--session-uids, --cam-uids and --daemon-uid overlap; give each ids of its own");
	if (o->sign_uid && (o->sign_uid == o->daemon_uid ||
			    overlap(o->sign_uid, 1, o->cam_first, o->cam_count) ||
			    overlap(o->sign_uid, 1, o->session_first, o->session_count)))
		spawn_die("--sign-uid: %u is another's; give volet-sign, which has the private key, an id"
			  " of its own", o->sign_uid);
}

static void check_displays(const struct spawn_options *o)
{
	uid_t first = o->display_first;
	unsigned int count = o->display_count;

	if (!count != !o->display_gid)
		spawn_die("--display-uids and --display-gid: a display needs both, a uid of its own and"
			  " the group that can open /dev/dri/card*");
	if (count && (overlap(o->daemon_uid, 1, first, count) ||
		      overlap(o->cam_first, o->cam_count, first, count) ||
		      overlap(o->session_first, o->session_count, first, count) ||
		      (o->sign_uid && overlap(o->sign_uid, 1, first, count))))
		spawn_die("--display-uids overlaps with another's; give displays ids of their own");
}

static void find_program(struct spawn_options *options, uint32_t program, const char *directory,
			 const char *name)
{
	char *path = options->path[program];
	struct stat st;

	if (snprintf(path, sizeof(options->path[0]), "%s/%s", directory, name) >=
	    (int)sizeof(options->path[0]) || directory[0] != '/')
		spawn_die("--programs: write an absolute path of at most 200 characters");
	if (stat(path, &st) < 0)
		spawn_die("%s: %m; name the programs' directory with --programs", path);
	if (!S_ISREG(st.st_mode) || st.st_uid != 0 || (st.st_mode & (S_IWGRP | S_IWOTH)))
		spawn_die("%s: others than root can change it; run chown root and chmod 755 on it", path);
}

void spawn_options_read(struct spawn_options *options, int argc, char **argv)
{
	static const struct option names[] = {
		{ "socket", required_argument, NULL, 's' },
		{ "daemon-uid", required_argument, NULL, 'd' },
		{ "session-uids", required_argument, NULL, 'u' },
		{ "cam-uids", required_argument, NULL, 'c' },
		{ "cam-gid", required_argument, NULL, 'g' },
		{ "sign-uid", required_argument, NULL, 'k' },
		{ "display-uids", required_argument, NULL, 'v' },
		{ "display-gid", required_argument, NULL, 'w' },
		{ "programs", required_argument, NULL, 'p' },
		{ "allow-swap", no_argument, NULL, 'a' },
		{ 0 }
	};
	const char *programs = NULL;
	int c, i = 0;

	while ((c = getopt_long(argc, argv, "", names, &i)) != -1) {
		if (c == 's')
			options->socket = optarg;
		else if (c == 'd')
			options->daemon_uid = read_id(names[i].name, optarg);
		else if (c == 'u')
			options->session_first = read_range(names[i].name, optarg,
							    &options->session_count);
		else if (c == 'c')
			options->cam_first = read_range(names[i].name, optarg, &options->cam_count);
		else if (c == 'g')
			options->cam_gid = read_id(names[i].name, optarg);
		else if (c == 'k')
			options->sign_uid = read_id(names[i].name, optarg);
		else if (c == 'v')
			options->display_first = read_range(names[i].name, optarg,
							    &options->display_count);
		else if (c == 'w')
			options->display_gid = read_id(names[i].name, optarg);
		else if (c == 'p')
			programs = optarg;
		else if (c == 'a')
			options->allow_swap = true;
		else
			exit(EXIT_FAILURE);
	}
	if (optind < argc)
		spawn_die("\"%s\": not an option", argv[optind]);
	check_options(options, programs);
	check_displays(options);
	if (!secrets_no_swap()) {
		if (!options->allow_swap)
			spawn_die(SECRETS_SWAP_TEXT);
		fputs("volet-spawn: " SECRETS_SWAP_WEAKER "\n", stderr);
	}
	find_program(options, VOLET_PROGRAM_CAM, programs, "volet-cam");
	find_program(options, VOLET_PROGRAM_RTSP, programs, "volet-rtsp");
	find_program(options, VOLET_PROGRAM_TLS, programs, "volet-tls");
	find_program(options, VOLET_PROGRAM_SIGN, programs, "volet-sign");
	find_program(options, VOLET_PROGRAM_UDP, programs, "volet-udp");
	if (options->display_count)
		find_program(options, VOLET_PROGRAM_KMS, programs, "volet-kms");
}

int spawn_listen(const struct spawn_options *options)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (strlen(options->socket) >= sizeof(address.sun_path))
		spawn_die("--socket: %s: longer than %zu characters", options->socket,
			  sizeof(address.sun_path) - 1);
	strcpy(address.sun_path, options->socket);
	unlink(options->socket);
	umask(0177);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    chown(options->socket, options->daemon_uid, (gid_t)-1) < 0 || listen(fd, 4) < 0)
		spawn_die("--socket: %s: %m; its directory must exist, and this must run as root",
			  options->socket);
	umask(0077);
	return fd;
}

/*
 * A session's file size limit of 0 would end it at its first line into a file, and what
 * holds a file open can rewrite it. So where the log is a file, a process that can do
 * nothing else stands between.
 */
static pid_t log_through_pipe(void)
{
	struct stat st;
	char text[4096];
	int fds[2];
	ssize_t n;
	pid_t pid;

	if (fstat(2, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	pid = pipe(fds) < 0 ? -1 : fork();
	if (pid < 0)
		spawn_die("log: %m");
	if (pid == 0) {
		close(1);
		/* A name of its own: it starts nothing. */
		if (prctl(PR_SET_NAME, "volet-log") < 0 || dup2(fds[0], 0) < 0 ||
		    close_range(3, ~0U, 0) < 0 ||
		    setgroups(0, NULL) < 0 || setresgid(65534, 65534, 65534) < 0 ||
		    setresuid(65534, 65534, 65534) < 0)
			spawn_die("log: %m");
		while ((n = read(0, text, sizeof(text))) > 0)
			n = write(2, text, (size_t)n);
		_exit(EXIT_SUCCESS);
	}
	dup2(fds[1], 2);
	close(fds[0]);
	close(fds[1]);
	return pid;
}

pid_t spawn_drop(void)
{
	static const cap_value_t kept[] = { CAP_SETUID, CAP_SETGID, CAP_KILL };
	pid_t log = log_through_pipe();
	cap_t caps = cap_init();
	cap_value_t cap;

	for (cap = 0; cap_drop_bound(cap) == 0; cap++)
		;
	if (!caps || cap < CAP_SETUID || cap_reset_ambient() < 0 ||
	    cap_set_flag(caps, CAP_PERMITTED, 3, kept, CAP_SET) < 0 ||
	    cap_set_flag(caps, CAP_EFFECTIVE, 3, kept, CAP_SET) < 0 || cap_set_proc(caps) < 0)
		spawn_die("can't keep CAP_SETUID, CAP_SETGID and CAP_KILL: %m; run this as root");
	cap_free(caps);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || !secrets_no_dump())
		spawn_die("prctl: %m");
	return log;
}
