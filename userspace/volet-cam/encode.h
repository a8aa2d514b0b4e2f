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

struct encode;

/* Pictures of `width` x `height` are what it will get. */
struct encode *encode_new(const struct volet_profile_config *profile, guint width, guint height,
			  GError **error);
void encode_free(struct encode *encode);	/* also right for NULL */

/* Bytes of each picture of a profile that isn't encoded; 0 of another. */
gsize encode_raw_size(const struct volet_profile_config *profile);

/* See VOLET_FRAME_MEMORY; into `out`, of VOLET_PARAMETERS_MAX bytes. Returns their length. */
guint encode_parameters(struct encode *encode, guint8 *out);

/* Whether the profile's rate has room for a picture of that moment. */
gboolean encode_due(const struct encode *encode, guint64 captured_ns);
/* Whether that picture will be a key frame. */
gboolean encode_key_due(const struct encode *encode, guint64 captured_ns);

/* `*data` stays the encode's. */
gboolean encode_nv12(struct encode *encode, const guint8 *y, const guint8 *uv, gsize stride,
		     guint64 captured_ns, gboolean *key, const guint8 **data, gsize *length,
		     GError **error);

/* Nobody watches this profile. */
void encode_forget(struct encode *encode);

#endif
