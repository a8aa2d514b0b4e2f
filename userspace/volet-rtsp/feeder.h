/* SPDX-License-Identifier: MIT */
/*
 * Frames of the session into the pipeline: at most one on its way; of JPEG one more, the
 * newest, waits in its slot. Of H.264, where a frame left out spoils the next ones, as many
 * wait as there are slots, and one that is dropped takes all up to the next key frame with it.
 * What goes into the pipeline is a copy: GStreamer's sink keeps the
 * last buffer it gave out until there is another, and a slot can't wait for that.
 *
 * The pipeline runs either to be looked at (DESCRIBE and SETUP need one buffer to come out
 * of the payloader: it gets a blank one, so no picture from before PLAY ever exists in this
 * process), or to play.
 */
#ifndef VOLET_RTSP_FEEDER_H
#define VOLET_RTSP_FEEDER_H

#include <gst/gst.h>
#include "session.h"

struct feeder;

/* `session` is used in the thread of `home` only. */
struct feeder *feeder_new(struct session *session, GMainContext *home);

/* From the RTSP thread. The layout is set before the first source is made. */
void feeder_set_layout(struct feeder *feeder, const struct volet_frame_memory *layout);
const struct volet_frame_memory *feeder_layout(const struct feeder *feeder);
GstElement *feeder_make_source(struct feeder *feeder);
void feeder_expect_blank(struct feeder *feeder);	/* before DESCRIBE and SETUP */
void feeder_expect_play(struct feeder *feeder);		/* before PLAY */
void feeder_stop(struct feeder *feeder);		/* after PAUSE, or a PLAY that failed */

/* In the home thread: a frame of the session. */
void feeder_offer(struct feeder *feeder, const struct volet_frame_stamp *stamp,
		  const uint8_t *payload);

/*
 * The frame on its way now: false when there is none, and then nothing that looks like one
 * may be sent. feeder_done() says that all of it, `bytes`, is with the kernel, or that it
 * was dropped (0). Any thread.
 */
bool feeder_current(struct feeder *feeder, struct volet_frame_stamp *stamp);
void feeder_done(struct feeder *feeder, uint64_t generation, uint64_t bytes);

#endif
