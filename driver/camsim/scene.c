// SPDX-License-Identifier: GPL-2.0-only
/*
 * The scene: a video output node. What is played there is what the sensor sees, scaled to the
 * pixel array; a frame stays until the next one comes or the stream stops, and then the
 * generated scene is back.
 *
 * The frame in front of the sensor is the player's own buffer, which is given back when the
 * next one has taken its place: a display works the same way.
 */
#include <linux/workqueue.h>
#include <media/v4l2-event.h>
#include <media/v4l2-ioctl.h>
#include <media/videobuf2-vmalloc.h>

#include "priv.h"

#define SCENE_MIN_SIZE		16
#define SCENE_MAX_WIDTH		1920
#define SCENE_MAX_HEIGHT	1080
#define SCENE_MAX_FPS		60
#define SCENE_DEFAULT_FPS	30

struct camsim_scene {
	struct camsim *camsim;
	struct video_device vdev;
	struct vb2_queue queue;
	struct mutex ioctl_lock;	/* serialises ioctls and the queue */
	struct media_pad pad;
	struct v4l2_pix_format format;
	struct v4l2_fract period;
	struct delayed_work work;

	struct mutex lock;		/* what is below; held while the sensor looks */
	struct list_head buffers;	/* yet to be shown */
	struct camsim_buffer *shown;
	struct camsim_picture picture;
	struct camsim_generated *generated;
	u32 count;
	u64 next_ns;			/* when a buffer may be shown */
};

/* -----------------------------------------------------------------------------
 * Showing
 */

const struct camsim_picture *camsim_scene_lock(struct camsim *camsim)
{
	struct camsim_scene *scene = camsim->scene;

	mutex_lock(&scene->lock);
	return scene->shown ? &scene->picture : camsim_generated_next(scene->generated);
}

void camsim_scene_unlock(struct camsim *camsim)
{
	mutex_unlock(&camsim->scene->lock);
}

static void camsim_scene_fill_picture(struct camsim_scene *scene, const u8 *data)
{
	const struct v4l2_pix_format *pix = &scene->format;
	struct camsim_picture *picture = &scene->picture;
	bool nv12 = pix->pixelformat == V4L2_PIX_FMT_NV12;
	u32 luma = pix->bytesperline * pix->height;

	picture->width = pix->width;
	picture->height = pix->height;
	picture->y = data;
	picture->y_stride = pix->bytesperline;
	picture->u = data + luma;
	picture->v = nv12 ? picture->u + 1 : picture->u + luma / 4;
	picture->c_step = nv12 ? 2 : 1;
	picture->c_stride = nv12 ? pix->bytesperline : pix->bytesperline / 2;
	picture->full_range = pix->quantization == V4L2_QUANTIZATION_FULL_RANGE;
	picture->bt709 = pix->ycbcr_enc == V4L2_YCBCR_ENC_709;
	picture->id = ++scene->count;
}

static void camsim_scene_done(struct camsim_scene *scene, struct camsim_buffer *buf,
			      enum vb2_buffer_state state)
{
	buf->vb.vb2_buf.timestamp = ktime_get_ns();
	buf->vb.sequence = scene->count - 1;
	buf->vb.field = V4L2_FIELD_NONE;
	vb2_buffer_done(&buf->vb.vb2_buf, state);
}

static u64 camsim_scene_period_ns(const struct camsim_scene *scene)
{
	return div_u64((u64)scene->period.numerator * NSEC_PER_SEC, scene->period.denominator);
}

/* A player without a clock of its own is held to the frame rate that it set. */
static void camsim_scene_schedule(struct camsim_scene *scene)
{
	u64 now = ktime_get_ns();
	u64 wait = scene->next_ns > now ? scene->next_ns - now : 0;

	mod_delayed_work(system_wq, &scene->work, nsecs_to_jiffies(wait));
}

