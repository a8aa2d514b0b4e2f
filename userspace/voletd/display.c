// SPDX-License-Identifier: MIT
/*
 * A local display's life: a volet-kms is started for it when its camera is ready, is a session
 * like any other, and is started again when that has ended; later and later while it fails.
 */
#include "daemon.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define BACKOFF_MIN_MS	500	/* the one before has died by then, and let go of the device */
#define BACKOFF_MAX_MS	5000
#define STABLE_NS	(10 * 1000000000LL)

struct display {
	struct daemon *daemon;
	const struct volet_local_config *config;
	unsigned int index;		/* chooses its uid */
	struct session *session;	/* NULL while there is none */
	guint timer;
	unsigned int backoff_ms;
	int64_t started_ns;
	bool stopped;			/* by the owner */
};

static gboolean on_timer(gpointer data);

static void try_later(struct display *display, unsigned int ms)
{
	g_clear_handle_id(&display->timer, g_source_remove);
	display->timer = g_timeout_add(ms, on_timer, display);
}

static bool camera_ready(const struct display *display)
{
	const GPtrArray *cameras = display->daemon->cameras;
	unsigned int i;

	for (i = 0; i < cameras->len; i++) {
		const struct camera *camera = cameras->pdata[i];

		if (!strcmp(camera->config->name, display->config->viewer.cameras->pdata[0]))
			return camera->state == CAMERA_READY;
	}
	return false;
}

static bool start(struct display *display)
{
	g_autofree char *text = config_display_text(display->config);
	g_autofree char *peer = g_strdup_printf("display %s", display->config->viewer.name);
	g_autofd int section = daemon_section("display", text);
	int pair[2];
	bool ok;

	if (section < 0 || msg_pair(pair) < 0) {
		say("%s: can't be started: %s", peer, g_strerror(errno));
		return false;
	}
	display->started_ns = daemon_now_ns();
	display->session = session_new_local(display->daemon, SESSION_DISPLAY, pair[0],
					     display->config, peer);
	display->session->display = display;
	ok = session_start_display(display->session, display->index, pair[1], section);
	close(pair[1]);
	if (!ok)
		session_end(display->session, VOLET_REASON_INTERNAL);
	return true;
}

static gboolean on_timer(gpointer data)
{
	struct display *display = data;

	display->timer = 0;
	if (!camera_ready(display) || !start(display))
		try_later(display, BACKOFF_MIN_MS);
	return G_SOURCE_REMOVE;
}

void display_ended(struct display *display)
{
	display->session = NULL;
	if (display->stopped)
		return;
	if (daemon_now_ns() - display->started_ns > STABLE_NS)
		display->backoff_ms = BACKOFF_MIN_MS;
	try_later(display, display->backoff_ms);
	display->backoff_ms = MIN(display->backoff_ms * 2, BACKOFF_MAX_MS);
}

void display_stop(struct display *display)
{
	display->stopped = true;
	say("display %s: ended by the owner; it stays dark until the configuration is read again",
	    display->config->viewer.name);
}

static void display_free(struct display *display)
{
	display->stopped = true;
	if (display->session)
		session_end(display->session, VOLET_REASON_OWNER);
	g_clear_handle_id(&display->timer, g_source_remove);
	g_free(display);
}

/* The lowest that none of them has. */
static unsigned int free_index(const GPtrArray *displays)
{
	unsigned int index = 0, i;

	for (i = 0; i < displays->len; i++) {
		if (((const struct display *)displays->pdata[i])->index == index) {
			index++;
			i = (unsigned int)-1;
		}
	}
	return index;
}

static void add(struct daemon *daemon, const struct volet_local_config *config, unsigned int delay_ms)
{
	struct display *display = g_new0(struct display, 1);

	display->daemon = daemon;
	display->config = config;
	display->index = free_index(daemon->displays);
	display->backoff_ms = BACKOFF_MIN_MS;
	g_ptr_array_add(daemon->displays, display);
	try_later(display, delay_ms);
}

void displays_start(struct daemon *daemon)
{
	unsigned int i;

	for (i = 0; i < daemon->config->displays->len; i++)
		add(daemon, daemon->config->displays->pdata[i], 0);
}

void displays_free(struct daemon *daemon)
{
	g_ptr_array_unref(daemon->displays);
}

/* NULL when that display isn't in the configuration any more, or not as it was. */
static const struct volet_local_config *same_in(const struct volet_config *config,
						const struct display *display)
{
	const struct volet_local_config *now = config_find_local(config->displays,
								 display->config->viewer.name);
	g_autofree char *was_text = config_display_text(display->config);
	g_autofree char *now_text = now ? config_display_text(now) : NULL;

	return g_strcmp0(was_text, now_text) ? NULL : now;
}

void displays_reload(struct daemon *daemon, const struct volet_config *config)
{
	g_autoptr(GHashTable) kept = g_hash_table_new(NULL, NULL);
	unsigned int i = 0;

	while (i < daemon->displays->len) {
		struct display *display = daemon->displays->pdata[i];
		const struct volet_local_config *now = same_in(config, display);

		if (!now) {
			say("display %s: its section changed, or was removed",
			    display->config->viewer.name);
			g_ptr_array_remove_index(daemon->displays, i);
			continue;
		}
		g_hash_table_add(kept, (gpointer)now);
		display->config = now;
		if (display->stopped)
			try_later(display, 0);
		display->stopped = false;
		i++;
	}
	for (i = 0; i < config->displays->len; i++) {
		if (!g_hash_table_contains(kept, config->displays->pdata[i]))
			add(daemon, config->displays->pdata[i], BACKOFF_MIN_MS);
	}
}

GPtrArray *displays_new(void)
{
	return g_ptr_array_new_with_free_func((GDestroyNotify)display_free);
}
