// SPDX-License-Identifier: GPL-2.0-only
/*
 * GalaxyCore GC2053: 1/2.9 inch, 1920x1080, raw 10-bit CMOS image sensor on
 * MIPI CSI-2
 *
 * One mode, SRGGB10 1920x1080 on two lanes; the frame rate follows from the
 * vertical blanking and is 30 frames/s at the default one, 2.06 at the longest.
 *
 * The driver has been run against a model of the sensor only, not yet against
 * the sensor itself. Where its registers come from is said in gc2053-regs.h.
 */

#include <linux/bitfield.h>
#include <linux/clk.h>
#include <linux/delay.h>
#include <linux/gpio/consumer.h>
#include <linux/i2c.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pm_runtime.h>
#include <linux/regulator/consumer.h>
#include <linux/slab.h>
#include <linux/time64.h>

#include <media/v4l2-async.h>
#include <media/v4l2-ctrls.h>
#include <media/v4l2-event.h>
#include <media/v4l2-fwnode.h>
#include <media/v4l2-subdev.h>

#include "gc2053-cci.h"
#include "gc2053-gain.h"
#include "gc2053-regs.h"

/* Lines. Vendors' limits are 1 to 4 below and 1 to 16 above; the safe ends. */
#define GC2053_EXPOSURE_MIN		4
#define GC2053_EXPOSURE_MARGIN		16
#define GC2053_EXPOSURE_MAX		(GC2053_FRAME_LENGTH_MIN - \
					 GC2053_EXPOSURE_MARGIN)
#define GC2053_EXPOSURE_DEFAULT		1000

#define GC2053_HBLANK		(GC2053_LINE_LENGTH - GC2053_WIDTH)
#define GC2053_VBLANK_MIN	(GC2053_FRAME_LENGTH_MIN - GC2053_HEIGHT)
#define GC2053_VBLANK_MAX	(GC2053_FRAME_LENGTH_MAX - GC2053_HEIGHT)

/* HiSilicon's limit; the register would take twice as much. */
#define GC2053_DIGITAL_GAIN_MAX	(8 * GC2053_GAIN_UNITY)

/* I/O power has to be up 50 us before the others (family value, unverified). */
#define GC2053_SUPPLY_DELAY_US		100

/*
 * From the release of reset to the first register access. Rockchip waits 3 ms
 * and 8192 clock cycles (342 us); the family asks for 50 us and for 1200 clock
 * cycles (family values, unverified).
 */
#define GC2053_RESET_DELAY_US		(5 * USEC_PER_MSEC)

/*
 * From the last register access to reset: 2000 clock cycles, or 83 us (family
 * value, unverified).
 */
#define GC2053_QUIET_DELAY_US		100

#define GC2053_AUTOSUSPEND_MS		1000

/* No page has this number. */
#define GC2053_PAGE_UNKNOWN		0xff

#define GC2053_MBUS_CODE		MEDIA_BUS_FMT_SRGGB10_1X10

/*
 * 1928x1088 pixels see light, and the picture is the middle of them (family
 * values, unverified).
 */
static const struct v4l2_rect gc2053_native_area = {
	.width = GC2053_WIDTH + 8,
	.height = GC2053_HEIGHT + 8,
};

static const struct v4l2_rect gc2053_active_area = {
	.left = 4,
	.top = 4,
	.width = GC2053_WIDTH,
	.height = GC2053_HEIGHT,
};

static const s64 gc2053_link_freq_menu[] = {
	GC2053_LINK_FREQ,
};

/* In the order in which they are switched on */
static const char * const gc2053_supply_names[] = {
	"iovdd",	/* 1.7 to 2.8 V, I/O */
	"dvdd",		/* 1.15 to 1.3 V, digital core */
	"avdd",		/* 2.7 to 2.9 V, analogue */
};

#define GC2053_NUM_SUPPLIES		ARRAY_SIZE(gc2053_supply_names)

struct gc2053 {
	/* One for the binding, one for each registration with a receiver */
	struct kref kref;
	struct list_head orphan;

	struct device *dev;
	/* NULL once the driver is unbound; under the lock of the controls */
	struct regmap *regmap;

	struct v4l2_subdev sd;
	struct media_pad pad;

