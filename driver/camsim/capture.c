// SPDX-License-Identifier: GPL-2.0-only
/*
 * The board's capture nodes: camsimN-raw takes what is on the wires, camsimN-nv12 what the ISP
 * makes of it. Buffers are filled in stream.c.
 */
#include <media/v4l2-event.h>
#include <media/v4l2-ioctl.h>
#include <media/videobuf2-dma-contig.h>
#include <media/videobuf2-vmalloc.h>

#include "priv.h"

static const struct vb2_mem_ops *camsim_memops;

static const char * const camsim_node_names[CAMSIM_NUM_NODES] = {
	[CAMSIM_RAW] = "raw",
	[CAMSIM_NV12] = "nv12",
};

static const struct camsim_format camsim_nv12_format = {
	.code = MEDIA_BUS_FMT_YUYV8_1_5X8,
	.fourcc = V4L2_PIX_FMT_NV12,
	.bits = 8,
	.bytes = 1,
};

/* A node's formats by number, NULL beyond the last; and by what they are called, NULL for none */
static const struct camsim_format *camsim_node_format(const struct camsim_node *node, u32 index)
{
	if (node->id == CAMSIM_NV12)
		return index ? NULL : &camsim_nv12_format;
	return camsim_format(node->camsim, index);
}

static const struct camsim_format *camsim_node_format_of(const struct camsim_node *node,
							 u32 fourcc)
{
	if (node->id == CAMSIM_NV12)
		return fourcc == V4L2_PIX_FMT_NV12 ? &camsim_nv12_format : NULL;
	return camsim_format_of_fourcc(node->camsim, fourcc);
}

int camsim_capture_set_allocator(const char *name)
{
	if (!strcmp(name, "vmalloc"))
		camsim_memops = &vb2_vmalloc_memops;
	else if (!strcmp(name, "dma-contig"))
		camsim_memops = &vb2_dma_contig_memops;
	else
		return -EINVAL;
	return 0;
}

/* -----------------------------------------------------------------------------
 * Queue
 */

static int camsim_queue_setup(struct vb2_queue *q, unsigned int *num_buffers,
			      unsigned int *num_planes, unsigned int sizes[],
			      struct device *alloc_devs[])
{
	struct camsim_node *node = vb2_get_drv_priv(q);

	if (camsim_fault_take(node->camsim, &node->camsim->faults.reqbufs_error))
		return -EINVAL;
	if (*num_planes)
		return sizes[0] < node->format.sizeimage ? -EINVAL : 0;
	*num_planes = 1;
	sizes[0] = node->format.sizeimage;
	return 0;
}

static int camsim_buf_prepare(struct vb2_buffer *vb)
{
	struct camsim_node *node = vb2_get_drv_priv(vb->vb2_queue);

	if (camsim_fault_take(node->camsim, &node->camsim->faults.qbuf_error))
		return -EINVAL;
	/* The payload is not known before the frame is. */
	if (vb2_plane_size(vb, 0) < node->format.sizeimage)
		return -EINVAL;
	/* An imported buffer need not have an address here. */
	return vb2_plane_vaddr(vb, 0) ? 0 : -ENOMEM;
}

static void camsim_buf_queue(struct vb2_buffer *vb)
{
	struct camsim_node *node = vb2_get_drv_priv(vb->vb2_queue);
	struct camsim_buffer *buf = container_of(to_vb2_v4l2_buffer(vb), struct camsim_buffer, vb);

	spin_lock_irq(&node->camsim->queue_lock);
	list_add_tail(&buf->list, &node->camsim->queues[node->id].buffers);
	spin_unlock_irq(&node->camsim->queue_lock);
}

/* Waits until the sensor thread has no buffer of this node, then gives the others back. */
static void camsim_return_buffers(struct camsim_node *node, enum vb2_buffer_state state)
{
	struct camsim *camsim = node->camsim;
	struct camsim_queue *queue = &camsim->queues[node->id];
	struct camsim_buffer *buf, *tmp;
	LIST_HEAD(buffers);

	spin_lock_irq(&camsim->queue_lock);
	queue->streaming = false;
	spin_unlock_irq(&camsim->queue_lock);
	wake_up_all(&camsim->wait);
	wait_event(camsim->wait, !READ_ONCE(queue->current_buffer));

	spin_lock_irq(&camsim->queue_lock);
	queue->starting = false;
	list_splice_init(&queue->buffers, &buffers);
	spin_unlock_irq(&camsim->queue_lock);
	list_for_each_entry_safe(buf, tmp, &buffers, list) {
		list_del(&buf->list);
		vb2_buffer_done(&buf->vb.vb2_buf, state);
	}
}

/*
 * Not done by the link's validation: all links are fixed, so that both nodes are always in the
 * pipeline, and the format of the one that isn't used doesn't matter.
 */
