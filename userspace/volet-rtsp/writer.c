// SPDX-License-Identifier: MIT
/* What goes to the viewer's socket; see writer.h. */
#include "writer.h"

#include <glib-unix.h>
#include <sys/ioctl.h>

#include "packets.h"

#define MARKS 32

/* In the kernel's queue up to this byte: frames captured then. */
struct mark {
	uint64_t end, captured_ns;
};

struct writer {
	int socket;
	GstRTSPWatch *watch;
	struct feeder *feeder;
	GMutex lock;		/* what follows; taken before the watch's own lock */
	unsigned int channel;
	uint64_t age_limit_ns;
	uint64_t frame;		/* generation of the one that parts come of */
	bool sending, whole;	/* it is to be sent; its last part was */
	unsigned int queued_id;	/* of its newest part the socket hasn't taken wholly; 0: none */
	struct volet_frame_stamp queued;
	uint64_t queued_bytes;
	uint64_t written;	/* bytes of whole frames handed to the kernel */
	struct mark marks[MARKS];
	unsigned int n_marks;
	struct packets *packets;	/* RTP over UDP; NULL: in the connection */
	int packets_channel;
	GMainContext *net;
	bool room_awaited;	/* a source in `net` waits until the channel takes packets again */
};

struct writer *writer_new(int socket, GstRTSPWatch *watch, struct feeder *feeder)
{
	struct writer *w = g_new0(struct writer, 1);

	w->socket = socket;
	w->watch = watch;
	w->feeder = feeder;
	g_mutex_init(&w->lock);
	return w;
}

void writer_set_channel(struct writer *w, unsigned int channel)
{
	g_mutex_lock(&w->lock);
	w->channel = channel;
	g_mutex_unlock(&w->lock);
}

void writer_set_age_limit(struct writer *w, uint32_t age_limit_ms)
{
	g_mutex_lock(&w->lock);
	w->age_limit_ns = age_limit_ms * UINT64_C(1000000);
	g_mutex_unlock(&w->lock);
}

/* Call with the lock. When the marks are full, the two newest become one of the older's age. */
static void frame_written(struct writer *w, uint64_t bytes, const struct volet_frame_stamp *stamp)
{
	feeder_done(w->feeder, stamp->generation, bytes);
	w->written += bytes;
	if (w->n_marks == MARKS)
		w->marks[MARKS - 1].end = w->written;
	else
		w->marks[w->n_marks++] = (struct mark){ w->written, stamp->captured_ns };
}

static uint64_t data_bytes(const GstRTSPMessage *messages, unsigned int n)
{
	uint64_t bytes = 0;
	unsigned int i;

	for (i = 0; i < n; i++)
		bytes += 4 + gst_buffer_get_size(messages[i].body_buffer);
	return bytes;
}

/* Whether the last of these packets is the last of its frame: RTP's marker says so. */
static bool ends_frame(GstRTSPMessage *messages, unsigned int n)
{
	guint8 head[2] = { 0 };

	gst_buffer_extract(messages[n - 1].body_buffer, 0, head, sizeof(head));
	return head[1] & 0x80;
}

/* Call with the lock. A frame begins: is it to be sent? */
static bool begin_frame(struct writer *w, const struct volet_frame_stamp *stamp)
{
	w->frame = stamp->generation;
	/* The rest of the one before, which PAUSE cut off, is still with the watch. */
	if (w->queued_id)
		return false;
	w->queued_bytes = 0;
	w->queued = *stamp;
	return session_now_ns() - stamp->captured_ns <= w->age_limit_ns;
}

/*
 * Call with the lock. One call is a part of one frame: the payloader makes a list of a JPEG
 * and one of each unit of an H.264 picture. The frame stays feeder's current one until the
 * last part is done with, and what is none of it (a blank or flushed one) goes nowhere; for
 * the server it went.
 */
static bool send_part(struct writer *w, GstRTSPMessage *messages, unsigned int n)
{
	struct volet_frame_stamp stamp;
	bool last = ends_frame(messages, n);
	uint64_t bytes = data_bytes(messages, n);
	unsigned int id = 0;

	if (!feeder_current(w->feeder, &stamp))
		return true;
	if (w->frame != stamp.generation)
		w->sending = begin_frame(w, &stamp);
	if (!w->sending) {
		if (last)
			feeder_done(w->feeder, stamp.generation, 0);
		return true;
	}
	if (gst_rtsp_watch_send_messages(w->watch, messages, n, &id) != GST_RTSP_OK)
		return false;
	w->queued_bytes += bytes;
	/* In order: when the newest is written, so are those before. */
	if (id)
		w->queued_id = id;
	w->whole = last;
	if (last && !w->queued_id)
		frame_written(w, w->queued_bytes, &stamp);
	return true;
}

/* ---- RTP over UDP ------------------------------------------------------------------- */

void writer_set_udp(struct writer *w, int packets, GMainContext *net)
{
	g_mutex_lock(&w->lock);
	w->packets = packets_new(packets);
	w->packets_channel = packets;
	w->net = net;
	g_mutex_unlock(&w->lock);
}

static uint64_t expires(const struct writer *w)
{
	return w->queued.captured_ns + w->age_limit_ns;
}