	struct clk *xclk;
	struct regulator_bulk_data supplies[GC2053_NUM_SUPPLIES];
	struct gpio_desc *powerdown_gpio;
	struct gpio_desc *reset_gpio;

	struct v4l2_ctrl_handler ctrl_handler;
	struct v4l2_ctrl *exposure;
	/* Cluster: both go into the pre-gain */
	struct {
		struct v4l2_ctrl *analogue_gain;
		struct v4l2_ctrl *digital_gain;
	};

	/* The page that the sensor is on */
	u8 page;
};

static inline struct gc2053 *to_gc2053(struct v4l2_subdev *sd)
{
	return container_of(sd, struct gc2053, sd);
}

/* -----------------------------------------------------------------------------
 * Lifetime
 *
 * A file on the sub-device's node may outlive the binding, and closing it uses
 * the sub-device, its controls and their lock. So does an ioctl that began
 * before the driver was unbound. Each registration keeps them until release(),
 * which comes when the last file is closed. Power, clock and bus are the
 * binding's only.
 *
 * After release() the framework clears sd->devnode: an orphan's memory can go
 * from then on, and does at the next probe or when the module goes.
 */

static LIST_HEAD(gc2053_orphans);
static DEFINE_MUTEX(gc2053_orphans_lock);

static void gc2053_free_orphans(void)
{
	struct gc2053 *gc2053, *next;

	mutex_lock(&gc2053_orphans_lock);
	list_for_each_entry_safe(gc2053, next, &gc2053_orphans, orphan) {
		if (READ_ONCE(gc2053->sd.devnode))
			continue;
		list_del(&gc2053->orphan);
		kfree(gc2053);
	}
	mutex_unlock(&gc2053_orphans_lock);
}

/* Of a probe that failed, too: what was not made yet is left alone. */
static void gc2053_free(struct kref *kref)
{
	struct gc2053 *gc2053 = container_of(kref, struct gc2053, kref);

	v4l2_subdev_cleanup(&gc2053->sd);
	media_entity_cleanup(&gc2053->sd.entity);
	v4l2_ctrl_handler_free(&gc2053->ctrl_handler);
	put_device(gc2053->dev);

	if (!gc2053->sd.devnode) {
		kfree(gc2053);
		return;
	}

	mutex_lock(&gc2053_orphans_lock);
	list_add(&gc2053->orphan, &gc2053_orphans);
	mutex_unlock(&gc2053_orphans_lock);
}

static void gc2053_put(void *data)
{
	struct gc2053 *gc2053 = data;

	kref_put(&gc2053->kref, gc2053_free);
}

static int gc2053_registered(struct v4l2_subdev *sd)
{
	kref_get(&to_gc2053(sd)->kref);

	return 0;
}

static void gc2053_release(struct v4l2_subdev *sd)
{
	gc2053_put(to_gc2053(sd));
}

/* -----------------------------------------------------------------------------
 * Register access: like cci_*(), on the page that the register is on
 */

static int gc2053_select_page(struct gc2053 *gc2053, u32 reg, int *err)
{
	u8 page = FIELD_GET(CCI_REG_PRIVATE_MASK, reg);

	if (*err)
		return *err;

	if (reg & GC2053_ANY_PAGE || page == gc2053->page)
		return 0;

	/* A write that failed may have reached the sensor all the same. */
	gc2053->page = GC2053_PAGE_UNKNOWN;
	if (!cci_write(gc2053->regmap, GC2053_REG_PAGE_SELECT, page, err))
		gc2053->page = page;

	return *err;
}

static int gc2053_write(struct gc2053 *gc2053, u32 reg, u64 val, int *err)
{
	gc2053_select_page(gc2053, reg, err);

	return cci_write(gc2053->regmap, reg, val, err);
}

static int gc2053_update_bits(struct gc2053 *gc2053, u32 reg, u64 mask, u64 val,
			      int *err)
{
	gc2053_select_page(gc2053, reg, err);

	return cci_update_bits(gc2053->regmap, reg, mask, val, err);
}

/* Every vendor's driver writes the reset three times, and none waits for it. */
static int gc2053_soft_reset(struct gc2053 *gc2053, int *err)
{
	unsigned int i;

	gc2053->page = GC2053_PAGE_UNKNOWN;
	for (i = 0; i < 3; i++)
		gc2053_write(gc2053, GC2053_REG_PAGE_SELECT, GC2053_SOFT_RESET,
			     err);

	return gc2053_select_page(gc2053, GC2053_P0(0), err);
}

