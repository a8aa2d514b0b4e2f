/* SPDX-License-Identifier: MIT */
/*
 * Private memory: pages that one owner writes and that nobody else can.
 *
 * It is a memfd, sealed against resizing, with all its pages there from the start, mapped
 * writable once, and then sealed so that nobody can ever map it writable again or make a
 * DMA-buf of it. It has two handles:
 *
 *   dmabuf  for devices, which write through it. It stays with the owner: a DMA-buf that was
 *           handed out can't be taken back.
 *   memfd   for the one process that may read. It can only be mapped read-only.
 *
 * Both and the mapping belong to struct memory; memory_free() ends them. What was handed out
 * is a duplicate, and lives on with whoever got it.
 */
#ifndef VOLET_CAM_MEMORY_H
#define VOLET_CAM_MEMORY_H

#include <glib.h>

struct memory {
	guint8 *map;
	gsize size;	/* a multiple of the page size */
	int memfd;
	int dmabuf;	/* -1 where there is no udmabuf */
};

/*
 * More than any session or picture needs. All pages are taken at once, and a machine that
 * lacks them kills other programs rather than say no: absurd sizes are to end here.
 */
#define MEMORY_MAX	(256u << 20)

#define MEMORY_NONE { .map = NULL, .memfd = -1, .dmabuf = -1 }

/*
 * `udmabuf` is an open /dev/udmabuf (borrowed), or -1 for memory without a device handle.
 * `name` is seen in /proc only. With an error `m` is empty.
 */
gboolean memory_new(struct memory *m, const char *name, gsize size, int udmabuf, GError **error);

/*
 * Memory for a device that takes contiguous pages alone, for its owner to read: of `heap` (borrowed),
 * an open DMA-heap, whose memory the kernel has cleared. It has no memfd, so that it can't be
 * given to a session. With an error (ENOMEM: the heap has no more) `m` is empty.
 */
gboolean memory_new_heap(struct memory *m, gsize size, int heap, GError **error);

/* Also right for empty memory. */
void memory_free(struct memory *m);

/* Close the memfd, once it has been sent or where nobody is to read: the mapping stays. */
void memory_close_memfd(struct memory *m);

gsize memory_round_up(gsize size);

#endif