static int camsim_check_format(struct camsim_node *node)
{
	struct media_pad *source = media_pad_remote_pad_first(&node->pad);
	const struct v4l2_mbus_framefmt *fmt;
	struct v4l2_subdev_state *state;
	struct v4l2_subdev *sd;
	int ret = 0;

	if (!source)
		return -ENOLINK;
	sd = media_entity_to_v4l2_subdev(source->entity);
	state = v4l2_subdev_lock_and_get_active_state(sd);
	fmt = v4l2_subdev_state_get_format(state, source->index);
	if (fmt->width != node->format.width || fmt->height != node->format.height ||
	    fmt->code != camsim_node_format_of(node, node->format.pixelformat)->code) {
		dev_dbg(node->camsim->dev, "%s is %ux%u %#x, %s is %ux%u %p4cc\n", sd->name,
			fmt->width, fmt->height, fmt->code, node->vdev.name, node->format.width,
			node->format.height, &node->format.pixelformat);
		ret = -EPIPE;
	}
	v4l2_subdev_unlock_state(state);
	return ret;
}

static int camsim_stream_source(struct camsim_node *node, bool on)
{
	struct media_pad *source = media_pad_remote_pad_first(&node->pad);
	struct v4l2_subdev *sd = media_entity_to_v4l2_subdev(source->entity);

	return on ? v4l2_subdev_enable_streams(sd, source->index, BIT_ULL(0))
		  : v4l2_subdev_disable_streams(sd, source->index, BIT_ULL(0));
}

static void camsim_queue_start(struct camsim_node *node)
{
	struct camsim_queue *queue = &node->camsim->queues[node->id];

	spin_lock_irq(&node->camsim->queue_lock);
	queue->width = node->format.width;
	queue->height = node->format.height;
	queue->bytesperline = node->format.bytesperline;
	queue->sizeimage = node->format.sizeimage;
	queue->counting = false;
	queue->starting = true;
	queue->streaming = true;
	spin_unlock_irq(&node->camsim->queue_lock);
}

static int camsim_start_streaming(struct vb2_queue *q, unsigned int count)
{
	struct camsim_node *node = vb2_get_drv_priv(q);
	int ret = -EINVAL;

	if (camsim_fault_take(node->camsim, &node->camsim->faults.streamon_error))
		goto err_buffers;
	ret = video_device_pipeline_start(&node->vdev, &node->camsim->pipe);
	if (ret)
		goto err_buffers;
	ret = camsim_check_format(node);
	if (ret)
		goto err_pipeline;

	camsim_queue_start(node);
	ret = camsim_stream_source(node, true);
	if (ret)
		goto err_pipeline;
	WRITE_ONCE(node->camsim->queues[node->id].starting, false);
	return 0;

err_pipeline:
	video_device_pipeline_stop(&node->vdev);
err_buffers:
	camsim_return_buffers(node, VB2_BUF_STATE_QUEUED);
	return ret;
}

static void camsim_stop_streaming(struct vb2_queue *q)
{
	struct camsim_node *node = vb2_get_drv_priv(q);

	/* First, so that a frame under way is emptied and not shown as cut by the sensor. */
	WRITE_ONCE(node->camsim->queues[node->id].streaming, false);
	camsim_stream_source(node, false);
	camsim_return_buffers(node, VB2_BUF_STATE_ERROR);
	video_device_pipeline_stop(&node->vdev);
}

static const struct vb2_ops camsim_queue_ops = {
	.queue_setup = camsim_queue_setup,
	.buf_prepare = camsim_buf_prepare,
	.buf_queue = camsim_buf_queue,
	.start_streaming = camsim_start_streaming,
	.stop_streaming = camsim_stop_streaming,
	.wait_prepare = vb2_ops_wait_prepare,
	.wait_finish = vb2_ops_wait_finish,
};

/* -----------------------------------------------------------------------------
 * ioctls
 */

static void camsim_adjust_format(const struct camsim_node *node, struct v4l2_pix_format *pix)
{
	const struct camsim_format *format = camsim_node_format_of(node, pix->pixelformat);
	const struct sensor_model *model = node->camsim->chip.model;

	if (!format)
		format = camsim_node_format(node, 0);
	pix->width = clamp(round_down(pix->width, 4), CAMSIM_MIN_WIDTH, model->width);
	pix->height = clamp(round_down(pix->height, 2), CAMSIM_MIN_HEIGHT, model->height);
	pix->pixelformat = format->fourcc;
	pix->field = V4L2_FIELD_NONE;
	pix->bytesperline = pix->width * format->bytes;
	pix->sizeimage = pix->bytesperline * pix->height;
	pix->flags = 0;
	pix->ycbcr_enc = V4L2_YCBCR_ENC_601;
	pix->quantization = V4L2_QUANTIZATION_FULL_RANGE;
	if (node->id == CAMSIM_NV12) {
		pix->sizeimage += pix->sizeimage / 2;
		pix->colorspace = V4L2_COLORSPACE_SRGB;
		pix->xfer_func = V4L2_XFER_FUNC_SRGB;
	} else {
		pix->colorspace = V4L2_COLORSPACE_RAW;
		pix->xfer_func = V4L2_XFER_FUNC_NONE;
	}
}

