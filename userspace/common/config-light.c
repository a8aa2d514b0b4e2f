// SPDX-License-Identifier: MIT
/* A camera's exposure and white balance, keys of its [camera NAME] group; see config.h. */
#include "config-read.h"

#include <stdio.h>
#include <string.h>

static const char *const modes[] = {
	[VOLET_LIGHT_POSSIBLE] = "", [VOLET_LIGHT_AUTO] = "auto", [VOLET_LIGHT_FIXED] = "fixed",
};

static bool read_mode(const struct config_reader *reader, const char *group, const char *key,
		      enum volet_light_mode *mode, GError **error)
{
	g_autofree char *text = config_string(reader, group, key, "", error);
	unsigned int i;

	if (!text)
		return false;
	for (i = 0; i < G_N_ELEMENTS(modes); i++) {
		if (!strcmp(text, modes[i])) {
			*mode = (enum volet_light_mode)i;
			return true;
		}
	}
	config_fail(error, reader, group, key,
		    "\"%s\" is neither auto nor fixed; without the key it is auto where the camera"
		    " can do it", text);
	return false;
}

/* The first of `names` that `controls` sets, or NULL. */
static const char *is_set(const char *controls, const char *const *names)
{
	g_auto(GStrv) parts = g_strsplit_set(controls, ";,", -1);
	unsigned int i, n;

	for (i = 0; parts[i]; i++) {
		for (n = 0; names[n]; n++) {
			const char *name = g_strstrip(parts[i]);
			size_t length = strlen(names[n]);

			if (g_str_has_prefix(name, names[n]) &&
			    strchr("= \t", name[length]))
				return names[n];
		}
	}
	return NULL;
}

/* What the two loops have in common: where they can't run, and what `controls` leaves them. */
struct loop {
	const char *key;
	const char *entity, *entity_key;	/* whose controls it would set */
	const char *const *controls;		/* those */
};

static bool decide(const struct config_reader *reader, const char *group, const struct loop *loop,
		   const struct volet_camera_config *camera, enum volet_light_mode *mode,
		   GError **error)
{
	const char *set = is_set(camera->controls, loop->controls), *why = NULL;
	bool h264 = !strcmp(camera->format, "H264");
	bool jpeg = !strcmp(camera->format, "MJPG") || !strcmp(camera->format, "JPEG");

	if (!read_mode(reader, group, loop->key, mode, error))
		return false;
	if (!strcmp(camera->media, "test"))
		why = "a test camera sees no light";
	else if (jpeg)
		why = "a camera that gives JPEG does that itself, and there is no brightness to"
		      " measure";
	else if (h264)
		why = "a camera that gives H.264 does that itself, and there is no brightness to"
		      " measure";
	if (*mode == VOLET_LIGHT_FIXED)
		return true;
	if (*mode == VOLET_LIGHT_POSSIBLE) {
		if (why || set || !*loop->entity)
			*mode = VOLET_LIGHT_FIXED;
		return true;
	}
	if (why)
		config_fail(error, reader, group, loop->key, "%s; write %s = fixed", why,
			    loop->key);
	else if (set)
		config_fail(error, reader, group, "controls",
			    "%s is set here and %s = auto sets it too; remove one", set, loop->key);
	else if (!*loop->entity)
		config_fail(error, reader, group, loop->key,
			    "no entity to set it on; write %s = its entity name",
			    loop->entity_key);
	return !why && !set && *loop->entity;
}

/* "linear:64", "inverse:256", "decibel:0.3" */
static bool read_gain_model(const struct config_reader *reader, const char *group,
			    struct volet_light_config *light, GError **error)
{
	static const char *const names[] = {
		[VOLET_GAIN_LINEAR] = "linear", [VOLET_GAIN_INVERSE] = "inverse",
		[VOLET_GAIN_DECIBEL] = "decibel",
	};
	g_autofree char *text = config_string(reader, group, "gain-model", "", error);
	unsigned int i;
	char *end;

	light->gain_model = VOLET_GAIN_LINEAR;
	light->gain_unit = 0;
	if (!text)
		return false;
	if (!*text)
		return true;
	for (i = 0; i < G_N_ELEMENTS(names); i++) {
		size_t length = strlen(names[i]);

		if (!g_str_has_prefix(text, names[i]) || text[length] != ':')
			continue;
		light->gain_model = (enum volet_gain_model)i;
		light->gain_unit = g_ascii_strtod(text + length + 1, &end);
		if (!*end && light->gain_unit >= 0.01 && light->gain_unit <= 65536)
			return true;
	}
	config_fail(error, reader, group, "gain-model",
		    "\"%s\" is none that is known; write linear:N (N is gain 1), inverse:N (gain is"
		    " N / (N - value)) or decibel:N (N dB a step)", text);
	return false;
}