/* -----------------------------------------------------------------------------
 * Controls
 */

static int gc2053_write_gain(struct gc2053 *gc2053, int *err)
{
	unsigned int analogue = gc2053->analogue_gain->val;
	unsigned int digital = gc2053->digital_gain->val;
	const struct gc2053_gain_row *row = gc2053_gain_pick_row(analogue);
	unsigned int pregain = gc2053_gain_pregain(row, analogue, digital);

	gc2053_write(gc2053, GC2053_REG_PGA_HIGH, row->pga_high, err);
	gc2053_write(gc2053, GC2053_REG_PGA_LOW, row->pga_low, err);
	gc2053_write(gc2053, GC2053_REG_COLUMN_INT, row->column_int, err);
	gc2053_write(gc2053, GC2053_REG_COLUMN_FRAC, row->column_frac, err);

	return gc2053_write(gc2053, GC2053_REG_PREGAIN,
			    pregain << GC2053_PREGAIN_SHIFT, err);
}

/*
 * An exposure too long for the frame would stretch it (family value,
 * unverified), so its limit follows the frame length. An exposure beyond the
 * new limit is cut, and written, at once.
 */
static int gc2053_limit_exposure(struct gc2053 *gc2053, u32 frame_length)
{
	struct v4l2_ctrl *exposure = gc2053->exposure;

	return __v4l2_ctrl_modify_range(exposure, exposure->minimum,
					frame_length - GC2053_EXPOSURE_MARGIN,
					exposure->step,
					exposure->default_value);
}

static int gc2053_set_ctrl(struct v4l2_ctrl *ctrl)
{
	struct gc2053 *gc2053 = container_of(ctrl->handler, struct gc2053,
					     ctrl_handler);
	int pm_status;
	int ret = 0;

	if (!gc2053->regmap)
		return -ENODEV;

	/* Before the frame gets shorter, and also without power */
	if (ctrl->id == V4L2_CID_VBLANK)
		ret = gc2053_limit_exposure(gc2053, GC2053_HEIGHT + ctrl->val);
	if (ret)
		return ret;

	/* Without power there is nothing to do: the stream's start sets all. */
	pm_status = pm_runtime_get_if_in_use(gc2053->dev);
	if (!pm_status)
		return 0;

	switch (ctrl->id) {
	case V4L2_CID_VBLANK:
		gc2053_write(gc2053, GC2053_REG_FRAME_LENGTH,
			     GC2053_HEIGHT + ctrl->val, &ret);
		break;
	case V4L2_CID_EXPOSURE:
		gc2053_write(gc2053, GC2053_REG_EXPOSURE, ctrl->val, &ret);
		break;
	case V4L2_CID_ANALOGUE_GAIN:
		gc2053_write_gain(gc2053, &ret);
		break;
	case V4L2_CID_HFLIP:
		gc2053_update_bits(gc2053, GC2053_REG_FLIP, GC2053_FLIP_MIRROR,
				   ctrl->val ? GC2053_FLIP_MIRROR : 0, &ret);
		break;
	case V4L2_CID_VFLIP:
		gc2053_update_bits(gc2053, GC2053_REG_FLIP, GC2053_FLIP_UPDOWN,
				   ctrl->val ? GC2053_FLIP_UPDOWN : 0, &ret);
		break;
	default:
		ret = -EINVAL;
		break;
	}

	/* Negative means that runtime PM is off: no reference was taken. */
	if (pm_status > 0)
		pm_runtime_put_autosuspend(gc2053->dev);

	return ret;
}

static const struct v4l2_ctrl_ops gc2053_ctrl_ops = {
	.s_ctrl = gc2053_set_ctrl,
};

