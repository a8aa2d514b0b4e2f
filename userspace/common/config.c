// SPDX-License-Identifier: MIT
/* The whole configuration file; see config.h. */
#include "config-read.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (256 * 1024)

/* Which ports there are, and what the one with TLS needs. */
static bool read_ports(const struct config_reader *reader, const char *group,
		       struct volet_config *config, GError **error)
{
	const struct { const char *key; char **path; } files[] = {
		{ "certificate", &config->certificate }, { "private-key", &config->private_key },
	};
	unsigned int i;

	if (!config_number(reader, group, "rtsps-port", 0, 65535, 0, &config->rtsps_port, error) ||
	    !config_number(reader, group, "rtsp-port", config->rtsps_port ? 0 : 1, 65535, 8554,
			   &config->rtsp_port, error))
		return false;
	if (config->rtsp_port == config->rtsps_port) {
		config_fail(error, reader, group, "rtsps-port",
			    "the same as rtsp-port; choose another, such as 8322");
		return false;
	}
	for (i = 0; i < G_N_ELEMENTS(files); i++) {
		*files[i].path = config_string(reader, group, files[i].key, "", error);
		if (!*files[i].path)
			return false;
		if (!config->rtsps_port && **files[i].path) {
			config_fail(error, reader, group, files[i].key,
				    "is of no use without rtsps-port; set that, or remove this");
			return false;
		}
		if (config->rtsps_port && **files[i].path != '/') {
			config_fail(error, reader, group, files[i].key,
				    "rtsps-port needs it: write the absolute path of a file in PEM"
				    " (Documentation/streamer.rst says how to make one)");
			return false;
		}
		if (strlen(*files[i].path) >= VOLET_SIGNER_PATHS_MAX / 2) {
			config_fail(error, reader, group, files[i].key, "longer than %d characters",
				    VOLET_SIGNER_PATHS_MAX / 2 - 1);
			return false;
		}
	}
	return true;
}

static bool read_switch(const struct config_reader *reader, const char *group, const char *key,
			bool preset, bool *value, GError **error)
{
	g_autofree char *text = config_string(reader, group, key, preset ? "yes" : "no", error);

	if (!text)
		return false;
	*value = !strcmp(text, "yes");
	if (*value || !strcmp(text, "no"))
		return true;
	config_fail(error, reader, group, key, "\"%s\" is neither yes nor no", text);
	return false;
}

/* RTP over UDP, the weaker class: who wants it says so. */
static bool read_udp(const struct config_reader *reader, const char *group,
		     struct volet_config *config, GError **error)
{
	g_autofree char *range = NULL;
	char *rest;

	if (!read_switch(reader, group, "udp", false, &config->udp, error))
		return false;
	range = config_string(reader, group, "udp-ports", config->udp ? "50000-50099" : "", error);
	if (!range)
		return false;
	if (!config->udp) {
		if (!*range)
			return true;
		config_fail(error, reader, group, "udp-ports",
			    "is of no use without udp = yes; set that, or remove this");
		return false;
	}
	config->udp_first = (unsigned int)strtoul(range, &rest, 10);
	config->udp_last = *rest == '-' ? (unsigned int)strtoul(rest + 1, &rest, 10) : 0;
	if (*rest || strlen(range) > strlen("65535-65535") ||
	    strspn(range, "0123456789-") != strlen(range) || config->udp_first < 1024 ||
	    config->udp_last > 65535 || config->udp_last <= config->udp_first ||
	    config->udp_first % 2 || config->udp_last % 2 == 0) {
		config_fail(error, reader, group, "udp-ports",
			    "\"%s\" is not FIRST-LAST, FIRST even and from 1024 on, LAST odd and above"
			    " it; write such as 50000-50099, two ports for each viewer", range);
		return false;
	}
	return true;
}

static bool read_daemon(const struct config_reader *reader, struct volet_config *config,
			GError **error)
{
	static const char group[] = "volet";
	static const char *const known[] = {
		"rtsp-address", "rtsp-port", "rtsps-port", "certificate", "private-key", "age-limit-ms", "max-sessions", "max-unauthenticated",
		"max-unauthenticated-per-source", "authentication-timeout-s", "report-s",
		"udp", "udp-ports", NULL
	};
	unsigned char address[sizeof(struct in6_addr)];

	if (!config_known_keys(reader, group, known, error))
		return false;
	/* Who wants to be seen from elsewhere says so. */
	config->rtsp_address = config_string(reader, group, "rtsp-address", "127.0.0.1", error);
	if (!config->rtsp_address)
		return false;
	if (inet_pton(AF_INET, config->rtsp_address, address) != 1 &&
	    inet_pton(AF_INET6, config->rtsp_address, address) != 1) {
		config_fail(error, reader, group, "rtsp-address",
			    "\"%s\" is not an address; write 0.0.0.0 or :: for every interface,"
			    " 127.0.0.1 for this machine alone", config->rtsp_address);
		return false;
	}
	return read_ports(reader, group, config, error) && read_udp(reader, group, config, error) &&
	       config_number(reader, group, "age-limit-ms", 250, 15000, 2000, &config->age_limit_ms,
			     error) &&
	       config_number(reader, group, "max-sessions", 1, VOLET_SESSIONS_MAX, 16,
			     &config->max_sessions, error) &&
	       config_number(reader, group, "max-unauthenticated", 1, 256, 16,
			     &config->max_unauthenticated, error) &&
	       config_number(reader, group, "max-unauthenticated-per-source", 1, 256, 4,
			     &config->max_unauthenticated_per_source, error) &&
	       config_number(reader, group, "authentication-timeout-s", 1, 120, 10,
			     &config->authentication_timeout_s, error) &&
	       config_number(reader, group, "report-s", 0, 3600, 0, &config->report_s, error);
}

