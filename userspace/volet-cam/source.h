/* SPDX-License-Identifier: MIT */
/*
 * Where a camera's frames come from: its device, or none (`media = test`). The device may
 * fail, go away and come back at any time; the sessions live on, and whoever watches gets a
 * picture that says what is wrong, once a second, until the device gives frames again. It
 * is then opened and set up anew, and no frame from before is shown after such a picture.
 */
#ifndef VOLET_CAM_SOURCE_H
#define VOLET_CAM_SOURCE_H

#include <poll.h>

#include "capture.h"
#include "config.h"
#include "light.h"
#include "nosignal.h"
#include "opener.h"
#include "testcam.h"

#define SOURCE_FDS	2

struct source {
	const struct volet_camera_config *config;
	gboolean is_test;
	struct testcam test;
	struct testcoder *coder;	/* of a test camera that codes, in test builds */
	struct opener opener;
	struct light light;		/* its exposure and white balance */
	int udmabuf;			/* /dev/udmabuf, or -1 */
	int heap;			/* a DMA-heap of contiguous memory, or -1 */
	struct convert convert;
	struct capture capture;		/* its fd is -1 while the device is not open */
	gboolean streaming;
	gboolean wanted;

	enum volet_signal signal;
	char *fault;			/* what is wrong, in words for the log */
	guint64 fault_ns;		/* since when */
	guint64 retry_ns;		/* when the device is tried again */
	guint backoff_ms;
	struct nosignal picture;
	guint64 picture_ns;		/* when the next one is due */
	guint64 generated;

	guint64 whole;			/* whole frames seen, to notice the next */
	guint64 whole_errors;		/* broken ones at that time */
	guint64 frame_ns, gap_ns;	/* when the last came, and the usual time between two */
	gboolean flowing;		/* one has come since the start */
	guint64 key_ns;			/* when an H.264 camera is asked for a key frame again */
	gboolean said_key;
	guint64 newest_ns;		/* of what was given out: later frames only from then on */

	/* Called when `signal` has changed, or its fault is another one. */
	void (*changed)(const struct source *source, gpointer data);
	gpointer data;
};

/* Before the sandbox. A device that isn't there is no error; what can't be run at all is. */
gboolean source_open(struct source *s, const struct volet_camera_config *config, int bus,
		     GError **error);
void source_close(struct source *s);

/* What to wait for, and until when at the latest. */
void source_poll(const struct source *s, struct pollfd fds[SOURCE_FDS]);
guint64 source_due(const struct source *s);

/*
 * Follow what is wanted, and what the device does: open, start, stop, try again. FALSE with
 * an error only when this process can't go on.
 */
gboolean source_run(struct source *s, gboolean wanted, GError **error);

/* The newest frame, or the picture that is due. A device's errors are dealt with here. */
gboolean source_take(struct source *s, guint64 age_limit_ns, struct capture_frame *frame);
void source_return(struct source *s, const struct capture_frame *frame);

/* What the camera codes itself, or 0: then its frames are without `y` and `uv`. */
guint source_codec(const struct source *s);

/* H.264: its parameter sets, once they are known; as annexb_parameters(). */
guint source_parameters(const struct source *s, guint8 *out, gsize size);

gboolean source_failed(const struct source *s);

#endif