static int gc2053_init_controls(struct gc2053 *gc2053)
{
	struct v4l2_ctrl_handler *hdl = &gc2053->ctrl_handler;
	const struct v4l2_ctrl_ops *ops = &gc2053_ctrl_ops;
	struct v4l2_fwnode_device_properties props;
	struct v4l2_ctrl *ctrl;
	int ret;

	ret = v4l2_fwnode_device_parse(gc2053->dev, &props);
	if (ret)
		return ret;

	v4l2_ctrl_handler_init(hdl, 11);

	ctrl = v4l2_ctrl_new_int_menu(hdl, ops, V4L2_CID_LINK_FREQ,
				      ARRAY_SIZE(gc2053_link_freq_menu) - 1, 0,
				      gc2053_link_freq_menu);
	if (ctrl)
		ctrl->flags |= V4L2_CTRL_FLAG_READ_ONLY;

	v4l2_ctrl_new_std(hdl, ops, V4L2_CID_PIXEL_RATE, GC2053_PIXEL_RATE,
			  GC2053_PIXEL_RATE, 1, GC2053_PIXEL_RATE);

	ctrl = v4l2_ctrl_new_std(hdl, ops, V4L2_CID_HBLANK, GC2053_HBLANK,
				 GC2053_HBLANK, 1, GC2053_HBLANK);
	if (ctrl)
		ctrl->flags |= V4L2_CTRL_FLAG_READ_ONLY;

	/*
	 * Controls are set up in the order in which they are made: the frame
	 * length has to be there before an exposure that needs it.
	 */
	v4l2_ctrl_new_std(hdl, ops, V4L2_CID_VBLANK, GC2053_VBLANK_MIN,
			  GC2053_VBLANK_MAX, 1, GC2053_VBLANK_MIN);

	gc2053->exposure =
		v4l2_ctrl_new_std(hdl, ops, V4L2_CID_EXPOSURE,
				  GC2053_EXPOSURE_MIN, GC2053_EXPOSURE_MAX, 1,
				  GC2053_EXPOSURE_DEFAULT);

	gc2053->analogue_gain =
		v4l2_ctrl_new_std(hdl, ops, V4L2_CID_ANALOGUE_GAIN,
				  GC2053_GAIN_UNITY,
				  gc2053_gain_rows[GC2053_GAIN_ROWS - 1].gain,
				  1, GC2053_GAIN_UNITY);

	gc2053->digital_gain =
		v4l2_ctrl_new_std(hdl, ops, V4L2_CID_DIGITAL_GAIN,
				  GC2053_GAIN_UNITY, GC2053_DIGITAL_GAIN_MAX,
				  1, GC2053_GAIN_UNITY);

	v4l2_ctrl_new_std(hdl, ops, V4L2_CID_HFLIP, 0, 1, 1, 0);
	v4l2_ctrl_new_std(hdl, ops, V4L2_CID_VFLIP, 0, 1, 1, 0);

	v4l2_ctrl_new_fwnode_properties(hdl, ops, &props);

	if (hdl->error)
		return dev_err_probe(gc2053->dev, hdl->error,
				     "failed to make the controls\n");

	v4l2_ctrl_cluster(2, &gc2053->analogue_gain);

	gc2053->sd.ctrl_handler = hdl;

	return 0;
}

/* -----------------------------------------------------------------------------
 * Subdev operations
 */

static int gc2053_enum_mbus_code(struct v4l2_subdev *sd,
				 struct v4l2_subdev_state *state,
				 struct v4l2_subdev_mbus_code_enum *code)
{
	if (code->index)
		return -EINVAL;

	code->code = GC2053_MBUS_CODE;

	return 0;
}

static int gc2053_enum_frame_size(struct v4l2_subdev *sd,
				  struct v4l2_subdev_state *state,
				  struct v4l2_subdev_frame_size_enum *fse)
{
	if (fse->index || fse->code != GC2053_MBUS_CODE)
		return -EINVAL;

	fse->min_width = GC2053_WIDTH;
	fse->max_width = GC2053_WIDTH;
	fse->min_height = GC2053_HEIGHT;
	fse->max_height = GC2053_HEIGHT;

	return 0;
}

static int gc2053_set_pad_format(struct v4l2_subdev *sd,
				 struct v4l2_subdev_state *state,
				 struct v4l2_subdev_format *fmt)
{
	struct v4l2_mbus_framefmt *format = &fmt->format;

	if (fmt->which == V4L2_SUBDEV_FORMAT_ACTIVE &&
	    v4l2_subdev_is_streaming(sd))
		return -EBUSY;

