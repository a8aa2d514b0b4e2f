// SPDX-License-Identifier: GPL-2.0-only
/*
 * The board's CSI-2 receiver as a sub-device: what comes in at pad 0 goes out unchanged at
 * pad 1, to memory, and at pad 2, to the ISP. The first of them to stream starts the receiver
 * and then the sensor, the last stops both in reverse.
 */
#include <media/v4l2-event.h>

#include "camsim.h"
#include "priv.h"

static struct camsim *csi_to_camsim(struct v4l2_subdev *sd)
{
	return container_of(sd, struct camsim, csi);
}

/* A format of that size and, if the sensor has it, code */
static void camsim_csi_fill_format(struct camsim *camsim, struct v4l2_mbus_framefmt *fmt,
				   u32 width, u32 height, u32 code)
{
	const struct sensor_model *model = camsim->chip.model;

	if (!camsim_format_of_code(camsim, code))
		code = camsim_format(camsim, 0)->code;
	*fmt = (struct v4l2_mbus_framefmt) {
		.width = clamp(round_down(width, 4), CAMSIM_MIN_WIDTH, model->width),
		.height = clamp(round_down(height, 2), CAMSIM_MIN_HEIGHT, model->height),
		.code = code,
		.field = V4L2_FIELD_NONE,
		.colorspace = V4L2_COLORSPACE_RAW,
		.ycbcr_enc = V4L2_YCBCR_ENC_601,
		.quantization = V4L2_QUANTIZATION_FULL_RANGE,
		.xfer_func = V4L2_XFER_FUNC_NONE,
	};
}

static int camsim_csi_init_state(struct v4l2_subdev *sd, struct v4l2_subdev_state *state)
{
	struct camsim *camsim = csi_to_camsim(sd);
	unsigned int pad;

	for (pad = 0; pad < CAMSIM_CSI_NUM_PADS; pad++)
		camsim_csi_fill_format(camsim, v4l2_subdev_state_get_format(state, pad),
				       camsim->chip.model->width, camsim->chip.model->height, 0);
	return 0;
}

static int camsim_csi_enum_mbus_code(struct v4l2_subdev *sd, struct v4l2_subdev_state *state,
				     struct v4l2_subdev_mbus_code_enum *code)
{
	const struct camsim_format *format = camsim_format(csi_to_camsim(sd), code->index);

	/* What goes out is what comes in. */
	if (code->pad != CAMSIM_CSI_SINK) {
		if (code->index)
			return -EINVAL;
		code->code = v4l2_subdev_state_get_format(state, CAMSIM_CSI_SINK)->code;
		return 0;
	}
	if (!format)
		return -EINVAL;
	code->code = format->code;
	return 0;
}

static int camsim_csi_enum_frame_size(struct v4l2_subdev *sd, struct v4l2_subdev_state *state,
				      struct v4l2_subdev_frame_size_enum *fse)
{
	const struct v4l2_mbus_framefmt *fmt = v4l2_subdev_state_get_format(state, CAMSIM_CSI_SINK);
	struct camsim *camsim = csi_to_camsim(sd);

	if (fse->index || !camsim_format_of_code(camsim, fse->code) ||
	    (fse->pad != CAMSIM_CSI_SINK && fse->code != fmt->code))
		return -EINVAL;

	if (fse->pad == CAMSIM_CSI_SINK) {
		fse->min_width = CAMSIM_MIN_WIDTH;
		fse->max_width = camsim->chip.model->width;
		fse->min_height = CAMSIM_MIN_HEIGHT;
		fse->max_height = camsim->chip.model->height;
	} else {
		fse->min_width = fmt->width;
		fse->max_width = fmt->width;
		fse->min_height = fmt->height;
		fse->max_height = fmt->height;
	}
	return 0;
}

static int camsim_csi_set_fmt(struct v4l2_subdev *sd, struct v4l2_subdev_state *state,
			      struct v4l2_subdev_format *format)
{
	struct v4l2_mbus_framefmt *fmt;

	if (format->which == V4L2_SUBDEV_FORMAT_ACTIVE && v4l2_subdev_is_streaming(sd))
		return -EBUSY;

