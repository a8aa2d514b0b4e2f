/* SPDX-License-Identifier: MIT */
/*
 * Is this a JPEG that can be passed on? A camera's own pictures go to the viewer without
 * being decoded here, so their markers are checked: baseline, of the configured size, 4:2:0 or
 * 4:2:2 with 8-bit tables, which is what RTP can carry (RFC 2435), and whole.
 */
#ifndef VOLET_CAM_JPEG_H
#define VOLET_CAM_JPEG_H

#include <glib.h>

/*
 * NULL when it is good, and its length to the end of its last marker in `used` (cameras
 * leave old bytes after it); else what it is, to follow "frames that are".
 */
const char *jpeg_check(const guint8 *data, gsize size, guint width, guint height, gsize *used);

#endif
