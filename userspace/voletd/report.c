// SPDX-License-Identifier: MIT
/* What voletd says: the log on stderr, and a line of figures for each camera on stdout. */
#include "daemon.h"

#include <stdarg.h>
#include <stdio.h>

void say(const char *format, ...)
{
	g_autofree char *text = NULL;
	va_list args;

	va_start(args, format);
	text = g_strdup_vprintf(format, args);
	va_end(args);
	fprintf(stderr, "voletd: %s\n", text);
}

void report_id(char text[33], const struct volet_id *id)
{
	unsigned int i;

	for (i = 0; i < sizeof(id->b); i++)
		g_snprintf(text + 2 * i, 3, "%02x", id->b[i]);
}

static const char *memory_text(uint32_t memory)
{
	return memory == VOLET_MEMORY_UDMABUF ? "udmabuf" :
	       memory == VOLET_MEMORY_HEAP ? "dma-heap" :
	       memory == VOLET_MEMORY_OWN ? "own, no device" :
	       memory == VOLET_MEMORY_MMAP ? "mmap (weaker)" : "none";
}

static const char *state_text(const struct volet_bus_stats *stats)
{
	return stats->signal > VOLET_SIGNAL_LIVE ? "no signal" :
	       stats->streaming ? "streaming" : "idle";
}

uint64_t report_frames_sent(const struct camera *camera, uint64_t *age_ns)
{
	uint64_t frames = camera->sent_frames;
	GHashTableIter iter;
	gpointer key;

	*age_ns = 0;
	g_hash_table_iter_init(&iter, camera->daemon->sessions);
	while (g_hash_table_iter_next(&iter, &key, NULL)) {
		const struct session *session = key;

		if (session->camera != camera)
			continue;
		frames += session->sent.frames;
		*age_ns = MAX(*age_ns, session->sent.last_age_ns);
	}
	return frames;
}

static void report_camera(const struct camera *camera)
{
	const struct volet_bus_stats *stats = &camera->stats;
	uint64_t frames, age_ns;

	if (camera->state != CAMERA_READY) {
		printf("%s: %s\n", camera->config->name,
		       camera->state == CAMERA_STARTING ? "starting" : "down");
		return;
	}
	frames = report_frames_sent(camera, &age_ns);
	printf("%s: memory %s, %s, captured %" G_GUINT64_FORMAT ", encoded %" G_GUINT64_FORMAT
	       ", errors %" G_GUINT64_FORMAT ", late %" G_GUINT64_FORMAT
	       ", generated %" G_GUINT64_FORMAT ", sessions %u, sent %"
	       G_GUINT64_FORMAT " frames, age %" G_GUINT64_FORMAT " ms\n", camera->config->name,
	       memory_text(stats->memory), state_text(stats), stats->captured,
	       stats->encoded, stats->errors, stats->late, stats->generated, stats->sessions, frames,
	       age_ns / 1000000);
}

static gboolean on_report(gpointer data)
{
	const struct daemon *daemon = data;
	unsigned int i;

	for (i = 0; i < daemon->cameras->len; i++)
		report_camera(daemon->cameras->pdata[i]);
	fflush(stdout);
	return G_SOURCE_CONTINUE;
}

void report_start(struct daemon *daemon)
{
	g_clear_handle_id(&daemon->report, g_source_remove);
	if (daemon->config->report_s)
		daemon->report = g_timeout_add_seconds(daemon->config->report_s, on_report, daemon);
}
