/* SPDX-License-Identifier: MIT */
/*
 * A media device and its graph. It is found by its bus-info and its nodes by the names of
 * their entities, never by a number: numbers are whatever the order of probing made them.
 */
#ifndef VOLET_CAM_MEDIA_H
#define VOLET_CAM_MEDIA_H

#include <glib.h>
#include <linux/media.h>

struct media {
	int fd;
	char path[32];		/* /dev/mediaN */
	char driver[17];
	char bus_info[33];
	struct media_v2_topology topology;
};

/* NULL with an error that names the media devices that there are. */
struct media *media_open(const char *bus_info, GError **error);
void media_close(struct media *media);	/* also right for NULL */

/* The entity, or NULL with an error that names those that there are. */
const struct media_v2_entity *media_entity(const struct media *media, const char *name,
					   GError **error);

/* The path of the entity's node under /dev, or NULL with an error. */
char *media_node(const struct media *media, const char *entity, GError **error);

/*
 * Link or unlink two pads, which must be known as a link; `from` and `to` are names. Read the
 * topology again afterwards to see what became of it: media_refresh().
 */
struct media_link_request {
	const char *from, *to;
	guint from_pad, to_pad;
	gboolean enable;
};

gboolean media_link(struct media *media, const struct media_link_request *request, GError **error);
gboolean media_refresh(struct media *media, GError **error);

/* The pad at the other end of the enabled link from this source pad; FALSE where there is none. */
gboolean media_remote(const struct media *media, const char *entity, guint pad,
		      const char **remote, guint *remote_pad);

#endif
