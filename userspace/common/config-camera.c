// SPDX-License-Identifier: MIT
/* The [camera NAME] group of the configuration; see config.h. */
#include "config-read.h"

#include <stdio.h>
#include <string.h>

#define LABEL "camera section"

bool config_size(const struct config_reader *reader, const char *group, const char *preset,
		 unsigned int *width, unsigned int *height, GError **error)
{
	g_autofree char *text = config_string(reader, group, "size", preset, error);
	char rest;

	if (!text)
		return false;
	/* RTP carries a JPEG's size in units of 8 pixels and one byte each (RFC 2435). */
	if (strspn(text, "0123456789x") == strlen(text) && strlen(text) < 12 &&
	    sscanf(text, "%ux%u%c", width, height, &rest) == 2 &&
	    *width >= 16 && *width <= 2040 && *width % 2 == 0 &&
	    *height >= 16 && *height <= 2040 && *height % 2 == 0)
		return true;
	config_fail(error, reader, group, "size",
		    "\"%s\" is not WIDTHxHEIGHT in even numbers from 16 to 2040;"
		    " write size = 1920x1080", text);
	return false;
}

static bool read_format(const struct config_reader *reader, const char *group,
			struct volet_camera_config *camera, GError **error)
{
	const char *c;

	camera->format = config_string(reader, group, "format", "NV12", error);
	if (!camera->format)
		return false;
	for (c = camera->format; g_ascii_isalnum(*c); c++)
		;
	if (!*c && c - camera->format >= 3 && c - camera->format <= 4)
		return true;
	config_fail(error, reader, group, "format",
		    "\"%s\" is not a four-character code; write format = NV12", camera->format);
	return false;
}

static bool read_numbers(const struct config_reader *reader, const char *group,
			 struct volet_camera_config *camera, GError **error)
{
	if (!config_number(reader, group, "jpeg-quality", 1, 100, 75, &camera->jpeg_quality,
			   error) ||
	    !config_number(reader, group, "rate", 1, 120, 10, &camera->rate, error) ||
	    !config_number(reader, group, "slots", 2, VOLET_SLOTS_MAX, 4, &camera->slots, error) ||
	    !config_number(reader, group, "slot-size-kib", 64, 16384, 1024, &camera->slot_size_kib,
			   error) ||
	    !config_number(reader, group, "max-sessions", 1, VOLET_SESSIONS_MAX, 32,
			   &camera->max_sessions, error))
		return false;
	if (camera->slot_size_kib % 64 == 0)
		return true;
	config_fail(error, reader, group, "slot-size-kib",
		    "%u is not a multiple of 64; write slot-size-kib = %u", camera->slot_size_kib,
		    (camera->slot_size_kib + 63) / 64 * 64);
	return false;
}

struct volet_camera_config *config_read_camera(const struct config_reader *reader,
					       const char *group, char **groups, GError **error)
{
	static const char *const known[] = {
		"media", "links", "formats", "capture", "format", "size", "sensor", "controls",
		"jpeg-quality", "slots", "slot-size-kib", "rate", "max-sessions",
		"exposure", "exposure-target", "flicker-hz", "slowest-rate", "max-gain", "gain-model",
		"white-balance", "isp", NULL
	};
	g_autoptr(volet_camera_config) camera = g_new0(struct volet_camera_config, 1);

	camera->profiles = g_ptr_array_new_with_free_func(g_free);
	if (!config_name(reader, group, "camera", camera->name, error) ||
	    !config_known_keys(reader, group, known, error))
		return NULL;
	camera->media = config_string(reader, group, "media", NULL, error);
	if (!camera->media)
		return NULL;
	camera->capture = config_string(reader, group, "capture",
					strcmp(camera->media, "test") ? NULL : "", error);
	if (!camera->capture)
		return NULL;
	camera->links = config_string(reader, group, "links", "", error);
	if (!camera->links)
		return NULL;
	camera->formats = config_string(reader, group, "formats", "", error);
	if (!camera->formats)
		return NULL;
	camera->sensor = config_string(reader, group, "sensor", "", error);
	if (!camera->sensor)
		return NULL;
	camera->controls = config_string(reader, group, "controls", "", error);
	if (!camera->controls)
		return NULL;
	if (!read_format(reader, group, camera, error) ||
	    !config_size(reader, group, NULL, &camera->width, &camera->height, error) ||
	    !read_numbers(reader, group, camera, error) ||
	    !config_read_profiles(reader, groups, camera, error))
		return NULL;
	if (*camera->controls && !*camera->sensor) {
		config_fail(error, reader, group, "controls",
			    "no entity to set them on; write sensor = its entity name");
		return NULL;
	}
	if (!config_read_light(reader, group, camera, error))
		return NULL;
	return g_steal_pointer(&camera);
}

struct volet_camera_config *config_parse_camera(const char *text, gsize len, GError **error)
{
	struct volet_camera_config *camera = NULL;
	struct config_reader reader;
	g_auto(GStrv) groups = NULL;
	unsigned int i, others = 0;

	if (config_read(&reader, LABEL, text, len, error)) {
		groups = g_key_file_get_groups(reader.keys, NULL);
		for (i = 0; groups[0] && groups[i + 1]; i++)
			others += !g_str_has_prefix(groups[i + 1], "profile ");
		if (groups[0] && !others && g_str_has_prefix(groups[0], "camera "))
			camera = config_read_camera(&reader, groups[0], groups, error);
		else
			g_set_error(error, VOLET_CONFIG_ERROR, 0,
				    LABEL ": write one [camera NAME] group, its profiles and nothing else");
	}
	config_read_end(&reader);
	return camera;
}

void config_camera_free(struct volet_camera_config *camera)
{
	if (camera->profiles)
		g_ptr_array_unref(camera->profiles);
	g_free(camera->media);
	g_free(camera->links);
	g_free(camera->formats);
	g_free(camera->capture);
	g_free(camera->format);
	g_free(camera->sensor);
	g_free(camera->controls);
	g_free(camera->light.isp);
	g_free(camera);
}

char *config_camera_text(const struct volet_camera_config *camera)
{
	g_autofree char *group = g_strdup_printf("camera %s", camera->name);
	g_autofree char *size = g_strdup_printf("%ux%u", camera->width, camera->height);
	g_autoptr(GKeyFile) keys = g_key_file_new();

	g_key_file_set_string(keys, group, "media", camera->media);
	g_key_file_set_string(keys, group, "links", camera->links);
	g_key_file_set_string(keys, group, "formats", camera->formats);
	g_key_file_set_string(keys, group, "capture", camera->capture);
	g_key_file_set_string(keys, group, "format", camera->format);
	g_key_file_set_string(keys, group, "size", size);
	g_key_file_set_string(keys, group, "sensor", camera->sensor);
	g_key_file_set_string(keys, group, "controls", camera->controls);
	g_key_file_set_integer(keys, group, "jpeg-quality", (int)camera->jpeg_quality);
	g_key_file_set_integer(keys, group, "rate", (int)camera->rate);
	g_key_file_set_integer(keys, group, "slots", (int)camera->slots);
	g_key_file_set_integer(keys, group, "slot-size-kib", (int)camera->slot_size_kib);
	config_light_text(keys, group, camera);
	g_key_file_set_integer(keys, group, "max-sessions", (int)camera->max_sessions);
	config_profiles_text(keys, camera);
	return g_key_file_to_data(keys, NULL, NULL);
}
