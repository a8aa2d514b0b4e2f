// SPDX-License-Identifier: MIT
/*
 * voletctl: the owner's command. `voletctl status` says how cameras and sessions are,
 * `voletctl end WHAT` ends sessions. It asks voletd over the control bus and holds nothing.
 */
#include <gio/gio.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "control-bus.h"
#include "show.h"

#define CALL_MS 5000

struct options {
	char *control;
	gboolean json, version;
	char **words;
};

static bool bad(GError **error, const char *text)
{
	g_set_error_literal(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, text);
	return false;
}

static bool read_options(struct options *options, int *argc, char ***argv, GError **error)
{
	const GOptionEntry entries[] = {
		{ "control", 0, 0, G_OPTION_ARG_FILENAME, &options->control,
		  "voletd's control socket (" CONTROL_SOCKET ")", "SOCKET" },
		{ "json", 0, 0, G_OPTION_ARG_NONE, &options->json, "Status as JSON", NULL },
		{ "version", 0, 0, G_OPTION_ARG_NONE, &options->version, "Print the version", NULL },
		{ G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &options->words, NULL,
		  "status | end WHAT" },
		{ 0 }
	};
	g_autoptr(GOptionContext) context = g_option_context_new(NULL);
	unsigned int n;

	g_option_context_add_main_entries(context, entries, NULL);
	g_option_context_set_description(context,
		"status        cameras, sessions and limits\n"
		"end WHAT      end at once the session of that id (8 digits of it or more), or every\n"
		"              session of that viewer or camera; session:ID, viewer:NAME and\n"
		"              camera:NAME say which is meant. Exit status 1 when nothing matches.\n");
	if (!g_option_context_parse(context, argc, argv, error))
		return false;
	n = options->words ? g_strv_length(options->words) : 0;
	if (options->version || (n == 1 && !strcmp(options->words[0], "status")))
		return true;
	if (n == 2 && !strcmp(options->words[0], "end"))
		return !options->json || bad(error, "--json goes with status");
	return bad(error, "write voletctl status, or voletctl end SESSION|VIEWER|CAMERA; see --help");
}

static GVariant *call(GDBusConnection *connection, const char *method, GVariant *parameters,
		      const char *type, GError **error)
{
	return g_dbus_connection_call_sync(connection, NULL, CONTROL_PATH, CONTROL_INTERFACE, method,
					   parameters, G_VARIANT_TYPE(type),
					   G_DBUS_CALL_FLAGS_NONE, CALL_MS, NULL, error);
}

static bool perform(const struct options *options, GDBusConnection *connection, GError **error)
{
	bool status = !strcmp(options->words[0], "status");
	g_autoptr(GVariant) answer = status ?
		call(connection, "Status", NULL, CONTROL_STATUS_TYPE, error) :
		call(connection, "End", g_variant_new("(s)", options->words[1]), CONTROL_ENDED_TYPE,
		     error);
	g_autofree char *text = NULL;

	if (!answer)
		return false;
	text = !status ? show_ended(answer) : options->json ? show_json(answer) : show_tables(answer);
	fputs(text, stdout);
	return true;
}

static GDBusConnection *connect_to(const char *path, GError **error)
{
	g_autofree char *escaped = g_dbus_address_escape_value(path);
	g_autofree char *address = g_strdup_printf("unix:path=%s", escaped);
	GDBusConnection *connection;

	connection = g_dbus_connection_new_for_address_sync(address,
		G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT, NULL, NULL, error);
	if (!connection)
		g_prefix_error(error, "%s: voletd doesn't answer; is it running with --control %s, and"
			       " may this user use it? ", path, path);
	return connection;
}

int main(int argc, char **argv)
{
	struct options options = { 0 };
	g_autoptr(GDBusConnection) connection = NULL;
	g_autoptr(GError) error = NULL;
	bool ok = read_options(&options, &argc, &argv, &error);

	if (ok && options.version) {
		puts("voletctl " VERSION);
	} else if (ok) {
		connection = connect_to(options.control ? options.control : CONTROL_SOCKET, &error);
		ok = connection && perform(&options, connection, &error);
	}
	if (error) {
		g_dbus_error_strip_remote_error(error);
		fprintf(stderr, "voletctl: %s\n", error->message);
	}
	g_free(options.control);
	g_strfreev(options.words);
	return ok && fflush(stdout) == 0 ? 0 : 1;
}
