// SPDX-License-Identifier: MIT
/* The owner's questions and orders; see owner.h. */
#include "owner.h"

#include <string.h>

#include "control-bus.h"
#include "daemon.h"

/* ---- status ------------------------------------------------------------------------- */

static void add_text(GVariantBuilder *dict, const char *key, const char *value)
{
	g_variant_builder_add(dict, "{sv}", key, g_variant_new_string(value));
}

static void add_number(GVariantBuilder *dict, const char *key, uint64_t value)
{
	g_variant_builder_add(dict, "{sv}", key, g_variant_new_uint64(value));
}

/* A time since something, in ms; nothing when it hasn't happened. */
static void add_since(GVariantBuilder *dict, const char *key, uint64_t then_ns)
{
	int64_t now = daemon_now_ns();

	if (then_ns && (int64_t)then_ns <= now)
		add_number(dict, key, ((uint64_t)now - then_ns) / 1000000);
}

static const char *state_text(const struct camera *camera)
{
	switch (camera->state) {
	case CAMERA_STARTING:
		return "starting";
	case CAMERA_READY:
		return camera->stats.streaming ? "streaming" : "idle";
	case CAMERA_ENDING:
		return "ending";
	default:
		return "down";
	}
}

static const char *memory_text(uint32_t memory)
{
	switch (memory) {
	case VOLET_MEMORY_UDMABUF:
		return "own memory (udmabuf): no other program can map it";
	case VOLET_MEMORY_HEAP:
		return "own contiguous memory (DMA-heap): no other program can map it";
	case VOLET_MEMORY_MMAP:
		return "the node's own buffers (MMAP), WEAKER: any program that may open the node can"
		       " map them and watch";
	default:
		return "none while it doesn't stream";
	}
}

static GVariant *camera_status(struct camera *camera)
{
	const struct volet_bus_stats *stats = &camera->stats;
	GVariantBuilder dict;
	uint64_t age_ns;

	g_variant_builder_init(&dict, G_VARIANT_TYPE_VARDICT);
	add_text(&dict, "name", camera->config->name);
	add_text(&dict, "state", state_text(camera));
	add_text(&dict, "memory", memory_text(stats->memory));
	add_number(&dict, "width", camera->config->width);
	add_number(&dict, "height", camera->config->height);
	add_number(&dict, "captured", stats->captured);
	add_number(&dict, "encoded", stats->encoded);
	add_number(&dict, "errors", stats->errors);
	add_number(&dict, "late", stats->late);
	add_number(&dict, "sessions", stats->sessions);
	add_number(&dict, "sent", report_frames_sent(camera, &age_ns));
	add_since(&dict, "captured-age-ms", stats->last_captured_ns);
	if (age_ns)
		add_number(&dict, "sent-age-ms", age_ns / 1000000);
	add_number(&dict, "encode-us", stats->encode_ns / 1000);
	add_since(&dict, "ready-ms", (uint64_t)camera->ready_ns);
	return g_variant_builder_end(&dict);
}

/* The transport's class, strongest first: "local", "tls", "tcp", "udp". */
static const char *class_name(const struct session *session)
{
	if (session->kind != SESSION_REMOTE)
		return "local";
	return session->tls ? "tls" : session->udp ? "udp" : "tcp";
}

static const char *class_text(const struct session *session)
{
	if (session->kind != SESSION_REMOTE)
		return session->kind == SESSION_DISPLAY ? "local display" : "local program";
	if (session->tls)
		return "RTSP over TCP, TLS";
	if (session->udp)
		return "RTP over UDP, WEAKER: not encrypted, and who is on the way can forge and end it";
	return "RTSP over TCP, not encrypted";
}

static GVariant *session_status(const struct session *session)
{
	GVariantBuilder dict;
	char id[33];

	report_id(id, &session->id);
	g_variant_builder_init(&dict, G_VARIANT_TYPE_VARDICT);
	add_text(&dict, "id", id);
	add_text(&dict, "viewer", session->viewer->name);
	add_text(&dict, "camera", session->camera_name);
	add_text(&dict, "profile", session->profile_name);
	add_text(&dict, "source", session->peer);
	add_text(&dict, "transport", class_text(session));
	add_text(&dict, "transport-class", class_name(session));
	add_since(&dict, "uptime-ms", session->granted_ns);
	add_number(&dict, "frames", session->sent.frames);
	add_number(&dict, "bytes", session->sent.bytes);
	add_number(&dict, "dropped", session->sent.dropped);
	if (session->sent.frames)
		add_number(&dict, "age-ms", session->sent.last_age_ns / 1000000);
	return g_variant_builder_end(&dict);
}

static GVariant *daemon_status(const struct daemon *daemon)
{
	const struct volet_config *config = daemon->config;
	GVariantBuilder dict;

	g_variant_builder_init(&dict, G_VARIANT_TYPE_VARDICT);
	add_since(&dict, "uptime-ms", (uint64_t)daemon->started_ns);
	add_text(&dict, "rtsp-address", config->rtsp_address);
	add_number(&dict, "rtsp-port", config->rtsp_port);
	add_number(&dict, "sessions", daemon->granted);
	add_number(&dict, "max-sessions", config->max_sessions);
	add_number(&dict, "unauthenticated", daemon->sources.unauthenticated);
	add_number(&dict, "max-unauthenticated", config->max_unauthenticated);
	add_number(&dict, "max-unauthenticated-per-source", config->max_unauthenticated_per_source);
	add_number(&dict, "age-limit-ms", config->age_limit_ms);
	return g_variant_builder_end(&dict);
}

