/* SPDX-License-Identifier: MIT */
/*
 * What goes to the viewer's socket. A frame is written whole or not at all, nothing that is
 * past the age limit is written, and bytes that the network doesn't take are watched: a
 * connection whose oldest byte is past the age limit is to be cut. RTP over UDP goes to
 * volet-udp instead: there nobody acknowledges, so nothing is cut, and packets carry a time
 * after which they aren't sent.
 */
#ifndef VOLET_RTSP_WRITER_H
#define VOLET_RTSP_WRITER_H

#include <gst/rtsp/rtsp.h>
#include "feeder.h"

struct writer;

struct writer *writer_new(int socket, GstRTSPWatch *watch, struct feeder *feeder);

/* After SETUP: where RTP goes, and no frame older than the limit. */
void writer_set_channel(struct writer *writer, unsigned int channel);

/* RTP goes by UDP: through this channel of volet-udp, its own now; `net` sees when it has room. */
void writer_set_udp(struct writer *writer, int packets, GMainContext *net);
void writer_set_age_limit(struct writer *writer, uint32_t age_limit_ms);

/* Messages of the server to the viewer, in order; false when the connection is gone. */
bool writer_send(struct writer *writer, GstRTSPMessage *messages, unsigned int n);

/* The watch has written the queued message `id` to its end. */
void writer_sent(struct writer *writer, unsigned int id);

/*
 * Is the oldest byte that the peer hasn't acknowledged past the age limit? Its age is in
 * `age_ns` (0: there is none). Any thread.
 */
bool writer_is_late(struct writer *writer, uint64_t *age_ns);

#endif
