// SPDX-License-Identifier: MIT
/*
 * A new configuration while sessions run. Only those end that must: their viewer is gone, has
 * another credential or may not see the camera any more, or the camera's own section changed.
 * What is wrong in the new file leaves everything as it was.
 */
#include "daemon.h"

#include <string.h>

static const struct volet_camera_config *camera_of(const struct volet_config *config,
						   const char *name)
{
	unsigned int i;

	for (i = 0; i < config->cameras->len; i++) {
		const struct volet_camera_config *camera = config->cameras->pdata[i];

		if (!strcmp(camera->name, name))
			return camera;
	}
	return NULL;
}

/* As it is in that configuration, or NULL. */
static const struct volet_viewer_config *viewer_of(const struct session *session,
						   const struct volet_config *config)
{
	const struct volet_local_config *local;

	if (session->kind == SESSION_REMOTE)
		return config_find_viewer(config, session->viewer->name);
	local = config_find_local(session->kind == SESSION_DISPLAY ? config->displays :
				  config->consumers, session->viewer->name);
	return local ? &local->viewer : NULL;
}

static bool other_uid(const struct session *session, const struct volet_viewer_config *now)
{
	const struct volet_local_config *local = (const void *)now;
	const struct volet_local_config *was = (const void *)session->viewer;

	G_STATIC_ASSERT(offsetof(struct volet_local_config, viewer) == 0);
	return session->kind == SESSION_CONSUMER && local->uid != was->uid;
}

/* Why the session has to end under the new configuration, or NULL. */
static const char *why_end(const struct session *session, const struct volet_config *config)
{
	const struct volet_viewer_config *now = viewer_of(session, config);

	if (!now)
		return "the viewer was removed";
	if (strcmp(now->ha1, session->viewer->ha1))
		return "the viewer's credential changed";
	if (other_uid(session, now))
		return "the consumer's uid changed";
	if (session->state == SESSION_GRANTED &&
	    !g_ptr_array_find_with_equal_func(now->cameras, session->camera_name, g_str_equal, NULL))
		return "the viewer may not see the camera any more";
	if (session->udp && !now->udp)
		return "RTP over UDP was switched off";
	return NULL;
}

static struct session *next_to_end(struct daemon *daemon, const struct volet_config *config,
				   const char **why)
{
	GHashTableIter iter;
	gpointer key;

	g_hash_table_iter_init(&iter, daemon->sessions);
	while (g_hash_table_iter_next(&iter, &key, NULL)) {
		const struct session *session = key;

		*why = session->viewer ? why_end(session, config) : NULL;
		if (*why)
			return key;
	}
	return NULL;
}

/* Ends those that must end, and binds the others to the new configuration's viewers. */
static void reload_sessions(struct daemon *daemon, const struct volet_config *config)
{
	struct session *session;
	GHashTableIter iter;
	const char *why;
	gpointer key;

	while ((session = next_to_end(daemon, config, &why))) {
		say("%s: %s", session->peer, why);
		session_end(session, VOLET_REASON_OWNER);
	}
	g_hash_table_iter_init(&iter, daemon->sessions);
	while (g_hash_table_iter_next(&iter, &key, NULL)) {
		session = key;
		if (session->viewer)
			session->viewer = viewer_of(session, config);
	}
}

static bool same_section(const struct volet_camera_config *a, const struct volet_camera_config *b)
{
	g_autofree char *a_text = config_camera_text(a);
	g_autofree char *b_text = config_camera_text(b);

	return !strcmp(a_text, b_text);
}

static struct camera *find_camera(GPtrArray *cameras, const char *name)
{
	unsigned int i;

	for (i = 0; i < cameras->len; i++) {
		struct camera *camera = cameras->pdata[i];

		if (!strcmp(camera->config->name, name))
			return camera;
	}
	return NULL;
}

