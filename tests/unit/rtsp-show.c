// SPDX-License-Identifier: MIT
/* One connection in a test; see rtsp-show.h. */
#include "rtsp-show.h"

#include <string.h>
#include <sys/wait.h>

#include "msg.h"

const char *show_program, *show_unchecked_program;

/* What the environment says, or where it is installed on the board. */
static const char *find_program(const char *variable, const char *installed)
{
	const char *path = g_getenv(variable);

	if (!path)
		path = installed;
	return g_file_test(path, G_FILE_TEST_IS_EXECUTABLE) ? path : NULL;
}

void show_init(void)
{
	show_program = find_program("VOLET_RTSP", VOLET_PROGRAMS "/volet-rtsp");
	show_unchecked_program = find_program("VOLET_RTSP_UNCHECKED",
					      VOLET_PROGRAMS "-unchecked/volet-rtsp");
	if (!show_program)
		g_error("no volet-rtsp to test: set VOLET_RTSP");
}

struct show open_show(const struct fake_config *config)
{
	struct fake_config full = *config;
	struct show show;

	if (!full.program)
		full.program = show_program;
	if (!full.frame_bytes)
		full.frame_bytes = 20000;
	show.fake = fake_new(&full);
	show.client = client_new(fake_port(show.fake), "cam0");
	show.session = fake_accept(show.fake);
	return show;
}

struct fake_result close_show(struct show *show, enum volet_reason reason)
{
	struct fake_result result;
	g_autofree char *line = g_strdup_printf("ended: %s (", volet_reason_text(reason));

	client_free(show->client);
	result = fake_wait(show->session);
	fake_free(show->fake);
	if (g_test_verbose() || result.reason != reason)
		g_printerr("%s", result.log);
	g_assert_cmpstr(volet_reason_text(result.reason), ==, volet_reason_text(reason));
	g_assert_true(WIFEXITED(result.status));
	g_assert_nonnull(strstr(result.log, line));
	/* said once */
	g_assert_null(strstr(strstr(result.log, line) + 1, "ended: "));
	g_clear_pointer(&result.log, g_free);
	return result;
}
