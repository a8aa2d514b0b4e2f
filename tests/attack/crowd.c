// SPDX-License-Identifier: MIT
/*
 * crowd --rights FILE --sessions N --seconds S ...: that many viewers at once, for so long,
 * and on to --frames pictures when that is more. FILE has a line for each right: viewer,
 * password, camera, and the number that the camera draws. Viewer i has right i modulo their
 * number.
 *
 * At the end, or at SIGINT, one line of figures, key=value; a line of the kind every ten seconds on
 * standard error. Exit status 0 unless it could not run; what the figures mean is the test's.
 */
#include "crowd.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <turbojpeg.h>

#define TICK_MS	10

static const char *const fault_names[FAULTS] = {
	[FAULT_TEARDOWN] = "teardowns", [FAULT_CLOSE] = "closes", [FAULT_RESET] = "resets",
	[FAULT_DEAF] = "deaf", [FAULT_STALL] = "stalls", [FAULT_ENDED] = "ended",
};

static int64_t now_ms(void)
{
	return g_get_monotonic_time() / 1000;
}

static gint compare(gconstpointer a, gconstpointer b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double quantile(GArray *values, double q)
{
	g_array_sort(values, compare);
	return values->len ? g_array_index(values, double, (guint)(q * (values->len - 1))) : 0;
}

static void report(FILE *out, struct crowd *crowd, double seconds)
{
	struct figures *f = &crowd->figures;
	unsigned int i;

	fprintf(out, "seconds=%.1f attempts=%" G_GUINT64_FORMAT " refused=%" G_GUINT64_FORMAT " failed=%"
		G_GUINT64_FORMAT " sessions=%" G_GUINT64_FORMAT " frames=%" G_GUINT64_FORMAT " foreign=%"
		G_GUINT64_FORMAT " unreadable=%" G_GUINT64_FORMAT " torn=%" G_GUINT64_FORMAT " early=%"
		G_GUINT64_FORMAT " disorder=%" G_GUINT64_FORMAT " broken=%" G_GUINT64_FORMAT " silent=%"
		G_GUINT64_FORMAT, seconds, f->attempts, f->refused, f->failed, f->sessions, f->frames,
		f->foreign, f->unreadable, f->torn, f->early, f->disorder, f->broken, f->silent);
	fprintf(out, " no_signal=%" G_GUINT64_FORMAT, f->no_signal);
	for (i = 0; i < FAULTS; i++)
		fprintf(out, " %s=%" G_GUINT64_FORMAT, fault_names[i], f->faults[i]);
	fprintf(out, " ssrc_again=%" G_GUINT64_FORMAT " id_again=%" G_GUINT64_FORMAT " port_again=%"
		G_GUINT64_FORMAT " rated=%u rate_p10=%.3f rate_median=%.3f first_median_ms=%.0f"
		" first_p99_ms=%.0f\n", f->ssrc_again, f->id_again, f->port_again, f->rates->len,
		quantile(f->rates, 0.1), quantile(f->rates, 0.5), quantile(f->first_ms, 0.5),
		quantile(f->first_ms, 0.99));
	fflush(out);
}

static GArray *read_rights(const char *path, GError **error)
{
	g_autofree char *text = NULL;
	g_auto(GStrv) lines = NULL;
	GArray *rights;
	unsigned int i;

	if (!g_file_get_contents(path, &text, NULL, error))
		return NULL;
	rights = g_array_new(FALSE, TRUE, sizeof(struct right));
	lines = g_strsplit(g_strchomp(text), "\n", -1);
	for (i = 0; lines[i]; i++) {
		g_auto(GStrv) words = g_strsplit(lines[i], " ", 4);
		struct right right = { 0 };

		if (g_strv_length(words) != 4) {
			g_set_error(error, G_OPTION_ERROR, 0, "%s: line %u: write VIEWER PASSWORD CAMERA"
				    " NUMBER", path, i + 1);
			g_array_unref(rights);
			return NULL;
		}
		right.viewer = g_strdup(words[0]);
		right.password = g_strdup(words[1]);
		right.camera = g_strdup(words[2]);
		right.number = (unsigned int)atoi(words[3]);
		g_array_append_val(rights, right);
	}
	return rights;
}

static volatile sig_atomic_t stopped;

static void on_stop(int number)
{
	(void)number;
	stopped = 1;
}

static bool enough(const struct crowd *crowd, int64_t ms)
{
	const struct figures *f = &crowd->figures;

	return stopped || (ms >= crowd->seconds * 1000 && f->frames >= crowd->want_frames &&
			   f->sessions >= crowd->want_sessions);
}

static void run(struct crowd *crowd, unsigned int n, int64_t ramp_ms)
{
	g_autofree struct viewer **viewers = g_new(struct viewer *, n);
	int64_t began = now_ms(), now = began, told = began;
	unsigned int i;

	for (i = 0; i < n; i++)
		viewers[i] = viewer_new(crowd, &g_array_index(crowd->rights, struct right,
							      i % crowd->rights->len),
					began + (int64_t)(g_rand_double(crowd->rand) * (double)ramp_ms));
	while (!enough(crowd, now - began)) {
		struct epoll_event events[256];
		int got = epoll_wait(crowd->epoll, events, G_N_ELEMENTS(events), TICK_MS), e;

		now = now_ms();
		for (e = 0; e < got; e++)
			viewer_event(events[e].data.ptr, now);
		for (i = 0; i < n; i++)
			viewer_tick(viewers[i], now);
		if (now - told >= 10000) {
			told = now;
			report(stderr, crowd, (double)(now - began) / 1000);
		}
	}
	for (i = 0; i < n; i++) {
		viewer_leave(viewers[i], now);
		viewer_free(viewers[i]);
	}
	report(stdout, crowd, (double)(now - began) / 1000);
}

static bool prepare(struct crowd *crowd, const char *size, const char *ports, bool test)
{
	const struct rlimit files = { 65536, 65536 };
	struct rlimit most;

	if (sscanf(size, "%ux%u", &crowd->width, &crowd->height) != 2 ||
	    (ports && sscanf(ports, "%u+%u", &crowd->ports_first, &crowd->ports_count) != 2))
		return false;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0 && getrlimit(RLIMIT_NOFILE, &most) == 0) {
		most.rlim_cur = most.rlim_max;
		setrlimit(RLIMIT_NOFILE, &most);
	}
	crowd->cell = test ? tag_cell(crowd->width) : 0;
	crowd->epoll = epoll_create1(EPOLL_CLOEXEC);
	crowd->jpeg = tjInitDecompress();
	crowd->luma = g_malloc((size_t)(crowd->width + 7) * (crowd->height + 7));
	crowd->port_taken = g_new0(bool, crowd->ports_count + 1);
	crowd->port_left_ms = g_new0(int64_t, crowd->ports_count + 1);
	crowd->port_of = g_new0(const struct right *, crowd->ports_count + 1);
	crowd->figures.rates = g_array_new(FALSE, FALSE, sizeof(double));
	crowd->figures.first_ms = g_array_new(FALSE, FALSE, sizeof(double));
	crowd->figures.ssrcs = g_hash_table_new(NULL, NULL);
	crowd->figures.ids = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	return crowd->epoll >= 0 && crowd->jpeg;
}

