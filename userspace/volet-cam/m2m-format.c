// SPDX-License-Identifier: MIT
/* Making a context: formats of both queues, and the encoder's controls; see m2m.h. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "error.h"
#include "m2m-queue.h"

static gboolean multi(const struct m2m *m)
{
	return V4L2_TYPE_IS_MULTIPLANAR(m->raw.type);
}

static gboolean set_coded(struct m2m *m, guint32 fourcc, GError **error)
{
	struct v4l2_format f = { .type = m->coded.type };
	guint32 got;

	if (multi(m))
		f.fmt.pix_mp = (struct v4l2_pix_format_mplane){
			.pixelformat = fourcc, .width = m->width, .height = m->height,
			.num_planes = 1, .field = V4L2_FIELD_NONE,
		};
	else
		f.fmt.pix = (struct v4l2_pix_format){
			.pixelformat = fourcc, .width = m->width, .height = m->height,
			.field = V4L2_FIELD_NONE,
		};
	if (ioctl(m->fd, VIDIOC_S_FMT, &f) < 0)
		return cam_error(error, errno, "%s: setting the format of coded frames", m->name);
	got = multi(m) ? f.fmt.pix_mp.pixelformat : f.fmt.pix.pixelformat;
	return got == fourcc || cam_error(error, 0, "%s: it gives %.4s where %.4s was asked for",
					  m->name, (const char *)&got, (const char *)&fourcc);
}

/* How large the driver makes it: known only once the size of pictures is. */
static gboolean size_coded(struct m2m *m, GError **error)
{
	struct v4l2_format f = { .type = m->coded.type };

	if (ioctl(m->fd, VIDIOC_G_FMT, &f) < 0)
		return cam_error(error, errno, "%s: asking how large frames get", m->name);
	m->coded.size[0] = multi(m) ? f.fmt.pix_mp.plane_fmt[0].sizeimage : f.fmt.pix.sizeimage;
	m->coded.planes = 1;
	/* As the process's limits have it (rlimits.h): more than a raw picture is none of a codec. */
	return (m->coded.size[0] && m->coded.size[0] <= 4 * (gsize)m->width * m->height + (1u << 20)) ||
	       cam_error(error, 0, "%s: it says that a coded frame has up to %" G_GSIZE_FORMAT " bytes",
			 m->name, m->coded.size[0]);
}

/* What the driver made of it. The picture may be padded, never cut. */
static gboolean take_raw(struct m2m *m, const struct v4l2_format *f, GError **error)
{
	const struct v4l2_pix_format_mplane *mp = &f->fmt.pix_mp;
	const struct v4l2_pix_format *pix = &f->fmt.pix;
	guint width = multi(m) ? mp->width : pix->width;
	gsize luma;
	guint i;

	m->lines = multi(m) ? mp->height : pix->height;
	m->stride = multi(m) ? mp->plane_fmt[0].bytesperline : pix->bytesperline;
	luma = m->stride * m->lines;
	m->payload[0] = m->raw.planes == 1 ? luma + luma / 2 : luma;
	m->payload[1] = luma / 2;
	if (width < m->width || m->lines < m->height || m->stride < width ||
	    m->lines > m->height + 256 || m->stride > 8 * (gsize)m->width + 65536)
		return cam_error(error, 0,
				 "%s: %ux%u was asked for and it takes %ux%u, lines of %" G_GSIZE_FORMAT
				 " bytes: write a `size` that it has, or encoder = software",
				 m->name, m->width, m->height, width, m->lines, m->stride);
	for (i = 0; i < m->raw.planes; i++) {
		m->raw.size[i] = multi(m) ? mp->plane_fmt[i].sizeimage : pix->sizeimage;
		if (m->raw.size[i] < m->payload[i] ||
		    m->raw.size[i] > 4 * (gsize)m->width * m->height + (1u << 20))
			return cam_error(error, 0,
					 "%s: a picture is %" G_GSIZE_FORMAT " bytes and it takes %"
					 G_GSIZE_FORMAT, m->name, m->payload[i], m->raw.size[i]);
	}
	return TRUE;
}

static gboolean crop(struct m2m *m, guint width, guint height, GError **error)
{
	struct v4l2_selection s = {
		.type = V4L2_BUF_TYPE_VIDEO_OUTPUT, .target = V4L2_SEL_TGT_CROP,
		.r = { .width = m->width, .height = m->height },
	};

	if (width == m->width && height == m->height)
		return TRUE;
	if (ioctl(m->fd, VIDIOC_S_SELECTION, &s) == 0 && s.r.width == m->width &&
	    s.r.height == m->height && !s.r.left && !s.r.top)
		return TRUE;
	return cam_error(error, 0,
			 "%s: it would make %ux%u of a picture of %ux%u: write a `size` that it has, or "
			 "encoder = software", m->name, width, height, m->width, m->height);
}

