// SPDX-License-Identifier: MIT
/*
 * Where RTP goes: the offers of a SETUP. The server always gets to see RTP in the connection;
 * for RTP over UDP its packets go another way (writer.c), and its answer is put right here. So
 * it makes no socket, and the address is never the request's: it is the connection's.
 */
#include "viewer.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>

#include "msg.h"

static bool tcp_ok(const GstRTSPTransport *t)
{
	return t->lower_transport == GST_RTSP_LOWER_TRANS_TCP;
}

/* A pair as RTP wants it, of no privileged port, for no other address than the connection's. */
static bool udp_ok(const GstRTSPTransport *t)
{
	return t->lower_transport == GST_RTSP_LOWER_TRANS_UDP && !t->destination &&
	       t->client_port.min >= 1024 && t->client_port.min % 2 == 0 &&
	       t->client_port.max == t->client_port.min + 1 && t->client_port.max <= 65535;
}

static char *tcp_form(const GstRTSPTransport *t)
{
	if (t->interleaved.min >= 0 && t->interleaved.max == t->interleaved.min + 1 &&
	    t->interleaved.max <= 255)
		return g_strdup_printf("RTP/AVP/TCP;unicast;interleaved=%d-%d", t->interleaved.min,
				       t->interleaved.max);
	return g_strdup("RTP/AVP/TCP;unicast");
}

/* volet-udp has heard a report. */
static gboolean heard(gint fd, GIOCondition condition G_GNUC_UNUSED, gpointer data)
{
	struct volet_packet packet;
	struct viewer *v = data;
	int fds[MSG_FDS_MAX], ret;
	unsigned int n_fds;

	ret = msg_recv(fd, &packet, sizeof(packet), fds, &n_fds);
	msg_close_fds(fds);
	if (ret == 0 && packet.type == VOLET_PACKET_HEARD) {
		g_mutex_lock(&v->lock);
		v->heard = g_get_monotonic_time();
		g_mutex_unlock(&v->lock);
	}
	/* When volet-udp is gone, voletd ends the session and knows why. */
	return ret == 0 || ret == -EAGAIN ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

/* Ask voletd, once; then RTP goes by UDP as long as this process lives. */
static bool open_udp(struct viewer *v, unsigned int client_port)
{
	GSource *source;

	if (v->talk.udp_client)
		return v->talk.udp_client == client_port;
	if (v->talk.session || v->talk.udp_denied)
		return false;
	if (desk_ask_udp(v, client_port) != ANSWER_UDP) {
		v->talk.udp_denied = true;
		return false;
	}
	v->talk.udp_client = client_port;
	v->talk.udp_server = v->desk.server_port;
	writer_set_udp(v->writer, v->desk.packets, v->net);
	g_mutex_lock(&v->lock);
	v->udp = true;
	g_mutex_unlock(&v->lock);
	source = g_unix_fd_source_new(v->desk.packets, G_IO_IN);
	g_source_set_callback(source, G_SOURCE_FUNC(heard), v, NULL);
	g_source_attach(source, v->net);
	g_source_unref(source);
	return true;
}

/* One offer, in the server's form, or NULL. */
static char *take_offer(struct viewer *v, const char *offer)
{
	GstRTSPTransport *t = NULL;
	char *found = NULL;

	gst_rtsp_transport_new(&t);
	if (gst_rtsp_transport_parse(offer, t) == GST_RTSP_OK && !t->mode_record &&
	    t->trans == GST_RTSP_TRANS_RTP && t->profile == GST_RTSP_PROFILE_AVP) {
		if (tcp_ok(t) && !v->talk.udp_client)
			found = tcp_form(t);
		else if (udp_ok(t) && open_udp(v, (unsigned int)t->client_port.min))
			found = g_strdup("RTP/AVP/TCP;unicast;interleaved=0-1");
	}
	gst_rtsp_transport_free(t);
	return found;
}

char *transport_choose(struct viewer *v, const GstRTSPMessage *request)
{
	char *found = NULL, *value;
	int i, j;

	for (i = 0; !found && gst_rtsp_message_get_header(request, GST_RTSP_HDR_TRANSPORT, &value,
							  i) == GST_RTSP_OK; i++) {
		g_auto(GStrv) offers = g_strsplit(value, ",", 8);

		for (j = 0; !found && offers[j]; j++)
			found = take_offer(v, g_strstrip(offers[j]));
	}
	return found;
}

void transport_answer(const struct viewer *v, GstRTSPMessage *answer)
{
	g_autofree char *transport = NULL;
	const char *ssrc;
	char *value;

	if (!v->talk.udp_client || gst_rtsp_message_get_type(answer) != GST_RTSP_MESSAGE_RESPONSE ||
	    gst_rtsp_message_get_header(answer, GST_RTSP_HDR_TRANSPORT, &value, 0) != GST_RTSP_OK)
		return;
	ssrc = strstr(value, ";ssrc=");
	transport = g_strdup_printf("RTP/AVP;unicast;client_port=%u-%u;server_port=%u-%u%s",
				    v->talk.udp_client, v->talk.udp_client + 1, v->talk.udp_server,
				    v->talk.udp_server + 1, ssrc ? ssrc : "");
	gst_rtsp_message_remove_header(answer, GST_RTSP_HDR_TRANSPORT, -1);
	gst_rtsp_message_add_header(answer, GST_RTSP_HDR_TRANSPORT, transport);
}
