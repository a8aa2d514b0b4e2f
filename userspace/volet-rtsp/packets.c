// SPDX-License-Identifier: MIT
/* Packets into volet-udp's channel; see packets.h. */
#include "packets.h"

#include <errno.h>

#include "msg.h"

struct packets {
	int channel;
	GQueue waiting;		/* struct volet_packet *, the oldest first; of one frame at most */
};

struct packets *packets_new(int channel)
{
	struct packets *p = g_new0(struct packets, 1);

	p->channel = channel;
	g_queue_init(&p->waiting);
	return p;
}

/* Only a full channel has a packet wait: when volet-udp is gone, voletd ends this session. */
static bool hand_over(const struct packets *p, const struct volet_packet *packet)
{
	return msg_send(p->channel, packet, sizeof(*packet), NULL, 0) != -EAGAIN;
}

bool packets_put(struct packets *p, enum volet_packet_type type, GstBuffer *buffer,
		 uint64_t expires_ns)
{
	struct volet_packet packet = { .type = type, .expires_ns = expires_ns };
	gsize size = gst_buffer_get_size(buffer);

	if (size > sizeof(packet.data))
		return false;
	packet.length = (uint32_t)gst_buffer_extract(buffer, 0, packet.data, size);
	if (!g_queue_is_empty(&p->waiting) || !hand_over(p, &packet))
		g_queue_push_tail(&p->waiting, g_memdup2(&packet, sizeof(packet)));
	return true;
}

bool packets_flush(struct packets *p)
{
	struct volet_packet *packet;

	while ((packet = g_queue_peek_head(&p->waiting))) {
		if (!hand_over(p, packet))
			return false;
		g_free(g_queue_pop_head(&p->waiting));
	}
	return true;
}

void packets_drop(struct packets *p)
{
	g_queue_clear_full(&p->waiting, g_free);
}
