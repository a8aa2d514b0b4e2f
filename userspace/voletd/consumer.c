// SPDX-License-Identifier: MIT
/*
 * Local consumers: programs of this machine that connect to a socket and are sessions like any
 * other. Who one is is its uid, which the kernel tells. Whoever isn't in the configuration is
 * refused before a message is read, and so is who has as many sessions as it may.
 */
#include "daemon.h"

#include <errno.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "local.h"

#define OVERFLOW_UID	65534	/* what the kernel tells of a user that isn't in one's namespace */

static const struct volet_local_config *find_uid(const struct volet_config *config, uid_t uid)
{
	unsigned int i;

	for (i = 0; i < config->consumers->len; i++) {
		const struct volet_local_config *consumer = config->consumers->pdata[i];

		if (consumer->uid == uid)
			return consumer;
	}
	return NULL;
}

static unsigned int sessions_of(const struct daemon *daemon, const struct volet_local_config *local)
{
	unsigned int n = 0;
	GHashTableIter iter;
	gpointer key;

	g_hash_table_iter_init(&iter, daemon->sessions);
	while (g_hash_table_iter_next(&iter, &key, NULL))
		n += ((const struct session *)key)->viewer == &local->viewer;
	return n;
}

/* Anybody may try as often as they like, which isn't to fill the log. */
static void say_refused(struct daemon *daemon, uid_t uid, const char *why)
{
	int64_t now = daemon_now_ns();

	daemon->totals.refused++;
	if (now - daemon->local_said_ns < 1000000000LL)
		return;
	daemon->local_said_ns = now;
	say("local: refused uid %u: %s", uid, why);
}

static gboolean on_connection(int listener, G_GNUC_UNUSED GIOCondition condition, gpointer data)
{
	struct daemon *daemon = data;
	g_autofd int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	const struct volet_local_config *local;
	char peer[64];
	uid_t uid;
	pid_t pid;

	if (fd < 0 || !local_peer(fd, &uid, &pid))
		return G_SOURCE_CONTINUE;
	local = find_uid(daemon->config, uid);
	if (uid == OVERFLOW_UID) {
		say_refused(daemon, uid, "which user that is can't be seen in this user namespace"
			    " (PrivateUsers= of the unit, see Documentation/operation.rst)");
	} else if (!local) {
		say_refused(daemon, uid, "no [local NAME] has it");
	} else if (sessions_of(daemon, local) >= local->sessions) {
		say_refused(daemon, uid, "it has as many sessions as it may (sessions =)");
	} else {
		g_snprintf(peer, sizeof(peer), "%s, uid %u, process %d", local->viewer.name, uid, pid);
		daemon->totals.admitted++;
		session_new_local(daemon, SESSION_CONSUMER, g_steal_fd(&fd), local, peer);
	}
	return G_SOURCE_CONTINUE;
}

bool consumers_open(struct daemon *daemon, const char *path, GError **error)
{
	daemon->local = local_listen_to_all(path, error);
	if (daemon->local < 0)
		return false;
	daemon->local_watch = g_unix_fd_add(daemon->local, G_IO_IN, on_connection, daemon);
	return true;
}

void consumers_close(struct daemon *daemon)
{
	g_clear_handle_id(&daemon->local_watch, g_source_remove);
	if (daemon->local >= 0)
		close(daemon->local);
	daemon->local = -1;
}
