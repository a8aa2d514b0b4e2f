/* SPDX-License-Identifier: MIT */
/*
 * What the process of one camera may take at most. seccomp can't count, and a memfd is in no
 * other limit: so the size of a file, the number of descriptors and the address space are
 * limited to what the camera's sessions can need. A volet-cam that is taken over can have
 * no more: LIMITS_FILES + 3 * max-sessions files of one session's size, LIMITS_ENCODER_FILES for
 * each profile that may use an encoder of the machine, and its address space. Where a profile is
 * for displays, it also has what they hand up (handed.h): VOLET_BUFFERS_MAX buffers of each.
 */
#ifndef VOLET_CAM_LIMITS_H
#define VOLET_CAM_LIMITS_H

#include "config.h"

#define LIMITS_FILES	48		/* its channels, its device, the capture ring */
#define LIMITS_ENCODER_FILES	17	/* its node, and up to 8 buffers in each of two queues */
/* Bytes of a display's buffer, 4K in lines without gaps; larger ones can't be mapped: it copies. */
#define LIMITS_DISPLAY_BUFFER	(32u << 20)
#define LIMITS_SPACE	(192u << 20)	/* bytes, besides what is mapped at the start and sessions */

/* Bytes of the largest file: a session's memory, or a buffer of the capture ring. */
guint64 limits_file(const struct volet_camera_config *config);

/* For good. Before the sandbox, which has no call for it, and once all is open. */
gboolean limits_set(const struct volet_camera_config *config, GError **error);

#endif
