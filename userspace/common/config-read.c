// SPDX-License-Identifier: MIT
/* Reading a GKeyFile strictly; see config-read.h. */
#include "config-read.h"

#include <string.h>
#include "msg.h"

G_DEFINE_QUARK(volet-config-error-quark, config_error)

void config_fail(GError **error, const struct config_reader *reader, const char *group,
		 const char *key, const char *format, ...)
{
	g_autofree char *text = NULL;
	va_list args;

	va_start(args, format);
	text = g_strdup_vprintf(format, args);
	va_end(args);
	g_set_error(error, VOLET_CONFIG_ERROR, 0, "%s: [%s]%s%s: %s", reader->file, group,
		    key ? " " : "", key ? key : "", text);
}

static bool line_fail(GError **error, const struct config_reader *reader, unsigned int line,
		      const char *text)
{
	g_set_error(error, VOLET_CONFIG_ERROR, 0, "%s: line %u: %s", reader->file, line, text);
	return false;
}

/* One line that holds neither a comment nor nothing. `group` is the group so far. */
static bool check_line(const struct config_reader *reader, char *line, unsigned int number,
		       GHashTable *seen, char **group, GError **error)
{
	char *value = strchr(line, '=');
	size_t n = strlen(line);

	if (line[0] == '[') {
		if (n < 3 || line[n - 1] != ']')
			return line_fail(error, reader, number,
					 "a group is written alone on its line, as [camera NAME]");
		g_free(*group);
		*group = g_strndup(line + 1, n - 2);
		if (g_hash_table_add(seen, g_strdup_printf("[%s]", *group)))
			return true;
		config_fail(error, reader, *group, NULL,
			    "line %u: this group stands in the file twice; join or rename one",
			    number);
		return false;
	}
	if (!value || value == line)
		return line_fail(error, reader, number,
				 "neither [group] nor key = value; write a # before a comment");
	if (!*group)
		return line_fail(error, reader, number,
				 "a key before the first group; write [volet] above it");
	*value++ = '\0';
	g_strchomp(line);
	if (!g_hash_table_add(seen, g_strdup_printf("[%s] %s", *group, line))) {
		config_fail(error, reader, *group, line, "line %u: given twice; remove one", number);
		return false;
	}
	if (strstr(value, " #") || strstr(value, "\t#")) {
		config_fail(error, reader, *group, line,
			    "line %u: a comment after a value; put it on a line of its own", number);
		return false;
	}
	return true;
}

static bool check_lines(const struct config_reader *reader, const char *text, GError **error)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	g_autofree char *group = NULL;
	unsigned int i;

	for (i = 0; lines[i]; i++) {
		char *line = g_strstrip(lines[i]);

		if (line[0] && line[0] != '#' &&
		    !check_line(reader, line, i + 1, seen, &group, error))
			return false;
	}
	return true;
}

bool config_read(struct config_reader *reader, const char *file, const char *text, gsize len,
		 GError **error)
{
	g_autofree char *copy = g_strndup(text, len);
	g_autoptr(GError) ignored = NULL;

	reader->file = file;
	reader->keys = g_key_file_new();
	if (memchr(text, '\0', len) || !g_utf8_validate(copy, -1, NULL)) {
		g_set_error(error, VOLET_CONFIG_ERROR, 0,
			    "%s: not text in UTF-8; write it with a text editor", file);
		return false;
	}
	if (!check_lines(reader, copy, error))
		return false;
	/* The message of an error here may quote a line, so it isn't passed on. */
	if (!g_key_file_load_from_data(reader->keys, copy, len, G_KEY_FILE_NONE, &ignored)) {
		g_set_error(error, VOLET_CONFIG_ERROR, 0,
			    "%s: not a key file: only [group], key = value and # comment lines", file);
		return false;
	}
	return true;
}

void config_read_end(struct config_reader *reader)
{
	g_clear_pointer(&reader->keys, g_key_file_unref);
}

bool config_known_keys(const struct config_reader *reader, const char *group,
		       const char *const *known, GError **error)
{
	g_auto(GStrv) keys = g_key_file_get_keys(reader->keys, group, NULL, NULL);
	unsigned int i;

	for (i = 0; keys && keys[i]; i++) {
		g_autofree char *list = NULL;

		if (g_strv_contains(known, keys[i]))
			continue;
		list = g_strjoinv(", ", (char **)known);
		config_fail(error, reader, group, keys[i], "unknown key; the keys here are %s", list);
		return false;
	}
	return true;
}

char *config_string(const struct config_reader *reader, const char *group, const char *key,
		    const char *preset, GError **error)
{
	g_autoptr(GError) bad = NULL;
	g_autofree char *value = NULL;

	if (!g_key_file_has_key(reader->keys, group, key, NULL)) {
		if (!preset)
			config_fail(error, reader, group, key, "missing; write %s = ...", key);
		return g_strdup(preset);
	}
	value = g_key_file_get_string(reader->keys, group, key, &bad);
	if (bad) {
		config_fail(error, reader, group, key, "a stray backslash; write \\\\ for one");
		return NULL;
	}
	g_strstrip(value);
	if (!preset && !*value) {
		config_fail(error, reader, group, key, "empty; write %s = ...", key);
		return NULL;
	}
	return g_steal_pointer(&value);
}

bool config_number(const struct config_reader *reader, const char *group, const char *key,
		   unsigned int min, unsigned int max, unsigned int preset, unsigned int *value,
		   GError **error)
{
	g_autofree char *text = NULL;
	guint64 n;

	*value = preset;
	if (!g_key_file_has_key(reader->keys, group, key, NULL))
		return true;
	text = config_string(reader, group, key, "", error);
	if (!text)
		return false;
	if (!g_ascii_string_to_unsigned(text, 10, min, max, &n, NULL)) {
		config_fail(error, reader, group, key,
			    "\"%s\" is not a number from %u to %u; write %s = %u", text, min, max,
			    key, preset);
		return false;
	}
	*value = (unsigned int)n;
	return true;
}

bool config_name(const struct config_reader *reader, const char *group, const char *kind,
		 char name[VOLET_NAME_MAX], GError **error)
{
	const char *text = group + strlen(kind) + 1;

	if (!msg_name_ok(text)) {
		config_fail(error, reader, group, NULL,
			    "write [%s NAME] with a name of 1 to %d letters, digits, - and _", kind,
			    VOLET_NAME_MAX - 1);
		return false;
	}
	g_strlcpy(name, text, VOLET_NAME_MAX);
	return true;
}