GVariant *owner_status(struct daemon *daemon)
{
	GVariantBuilder cameras, sessions;
	GHashTableIter iter;
	gpointer key;
	unsigned int i;

	g_variant_builder_init(&cameras, G_VARIANT_TYPE("aa{sv}"));
	for (i = 0; i < daemon->cameras->len; i++)
		g_variant_builder_add_value(&cameras, camera_status(daemon->cameras->pdata[i]));
	g_variant_builder_init(&sessions, G_VARIANT_TYPE("aa{sv}"));
	g_hash_table_iter_init(&iter, daemon->sessions);
	while (g_hash_table_iter_next(&iter, &key, NULL)) {
		const struct session *session = key;

		if (session->state == SESSION_GRANTED)
			g_variant_builder_add_value(&sessions, session_status(session));
	}
	return g_variant_new("(@a{sv}aa{sv}aa{sv})", daemon_status(daemon), &cameras, &sessions);
}

/* ---- end ---------------------------------------------------------------------------- */

#define ID_DIGITS_MIN 8

enum {
	BY_SESSION	= 1 << 0,
	BY_VIEWER	= 1 << 1,
	BY_CAMERA	= 1 << 2
};

/* Which of `kinds` this session would be ended by. */
static unsigned int matches(const struct session *session, unsigned int kinds, const char *what)
{
	bool granted = session->state == SESSION_GRANTED;
	unsigned int found = 0;
	char id[33];

	if (granted && strlen(what) >= ID_DIGITS_MIN) {
		report_id(id, &session->id);
		if (g_ascii_strncasecmp(id, what, strlen(what)) == 0)
			found |= BY_SESSION;
	}
	if (session->viewer && !strcmp(session->viewer->name, what))
		found |= BY_VIEWER;
	if (granted && !strcmp(session->camera_name, what))
		found |= BY_CAMERA;
	return found & kinds;
}

static struct session *find(struct daemon *daemon, unsigned int kinds, const char *what)
{
	GHashTableIter iter;
	gpointer key;

	g_hash_table_iter_init(&iter, daemon->sessions);
	while (g_hash_table_iter_next(&iter, &key, NULL)) {
		if (matches(key, kinds, what))
			return key;
	}
	return NULL;
}

/* What `what` could be, over all sessions, and how many it would be as a session's id. */
static unsigned int all_matches(struct daemon *daemon, unsigned int kinds, const char *what,
				unsigned int *ids)
{
	unsigned int found = 0, of_one;
	GHashTableIter iter;
	gpointer key;

	*ids = 0;
	g_hash_table_iter_init(&iter, daemon->sessions);
	while (g_hash_table_iter_next(&iter, &key, NULL)) {
		of_one = matches(key, kinds, what);
		found |= of_one;
		*ids += !!(of_one & BY_SESSION);
	}
	return found;
}

static unsigned int take_prefix(const char **what)
{
	static const struct { const char *prefix; unsigned int kind; } prefixes[] = {
		{ "session:", BY_SESSION }, { "viewer:", BY_VIEWER }, { "camera:", BY_CAMERA },
	};
	unsigned int i;

	for (i = 0; i < G_N_ELEMENTS(prefixes); i++) {
		if (g_str_has_prefix(*what, prefixes[i].prefix)) {
			*what += strlen(prefixes[i].prefix);
			return prefixes[i].kind;
		}
	}
	return BY_SESSION | BY_VIEWER | BY_CAMERA;
}

static GVariant *end_all(struct daemon *daemon, unsigned int kind, const char *what)
{
	struct session *session;
	GVariantBuilder ended;
	char id[33];

	g_variant_builder_init(&ended, G_VARIANT_TYPE("a(ssss)"));
	/* One end may bring about others, so each time from the beginning. */
	while ((session = find(daemon, kind, what))) {
		bool granted = session->state == SESSION_GRANTED;

		report_id(id, &session->id);
		g_variant_builder_add(&ended, "(ssss)", granted ? id : "", session->viewer->name,
				      session->camera_name, session->peer);
		if (session->display)
			display_stop(session->display);
		session_end(session, VOLET_REASON_OWNER);
	}
	return g_variant_new("(a(ssss))", &ended);
}

GVariant *owner_end(struct daemon *daemon, const char *what, const char **error, char **why)
{
	g_autofree char *shown = g_utf8_make_valid(what, MIN((gssize)strlen(what), 64));
	unsigned int kinds = take_prefix(&what), ids;
	unsigned int found = all_matches(daemon, kinds, what, &ids);

	if (!found) {
		*error = CONTROL_NO_MATCH;
		*why = g_strdup_printf("no session matches \"%s\": give a session's id (8 digits or more"
				       " of it), a viewer or a camera that has one now, as status shows"
				       " them", shown);
		return NULL;
	}
	if (ids > 1 || (found & (found - 1))) {
		*error = CONTROL_AMBIGUOUS;
		*why = g_strdup_printf("\"%s\" could be more than one thing; write session:ID in full,"
				       " viewer:NAME or camera:NAME", shown);
		return NULL;
	}
	return end_all(daemon, found, what);
}
