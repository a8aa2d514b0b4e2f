// SPDX-License-Identifier: GPL-2.0-only
/*
 * The board's ISP as a sub-device: raw in at pad 0, full-range BT.601 YUV 4:2:0 of the same
 * size out at pad 1, as JPEG has it. The work on pixels is in isp.c.
 */
#include "priv.h"

static struct camsim *isp_to_camsim(struct v4l2_subdev *sd)
{
	return container_of(sd, struct camsim, isp);
}

/* `code` counts for what comes in alone. */
static void camsim_isp_fill_format(struct camsim *camsim, struct v4l2_mbus_framefmt *fmt, u32 pad,
				   u32 width, u32 height, u32 code)
{
	const struct sensor_model *model = camsim->chip.model;

	if (pad == CAMSIM_ISP_SOURCE)
		code = MEDIA_BUS_FMT_YUYV8_1_5X8;
	else if (!camsim_format_of_code(camsim, code))
		code = camsim_format(camsim, 0)->code;
	*fmt = (struct v4l2_mbus_framefmt) {
		.width = clamp(round_down(width, 4), CAMSIM_MIN_WIDTH, model->width),
		.height = clamp(round_down(height, 2), CAMSIM_MIN_HEIGHT, model->height),
		.code = code,
		.field = V4L2_FIELD_NONE,
		.colorspace = pad == CAMSIM_ISP_SINK ? V4L2_COLORSPACE_RAW : V4L2_COLORSPACE_SRGB,
		.ycbcr_enc = V4L2_YCBCR_ENC_601,
		.quantization = V4L2_QUANTIZATION_FULL_RANGE,
		.xfer_func = pad == CAMSIM_ISP_SINK ? V4L2_XFER_FUNC_NONE : V4L2_XFER_FUNC_SRGB,
	};
}

static int camsim_isp_init_state(struct v4l2_subdev *sd, struct v4l2_subdev_state *state)
{
	struct camsim *camsim = isp_to_camsim(sd);
	unsigned int pad;

	for (pad = 0; pad < CAMSIM_ISP_NUM_PADS; pad++)
		camsim_isp_fill_format(camsim, v4l2_subdev_state_get_format(state, pad), pad,
				       camsim->chip.model->width, camsim->chip.model->height, 0);
	return 0;
}

static int camsim_isp_enum_mbus_code(struct v4l2_subdev *sd, struct v4l2_subdev_state *state,
				     struct v4l2_subdev_mbus_code_enum *code)
{
	const struct camsim_format *format = camsim_format(isp_to_camsim(sd), code->index);

	if (code->pad == CAMSIM_ISP_SOURCE) {
		if (code->index)
			return -EINVAL;
		code->code = MEDIA_BUS_FMT_YUYV8_1_5X8;
		return 0;
	}
	if (!format)
		return -EINVAL;
	code->code = format->code;
	return 0;
}

static int camsim_isp_enum_frame_size(struct v4l2_subdev *sd, struct v4l2_subdev_state *state,
				      struct v4l2_subdev_frame_size_enum *fse)
{
	struct camsim *camsim = isp_to_camsim(sd);
	const struct v4l2_mbus_framefmt *fmt;

	if (fse->index || (fse->pad == CAMSIM_ISP_SINK ?
			   !camsim_format_of_code(camsim, fse->code) :
			   fse->code != MEDIA_BUS_FMT_YUYV8_1_5X8))
		return -EINVAL;

	if (fse->pad == CAMSIM_ISP_SINK) {
		fse->min_width = CAMSIM_MIN_WIDTH;
		fse->max_width = camsim->chip.model->width;
		fse->min_height = CAMSIM_MIN_HEIGHT;
		fse->max_height = camsim->chip.model->height;
	} else {
		fmt = v4l2_subdev_state_get_format(state, CAMSIM_ISP_SINK);
		fse->min_width = fmt->width;
		fse->max_width = fmt->width;
		fse->min_height = fmt->height;
		fse->max_height = fmt->height;
	}
	return 0;
}

static int camsim_isp_set_fmt(struct v4l2_subdev *sd, struct v4l2_subdev_state *state,
			      struct v4l2_subdev_format *format)
{
	u32 width = format->format.width, height = format->format.height;
	struct camsim *camsim = isp_to_camsim(sd);