	if (format->pad != CAMSIM_CSI_SINK)
		return v4l2_subdev_get_fmt(sd, state, format);

	camsim_csi_fill_format(csi_to_camsim(sd), &format->format, format->format.width,
			       format->format.height, format->format.code);
	fmt = v4l2_subdev_state_get_format(state, CAMSIM_CSI_SINK);
	*fmt = format->format;
	*v4l2_subdev_state_get_format(state, CAMSIM_CSI_RAW) = *fmt;
	*v4l2_subdev_state_get_format(state, CAMSIM_CSI_ISP) = *fmt;
	return 0;
}

static int camsim_csi_enable_streams(struct v4l2_subdev *sd, struct v4l2_subdev_state *state,
				     u32 pad, u64 streams_mask)
{
	struct camsim *camsim = csi_to_camsim(sd);
	const struct v4l2_mbus_framefmt *fmt;
	int ret;

	if (v4l2_subdev_is_streaming(sd))
		return 0;

	fmt = v4l2_subdev_state_get_format(state, CAMSIM_CSI_SINK);
	camsim->rx_width = fmt->width;
	camsim->rx_height = fmt->height;
	camsim->rx_format = camsim_format_of_code(camsim, fmt->code);
	ret = camsim_stream_start(camsim);
	if (ret)
		return ret;

	ret = v4l2_subdev_enable_streams(camsim->sensor, camsim->sensor_pad->index, BIT_ULL(0));
	if (ret)
		camsim_stream_stop(camsim);
	return ret;
}

static int camsim_csi_disable_streams(struct v4l2_subdev *sd, struct v4l2_subdev_state *state,
				      u32 pad, u64 streams_mask)
{
	struct camsim *camsim = csi_to_camsim(sd);
	int ret;

	if (sd->enabled_pads & ~BIT_ULL(pad))
		return 0;

	/* A sensor that can't be stopped doesn't keep the receiver running. */
	ret = v4l2_subdev_disable_streams(camsim->sensor, camsim->sensor_pad->index, BIT_ULL(0));
	if (ret)
		dev_warn(camsim->dev, "the sensor did not stop: %d\n", ret);
	camsim_stream_stop(camsim);
	return 0;
}

/*
 * The system goes to sleep: the receiver stops the sensor while it can still be spoken to, and
 * starts it again afterwards. Sensor drivers leave that to whoever they send to.
 */
void camsim_csi_suspend(struct camsim *camsim)
{
	u32 sequence = camsim->sequence;
	int ret;

	if (!v4l2_subdev_is_streaming(&camsim->csi))
		return;

	ret = v4l2_subdev_disable_streams(camsim->sensor, camsim->sensor_pad->index, BIT_ULL(0));
	if (ret)
		dev_warn(camsim->dev, "the sensor did not stop: %d\n", ret);
	camsim_stream_stop(camsim);
	camsim->sequence = sequence;
}

int camsim_csi_resume(struct camsim *camsim)
{
	int ret;

	if (!v4l2_subdev_is_streaming(&camsim->csi))
		return 0;

	ret = camsim_stream_start(camsim);
	if (ret)
		return ret;
	return v4l2_subdev_enable_streams(camsim->sensor, camsim->sensor_pad->index, BIT_ULL(0));
}

static int camsim_csi_log_status(struct v4l2_subdev *sd)
{
	struct camsim *camsim = csi_to_camsim(sd);
	unsigned int i;

	v4l2_ctrl_subdev_log_status(sd);
	dev_info(camsim->dev, "sensed %u, delivered %u, late %u, without a buffer %u\n",
		 camsim->sensed, camsim->delivered, camsim->late, camsim->unwanted);
	for (i = 0; i < CAMSIM_RX_NUM_ERRORS; i++)
		if (camsim->rx_errors[i])
			dev_info(camsim->dev, "%s %u\n", camsim_rx_error_names[i],
				 camsim->rx_errors[i]);
	return 0;
}

