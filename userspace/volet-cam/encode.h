/* SPDX-License-Identifier: MIT */
/*
 * One profile's encode: made smaller where it is to be, and no faster than it is to be. Each
 * codec is plain functions of its own.
 *
 * While anybody watches there is a key frame each second, whether somebody joins or not: so
 * who joins waits a second at most, and however often one does it changes nothing for the
 * others, who can't even see that it happened.
 */
#ifndef VOLET_CAM_ENCODE_H
#define VOLET_CAM_ENCODE_H

#include <glib.h>

#include "config.h"
#include "m2m.h"

struct encode;

/*
 * Pictures of `width` x `height` are what it will get. `udmabuf` (borrowed, or -1) is for the
 * memory of a machine's own encoder.
 */
struct encode *encode_new(const struct volet_profile_config *profile, guint width, guint height,
			  int udmabuf, GError **error);
void encode_free(struct encode *encode);	/* also right for NULL */

/* Slots of a session with such pictures at most: each has 8 MB where a JPEG has 0.2. */
#define ENCODE_RAW_SLOTS	3

/* Bytes of each picture of a profile that isn't encoded; 0 of another. */
gsize encode_raw_size(const struct volet_profile_config *profile);

/* See VOLET_FRAME_MEMORY; into `out`, of VOLET_PARAMETERS_MAX bytes. Returns their length. */
guint encode_parameters(struct encode *encode, guint8 *out);

/* Whether the profile's rate has room for a picture of that moment. */
gboolean encode_due(const struct encode *encode, guint64 captured_ns);
/* Whether that picture will be a key frame, or may be: not every encoder lets itself be asked. */
gboolean encode_key_due(const struct encode *encode, guint64 captured_ns);

/* `*data` stays the encode's, until the next call. A `*length` of 0: that frame is lost. */
gboolean encode_picture(struct encode *encode, const struct raw_picture *picture, gboolean *key,
			const guint8 **data, gsize *length, GError **error);

/* Whether the machine's own encoder is used: volet-cam's sandbox is to let it work. */
gboolean encode_is_hardware(const struct encode *encode);

/* Nobody watches this profile. */
void encode_forget(struct encode *encode);

#endif