/* Colours as everywhere here: full range, sRGB's primaries and transfer, BT.601's matrix. */
static gboolean set_raw(struct m2m *m, guint32 fourcc, guint planes, GError **error)
{
	struct v4l2_format f = { .type = m->raw.type };
	guint32 got;

	if (multi(m))
		f.fmt.pix_mp = (struct v4l2_pix_format_mplane){
			.pixelformat = fourcc, .width = m->width, .height = m->height,
			.num_planes = (guint8)planes, .field = V4L2_FIELD_NONE,
			.colorspace = V4L2_COLORSPACE_JPEG,
		};
	else
		f.fmt.pix = (struct v4l2_pix_format){
			.pixelformat = fourcc, .width = m->width, .height = m->height,
			.field = V4L2_FIELD_NONE, .colorspace = V4L2_COLORSPACE_JPEG,
		};
	if (ioctl(m->fd, VIDIOC_S_FMT, &f) < 0)
		return cam_error(error, errno, "%s: setting the format of pictures", m->name);
	got = multi(m) ? f.fmt.pix_mp.pixelformat : f.fmt.pix.pixelformat;
	if (got != fourcc || (multi(m) && f.fmt.pix_mp.num_planes != planes))
		return cam_error(error, EINVAL, "%s: it doesn't take %.4s", m->name,
				 (const char *)&fourcc);
	m->raw.planes = planes;
	return take_raw(m, &f, error) &&
	       crop(m, multi(m) ? f.fmt.pix_mp.width : f.fmt.pix.width, m->lines, error);
}

static gboolean set_formats(struct m2m *m, const struct m2m_config *config, GError **error)
{
	struct v4l2_streamparm parm = { .type = m->raw.type };
	g_autoptr(GError) why = NULL;

	if (!set_coded(m, config->coded, error))
		return FALSE;
	if (!set_raw(m, V4L2_PIX_FMT_NV12, 1, &why)) {
		if (!multi(m) || why->code != EINVAL) {
			g_propagate_error(error, g_steal_pointer(&why));
			return FALSE;
		}
		if (!set_raw(m, V4L2_PIX_FMT_NV12M, 2, error))
			return FALSE;
	}
	if (config->rate) {
		parm.parm.output.timeperframe = (struct v4l2_fract){ 1, config->rate };
		ioctl(m->fd, VIDIOC_S_PARM, &parm);	/* a hint for the rate control */
	}
	return size_coded(m, error);
}

struct m2m *m2m_new(const struct m2m_config *config, GError **error)
{
	struct m2m *m = g_new0(struct m2m, 1);
	struct v4l2_capability cap = { 0 };
	guint32 caps;
	gboolean mp;

	m->fd = config->node;
	m->udmabuf = config->udmabuf;
	m->name = g_strdup(config->name);
	m->width = config->width;
	m->height = config->height;
	if (ioctl(m->fd, VIDIOC_QUERYCAP, &cap) < 0) {
		cam_error(error, errno, "%s: asking what it is", m->name);
		m2m_free(m);
		return NULL;
	}
	caps = cap.capabilities & V4L2_CAP_DEVICE_CAPS ? cap.device_caps : cap.capabilities;
	mp = (caps & (V4L2_CAP_VIDEO_M2M_MPLANE | V4L2_CAP_VIDEO_CAPTURE_MPLANE)) != 0;
	m->raw.type = mp ? V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE : V4L2_BUF_TYPE_VIDEO_OUTPUT;
	m->coded.type = mp ? V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE : V4L2_BUF_TYPE_VIDEO_CAPTURE;
	m->raw.writes = TRUE;
	if (set_formats(m, config, error))
		return m;
	m2m_free(m);
	return NULL;
}

void m2m_free(struct m2m *m)
{
	if (!m)
		return;
	if (m->started || m->raw.n || m->coded.n)
		m2m_stop(m);
	close(m->fd);
	g_free(m->name);
	g_free(m);
}

gboolean m2m_control(struct m2m *m, guint32 id, gint64 value)
{
	struct v4l2_queryctrl query = { .id = id };
	struct v4l2_control control = { .id = id };

	if (ioctl(m->fd, VIDIOC_QUERYCTRL, &query) < 0 || query.flags & V4L2_CTRL_FLAG_DISABLED)
		return FALSE;
	control.value = (gint32)CLAMP(value, query.minimum, query.maximum);
	return ioctl(m->fd, VIDIOC_S_CTRL, &control) == 0;
}

gboolean m2m_press(struct m2m *m, guint32 id)
{
	struct v4l2_control control = { .id = id, .value = 1 };

	return ioctl(m->fd, VIDIOC_S_CTRL, &control) == 0;
}