	/* There is one mode, so that it is the nearest to whatever is asked. */
	format->code = GC2053_MBUS_CODE;
	format->width = GC2053_WIDTH;
	format->height = GC2053_HEIGHT;
	format->field = V4L2_FIELD_NONE;
	format->colorspace = V4L2_COLORSPACE_RAW;
	format->ycbcr_enc = V4L2_YCBCR_ENC_601;
	format->quantization = V4L2_QUANTIZATION_FULL_RANGE;
	format->xfer_func = V4L2_XFER_FUNC_NONE;

	*v4l2_subdev_state_get_format(state, fmt->pad) = *format;
	*v4l2_subdev_state_get_crop(state, fmt->pad) = gc2053_active_area;

	return 0;
}

static int gc2053_get_selection(struct v4l2_subdev *sd,
				struct v4l2_subdev_state *state,
				struct v4l2_subdev_selection *sel)
{
	switch (sel->target) {
	case V4L2_SEL_TGT_CROP:
		sel->r = *v4l2_subdev_state_get_crop(state, sel->pad);
		return 0;
	case V4L2_SEL_TGT_CROP_DEFAULT:
		sel->r = gc2053_active_area;
		return 0;
	case V4L2_SEL_TGT_CROP_BOUNDS:
	case V4L2_SEL_TGT_NATIVE_SIZE:
		sel->r = gc2053_native_area;
		return 0;
	default:
		return -EINVAL;
	}
}

static int gc2053_init_state(struct v4l2_subdev *sd,
			     struct v4l2_subdev_state *state)
{
	struct v4l2_subdev_format fmt = {
		.which = V4L2_SUBDEV_FORMAT_TRY,
	};

	return gc2053_set_pad_format(sd, state, &fmt);
}

static int gc2053_enable_streams(struct v4l2_subdev *sd,
				 struct v4l2_subdev_state *state, u32 pad,
				 u64 streams_mask)
{
	struct gc2053 *gc2053 = to_gc2053(sd);
	unsigned int i;
	int ret;

	if (!gc2053->regmap)
		return -ENODEV;

	ret = pm_runtime_resume_and_get(gc2053->dev);
	if (ret)
		return ret;

	gc2053_soft_reset(gc2053, &ret);
	for (i = 0; i < ARRAY_SIZE(gc2053_mode_regs); i++)
		gc2053_write(gc2053, gc2053_mode_regs[i].reg,
			     gc2053_mode_regs[i].val, &ret);
	if (!ret)
		ret = __v4l2_ctrl_handler_setup(&gc2053->ctrl_handler);
	gc2053_write(gc2053, GC2053_REG_STREAM, GC2053_STREAM_ON, &ret);

	/* What a half-made set-up does to the lanes is unknown: no power. */
	if (ret)
		pm_runtime_put_sync_suspend(gc2053->dev);

	return ret;
}

/*
 * This can't fail, as nobody could do more about it: a sensor that doesn't
 * obey loses its power at once, any other after the autosuspend delay.
 */
static int gc2053_disable_streams(struct v4l2_subdev *sd,
				  struct v4l2_subdev_state *state, u32 pad,
				  u64 streams_mask)
{
	struct gc2053 *gc2053 = to_gc2053(sd);
	int ret = 0;

	if (gc2053_write(gc2053, GC2053_REG_STREAM, GC2053_STREAM_STANDBY,
			 &ret)) {
		pm_runtime_put_sync_suspend(gc2053->dev);
		return 0;
	}

	pm_runtime_mark_last_busy(gc2053->dev);
	pm_runtime_put_autosuspend(gc2053->dev);

	return 0;
}

static const struct v4l2_subdev_core_ops gc2053_core_ops = {
	.log_status = v4l2_ctrl_subdev_log_status,
	.subscribe_event = v4l2_ctrl_subdev_subscribe_event,
	.unsubscribe_event = v4l2_event_subdev_unsubscribe,
};

/* For receivers that don't know enable_streams, like rkisp1 in 6.12 */
static const struct v4l2_subdev_video_ops gc2053_video_ops = {
	.s_stream = v4l2_subdev_s_stream_helper,
};

