// SPDX-License-Identifier: MIT
/* A display's own buffers; see handed.h. */
#include "handed.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef DMA_BUF_MAGIC
#define DMA_BUF_MAGIC 0x444d4142
#endif

#define PIXEL		4
#define SIZE_MAX_BYTES	(64u << 20)	/* 2040x2040 in lines of four times as much */

static const char *check_layout(const struct volet_frame_buffers *b, guint n_fds, guint width,
				guint height)
{
	guint64 line = (guint64)width * PIXEL;

	if (b->n > VOLET_BUFFERS_MAX || b->n != n_fds)
		return "another number of buffers than descriptors, or too many";
	if (!b->n)
		return NULL;
	if (b->n < 2)
		return "one buffer alone, which can't be shown and filled at once";
	if (b->width != width || b->height != height)
		return "buffers for another size of picture";
	if (b->pitch < line || b->pitch % PIXEL || b->offset % PIXEL || !b->size ||
	    b->size > SIZE_MAX_BYTES || b->offset > b->size)
		return "buffers of impossible lines or sizes";
	if ((guint64)b->pitch * (height - 1) + line > b->size - b->offset)
		return "buffers that end before the picture does";
	return NULL;
}

static const char *check_buffer(int fd, guint64 size)
{
	struct statfs st;

	if (fstatfs(fd, &st) < 0 || st.f_type != DMA_BUF_MAGIC)
		return "a descriptor that is no DMA-buf";
	if (lseek(fd, 0, SEEK_END) != (off_t)size)
		return "a DMA-buf of another size than it says";
	return NULL;
}

enum handed_result handed_take(struct handed *h, const struct volet_frame_buffers *buffers,
			       const int *fds, guint n_fds, guint width, guint height,
			       const char **why)
{
	guint i;

	*h = (struct handed) { 0 };
	*why = check_layout(buffers, n_fds, width, height);
	for (i = 0; !*why && i < n_fds; i++)
		*why = check_buffer(fds[i], buffers->size);
	if (*why)
		return HANDED_WRONG;
	*why = "the display has none to hand up";
	if (!n_fds)
		return HANDED_REFUSED;
	h->width = width;
	h->height = height;
	h->pitch = buffers->pitch;
	h->offset = (gsize)buffers->offset;
	h->size = (gsize)buffers->size;
	for (i = 0; i < n_fds; i++) {
		h->fd[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
		h->map[i] = mmap(NULL, h->size, PROT_READ | PROT_WRITE, MAP_SHARED, fds[i], 0);
		h->n = i + 1;
		if (h->map[i] == MAP_FAILED || h->fd[i] < 0) {
			*why = g_strerror(errno);
			handed_free(h);
			return HANDED_REFUSED;
		}
	}
	*why = NULL;
	return HANDED_TAKEN;
}

void handed_free(struct handed *h)
{
	guint i;

	for (i = 0; i < h->n; i++) {
		if (h->map[i] != MAP_FAILED)
			munmap(h->map[i], h->size);
		if (h->fd[i] >= 0)
			close(h->fd[i]);
	}
	*h = (struct handed) { 0 };
}

static gboolean sync_cpu(int fd, guint64 flags)
{
	struct dma_buf_sync sync = { .flags = flags | DMA_BUF_SYNC_WRITE };
	int ret;

	do
		ret = ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync);
	while (ret < 0 && (errno == EINTR || errno == EAGAIN));
	return ret == 0;
}

gboolean handed_fill(struct handed *h, guint index, const guint8 *data)
{
	guint8 *out = h->map[index] + h->offset;
	gsize line = (gsize)h->width * PIXEL;
	guint row;

	if (!sync_cpu(h->fd[index], DMA_BUF_SYNC_START))
		return FALSE;
	for (row = 0; row < h->height; row++)
		memcpy(out + row * h->pitch, data + row * line, line);
	return sync_cpu(h->fd[index], DMA_BUF_SYNC_END);
}
