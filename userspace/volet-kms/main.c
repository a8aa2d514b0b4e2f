// SPDX-License-Identifier: MIT
/*
 * volet-kms: the session program of one local display. Started by volet-spawn with a channel
 * to voletd and its section of the configuration, it opens its output, shuts itself in, and
 * then is a session like any other. Its pictures are filled into buffers of its own, which it
 * hands up to volet-cam; where that can't be it copies.
 *
 * A picture is shown until the next one, and no longer than the age limit: then it is black,
 * whatever the reason. The end of this process is the end of the picture (screen.h).
 */
#include <glib-unix.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "msg.h"
#include "sandbox.h"
#include "screen.h"
#include "session.h"

#define SECTION_MAX	4096
#define NOTHING		(SCREEN_BLACK + 1)

struct kms {
	struct volet_local_config *config;
	struct screen *screen;
	struct session *session;
	struct volet_frame_stamp stamps[VOLET_BUFFERS_MAX];
	unsigned int shown, flipping, next;	/* buffers, or NOTHING; `shown` is never that */
	uint64_t age_limit_ns;
	guint timer;				/* when what is shown will be too old */
};

static void say(const struct kms *k, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void say(const struct kms *k, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	dprintf(STDERR_FILENO, "volet-kms[%s]: %s\n", k->session ? session_name(k->session) : "-",
		text);
}

/* ---- what is shown --------------------------------------------------------------------- */

#ifdef VOLET_FAULT_UNCHECKED
/* A build for tests only: what stays on the screen if nobody looks at the time. */
static uint64_t left_ns(const struct kms *k, unsigned int index)
{
	(void)index;
	return k->age_limit_ns;
}
#else
/* Until that picture is too old; 0 when it is. */
static uint64_t left_ns(const struct kms *k, unsigned int index)
{
	uint64_t age = session_now_ns() - k->stamps[index].captured_ns;

	return age < k->age_limit_ns ? k->age_limit_ns - age : 0;
}
#endif

static void let_go(struct kms *k, unsigned int index)
{
	if (index < VOLET_BUFFERS_MAX)
		session_release(k->session, index, k->stamps[index].generation);
}

static void flip(struct kms *k, unsigned int index)
{
	int ret = screen_flip(k->screen, index);

	if (ret < 0)
		session_end(k->session, VOLET_REASON_INTERNAL, "the screen takes no picture: %s",
			    g_strerror(-ret));
	k->flipping = index;
}

static gboolean on_timer(gpointer data);

/* After each thing that happened: what is to be shown now, and when to look again. */
static void update(struct kms *k)
{
	g_clear_handle_id(&k->timer, g_source_remove);
	if (k->flipping != NOTHING)
		return;
	if (k->next != NOTHING && !left_ns(k, k->next)) {
		session_count_dropped(k->session);
		let_go(k, k->next);
		k->next = NOTHING;
	}
	if (k->next != NOTHING) {
		flip(k, k->next);
		k->next = NOTHING;
	} else if (k->shown != SCREEN_BLACK) {
		if (left_ns(k, k->shown))
			k->timer = g_timeout_add((guint)(left_ns(k, k->shown) / 1000000) + 1,
						 on_timer, k);
		else
			flip(k, SCREEN_BLACK);
	}
}

static gboolean on_timer(gpointer data)
{
	struct kms *k = data;

	k->timer = 0;
	update(k);
	return G_SOURCE_REMOVE;
}

static gboolean on_screen(gint fd G_GNUC_UNUSED, GIOCondition condition G_GNUC_UNUSED, gpointer data)
{
	struct kms *k = data;
	unsigned int before = k->shown;

	if (!screen_flipped(k->screen))
		return G_SOURCE_CONTINUE;
	k->shown = k->flipping;
	k->flipping = NOTHING;
	let_go(k, before);
	if (k->shown != SCREEN_BLACK)
		session_count_sent(k->session, k->stamps[k->shown].length,
				   session_now_ns() - k->stamps[k->shown].captured_ns);
	update(k);
	return G_SOURCE_CONTINUE;
}

/* ---- the session ------------------------------------------------------------------------ */

static void denied(void *data, enum volet_denied why, unsigned int tries_left G_GNUC_UNUSED)
{
	session_end(((struct kms *)data)->session, VOLET_REASON_CAMERA_GONE, "not granted (%d)", why);
}

static void buffers(void *data, struct volet_frame_buffers *up, int fds[VOLET_BUFFERS_MAX])
{
	screen_buffers(((struct kms *)data)->screen, up, fds);
}

static void granted(void *data, const struct volet_ctl_granted *grant,
		    const struct volet_frame_memory *layout)
{
	struct kms *k = data;
	bool handed = layout->codec == VOLET_CODEC_XRGB_HANDED;

	if ((!handed && layout->codec != VOLET_CODEC_XRGB) || layout->width != k->config->width ||
	    layout->height != k->config->height || layout->slots > VOLET_BUFFERS_MAX) {
		session_end(k->session, VOLET_REASON_PROTOCOL, "frames that this screen isn't set up"
			    " for: codec %u, %ux%u, %u slots", layout->codec, layout->width,
			    layout->height, layout->slots);
		return;
	}
	k->age_limit_ns = grant->age_limit_ms * UINT64_C(1000000);
	say(k, "granted: %s, a picture of %ux%u, age limit %u ms; %s", screen_name(k->screen),
	    layout->width, layout->height, grant->age_limit_ms,
	    handed ? "its own buffers are filled" : "it copies each picture");
	session_start(k->session);
}

static void frame(void *data, const struct volet_frame_stamp *stamp, const uint8_t *payload)
{
	struct kms *k = data;

	if (payload)
		screen_copy(k->screen, stamp->slot, payload);
	if (k->next != NOTHING) {
		session_count_dropped(k->session);
		let_go(k, k->next);
	}
	k->stamps[stamp->slot] = *stamp;
	k->next = stamp->slot;
	update(k);
}

static void ended(void *data, enum volet_reason reason, const char *why)
{
	const struct kms *k = data;
	const struct volet_ctl_sent *sent = session_figures(k->session);

	say(k, "ended: %s (%s); %llu pictures shown, %llu dropped", volet_reason_text(reason), why,
	    (unsigned long long)sent->frames, (unsigned long long)sent->dropped);
}

/* With this process goes what it shows. */
static void left(void *data G_GNUC_UNUSED, enum volet_reason reason)
{
	_exit(reason == VOLET_REASON_OWNER || reason == VOLET_REASON_SHUTDOWN ? EXIT_SUCCESS : 2);
}

/* ---- start ------------------------------------------------------------------------------ */

static void refuse(const struct kms *k, const char *why)
{
	say(k, "refused to run: %s", why);
	exit(EXIT_FAILURE);
}

static struct volet_local_config *read_section(const struct kms *k)
{
	g_autoptr(GError) error = NULL;
	struct volet_local_config *config;
	char text[SECTION_MAX];
	ssize_t n = pread(VOLET_FD_EXTRA, text, sizeof(text), 0);

	close(VOLET_FD_EXTRA);
	config = n < 0 ? NULL : config_parse_display(text, (gsize)n, &error);
	if (!config)
		refuse(k, error ? error->message : "its section can't be read");
	return config;
}

int main(void)
{
	static const struct session_ops ops = {
		.denied = denied, .buffers = buffers, .granted = granted, .frame = frame,
		.ended = ended, .left = left,
	};
	struct kms *k = g_new0(struct kms, 1);
	char why[MAX(SANDBOX_WHY_MAX, SCREEN_WHY_MAX)];
	g_autoptr(GMainLoop) loop = NULL;

	clearenv();
	if (!sandbox_check_start(VOLET_FD_EXTRA, why))
		refuse(k, why);
#ifdef VOLET_FAULT_UNCHECKED
	say(k, "BUILT WITH THE FAULT \"unchecked\": IT SHOWS WHATEVER IT IS GIVEN, FOR EVER."
	    " FOR TESTS ONLY.");
#endif
	k->config = read_section(k);
	k->shown = SCREEN_BLACK;
	k->flipping = k->next = NOTHING;
	k->screen = screen_open(k->config, why);
	if (!k->screen || !sandbox_apply_with(screen_ioctls, SCREEN_IOCTLS, why))
		refuse(k, why);
	loop = g_main_loop_new(NULL, FALSE);
	k->session = session_new(VOLET_FD_CONTROL, &ops, k, NULL);
	g_unix_fd_add(screen_fd(k->screen), G_IO_IN, on_screen, k);
	session_ask_local(k->session, k->config->viewer.name, k->config->viewer.cameras->pdata[0],
			  k->config->profile);
	g_main_loop_run(loop);
	return EXIT_SUCCESS;
}