static const struct v4l2_subdev_pad_ops gc2053_pad_ops = {
	.enum_mbus_code = gc2053_enum_mbus_code,
	.enum_frame_size = gc2053_enum_frame_size,
	.get_fmt = v4l2_subdev_get_fmt,
	.set_fmt = gc2053_set_pad_format,
	.get_selection = gc2053_get_selection,
	.enable_streams = gc2053_enable_streams,
	.disable_streams = gc2053_disable_streams,
};

static const struct v4l2_subdev_ops gc2053_subdev_ops = {
	.core = &gc2053_core_ops,
	.video = &gc2053_video_ops,
	.pad = &gc2053_pad_ops,
};

static const struct v4l2_subdev_internal_ops gc2053_internal_ops = {
	.init_state = gc2053_init_state,
	.registered = gc2053_registered,
	.release = gc2053_release,
};

/* -----------------------------------------------------------------------------
 * Power management
 */

static void gc2053_supplies_off(struct gc2053 *gc2053, unsigned int num)
{
	while (num--)
		regulator_disable(gc2053->supplies[num].consumer);
}

/* One by one: regulator_bulk_enable() starts all at the same time. */
static int gc2053_supplies_on(struct gc2053 *gc2053)
{
	unsigned int i;
	int ret;

	for (i = 0; i < GC2053_NUM_SUPPLIES; i++) {
		ret = regulator_enable(gc2053->supplies[i].consumer);
		if (ret) {
			dev_err(gc2053->dev, "failed to enable %s: %d\n",
				gc2053->supplies[i].supply, ret);
			gc2053_supplies_off(gc2053, i);
			return ret;
		}

		fsleep(GC2053_SUPPLY_DELAY_US);
	}

	return 0;
}

static int gc2053_power_on(struct device *dev)
{
	struct gc2053 *gc2053 = to_gc2053(dev_get_drvdata(dev));
	int ret;

	ret = gc2053_supplies_on(gc2053);
	if (ret)
		return ret;

	ret = clk_prepare_enable(gc2053->xclk);
	if (ret) {
		dev_err(dev, "failed to enable the clock: %d\n", ret);
		gc2053_supplies_off(gc2053, GC2053_NUM_SUPPLIES);
		return ret;
	}

	gpiod_set_value_cansleep(gc2053->powerdown_gpio, 0);
	gpiod_set_value_cansleep(gc2053->reset_gpio, 0);
	fsleep(GC2053_RESET_DELAY_US);

	return 0;
}

static int gc2053_power_off(struct device *dev)
{
	struct gc2053 *gc2053 = to_gc2053(dev_get_drvdata(dev));

	gc2053->page = GC2053_PAGE_UNKNOWN;

	fsleep(GC2053_QUIET_DELAY_US);
	gpiod_set_value_cansleep(gc2053->reset_gpio, 1);
	gpiod_set_value_cansleep(gc2053->powerdown_gpio, 1);
	clk_disable_unprepare(gc2053->xclk);
	gc2053_supplies_off(gc2053, GC2053_NUM_SUPPLIES);

	return 0;
}

static const struct dev_pm_ops gc2053_pm_ops = {
	/*
	 * Whoever the sensor sends to stops the stream at system suspend, and
	 * starts it again. Between, in the late phase, the power goes, also
	 * from a sensor that only waits for its autosuspend.
	 */
	LATE_SYSTEM_SLEEP_PM_OPS(pm_runtime_force_suspend,
				 pm_runtime_force_resume)
	RUNTIME_PM_OPS(gc2053_power_off, gc2053_power_on, NULL)
};

/* -----------------------------------------------------------------------------
 * Probe & remove
 */

static int gc2053_check_endpoint(struct device *dev)
{
	struct v4l2_fwnode_endpoint ep = {
		.bus_type = V4L2_MBUS_CSI2_DPHY,
	};
	struct fwnode_handle *fwnode;
	unsigned long link_freqs;
	int ret;

	fwnode = fwnode_graph_get_endpoint_by_id(dev_fwnode(dev), 0, 0, 0);
	if (!fwnode)
		return dev_err_probe(dev, -ENXIO,
				     "no endpoint node: the port of the sensor needs one\n");

	ret = v4l2_fwnode_endpoint_alloc_parse(fwnode, &ep);
	fwnode_handle_put(fwnode);
	if (ret)
		return dev_err_probe(dev, ret, "bad endpoint node\n");

	if (ep.bus.mipi_csi2.num_data_lanes != GC2053_NUM_DATA_LANES) {
		ret = dev_err_probe(dev, -EINVAL,
				    "%u data lanes are not supported, only %u\n",
				    ep.bus.mipi_csi2.num_data_lanes,
				    GC2053_NUM_DATA_LANES);
		goto done;
	}

	ret = v4l2_link_freq_to_bitmap(dev, ep.link_frequencies,
				       ep.nr_of_link_frequencies,
				       gc2053_link_freq_menu,
				       ARRAY_SIZE(gc2053_link_freq_menu),
				       &link_freqs);

done:
	v4l2_fwnode_endpoint_free(&ep);

	return ret;
}