static bool has_camera(const struct volet_config *config, const char *name)
{
	unsigned int i;

	for (i = 0; i < config->cameras->len; i++) {
		const struct volet_camera_config *camera = config->cameras->pdata[i];

		if (!strcmp(camera->name, name))
			return true;
	}
	return false;
}

static void viewer_free(struct volet_viewer_config *viewer)
{
	explicit_bzero(viewer->ha1, sizeof(viewer->ha1));
	g_ptr_array_unref(viewer->cameras);
	g_free(viewer);
}

typedef struct volet_viewer_config volet_viewer_config;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(volet_viewer_config, viewer_free)

static bool read_ha1(const struct config_reader *reader, const char *group,
		     struct volet_viewer_config *viewer, GError **error)
{
	g_autofree char *ha1 = config_string(reader, group, "ha1", NULL, error);
	bool ok;

	if (!ha1)
		return false;
	ok = strlen(ha1) == 32 && strspn(ha1, "0123456789abcdefABCDEF") == 32;
	if (ok) {
		g_autofree char *lower = g_ascii_strdown(ha1, -1);

		g_strlcpy(viewer->ha1, lower, sizeof(viewer->ha1));
		explicit_bzero(lower, strlen(lower));
	} else {
		config_fail(error, reader, group, "ha1",
			    "not 32 hex digits; write what printf '%%s' '%s:%s:PASSWORD' | md5sum gives",
			    viewer->name, VOLET_REALM);
	}
	explicit_bzero(ha1, strlen(ha1));
	return ok;
}

bool config_cameras(const struct config_reader *reader, const char *group,
		    const struct volet_config *config, GPtrArray *cameras, GError **error)
{
	g_autofree char *list = config_string(reader, group, "cameras", NULL, error);
	g_auto(GStrv) names = NULL;
	unsigned int i;

	if (!list)
		return false;
	names = g_strsplit(list, ";", -1);
	for (i = 0; names[i]; i++) {
		const char *name = g_strstrip(names[i]);

		if (!*name)
			continue;
		if (!has_camera(config, name)) {
			config_fail(error, reader, group, "cameras",
				    "there is no camera \"%s\"; add [camera %s] or remove the name",
				    name, name);
			return false;
		}
		g_ptr_array_add(cameras, g_strdup(name));
	}
	return true;
}

static bool read_viewer(const struct config_reader *reader, const char *group,
			struct volet_config *config, GError **error)
{
	static const char *const known[] = { "ha1", "cameras", "udp", NULL };
	g_autoptr(volet_viewer_config) viewer = g_new0(struct volet_viewer_config, 1);

	viewer->cameras = g_ptr_array_new_with_free_func(g_free);
	if (!config_name(reader, group, "viewer", viewer->name, error) ||
	    !config_known_keys(reader, group, known, error) ||
	    !read_ha1(reader, group, viewer, error) ||
	    !read_switch(reader, group, "udp", config->udp, &viewer->udp, error))
		return false;
	if (viewer->udp && !config->udp) {
		config_fail(error, reader, group, "udp",
			    "is of no use without udp = yes in [volet]; set that, or remove this");
		return false;
	}
	if (!config_cameras(reader, group, config, viewer->cameras, error))
		return false;
	g_ptr_array_add(config->viewers, g_steal_pointer(&viewer));
	return true;
}

static bool read_cameras(const struct config_reader *reader, char **groups,
			 struct volet_config *config, GError **error)
{
	unsigned int i;

	for (i = 0; groups[i]; i++) {
		struct volet_camera_config *camera;

		if (!g_str_has_prefix(groups[i], "camera "))
			continue;
		camera = config_read_camera(reader, groups[i], groups, error);
		if (!camera)
			return false;
		g_ptr_array_add(config->cameras, camera);
	}
	if (config->cameras->len >= 1 && config->cameras->len <= VOLET_CAMERAS_MAX)
		return true;
	config_fail(error, reader, "camera NAME", NULL,
		    "%u such groups; write one for each camera, 1 to %d", config->cameras->len,
		    VOLET_CAMERAS_MAX);
	return false;
}

