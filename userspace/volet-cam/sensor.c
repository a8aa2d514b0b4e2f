// SPDX-License-Identifier: MIT
/* Reading and setting the sensor's light controls; see sensor.h. */
#include "sensor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/v4l2-subdev.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "capture.h"
#include "error.h"

/* A control that can be read, as it is now; FALSE where there is none. */
static gboolean query(int fd, guint32 id, struct v4l2_query_ext_ctrl *ctrl)
{
	*ctrl = (struct v4l2_query_ext_ctrl){ .id = id };
	return ioctl(fd, VIDIOC_QUERY_EXT_CTRL, ctrl) == 0 &&
	       !(ctrl->flags & V4L2_CTRL_FLAG_DISABLED);
}

static gboolean settable(int fd, guint32 id, struct v4l2_query_ext_ctrl *ctrl)
{
	return query(fd, id, ctrl) && ctrl->type == V4L2_CTRL_TYPE_INTEGER &&
	       !(ctrl->flags & V4L2_CTRL_FLAG_READ_ONLY);
}

static gboolean get(int fd, guint32 id, gint64 *value)
{
	struct v4l2_query_ext_ctrl ctrl;
	struct v4l2_ext_control one = { .id = id };
	struct v4l2_ext_controls all = {
		.which = V4L2_CTRL_WHICH_CUR_VAL, .count = 1, .controls = &one,
	};

	if (!query(fd, id, &ctrl) || ioctl(fd, VIDIOC_G_EXT_CTRLS, &all) < 0)
		return FALSE;
	*value = ctrl.type == V4L2_CTRL_TYPE_INTEGER64 ? one.value64 : one.value;
	return TRUE;
}

static gint32 value_of(int fd, guint32 id)
{
	gint64 value = 0;

	return get(fd, id, &value) ? (gint32)value : 0;
}

/* Sets to what the driver makes of it. */
static gboolean set(int fd, guint32 id, gint32 *value, const char *name, GError **error)
{
	struct v4l2_ext_control one = { .id = id, .value = *value };
	struct v4l2_ext_controls all = {
		.which = V4L2_CTRL_WHICH_CUR_VAL, .count = 1, .controls = &one,
	};

	if (ioctl(fd, VIDIOC_S_EXT_CTRLS, &all) < 0)
		return cam_error(error, errno, "setting %s to %d", name, *value);
	*value = one.value;
	return TRUE;
}

/* Some sensors and bridges do it themselves; two loops on one picture would fight. */
static const char *own_exposure(int fd)
{
	gint64 value;

	if (get(fd, V4L2_CID_EXPOSURE_AUTO, &value) && value != V4L2_EXPOSURE_MANUAL)
		return "it does that itself (auto_exposure)";
	if (get(fd, V4L2_CID_AUTOGAIN, &value) && value)
		return "it does that itself (gain_automatic)";
	return NULL;
}

/*
 * How long lines and frames are. A frame is the part of the pixel array that is read out, and the
 * blanking after each line and after the last; the pixel rate is that of the array.
 */
static void read_timing(struct sensor *s, gboolean keep_blanking, struct sensor_light *light)
{
	struct v4l2_subdev_selection crop = {
		.which = V4L2_SUBDEV_FORMAT_ACTIVE, .target = V4L2_SEL_TGT_CROP,
	};
	struct v4l2_subdev_format format = { .which = V4L2_SUBDEV_FORMAT_ACTIVE };
	struct v4l2_query_ext_ctrl vblank;
	gint64 rate, hblank, now;
	guint32 width;

	if (ioctl(s->fd, VIDIOC_SUBDEV_G_SELECTION, &crop) == 0) {
		width = crop.r.width;
		s->height = (gint32)crop.r.height;
	} else if (ioctl(s->fd, VIDIOC_SUBDEV_G_FMT, &format) == 0) {
		width = format.format.width;
		s->height = (gint32)format.format.height;
	} else {
		return;
	}
	if (!get(s->fd, V4L2_CID_PIXEL_RATE, &rate) || !get(s->fd, V4L2_CID_HBLANK, &hblank) ||
	    rate <= 0 || width + hblank <= 0)
		return;
	light->range.line_rate = (double)rate / (double)(width + hblank);
	if (!settable(s->fd, V4L2_CID_VBLANK, &vblank) || !get(s->fd, V4L2_CID_VBLANK, &now))
		return;
	/* A blanking of the last run, when it was dark, is not the rate that is to be. */
	if (!keep_blanking)
		now = vblank.default_value;
	light->range.frame = s->height + (gint32)now;
	light->range.frame_max = s->height + (gint32)vblank.maximum;
}

