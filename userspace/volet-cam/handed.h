/* SPDX-License-Identifier: MIT */
/*
 * Buffers that a display's session hands up to be filled: DMA-bufs of its own, which belong
 * to it for life. Pictures are written into them here, by the processor; the session's
 * memory then holds stamps alone.
 *
 * What a session hands up could be anything. Only a DMA-buf is taken, because its size can't
 * change: a memfd or file that shrinks would end this process, and with it every other
 * session, at the next write.
 */
#ifndef VOLET_CAM_HANDED_H
#define VOLET_CAM_HANDED_H

#include <glib.h>

#include "protocol.h"

struct handed {
	guint n;		/* 0: there are none */
	guint width, height;
	gsize pitch, offset, size;
	guint8 *map[VOLET_BUFFERS_MAX];
	int fd[VOLET_BUFFERS_MAX];	/* kept: cache maintenance is asked of it */
};

enum handed_result {
	HANDED_TAKEN,
	HANDED_REFUSED,		/* they are right, and can't be mapped for writing; or are none */
	HANDED_WRONG		/* they are not what the protocol says: the session ends */
};

/*
 * `fds` (`n_fds` of them) stay the caller's. The picture is of the granted size. Unless they
 * are TAKEN `h` is empty, and `why` a sentence.
 */
enum handed_result handed_take(struct handed *h, const struct volet_frame_buffers *buffers,
			       const int *fds, guint n_fds, guint width, guint height,
			       const char **why);
void handed_free(struct handed *h);	/* also right for empty ones */

/* `data` has lines of width * 4 bytes. FALSE when the buffer couldn't be made ready for it. */
gboolean handed_fill(struct handed *h, guint index, const guint8 *data);

#endif
