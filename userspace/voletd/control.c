// SPDX-License-Identifier: MIT
/*
 * The control bus (common/control-bus.h). GDBus does the input and output of a connection in
 * a thread of its own; the methods run here, in the main loop, and nothing waits for a peer.
 * Who is not let in is refused before a byte is read. There are few connections at once, each
 * for a few calls and a few seconds, so that none holds much.
 */
#include "control.h"

#include <errno.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control-bus.h"
#include "daemon.h"
#include "local.h"
#include "owner.h"

#define PEERS_MAX	8
#define PEER_MS		10000
#define PEER_CALLS	64

struct control {
	struct daemon *daemon;
	gid_t gid;
	int fd;
	guint watch;
	char *guid;
	GDBusNodeInfo *info;
	GPtrArray *peers;		/* struct peer * */
};

struct peer {
	struct control *control;	/* NULL once it is dropped */
	GDBusConnection *connection;	/* NULL until it has authenticated */
	GCancellable *cancellable;
	guint object, deadline, calls;
};

static void peer_free(struct peer *peer)
{
	g_clear_handle_id(&peer->deadline, g_source_remove);
	if (peer->connection) {
		g_signal_handlers_disconnect_by_data(peer->connection, peer);
		if (peer->object)
			g_dbus_connection_unregister_object(peer->connection, peer->object);
		g_dbus_connection_close(peer->connection, NULL, NULL, NULL);
		g_object_unref(peer->connection);
	}
	g_object_unref(peer->cancellable);
	g_free(peer);
}

/* While it authenticates it is on_authenticated() that frees it. */
static void drop(struct peer *peer)
{
	g_ptr_array_remove_fast(peer->control->peers, peer);
	peer->control = NULL;
	g_clear_handle_id(&peer->deadline, g_source_remove);
	g_cancellable_cancel(peer->cancellable);
	if (peer->connection)
		peer_free(peer);
}

static gboolean on_deadline(gpointer data)
{
	struct peer *peer = data;

	peer->deadline = 0;
	drop(peer);
	return G_SOURCE_REMOVE;
}

static void on_closed(G_GNUC_UNUSED GDBusConnection *connection, G_GNUC_UNUSED gboolean vanished,
		      G_GNUC_UNUSED GError *error, gpointer data)
{
	drop(data);
}

static void end(struct daemon *daemon, GVariant *parameters, GDBusMethodInvocation *call)
{
	g_autofree char *why = NULL;
	const char *what, *name;
	GVariant *ended;

	g_variant_get(parameters, "(&s)", &what);
	ended = owner_end(daemon, what, &name, &why);
	if (ended)
		g_dbus_method_invocation_return_value(call, ended);
	else
		g_dbus_method_invocation_return_dbus_error(call, name, why);
}

static void on_call(GDBusConnection *connection, G_GNUC_UNUSED const char *sender,
		    G_GNUC_UNUSED const char *path, G_GNUC_UNUSED const char *interface,
		    const char *method, GVariant *parameters, GDBusMethodInvocation *call,
		    gpointer data)
{
	struct peer *peer = data;

	/* What is unread of its answers is memory of ours. */
	if (++peer->calls > PEER_CALLS) {
		g_dbus_method_invocation_return_error(call, G_DBUS_ERROR, G_DBUS_ERROR_LIMITS_EXCEEDED,
						      "%u calls on one connection are enough",
						      PEER_CALLS);
		g_dbus_connection_close(connection, NULL, NULL, NULL);
	} else if (g_str_equal(method, "Status")) {
		g_dbus_method_invocation_return_value(call, owner_status(peer->control->daemon));
	} else {
		end(peer->control->daemon, parameters, call);
	}
}

