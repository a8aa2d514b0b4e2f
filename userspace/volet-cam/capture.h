/* SPDX-License-Identifier: MIT */
/*
 * The capture queue of one camera. Frames come into a ring of private memory (memory.h) by
 * V4L2_MEMORY_DMABUF, so that another opener of the node finds nothing to map: scattered pages, or
 * where the receiver doesn't take them, contiguous ones of a DMA-heap. Where that can't be had
 * either the node's own buffers are used, and the log says what that means.
 *
 * The ring is made when streaming starts and destroyed when it stops: nothing of what was
 * seen before is left for the next who watches.
 */
#ifndef VOLET_CAM_CAPTURE_H
#define VOLET_CAM_CAPTURE_H

#include <glib.h>

#include "convert.h"
#include "memory.h"
#include "protocol.h"

/* One is being encoded and one filled; the others keep the sensor running meanwhile. */
#define CAPTURE_BUFFERS	4

struct capture_config {
	const char *camera;	/* the name that every frame is stamped with */
	int node;		/* open; becomes the capture's */
	const char *entity;
	struct convert *convert;	/* from the node's format (borrowed) */
	guint width, height;
	int udmabuf;		/* /dev/udmabuf (borrowed), or -1 */
	int heap;		/* a DMA-heap of contiguous memory (borrowed), or -1 */
};

struct capture_plane {
	struct memory memory;	/* with VOLET_MEMORY_UDMABUF and VOLET_MEMORY_HEAP */
	guint8 *map;
	gsize size;
	int dmabuf;		/* borrowed of memory, or -1 */
};

struct capture_buffer {
	struct capture_plane planes[CONVERT_PLANES];
};

struct capture {
	char camera[VOLET_NAME_MAX];
	char *entity;
	int fd;
	int udmabuf, heap;	/* borrowed, or -1 */
	guint32 type;		/* of the queue: one or several planes */
	struct convert *convert;	/* borrowed */
	guint32 fourcc;
	guint width, height;
	guint planes;		/* pieces of memory of a frame */
	gsize stride, size[CONVERT_PLANES];	/* as the node makes them */
	gsize need[CONVERT_PLANES];	/* of a whole picture; `size` may have padding after it */
	guint32 memory;		/* enum volet_memory, 0 when not streaming */
	gboolean said_weak;
	guint n_buffers;
	struct capture_buffer buffers[CAPTURE_BUFFERS];
	/* since the process started */
	guint64 captured, errors, late;
	guint64 last_captured_ns, last_delay_ns;
	const char *wrong;	/* with the last of the errors */
	guint32 next_sequence;	/* of frames that are differences: another one is a gap */
};

/*
 * Stamped when it left the queue. NV12 (`y` and `uv`), or the camera's own JPEG or H.264, valid
 * until capture_return().
 */
struct capture_frame {
	char camera[VOLET_NAME_MAX];
	guint64 captured_ns, sequence;
	const guint8 *y, *uv;
	gsize stride;
	int dmabuf;		/* the memory that `y` is the start of, if a device can read it; or -1 */
	gsize dmabuf_size;
	const guint8 *coded;	/* by the camera; NULL: it is a picture */
	gsize coded_size;
	gboolean key;		/* of a coded frame */
	guint32 flags;		/* VOLET_STAMP_ */
	guint index;
};

/*
 * Take an open node and see what it is. Nothing streams and no sensor is powered by this. The
 * figures go on from those of the node before.
 */
gboolean capture_open(struct capture *c, const struct capture_config *config, GError **error);
void capture_close(struct capture *c);

/* Make the ring, queue it, and take it back: finds what would fail in capture_start(). */
gboolean capture_try(struct capture *c, GError **error);

gboolean capture_start(struct capture *c, GError **error);
void capture_stop(struct capture *c);

/*
 * Of a camera whose frames are differences (H.264) each in its turn: the oldest; after a frame
 * that was lost, broken or late none before the next key frame. Of others:
 *
 * Empty the queue and give the newest frame that is whole, not marked as an error, and
 * younger than `age_limit_ns`; the others go back. Returns 1 with a frame, 0 without one, -1
 * with an error (code ENODEV: the device is gone; else a restart of the stream may help).
 */
int capture_take(struct capture *c, guint64 age_limit_ns, struct capture_frame *frame,
		 GError **error);
gboolean capture_return(struct capture *c, const struct capture_frame *frame, GError **error);

/* Ask the camera for a key frame (FORCE_KEY_FRAME). FALSE: it can't be asked. */
gboolean capture_force_key(const struct capture *c);

guint64 capture_now(void);	/* CLOCK_MONOTONIC, ns */

#endif