static void camsim_scene_work(struct work_struct *work)
{
	struct camsim_scene *scene = container_of(to_delayed_work(work), struct camsim_scene, work);
	struct camsim_buffer *buf, *old;

	mutex_lock(&scene->lock);
	buf = list_first_entry_or_null(&scene->buffers, struct camsim_buffer, list);
	if (buf) {
		list_del(&buf->list);
		old = scene->shown;
		scene->shown = buf;
		if (old)
			camsim_scene_done(scene, old, VB2_BUF_STATE_DONE);
		camsim_scene_fill_picture(scene, vb2_plane_vaddr(&buf->vb.vb2_buf, 0));
		scene->next_ns = max(scene->next_ns + camsim_scene_period_ns(scene),
				     ktime_get_ns());
		if (!list_empty(&scene->buffers))
			camsim_scene_schedule(scene);
	}
	mutex_unlock(&scene->lock);
}

/* -----------------------------------------------------------------------------
 * Queue
 */

static int camsim_scene_queue_setup(struct vb2_queue *q, unsigned int *num_buffers,
				    unsigned int *num_planes, unsigned int sizes[],
				    struct device *alloc_devs[])
{
	struct camsim_scene *scene = vb2_get_drv_priv(q);

	if (*num_planes)
		return sizes[0] < scene->format.sizeimage ? -EINVAL : 0;
	*num_planes = 1;
	sizes[0] = scene->format.sizeimage;
	return 0;
}

static int camsim_scene_buf_validate(struct vb2_buffer *vb)
{
	to_vb2_v4l2_buffer(vb)->field = V4L2_FIELD_NONE;
	return 0;
}

/*
 * A part of a picture is refused: the rest would be what the buffer held before. write() hands
 * over none but full buffers, and vb2 has lost their payload by now.
 */
static int camsim_scene_buf_prepare(struct vb2_buffer *vb)
{
	struct camsim_scene *scene = vb2_get_drv_priv(vb->vb2_queue);
	u32 size = scene->format.sizeimage;

	if (vb2_plane_size(vb, 0) < size)
		return -EINVAL;
	if (vb2_get_plane_payload(vb, 0) < size && !vb2_fileio_is_active(vb->vb2_queue))
		return -EINVAL;
	return vb2_plane_vaddr(vb, 0) ? 0 : -ENOMEM;
}

static void camsim_scene_buf_queue(struct vb2_buffer *vb)
{
	struct camsim_scene *scene = vb2_get_drv_priv(vb->vb2_queue);
	struct camsim_buffer *buf = container_of(to_vb2_v4l2_buffer(vb), struct camsim_buffer, vb);

	mutex_lock(&scene->lock);
	list_add_tail(&buf->list, &scene->buffers);
	if (vb2_start_streaming_called(vb->vb2_queue))
		camsim_scene_schedule(scene);
	mutex_unlock(&scene->lock);
}

static int camsim_scene_start_streaming(struct vb2_queue *q, unsigned int count)
{
	struct camsim_scene *scene = vb2_get_drv_priv(q);

	mutex_lock(&scene->lock);
	scene->count = 0;
	scene->next_ns = ktime_get_ns();
	camsim_scene_schedule(scene);
	mutex_unlock(&scene->lock);
	return 0;
}

static void camsim_scene_stop_streaming(struct vb2_queue *q)
{
	struct camsim_scene *scene = vb2_get_drv_priv(q);
	struct camsim_buffer *buf, *tmp;

	cancel_delayed_work_sync(&scene->work);
	mutex_lock(&scene->lock);
	if (scene->shown)
		camsim_scene_done(scene, scene->shown, VB2_BUF_STATE_DONE);
	scene->shown = NULL;
	list_for_each_entry_safe(buf, tmp, &scene->buffers, list) {
		list_del(&buf->list);
		camsim_scene_done(scene, buf, VB2_BUF_STATE_ERROR);
	}
	mutex_unlock(&scene->lock);
}

static const struct vb2_ops camsim_scene_queue_ops = {
	.queue_setup = camsim_scene_queue_setup,
	.buf_out_validate = camsim_scene_buf_validate,
	.buf_prepare = camsim_scene_buf_prepare,
	.buf_queue = camsim_scene_buf_queue,
	.start_streaming = camsim_scene_start_streaming,
	.stop_streaming = camsim_scene_stop_streaming,
	.wait_prepare = vb2_ops_wait_prepare,
	.wait_finish = vb2_ops_wait_finish,
};

