// SPDX-License-Identifier: MIT
/* Local sessions: the [display NAME] and [local NAME] groups of the configuration; see config.h. */
#include "config-read.h"

#include <string.h>

#define LABEL		"display section"
#define SESSIONS_MAX	16
#define OVERFLOW_UID	65534

const struct volet_local_config *config_find_local(const GPtrArray *locals, const char *name)
{
	unsigned int i;

	for (i = 0; i < locals->len; i++) {
		const struct volet_local_config *local = locals->pdata[i];

		if (!strcmp(local->viewer.name, name))
			return local;
	}
	return NULL;
}

void config_local_free(struct volet_local_config *local)
{
	g_ptr_array_unref(local->viewer.cameras);
	g_free(local->device);
	g_free(local->connector);
	g_free(local);
}

static struct volet_local_config *new_local(void)
{
	struct volet_local_config *local = g_new0(struct volet_local_config, 1);

	local->viewer.cameras = g_ptr_array_new_with_free_func(g_free);
	return local;
}

/* What both readers of a display's group have: the file, and volet-kms. */
static bool read_output(const struct config_reader *reader, const char *group,
			struct volet_local_config *display, GError **error)
{
	if (!config_name(reader, group, "display", display->viewer.name, error))
		return false;
	display->device = config_string(reader, group, "device", "/dev/dri/card0", error);
	if (!display->device)
		return false;
	display->connector = config_string(reader, group, "connector", "", error);
	if (!display->connector ||
	    !config_number(reader, group, "copy", 0, 1, 0, &display->copy, error))
		return false;
	if (g_str_has_prefix(display->device, "/dev/"))
		return true;
	config_fail(error, reader, group, "device",
		    "\"%s\" is no device; write such as device = /dev/dri/card0", display->device);
	return false;
}