static int gc2053_get_resources(struct gc2053 *gc2053)
{
	struct device *dev = gc2053->dev;
	unsigned long rate;
	unsigned int i;
	int ret;

	gc2053->xclk = devm_clk_get(dev, NULL);
	if (IS_ERR(gc2053->xclk))
		return dev_err_probe(dev, PTR_ERR(gc2053->xclk),
				     "failed to get the clock\n");

	rate = clk_get_rate(gc2053->xclk);
	if (rate != GC2053_XCLK_FREQ)
		return dev_err_probe(dev, -EINVAL,
				     "a clock of %lu Hz is not supported, only %u\n",
				     rate, GC2053_XCLK_FREQ);

	for (i = 0; i < GC2053_NUM_SUPPLIES; i++)
		gc2053->supplies[i].supply = gc2053_supply_names[i];

	ret = devm_regulator_bulk_get(dev, GC2053_NUM_SUPPLIES,
				      gc2053->supplies);
	if (ret)
		return dev_err_probe(dev, ret, "failed to get the supplies\n");

	/* Either line may be tied to the I/O supply instead. */
	gc2053->powerdown_gpio = devm_gpiod_get_optional(dev, "powerdown",
							 GPIOD_OUT_HIGH);
	if (IS_ERR(gc2053->powerdown_gpio))
		return dev_err_probe(dev, PTR_ERR(gc2053->powerdown_gpio),
				     "failed to get the powerdown GPIO\n");

	gc2053->reset_gpio = devm_gpiod_get_optional(dev, "reset",
						     GPIOD_OUT_HIGH);
	if (IS_ERR(gc2053->reset_gpio))
		return dev_err_probe(dev, PTR_ERR(gc2053->reset_gpio),
				     "failed to get the reset GPIO\n");

	return 0;
}

static int gc2053_identify(struct gc2053 *gc2053)
{
	u64 id;
	int ret;

	ret = cci_read(gc2053->regmap, GC2053_REG_CHIP_ID, &id, NULL);
	if (ret)
		return dev_err_probe(gc2053->dev, ret,
				     "failed to read the chip ID\n");

	if (id != GC2053_CHIP_ID)
		return dev_err_probe(gc2053->dev, -ENXIO,
				     "not a GC2053: chip ID is 0x%04llx, expected 0x%04x\n",
				     id, GC2053_CHIP_ID);

	return 0;
}

static int gc2053_init_subdev(struct gc2053 *gc2053)
{
	struct v4l2_subdev *sd = &gc2053->sd;
	int ret;

	ret = gc2053_init_controls(gc2053);
	if (ret)
		return ret;

	sd->flags |= V4L2_SUBDEV_FL_HAS_DEVNODE | V4L2_SUBDEV_FL_HAS_EVENTS;
	sd->entity.function = MEDIA_ENT_F_CAM_SENSOR;
	sd->internal_ops = &gc2053_internal_ops;
	/* One lock for controls, state and, as CCI has none, registers */
	sd->state_lock = gc2053->ctrl_handler.lock;

	gc2053->pad.flags = MEDIA_PAD_FL_SOURCE;
	ret = media_entity_pads_init(&sd->entity, 1, &gc2053->pad);
	if (ret)
		return dev_err_probe(gc2053->dev, ret,
				     "failed to init the pad\n");

	ret = v4l2_subdev_init_finalize(sd);
	if (ret)
		return dev_err_probe(gc2053->dev, ret,
				     "failed to init the subdev\n");

	return 0;
}