static void on_authenticated(G_GNUC_UNUSED GObject *source, GAsyncResult *result, gpointer data)
{
	static const GDBusInterfaceVTable table = { .method_call = on_call };
	struct peer *peer = data;

	peer->connection = g_dbus_connection_new_finish(result, NULL);
	if (!peer->control) {
		peer_free(peer);
		return;
	}
	if (!peer->connection) {
		g_ptr_array_remove_fast(peer->control->peers, peer);
		peer_free(peer);
		return;
	}
	g_signal_connect(peer->connection, "closed", G_CALLBACK(on_closed), peer);
	peer->object = g_dbus_connection_register_object(peer->connection, CONTROL_PATH,
							 peer->control->info->interfaces[0],
							 &table, peer, NULL, NULL);
	g_dbus_connection_start_message_processing(peer->connection);
}

/*
 * Runs in a thread of GDBus. The others would read files that voletd gave up. ANONYMOUS, because
 * EXTERNAL doesn't work between process-id namespaces, and adds nothing to what the kernel said.
 */
static gboolean on_mechanism(G_GNUC_UNUSED GDBusAuthObserver *observer, const char *mechanism,
			     G_GNUC_UNUSED gpointer data)
{
	return g_str_equal(mechanism, "EXTERNAL") || g_str_equal(mechanism, "ANONYMOUS");
}

/* Who it is was asked of the kernel before. */
static gboolean on_authorize(G_GNUC_UNUSED GDBusAuthObserver *observer,
			     G_GNUC_UNUSED GIOStream *stream, G_GNUC_UNUSED GCredentials *credentials,
			     G_GNUC_UNUSED gpointer data)
{
	return TRUE;
}

static void take(struct control *control, int fd)
{
	g_autoptr(GDBusAuthObserver) observer = g_dbus_auth_observer_new();
	g_autoptr(GSocket) socket = g_socket_new_from_fd(fd, NULL);
	g_autoptr(GSocketConnection) stream = NULL;
	struct peer *peer;

	if (!socket) {
		close(fd);
		return;
	}
	stream = g_socket_connection_factory_create_connection(socket);
	peer = g_new0(struct peer, 1);
	peer->control = control;
	peer->cancellable = g_cancellable_new();
	peer->deadline = g_timeout_add(PEER_MS, on_deadline, peer);
	g_ptr_array_add(control->peers, peer);
	g_signal_connect(observer, "allow-mechanism", G_CALLBACK(on_mechanism), NULL);
	g_signal_connect(observer, "authorize-authenticated-peer", G_CALLBACK(on_authorize), NULL);
	g_dbus_connection_new(G_IO_STREAM(stream), control->guid,
			      G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_SERVER |
			      G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_ALLOW_ANONYMOUS |
			      G_DBUS_CONNECTION_FLAGS_DELAY_MESSAGE_PROCESSING, observer,
			      peer->cancellable, on_authenticated, peer);
}

static gboolean on_connection(int fd, G_GNUC_UNUSED GIOCondition condition, gpointer data)
{
	struct control *control = data;
	int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	uid_t uid;

	if (peer < 0)
		return G_SOURCE_CONTINUE;
	if (!local_peer_ok(peer, control->gid, &uid)) {
		say("control: refused uid %u", uid);
		close(peer);
	} else if (control->peers->len >= PEERS_MAX) {
		say("control: refused uid %u: %u connections are open", uid, PEERS_MAX);
		close(peer);
	} else {
		take(control, peer);
	}
	return G_SOURCE_CONTINUE;
}

struct control *control_open(struct daemon *daemon, const char *path, gid_t gid, GError **error)
{
	int fd = local_listen(path, gid, error);
	struct control *control;

	if (fd < 0)
		return NULL;
	control = g_new0(struct control, 1);
	control->daemon = daemon;
	control->gid = gid;
	control->fd = fd;
	control->guid = g_dbus_generate_guid();
	control->info = g_dbus_node_info_new_for_xml(CONTROL_XML, NULL);
	control->peers = g_ptr_array_new();
	control->watch = g_unix_fd_add(fd, G_IO_IN, on_connection, control);
	return control;
}

void control_close(struct control *control)
{
	if (!control)
		return;
	g_clear_handle_id(&control->watch, g_source_remove);
	close(control->fd);
	while (control->peers->len)
		drop(control->peers->pdata[0]);
	g_ptr_array_unref(control->peers);
	g_dbus_node_info_unref(control->info);
	g_free(control->guid);
	g_free(control);
}