int main(int argc, char **argv)
{
	g_autofree char *rights = NULL, *address = NULL, *size = NULL, *ports = NULL;
	gint port = 8554, sessions = 16, seconds = 10, seed = 1, life_ms = 20000, ramp_ms = 1000, opening = 24, silent_ms = 15000;
	gint64 frames = 0, played = 0;
	gboolean scaled = FALSE;
	const GOptionEntry entries[] = {
		{ "rights", 0, 0, G_OPTION_ARG_FILENAME, &rights, "lines of VIEWER PASSWORD CAMERA NUMBER", "FILE" },
		{ "address", 0, 0, G_OPTION_ARG_STRING, &address, "127.0.0.1 if not said", "IPV4" },
		{ "port", 0, 0, G_OPTION_ARG_INT, &port, "8554 if not said", "N" },
		{ "sessions", 0, 0, G_OPTION_ARG_INT, &sessions, "at once", "N" },
		{ "seconds", 0, 0, G_OPTION_ARG_INT, &seconds, "at least so long", "N" },
		{ "frames", 0, 0, G_OPTION_ARG_INT64, &frames, "and until so many were displayed", "N" },
		{ "played", 0, 0, G_OPTION_ARG_INT64, &played, "and in so many sessions", "N" },
		{ "seed", 0, 0, G_OPTION_ARG_INT, &seed, "of all that is random", "N" },
		{ "life-ms", 0, 0, G_OPTION_ARG_INT, &life_ms, "how long a viewer stays, in the mean", "N" },
		{ "ramp-ms", 0, 0, G_OPTION_ARG_INT, &ramp_ms, "in which all come at first", "N" },
		{ "opening", 0, 0, G_OPTION_ARG_INT, &opening, "at most so many open at a time", "N" },
		{ "silent-ms", 0, 0, G_OPTION_ARG_INT, &silent_ms, "without a picture, then one gives up", "N" },
		{ "ports", 0, 0, G_OPTION_ARG_STRING, &ports, "local ports, used again as soon as free", "FIRST+N" },
		{ "size", 0, 0, G_OPTION_ARG_STRING, &size, "of the pictures, 320x240 if not said", "WxH" },
		{ "scaled", 0, 0, G_OPTION_ARG_NONE, &scaled, "pictures of a board's sensor, not of a test camera", NULL },
		{ NULL }
	};
	g_autoptr(GOptionContext) context = g_option_context_new(NULL);
	g_autoptr(GError) error = NULL;
	struct crowd crowd = { 0 };

	g_option_context_add_main_entries(context, entries, NULL);
	if (g_option_context_parse(context, &argc, &argv, &error))
		crowd.rights = read_rights(rights ? rights : "", &error);
	if (!crowd.rights || argc > 1 || sessions < 1 || life_ms < 1 ||
	    !prepare(&crowd, size ? size : "320x240", ports, !scaled)) {
		fprintf(stderr, "crowd: %s\n", error ? error->message : "wrong use; see --help");
		return 2;
	}
	crowd.address = address ? address : "127.0.0.1";
	crowd.port = (unsigned int)port;
	crowd.life_ms = (unsigned int)life_ms;
	crowd.seconds = seconds;
	crowd.want_frames = (uint64_t)frames;
	crowd.want_sessions = (uint64_t)played;
	crowd.silent_ms = (unsigned int)silent_ms;
	crowd.opening_max = (unsigned int)opening;
	signal(SIGINT, on_stop);
	crowd.rand = g_rand_new_with_seed((guint32)seed);
	run(&crowd, (unsigned int)sessions, ramp_ms);
	return 0;
}