/* Waits for a control that is being written; those after it get ENODEV. */
static void gc2053_disconnect(struct gc2053 *gc2053)
{
	mutex_lock(gc2053->ctrl_handler.lock);
	gc2053->regmap = NULL;
	mutex_unlock(gc2053->ctrl_handler.lock);
}

static int gc2053_probe(struct i2c_client *client)
{
	struct device *dev = &client->dev;
	struct gc2053 *gc2053;
	int ret;

	gc2053_free_orphans();

	gc2053 = kzalloc(sizeof(*gc2053), GFP_KERNEL);
	if (!gc2053)
		return -ENOMEM;

	kref_init(&gc2053->kref);
	gc2053->dev = get_device(dev);
	gc2053->page = GC2053_PAGE_UNKNOWN;
	v4l2_i2c_subdev_init(&gc2053->sd, client, &gc2053_subdev_ops);

	/* First, so that it is undone last: the supplies are in there. */
	ret = devm_add_action_or_reset(dev, gc2053_put, gc2053);
	if (ret)
		return ret;

	ret = gc2053_check_endpoint(dev);
	if (ret)
		return ret;

	ret = gc2053_get_resources(gc2053);
	if (ret)
		return ret;

	gc2053->regmap = devm_cci_regmap_init_i2c(client, 8);
	if (IS_ERR(gc2053->regmap))
		return dev_err_probe(dev, PTR_ERR(gc2053->regmap),
				     "failed to init the register access\n");

	/* By hand, because the kernel may be without runtime PM. */
	ret = gc2053_power_on(dev);
	if (ret)
		return ret;

	ret = gc2053_identify(gc2053);
	if (ret)
		goto error_power_off;

	/* It is on: tell runtime PM, and hold it on until the end of probe. */
	pm_runtime_set_active(dev);
	pm_runtime_get_noresume(dev);
	pm_runtime_enable(dev);
	pm_runtime_set_autosuspend_delay(dev, GC2053_AUTOSUSPEND_MS);
	pm_runtime_use_autosuspend(dev);

	ret = gc2053_init_subdev(gc2053);
	if (ret)
		goto error_pm;

	/* Last, because the subdev can be used from here on. */
	ret = v4l2_async_register_subdev_sensor(&gc2053->sd);
	if (ret) {
		dev_err_probe(dev, ret, "failed to register the subdev\n");
		goto error_disconnect;
	}

	pm_runtime_mark_last_busy(dev);
	pm_runtime_put_autosuspend(dev);

	return 0;

error_disconnect:
	gc2053_disconnect(gc2053);
error_pm:
	pm_runtime_dont_use_autosuspend(dev);
	pm_runtime_disable(dev);
	pm_runtime_set_suspended(dev);
	pm_runtime_put_noidle(dev);
error_power_off:
	gc2053_power_off(dev);

	return ret;
}

static void gc2053_remove(struct i2c_client *client)
{
	struct gc2053 *gc2053 = to_gc2053(i2c_get_clientdata(client));
	struct device *dev = &client->dev;

	v4l2_async_unregister_subdev(&gc2053->sd);
	gc2053_disconnect(gc2053);

	pm_runtime_disable(dev);
	if (!pm_runtime_status_suspended(dev))
		gc2053_power_off(dev);
	pm_runtime_set_suspended(dev);
	pm_runtime_dont_use_autosuspend(dev);
}

static const struct of_device_id gc2053_of_match[] = {
	{ .compatible = "galaxycore,gc2053" },
	{ /* sentinel */ }
};
MODULE_DEVICE_TABLE(of, gc2053_of_match);

static struct i2c_driver gc2053_i2c_driver = {
	.driver = {
		.name = "gc2053",
		.of_match_table = gc2053_of_match,
		.pm = pm_ptr(&gc2053_pm_ops),
	},
	.probe = gc2053_probe,
	.remove = gc2053_remove,
};

static int __init gc2053_init(void)
{
	return i2c_add_driver(&gc2053_i2c_driver);
}
module_init(gc2053_init);

static void __exit gc2053_exit(void)
{
	i2c_del_driver(&gc2053_i2c_driver);
	gc2053_free_orphans();
}
module_exit(gc2053_exit);

MODULE_AUTHOR("Volet maintainers");
MODULE_DESCRIPTION("GalaxyCore GC2053 image sensor driver");
MODULE_LICENSE("GPL");
