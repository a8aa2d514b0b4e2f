// SPDX-License-Identifier: MIT
/* Resource limits of a camera's process; see rlimits.h. */
#include "rlimits.h"

#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "encode.h"
#include "error.h"
#include "memory.h"

#define PIXEL_MAX	4		/* bytes of a pixel, in any format */
#define PADDING		(1u << 20)	/* what a receiver may want of a buffer besides */

/* As camera.c gives it out: a picture that isn't encoded has larger slots, and fewer. */
static guint64 profile_size(const struct volet_camera_config *config,
			    const struct volet_profile_config *profile)
{
	gsize slot_size = memory_round_up(VOLET_SLOT_PAYLOAD + encode_raw_size(profile));

	if (config_profile_is_raw(profile))
		return memory_round_up(MIN(config->slots, ENCODE_RAW_SLOTS) * slot_size);
	return memory_round_up((gsize)config->slots * config->slot_size_kib * 1024);
}

static guint64 session_size(const struct volet_camera_config *config)
{
	guint64 size = 0;
	guint i;

	for (i = 0; i < config->profiles->len; i++)
		size = MAX(size, profile_size(config, config->profiles->pdata[i]));
	return size;
}

static guint64 picture_size(const struct volet_camera_config *config)
{
	return (guint64)config->width * config->height * PIXEL_MAX + PADDING;
}

guint64 limits_file(const struct volet_camera_config *config)
{
	return MAX(session_size(config), picture_size(config));
}

/* Profiles that may have an encoder of the machine. */
static guint encoders(const struct volet_camera_config *config)
{
	guint i, n = 0;

	for (i = 0; i < config->profiles->len; i++) {
		const struct volet_profile_config *profile = config->profiles->pdata[i];

		n += profile->encoder != VOLET_ENCODER_SOFTWARE;
	}
	return n;
}

/* Sessions that may hand buffers up. */
static guint displays(const struct volet_camera_config *config)
{
	guint i;

	for (i = 0; i < config->profiles->len; i++)
		if (config_profile_is_raw(config->profiles->pdata[i]))
			return MIN(config->max_sessions, VOLET_DISPLAYS_MAX);
	return 0;
}

static gboolean mapped_now(guint64 *bytes)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long pages = 0;
	gboolean ok = file && fscanf(file, "%lu", &pages) == 1;

	if (file)
		fclose(file);
	*bytes = pages * (guint64)sysconf(_SC_PAGESIZE);
	return ok;
}

static gboolean set(int resource, guint64 value, const char *name, GError **error)
{
	struct rlimit now;

	if (getrlimit(resource, &now) < 0)
		return cam_error(error, errno, "%s", name);
	now.rlim_cur = now.rlim_max = MIN(now.rlim_max, (rlim_t)value);
	return setrlimit(resource, &now) == 0 || cam_error(error, errno, "%s", name);
}

gboolean limits_set(const struct volet_camera_config *config, GError **error)
{
	guint64 mapped;

	if (!mapped_now(&mapped))
		return cam_error(error, errno, "/proc/self/statm can't be read: mount /proc");
	return set(RLIMIT_FSIZE, limits_file(config), "RLIMIT_FSIZE", error) &&
	       set(RLIMIT_NOFILE, LIMITS_FILES + 3 * (guint64)config->max_sessions +
		   LIMITS_ENCODER_FILES * encoders(config) + VOLET_BUFFERS_MAX * displays(config),
		   "RLIMIT_NOFILE", error) &&
#ifndef __SANITIZE_ADDRESS__	/* which reserves terabytes for itself */
	       /* An encoder has two buffers in each queue; those that want more have small ones. */
	       set(RLIMIT_AS, mapped + LIMITS_SPACE + config->max_sessions * session_size(config) +
		   4 * encoders(config) * picture_size(config) +
		   VOLET_BUFFERS_MAX * displays(config) * (guint64)LIMITS_DISPLAY_BUFFER,
		   "RLIMIT_AS", error) &&
#endif
	       TRUE;
}
