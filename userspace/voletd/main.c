// SPDX-License-Identifier: MIT
/* voletd: start, signals and end; see daemon.h. */
#include "daemon.h"

#include <errno.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "control-bus.h"
#include "control.h"
#include "log.h"
#include "metrics.h"
#include "notify.h"
#include "secrets.h"

struct options {
	char *config, *spawn, *control, *metrics, *local;
	int control_gid;
	gboolean allow_swap, version;
};

static bool read_options(struct options *options, int *argc, char ***argv, GError **error)
{
	const GOptionEntry entries[] = {
		{ "config", 0, 0, G_OPTION_ARG_FILENAME, &options->config,
		  "The configuration (/etc/volet/volet.conf)", "FILE" },
		{ "spawn", 0, 0, G_OPTION_ARG_FILENAME, &options->spawn,
		  "The socket of volet-spawn (/run/volet/spawn.sock)", "SOCKET" },
		{ "control", 0, 0, G_OPTION_ARG_FILENAME, &options->control,
		  "A socket for voletctl to make, such as " CONTROL_SOCKET, "SOCKET" },
		{ "control-gid", 0, 0, G_OPTION_ARG_INT, &options->control_gid,
		  "A group that may use it, besides root and this user", "GID" },
		{ "metrics", 0, 0, G_OPTION_ARG_FILENAME, &options->metrics,
		  "A socket to make for Prometheus, for this user and its group", "SOCKET" },
		{ "allow-swap", 0, 0, G_OPTION_ARG_NONE, &options->allow_swap,
		  "Run although credentials could be written to swap", NULL },
		{ "local", 0, 0, G_OPTION_ARG_FILENAME, &options->local,
		  "A socket to make for the programs of [local NAME], such as /run/volet/local.sock",
		  "SOCKET" },
		{ "version", 0, 0, G_OPTION_ARG_NONE, &options->version, "Print the version", NULL },
		{ 0 }
	};
	g_autoptr(GOptionContext) context = g_option_context_new("- who may see which camera");

	g_option_context_add_main_entries(context, entries, NULL);
	if (!g_option_context_parse(context, argc, argv, error))
		return false;
	if (options->control_gid < -1 || options->control_gid == 0) {
		g_set_error(error, VOLET_CONFIG_ERROR, 0,
			    "--control-gid: write the number of a group, as getent group prints it");
		return false;
	}
	if (!options->config)
		options->config = g_strdup("/etc/volet/volet.conf");
	if (!options->spawn)
		options->spawn = g_strdup("/run/volet/spawn.sock");
	if (*argc == 1)
		return true;
	g_set_error(error, VOLET_CONFIG_ERROR, 0, "%s: not an option; see --help", (*argv)[1]);
	return false;
}

static int connect_spawn(const char *path, GError **error)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	g_autofd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (g_strlcpy(address.sun_path, path, sizeof(address.sun_path)) != strlen(address.sun_path))
		errno = ENAMETOOLONG;
	else if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return g_steal_fd(&fd);
	g_set_error(error, VOLET_CONFIG_ERROR, 0,
		    "%s: %s; start volet-spawn first, with --daemon-uid %u, and name its socket"
		    " with --spawn", path, g_strerror(errno), getuid());
	return -1;
}

static gboolean on_signal(gpointer data)
{
	g_main_loop_quit(data);
	return G_SOURCE_CONTINUE;
}

/* From the main loop, so that a loop that hangs is seen: twice as often as it must be. */
static gboolean on_watchdog(G_GNUC_UNUSED gpointer data)
{
	notify_say("WATCHDOG=1");
	return G_SOURCE_CONTINUE;
}

static void start_watchdog(void)
{
	if (notify_watchdog_us())
		g_timeout_add((guint)MIN(notify_watchdog_us() / 2000, G_MAXUINT), on_watchdog, NULL);
}

static void notify_reloading(void)
{
	g_autofree char *state = g_strdup_printf("RELOADING=1\nMONOTONIC_USEC=%" G_GINT64_FORMAT,
						 g_get_monotonic_time());

	notify_say(state);
}

struct reload {
	struct daemon *daemon;
	const char *path;
};

