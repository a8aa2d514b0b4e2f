// SPDX-License-Identifier: MIT
/* Listening sockets of this machine; see local.h. */
#include "local.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "config.h"

#define BACKLOG		8
#define GROUPS_MAX	256

static void fail(GError **error, const char *path, const char *what)
{
	g_set_error(error, VOLET_CONFIG_ERROR, 0, "%s: %s; %s", path, g_strerror(errno), what);
}

static bool make_room(const char *path, GError **error)
{
	struct stat st;

	if (lstat(path, &st) < 0 || (S_ISSOCK(st.st_mode) && unlink(path) == 0))
		return true;
	if (!S_ISSOCK(st.st_mode))
		errno = EEXIST;
	fail(error, path, "choose another path, or remove what is there");
	return false;
}

static int listen_at(const char *path, int type, mode_t mask, GError **error)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	g_autofd int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t before;
	bool ok;

	if (g_strlcpy(address.sun_path, path, sizeof(address.sun_path)) != strlen(address.sun_path)) {
		errno = ENAMETOOLONG;
		fail(error, path, "choose a shorter path");
		return -1;
	}
	if (!make_room(path, error))
		return -1;
	before = umask(mask);
	ok = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	umask(before);
	if (!ok || listen(fd, BACKLOG) < 0) {
		fail(error, path, "its directory must exist and belong to voletd's user");
		return -1;
	}
	return g_steal_fd(&fd);
}

int local_listen_to_all(const char *path, GError **error)
{
	return listen_at(path, SOCK_SEQPACKET, 0111, error);
}

int local_listen(const char *path, gid_t gid, GError **error)
{
	g_autofd int fd = listen_at(path, SOCK_STREAM, gid == LOCAL_NO_GROUP ? 0177 : 0117, error);

	if (fd < 0)
		return -1;
	/* One's own group it has already, and a service's filter may know no chown(). */
	if (gid != LOCAL_NO_GROUP && gid != getegid() && chown(path, (uid_t)-1, gid) < 0) {
		fail(error, path, "voletd's user must be a member of that group");
		return -1;
	}
	return g_steal_fd(&fd);
}

static bool has_group(int fd, gid_t gid)
{
	gid_t groups[GROUPS_MAX];
	socklen_t size = sizeof(groups);
	unsigned int i;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
		return false;
	for (i = 0; i < size / sizeof(groups[0]); i++) {
		if (groups[i] == gid)
			return true;
	}
	return false;
}

bool local_peer(int fd, uid_t *uid, pid_t *pid)
{
	struct ucred who = { 0 };
	socklen_t size = sizeof(who);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0)
		return false;
	*uid = who.uid;
	*pid = who.pid;
	return true;
}

bool local_peer_ok(int fd, gid_t gid, uid_t *uid)
{
	struct ucred who = { 0 };
	socklen_t size = sizeof(who);

	*uid = (uid_t)-1;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0)
		return false;
	*uid = who.uid;
	return who.uid == 0 || who.uid == getuid() ||
	       (gid != LOCAL_NO_GROUP && (who.gid == gid || has_group(fd, gid)));
}