static bool read_flicker(const struct config_reader *reader, const char *group,
			 struct volet_light_config *light, GError **error)
{
	if (!config_number(reader, group, "flicker-hz", 0, 60, 50, &light->flicker_hz, error))
		return false;
	if (light->flicker_hz == 0 || light->flicker_hz == 50 || light->flicker_hz == 60)
		return true;
	config_fail(error, reader, group, "flicker-hz",
		    "%u is no mains frequency; write 50 or 60, or 0 where no lamp flickers",
		    light->flicker_hz);
	return false;
}

static bool none_is_useless(const struct config_reader *reader, const char *group, GError **error)
{
	static const char *const of_auto[] = {
		"exposure-target", "flicker-hz", "slowest-rate", "max-gain", "gain-model",
	};
	unsigned int i;

	for (i = 0; i < G_N_ELEMENTS(of_auto); i++) {
		if (!g_key_file_has_key(reader->keys, group, of_auto[i], NULL))
			continue;
		config_fail(error, reader, group, of_auto[i],
			    "is of no use where exposure isn't automatic (fixed, or set in"
			    " controls, or no sensor named); remove it");
		return false;
	}
	return true;
}

bool config_read_light(const struct config_reader *reader, const char *group,
		       struct volet_camera_config *camera, GError **error)
{
	static const char *const exposure[] = {
		"exposure", "analogue_gain", "gain", "digital_gain", "auto_exposure",
		"gain_automatic", NULL
	};
	static const char *const balance[] = {
		"red_balance", "blue_balance", "white_balance_automatic", NULL
	};
	struct volet_light_config *light = &camera->light;
	struct loop loop = {
		.key = "exposure", .entity = camera->sensor, .entity_key = "sensor",
		.controls = exposure,
	};

	if (!decide(reader, group, &loop, camera, &light->exposure, error))
		return false;
	if (light->exposure == VOLET_LIGHT_FIXED && !none_is_useless(reader, group, error))
		return false;
	light->isp = config_string(reader, group, "isp", camera->sensor, error);
	if (!light->isp)
		return false;
	loop = (struct loop){
		.key = "white-balance", .entity = light->isp, .entity_key = "isp",
		.controls = balance,
	};
	return decide(reader, group, &loop, camera, &light->white_balance, error) &&
	       config_number(reader, group, "exposure-target", 1, 90, 18, &light->target_percent,
			     error) &&
	       read_flicker(reader, group, light, error) &&
	       config_number(reader, group, "slowest-rate", 0, 120, 0, &light->slowest_rate,
			     error) &&
	       config_number(reader, group, "max-gain", 1, 1024, 16, &light->max_gain, error) &&
	       read_gain_model(reader, group, light, error);
}

void config_light_text(GKeyFile *keys, const char *group, const struct volet_camera_config *camera)
{
	static const char *const models[] = { "linear", "inverse", "decibel" };
	const struct volet_light_config *light = &camera->light;
	char number[G_ASCII_DTOSTR_BUF_SIZE];
	g_autofree char *model = NULL;

	g_key_file_set_string(keys, group, "exposure", modes[light->exposure]);
	g_key_file_set_string(keys, group, "white-balance", modes[light->white_balance]);
	g_key_file_set_string(keys, group, "isp", light->isp);
	if (light->exposure == VOLET_LIGHT_FIXED)
		return;
	g_key_file_set_integer(keys, group, "exposure-target", (int)light->target_percent);
	g_key_file_set_integer(keys, group, "flicker-hz", (int)light->flicker_hz);
	g_key_file_set_integer(keys, group, "slowest-rate", (int)light->slowest_rate);
	g_key_file_set_integer(keys, group, "max-gain", (int)light->max_gain);
	if (light->gain_unit <= 0)
		return;
	model = g_strdup_printf("%s:%s", models[light->gain_model],
				g_ascii_dtostr(number, sizeof(number), light->gain_unit));
	g_key_file_set_string(keys, group, "gain-model", model);
}