static bool profile_has_camera(const struct config_reader *reader, const char *group,
			       const struct volet_config *config, GError **error)
{
	g_auto(GStrv) parts = g_strsplit(group + strlen("profile "), "/", 2);

	if (parts[0] && parts[1] && has_camera(config, parts[0]))
		return true;
	config_fail(error, reader, group, NULL,
		    "there is no such camera; write [profile CAMERA/NAME] with the name of a"
		    " [camera NAME] group");
	return false;
}

static bool read_groups(const struct config_reader *reader, struct volet_config *config,
			GError **error)
{
	g_auto(GStrv) groups = g_key_file_get_groups(reader->keys, NULL);
	unsigned int i;

	for (i = 0; groups[i]; i++) {
		if (!strcmp(groups[i], "volet") || g_str_has_prefix(groups[i], "camera ") ||
		    g_str_has_prefix(groups[i], "viewer ") ||
		    g_str_has_prefix(groups[i], "display ") || g_str_has_prefix(groups[i], "local ") ||
		    g_str_has_prefix(groups[i], "profile "))
			continue;
		config_fail(error, reader, groups[i], NULL,
			    "unknown group; write [volet], [camera NAME], [profile CAMERA/NAME],"
			    " [display NAME], [local NAME] or [viewer NAME]");
		return false;
	}
	if (!read_daemon(reader, config, error) || !read_cameras(reader, groups, config, error))
		return false;
	for (i = 0; groups[i]; i++) {
		if (g_str_has_prefix(groups[i], "profile ") &&
		    !profile_has_camera(reader, groups[i], config, error))
			return false;
		if (g_str_has_prefix(groups[i], "viewer ") &&
		    !read_viewer(reader, groups[i], config, error))
			return false;
	}
	return config_read_locals(reader, groups, config, error);
}

struct volet_config *config_parse(const char *file, const char *text, gsize len, GError **error)
{
	g_autoptr(volet_config) config = g_new0(struct volet_config, 1);
	struct config_reader reader;
	bool ok;

	config->cameras = g_ptr_array_new_with_free_func((GDestroyNotify)config_camera_free);
	config->viewers = g_ptr_array_new_with_free_func((GDestroyNotify)viewer_free);
	config->displays = g_ptr_array_new_with_free_func((GDestroyNotify)config_local_free);
	config->consumers = g_ptr_array_new_with_free_func((GDestroyNotify)config_local_free);
	ok = config_read(&reader, file, text, len, error) && read_groups(&reader, config, error);
	config_read_end(&reader);
	return ok ? g_steal_pointer(&config) : NULL;
}

void config_free(struct volet_config *config)
{
	g_free(config->rtsp_address);
	g_free(config->certificate);
	g_free(config->private_key);
	g_ptr_array_unref(config->cameras);
	g_ptr_array_unref(config->viewers);
	g_ptr_array_unref(config->displays);
	g_ptr_array_unref(config->consumers);
	g_free(config);
}

const struct volet_viewer_config *config_find_viewer(const struct volet_config *config,
						     const char *name)
{
	const struct volet_viewer_config *found = NULL;
	unsigned int i;

	/* To the end, whichever it is: how long it takes says nothing about who there is. */
	for (i = 0; i < config->viewers->len; i++) {
		const struct volet_viewer_config *viewer = config->viewers->pdata[i];

		if (!strcmp(viewer->name, name))
			found = viewer;
	}
	return found;
}

/* The file's text into `text`, which holds FILE_MAX bytes; its length, or -1. */
static gssize read_file(const char *path, int fd, char *text, GError **error)
{
	gssize len = 0, n;

	do {
		n = read(fd, text + len, FILE_MAX - (size_t)len);
		if (n > 0)
			len += n;
	} while ((n > 0 && len < FILE_MAX) || (n < 0 && errno == EINTR));
	if (n < 0 || len == FILE_MAX) {
		g_set_error(error, VOLET_CONFIG_ERROR, 0, "%s: %s", path,
			    n < 0 ? g_strerror(errno) : "longer than 256 KiB");
		return -1;
	}
	return len;
}

struct volet_config *config_load(const char *path, GError **error)
{
	g_autofree char *text = g_malloc(FILE_MAX);
	g_autofd int fd = open(path, O_RDONLY | O_CLOEXEC);
	g_autoptr(volet_config) config = NULL;
	struct stat st;
	gssize len;

	if (fd < 0 || fstat(fd, &st) < 0) {
		g_set_error(error, VOLET_CONFIG_ERROR, 0, "%s: %s; name the file with --config",
			    path, g_strerror(errno));
		return NULL;
	}
	len = read_file(path, fd, text, error);
	if (len >= 0)
		config = config_parse(path, text, (gsize)len, error);
	explicit_bzero(text, FILE_MAX);
	if (config && config->viewers->len && (st.st_mode & S_IRWXO)) {
		g_set_error(error, VOLET_CONFIG_ERROR, 0,
			    "%s: [viewer %s] ha1: it is as good as the password, and other users"
			    " have access to the file; run chmod o= %s", path,
			    ((struct volet_viewer_config *)config->viewers->pdata[0])->name, path);
		return NULL;
	}
	return g_steal_pointer(&config);
}