/* -----------------------------------------------------------------------------
 * ioctls
 */

static const u32 camsim_scene_formats[] = { V4L2_PIX_FMT_NV12, V4L2_PIX_FMT_YUV420 };

static void camsim_scene_adjust(struct v4l2_pix_format *pix)
{
	bool full;

	if (pix->pixelformat != V4L2_PIX_FMT_YUV420)
		pix->pixelformat = V4L2_PIX_FMT_NV12;
	pix->width = clamp(round_down(pix->width, 2), SCENE_MIN_SIZE, SCENE_MAX_WIDTH);
	pix->height = clamp(round_down(pix->height, 2), SCENE_MIN_SIZE, SCENE_MAX_HEIGHT);
	pix->field = V4L2_FIELD_NONE;
	pix->bytesperline = pix->width;
	pix->sizeimage = pix->width * pix->height * 3 / 2;
	pix->flags = 0;

	/* What the player says it plays, or else video as most files have it */
	full = pix->quantization == V4L2_QUANTIZATION_FULL_RANGE ||
	       (pix->quantization == V4L2_QUANTIZATION_DEFAULT &&
		pix->colorspace == V4L2_COLORSPACE_JPEG);
	if (pix->colorspace != V4L2_COLORSPACE_REC709 && pix->colorspace != V4L2_COLORSPACE_JPEG &&
	    pix->colorspace != V4L2_COLORSPACE_SRGB)
		pix->colorspace = V4L2_COLORSPACE_SMPTE170M;
	if (pix->ycbcr_enc != V4L2_YCBCR_ENC_601 && pix->ycbcr_enc != V4L2_YCBCR_ENC_709)
		pix->ycbcr_enc = V4L2_MAP_YCBCR_ENC_DEFAULT(pix->colorspace);
	pix->quantization = full ? V4L2_QUANTIZATION_FULL_RANGE : V4L2_QUANTIZATION_LIM_RANGE;
	pix->xfer_func = V4L2_XFER_FUNC_SRGB;
}

static int camsim_scene_querycap(struct file *file, void *fh, struct v4l2_capability *cap)
{
	strscpy(cap->driver, "camsim", sizeof(cap->driver));
	strscpy(cap->card, video_devdata(file)->name, sizeof(cap->card));
	return 0;
}

static int camsim_scene_enum_fmt(struct file *file, void *fh, struct v4l2_fmtdesc *f)
{
	if (f->index >= ARRAY_SIZE(camsim_scene_formats))
		return -EINVAL;
	f->pixelformat = camsim_scene_formats[f->index];
	return 0;
}

static int camsim_scene_g_fmt(struct file *file, void *fh, struct v4l2_format *f)
{
	struct camsim_scene *scene = video_drvdata(file);

	f->fmt.pix = scene->format;
	return 0;
}

static int camsim_scene_try_fmt(struct file *file, void *fh, struct v4l2_format *f)
{
	camsim_scene_adjust(&f->fmt.pix);
	return 0;
}

static int camsim_scene_s_fmt(struct file *file, void *fh, struct v4l2_format *f)
{
	struct camsim_scene *scene = video_drvdata(file);

	if (vb2_is_busy(&scene->queue))
		return -EBUSY;
	camsim_scene_adjust(&f->fmt.pix);
	scene->format = f->fmt.pix;
	return 0;
}

static bool camsim_scene_has_format(u32 fourcc)
{
	return fourcc == V4L2_PIX_FMT_NV12 || fourcc == V4L2_PIX_FMT_YUV420;
}

static int camsim_scene_enum_framesizes(struct file *file, void *fh,
					struct v4l2_frmsizeenum *fsize)
{
	if (fsize->index || !camsim_scene_has_format(fsize->pixel_format))
		return -EINVAL;
	fsize->type = V4L2_FRMSIZE_TYPE_STEPWISE;
	fsize->stepwise = (struct v4l2_frmsize_stepwise) {
		SCENE_MIN_SIZE, SCENE_MAX_WIDTH, 2, SCENE_MIN_SIZE, SCENE_MAX_HEIGHT, 2,
	};
	return 0;
}

