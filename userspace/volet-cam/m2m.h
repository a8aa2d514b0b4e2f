/* SPDX-License-Identifier: MIT */
/*
 * One context of a V4L2 stateful encoder: raw pictures in on its OUTPUT queue, coded frames out
 * on its CAPTURE queue. (The queues are named from the program's side.) A context has one size;
 * another size is another context, which is another open of the node.
 *
 * Both queues are given memory that volet-cam owns (memory.h), by V4L2_MEMORY_DMABUF; a picture
 * that lies in such memory already, as the encoder wants it, is not copied. Where the encoder
 * can't take such memory the queue has the driver's own buffers (MMAP), which is weaker, see
 * streamer.rst; m2m_weak() says so.
 *
 * Queues and memory are there while somebody watches: m2m_stop() drains the encoder, takes
 * both queues down and destroys the memory.
 */
#ifndef VOLET_CAM_M2M_H
#define VOLET_CAM_M2M_H

#include <glib.h>

#include "memory.h"

struct m2m;

struct m2m_config {
	int node;		/* open, non-blocking; becomes the context's, also with an error */
	const char *name;	/* for texts, such as "vicodec (/dev/video3)" */
	guint32 coded;		/* V4L2_PIX_FMT_ */
	guint width, height, rate;	/* rate 0: not known */
	int udmabuf;		/* /dev/udmabuf (borrowed), or -1 */
};

/* NV12. `dmabuf` is the memory that `y` is the start of, or -1: then it is copied. */
struct raw_picture {
	const guint8 *y, *uv;
	gsize stride;
	guint64 captured_ns;
	int dmabuf;
	gsize dmabuf_size;
};

/* What came out; `data` is valid until m2m_return(). */
struct m2m_coded {
	guint index;
	const guint8 *data;
	gsize length;		/* 0: nothing, as in the last one of a drain may be */
	guint64 captured_us;	/* of the picture that went in */
	gboolean error;		/* as the encoder's flags say; what else it is, the frame says */
};

enum m2m_result { M2M_FAILED = -1, M2M_NONE, M2M_CODED, M2M_LAST };

/* Sets the formats; before the sandbox. NULL with an error: then the node is closed. */
struct m2m *m2m_new(const struct m2m_config *config, GError **error);
void m2m_free(struct m2m *m);	/* also right for NULL */

/*
 * A control of the encoder, as near to `value` as it goes; FALSE where it hasn't that control.
 * Only before the sandbox. m2m_press() is for a button and works in the sandbox as well.
 */
gboolean m2m_control(struct m2m *m, guint32 id, gint64 value);
gboolean m2m_press(struct m2m *m, guint32 id);

/* Queue a picture; starts what isn't started. FALSE with an error when the encoder is unusable. */
gboolean m2m_put(struct m2m *m, const struct raw_picture *picture, GError **error);

/*
 * Wait for a coded frame until `deadline_ns` (CLOCK_MONOTONIC): M2M_CODED, M2M_NONE when none came
 * in time, M2M_LAST when it was the drain's last (which may have a frame too).
 */
enum m2m_result m2m_take(struct m2m *m, guint64 deadline_ns, struct m2m_coded *coded,
			 GError **error);
gboolean m2m_return(struct m2m *m, const struct m2m_coded *coded, GError **error);

/* Whether the encoder still reads pictures; waits until `deadline_ns` for it to be done. */
gboolean m2m_wait_read(struct m2m *m, guint64 deadline_ns, GError **error);

/* No more pictures: what was put in comes out, and then M2M_LAST. Only m2m_stop() may follow. */
gboolean m2m_drain(struct m2m *m, GError **error);

/* Drains, for a moment at most, and destroys the queues' memory. The next m2m_put() starts anew. */
void m2m_stop(struct m2m *m);

gboolean m2m_weak(const struct m2m *m);
/* Pictures that were imported as they lay there, and those that were copied. */
void m2m_figures(const struct m2m *m, guint64 *imported, guint64 *copied);

#endif
