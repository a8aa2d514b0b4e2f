// SPDX-License-Identifier: MIT
/* The media device, its topology and nodes; see media.h. */
#include "media.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "error.h"

static gpointer array(guint64 ptr)
{
	return (gpointer)(guintptr)ptr;
}

static void free_topology(struct media_v2_topology *t)
{
	g_free(array(t->ptr_entities));
	g_free(array(t->ptr_interfaces));
	g_free(array(t->ptr_pads));
	g_free(array(t->ptr_links));
	memset(t, 0, sizeof(*t));
}

gboolean media_refresh(struct media *media, GError **error)
{
	struct media_v2_topology *t = &media->topology;
	guint tries;

	/* Counts first, then contents; the graph may have grown in between. */
	for (tries = 0; tries < 8; tries++) {
		free_topology(t);
		if (ioctl(media->fd, MEDIA_IOC_G_TOPOLOGY, t) < 0)
			break;
		t->ptr_entities = (guintptr)g_new0(struct media_v2_entity, t->num_entities + 1);
		t->ptr_interfaces =
			(guintptr)g_new0(struct media_v2_interface, t->num_interfaces + 1);
		t->ptr_pads = (guintptr)g_new0(struct media_v2_pad, t->num_pads + 1);
		t->ptr_links = (guintptr)g_new0(struct media_v2_link, t->num_links + 1);
		if (ioctl(media->fd, MEDIA_IOC_G_TOPOLOGY, t) == 0)
			return TRUE;
		if (errno != ENOSPC)
			break;
	}
	return cam_error(error, errno, "%s: reading the media graph", media->path);
}

/* Open `path` when it is the media device asked for; else note what it is. */
static struct media *try_open(const char *path, const char *bus_info, GString *seen)
{
	struct media_device_info info = { 0 };
	struct media *media;
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		g_string_append_printf(seen, "%s%s can't be opened (%s)", seen->len ? ", " : "",
				       path, g_strerror(errno));
		return NULL;
	}
	if (ioctl(fd, MEDIA_IOC_DEVICE_INFO, &info) < 0 ||
	    strncmp(info.bus_info, bus_info, sizeof(info.bus_info))) {
		g_string_append_printf(seen, "%s%s is \"%.32s\" (%.16s)", seen->len ? ", " : "",
				       path, info.bus_info, info.driver);
		close(fd);
		return NULL;
	}
	media = g_new0(struct media, 1);
	media->fd = fd;
	g_strlcpy(media->path, path, sizeof(media->path));
	g_strlcpy(media->driver, info.driver, sizeof(media->driver));
	g_strlcpy(media->bus_info, info.bus_info, sizeof(media->bus_info));
	return media;
}

struct media *media_open(const char *bus_info, GError **error)
{
	g_autoptr(GString) seen = g_string_new(NULL);
	g_autoptr(GDir) dir = g_dir_open("/dev", 0, NULL);
	struct media *media = NULL;
	const char *name;

	while (dir && !media && (name = g_dir_read_name(dir))) {
		g_autofree char *path = g_strconcat("/dev/", name, NULL);

		if (g_str_has_prefix(name, "media") && g_ascii_isdigit(name[5]))
			media = try_open(path, bus_info, seen);
	}
	if (!media) {
		cam_error(error, 0,
			  "no media device has bus-info \"%s\": %s. Load the camera's driver, "
			  "give its nodes to the group of volet-cam, or correct `media`",
			  bus_info,
			  seen->len ? seen->str : "this machine has no /dev/media* at all");
		cam_error_code(error, ENODEV);
		return NULL;
	}
	if (!media_refresh(media, error)) {
		media_close(media);
		return NULL;
	}
	return media;
}

void media_close(struct media *media)
{
	if (!media)
		return;
	free_topology(&media->topology);
	close(media->fd);
	g_free(media);
}

const struct media_v2_entity *media_entity(const struct media *media, const char *name,
					   GError **error)
{
	const struct media_v2_entity *entities = array(media->topology.ptr_entities);
	g_autoptr(GString) names = g_string_new(NULL);
	guint i;

	for (i = 0; i < media->topology.num_entities; i++) {
		if (!strncmp(entities[i].name, name, sizeof(entities[i].name)))
			return &entities[i];
		g_string_append_printf(names, "%s\"%s\"", i ? ", " : "", entities[i].name);
	}
	cam_error(error, 0, "%s has no entity \"%s\"; it has %s", media->bus_info, name,
		  names->str);
	/* A sensor that is unplugged is missing here, while its receiver stays. */
	cam_error_code(error, ENODEV);
	return NULL;
}

static const struct media_v2_interface *interface_of(const struct media *media, guint32 entity)
{
	const struct media_v2_interface *interfaces = array(media->topology.ptr_interfaces);
	const struct media_v2_link *links = array(media->topology.ptr_links);
	guint i, j;

	for (i = 0; i < media->topology.num_links; i++) {
		if ((links[i].flags & MEDIA_LNK_FL_LINK_TYPE) != MEDIA_LNK_FL_INTERFACE_LINK ||
		    links[i].sink_id != entity)
			continue;
		for (j = 0; j < media->topology.num_interfaces; j++)
			if (interfaces[j].id == links[i].source_id)
				return &interfaces[j];
	}
	return NULL;
}

