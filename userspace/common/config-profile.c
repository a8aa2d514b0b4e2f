// SPDX-License-Identifier: MIT
/* The [profile CAMERA/NAME] groups of the configuration; see config.h. */
#include "config-read.h"

#include <string.h>

#include "msg.h"

/* What a camera without such a group has: its pictures as they are. */
#define PRESET_NAME	"jpeg"

const struct volet_profile_config *config_profile(const struct volet_camera_config *camera,
						  const char *name)
{
	unsigned int i;

	for (i = 0; i < camera->profiles->len; i++) {
		const struct volet_profile_config *profile = camera->profiles->pdata[i];

		if (*name ? !strcmp(profile->name, name) : !config_profile_is_raw(profile))
			return profile;
	}
	return NULL;
}

static bool read_codec(const struct config_reader *reader, const char *group,
		       struct volet_profile_config *profile, GError **error)
{
	g_autofree char *codec = config_string(reader, group, "codec", "jpeg", error);

	if (!codec)
		return false;
	if (!strcmp(codec, "jpeg"))
		profile->codec = VOLET_CODEC_JPEG;
	else if (!strcmp(codec, "h264"))
		profile->codec = VOLET_CODEC_H264;
	else if (!strcmp(codec, "xrgb"))
		profile->codec = VOLET_CODEC_XRGB;
#ifdef VOLET_TEST_FORMATS	/* the one codec that a test machine has an encoder of */
	else if (!strcmp(codec, "fwht"))
		profile->codec = VOLET_CODEC_FWHT;
#endif
	if (profile->codec)
		return true;
	config_fail(error, reader, group, "codec",
		    "\"%s\" is not known; write jpeg or h264, or xrgb for local sessions", codec);
	return false;
}

static const char *const encoders[] = {
	[VOLET_ENCODER_SOFTWARE] = "software", [VOLET_ENCODER_HARDWARE] = "hardware",
	[VOLET_ENCODER_AUTO] = "auto",
};

static bool read_encoder(const struct config_reader *reader, const char *group,
			 struct volet_profile_config *profile, GError **error)
{
	g_autofree char *encoder = config_string(reader, group, "encoder", encoders[0], error);
	unsigned int i;

	if (!encoder)
		return false;
	for (i = 0; i < G_N_ELEMENTS(encoders); i++) {
		profile->encoder = (enum volet_encoder)i;
		if (!strcmp(encoder, encoders[i]))
			return true;
	}
	config_fail(error, reader, group, "encoder",
		    "\"%s\" is not known; write software, hardware or auto", encoder);
	return false;
}

/* What says nothing for this codec was meant for another one. */
static bool check_codec_key(const struct config_reader *reader, const char *group, const char *key,
			    const char *codec, bool fits, GError **error)
{
	if (fits || !g_key_file_has_key(reader->keys, group, key, NULL))
		return true;
	config_fail(error, reader, group, key, "it is a key of codec = %s; remove it", codec);
	return false;
}

static bool read_size(const struct config_reader *reader, const char *group,
		      const struct volet_camera_config *camera,
		      struct volet_profile_config *profile, GError **error)
{
	g_autofree char *own = g_strdup_printf("%ux%u", camera->width, camera->height);

	if (!config_size(reader, group, own, &profile->width, &profile->height, error))
		return false;
	if (profile->width <= camera->width && profile->height <= camera->height)
		return true;
	config_fail(error, reader, group, "size",
		    "%ux%u is larger than the camera's %s; write size = %s or less", profile->width,
		    profile->height, own, own);
	return false;
}

static bool read_profile(const struct config_reader *reader, const char *group, const char *name,
			 struct volet_camera_config *camera, GError **error)
{
	static const char *const known[] = {
		"codec", "encoder", "size", "rate", "quality", "bitrate-kbit", NULL
	};
	struct volet_profile_config *profile;
	bool jpeg, raw;

