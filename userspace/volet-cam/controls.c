// SPDX-License-Identifier: MIT
/* Controls by the names that v4l2-ctl gives them; see setup.h. */
#include <errno.h>
#include <linux/videodev2.h>
#include <string.h>
#include <sys/ioctl.h>

#include "error.h"
#include "setup.h"
#include "syntax.h"

/* Letters and digits in lower case; all between two of them becomes one underscore. */
void setup_control_name(const char *name, char *spelt, gsize size)
{
	gboolean gap = FALSE;
	gsize n = 0;

	for (; *name && n + 2 < size; name++) {
		if (!g_ascii_isalnum(*name)) {
			gap = TRUE;
			continue;
		}
		if (gap && n)
			spelt[n++] = '_';
		gap = FALSE;
		spelt[n++] = g_ascii_tolower(*name);
	}
	spelt[n] = '\0';
}

static gboolean find_control(int fd, const char *entity, const char *name,
			     struct v4l2_query_ext_ctrl *ctrl, GError **error)
{
	g_autoptr(GString) names = g_string_new(NULL);
	guint32 id = 0;

	for (;;) {
		char spelt[sizeof(ctrl->name)];

		memset(ctrl, 0, sizeof(*ctrl));
		ctrl->id = id | V4L2_CTRL_FLAG_NEXT_CTRL;
		if (ioctl(fd, VIDIOC_QUERY_EXT_CTRL, ctrl) < 0)
			break;
		id = ctrl->id;
		if (ctrl->type == V4L2_CTRL_TYPE_CTRL_CLASS ||
		    ctrl->flags & V4L2_CTRL_FLAG_DISABLED)
			continue;
		setup_control_name(ctrl->name, spelt, sizeof(spelt));
		if (!strcmp(spelt, name))
			return TRUE;
		g_string_append_printf(names, "%s%s", names->len ? ", " : "", spelt);
	}
	if (errno == ENODEV)
		return cam_error(error, errno, "reading the controls of \"%s\"", entity);
	return cam_error(error, 0, "\"%s\" has no control %s; it has %s", entity, name,
			 names->len ? names->str : "none");
}

static gboolean check_value(const char *entity, const struct syntax_control *want,
			    const struct v4l2_query_ext_ctrl *ctrl, GError **error)
{
	switch (ctrl->type) {
	case V4L2_CTRL_TYPE_INTEGER:
	case V4L2_CTRL_TYPE_INTEGER64:
	case V4L2_CTRL_TYPE_BOOLEAN:
	case V4L2_CTRL_TYPE_MENU:
	case V4L2_CTRL_TYPE_INTEGER_MENU:
	case V4L2_CTRL_TYPE_BITMASK:
		break;
	default:
		return cam_error(error, 0,
				 "%s of \"%s\" is not a number and can't be set here: remove it",
				 want->name, entity);
	}
	if (ctrl->flags & V4L2_CTRL_FLAG_READ_ONLY)
		return cam_error(error, 0, "%s of \"%s\" is read-only: remove it", want->name,
				 entity);
	if (want->value < ctrl->minimum || want->value > ctrl->maximum)
		return cam_error(error, 0,
				 "%s=%" G_GINT64_FORMAT
				 " is out of the range of \"%s\": write %lld to %lld",
				 want->name, want->value, entity, ctrl->minimum, ctrl->maximum);
	return TRUE;
}

static gboolean set_control(int fd, const char *entity, const struct syntax_control *want,
			    GError **error)
{
	struct v4l2_query_ext_ctrl ctrl;
	struct v4l2_ext_control value = { 0 };
	struct v4l2_ext_controls values = { .which = V4L2_CTRL_WHICH_CUR_VAL,
					    .count = 1,
					    .controls = &value };
	gint64 got;

	if (!find_control(fd, entity, want->name, &ctrl, error) ||
	    !check_value(entity, want, &ctrl, error))
		return FALSE;
	value.id = ctrl.id;
	if (ctrl.type == V4L2_CTRL_TYPE_INTEGER64)
		value.value64 = want->value;
	else
		value.value = (gint32)want->value;
	if (ioctl(fd, VIDIOC_S_EXT_CTRLS, &values) < 0 ||
	    ioctl(fd, VIDIOC_G_EXT_CTRLS, &values) < 0)
		return cam_error(error, errno, "setting %s of \"%s\"%s", want->name, entity,
				 errno == EBUSY ? CAM_BUSY : "");
	got = ctrl.type == V4L2_CTRL_TYPE_INTEGER64 ? value.value64 : value.value;
	if (got != want->value)
		return cam_error(error, 0,
				 "%s=%" G_GINT64_FORMAT " was asked of \"%s\" and it makes it %"
				 G_GINT64_FORMAT " (its step is %llu): write that",
				 want->name, want->value, entity, got, ctrl.step);
	return TRUE;
}

gboolean setup_controls(int fd, const char *entity, const char *text, GError **error)
{
	g_autoptr(GArray) controls = syntax_controls(text, error);
	guint i;

	/* One by one, and each range read anew: blanking, say, changes the range of exposure. */
	for (i = 0; controls && i < controls->len; i++)
		if (!set_control(fd, entity, &g_array_index(controls, struct syntax_control, i),
				 error))
			return FALSE;
	return controls != NULL;
}
