/* SPDX-License-Identifier: MIT */
/*
 * RTP over UDP, as far as this process has to do with it: packets into the channel of volet-udp,
 * which sends them. What the channel doesn't take at once waits here, in order.
 */
#ifndef VOLET_RTSP_PACKETS_H
#define VOLET_RTSP_PACKETS_H

#include <gst/gst.h>
#include <stdbool.h>
#include "protocol.h"

struct packets;

/* `channel` becomes its own, and stays open as long as the process lives. */
struct packets *packets_new(int channel);

/* Not thread-safe: the caller has a lock. False when the packet doesn't fit into a datagram. */
bool packets_put(struct packets *packets, enum volet_packet_type type, GstBuffer *packet,
		 uint64_t expires_ns);

/* Hand over what waits, as far as it goes; true when nothing waits any more. */
bool packets_flush(struct packets *packets);
void packets_drop(struct packets *packets);

#endif
