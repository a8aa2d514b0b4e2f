// SPDX-License-Identifier: MIT
/* Tables and JSON of what voletd says; see show.h. */
#include "show.h"

#include <stdbool.h>
#include <string.h>

#define COLUMNS_MAX 12

/* ---- JSON --------------------------------------------------------------------------- */

static void json_text(GString *out, const char *text)
{
	g_string_append_c(out, '"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			g_string_append_printf(out, "\\%c", *text);
		else if ((unsigned char)*text < 0x20)
			g_string_append_printf(out, "\\u%04x", (unsigned char)*text);
		else
			g_string_append_c(out, *text);
	}
	g_string_append_c(out, '"');
}

/* Numbers and booleans are written as GVariant writes them. */
static void append(GString *out, GVariant *value)
{
	g_autofree char *text = g_variant_print(value, FALSE);

	g_string_append(out, text);
}

static void json_value(GString *out, GVariant *value)
{
	if (g_variant_is_of_type(value, G_VARIANT_TYPE_STRING))
		json_text(out, g_variant_get_string(value, NULL));
	else
		append(out, value);
}

static void json_dict(GString *out, GVariant *dict)
{
	GVariantIter iter;
	GVariant *value;
	const char *key;
	const char *between = "";

	g_string_append_c(out, '{');
	g_variant_iter_init(&iter, dict);
	while (g_variant_iter_loop(&iter, "{&sv}", &key, &value)) {
		g_string_append(out, between);
		json_text(out, key);
		g_string_append(out, ": ");
		json_value(out, value);
		between = ", ";
	}
	g_string_append_c(out, '}');
}

static void json_list(GString *out, GVariant *list)
{
	gsize i;

	g_string_append_c(out, '[');
	for (i = 0; i < g_variant_n_children(list); i++) {
		g_autoptr(GVariant) dict = g_variant_get_child_value(list, i);

		g_string_append(out, i ? ",\n    " : "\n    ");
		json_dict(out, dict);
	}
	g_string_append_c(out, ']');
}

char *show_json(GVariant *status)
{
	g_autoptr(GVariant) daemon = g_variant_get_child_value(status, 0);
	g_autoptr(GVariant) cameras = g_variant_get_child_value(status, 1);
	g_autoptr(GVariant) sessions = g_variant_get_child_value(status, 2);
	GString *out = g_string_new("{\n  \"daemon\": ");

	json_dict(out, daemon);
	g_string_append(out, ",\n  \"cameras\": ");
	json_list(out, cameras);
	g_string_append(out, ",\n  \"sessions\": ");
	json_list(out, sessions);
	g_string_append(out, "\n}\n");
	return g_string_free(out, FALSE);
}

/* ---- tables ------------------------------------------------------------------------- */

struct column {
	const char *title, *key;
	void (*put)(GString *out, GVariant *value);
};

static void put_plain(GString *out, GVariant *value)
{
	if (g_variant_is_of_type(value, G_VARIANT_TYPE_STRING))
		g_string_append(out, g_variant_get_string(value, NULL));
	else
		append(out, value);
}

static guint64 number(GVariant *value)
{
	return g_variant_is_of_type(value, G_VARIANT_TYPE_UINT64) ? g_variant_get_uint64(value) : 0;
}

static void put_ms(GString *out, GVariant *value)
{
	g_string_append_printf(out, "%" G_GUINT64_FORMAT " ms", number(value));
}

static void put_time(GString *out, GVariant *value)
{
	guint64 s = number(value) / 1000;

	g_string_append_printf(out, "%" G_GUINT64_FORMAT ":%02u:%02u", s / 3600,
			       (unsigned int)(s / 60 % 60), (unsigned int)(s % 60));
}

/* Enough to tell sessions apart, and for `voletctl end`. */
static void put_id(GString *out, GVariant *value)
{
	g_string_append_len(out, g_variant_get_string(value, NULL), 12);
}

static const struct column camera_columns[] = {
	{ "CAMERA", "name", put_plain },
	{ "STATE", "state", put_plain },
	{ "WIDTH", "width", put_plain },
	{ "HEIGHT", "height", put_plain },
	{ "CAPTURED", "captured", put_plain },
	{ "ENCODED", "encoded", put_plain },
	{ "ERRORS", "errors", put_plain },
	{ "LATE", "late", put_plain },
	{ "NEWEST", "captured-age-ms", put_ms },
	{ "SESSIONS", "sessions", put_plain },
	{ "MEMORY", "memory", put_plain },
	{ NULL, NULL, NULL }
};

