// SPDX-License-Identifier: MIT
/* Stateful encoders among the video nodes; see m2m-find.h. */
#include "m2m-find.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static void free_node(gpointer data)
{
	struct m2m_node *node = data;

	if (node->fd >= 0)
		close(node->fd);
	g_free(node->name);
	g_free(node);
}

static gboolean has_format(int fd, guint32 type, guint32 fourcc)
{
	struct v4l2_fmtdesc f = { .type = type };

	for (; ioctl(fd, VIDIOC_ENUM_FMT, &f) == 0; f.index++)
		if (f.pixelformat == fourcc)
			return TRUE;
	return FALSE;
}

static gboolean encodes(int fd, guint32 fourcc, struct v4l2_capability *cap)
{
	guint32 caps, raw, coded;
	gboolean mp;

	if (ioctl(fd, VIDIOC_QUERYCAP, cap) < 0)
		return FALSE;
	caps = cap->capabilities & V4L2_CAP_DEVICE_CAPS ? cap->device_caps : cap->capabilities;
	if (!(caps & (V4L2_CAP_VIDEO_M2M | V4L2_CAP_VIDEO_M2M_MPLANE)) ||
	    !(caps & V4L2_CAP_STREAMING))
		return FALSE;
	mp = (caps & V4L2_CAP_VIDEO_M2M_MPLANE) != 0;
	raw = mp ? V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE : V4L2_BUF_TYPE_VIDEO_OUTPUT;
	coded = mp ? V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE : V4L2_BUF_TYPE_VIDEO_CAPTURE;
	return has_format(fd, coded, fourcc) &&
	       (has_format(fd, raw, V4L2_PIX_FMT_NV12) ||
		(mp && has_format(fd, raw, V4L2_PIX_FMT_NV12M)));
}

static gint by_number(gconstpointer a, gconstpointer b)
{
	const char *const *x = a, *const *y = b;

	return (gint)(g_ascii_strtoull(*x + 5, NULL, 10) - g_ascii_strtoull(*y + 5, NULL, 10));
}

static GPtrArray *names_in(const char *directory)
{
	GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
	GDir *dir = g_dir_open(directory, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir)))
		if (g_str_has_prefix(name, "video") && g_ascii_isdigit(name[5]))
			g_ptr_array_add(names, g_strdup(name));
	if (dir)
		g_dir_close(dir);
	g_ptr_array_sort(names, by_number);
	return names;
}

GPtrArray *m2m_find(const char *directory, guint32 fourcc, guint *looked, guint *denied)
{
	g_autoptr(GPtrArray) names = names_in(directory);
	GPtrArray *found = g_ptr_array_new_with_free_func(free_node);
	guint i;

	*looked = names->len;
	*denied = 0;
	for (i = 0; i < names->len; i++) {
		g_autofree char *path = g_build_filename(directory, names->pdata[i], NULL);
		int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
		struct v4l2_capability cap = { 0 };
		struct m2m_node *node;

		if (fd < 0) {
			*denied += errno == EACCES || errno == EPERM;
			continue;
		}
		if (!encodes(fd, fourcc, &cap)) {
			close(fd);
			continue;
		}
		node = g_new0(struct m2m_node, 1);
		node->fd = fd;
		node->name = g_strdup_printf("%.*s (%s)", (int)sizeof(cap.driver), cap.driver, path);
		g_ptr_array_add(found, node);
	}
	return found;
}
