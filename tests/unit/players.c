// SPDX-License-Identifier: MIT
/* Real players in tests; see players.h. */
#include "players.h"

#include <string.h>
#include "msg.h"

bool players_have(const char *name)
{
	g_autofree char *path = g_find_program_in_path(name);

	if (!path)
		g_test_skip_printf("%s is not installed", name);
	return path != NULL;
}

static gpointer one_session(gpointer fake)
{
	struct fake_result *result = g_new(struct fake_result, 1);

	*result = fake_wait(fake_accept(fake));
	return result;
}

char *players_run(const struct fake_config *config, const char *who, const char *line, int *status,
		  struct fake_result *result)
{
	g_autofree struct fake_result *got = NULL;
	g_autofree char *text = NULL;
	g_autoptr(GError) error = NULL;
	struct fake *fake;
	GThread *thread;
	char *out = NULL;

	fake = fake_new(config);
	thread = g_thread_new("session", one_session, fake);
	text = g_strdup_printf("URL=%s@127.0.0.1:%u/cam0; %s", who, fake_port(fake), line);
	if (!g_spawn_sync(NULL, (char *[]){ (char *)"sh", (char *)"-c", text, NULL }, NULL,
			  G_SPAWN_SEARCH_PATH, NULL, NULL, &out, NULL, status, &error))
		g_error("%s", error->message);
	got = g_thread_join(thread);
	*result = *got;
	if (g_test_verbose() || *status)
		g_test_message("session's status %x: %s", result->status, result->log);
	g_clear_pointer(&result->log, g_free);
	fake_free(fake);
	return out;
}

unsigned int players_count(const char *out, const char *mark, char from)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_auto(GStrv) lines = g_strsplit(out, "\n", -1);
	int i;

	for (i = 0; lines[i]; i++) {
		if (strstr(lines[i], mark) && strrchr(lines[i], from) && lines[i][0] != '#')
			g_hash_table_add(seen, g_strdup(strrchr(lines[i], from)));
	}
	return g_hash_table_size(seen);
}

int players_gstreamer_status(const char *out)
{
	return strstr(out, "\nGot EOS from element") ? 0 : 1;
}

void players_assert_shown(unsigned int pictures, int status, const struct fake_result *result)
{
	g_assert_cmpuint(pictures, >=, PLAYERS_PICTURES - 1);
	g_assert_cmpstr(volet_reason_text(result->reason), ==,
			volet_reason_text(VOLET_REASON_CLIENT_GONE));
	g_assert_cmpint(status, ==, 0);
}
