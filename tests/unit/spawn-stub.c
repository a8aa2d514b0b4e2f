// SPDX-License-Identifier: MIT
/*
 * Stands for volet-cam and volet-rtsp in the test of volet-spawn: says how it was started,
 * then does as it is told by one letter: 'x' exits, 'o' leaves a process behind that no longer
 * belongs to it. When its channel ends it stays: it is not the polite kind.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol.h"
#include "spawn-stub.h"

static uint64_t limit(int resource)
{
	struct rlimit value = { 0 };

	getrlimit(resource, &value);
	return value.rlim_cur > value.rlim_max ? value.rlim_cur : value.rlim_max;
}

/* The descriptors first: reading the rest opens more. */
static void look_around(struct stub_report *report)
{
	char line[256];
	sigset_t blocked;
	FILE *status;
	int i;

	for (i = 0; i < 64; i++)
		report->descriptors |= (uint64_t)(fcntl(i, F_GETFD) >= 0) << i;
	getresuid(&report->uids[0], &report->uids[1], &report->uids[2]);
	getresgid(&report->gids[0], &report->gids[1], &report->gids[2]);
	report->groups = getgroups(0, NULL);
	report->no_new_privs = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
	prctl(PR_GET_PDEATHSIG, &report->death_signal);
	report->leads_session = getsid(0) == getpid();
	sigprocmask(SIG_BLOCK, NULL, &blocked);
	report->blocked_signals = !sigisemptyset(&blocked);
	for (i = 0; environ[i]; i++)
		report->variables++;
	if (!getcwd(report->directory, sizeof(report->directory)))
		report->directory[0] = '\0';
	report->core = limit(RLIMIT_CORE);
	report->file_size = limit(RLIMIT_FSIZE);
	report->files = limit(RLIMIT_NOFILE);
	report->processes = limit(RLIMIT_NPROC);
	status = fopen("/proc/self/status", "re");
	while (status && fgets(line, sizeof(line), status)) {
		if (!strncmp(line, "Cap", 3))
			report->capabilities |= strtoull(line + 7, NULL, 16);
	}
}

static pid_t leave_orphan(void)
{
	int fds[2];
	pid_t pid = -1;

	if (pipe(fds) < 0)
		return -1;
	if (fork() == 0) {
		setsid();
		pid = fork();
		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, 0);
			for (;;)
				pause();
		}
		_exit(write(fds[1], &pid, sizeof(pid)) != sizeof(pid));
	}
	return read(fds[0], &pid, sizeof(pid)) == sizeof(pid) ? pid : -1;
}

int main(void)
{
	struct stub_report report = { 0 };
	char what = 0;

	look_around(&report);
	send(VOLET_FD_CONTROL, &report, sizeof(report), 0);
	fputs("stub: started\n", stderr);
	fcntl(VOLET_FD_CONTROL, F_SETFL, 0);
	while (recv(VOLET_FD_CONTROL, &what, 1, 0) == 1) {
		if (what == 'x')
			return 3;
		report.orphan = leave_orphan();
		send(VOLET_FD_CONTROL, &report, sizeof(report), 0);
	}
	for (;;)
		pause();
}