static int camsim_scene_enum_frameintervals(struct file *file, void *fh,
					    struct v4l2_frmivalenum *fival)
{
	if (fival->index || !camsim_scene_has_format(fival->pixel_format) ||
	    fival->width < SCENE_MIN_SIZE || fival->width > SCENE_MAX_WIDTH ||
	    fival->height < SCENE_MIN_SIZE || fival->height > SCENE_MAX_HEIGHT ||
	    fival->width & 1 || fival->height & 1)
		return -EINVAL;
	fival->type = V4L2_FRMIVAL_TYPE_CONTINUOUS;
	fival->stepwise.min = (struct v4l2_fract) { 1, SCENE_MAX_FPS };
	fival->stepwise.max = (struct v4l2_fract) { 1, 1 };
	fival->stepwise.step = (struct v4l2_fract) { 1, 1 };
	return 0;
}

static int camsim_scene_g_parm(struct file *file, void *fh, struct v4l2_streamparm *parm)
{
	struct camsim_scene *scene = video_drvdata(file);

	if (parm->type != V4L2_BUF_TYPE_VIDEO_OUTPUT)
		return -EINVAL;
	parm->parm.output.capability = V4L2_CAP_TIMEPERFRAME;
	parm->parm.output.timeperframe = scene->period;
	parm->parm.output.writebuffers = 3;
	return 0;
}

static int camsim_scene_s_parm(struct file *file, void *fh, struct v4l2_streamparm *parm)
{
	struct camsim_scene *scene = video_drvdata(file);
	struct v4l2_fract *period = &parm->parm.output.timeperframe;

	if (parm->type != V4L2_BUF_TYPE_VIDEO_OUTPUT)
		return -EINVAL;
	if (!period->numerator || !period->denominator)
		*period = (struct v4l2_fract) { 1, SCENE_DEFAULT_FPS };
	else if (period->denominator / period->numerator > SCENE_MAX_FPS)
		*period = (struct v4l2_fract) { 1, SCENE_MAX_FPS };
	else if (period->numerator > period->denominator)
		*period = (struct v4l2_fract) { 1, 1 };
	scene->period = *period;
	return camsim_scene_g_parm(file, fh, parm);
}

static int camsim_scene_enum_output(struct file *file, void *fh, struct v4l2_output *output)
{
	if (output->index)
		return -EINVAL;
	output->type = V4L2_OUTPUT_TYPE_ANALOG;
	strscpy(output->name, "Scene", sizeof(output->name));
	return 0;
}

static int camsim_scene_g_output(struct file *file, void *fh, unsigned int *index)
{
	*index = 0;
	return 0;
}

static int camsim_scene_s_output(struct file *file, void *fh, unsigned int index)
{
	return index ? -EINVAL : 0;
}

static const struct v4l2_ioctl_ops camsim_scene_ioctl_ops = {
	.vidioc_querycap = camsim_scene_querycap,
	.vidioc_enum_fmt_vid_out = camsim_scene_enum_fmt,
	.vidioc_g_fmt_vid_out = camsim_scene_g_fmt,
	.vidioc_try_fmt_vid_out = camsim_scene_try_fmt,
	.vidioc_s_fmt_vid_out = camsim_scene_s_fmt,
	.vidioc_enum_framesizes = camsim_scene_enum_framesizes,
	.vidioc_enum_frameintervals = camsim_scene_enum_frameintervals,
	.vidioc_g_parm = camsim_scene_g_parm,
	.vidioc_s_parm = camsim_scene_s_parm,
	.vidioc_enum_output = camsim_scene_enum_output,
	.vidioc_g_output = camsim_scene_g_output,
	.vidioc_s_output = camsim_scene_s_output,
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
};

