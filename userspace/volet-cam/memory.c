// SPDX-License-Identifier: MIT
/* Private memory with two handles; see memory.h. */
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "error.h"

gsize memory_round_up(gsize size)
{
	gsize page = (gsize)sysconf(_SC_PAGESIZE);

	return (size + page - 1) / page * page;
}

static gboolean failed(GError **error, const char *step, gsize size)
{
	return cam_error(error, errno, "private memory of %" G_GSIZE_FORMAT " KiB: %s", size / 1024,
			 step);
}

#ifdef VOLET_FAULT_LOOSE
/* A build for tests only: an ended session's memory, with its handle, is the next one's; the ring too. */
#define LENT 2	/* of one size each: a session's, and a capture buffer */
static struct memory lent[LENT] = { MEMORY_NONE, MEMORY_NONE };

static gboolean borrow(struct memory *m)
{
	guint i;

	for (i = 0; i < LENT; i++) {
		if (!lent[i].map || lent[i].size != m->size)
			continue;
		*m = lent[i];
		lent[i] = (struct memory) MEMORY_NONE;
		return TRUE;
	}
	return FALSE;
}

static gboolean give_back(struct memory *m)
{
	guint i, place = LENT;

	for (i = 0; i < LENT; i++) {
		if (lent[i].map && lent[i].size == m->size)
			return FALSE;
		if (!lent[i].map)
			place = i;
	}
	if (place == LENT || !m->map || m->memfd < 0)
		return FALSE;
	lent[place] = *m;
	*m = (struct memory) MEMORY_NONE;
	return TRUE;
}
#endif

static gboolean make(struct memory *m, const char *name, int udmabuf, GError **error)
{
	m->memfd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (m->memfd < 0)
		return failed(error, "memfd_create", m->size);
	if (ftruncate(m->memfd, (off_t)m->size) < 0 ||
	    fcntl(m->memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
		return failed(error, "sealing its size", m->size);
	m->map = mmap(NULL, m->size, PROT_READ | PROT_WRITE, MAP_SHARED, m->memfd, 0);
	if (m->map == MAP_FAILED) {
		m->map = NULL;
		return failed(error, "mmap", m->size);
	}
	/*
	 * All pages now: later, a machine without memory would answer a write with SIGBUS. And
	 * by writing, before there is a DMA-buf: the kernel clears a page that fallocate() made
	 * when it is first touched here, and with it what a device has written there by then.
	 */
	if (madvise(m->map, m->size, MADV_POPULATE_WRITE) < 0)
		return failed(error, "allocating its pages", m->size);
	if (udmabuf >= 0) {
		struct udmabuf_create create = {
			.memfd = (guint32)m->memfd, .flags = UDMABUF_FLAGS_CLOEXEC, .size = m->size,
		};

		m->dmabuf = ioctl(udmabuf, UDMABUF_CREATE, &create);
		if (m->dmabuf < 0)
			return failed(error, "UDMABUF_CREATE", m->size);
	}
	/* F_SEAL_SEAL too: who receives a memfd could add seals of its own otherwise. */
	if (fcntl(m->memfd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0)
		return failed(error, "sealing it against writers", m->size);
	return TRUE;
}

static gboolean start(struct memory *m, gsize size, GError **error)
{
	*m = (struct memory) MEMORY_NONE;
	if (!size || size > MEMORY_MAX)
		return cam_error(error, 0,
				 "private memory of %" G_GSIZE_FORMAT
				 " KiB is not made: it may have up to %u KiB",
				 size / 1024, MEMORY_MAX / 1024);
	m->size = memory_round_up(size);
	return TRUE;
}

gboolean memory_new(struct memory *m, const char *name, gsize size, int udmabuf, GError **error)
{
	if (!start(m, size, error))
		return FALSE;
#ifdef VOLET_FAULT_LOOSE
	if (borrow(m))
		return TRUE;
#endif
	if (make(m, name, udmabuf, error))
		return TRUE;
	memory_free(m);
	return FALSE;
}

gboolean memory_new_heap(struct memory *m, gsize size, int heap, GError **error)
{
	struct dma_heap_allocation_data data = { .fd_flags = O_RDWR | O_CLOEXEC };

	if (!start(m, size, error))
		return FALSE;
	data.len = m->size;
	if (ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &data) < 0)
		return failed(error, "DMA_HEAP_IOCTL_ALLOC (boot with a larger cma=)", m->size);
	m->dmabuf = (int)data.fd;
	m->map = mmap(NULL, m->size, PROT_READ, MAP_SHARED, m->dmabuf, 0);
	if (m->map != MAP_FAILED)
		return TRUE;
	m->map = NULL;
	failed(error, "mmap", m->size);
	memory_free(m);
	return FALSE;
}

void memory_close_memfd(struct memory *m)
{
#ifndef VOLET_FAULT_LOOSE
	if (m->memfd >= 0)
		close(m->memfd);
	m->memfd = -1;
#else
	(void)m;
#endif
}

void memory_free(struct memory *m)
{
#ifdef VOLET_FAULT_LOOSE
	if (give_back(m))
		return;
#endif
	if (m->map)
		munmap(m->map, m->size);
	memory_close_memfd(m);
	if (m->dmabuf >= 0)
		close(m->dmabuf);
	*m = (struct memory) MEMORY_NONE;
}
