/* SPDX-License-Identifier: MIT */
/* Reading a GKeyFile strictly: shared by the parts of config.h, and by nothing else. */
#ifndef VOLET_CONFIG_READ_H
#define VOLET_CONFIG_READ_H

#include <stdbool.h>
#include "config.h"

struct config_reader {
	const char *file;	/* as errors name it */
	GKeyFile *keys;
};

/*
 * GKeyFile merges groups of one name, keeps the last of two equal keys, takes what stands
 * after a value as part of it, and quotes bad lines in its errors (which may hold a
 * credential). This looks at the lines first and refuses all of that.
 */
bool config_read(struct config_reader *reader, const char *file, const char *text, gsize len,
		 GError **error);
void config_read_end(struct config_reader *reader);

void config_fail(GError **error, const struct config_reader *reader, const char *group,
		 const char *key, const char *format, ...) G_GNUC_PRINTF(5, 6);

/* Every key of the group is one of `known` (NULL at the end). */
bool config_known_keys(const struct config_reader *reader, const char *group,
		       const char *const *known, GError **error);

/* The text of a key, or a copy of `preset` when it isn't given; without a preset it must be. */
char *config_string(const struct config_reader *reader, const char *group, const char *key,
		    const char *preset, GError **error);

bool config_number(const struct config_reader *reader, const char *group, const char *key,
		   unsigned int min, unsigned int max, unsigned int preset, unsigned int *value,
		   GError **error);

/* The name in "KIND NAME"; the caller has seen that the group starts with "KIND ". */
bool config_name(const struct config_reader *reader, const char *group, const char *kind,
		 char name[VOLET_NAME_MAX], GError **error);

/* With the profiles among `groups`. */
struct volet_camera_config *config_read_camera(const struct config_reader *reader,
					       const char *group, char **groups, GError **error);

/* "WIDTHxHEIGHT", even numbers in what RTP can carry. */
bool config_size(const struct config_reader *reader, const char *group, const char *preset,
		 unsigned int *width, unsigned int *height, GError **error);

/* config-local.c: the [display NAME] and [local NAME] groups, once cameras and viewers were read. */
bool config_read_locals(const struct config_reader *reader, char **groups,
			struct volet_config *config, GError **error);

/* A list of names, ';' between, each of a configured camera, into `cameras`. */
bool config_cameras(const struct config_reader *reader, const char *group,
		    const struct volet_config *config, GPtrArray *cameras, GError **error);

/* config-profile.c: the camera's groups among `groups`, or the one profile it has without any. */
bool config_read_profiles(const struct config_reader *reader, char **groups,
			  struct volet_camera_config *camera, GError **error);
void config_profiles_text(GKeyFile *keys, const struct volet_camera_config *camera);

/* config-light.c: exposure and white balance; what else the group says is in `camera` by then. */
bool config_read_light(const struct config_reader *reader, const char *group,
		       struct volet_camera_config *camera, GError **error);
void config_light_text(GKeyFile *keys, const char *group, const struct volet_camera_config *camera);

#endif
