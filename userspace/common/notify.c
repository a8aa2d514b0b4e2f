// SPDX-License-Identifier: MIT
/* Talking to a service manager; see notify.h. */
#include "notify.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FIRST_FD 3

static int manager = -1;
static uint64_t watchdog_us;
static int listeners;
static char *names;	/* of the listeners, with colons between; NULL: nothing was said */

static int connect_manager(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = path ? strlen(path) : 0;
	int fd;

	/* A path, or with @ a name in the abstract space. */
	if (len < 2 || len >= sizeof(address.sun_path) || (*path != '/' && *path != '@'))
		return -1;
	memcpy(address.sun_path, path, len);
	if (*path == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address,
			       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* A variable that is a number, when it and its PID variable are for this process. */
static uint64_t number_for_us(const char *name, const char *pid_name)
{
	const char *text = getenv(name), *pid = getenv(pid_name);

	return text && (!pid || strtol(pid, NULL, 10) == getpid()) ? strtoull(text, NULL, 10) : 0;
}

void notify_init(void)
{
	static const char *const used[] = {
		"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID",
		"LISTEN_FDNAMES"
	};
	size_t i;

	manager = connect_manager(getenv("NOTIFY_SOCKET"));
	watchdog_us = manager >= 0 ? number_for_us("WATCHDOG_USEC", "WATCHDOG_PID") : 0;
	/* Without LISTEN_PID they are somebody else's. */
	listeners = getenv("LISTEN_PID") ? (int)number_for_us("LISTEN_FDS", "LISTEN_PID") : 0;
	free(names);
	names = listeners && getenv("LISTEN_FDNAMES") ? strdup(getenv("LISTEN_FDNAMES")) : NULL;
	for (i = 0; i < sizeof(used) / sizeof(used[0]); i++)
		unsetenv(used[i]);
}

void notify_say(const char *state)
{
	if (manager >= 0)
		(void)!send(manager, state, strlen(state), MSG_DONTWAIT | MSG_NOSIGNAL);
}

uint64_t notify_watchdog_us(void)
{
	return watchdog_us;
}

/* Is the first name of a list this one? */
static bool is_called(const char *list, const char *name)
{
	size_t len = strlen(name);

	return list && !strncmp(list, name, len) && (list[len] == ':' || list[len] == '\0');
}

int notify_listener(bool rtsps)
{
	const char *rest = names;
	int fd = -1, i;

	for (i = 0; i < listeners; i++) {
		if (is_called(rest, "rtsps") == rtsps)
			fd = fd == -1 ? FIRST_FD + i : -2;
		rest = rest ? strchr(rest, ':') : NULL;
		rest = rest ? rest + 1 : NULL;
	}
	if (fd >= 0 && (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
			fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0))
		return -1;
	return fd;
}
