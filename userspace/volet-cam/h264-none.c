// SPDX-License-Identifier: MIT
/* Built without OpenH264; see h264.h. */
#include "h264.h"

#include "error.h"

struct h264 *h264_new(const struct h264_config *config G_GNUC_UNUSED, GError **error)
{
	cam_error(error, 0, "H.264: this volet-cam was built without OpenH264: write codec = jpeg, or"
			    " build with -Dopenh264=enabled");
	return NULL;
}

void h264_free(struct h264 *h264 G_GNUC_UNUSED)
{
}

guint h264_parameters(struct h264 *h264 G_GNUC_UNUSED, guint8 *out G_GNUC_UNUSED,
		      guint size G_GNUC_UNUSED)
{
	return 0;
}

gboolean h264_nv12(struct h264 *h264 G_GNUC_UNUSED, const guint8 *y G_GNUC_UNUSED,
		   const guint8 *uv G_GNUC_UNUSED, gsize stride G_GNUC_UNUSED,
		   guint64 captured_ns G_GNUC_UNUSED, gboolean *key G_GNUC_UNUSED,
		   const guint8 **data G_GNUC_UNUSED, gsize *length G_GNUC_UNUSED, GError **error)
{
	return cam_error(error, 0, "H.264: not in this build");
}

void h264_forget(struct h264 *h264 G_GNUC_UNUSED)
{
}