/* The lowest that no camera has: it chooses the uid, and there are few. */
static unsigned int free_index(GPtrArray *cameras)
{
	unsigned int index = 0, i;

	for (i = 0; i < cameras->len; i++) {
		const struct camera *camera = cameras->pdata[i];

		if (camera->index == index) {
			index++;
			i = (unsigned int)-1;
		}
	}
	return index;
}

static void remove_cameras(struct daemon *daemon, const struct volet_config *config)
{
	unsigned int i = 0;

	while (i < daemon->cameras->len) {
		struct camera *camera = daemon->cameras->pdata[i];

		if (camera_of(config, camera->config->name)) {
			i++;
			continue;
		}
		say("%s: removed", camera->config->name);
		sessions_end_of_camera(camera, VOLET_REASON_OWNER);
		g_ptr_array_remove_index(daemon->cameras, i);
	}
}

/* Keeps what is the same, changes or adds the others; the file's order becomes the order. */
static void reload_cameras(struct daemon *daemon, const struct volet_config *config)
{
	GPtrArray *cameras;
	unsigned int i;

	remove_cameras(daemon, config);
	for (i = 0; i < config->cameras->len; i++) {
		const struct volet_camera_config *now = config->cameras->pdata[i];
		struct camera *camera = find_camera(daemon->cameras, now->name);

		if (!camera) {
			camera = camera_new(daemon, now, free_index(daemon->cameras));
			g_ptr_array_add(daemon->cameras, camera);
			say("%s: added", now->name);
			camera_start(camera);
		} else if (same_section(camera->config, now)) {
			camera->config = now;
		} else {
			say("%s: its section changed", now->name);
			sessions_end_of_camera(camera, VOLET_REASON_OWNER);
			camera_change(camera, now);
		}
	}
	cameras = g_ptr_array_new_with_free_func((GDestroyNotify)camera_free);
	for (i = 0; i < config->cameras->len; i++) {
		const struct volet_camera_config *now = config->cameras->pdata[i];

		g_ptr_array_add(cameras, find_camera(daemon->cameras, now->name));
	}
	g_ptr_array_set_free_func(daemon->cameras, NULL);
	g_ptr_array_unref(daemon->cameras);
	daemon->cameras = cameras;
}

/* The port stays the one that is open; without it voletd couldn't open another. */
static void keep_address(const struct volet_config *old, struct volet_config *config)
{
	if (old->rtsps_port != config->rtsps_port) {
		say("rtsps-port stays %u: restart voletd to change it to %u", old->rtsps_port,
		    config->rtsps_port);
		config->rtsps_port = old->rtsps_port;
		g_free(config->certificate);
		g_free(config->private_key);
		config->certificate = g_strdup(old->certificate);
		config->private_key = g_strdup(old->private_key);
	}
	if (old->rtsp_port == config->rtsp_port && !strcmp(old->rtsp_address, config->rtsp_address))
		return;
	say("rtsp-address and rtsp-port stay %s port %u: restart voletd to listen on %s port %u",
	    old->rtsp_address, old->rtsp_port, config->rtsp_address, config->rtsp_port);
	g_free(config->rtsp_address);
	config->rtsp_address = g_strdup(old->rtsp_address);
	config->rtsp_port = old->rtsp_port;
}

void daemon_reload(struct daemon *daemon, const char *path)
{
	g_autoptr(GError) error = NULL;
	struct volet_config *config = config_load(path, &error), *old = daemon->config;

	if (!config) {
		say("the configuration stays as it was: %s", error->message);
		return;
	}
	keep_address(old, config);
	/* The viewers first: nobody may be let in by what was taken away. */
	reload_sessions(daemon, config);
	reload_cameras(daemon, config);
	displays_reload(daemon, config);
	daemon->config = config;
	config_free(old);
	signer_rotate(daemon);
	report_start(daemon);
	say("configuration read again: %u cameras, %u viewers, %u sessions go on", config->cameras->len,
	    config->viewers->len, daemon->granted);
}
