/* SPDX-License-Identifier: MIT */
/* Errors of volet-cam: a text that says what to do, and the errno it came from. */
#ifndef VOLET_CAM_ERROR_H
#define VOLET_CAM_ERROR_H

#include <glib.h>

#define CAM_ERROR cam_error_quark()

/* What to do about EBUSY, to end a text with. */
#define CAM_BUSY " (another program streams from this camera: stop it)"

GQuark cam_error_quark(void);

/*
 * Sets `error` with code `errnum`, and its description after the text unless `errnum` is 0.
 * Always FALSE, so that a function can return it.
 */
gboolean cam_error(GError **error, int errnum, const char *format, ...) G_GNUC_PRINTF(3, 4);

/* Give what cam_error() set another code, without a description of it. Always FALSE. */
gboolean cam_error_code(GError **error, int code);

/* A line of the log: "volet-cam[camera]: text". */
void cam_log(const char *camera, const char *format, ...) G_GNUC_PRINTF(2, 3);

#endif