static int camsim_querycap(struct file *file, void *fh, struct v4l2_capability *cap)
{
	strscpy(cap->driver, "camsim", sizeof(cap->driver));
	strscpy(cap->card, video_devdata(file)->name, sizeof(cap->card));
	return 0;
}

static int camsim_enum_fmt(struct file *file, void *fh, struct v4l2_fmtdesc *f)
{
	struct camsim_node *node = video_drvdata(file);
	const struct camsim_format *format;
	u32 i, left = f->index;

	for (i = 0; (format = camsim_node_format(node, i)); i++) {
		if (f->mbus_code && f->mbus_code != format->code)
			continue;
		if (left--)
			continue;
		f->pixelformat = format->fourcc;
		return 0;
	}
	return -EINVAL;
}

static int camsim_g_fmt(struct file *file, void *fh, struct v4l2_format *f)
{
	struct camsim_node *node = video_drvdata(file);

	f->fmt.pix = node->format;
	return 0;
}

static int camsim_try_fmt(struct file *file, void *fh, struct v4l2_format *f)
{
	camsim_adjust_format(video_drvdata(file), &f->fmt.pix);
	return 0;
}

static int camsim_s_fmt(struct file *file, void *fh, struct v4l2_format *f)
{
	struct camsim_node *node = video_drvdata(file);

	if (vb2_is_busy(&node->queue))
		return -EBUSY;
	camsim_adjust_format(node, &f->fmt.pix);
	node->format = f->fmt.pix;
	return 0;
}

static int camsim_enum_framesizes(struct file *file, void *fh, struct v4l2_frmsizeenum *fsize)
{
	struct camsim_node *node = video_drvdata(file);

	if (fsize->index || !camsim_node_format_of(node, fsize->pixel_format))
		return -EINVAL;
	fsize->type = V4L2_FRMSIZE_TYPE_STEPWISE;
	fsize->stepwise = (struct v4l2_frmsize_stepwise) {
		CAMSIM_MIN_WIDTH, node->camsim->chip.model->width, 4,
		CAMSIM_MIN_HEIGHT, node->camsim->chip.model->height, 2,
	};
	return 0;
}

static int camsim_log_status(struct file *file, void *fh)
{
	struct camsim_node *node = video_drvdata(file);

	v4l2_device_call_all(&node->camsim->v4l2_dev, 0, core, log_status);
	return 0;
}

static const struct v4l2_ioctl_ops camsim_capture_ioctl_ops = {
	.vidioc_querycap = camsim_querycap,
	.vidioc_enum_fmt_vid_cap = camsim_enum_fmt,
	.vidioc_g_fmt_vid_cap = camsim_g_fmt,
	.vidioc_try_fmt_vid_cap = camsim_try_fmt,
	.vidioc_s_fmt_vid_cap = camsim_s_fmt,
	.vidioc_enum_framesizes = camsim_enum_framesizes,
	.vidioc_reqbufs = vb2_ioctl_reqbufs,
	.vidioc_create_bufs = vb2_ioctl_create_bufs,
	.vidioc_remove_bufs = vb2_ioctl_remove_bufs,
	.vidioc_prepare_buf = vb2_ioctl_prepare_buf,
	.vidioc_querybuf = vb2_ioctl_querybuf,
	.vidioc_qbuf = vb2_ioctl_qbuf,
	.vidioc_dqbuf = vb2_ioctl_dqbuf,
	.vidioc_expbuf = vb2_ioctl_expbuf,
	.vidioc_streamon = vb2_ioctl_streamon,
	.vidioc_streamoff = vb2_ioctl_streamoff,
	.vidioc_log_status = camsim_log_status,
};

static const struct v4l2_file_operations camsim_capture_fops = {
	.owner = THIS_MODULE,
	.open = v4l2_fh_open,
	.release = vb2_fop_release,
	.poll = vb2_fop_poll,
	.mmap = vb2_fop_mmap,
	.unlocked_ioctl = video_ioctl2,
};

/* -----------------------------------------------------------------------------
 * Coming and going
 */

static void camsim_node_release(struct video_device *vdev)
{
	struct camsim_node *node = container_of(vdev, struct camsim_node, vdev);

	camsim_put(node->camsim);
	mutex_destroy(&node->lock);
	kfree(node);
}