char *media_node(const struct media *media, const char *name, GError **error)
{
	const struct media_v2_entity *entity = media_entity(media, name, error);
	const struct media_v2_interface *intf;
	g_autofree char *uevent = NULL, *text = NULL;
	char *line;

	if (!entity)
		return NULL;
	intf = interface_of(media, entity->id);
	if (!intf) {
		cam_error(error, 0, "the entity \"%s\" of %s has no node under /dev", name,
			  media->bus_info);
		return NULL;
	}
	uevent = g_strdup_printf("/sys/dev/char/%u:%u/uevent", intf->devnode.major,
				 intf->devnode.minor);
	if (!g_file_get_contents(uevent, &text, NULL, error))
		return NULL;
	line = strstr(text, "DEVNAME=");
	if (!line) {
		cam_error(error, 0, "%s doesn't name the node of \"%s\"", uevent, name);
		return NULL;
	}
	line += strlen("DEVNAME=");
	return g_strdup_printf("/dev/%.*s", (int)strcspn(line, "\n"), line);
}

static const struct media_v2_pad *find_pad(const struct media *media, guint32 entity, guint index)
{
	const struct media_v2_pad *pads = array(media->topology.ptr_pads);
	guint i;

	for (i = 0; i < media->topology.num_pads; i++)
		if (pads[i].entity_id == entity && pads[i].index == index)
			return &pads[i];
	return NULL;
}

static const struct media_v2_pad *named_pad(const struct media *media, const char *name,
					    guint index, GError **error)
{
	const struct media_v2_entity *entity = media_entity(media, name, error);
	const struct media_v2_pad *pad;

	if (!entity)
		return NULL;
	pad = find_pad(media, entity->id, index);
	if (!pad)
		cam_error(error, 0, "the entity \"%s\" of %s has no pad %u", name, media->bus_info,
			  index);
	return pad;
}

static const struct media_v2_link *find_link(const struct media *media, guint32 source,
					     guint32 sink)
{
	const struct media_v2_link *links = array(media->topology.ptr_links);
	guint i;

	for (i = 0; i < media->topology.num_links; i++)
		if ((links[i].flags & MEDIA_LNK_FL_LINK_TYPE) == MEDIA_LNK_FL_DATA_LINK &&
		    links[i].source_id == source && links[i].sink_id == sink)
			return &links[i];
	return NULL;
}

gboolean media_link(struct media *media, const struct media_link_request *r, GError **error)
{
	const struct media_v2_pad *from = named_pad(media, r->from, r->from_pad, error);
	const struct media_v2_pad *to = from ? named_pad(media, r->to, r->to_pad, error) : NULL;
	const struct media_v2_link *link;
	struct media_link_desc desc;
	gboolean enabled;

	if (!to)
		return FALSE;
	link = find_link(media, from->id, to->id);
	if (!link)
		return cam_error(error, 0,
				 "%s has no link \"%s\":%u -> \"%s\":%u; `media-ctl -d %s -p` "
				 "shows those it has",
				 media->bus_info, r->from, r->from_pad, r->to, r->to_pad,
				 media->path);
	enabled = link->flags & MEDIA_LNK_FL_ENABLED ? TRUE : FALSE;
	if (enabled == r->enable)
		return TRUE;
	if (link->flags & MEDIA_LNK_FL_IMMUTABLE)
		return cam_error(error, 0,
				 "the link \"%s\":%u -> \"%s\":%u is immutable and %s: remove it "
				 "from `links`",
				 r->from, r->from_pad, r->to, r->to_pad, enabled ? "on" : "off");
	desc = (struct media_link_desc) {
		.source = { .entity = from->entity_id,
			    .index = (guint16)r->from_pad,
			    .flags = MEDIA_PAD_FL_SOURCE },
		.sink = { .entity = to->entity_id,
			  .index = (guint16)r->to_pad,
			  .flags = MEDIA_PAD_FL_SINK },
		.flags = (link->flags & ~(guint32)MEDIA_LNK_FL_ENABLED) |
			 (r->enable ? MEDIA_LNK_FL_ENABLED : 0),
	};
	if (ioctl(media->fd, MEDIA_IOC_SETUP_LINK, &desc) < 0)
		return cam_error(error, errno, "setting the link \"%s\":%u -> \"%s\":%u%s", r->from,
				 r->from_pad, r->to, r->to_pad,
				 errno == EBUSY ? CAM_BUSY : "");
	if (!media_refresh(media, error))
		return FALSE;
	link = find_link(media, from->id, to->id);
	enabled = link && link->flags & MEDIA_LNK_FL_ENABLED ? TRUE : FALSE;
	if (enabled != r->enable)
		return cam_error(error, 0,
				 "the link \"%s\":%u -> \"%s\":%u was set and is not as it was set",
				 r->from, r->from_pad, r->to, r->to_pad);
	return TRUE;
}

gboolean media_remote(const struct media *media, const char *name, guint pad, const char **remote,
		      guint *remote_pad)
{
	const struct media_v2_entity *entity = media_entity(media, name, NULL);
	const struct media_v2_entity *entities = array(media->topology.ptr_entities);
	const struct media_v2_pad *pads = array(media->topology.ptr_pads);
	const struct media_v2_link *links = array(media->topology.ptr_links);
	const struct media_v2_pad *from = entity ? find_pad(media, entity->id, pad) : NULL;
	guint32 sink = 0;
	guint i, j;

	for (i = 0; from && i < media->topology.num_links; i++)
		if ((links[i].flags & MEDIA_LNK_FL_LINK_TYPE) == MEDIA_LNK_FL_DATA_LINK &&
		    (links[i].flags & MEDIA_LNK_FL_ENABLED) && links[i].source_id == from->id)
			sink = links[i].sink_id;
	for (i = 0; sink && i < media->topology.num_pads; i++) {
		if (pads[i].id != sink)
			continue;
		for (j = 0; j < media->topology.num_entities; j++) {
			if (entities[j].id != pads[i].entity_id)
				continue;
			*remote = entities[j].name;
			*remote_pad = pads[i].index;
			return TRUE;
		}
	}
	return FALSE;
}