/* Call with the lock: the rest of the frame on its way is not worth sending. */
static void give_up(struct writer *w)
{
	packets_drop(w->packets);
	w->queued_id = 0;
	w->sending = false;
	feeder_done(w->feeder, w->queued.generation, 0);
}

/* Call with the lock. `queued_id` says here only that something waits. */
static void flush_udp(struct writer *w)
{
	if (!w->queued_id)
		return;
	if (session_now_ns() > expires(w)) {
		give_up(w);
	} else if (packets_flush(w->packets)) {
		w->queued_id = 0;
		if (w->whole)
			feeder_done(w->feeder, w->queued.generation, w->queued_bytes);
	}
}

/* net: the channel has room again, or nobody is at its other end. */
static gboolean room(gint fd G_GNUC_UNUSED, GIOCondition condition G_GNUC_UNUSED, gpointer data)
{
	struct writer *w = data;
	bool more;

	g_mutex_lock(&w->lock);
	flush_udp(w);
	more = w->room_awaited = w->queued_id != 0;
	g_mutex_unlock(&w->lock);
	return more ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

/* Call with the lock. */
static void await_room(struct writer *w)
{
	GSource *source = g_unix_fd_source_new(w->packets_channel, G_IO_OUT);

	w->room_awaited = true;
	g_source_set_callback(source, G_SOURCE_FUNC(room), w, NULL);
	g_source_attach(source, w->net);
	g_source_unref(source);
}

/* Call with the lock. Like send_part(): a part of one frame, or of none. */
static void send_part_udp(struct writer *w, GstRTSPMessage *messages, unsigned int n)
{
	struct volet_frame_stamp stamp;
	unsigned int i;

	if (!feeder_current(w->feeder, &stamp))
		return;
	if (w->frame != stamp.generation)
		w->sending = begin_frame(w, &stamp);
	w->whole = ends_frame(messages, n);
	if (!w->sending) {
		if (w->whole)
			feeder_done(w->feeder, stamp.generation, 0);
		return;
	}
	for (i = 0; i < n; i++) {
		if (!packets_put(w->packets, VOLET_PACKET_RTP, messages[i].body_buffer, expires(w))) {
			give_up(w);
			return;
		}
	}
	w->queued_bytes += data_bytes(messages, n);
	w->queued_id = 1;
	flush_udp(w);
	if (w->queued_id && !w->room_awaited)
		await_room(w);
}

/* Call with the lock: RTP or RTCP, which for the server go in the connection. */
static void send_udp(struct writer *w, guint8 channel, GstRTSPMessage *messages, unsigned int n)
{
	if (channel == w->channel)
		send_part_udp(w, messages, n);
	else if (!w->queued_id)
		packets_put(w->packets, VOLET_PACKET_RTCP, messages[0].body_buffer,
			    session_now_ns() + w->age_limit_ns);
}

/* ---- both --------------------------------------------------------------------------- */

bool writer_send(struct writer *w, GstRTSPMessage *messages, unsigned int n)
{
	bool ok = true, data;
	guint8 channel;

	g_mutex_lock(&w->lock);
	data = gst_rtsp_message_get_type(messages) == GST_RTSP_MESSAGE_DATA &&
	       gst_rtsp_message_parse_data(messages, &channel) == GST_RTSP_OK;
	if (data && w->packets)
		send_udp(w, channel, messages, n);
	else if (data && channel == w->channel)
		ok = send_part(w, messages, n);
	else
		ok = gst_rtsp_watch_send_messages(w->watch, messages, n, NULL) == GST_RTSP_OK;
	g_mutex_unlock(&w->lock);
	return ok;
}

void writer_sent(struct writer *w, unsigned int id)
{
	g_mutex_lock(&w->lock);
	if (id == w->queued_id) {
		w->queued_id = 0;
		if (w->whole)
			frame_written(w, w->queued_bytes, &w->queued);
	}
	g_mutex_unlock(&w->lock);
}

bool writer_is_late(struct writer *w, uint64_t *age_ns)
{
	uint64_t captured_ns = 0, acknowledged, now = session_now_ns();
	int unacknowledged = 0;
	bool late;

	g_mutex_lock(&w->lock);
	if (w->packets) {
		/* What waits too long is dropped, and the viewer told nothing. */
		flush_udp(w);
	} else if (w->queued_id) {
		captured_ns = w->queued.captured_ns;
	} else if (ioctl(w->socket, TIOCOUTQ, &unacknowledged) == 0) {
		unsigned int i, gone = 0;

		/* A few bytes of responses are counted as frame: that errs to the older. */
		acknowledged = w->written - MIN(w->written, (uint64_t)unacknowledged);
		while (gone < w->n_marks && w->marks[gone].end <= acknowledged)
			gone++;
		for (i = gone; i < w->n_marks; i++)
			w->marks[i - gone] = w->marks[i];
		w->n_marks -= gone;
		if (w->n_marks)
			captured_ns = w->marks[0].captured_ns;
	}
	*age_ns = captured_ns && now > captured_ns ? now - captured_ns : 0;
	late = *age_ns > w->age_limit_ns;
	g_mutex_unlock(&w->lock);
	return late;
}