static const struct column session_columns[] = {
	{ "SESSION", "id", put_id },
	{ "VIEWER", "viewer", put_plain },
	{ "CAMERA", "camera", put_plain },
	{ "PROFILE", "profile", put_plain },
	{ "SOURCE", "source", put_plain },
	{ "UPTIME", "uptime-ms", put_time },
	{ "FRAMES", "frames", put_plain },
	{ "BYTES", "bytes", put_plain },
	{ "DROPPED", "dropped", put_plain },
	{ "AGE", "age-ms", put_ms },
	{ "TRANSPORT", "transport", put_plain },
	{ NULL, NULL, NULL }
};

static const struct column uptime = { "UP", "uptime-ms", put_time };

static char *cell(const struct column *column, GVariant *dict)
{
	g_autoptr(GVariant) value = g_variant_lookup_value(dict, column->key, NULL);
	GString *out = g_string_new(NULL);

	if (value)
		column->put(out, value);
	else
		g_string_append_c(out, '-');
	return g_string_free(out, FALSE);
}

/* Row 0 is the titles. Strings that the array owns. */
static GPtrArray *cells(const struct column *columns, GVariant *list)
{
	GPtrArray *all = g_ptr_array_new_with_free_func(g_free);
	const struct column *column;
	gsize i;

	for (column = columns; column->title; column++)
		g_ptr_array_add(all, g_strdup(column->title));
	for (i = 0; i < g_variant_n_children(list); i++) {
		g_autoptr(GVariant) dict = g_variant_get_child_value(list, i);

		for (column = columns; column->title; column++)
			g_ptr_array_add(all, cell(column, dict));
	}
	return all;
}

static void table(GString *out, const struct column *columns, GVariant *list)
{
	g_autoptr(GPtrArray) all = cells(columns, list);
	int width[COLUMNS_MAX] = { 0 };
	unsigned int n = 0, i;

	while (columns[n].title)
		n++;
	for (i = 0; i < all->len; i++)
		width[i % n] = MAX(width[i % n], (int)strlen(all->pdata[i]));
	for (i = 0; i < all->len; i++) {
		bool last = i % n == n - 1;

		g_string_append_printf(out, "%-*s%s", last ? 0 : width[i % n],
				       (const char *)all->pdata[i], last ? "\n" : "  ");
	}
}

static guint64 get(GVariant *dict, const char *key)
{
	guint64 value = 0;

	g_variant_lookup(dict, key, "t", &value);
	return value;
}

char *show_tables(GVariant *status)
{
	g_autoptr(GVariant) daemon = g_variant_get_child_value(status, 0);
	g_autoptr(GVariant) cameras = g_variant_get_child_value(status, 1);
	g_autoptr(GVariant) sessions = g_variant_get_child_value(status, 2);
	g_autofree char *up = cell(&uptime, daemon);
	GString *out = g_string_new(NULL);

	table(out, camera_columns, cameras);
	g_string_append_c(out, '\n');
	if (g_variant_n_children(sessions))
		table(out, session_columns, sessions);
	else
		g_string_append(out, "nobody is watching\n");
	g_string_append_printf(out, "\nsessions %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
			       ", not authenticated %" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT
			       " (%" G_GUINT64_FORMAT " from one source), age limit %" G_GUINT64_FORMAT
			       " ms, up %s\n", get(daemon, "sessions"), get(daemon, "max-sessions"),
			       get(daemon, "unauthenticated"), get(daemon, "max-unauthenticated"),
			       get(daemon, "max-unauthenticated-per-source"),
			       get(daemon, "age-limit-ms"), up);
	return g_string_free(out, FALSE);
}

char *show_ended(GVariant *ended)
{
	g_autoptr(GVariant) list = g_variant_get_child_value(ended, 0);
	const char *id, *viewer, *camera, *source;
	GString *out = g_string_new(NULL);
	GVariantIter iter;

	g_variant_iter_init(&iter, list);
	while (g_variant_iter_loop(&iter, "(&s&s&s&s)", &id, &viewer, &camera, &source)) {
		if (*id)
			g_string_append_printf(out, "ended session %s of %s on %s, %s\n", id, viewer,
					       camera, source);
		else
			g_string_append_printf(out, "ended a connection of %s, %s, not granted yet\n",
					       viewer, source);
	}
	return g_string_free(out, FALSE);
}