/* Bring the frame to what it is to be, and see how long an exposure that allows. */
static gboolean read_exposure(struct sensor *s, const struct volet_camera_config *config,
			      struct sensor_light *light, GError **error)
{
	struct v4l2_query_ext_ctrl ctrl;
	gint32 blanking;

	read_timing(s, !config->light.slowest_rate || strstr(config->controls, "vertical_blanking"),
		    light);
	blanking = light->range.frame - s->height;
	if (light->range.frame && config->light.slowest_rate &&
	    !set(s->fd, V4L2_CID_VBLANK, &blanking, "vertical_blanking", error))
		return FALSE;
	if (!settable(s->fd, V4L2_CID_EXPOSURE, &ctrl))
		return cam_error(error, 0, "it has no exposure to set");
	light->range.lines_min = (gint32)ctrl.minimum;
	light->range.lines_max = (gint32)ctrl.maximum;
	s->gain = V4L2_CID_ANALOGUE_GAIN;
	if (!settable(s->fd, s->gain, &ctrl)) {
		s->gain = V4L2_CID_GAIN;
		if (!settable(s->fd, s->gain, &ctrl))
			return cam_error(error, 0, "it has no analogue_gain or gain to set");
	}
	light->range.gain_min = (gint32)ctrl.minimum;
	light->range.gain_max = (gint32)ctrl.maximum;
	light->exposure.lines = value_of(s->fd, V4L2_CID_EXPOSURE);
	light->exposure.gain = value_of(s->fd, s->gain);
	light->exposure.frame = config->light.slowest_rate ? light->range.frame : 0;
	light->has_exposure = TRUE;
	return TRUE;
}

static gboolean find_exposure(struct sensor *s, const struct volet_camera_config *config,
			      struct sensor_light *light, GError **error)
{
	struct exposure trial;
	const char *why = own_exposure(s->fd);

	if (why) {
		g_strlcpy(light->exposure_note, why, sizeof(light->exposure_note));
		return TRUE;
	}
	if (!read_exposure(s, config, light, error))
		return FALSE;
	why = exposure_init(&trial, &config->light, &light->range, &light->exposure);
	light->has_exposure = why == NULL;
	return !why || cam_error(error, 0, "%s", why);
}

static gboolean read_gain(int fd, guint32 id, struct balance_range *range, gint32 *now)
{
	struct v4l2_query_ext_ctrl ctrl;

	if (!settable(fd, id, &ctrl))
		return FALSE;
	*range = (struct balance_range){
		.min = (gint32)ctrl.minimum, .max = (gint32)ctrl.maximum,
		.preset = (gint32)ctrl.default_value, .step = (gint32)ctrl.step,
	};
	*now = value_of(fd, id);
	return TRUE;
}

static gboolean find_balance(struct sensor *s, struct sensor_light *light, GError **error)
{
	struct balance trial;
	const char *why = NULL;
	gint64 own;

	if (get(s->isp, V4L2_CID_AUTO_WHITE_BALANCE, &own) && own) {
		g_strlcpy(light->balance_note, "it does that itself (white_balance_automatic)",
			  sizeof(light->balance_note));
		return TRUE;
	}
	if (!read_gain(s->isp, V4L2_CID_RED_BALANCE, &light->red, &light->balance.red) ||
	    !read_gain(s->isp, V4L2_CID_BLUE_BALANCE, &light->blue, &light->balance.blue))
		return cam_error(error, 0, "it has no red_balance and blue_balance to set");
	why = balance_init(&trial, &light->red, &light->blue, &light->balance);
	light->has_balance = why == NULL;
	return !why || cam_error(error, 0, "%s", why);
}

static int open_entity(struct media *media, const char *entity, GError **error)
{
	g_autofree char *node = media_node(media, entity, error);
	int fd = node ? open(node, O_RDWR | O_CLOEXEC) : -1;

	if (node && fd < 0)
		cam_error(error, errno,
			  "opening %s, the node of \"%s\"; give it to the group of volet-cam", node,
			  entity);
	return fd;
}

