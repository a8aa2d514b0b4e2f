// SPDX-License-Identifier: MIT
/* Errors and log lines; see error.h. */
#include "error.h"

#include <stdio.h>
#include <string.h>

G_DEFINE_QUARK(volet-cam, cam_error)

gboolean cam_error(GError **error, int errnum, const char *format, ...)
{
	g_autofree char *text = NULL;
	va_list args;

	va_start(args, format);
	text = g_strdup_vprintf(format, args);
	va_end(args);
	/* Not g_strerror(): it looks for files of character sets, which the sandbox refuses. */
	if (errnum)
		g_set_error(error, CAM_ERROR, errnum, "%s: %s", text, strerror(errnum));
	else
		g_set_error_literal(error, CAM_ERROR, 0, text);
	return FALSE;
}

gboolean cam_error_code(GError **error, int code)
{
	if (error && *error)
		(*error)->code = code;
	return FALSE;
}

void cam_log(const char *camera, const char *format, ...)
{
	g_autofree char *text = NULL;
	va_list args;

	va_start(args, format);
	text = g_strdup_vprintf(format, args);
	va_end(args);
	fprintf(stderr, "volet-cam[%s]: %s\n", camera, text);
}
