/* SPDX-License-Identifier: MIT */
/*
 * Stateful encoders that aren't there: the test program is linked with --wrap=ioctl and
 * --wrap=poll, and files named video0, video1 ... in a directory of its own stand for nodes. They
 * make real JPEG and H.264 with the software encoders, from the memory that they are given, and
 * fail as they are told to. UDMABUF_CREATE gives a second handle to the memfd.
 */
#ifndef FAKE_M2M_H
#define FAKE_M2M_H

#include <glib.h>
#include <linux/videodev2.h>

#define FAKE_NODES	4

enum fake_kind { FAKE_CAMERA, FAKE_DECODER, FAKE_ENCODER };

struct fake_node {
	enum fake_kind kind;
	guint32 coded;			/* V4L2_PIX_FMT_JPEG or _H264 */
	gboolean mplane, two_pieces;	/* NV12M alone */
	guint pad_lines, pad_stride;	/* added to height and line */
	gboolean no_dmabuf;		/* REQBUFS says EINVAL */
	gboolean contiguous;		/* QBUF of a DMA-buf says EFAULT */
	gboolean can_force, has_gop;
	gboolean apart;			/* parameter sets in a buffer of their own, once */
	/* faults; from the frame of that number on, 0: never */
	guint hang_at, error_at, error_count, stale_at, garbage_at;
	gboolean holds_back;		/* one frame, until the next or a drain */

	/* what was seen */
	guint frames, forced, drains, streams, queued_dmabuf, queued_mmap;
	gint32 bitrate, quality, gop;
	guint open_buffers;
	const guint8 *read_at;		/* of the newest picture: where it lay */
};

extern struct fake_node fake_nodes[FAKE_NODES];

/* Makes the directory; the nodes are `n` of fake_nodes, all cleared. */
char *fake_m2m_directory(guint n);
void fake_m2m_end(char *directory);

#endif