/* Why there is no such loop: a note where the configuration leaves it open, else an error. */
static gboolean without(const char *key, const char *entity, enum volet_light_mode mode,
			const GError *why, char *note, GError **error)
{
	if (mode == VOLET_LIGHT_AUTO) {
		cam_error(error, 0, "%s = auto for \"%s\": %s", key, entity, why->message);
		return cam_error_code(error, why->code);
	}
	g_strlcpy(note, why->message, SENSOR_NOTE_MAX);
	return TRUE;
}

/* A node that nothing is set on isn't kept. */
static void close_unused(int *fd, gboolean used)
{
	if (used || *fd < 0)
		return;
	close(*fd);
	*fd = -1;
}

static gboolean open_exposure(struct sensor *s, struct media *media,
			      const struct volet_camera_config *config, struct sensor_light *light,
			      GError **error)
{
	g_autoptr(GError) why = NULL;
	gboolean ok;

	if (config->light.exposure == VOLET_LIGHT_FIXED)
		return TRUE;
	s->fd = open_entity(media, config->sensor, &why);
	ok = s->fd >= 0 && find_exposure(s, config, light, &why);
	close_unused(&s->fd, ok && light->has_exposure);
	return ok || without("exposure", config->sensor, config->light.exposure, why,
			     light->exposure_note, error);
}

static gboolean open_balance(struct sensor *s, struct media *media,
			     const struct volet_camera_config *config, struct sensor_light *light,
			     GError **error)
{
	g_autoptr(GError) why = NULL;
	gboolean ok;

	if (config->light.white_balance == VOLET_LIGHT_FIXED)
		return TRUE;
	s->isp = open_entity(media, config->light.isp, &why);
	ok = s->isp >= 0 && find_balance(s, light, &why);
	close_unused(&s->isp, ok && light->has_balance);
	return ok || without("white-balance", config->light.isp, config->light.white_balance, why,
			     light->balance_note, error);
}

gboolean sensor_open(struct sensor *s, struct media *media,
		     const struct volet_camera_config *config, struct sensor_light *light,
		     GError **error)
{
	*s = (struct sensor){ .fd = -1, .isp = -1 };
	memset(light, 0, sizeof(*light));
	if (open_exposure(s, media, config, light, error) &&
	    open_balance(s, media, config, light, error))
		return TRUE;
	sensor_close(s);
	return FALSE;
}

void sensor_close(struct sensor *s)
{
	if (s->fd >= 0)
		close(s->fd);
	if (s->isp >= 0)
		close(s->isp);
	s->fd = -1;
	s->isp = -1;
}

/*
 * Longer frames before a longer exposure, shorter ones after a shorter: an exposure beyond the
 * frame would be cut.
 */
static gboolean set_exposure(struct sensor *s, struct exposure_setting *want, GError **error)
{
	gint32 blanking = want->frame - s->height;
	gboolean grows = want->frame && blanking > value_of(s->fd, V4L2_CID_VBLANK);

	if (grows && !set(s->fd, V4L2_CID_VBLANK, &blanking, "vertical_blanking", error))
		return FALSE;
	if (!set(s->fd, V4L2_CID_EXPOSURE, &want->lines, "exposure", error) ||
	    !set(s->fd, s->gain, &want->gain, "gain", error))
		return FALSE;
	if (want->frame && !grows &&
	    !set(s->fd, V4L2_CID_VBLANK, &blanking, "vertical_blanking", error))
		return FALSE;
	if (want->frame)
		want->frame = s->height + blanking;
	return TRUE;
}

static gboolean set_balance(struct sensor *s, struct balance_setting *want, GError **error)
{
	return set(s->isp, V4L2_CID_RED_BALANCE, &want->red, "red_balance", error) &&
	       set(s->isp, V4L2_CID_BLUE_BALANCE, &want->blue, "blue_balance", error);
}

gboolean sensor_set(struct sensor *s, struct sensor_values *values, GError **error)
{
	gboolean exposure = values->what & SENSOR_EXPOSURE, balance = values->what & SENSOR_BALANCE;

	if ((exposure && s->fd < 0) || (balance && s->isp < 0))
		return cam_error(error, ENODEV, "there is nothing to set");
	if ((exposure && !set_exposure(s, &values->exposure, error)) ||
	    (balance && !set_balance(s, &values->balance, error)))
		return FALSE;
	values->set_ns = capture_now();
	return TRUE;
}
