/* SPDX-License-Identifier: MIT */
/* The one pipeline of a connection, and the GStreamer it is made of. */
#ifndef VOLET_RTSP_MEDIA_H
#define VOLET_RTSP_MEDIA_H

#include <gst/rtsp-server/rtsp-server.h>
#include "feeder.h"

/*
 * Initialise GStreamer with just the plugins that are needed: no search, no registry, and
 * nothing left to load later, when no file can be opened. False with a sentence in `why`.
 */
bool media_init(char why[SESSION_WHY_MAX]);

/* Makes appsrc ! rtpjpegpay or rtph264pay, over TCP only, reset (not paused) whenever it isn't playing. */
GstRTSPMediaFactory *media_factory_new(struct feeder *feeder);

/* From the next frame on no packet is larger, in bytes. */
void media_set_mtu(GstRTSPMedia *media, unsigned int mtu);

/* A pool that has all media's messages handled by the loop of `thread`. */
GstRTSPThreadPool *media_thread_pool_new(GstRTSPThread *thread);

#endif
