// SPDX-License-Identifier: MIT
/* The channel to volet-spawn: programs are started and ended through it, and their ends told. */
#include "daemon.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <unistd.h>

static void lost(struct daemon *daemon, const char *why)
{
	g_clear_handle_id(&daemon->spawn_watch, g_source_remove);
	close(daemon->spawn);
	daemon->spawn = -1;
	daemon_fail(daemon, why);
}

static bool send_request(struct daemon *daemon, const struct volet_spawn *msg, const int *fds,
			 unsigned int n_fds)
{
	int ret;

	if (daemon->spawn < 0)
		return false;
	ret = msg_send(daemon->spawn, msg, sizeof(*msg), fds, n_fds);
	if (ret < 0)
		lost(daemon, ret == -EAGAIN ? "volet-spawn does not read its channel" :
					      "volet-spawn is gone");
	return ret == 0;
}

static void exited(struct daemon *daemon, const struct volet_spawn *msg)
{
	struct child *child = g_hash_table_lookup(daemon->children, GUINT_TO_POINTER(msg->id));
	struct child copy;

	if (!child)
		return;
	copy = *child;
	g_hash_table_remove(daemon->children, GUINT_TO_POINTER(msg->id));
	copy.exited(copy.owner, msg->status);
}

static gboolean on_message(int fd, G_GNUC_UNUSED GIOCondition condition, gpointer data)
{
	struct daemon *daemon = data;
	struct volet_spawn msg;
	int fds[MSG_FDS_MAX], ret;
	unsigned int n_fds;

	ret = msg_recv(fd, &msg, sizeof(msg), fds, &n_fds);
	if (ret == -EAGAIN)
		return G_SOURCE_CONTINUE;
	msg_close_fds(fds);
	if (ret == 0 && n_fds == 0 && msg.type == VOLET_SPAWN_EXITED)
		exited(daemon, &msg);
	else if (ret < 0 || n_fds || msg.type != VOLET_SPAWN_STARTED)
		lost(daemon, ret == -EPIPE ? "volet-spawn is gone, or refused the connection; see its log" :
					     "volet-spawn sent what is not in the protocol");
	return daemon->spawn >= 0 ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

void starter_init(struct daemon *daemon, int spawn)
{
	daemon->spawn = spawn;
	daemon->children = g_hash_table_new_full(NULL, NULL, NULL, g_free);
	daemon->spawn_watch = g_unix_fd_add(spawn, G_IO_IN, on_message, daemon);
}

void starter_clear(struct daemon *daemon)
{
	g_clear_handle_id(&daemon->spawn_watch, g_source_remove);
	if (daemon->spawn >= 0)
		close(daemon->spawn);
	daemon->spawn = -1;
	g_clear_pointer(&daemon->children, g_hash_table_unref);
}

uint32_t starter_start(struct daemon *daemon, enum volet_program program, unsigned int index,
		       const int fds[2], void (*on_exit)(void *owner, int status), void *owner)
{
	struct volet_spawn msg = { .type = VOLET_SPAWN_START, .program = program, .index = index };
	struct child *child;

	msg.id = ++daemon->last_child;
	if (!send_request(daemon, &msg, fds, 2))
		return 0;
	child = g_new0(struct child, 1);
	child->owner = owner;
	child->exited = on_exit;
	g_hash_table_insert(daemon->children, GUINT_TO_POINTER(msg.id), child);
	return msg.id;
}

void starter_kill(struct daemon *daemon, uint32_t number)
{
	const struct volet_spawn msg = { .type = VOLET_SPAWN_KILL, .id = number };

	send_request(daemon, &msg, NULL, 0);
}

void starter_forget(struct daemon *daemon, uint32_t number)
{
	g_hash_table_remove(daemon->children, GUINT_TO_POINTER(number));
}