static int camsim_csi_subscribe_event(struct v4l2_subdev *sd, struct v4l2_fh *fh,
				      struct v4l2_event_subscription *sub)
{
	if (sub->type == V4L2_EVENT_FRAME_SYNC)
		return v4l2_event_subscribe(fh, sub, 4, NULL);
	return v4l2_ctrl_subdev_subscribe_event(sd, fh, sub);
}

static const struct v4l2_subdev_core_ops camsim_csi_core_ops = {
	.log_status = camsim_csi_log_status,
	.subscribe_event = camsim_csi_subscribe_event,
	.unsubscribe_event = v4l2_event_subdev_unsubscribe,
};

static const struct v4l2_subdev_pad_ops camsim_csi_pad_ops = {
	.enum_mbus_code = camsim_csi_enum_mbus_code,
	.enum_frame_size = camsim_csi_enum_frame_size,
	.get_fmt = v4l2_subdev_get_fmt,
	.set_fmt = camsim_csi_set_fmt,
	.enable_streams = camsim_csi_enable_streams,
	.disable_streams = camsim_csi_disable_streams,
};

static const struct v4l2_subdev_ops camsim_csi_ops = {
	.core = &camsim_csi_core_ops,
	.pad = &camsim_csi_pad_ops,
};

/* The last file is closed */
static void camsim_csi_release(struct v4l2_subdev *sd)
{
	struct camsim *camsim = csi_to_camsim(sd);

	v4l2_subdev_cleanup(sd);
	v4l2_ctrl_handler_free(&camsim->csi_ctrls);
}

static const struct v4l2_subdev_internal_ops camsim_csi_internal_ops = {
	.init_state = camsim_csi_init_state,
	.release = camsim_csi_release,
};

static const struct media_entity_operations camsim_csi_entity_ops = {
	.link_validate = v4l2_subdev_link_validate,
};

static const struct v4l2_ctrl_config camsim_pixel_tag = {
	.id = CAMSIM_CID_PIXEL_TAG,
	.name = "Pixel Tag",
	.type = V4L2_CTRL_TYPE_BOOLEAN,
	.max = 1,
	.step = 1,
};

int camsim_csi_init(struct camsim *camsim)
{
	struct v4l2_subdev *sd = &camsim->csi;
	int ret;

	v4l2_subdev_init(sd, &camsim_csi_ops);
	sd->internal_ops = &camsim_csi_internal_ops;
	sd->flags = V4L2_SUBDEV_FL_HAS_DEVNODE | V4L2_SUBDEV_FL_HAS_EVENTS;
	sd->owner = THIS_MODULE;
	sd->dev = camsim->dev;
	sd->entity.function = MEDIA_ENT_F_VID_IF_BRIDGE;
	sd->entity.ops = &camsim_csi_entity_ops;
	snprintf(sd->name, sizeof(sd->name), "camsim%u-csi", camsim->id);

	v4l2_ctrl_handler_init(&camsim->csi_ctrls, 1);
	camsim->pixel_tag = v4l2_ctrl_new_custom(&camsim->csi_ctrls, &camsim_pixel_tag, NULL);
	camsim_faults_add_ctrls(camsim);
	ret = camsim->csi_ctrls.error;
	if (ret)
		goto err_ctrls;
	sd->ctrl_handler = &camsim->csi_ctrls;

	camsim->csi_pads[CAMSIM_CSI_SINK].flags = MEDIA_PAD_FL_SINK | MEDIA_PAD_FL_MUST_CONNECT;
	camsim->csi_pads[CAMSIM_CSI_RAW].flags = MEDIA_PAD_FL_SOURCE;
	camsim->csi_pads[CAMSIM_CSI_ISP].flags = MEDIA_PAD_FL_SOURCE;
	ret = media_entity_pads_init(&sd->entity, CAMSIM_CSI_NUM_PADS, camsim->csi_pads);
	if (ret)
		goto err_ctrls;

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
err_ctrls:
	v4l2_ctrl_handler_free(&camsim->csi_ctrls);
	return ret;
}

void camsim_csi_cleanup(struct camsim *camsim)
{
	v4l2_device_unregister_subdev(&camsim->csi);
}
