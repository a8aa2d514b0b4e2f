/* SPDX-License-Identifier: MIT */
/*
 * What a camera section asks of its media graph: applied, read back and compared. A graph
 * that is not as it was asked for is an error, never something to make do with.
 */
#ifndef VOLET_CAM_SETUP_H
#define VOLET_CAM_SETUP_H

#include "config.h"
#include "media.h"

/* Links, formats and controls, in this order. */
gboolean setup_graph(struct media *media, const struct volet_camera_config *config, GError **error);

/* Set controls in v4l2-ctl's spelling ("exposure=1000; vertical_blanking=5670") on an open node. */
gboolean setup_controls(int fd, const char *entity, const char *controls, GError **error);

/* "Vertical Blanking" as v4l2-ctl spells it: "vertical_blanking". */
void setup_control_name(const char *name, char *spelt, gsize size);

#endif
