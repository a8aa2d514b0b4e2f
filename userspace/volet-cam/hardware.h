/* SPDX-License-Identifier: MIT */
/*
 * NV12 to a codec by the machine's own encoder (m2m.h): found by capability, set up with the
 * controls that it has, tried with one grey picture before it is used.
 *
 * One picture goes in and its frame is waited for, HARDWARE_MS at most: such an encoder takes
 * a few milliseconds, and an encoder that holds frames back has no place in a camera that
 * is watched live. What it makes is checked as a camera's own frames are (annexb.h, jpeg.h).
 */
#ifndef VOLET_CAM_HARDWARE_H
#define VOLET_CAM_HARDWARE_H

#include <glib.h>

#include "m2m.h"
#include "protocol.h"

/* After that an encoder hangs. Longer than a frame may be old, so that load alone is no fault. */
#define HARDWARE_MS	2000

struct hardware;

struct hardware_config {
	const char *directory;	/* of the nodes: "/dev" */
	enum volet_codec codec;
	guint width, height;	/* even */
	guint rate;		/* frames a second at most, 0 when it isn't known */
	guint bitrate_kbit, quality;
	int udmabuf;		/* /dev/udmabuf (borrowed), or -1 */
};

/* Before the sandbox. NULL with an error that says what was found and what to write instead. */
struct hardware *hardware_new(const struct hardware_config *config, GError **error);
void hardware_free(struct hardware *hardware);	/* also right for NULL */

/* H.264: SPS and PPS, into `out`, of `size` bytes. Returns their length, or 0. */
guint hardware_parameters(const struct hardware *hardware, guint8 *out, guint size);

/* Whether key frames come when they are asked for. Else they come as the encoder likes. */
gboolean hardware_forces_key(const struct hardware *hardware);

/*
 * `*data` stays the encoder's, until the next call. `*key` asks for a key frame and says whether
 * it is one. A frame that the encoder marked as an error, or that isn't what it should be, is
 * lost: TRUE with a `*length` of 0. FALSE when the encoder is not to be used any more.
 */
gboolean hardware_nv12(struct hardware *hardware, const struct raw_picture *picture, gboolean *key,
		       const guint8 **data, gsize *length, GError **error);

/* Nobody watches: its queues and their memory are gone until the next picture. */
void hardware_forget(struct hardware *hardware);

#endif
