// SPDX-License-Identifier: MIT
/* Applying a camera section's links and formats, and reading back what became; see setup.h. */
#include "setup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/v4l2-subdev.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "error.h"
#include "syntax.h"

static gboolean apply_links(struct media *media, const char *text, GError **error)
{
	g_autoptr(GArray) links = syntax_links(text, error);
	guint i;

	for (i = 0; links && i < links->len; i++) {
		const struct syntax_link *link = &g_array_index(links, struct syntax_link, i);
		struct media_link_request request = {
			.from = link->source.entity, .from_pad = link->source.pad,
			.to = link->sink.entity, .to_pad = link->sink.pad, .enable = link->enable,
		};

		if (!media_link(media, &request, error))
			return FALSE;
	}
	return links != NULL;
}

static int open_entity(struct media *media, const char *entity, GError **error)
{
	g_autofree char *node = media_node(media, entity, error);
	int fd;

	if (!node)
		return -1;
	fd = open(node, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		cam_error(error, errno,
			  "opening %s, the node of \"%s\"; give it to the group of volet-cam", node,
			  entity);
	return fd;
}

static gboolean set_rect(int fd, const struct syntax_format *f, guint32 target, const char *what,
			 const struct syntax_rect *rect, GError **error)
{
	struct v4l2_subdev_selection sel = {
		.which = V4L2_SUBDEV_FORMAT_ACTIVE,
		.pad = f->pad.pad,
		.target = target,
		.r = { .left = rect->left,
		       .top = rect->top,
		       .width = rect->width,
		       .height = rect->height },
	};

	if (!rect->set)
		return TRUE;
	if (ioctl(fd, VIDIOC_SUBDEV_S_SELECTION, &sel) < 0)
		return cam_error(error, errno, "\"%s\":%u: setting %s", f->pad.entity, f->pad.pad,
				 what);
	if (sel.r.left != rect->left || sel.r.top != rect->top || sel.r.width != rect->width ||
	    sel.r.height != rect->height)
		return cam_error(error, 0,
				 "\"%s\":%u: %s:(%d,%d)/%ux%u was asked for and the device makes "
				 "it (%d,%d)/%ux%u: correct `formats`",
				 f->pad.entity, f->pad.pad, what, rect->left, rect->top,
				 rect->width, rect->height, sel.r.left, sel.r.top, sel.r.width,
				 sel.r.height);
	return TRUE;
}

/* Set the format of one pad, read it back, and compare. */
static gboolean set_format(int fd, const struct syntax_pad *pad,
			   const struct v4l2_mbus_framefmt *want, struct v4l2_mbus_framefmt *got,
			   GError **error)
{
	struct v4l2_subdev_format format = {
		.which = V4L2_SUBDEV_FORMAT_ACTIVE, .pad = pad->pad, .format = *want,
	};

	if (ioctl(fd, VIDIOC_SUBDEV_S_FMT, &format) < 0)
		return cam_error(error, errno, "\"%s\":%u: setting its format%s", pad->entity, pad->pad,
				 errno == EBUSY ? CAM_BUSY :
				 errno == EINVAL ? " (has it such a pad?)" : "");
	memset(&format.format, 0, sizeof(format.format));
	if (ioctl(fd, VIDIOC_SUBDEV_G_FMT, &format) < 0)
		return cam_error(error, errno, "\"%s\":%u: reading its format back", pad->entity,
				 pad->pad);
	*got = format.format;
	if (got->code != want->code || got->width != want->width || got->height != want->height) {
		g_autofree char *code = g_strdup(syntax_code_name(want->code));

		return cam_error(error, 0,
				 "\"%s\":%u: %s/%ux%u was asked for and the device makes it "
				 "%s/%ux%u: correct `formats`, or the format of the pad it "
				 "depends on before it",
				 pad->entity, pad->pad, code, want->width, want->height,
				 syntax_code_name(got->code), got->width, got->height);
	}
	return TRUE;
}

/* The other end of the link gets the same, as media-ctl does it. */
static gboolean propagate(struct media *media, const struct syntax_pad *pad,
			  const struct v4l2_mbus_framefmt *format, GError **error)
{
	const struct media_v2_entity *entity;
	struct v4l2_mbus_framefmt got;
	struct syntax_pad remote = { 0 };
	const char *name;
	gboolean ok;
	int fd;

	if (!media_remote(media, pad->entity, pad->pad, &name, &remote.pad))
		return TRUE;
	entity = media_entity(media, name, NULL);
	if (!entity || entity->function == MEDIA_ENT_F_IO_V4L)
		return TRUE;
	g_strlcpy(remote.entity, name, sizeof(remote.entity));
	fd = open_entity(media, name, error);
	if (fd < 0)
		return FALSE;
	ok = set_format(fd, &remote, format, &got, error);
	close(fd);
	return ok;
}

static gboolean apply_format(struct media *media, const struct syntax_format *f, GError **error)
{
	struct v4l2_mbus_framefmt got, want = {
		.code = f->code, .width = f->width, .height = f->height, .field = V4L2_FIELD_NONE,
	};
	gboolean ok;
	int fd = open_entity(media, f->pad.entity, error);

	if (fd < 0)
		return FALSE;
	ok = (!f->set || set_format(fd, &f->pad, &want, &got, error)) &&
	     set_rect(fd, f, V4L2_SEL_TGT_CROP, "crop", &f->crop, error) &&
	     set_rect(fd, f, V4L2_SEL_TGT_COMPOSE, "compose", &f->compose, error);
	close(fd);
	return ok && (!f->set || propagate(media, &f->pad, &got, error));
}

static gboolean apply_formats(struct media *media, const char *text, GError **error)
{
	g_autoptr(GArray) formats = syntax_formats(text, error);
	guint i;

	for (i = 0; formats && i < formats->len; i++)
		if (!apply_format(media, &g_array_index(formats, struct syntax_format, i), error))
			return FALSE;
	return formats != NULL;
}

gboolean setup_graph(struct media *media, const struct volet_camera_config *config, GError **error)
{
	gboolean ok;
	int fd;

	if (!apply_links(media, config->links, error)) {
		g_prefix_error(error, "links: ");
		return FALSE;
	}
	if (!apply_formats(media, config->formats, error)) {
		g_prefix_error(error, "formats: ");
		return FALSE;
	}
	if (!*config->controls)
		return TRUE;
	fd = open_entity(media, config->sensor, error);
	ok = fd >= 0 && setup_controls(fd, config->sensor, config->controls, error);
	if (fd >= 0)
		close(fd);
	if (!ok)
		g_prefix_error(error, "controls: ");
	return ok;
}