static const struct volet_camera_config *find_camera(const struct volet_config *config,
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

static bool read_picture(const struct config_reader *reader, const char *group,
			 const struct volet_config *config, struct volet_local_config *display,
			 GError **error)
{
	g_autofree char *camera = config_string(reader, group, "camera", NULL, error);
	g_autofree char *name = camera ? config_string(reader, group, "profile", NULL, error) : NULL;
	const struct volet_camera_config *its;
	const struct volet_profile_config *profile;

	if (!name)
		return false;
	its = find_camera(config, camera);
	if (!its) {
		config_fail(error, reader, group, "camera",
			    "there is no camera \"%s\"; write the name of a [camera NAME] group",
			    camera);
		return false;
	}
	profile = *name ? config_profile(its, name) : NULL;
	if (!profile || !config_profile_is_raw(profile)) {
		config_fail(error, reader, group, "profile",
			    "a display shows pictures as they are; write the name of a profile of %s"
			    " that has codec = xrgb", camera);
		return false;
	}
	g_ptr_array_add(display->viewer.cameras, g_strdup(camera));
	g_strlcpy(display->profile, profile->name, sizeof(display->profile));
	display->width = profile->width;
	display->height = profile->height;
	return true;
}

static bool read_display(const struct config_reader *reader, const char *group,
			 struct volet_config *config, GError **error)
{
	static const char *const known[] = {
		"device", "connector", "camera", "profile", "copy", NULL
	};
	g_autoptr(volet_local_config) display = new_local();
	unsigned int i;

	if (!config_known_keys(reader, group, known, error) ||
	    !read_output(reader, group, display, error) ||
	    !read_picture(reader, group, config, display, error))
		return false;
	for (i = 0; i < config->displays->len; i++) {
		const struct volet_local_config *other = config->displays->pdata[i];

		/* Whoever sets a mode of a device is alone with it. */
		if (strcmp(other->device, display->device))
			continue;
		config_fail(error, reader, group, "device",
			    "[display %s] has %s; each display needs a device of its own",
			    other->viewer.name, other->device);
		return false;
	}
	if (config->displays->len == VOLET_DISPLAYS_MAX) {
		config_fail(error, reader, group, NULL, "%d displays are the most",
			    VOLET_DISPLAYS_MAX);
		return false;
	}
	g_ptr_array_add(config->displays, g_steal_pointer(&display));
	return true;
}

static bool read_consumer(const struct config_reader *reader, const char *group,
			  struct volet_config *config, GError **error)
{
	static const char *const known[] = { "uid", "cameras", "sessions", NULL };
	g_autoptr(volet_local_config) consumer = new_local();
	unsigned int i;

	if (!config_name(reader, group, "local", consumer->viewer.name, error) ||
	    !config_known_keys(reader, group, known, error))
		return false;
	if (!g_key_file_has_key(reader->keys, group, "uid", NULL)) {
		config_fail(error, reader, group, "uid",
			    "missing; write the number of the program's own user, as id -u prints it");
		return false;
	}
	if (!config_number(reader, group, "uid", 1, G_MAXINT32, 1000, &consumer->uid, error) ||
	    !config_number(reader, group, "sessions", 1, SESSIONS_MAX, 4, &consumer->sessions,
			   error) ||
	    !config_cameras(reader, group, config, consumer->viewer.cameras, error))
		return false;
	if (consumer->uid == OVERFLOW_UID) {
		config_fail(error, reader, group, "uid",
			    "that is nobody's, and what the kernel says of users that it can't name;"
			    " give the program a user of its own");
		return false;
	}
	for (i = 0; i < config->consumers->len; i++) {
		const struct volet_local_config *other = config->consumers->pdata[i];

		if (other->uid != consumer->uid)
			continue;
		config_fail(error, reader, group, "uid",
			    "[local %s] has it; a uid is all that tells two consumers apart, so give"
			    " each its own", other->viewer.name);
		return false;
	}
	g_ptr_array_add(config->consumers, g_steal_pointer(&consumer));
	return true;
}

/* status, logs and voletctl end know sessions by these. */
static bool check_names(const struct config_reader *reader, const struct volet_config *config,
			GError **error)
{
	const GPtrArray *const all[] = { config->displays, config->consumers };
	unsigned int i, j;

	for (i = 0; i < G_N_ELEMENTS(all); i++) {
		for (j = 0; j < all[i]->len; j++) {
			const struct volet_local_config *local = all[i]->pdata[j];
			const char *name = local->viewer.name;

			if (!config_find_viewer(config, name) &&
			    !config_find_local(all[!i], name))
				continue;
			config_fail(error, reader, name, NULL,
				    "viewers, displays and local consumers need names that differ;"
				    " rename one of the two called \"%s\"", name);
			return false;
		}
	}
	return true;
}

bool config_read_locals(const struct config_reader *reader, char **groups,
			struct volet_config *config, GError **error)
{
	unsigned int i;

	for (i = 0; groups[i]; i++) {
		if (g_str_has_prefix(groups[i], "display ") &&
		    !read_display(reader, groups[i], config, error))
			return false;
		if (g_str_has_prefix(groups[i], "local ") &&
		    !read_consumer(reader, groups[i], config, error))
			return false;
	}
	return check_names(reader, config, error);
}

/* ---- volet-kms's section -------------------------------------------------------------- */

char *config_display_text(const struct volet_local_config *display)
{
	g_autofree char *group = g_strdup_printf("display %s", display->viewer.name);
	g_autofree char *size = g_strdup_printf("%ux%u", display->width, display->height);
	g_autoptr(GKeyFile) keys = g_key_file_new();

	g_key_file_set_string(keys, group, "device", display->device);
	g_key_file_set_string(keys, group, "connector", display->connector);
	g_key_file_set_string(keys, group, "camera", display->viewer.cameras->pdata[0]);
	g_key_file_set_string(keys, group, "profile", display->profile);
	g_key_file_set_string(keys, group, "size", size);
	g_key_file_set_integer(keys, group, "copy", (int)display->copy);
	return g_key_file_to_data(keys, NULL, NULL);
}

static bool parse(const struct config_reader *reader, struct volet_local_config *display,
		  GError **error)
{
	g_autofree char *group = g_key_file_get_start_group(reader->keys);
	g_autofree char *profile = NULL;
	char *camera;

	if (!group || !g_str_has_prefix(group, "display ")) {
		g_set_error(error, VOLET_CONFIG_ERROR, 0, LABEL ": write one [display NAME] group");
		return false;
	}
	if (!read_output(reader, group, display, error) ||
	    !config_size(reader, group, NULL, &display->width, &display->height, error))
		return false;
	camera = config_string(reader, group, "camera", NULL, error);
	if (!camera)
		return false;
	g_ptr_array_add(display->viewer.cameras, camera);
	profile = config_string(reader, group, "profile", NULL, error);
	if (!profile)
		return false;
	g_strlcpy(display->profile, profile, sizeof(display->profile));
	return true;
}

struct volet_local_config *config_parse_display(const char *text, gsize len, GError **error)
{
	g_autoptr(volet_local_config) display = new_local();
	struct config_reader reader;
	bool ok = config_read(&reader, LABEL, text, len, error) && parse(&reader, display, error);

	config_read_end(&reader);
	return ok ? g_steal_pointer(&display) : NULL;
}