static const struct v4l2_file_operations camsim_scene_fops = {
	.owner = THIS_MODULE,
	.open = v4l2_fh_open,
	.release = vb2_fop_release,
	.write = vb2_fop_write,
	.poll = vb2_fop_poll,
	.mmap = vb2_fop_mmap,
	.unlocked_ioctl = video_ioctl2,
};

/* -----------------------------------------------------------------------------
 * Coming and going
 */

/* The scene itself goes with the camera, which the sensor thread looks at it from. */
static void camsim_scene_release(struct video_device *vdev)
{
	struct camsim_scene *scene = container_of(vdev, struct camsim_scene, vdev);

	camsim_put(scene->camsim);
}

static int camsim_scene_init_queue(struct camsim_scene *scene)
{
	struct vb2_queue *q = &scene->queue;

	q->type = V4L2_BUF_TYPE_VIDEO_OUTPUT;
	q->io_modes = VB2_MMAP | VB2_DMABUF | VB2_WRITE;
	q->drv_priv = scene;
	q->ops = &camsim_scene_queue_ops;
	q->mem_ops = &vb2_vmalloc_memops;
	q->buf_struct_size = sizeof(struct camsim_buffer);
	q->timestamp_flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
	q->min_queued_buffers = 1;
	q->min_reqbufs_allocation = 3;	/* one is shown, one waits, one is being filled */
	q->lock = &scene->ioctl_lock;
	q->dev = scene->camsim->dev;
	return vb2_queue_init(q);
}

static int camsim_scene_register(struct camsim_scene *scene)
{
	struct video_device *vdev = &scene->vdev;
	int ret;

	vdev->fops = &camsim_scene_fops;
	vdev->ioctl_ops = &camsim_scene_ioctl_ops;
	vdev->release = camsim_scene_release;
	vdev->v4l2_dev = &scene->camsim->v4l2_dev;
	vdev->queue = &scene->queue;
	vdev->lock = &scene->ioctl_lock;
	vdev->vfl_dir = VFL_DIR_TX;
	vdev->device_caps = V4L2_CAP_VIDEO_OUTPUT | V4L2_CAP_STREAMING | V4L2_CAP_READWRITE;
	snprintf(vdev->name, sizeof(vdev->name), "camsim%u-scene", scene->camsim->id);
	video_set_drvdata(vdev, scene);

	scene->pad.flags = MEDIA_PAD_FL_SOURCE;
	ret = media_entity_pads_init(&vdev->entity, 1, &scene->pad);
	if (ret)
		return ret;
	ret = video_register_device(vdev, VFL_TYPE_VIDEO, -1);
	if (ret)
		return ret;
	camsim_get(scene->camsim);
	ret = camsim_check_entity(vdev);
	if (ret)
		vb2_video_unregister_device(vdev);
	return ret;
}

int camsim_scene_init(struct camsim *camsim)
{
	struct camsim_scene *scene;
	int ret;

	scene = kzalloc(sizeof(*scene), GFP_KERNEL);
	if (!scene)
		return -ENOMEM;
	camsim->scene = scene;
	scene->camsim = camsim;
	mutex_init(&scene->ioctl_lock);
	mutex_init(&scene->lock);
	INIT_LIST_HEAD(&scene->buffers);
	INIT_DELAYED_WORK(&scene->work, camsim_scene_work);
	scene->period = (struct v4l2_fract) { 1, SCENE_DEFAULT_FPS };
	scene->format.width = 1280;
	scene->format.height = 720;
	camsim_scene_adjust(&scene->format);

	scene->generated = camsim_generated_alloc(camsim->id);
	if (!scene->generated)
		return -ENOMEM;
	ret = camsim_scene_init_queue(scene);
	if (ret)
		return ret;
	return camsim_scene_register(scene);
}

void camsim_scene_cleanup(struct camsim *camsim)
{
	vb2_video_unregister_device(&camsim->scene->vdev);
}

void camsim_scene_free(struct camsim *camsim)
{
	if (!camsim->scene)
		return;
	camsim_generated_free(camsim->scene->generated);
	mutex_destroy(&camsim->scene->ioctl_lock);
	mutex_destroy(&camsim->scene->lock);
	kfree(camsim->scene);
}
