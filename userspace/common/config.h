/* SPDX-License-Identifier: MIT */
/*
 * The configuration: what voletd reads from its file, and what one volet-cam reads from
 * the section that voletd gives it. What is here never changes after it was read; state
 * lives elsewhere.
 *
 * Every error is one sentence that names the file, the group and the key, and says what
 * to write instead. No error repeats a credential.
 */
#ifndef VOLET_CONFIG_H
#define VOLET_CONFIG_H

#include <glib.h>
#include <stdbool.h>
#include "protocol.h"

#define VOLET_CAMERAS_MAX	64
#define VOLET_SESSIONS_MAX	2048	/* of all cameras together */
#define VOLET_PROFILES_MAX	8	/* of a camera */

/* What makes the frames of a profile. */
enum volet_encoder {
	VOLET_ENCODER_SOFTWARE,
	VOLET_ENCODER_HARDWARE,		/* the machine's own; there must be one */
	VOLET_ENCODER_AUTO		/* the machine's own where there is one that works */
};

/* One way to see a camera. */
struct volet_profile_config {
	char name[VOLET_NAME_MAX];
	enum volet_codec codec;
	enum volet_encoder encoder;
	unsigned int width, height;	/* no larger than the camera's */
	unsigned int rate;		/* frames a second at most; 0: as many as are captured */
	unsigned int quality;		/* of JPEG, 1..100 */
	unsigned int bitrate_kbit;	/* of H.264 */
};

enum volet_light_mode {
	VOLET_LIGHT_POSSIBLE,		/* not said: automatic where the device can do it */
	VOLET_LIGHT_AUTO,		/* automatic, or an error */
	VOLET_LIGHT_FIXED
};

/* What gain a value of the sensor's gain control is; `unit` is the configuration's number. */
enum volet_gain_model {
	VOLET_GAIN_LINEAR,		/* value / unit */
	VOLET_GAIN_INVERSE,		/* unit / (unit - value) */
	VOLET_GAIN_DECIBEL		/* unit * value dB */
};

struct volet_light_config {
	enum volet_light_mode exposure, white_balance;
	unsigned int target_percent;	/* of white, in linear light */
	unsigned int flicker_hz;	/* of the mains: 50, 60, or 0 */
	unsigned int slowest_rate;	/* frames a second that the dark may slow to; 0: none */
	unsigned int max_gain;		/* in wholes */
	enum volet_gain_model gain_model;
	double gain_unit;		/* 0: the control's minimum is gain 1 */
	char *isp;			/* entity name whose white balance is set */
};

/* Strings are never NULL; what the file doesn't give is empty. */
struct volet_camera_config {
	char name[VOLET_NAME_MAX];
	char *media;			/* bus-info of the media device, or "test": none */
	char *links;			/* media-ctl syntax, ';' between */
	char *formats;
	char *capture;			/* entity name of the capture node */
	char *format;			/* four-character code, such as NV12 */
	unsigned int width, height;
	unsigned int rate;		/* frames a second of a test camera */
	char *sensor;			/* entity name whose controls are set */
	char *controls;			/* name=value, ';' between */
	struct volet_light_config light;
	unsigned int jpeg_quality;	/* 1..100 */
	unsigned int slots;		/* 2..VOLET_SLOTS_MAX */
	unsigned int slot_size_kib;	/* a multiple of 64, the largest page size there is */
	unsigned int max_sessions;	/* of this camera: its process is limited to them */
	GPtrArray *profiles;		/* struct volet_profile_config *, one at least; the first is preset */
};

struct volet_viewer_config {
	char name[VOLET_NAME_MAX];
	char ha1[33];			/* lower-case hex */
	GPtrArray *cameras;		/* names (char *), each of a configured camera */
	bool udp;			/* RTP over UDP, where the configuration has it at all */
};

/* A local session: a display that voletd starts, or another program that connects. */
struct volet_local_config {
	struct volet_viewer_config viewer;	/* its name and cameras; it has no credential */
	/* a display */
	char *device, *connector;	/* a path; "": the first that something is connected to */
	char profile[VOLET_NAME_MAX];	/* of its one camera */
	unsigned int width, height;	/* the profile's */
	unsigned int copy;		/* it doesn't hand its buffers up, whether it could or not */
	/* a consumer */
	unsigned int uid;
	unsigned int sessions;		/* of its at once */
};

struct volet_config {
	char *rtsp_address;
	unsigned int rtsp_port, rtsps_port;	/* 0: no such port */
	char *certificate, *private_key;	/* paths for volet-sign; empty without an rtsps_port */
	bool udp;			/* RTP over UDP may be asked for */
	unsigned int udp_first, udp_last;	/* ports for it: pairs, the first even, the last odd */
	unsigned int age_limit_ms;
	unsigned int max_sessions;
	unsigned int max_unauthenticated, max_unauthenticated_per_source;
	unsigned int authentication_timeout_s;
	unsigned int report_s;
	GPtrArray *cameras;		/* struct volet_camera_config *, in the file's order */
	GPtrArray *viewers;		/* struct volet_viewer_config * */
	GPtrArray *displays, *consumers;	/* struct volet_local_config * */
};

#define VOLET_CONFIG_ERROR (config_error_quark())
GQuark config_error_quark(void);

/* Read the whole file; it is refused when others can read the credentials in it. */
struct volet_config *config_load(const char *path, GError **error);

/* The same from memory; `file` is the name that errors give. */
struct volet_config *config_parse(const char *file, const char *text, gsize len, GError **error);
void config_free(struct volet_config *config);

/* NULL when there is none of that name. */
const struct volet_viewer_config *config_find_viewer(const struct volet_config *config,
						     const char *name);

/* The same among `locals`. */
const struct volet_local_config *config_find_local(const GPtrArray *locals, const char *name);

/* A [display NAME] group with its profile's size: what volet-kms finds in VOLET_FD_EXTRA. */
char *config_display_text(const struct volet_local_config *display);
struct volet_local_config *config_parse_display(const char *text, gsize len, GError **error);
void config_local_free(struct volet_local_config *local);

/* One [camera NAME] group, its profiles and nothing else: what volet-cam finds in VOLET_FD_EXTRA. */
struct volet_camera_config *config_parse_camera(const char *text, gsize len, GError **error);
void config_camera_free(struct volet_camera_config *camera);

/* Not encoded, and for local sessions alone. */
static inline bool config_profile_is_raw(const struct volet_profile_config *profile)
{
	return profile->codec == VOLET_CODEC_XRGB;
}

/* The profile of that name, or the first encoded one for ""; NULL when there is none. */
const struct volet_profile_config *config_profile(const struct volet_camera_config *camera,
						  const char *name);

/* Those groups as text, with every key; config_parse_camera() gives an equal struct back. */
char *config_camera_text(const struct volet_camera_config *camera);

typedef struct volet_config volet_config;
typedef struct volet_camera_config volet_camera_config;
typedef struct volet_local_config volet_local_config;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(volet_config, config_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(volet_camera_config, config_camera_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(volet_local_config, config_local_free)

#endif