static gboolean on_hangup(gpointer data)
{
	const struct reload *reload = data;

	notify_reloading();
	daemon_reload(reload->daemon, reload->path);
	notify_say("READY=1");
	return G_SOURCE_CONTINUE;
}

static void start_cameras(struct daemon *daemon)
{
	unsigned int i;

	for (i = 0; i < daemon->cameras->len; i++)
		camera_start(daemon->cameras->pdata[i]);
}

/* All that is to be opened before the sandbox. */
static bool open_sockets(struct daemon *daemon, const struct options *options, GError **error)
{
	if (!listener_open(daemon, error))
		return false;
	if (options->control)
		daemon->control = control_open(daemon, options->control, (gid_t)options->control_gid,
					       error);
	if (options->metrics && (!options->control || daemon->control))
		daemon->metrics = metrics_open(daemon, options->metrics, error);
	if ((options->control && !daemon->control) || (options->metrics && !daemon->metrics))
		return false;
	return !options->local || consumers_open(daemon, options->local, error);
}

static int run(const struct options *options, struct volet_config *config, int spawn,
	       GError **error)
{
	g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
	struct daemon *daemon = daemon_new(config, spawn, loop);
	struct reload reload = { daemon, options->config };
	int status = 1;

	if (!daemon->exit_status && open_sockets(daemon, options, error)) {
		/* Before GLib makes a thread for signals or D-Bus, which would not be in it. */
		sandbox_enter(options->config);
		signal(SIGPIPE, SIG_IGN);
		g_unix_signal_add(SIGTERM, on_signal, loop);
		g_unix_signal_add(SIGINT, on_signal, loop);
		g_unix_signal_add(SIGHUP, on_hangup, &reload);
		signer_rotate(daemon);
		start_cameras(daemon);
		displays_start(daemon);
		report_start(daemon);
		start_watchdog();
		say("ready for %u cameras and %u viewers", config->cameras->len, config->viewers->len);
		notify_say("READY=1");
		/* Quitting before the loop runs wouldn't be seen by it. */
		if (!daemon->exit_status)
			g_main_loop_run(loop);
		status = daemon->exit_status;
		notify_say("STOPPING=1");
	}
	daemon_free(daemon);
	return status;
}

static struct volet_config *read_config(const struct options *options, GError **error)
{
	if (getuid() == 0 || geteuid() == 0) {
		g_set_error(error, VOLET_CONFIG_ERROR, 0,
			    "run this as a user of its own, never as root;"
			    " volet-spawn is what needs root");
		return NULL;
	}
	/* Before a credential is read. */
	if (!secrets_no_dump()) {
		g_set_error(error, VOLET_CONFIG_ERROR, 0, "core dumps can't be forbidden: %s",
			    g_strerror(errno));
		return NULL;
	}
	if (!secrets_no_swap()) {
		if (!options->allow_swap) {
			g_set_error_literal(error, VOLET_CONFIG_ERROR, 0, SECRETS_SWAP_TEXT);
			return NULL;
		}
		say(SECRETS_SWAP_WEAKER);
	}
	return config_load(options->config, error);
}

static int start(const struct options *options, GError **error)
{
	g_autoptr(volet_config) config = read_config(options, error);
	int spawn;

	if (!config)
		return 1;
	if (!config->viewers->len)
		say("no [viewer NAME] is configured: nobody will see anything");
	spawn = connect_spawn(options->spawn, error);
	return spawn < 0 ? 1 : run(options, g_steal_pointer(&config), spawn, error);
}

int main(int argc, char **argv)
{
	struct options options = { .control_gid = -1 };
	g_autoptr(GError) error = NULL;
	int status = 1;

	log_by_line();
	notify_init();
	if (read_options(&options, &argc, &argv, &error)) {
		if (options.version) {
			puts("voletd " VERSION FAULT_TEXT);
			return 0;
		}
		if (FAULT_CROSS)
			say("TEST BUILD WITH A DELIBERATE FAULT: grants go to the next camera");
		status = start(&options, &error);
	}
	if (error)
		say("%s", error->message);
	g_free(options.config);
	g_free(options.spawn);
	g_free(options.control);
	g_free(options.metrics);
	g_free(options.local);
	return status;
}