	if (format->which == V4L2_SUBDEV_FORMAT_ACTIVE && v4l2_subdev_is_streaming(sd))
		return -EBUSY;

	/* There is no scaler. */
	if (format->pad != CAMSIM_ISP_SINK)
		return v4l2_subdev_get_fmt(sd, state, format);

	camsim_isp_fill_format(camsim, &format->format, CAMSIM_ISP_SINK, width, height,
			       format->format.code);
	*v4l2_subdev_state_get_format(state, CAMSIM_ISP_SINK) = format->format;
	camsim_isp_fill_format(camsim, v4l2_subdev_state_get_format(state, CAMSIM_ISP_SOURCE),
			       CAMSIM_ISP_SOURCE, width, height, 0);
	return 0;
}

static int camsim_isp_enable_streams(struct v4l2_subdev *sd, struct v4l2_subdev_state *state,
				     u32 pad, u64 streams_mask)
{
	return v4l2_subdev_enable_streams(&isp_to_camsim(sd)->csi, CAMSIM_CSI_ISP, BIT_ULL(0));
}

static int camsim_isp_disable_streams(struct v4l2_subdev *sd, struct v4l2_subdev_state *state,
				      u32 pad, u64 streams_mask)
{
	return v4l2_subdev_disable_streams(&isp_to_camsim(sd)->csi, CAMSIM_CSI_ISP, BIT_ULL(0));
}

static const struct v4l2_subdev_pad_ops camsim_isp_pad_ops = {
	.enum_mbus_code = camsim_isp_enum_mbus_code,
	.enum_frame_size = camsim_isp_enum_frame_size,
	.get_fmt = v4l2_subdev_get_fmt,
	.set_fmt = camsim_isp_set_fmt,
	.enable_streams = camsim_isp_enable_streams,
	.disable_streams = camsim_isp_disable_streams,
};

static const struct v4l2_subdev_ops camsim_isp_ops = {
	.pad = &camsim_isp_pad_ops,
};

/* The last file is closed */
static void camsim_isp_release(struct v4l2_subdev *sd)
{
	v4l2_subdev_cleanup(sd);
}

static const struct v4l2_subdev_internal_ops camsim_isp_internal_ops = {
	.init_state = camsim_isp_init_state,
	.release = camsim_isp_release,
};

static const struct media_entity_operations camsim_isp_entity_ops = {
	.link_validate = v4l2_subdev_link_validate,
};

int camsim_isp_init(struct camsim *camsim)
{
	struct v4l2_subdev *sd = &camsim->isp;
	int ret;

	v4l2_subdev_init(sd, &camsim_isp_ops);
	sd->internal_ops = &camsim_isp_internal_ops;
	sd->flags = V4L2_SUBDEV_FL_HAS_DEVNODE;
	sd->owner = THIS_MODULE;
	sd->dev = camsim->dev;
	sd->entity.function = MEDIA_ENT_F_PROC_VIDEO_ISP;
	sd->entity.ops = &camsim_isp_entity_ops;
	snprintf(sd->name, sizeof(sd->name), "camsim%u-isp", camsim->id);

	camsim->isp_pads[CAMSIM_ISP_SINK].flags = MEDIA_PAD_FL_SINK;
	camsim->isp_pads[CAMSIM_ISP_SOURCE].flags = MEDIA_PAD_FL_SOURCE;
	ret = media_entity_pads_init(&sd->entity, CAMSIM_ISP_NUM_PADS, camsim->isp_pads);
	if (ret)
		return ret;
	ret = v4l2_subdev_init_finalize(sd);
	if (ret)
		goto err_entity;
	ret = v4l2_device_register_subdev(&camsim->v4l2_dev, sd);
	if (ret)
		goto err_subdev;
	return 0;

err_subdev:
	v4l2_subdev_cleanup(sd);
err_entity:
	media_entity_cleanup(&sd->entity);
	return ret;
}

void camsim_isp_cleanup(struct camsim *camsim)
{
	v4l2_device_unregister_subdev(&camsim->isp);
}