	if (!msg_name_ok(name) || camera->profiles->len == VOLET_PROFILES_MAX) {
		config_fail(error, reader, group, NULL,
			    "write [profile CAMERA/NAME] with a name of 1 to %d letters, digits, -"
			    " and _, and %d of a camera at most", VOLET_NAME_MAX - 1,
			    VOLET_PROFILES_MAX);
		return false;
	}
	profile = g_new0(struct volet_profile_config, 1);
	g_ptr_array_add(camera->profiles, profile);
	g_strlcpy(profile->name, name, sizeof(profile->name));
	if (!config_known_keys(reader, group, known, error) ||
	    !read_codec(reader, group, profile, error) ||
	    !read_encoder(reader, group, profile, error) ||
	    !read_size(reader, group, camera, profile, error))
		return false;
	jpeg = profile->codec == VOLET_CODEC_JPEG;
	raw = config_profile_is_raw(profile);
	return check_codec_key(reader, group, "encoder", "jpeg and h264", !raw, error) &&
	       check_codec_key(reader, group, "quality", "jpeg", jpeg, error) &&
	       check_codec_key(reader, group, "bitrate-kbit", "h264", !jpeg && !raw, error) &&
	       config_number(reader, group, "rate", 1, 120, 0, &profile->rate, error) &&
	       config_number(reader, group, "quality", 1, 100, camera->jpeg_quality,
			     &profile->quality, error) &&
	       config_number(reader, group, "bitrate-kbit", 16, 50000, 2000,
			     &profile->bitrate_kbit, error);
}

/* For who names no profile: there is one that is encoded. */
static bool add_preset(const struct config_reader *reader, const char *group,
		       struct volet_camera_config *camera, GError **error)
{
	struct volet_profile_config *profile;

	if (config_profile(camera, PRESET_NAME) || camera->profiles->len == VOLET_PROFILES_MAX) {
		config_fail(error, reader, group, NULL,
			    "each of its profiles has codec = xrgb; add [profile %s/NAME] with"
			    " codec = jpeg for those who watch from elsewhere", camera->name);
		return false;
	}
	profile = g_new0(struct volet_profile_config, 1);
	*profile = (struct volet_profile_config) {
		.name = PRESET_NAME, .codec = VOLET_CODEC_JPEG, .width = camera->width,
		.height = camera->height, .quality = camera->jpeg_quality,
	};
	g_ptr_array_add(camera->profiles, profile);
	return true;
}

bool config_read_profiles(const struct config_reader *reader, char **groups,
			  struct volet_camera_config *camera, GError **error)
{
	g_autofree char *prefix = g_strdup_printf("profile %s/", camera->name);
	g_autofree char *own = g_strdup_printf("camera %s", camera->name);
	unsigned int i;

	for (i = 0; groups[i]; i++) {
		if (g_str_has_prefix(groups[i], prefix) &&
		    !read_profile(reader, groups[i], groups[i] + strlen(prefix), camera, error))
			return false;
	}
	return config_profile(camera, "") || add_preset(reader, own, camera, error);
}

static const char *const codecs[] = {
	[VOLET_CODEC_JPEG] = "jpeg", [VOLET_CODEC_H264] = "h264", [VOLET_CODEC_XRGB] = "xrgb",
	[VOLET_CODEC_FWHT] = "fwht",
};

void config_profiles_text(GKeyFile *keys, const struct volet_camera_config *camera)
{
	unsigned int i;

	for (i = 0; i < camera->profiles->len; i++) {
		const struct volet_profile_config *profile = camera->profiles->pdata[i];
		g_autofree char *group = g_strdup_printf("profile %s/%s", camera->name,
							 profile->name);
		g_autofree char *size = g_strdup_printf("%ux%u", profile->width, profile->height);
		bool jpeg = profile->codec == VOLET_CODEC_JPEG;

		g_key_file_set_string(keys, group, "codec", codecs[profile->codec]);
		if (!config_profile_is_raw(profile))
			g_key_file_set_string(keys, group, "encoder", encoders[profile->encoder]);
		g_key_file_set_string(keys, group, "size", size);
		if (profile->rate)
			g_key_file_set_integer(keys, group, "rate", (int)profile->rate);
		if (jpeg)
			g_key_file_set_integer(keys, group, "quality", (int)profile->quality);
		else if (!config_profile_is_raw(profile))
			g_key_file_set_integer(keys, group, "bitrate-kbit",
					       (int)profile->bitrate_kbit);
	}
}