static int camsim_node_init_queue(struct camsim_node *node)
{
	struct vb2_queue *q = &node->queue;

	q->type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
	q->io_modes = VB2_MMAP | VB2_DMABUF;
	q->drv_priv = node;
	q->ops = &camsim_queue_ops;
	q->mem_ops = camsim_memops;
	q->buf_struct_size = sizeof(struct camsim_buffer);
	q->timestamp_flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
	q->min_queued_buffers = 1;
	q->lock = &node->lock;
	q->dev = node->camsim->dev;
	return vb2_queue_init(q);
}

static void camsim_node_init_vdev(struct camsim_node *node)
{
	struct video_device *vdev = &node->vdev;

	vdev->fops = &camsim_capture_fops;
	vdev->ioctl_ops = &camsim_capture_ioctl_ops;
	vdev->release = camsim_node_release;
	vdev->v4l2_dev = &node->camsim->v4l2_dev;
	vdev->queue = &node->queue;
	vdev->lock = &node->lock;
	vdev->vfl_dir = VFL_DIR_RX;
	vdev->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING | V4L2_CAP_IO_MC;
	if (node->id == CAMSIM_NV12)
		vdev->entity.flags |= MEDIA_ENT_FL_DEFAULT;
	snprintf(vdev->name, sizeof(vdev->name), "camsim%u-%s", node->camsim->id,
		 camsim_node_names[node->id]);
	video_set_drvdata(vdev, node);
}

static int camsim_node_link(struct camsim_node *node)
{
	struct camsim *camsim = node->camsim;
	struct media_entity *source = node->id == CAMSIM_RAW ? &camsim->csi.entity
							     : &camsim->isp.entity;
	u16 pad = node->id == CAMSIM_RAW ? CAMSIM_CSI_RAW : CAMSIM_ISP_SOURCE;

	return media_create_pad_link(source, pad, &node->vdev.entity, 0,
				     MEDIA_LNK_FL_ENABLED | MEDIA_LNK_FL_IMMUTABLE);
}

int camsim_capture_register(struct camsim *camsim, enum camsim_node_id id)
{
	struct camsim_node *node;
	int ret;

	node = kzalloc(sizeof(*node), GFP_KERNEL);
	if (!node)
		return -ENOMEM;
	node->camsim = camsim_get(camsim);
	node->id = id;
	mutex_init(&node->lock);
	node->format.width = camsim->chip.model->width;
	node->format.height = camsim->chip.model->height;
	camsim_adjust_format(node, &node->format);

	ret = camsim_node_init_queue(node);
	if (ret)
		goto err_free;
	camsim_node_init_vdev(node);
	node->pad.flags = MEDIA_PAD_FL_SINK;
	ret = media_entity_pads_init(&node->vdev.entity, 1, &node->pad);
	if (ret)
		goto err_free;
	ret = video_register_device(&node->vdev, VFL_TYPE_VIDEO, -1);
	if (ret)
		goto err_free;

	/* From here on the node goes by its release. */
	camsim->nodes[id] = node;
	ret = camsim_check_entity(&node->vdev);
	return ret ? ret : camsim_node_link(node);

err_free:
	camsim_node_release(&node->vdev);
	return ret;
}

/*
 * Both nodes are in the pipeline, whichever streams, and what stops it writes to the pads of both:
 * neither goes before both are stopped.
 */
void camsim_capture_unregister(struct camsim *camsim)
{
	struct camsim_node *nodes[CAMSIM_NUM_NODES];
	unsigned int i;

	spin_lock_irq(&camsim->queue_lock);
	memcpy(nodes, camsim->nodes, sizeof(nodes));
	memset(camsim->nodes, 0, sizeof(camsim->nodes));
	spin_unlock_irq(&camsim->queue_lock);

	for (i = 0; i < CAMSIM_NUM_NODES; i++) {
		if (!nodes[i])
			continue;
		get_device(&nodes[i]->vdev.dev);
		vb2_video_unregister_device(&nodes[i]->vdev);
	}
	for (i = 0; i < CAMSIM_NUM_NODES; i++) {
		if (!nodes[i])
			continue;
		/*
		 * The framework does this when the last file is closed: till then there would be
		 * two entities of one name if the sensor comes back.
		 */
		media_device_unregister_entity(&nodes[i]->vdev.entity);
		put_device(&nodes[i]->vdev.dev);
	}
}

/* No more frames will come until the nodes are stopped and started again. */
void camsim_capture_fail(struct camsim *camsim)
{
	unsigned int i;

	spin_lock_irq(&camsim->queue_lock);
	for (i = 0; i < CAMSIM_NUM_NODES; i++)
		if (camsim->nodes[i] && camsim->queues[i].streaming)
			vb2_queue_error(&camsim->nodes[i]->queue);
	spin_unlock_irq(&camsim->queue_lock);
}
